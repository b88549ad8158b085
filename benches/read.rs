//! Reads pictures of several formats beside the programs that others use, in turn: `cargo bench --bench read --
//! PYTHON [ROUNDS]`, where PYTHON is an interpreter with the packages of benches/peers/read.py.
//!
//! Files of 1,024 x 1,024 pixels, written by the peers, one at a time on one thread: ours as
//! [`Picture::read`] gives them to the loader, theirs as an array of numpy. Prints the median of each in
//! milliseconds, and megapixels a second.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use pix2pix_engine::data::Picture;

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn main() {
    let given: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let Some(python) = given.first() else {
        eprintln!("give a Python: cargo bench --bench read -- PYTHON [ROUNDS]");
        return;
    };
    let rounds: usize = given.get(1).map_or(15, |n| n.parse().expect("a number of rounds"));
    let folder = tempfile::tempdir().expect("a folder for the files");
    let script = "benches/peers/read.py";
    let made = Command::new(python).args([script, "--make"]).arg(folder.path()).status();
    assert!(made.expect("the Python that was named starts").success(), "the peer writes the files");
    let mut peer = Command::new(python)
        .args([script, "--serve"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the Python that was named starts");
    let mut to = peer.stdin.take().expect("stdin is a pipe");
    let mut from = BufReader::new(peer.stdout.take().expect("stdout is a pipe")).lines();
    let mut answer = || from.next().expect("the peer goes on").expect("it writes text");
    assert_eq!(answer(), "ready");
    let mut files: Vec<PathBuf> =
        folder.path().read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    println!("{:24} {:>9} {:>9} {:>7} {:>9}", "file", "ours ms", "peer ms", "ratio", "ours MP/s");
    for path in files {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let begin = Instant::now();
            let picture = Picture::read(&path, 0).expect("it reads what the peer wrote");
            ours.push(begin.elapsed().as_secs_f64());
            assert_eq!(picture.image.width, 1024);
            writeln!(to, "{}", path.display()).unwrap();
            theirs.push(answer().parse::<f64>().expect("seconds"));
        }
        let (ours, theirs) = (median(ours), median(theirs));
        println!(
            "{:24} {:9.2} {:9.2} {:7.2} {:9.0}",
            path.file_name().unwrap().display(),
            1e3 * ours,
            1e3 * theirs,
            theirs / ours,
            1.048576 / ours
        );
    }
    drop(to);
    peer.wait().expect("the peer ends");
}

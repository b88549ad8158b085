//! Compares this program with PyTorch and ONNX Runtime in one run, in turn:
//! `cargo bench --bench beside -- PYTHON [ROUNDS]`, where PYTHON is an interpreter with the
//! packages of benches/peers/requirements.txt.
//!
//! Each round runs one training step of ours, of PyTorch (with its default settings) and of PyTorch
//! with its fused Adam, then three translations of ours, of PyTorch and of ONNX Runtime. Half a
//! second passes between two programs, because idle threads of the previous one may spin for a
//! while and would take a core from the next. Prints the median and the minimum of each, the ratios
//! of the medians, and the peak memory of the processes.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use common::{Model, Training};

/// A process of benches/peers/bench_torch.py, which runs what it is sent by name.
struct Peer {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    peak_mb: f64,
}

impl Peer {
    fn start(python: &str, flags: &[&str]) -> Peer {
        let mut child = Command::new(python)
            .arg("benches/peers/bench_torch.py")
            .arg("--serve")
            .args(flags)
            // Settings that slow current builds down on some machines.
            .env_remove("OPENBLAS_CORETYPE")
            .env_remove("OPENBLAS_L2_SIZE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the Python that was named starts");
        let to = child.stdin.take().expect("stdin is a pipe");
        let from = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let mut peer = Peer { child, to, from, peak_mb: 0.0 };
        peer.wait_for("ready");
        peer
    }

    fn wait_for(&mut self, what: &str) -> serde_json::Value {
        loop {
            let mut line = String::new();
            let n = self.from.read_line(&mut line).expect("the peer writes text");
            assert!(n > 0, "the peer ended; run bench_torch.py by hand to see why");
            match serde_json::from_str::<serde_json::Value>(&line) {
                Ok(value) if value["what"] == what => return value,
                _ if line.trim() == what => return serde_json::Value::Null,
                _ => {}
            }
        }
    }

    fn ms(&mut self, what: &str) -> f64 {
        writeln!(self.to, "{what}").expect("the peer reads");
        self.to.flush().expect("the peer reads");
        let value = self.wait_for(what);
        self.peak_mb = value["peak_mb"].as_f64().unwrap_or(self.peak_mb).max(self.peak_mb);
        value["ms"].as_f64().expect("a time in ms")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Peak resident memory of this process in MB; None on other systems than Linux.
fn peak_mb() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1e3)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let Some(python) = args.first() else {
        println!("beside: give a Python with PyTorch: cargo bench --bench beside -- PYTHON");
        return;
    };
    let rounds: usize = args.get(1).map_or(12, |n| n.parse().expect("ROUNDS is a number"));
    let mut torch = Peer::start(python, &[]);
    let mut fused = Peer::start(python, &["--fused"]);
    let mut ort = Peer::start(python, &["--ort"]);
    let mut training = Training::new();
    (0..3).for_each(|_| training.run());
    let peak = peak_mb().unwrap_or(f64::NAN);
    let mut model = Model::new();
    let mut times: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for round in 0..rounds + 2 {
        let mut add = |name, ms: f64| {
            // The first two rounds are warm-up.
            if round >= 2 {
                times.entry(name).or_default().push(ms);
            }
        };
        let rest = || std::thread::sleep(std::time::Duration::from_millis(500));
        let ours = |f: &mut dyn FnMut()| {
            let start = Instant::now();
            f();
            1e3 * start.elapsed().as_secs_f64()
        };
        rest();
        add("step: ours", ours(&mut || training.run()));
        rest();
        add("step: PyTorch", torch.ms("step"));
        rest();
        add("step: PyTorch, fused Adam", fused.ms("step"));
        rest();
        for _ in 0..3 {
            add("translation: ours", ours(&mut || model.run()));
        }
        rest();
        for _ in 0..3 {
            add("translation: PyTorch", torch.ms("translate"));
        }
        rest();
        for _ in 0..3 {
            add("translation: ONNX Runtime", ort.ms("ort"));
        }
    }
    let median = |name: &str| {
        let mut all = times[name].clone();
        all.sort_by(f64::total_cmp);
        (all[all.len() / 2], all[0])
    };
    for what in ["step", "translation"] {
        let (ours, _) = median(&format!("{what}: ours"));
        for name in times.keys().filter(|n| n.starts_with(what)) {
            let (mid, least) = median(name);
            println!("{name:28} {mid:7.1} ms, least {least:7.1}, {:.2} times ours", mid / ours);
        }
    }
    println!("peak memory of training: ours {peak:.0} MB, PyTorch {:.0} MB", torch.peak_mb);
}

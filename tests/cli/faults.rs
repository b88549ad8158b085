//! What must not be lost: runs that are started twice, files that lie in the way, bits that flip.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use pix2pix_engine::checkpoint::load_weights;

use crate::program::{
    Refused, SMALL, bench, command, lines, ok, picture, refuse_all, resume, run, save,
    step_numbers, train, tree, words,
};

fn start(cwd: &Path, line: &str) -> Child {
    let mut command = command(cwd, &words(line));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Starts both lines at once. Returns the exit code and the complaint of each.
fn both(cwd: &Path, a: &str, b: &str) -> [(Option<i32>, String); 2] {
    [start(cwd, a), start(cwd, b)].map(|child| {
        let ended = child.wait_with_output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    })
}

#[test]
fn of_two_runs_in_one_folder_one_goes_on_alone() {
    let folder = bench();
    let cwd = folder.path();
    let new = |out: &str| format!("train data {SMALL} --steps 12 --save-every 1 --out {out}");
    train(cwd, "whole", "--steps 12 --save-every 1");
    let whole = load_weights(&cwd.join("whole/checkpoints/latest.safetensors")).unwrap();
    train(cwd, "begun", "--steps 2 --save-every 1");
    for round in 0..4 {
        let out = format!("run{round}");
        let resumed = format!("train data --steps 12 --save-every 1 --resume {out}");
        let lines_of = match round {
            0 | 1 => [new(&out), new(&out)],
            _ => {
                for part in ["", "checkpoints", "samples"] {
                    fs::create_dir_all(cwd.join(&out).join(part)).unwrap();
                }
                for path in tree(&cwd.join("begun")).into_keys().filter(|path| path.is_file()) {
                    let name = path.strip_prefix(cwd.join("begun")).unwrap();
                    fs::copy(&path, cwd.join(&out).join(name)).unwrap();
                }
                [resumed.clone(), if round == 2 { resumed } else { new(&out) }]
            }
        };
        let ended = both(cwd, &lines_of[0], &lines_of[1]);
        let won = ended.iter().filter(|(code, _)| *code == Some(0)).count();
        let at = format!("{lines_of:?}: {ended:?}");
        assert_eq!(won, 1, "{at}");
        let (code, said) = ended.iter().find(|(code, _)| *code != Some(0)).unwrap();
        assert_eq!(*code, Some(1), "{at}");
        // Which of these depends on how far the other was.
        let reasons =
            ["another process is writing the run", "holds a run already", "steps already"];
        assert!(reasons.iter().any(|reason| said.contains(reason)), "{at}");
        assert_eq!(said.lines().count(), 1, "{at}");
        let run = cwd.join(&out);
        assert_eq!(step_numbers(&run), (1..=12).collect::<Vec<_>>(), "{at}");
        let latest = load_weights(&run.join("checkpoints/latest.safetensors")).unwrap();
        assert!(latest.generator == whole.generator, "{at}");
        assert!(latest.discriminators == whole.discriminators, "{at}");
    }
}

#[test]
fn of_translations_and_conversions_into_one_file_the_last_wins_whole() {
    let folder = bench();
    let cwd = folder.path();
    train(cwd, "run", "--steps 1");
    train(cwd, "other", "--steps 2 --seed 5");
    save(&cwd.join("p.png"), &picture(96, 96, 1));
    for (name, lines) in [
        ("o.png", ["run", "other"].map(|m| format!("translate {m} p.png -o o.png"))),
        ("m.pth", ["run", "other"].map(|m| format!("convert {m}/model.safetensors m.pth"))),
    ] {
        let alone = lines.clone().map(|line| {
            ok(cwd, &words(&line));
            fs::read(cwd.join(name)).unwrap()
        });
        for _ in 0..5 {
            let ended = both(cwd, &lines[0], &lines[1]);
            assert!(ended.iter().all(|(code, _)| *code == Some(0)), "{lines:?}: {ended:?}");
            let got = fs::read(cwd.join(name)).unwrap();
            assert!(alone.contains(&got), "{name} is neither");
        }
    }
    let hidden = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with('.');
    assert!(tree(cwd).keys().all(|path| !hidden(path)), "{:?}", tree(cwd).keys());
}

#[test]
fn files_of_others_in_the_place_of_a_run_are_named_and_left_alone() {
    let folder = bench();
    let cwd = folder.path();
    train(cwd, "run", "--steps 1");
    for (out, name) in [
        ("a", "metrics.jsonl"),
        ("b", "best.safetensors"),
        ("c", "model.safetensors"),
        ("d", "samples/step-0000001.png"),
        ("e", "checkpoints/epoch-0002.safetensors"),
    ] {
        let path = cwd.join(out).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "precious").unwrap();
    }
    fs::create_dir_all(cwd.join("f/checkpoints/mine")).unwrap();
    fs::write(cwd.join("f/notes.txt"), "precious").unwrap();
    fs::write(cwd.join("f/checkpoints/mine/latest_net_G.pth"), "precious").unwrap();
    fs::create_dir(cwd.join("g")).unwrap();
    fs::copy(cwd.join("run/model.safetensors"), cwd.join("g/model.safetensors")).unwrap();
    let row = |line, says| Refused { line, code: 1, says };
    refuse_all(
        cwd,
        &[
            row("train data --out a", &["a/metrics.jsonl is there already", "another --out"]),
            row("train data --out b", &["b/best.safetensors is there already"]),
            row("train data --out c", &["c/model.safetensors is there already"]),
            row("train data --out d", &["d/samples/step-0000001.png is there already"]),
            row("train data --out e", &["e/checkpoints/epoch-0002.safetensors is there already"]),
            row("train data --resume run --out a --steps 2", &["a/metrics.jsonl is there already"]),
            row(
                "train data --init-generator g/model.safetensors --out g",
                &["g/model.safetensors is there already"],
            ),
        ],
    );
    // What does not bear such a name is in nobody's way.
    train(cwd, "f", "--steps 1");
    for name in ["f/notes.txt", "f/checkpoints/mine/latest_net_G.pth"] {
        assert_eq!(fs::read_to_string(cwd.join(name)).unwrap(), "precious");
    }
}

#[test]
fn nothing_is_written_over_what_it_is_made_from() {
    let folder = bench();
    let cwd = folder.path();
    train(cwd, "run", "--steps 1");
    train(cwd, "other", "--steps 1");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("run/model.safetensors", cwd.join("link.safetensors")).unwrap();
        std::os::unix::fs::symlink("nowhere", cwd.join("dangling.pth")).unwrap();
    }
    fs::hard_link(cwd.join("run/model.safetensors"), cwd.join("hard.safetensors")).unwrap();
    let row = |line, says| Refused { line, code: 1, says };
    let mut rows = vec![
        row(
            "convert run/checkpoints/latest.safetensors run/checkpoints/latest.safetensors",
            &["are one file", "another name"],
        ),
        row("convert run/model.safetensors ./run/../run/model.safetensors", &["are one file"]),
        row("convert run run/model.safetensors", &["are one file"]),
        row("convert run/model.safetensors hard.safetensors", &["are one file"]),
        row(
            "convert run/model.safetensors other/checkpoints/latest.safetensors",
            &["is a training checkpoint"],
        ),
    ];
    if cfg!(unix) {
        rows.push(row("convert run/model.safetensors link.safetensors", &["are one file"]));
        rows.push(row("convert link.safetensors run/model.safetensors", &["are one file"]));
        rows.push(row("convert run/model.safetensors dangling.pth", &["leads nowhere"]));
    }
    refuse_all(cwd, &rows);
}

#[cfg(unix)]
#[test]
fn permissions_long_names_and_planted_links_are_heeded() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = bench();
    let cwd = folder.path();
    train(cwd, "run", "--steps 1");
    save(&cwd.join("p.png"), &picture(32, 32, 1));
    for mode in [0o400, 0o600, 0o664] {
        fs::write(cwd.join("o.png"), "old").unwrap();
        fs::set_permissions(cwd.join("o.png"), fs::Permissions::from_mode(mode)).unwrap();
        ok(cwd, &words("translate run p.png -o o.png"));
        assert_eq!(fs::metadata(cwd.join("o.png")).unwrap().permissions().mode() & 0o777, mode);
        fs::remove_file(cwd.join("o.png")).unwrap();
    }
    // Of a run, too.
    let latest = cwd.join("run/checkpoints/latest.safetensors");
    fs::set_permissions(&latest, fs::Permissions::from_mode(0o640)).unwrap();
    resume(cwd, "run", "--steps 2");
    assert_eq!(fs::metadata(&latest).unwrap().permissions().mode() & 0o777, 0o640);
    // The names that temporary files once had.
    fs::create_dir(cwd.join("shared")).unwrap();
    fs::write(cwd.join("victim"), "precious").unwrap();
    symlink("../victim", cwd.join("shared/.o.png.tmp")).unwrap();
    fs::hard_link(cwd.join("victim"), cwd.join("shared/.p.png.tmp")).unwrap();
    for name in ["o.png", "p.png"] {
        ok(cwd, &words(&format!("translate run p.png -o shared/{name}")));
    }
    assert_eq!(fs::read_to_string(cwd.join("victim")).unwrap(), "precious");
    for length in [251, 255] {
        let name = format!("{}.png", "n".repeat(length - 4));
        ok(cwd, &words(&format!("translate run p.png -o shared/{name}")));
        assert!(cwd.join("shared").join(name).is_file());
    }
}

#[test]
fn a_flipped_bit_is_an_error_wherever_it_is() {
    let folder = bench();
    let cwd = folder.path();
    train(cwd, "run", "--steps 1");
    let latest = fs::read(cwd.join("run/checkpoints/latest.safetensors")).unwrap();
    let damaged = cwd.join("damaged.safetensors");
    let mut random = 7_u64;
    // The header in its first bytes and its last, then anywhere.
    for i in 0..200 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let byte = if i < 20 { i } else { (random >> 20) as usize % latest.len() };
        let mut bytes = latest.clone();
        bytes[byte] ^= 1 << (random >> 60 & 7);
        fs::write(&damaged, bytes).unwrap();
        let error = load_weights(&damaged).expect_err("a bit is wrong").to_string();
        assert!(error.contains("damaged.safetensors"), "byte {byte}: {error}");
    }
    let size = u64::from_le_bytes(latest[..8].try_into().unwrap()) as usize;
    let mut bytes = latest.clone();
    bytes[8 + size + 3] ^= 0x40;
    fs::write(&damaged, &bytes).unwrap();
    fs::create_dir_all(cwd.join("hurt/checkpoints")).unwrap();
    fs::write(cwd.join("hurt/checkpoints/latest.safetensors"), &bytes).unwrap();
    save(&cwd.join("p.png"), &picture(32, 32, 1));
    let row = |line, says| Refused { line, code: 1, says };
    let says: &[&str] = &["generator.down1.conv.weight is damaged", "copy the file again"];
    refuse_all(
        cwd,
        &[
            row("translate damaged.safetensors p.png", says),
            row("describe damaged.safetensors", says),
            row("convert damaged.safetensors m.pth", says),
            row("train data --resume hurt --steps 2", says),
            row("train data --init-generator damaged.safetensors --out new", says),
        ],
    );
}

#[test]
fn a_checkpoint_that_is_damaged_or_missing_is_replaced_by_the_one_before() {
    let folder = bench();
    let cwd = folder.path();
    train(cwd, "whole", "--steps 6 --save-every 1");
    for missing in [false, true] {
        let out = format!("run{missing}");
        train(cwd, &out, "--steps 4 --save-every 1");
        let latest = cwd.join(&out).join("checkpoints/latest.safetensors");
        let mut bytes = fs::read(&latest).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::remove_file(&latest).unwrap();
        if !missing {
            fs::write(&latest, bytes).unwrap();
        }
        let line = format!("train data --resume {out} --steps 6 --save-every 1");
        let ended = run(cwd, &words(&line));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let said = ended.out + &ended.err;
        assert!(said.contains("goes on from") && said.contains("previous.safetensors"), "{said}");
        let bytes = |out: &str| fs::read(cwd.join(out).join("checkpoints/latest.safetensors"));
        assert!(bytes(&out).unwrap() == bytes("whole").unwrap());
        assert_eq!(step_numbers(&cwd.join(&out)), [1, 2, 3, 4, 5, 6]);
    }
}

#[test]
fn a_validation_that_failed_is_made_up() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    crate::program::pairs(&cwd.join("data/train"), 2, 32);
    crate::program::pairs(&cwd.join("data/val"), 2, 32);
    train(cwd, "whole", "--epochs 3 --schedule constant");
    let whole = cwd.join("whole");
    for epochs in [2, 3] {
        let out = format!("run{epochs}");
        // The run has gone through its headers when the first sheet is there.
        let line = format!("train data {SMALL} --epochs {epochs} --schedule constant --out {out}");
        let mut child = start(cwd, &line);
        let kept = fs::read(cwd.join("data/val/1.png")).unwrap();
        let first = cwd.join(&out).join("samples/step-0000002.png");
        while !first.exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        fs::write(cwd.join("data/val/1.png"), &kept[..kept.len() / 2]).unwrap();
        let ended = child.wait_with_output().unwrap();
        fs::write(cwd.join("data/val/1.png"), &kept).unwrap();
        if ended.status.code() == Some(1) {
            let said = String::from_utf8(ended.stderr).unwrap();
            assert!(said.contains("1.png is damaged") && said.contains("--resume"), "{said}");
            resume(cwd, &out, "--epochs 3");
        } else if epochs == 2 {
            resume(cwd, &out, "--epochs 3");
        }
        let validations = |run: &Path| -> Vec<serde_json::Value> {
            lines(run).into_iter().filter(|line| line.get("validation").is_some()).collect()
        };
        assert_eq!(validations(&cwd.join(&out)), validations(&whole));
        let names = ["best.safetensors", "model.safetensors", "checkpoints/latest.safetensors"];
        for name in names {
            let [got, expected] =
                [&cwd.join(&out), &whole].map(|run| fs::read(run.join(name)).unwrap());
            assert!(got == expected, "{name}");
        }
    }
}

#[test]
fn what_a_finished_run_lacks_is_made_from_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    crate::program::pairs(&cwd.join("data/train"), 2, 32);
    crate::program::pairs(&cwd.join("data/val"), 1, 32);
    train(cwd, "run", "--epochs 1");
    let at = |name: &str| cwd.join("run").join(name);
    let older = fs::read(at("model.safetensors")).unwrap();
    resume(cwd, "run", "--epochs 3");
    let names = ["model.safetensors", "samples/step-0000006.png"];
    let whole = names.map(|name| fs::read(at(name)).unwrap());
    let picture = |model: &str| {
        ok(cwd, &words(&format!("translate {model} data/val/0.png -o o.png")));
        fs::read(cwd.join("o.png")).unwrap()
    };
    let newest = picture("run/checkpoints/latest.safetensors");
    let lacks: [&dyn Fn(); 4] = [
        &|| fs::write(at(names[0]), &older).unwrap(),
        &|| fs::remove_file(at(names[0])).unwrap(),
        &|| fs::write(at(names[0]), &older[..older.len() / 2]).unwrap(),
        &|| fs::remove_file(at(names[1])).unwrap(),
    ];
    for lack in lacks {
        lack();
        assert!(picture("run") == newest, "a translation by the folder is that of the checkpoint");
        let ended = resume(cwd, "run", "");
        assert!(ended.out.contains("made up for"), "{}", ended.out);
        assert!(whole == names.map(|name| fs::read(at(name)).unwrap()));
    }
    let ended = run(cwd, &words("train data --resume run"));
    assert!(ended.code == Some(1) && ended.err.contains("steps already"), "{ended:?}");
}

/// Files of before have none of the newer keys in their metadata.
#[test]
fn a_checkpoint_without_checksums_and_options_is_gone_on_from() {
    let folder = bench();
    let cwd = folder.path();
    train(cwd, "whole", "--steps 5");
    train(cwd, "run", "--steps 2");
    let path = cwd.join("run/checkpoints/latest.safetensors");
    let bytes = fs::read(&path).unwrap();
    let size = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + size]).unwrap();
    let metadata = header["__metadata__"].as_object_mut().unwrap();
    for key in ["checksums", "header_checksum", "options", "data", "step", "epoch"] {
        metadata.remove(key).unwrap_or_else(|| panic!("{key} is a key of today"));
    }
    let mut progress: serde_json::Value =
        serde_json::from_str(metadata["progress"].as_str().unwrap()).unwrap();
    for key in ["validated", "optimiser_begun"] {
        progress.as_object_mut().unwrap().remove(key).unwrap();
    }
    metadata.insert("progress".into(), progress.to_string().into());
    let mut text = header.to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut old = (text.len() as u64).to_le_bytes().to_vec();
    old.extend(text);
    old.extend(&bytes[8 + size..]);
    fs::write(&path, old).unwrap();
    resume(cwd, "run", "--steps 5");
    let model = |out: &str| fs::read(cwd.join(out).join("model.safetensors")).unwrap();
    assert!(model("run") == model("whole"));
}

/// Whatever is left of a run that was finished or saved is not taken for one that has only begun.
#[test]
fn what_is_left_of_a_run_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    crate::program::pairs(&cwd.join("data"), 2, 32);
    train(cwd, "run", "--epochs 2 --keep-every 1");
    let run = cwd.join("run");
    let refused = |at: &str| {
        let before = crate::program::tree(&run);
        let line = format!("train data {SMALL} --epochs 1 --out run");
        let ended = crate::program::run(cwd, &words(&line));
        assert_eq!(ended.code, Some(1), "{at}: {ended:?}");
        assert!(ended.err.contains("choose another --out"), "{at}: {ended:?}");
        assert_eq!(crate::program::tree(&run), before, "{at}");
    };
    fs::remove_file(run.join("checkpoints/latest.safetensors")).unwrap();
    refused("without latest");
    fs::remove_file(run.join("checkpoints/previous.safetensors")).unwrap();
    refused("with numbered checkpoints");
    fs::remove_dir_all(run.join("checkpoints")).unwrap();
    refused("with a model alone");
    fs::remove_file(run.join("model.safetensors")).unwrap();
    train(cwd, "run", "--epochs 1");
}

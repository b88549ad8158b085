//! Flags of the port that are settled together: each alone says too little.

use std::path::{Path, PathBuf};

use super::super::{program, quoted};
use super::{PortFlags, Rewritten};
use crate::error::{Error, Result};

/// Adds what some flags become.
type Settle = fn(&PortFlags, &mut Rewritten) -> Result<()>;

/// All of them, in the order in which they are told.
pub const GROUPS: [Settle; 6] = [places, sizes, channels, patch, length, device];

/// A word as it can be typed into a shell.
pub fn word(text: &str) -> String {
    super::super::word(text.as_ref())
}

fn words<const N: usize>(list: [&str; N]) -> Vec<String> {
    list.map(str::to_string).to_vec()
}

/// The run's folder: `--checkpoints_dir`/`--name`, by default below `runs/`.
fn run_folder(flags: &PortFlags) -> Result<Option<String>> {
    let (folder, name) = (flags.value("checkpoints_dir"), flags.value("name"));
    if let Some(given) = flags.get("name").filter(|given| given.value.is_empty()) {
        return Err(given.refused("give the run's folder as --out FOLDER"));
    }
    if folder.is_none() && name.is_none() {
        return Ok(None);
    }
    // The port's default name.
    let name = name.unwrap_or("experiment_name");
    Ok(Some(Path::new(folder.unwrap_or("runs")).join(name).display().to_string()))
}

/// The data and the run's folder.
fn places(flags: &PortFlags, out: &mut Rewritten) -> Result<()> {
    if let Some(data) = flags.get("dataroot") {
        if data.value.is_empty() {
            return Err(data.refused("give the folder of the data"));
        }
        out.push(&data.shown(), vec![data.value.clone()]);
    }
    let run = run_folder(flags)?;
    let goes_on = flags.get("continue_train");
    match (goes_on, run) {
        (Some(_), Some(run)) => {
            let typed = flags.shown(&["continue_train", "checkpoints_dir", "name"]);
            out.push(&typed, vec!["--resume".into(), run]);
        }
        (Some(goes_on), None) => {
            return Err(goes_on.refused("give the folder of the run to go on with: --resume RUN"));
        }
        (None, Some(run)) => {
            let typed = flags.shown(&["checkpoints_dir", "name"]);
            out.push(&typed, vec!["--out".into(), run]);
        }
        (None, None) => {}
    }
    if let Some(begin) = flags.get("epoch_count") {
        if goes_on.is_none() && begin.value != "1" {
            return Err(begin.refused("a run begins at epoch 1; to go on with one: --resume RUN"));
        }
        out.notes.push(format!("{} has no effect: a run knows its epoch", begin.shown()));
    }
    Ok(())
}

/// The port resizes to `load_size` (286) and crops `crop_size` (256). Here the first is always
/// 286/256 of the second, as in the paper, or equal to it.
fn sizes(flags: &PortFlags, out: &mut Rewritten) -> Result<()> {
    if let Some(given) = flags.get("preprocess") {
        match given.value.as_str() {
            "resize_and_crop" => out.already.push(given.shown()),
            "none" => {
                return Err(given.refused("give --no-jitter: pictures are resized to --size alone"));
            }
            _ => {
                return Err(given.refused(
                    "pictures are resized to 286/256 of --size and cropped at random; --no-jitter \
                     leaves the crop out, --fit says what becomes of pictures that are not square",
                ));
            }
        }
    }
    let (load, crop) = (flags.number("load_size")?, flags.number("crop_size")?);
    let size = crop.unwrap_or(256);
    let resized = size.saturating_mul(286).saturating_add(128) / 256;
    let typed = flags.shown(&["load_size", "crop_size"]);
    let mut ours = Vec::new();
    if crop.is_some() {
        ours.extend(["--size".to_string(), size.to_string()]);
    }
    match load {
        None => {}
        Some(load) if load == size => ours.push("--no-jitter".into()),
        Some(load) if load == resized => {}
        Some(_) => {
            return Err(Error::input(format!(
                "{typed} are flags of the PyTorch port: here a picture is resized to {resized} \
                 before {size} x {size} pixels are cropped; leave --load_size out, or give \
                 --load_size {size} for no crop (--no-jitter)"
            )));
        }
    }
    match (load, crop) {
        (None, None) => {}
        (Some(_), None) if ours.is_empty() => out.already.push(typed),
        (None, Some(_)) if resized != 286 => {
            out.push(&typed, ours);
            out.notes
                .push(format!("pictures are resized to {resized} before the crop, not to 286"));
        }
        _ => out.push(&typed, ours),
    }
    Ok(())
}

/// In the port each network has its own number of channels, 64 by default.
fn channels(flags: &PortFlags, out: &mut Rewritten) -> Result<()> {
    let (ngf, ndf) = (flags.number("ngf")?, flags.number("ndf")?);
    let typed = flags.shown(&["ngf", "ndf"]);
    let of_d = |n: u64| ["--discriminator-channels".to_string(), n.to_string()];
    match (ngf, ndf) {
        (None, None) => {}
        (Some(n), d) => {
            let mut ours = words(["--base-channels", &n.to_string()]);
            if d.unwrap_or(64) != n {
                ours.extend(of_d(d.unwrap_or(64)));
            }
            out.push(&typed, ours);
        }
        (None, Some(d)) => out.push(&typed, of_d(d).to_vec()),
    }
    Ok(())
}

/// Pixels of the patch by `n_layers_D`, as in [`crate::model::DiscriminatorConfig`].
const PATCHES: [(&str, &str); 6] =
    [("1", "16"), ("2", "34"), ("3", "70"), ("4", "142"), ("5", "286"), ("6", "574")];

/// The discriminator's patch.
fn patch(flags: &PortFlags, out: &mut Rewritten) -> Result<()> {
    let (kind, layers) = (flags.get("netD"), flags.get("n_layers_D"));
    let (typed, pixels) = match (kind.map(|given| (given, given.value.as_str())), layers) {
        (Some((given, "basic")), _) => (given.shown(), "70"),
        (Some((given, "pixel")), _) => (given.shown(), "1"),
        (Some((given, "n_layers")), None) => (given.shown(), "70"),
        (Some((_, "n_layers")), Some(given)) => {
            let found = PATCHES.iter().find(|(layers, _)| *layers == given.value);
            let (_, pixels) =
                found.ok_or_else(|| given.refused("give 1 to 6 layers, here --patch PIXELS"))?;
            (flags.shown(&["netD", "n_layers_D"]), *pixels)
        }
        (Some((given, _)), _) => {
            return Err(given.refused("give --patch 1, 16, 34, 70, 142 or 286 pixels"));
        }
        (None, _) => (String::new(), ""),
    };
    if !pixels.is_empty() {
        out.push(&typed, words(["--patch", pixels]));
    }
    if let Some(given) = layers.filter(|_| flags.value("netD") != Some("n_layers")) {
        out.notes.push(format!(
            "{} has no effect without --netD n_layers, as in the port; here it is --patch PIXELS",
            given.shown()
        ));
    }
    Ok(())
}

/// Epochs at the full rate and of decay are 100 each in the port; together they are the run.
fn length(flags: &PortFlags, out: &mut Rewritten) -> Result<()> {
    let (full, decay) = (flags.number("n_epochs")?, flags.number("n_epochs_decay")?);
    let policy = flags.get("lr_policy");
    let drops = flags.number("lr_decay_iters")?;
    let kind = policy.map_or("linear", |given| given.value.as_str());
    let typed = flags.shown(&["n_epochs", "n_epochs_decay"]);
    if !typed.is_empty() {
        let (full, decay) = (full.unwrap_or(100), decay.unwrap_or(100));
        let epochs = full.saturating_add(decay);
        let mut ours = words(["--epochs", &epochs.to_string()]);
        if kind == "linear" {
            ours.extend(words(["--full-epochs", &full.to_string()]));
            ours.extend(words(["--decay-epochs", &decay.to_string()]));
        }
        out.push(&typed, ours);
    }
    if let Some(given) = policy {
        match kind {
            "linear" => out.already.push(given.shown()),
            "cosine" => {
                out.push(&given.shown(), words(["--schedule", "cosine"]));
                out.notes.push(
                    "the rate falls over all epochs of the run, not over the first \
                     --n_epochs with a rise after them"
                        .into(),
                );
            }
            "step" => {
                let every = drops.unwrap_or(50).to_string();
                let typed = flags.shown(&["lr_policy", "lr_decay_iters"]);
                out.push(&typed, words(["--schedule", "step", "--full-epochs", &every]));
            }
            "plateau" => {
                return Err(given.refused(
                    "the port watches a loss that never changes, so the rate just falls; give \
                     --schedule linear, step or cosine",
                ));
            }
            _ => return Err(given.refused("give --schedule constant, linear, step or cosine")),
        }
    }
    if let Some(given) = flags.get("lr_decay_iters").filter(|_| kind != "step") {
        out.notes.push(format!(
            "{} has no effect without --lr_policy step, as in the port",
            given.shown()
        ));
    }
    Ok(())
}

/// The GPU.
fn device(flags: &PortFlags, out: &mut Rewritten) -> Result<()> {
    let Some(given) = flags.get("gpu_ids") else { return Ok(()) };
    let name = match (given.value.as_str(), given.value.parse::<u16>()) {
        ("-1", _) => "cpu".to_string(),
        (_, Ok(number)) => format!("cuda:{number}"),
        _ => return Err(given.refused("a run uses one GPU; give --device cuda:N, or cpu")),
    };
    out.push(&given.shown(), words(["--device", &name]));
    Ok(())
}

/// What `test.py` with these flags is here, as an error that names the command.
pub fn translation(flags: &PortFlags) -> Result<String> {
    let run = run_folder(flags)?.unwrap_or_else(|| "RUN".into());
    let pictures = match flags.value("dataroot") {
        // `--model test` takes the pictures of the folder itself.
        Some(data) if flags.value("model") == Some("test") => data.to_string(),
        Some(data) => {
            let phase = flags.value("phase").unwrap_or("test");
            Path::new(data).join(phase).display().to_string()
        }
        None => "PICTURES".into(),
    };
    let mut line = format!("{} translate {} {}", program(), word(&run), word(&pictures));
    if flags.value("dataroot").is_some() && flags.value("model") != Some("test") {
        line += " --pairs";
    }
    if let Some(results) = flags.value("results_dir") {
        let folder: PathBuf = Path::new(results).join(flags.value("name").unwrap_or_default());
        line += &format!(" --output {}", quoted(&folder));
    }
    if flags.get("eval").is_some() {
        line += " --norm running";
    }
    Ok(format!(
        "what test.py of the PyTorch port does, `translate` does here; it takes a model, then \
         pictures: {line}"
    ))
}

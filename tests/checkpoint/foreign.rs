//! Files that hold no network of ours: each is called what it is. The goldens are written by
//! `golden/make_foreign.py`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use ::zip::ZipWriter;
use ::zip::write::SimpleFileOptions;
use pix2pix_engine::Error;
use pix2pix_engine::checkpoint::read_weights;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/foreign")
}

fn says(case: &str, bytes: &[u8], says: &[&str]) {
    let error = match read_weights(Cursor::new(bytes), Path::new("model.pth")) {
        Ok(_) => panic!("{case}: was accepted"),
        Err(error) => error,
    };
    assert!(matches!(error, Error::Input(_)), "{case}: {error:?}");
    let error = error.to_string();
    assert!(says.iter().all(|says| error.contains(says)), "{case}: {error}");
    assert!(!error.chars().any(char::is_control), "{case}: {error}");
}

const NOT_YET: &str = "which this program does not have yet";
const PORT: &str = "a ResNet generator of the PyTorch port (pix2pix or CycleGAN)";
const MULTISCALE: &str = "a multiscale discriminator of pix2pixHD";

const GOLDENS: [(&str, &[&str]); 36] = [
    ("resnet_9blocks.pth", &[PORT, "with 9 blocks", NOT_YET]),
    ("resnet_9blocks_legacy.pth", &[PORT, "with 9 blocks", NOT_YET]),
    ("resnet_6blocks.pth", &[PORT, "with 6 blocks", NOT_YET]),
    ("resnet_6blocks_parallel.pth", &[PORT, "with 6 blocks", NOT_YET]),
    ("resnet_9blocks_antialias.pth", &[PORT, "with 9 blocks", NOT_YET]),
    ("resnet_3_halvings.pth", &["a ResNet generator with 2 blocks and 3 halvings", NOT_YET]),
    ("hd_global.pth", &["a global generator of pix2pixHD with 9 blocks", NOT_YET]),
    ("hd_local.pth", &["a local enhancer of pix2pixHD", NOT_YET]),
    ("hd_discriminator.pth", &[MULTISCALE, NOT_YET]),
    ("hd_discriminator_plain.pth", &[MULTISCALE, NOT_YET]),
    ("spade.pth", &["a SPADE (GauGAN) generator", NOT_YET]),
    ("unet_milesial.pth", &["a U-Net of Pytorch-UNet", NOT_YET]),
    ("unet_smp.pth", &["segmentation_models.pytorch", NOT_YET]),
    ("unet_pytorch_gan.pth", &["a U-Net of PyTorch-GAN", NOT_YET]),
    ("unet_initial_down.pth", &["a U-Net with the names `initial_down`", NOT_YET]),
    ("unet_diffusion.pth", &["a U-Net of a diffusion model", NOT_YET]),
    ("unet_other.pth", &["a U-Net of another program", NOT_YET]),
    ("vgg.pth", &["classifies pictures", NOT_YET]),
    ("resnet50.pth", &["classifies pictures", NOT_YET]),
    ("spectral.pth", &["a network with spectral norm", NOT_YET]),
    ("unknown.pth", &["its first tensor, alpha.weight, belongs neither to a pix2pix U-Net"]),
    (
        "wrapped_state_dict.pth",
        &[
            "a checkpoint of a training whose member state_dict holds a U-Net generator of the \
             PyTorch port",
            "torch.save(torch.load(FILE)[\"state_dict\"], \"network.pth\")",
        ],
    ),
    (
        "prefixed.pth",
        &[
            "a U-Net generator of the PyTorch port with `generator.` before the names",
            "torch.save({k.removeprefix(\"generator.\"): v for k, v in torch.load(FILE).items() if \
             k.startswith(\"generator.\")}, \"network.pth\")",
        ],
    ),
    ("wrapped_model.pth", &["whose member model holds", PORT, "with 9 blocks", NOT_YET]),
    ("wrapped_model_legacy.pth", &["whose member model holds", PORT, NOT_YET]),
    ("wrapped_generator.pth", &["whose member gen holds a network's tensors", "[\"gen\"]"]),
    // What could be pasted into Python is never taken from the file.
    ("wrapped_odd_key.pth", &["whose member KEY holds a network's tensors", "[\"KEY\"]"]),
    ("wrapped_twice.pth", &["its member epoch is no tensor", "save `network.state_dict()`"]),
    ("lightning.pth", &["a checkpoint of Lightning", "member state_dict holds", PORT, NOT_YET]),
    (
        "lightning_unet.pth",
        &[
            "member state_dict holds a U-Net generator of the PyTorch port with `netG.` before",
            "torch.load(FILE)[\"state_dict\"].items() if k.startswith(\"netG.\")",
        ],
    ),
    ("optimiser.pth", &["it is the state of an optimiser, which holds no network"]),
    ("whole_network.pth", &["__main__.Small", "but a whole network with its Python object"]),
    ("whole_optimiser.pth", &["torch.optim", "but an optimiser with its Python object"]),
    ("torchscript.pt", &["__torch__", "but TorchScript"]),
    ("tensor.pth", &["it holds no state dict", "save `network.state_dict()`"]),
    ("list.pth", &["it holds no state dict", "save `network.state_dict()`"]),
];

#[test]
fn what_pytorch_saved_is_called_what_it_is() {
    for (name, words) in GOLDENS {
        says(name, &fs::read(folder().join(name)).unwrap(), words);
    }
    let tested: BTreeSet<_> = GOLDENS.iter().map(|row| row.0.to_string()).collect();
    let there = fs::read_dir(folder()).unwrap().map(|f| f.unwrap().file_name());
    assert_eq!(there.map(|f| f.into_string().unwrap()).collect::<BTreeSet<_>>(), tested);
}

#[test]
fn what_other_programs_save_is_called_what_it_is() {
    let archive = |name: &str| {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file(name, SimpleFileOptions::DEFAULT).unwrap();
        zip.write_all(b"numbers").unwrap();
        zip.finish().unwrap().into_inner()
    };
    let torch7 = [&[4, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0][..], b"V 1\x0b\0\0\0nn.gModule"].concat();
    let alone = "state dicts of torch.save alone can be read";
    let rows: [(Vec<u8>, &[&str]); 8] = [
        (torch7, &["a model of Torch7, as the pix2pix of 2017", alone]),
        (b"\x89HDF\r\n\x1a\n and more".to_vec(), &["HDF5, as Keras writes it", alone]),
        (b"GGUF\x03\0\0\0 and more".to_vec(), &["it is GGUF", alone]),
        (b"\x93NUMPY\x01\0 and more".to_vec(), &["a NumPy array", alone]),
        (b"\x08\x07\x12\x04onnx and more".to_vec(), &["ONNX", alone]),
        (archive("model.weights.h5"), &["a model of Keras", alone]),
        (archive("arr_0.npy"), &["an archive of NumPy arrays", alone]),
        (archive("readme.txt"), &["a zip archive without a data.pkl"]),
    ];
    for (bytes, words) in rows {
        says(words[0], &bytes, words);
    }
}

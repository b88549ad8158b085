//! Weights in files: goldens written by PyTorch (`golden/make_pth.py`), round trips, and files that
//! mean harm.

#[path = "checkpoint/configs.rs"]
mod configs;
#[path = "checkpoint/foreign.rs"]
mod foreign;
#[path = "checkpoint/hostile.rs"]
mod hostile;
#[path = "checkpoint/memory.rs"]
mod memory;
#[path = "common/mutate.rs"]
mod mutate;

use std::collections::BTreeMap;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use pix2pix_engine::checkpoint::safetensors::Reader;
use pix2pix_engine::checkpoint::{
    HostTensor, Weights, convert, load_weights, pth, safetensors, save_model, save_pth,
    save_weights,
};
use pix2pix_engine::data::Image;
use pix2pix_engine::device::{Arena, Cpu, Device};
use pix2pix_engine::kernel::{ImageKernels, Statistics};
use pix2pix_engine::model::{
    DiscriminatorConfig, GeneratorConfig, GeneratorKind, Network, NormKind, Output,
};
use pix2pix_engine::nn::{Mode, Param, Params, Placement, Running};
use pix2pix_engine::random::normal;
use pix2pix_engine::tape::Tape;
use pix2pix_engine::tensor::{SampleRange, SampleType, Shape};
use pix2pix_engine::translate::{TranslateOptions, Translator};
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pth").join(name)
}

fn state_dict(path: &Path) -> pth::StateDict<BufReader<fs::File>> {
    pth::StateDict::new(BufReader::new(fs::File::open(path).unwrap()), path).unwrap()
}

fn expected() -> serde_json::Map<String, Value> {
    serde_json::from_slice(&fs::read(golden("expected.json")).unwrap()).unwrap()
}

fn unet(channels: [usize; 3], depth: usize, norm: NormKind) -> GeneratorConfig {
    let [in_channels, out_channels, base_channels] = channels;
    let kind = GeneratorKind::Unet;
    GeneratorConfig {
        kind,
        in_channels,
        out_channels,
        base_channels,
        depth,
        norm,
        dropout: true,
        output: Output::Tanh,
    }
}

fn patch(in_channels: usize, base: usize, layers: usize, norm: NormKind) -> DiscriminatorConfig {
    DiscriminatorConfig { in_channels, base_channels: base, layers, norm }
}

/// Every tensor of every golden as PyTorch sees it. Sums run in f64 over exact f32 values in the
/// same order up to association, so 1e-10 of the weighted magnitudes is generous.
#[test]
fn pytorch_files_have_pytorchs_numbers() {
    for (name, tensors) in expected() {
        let mut state = state_dict(&golden(&format!("{name}.pth")));
        let stored = state.tensors().to_vec();
        assert_eq!(stored.len(), tensors.as_object().unwrap().len(), "{name}");
        for (i, tensor) in stored.iter().enumerate() {
            let want = &tensors[&tensor.name];
            let size: Vec<usize> = serde_json::from_value(want["size"].clone()).unwrap();
            assert_eq!(tensor.size, size, "{name}: {}", tensor.name);
            let order: Vec<usize> = (0..size.len()).collect();
            let data = state.read(i, &order).unwrap();
            assert_eq!(data.len(), size.iter().product::<usize>());
            for place in want["elements"].as_array().unwrap() {
                let at = place[0].as_u64().unwrap() as usize;
                // Doubles are rounded on reading, everything else is exact.
                assert_eq!(data[at], place[1].as_f64().unwrap() as f32, "{name}: {}", tensor.name);
            }
            let weighted = |f: fn(f64) -> f64| -> f64 {
                data.iter().zip(1..).map(|(&v, i)| f(f64::from(v)) * f64::from(i)).sum()
            };
            // A double loses at most 2^-24 of itself when it becomes an f32.
            let bound = weighted(f64::abs) * if name.contains("double") { 6e-8 } else { 1e-10 };
            let (got, want) = (weighted(|v| v), want["weighted"].as_f64().unwrap());
            assert!((got - want).abs() <= bound, "{name}: {} {got} {want}", tensor.name);
        }
    }
}

/// The arguments that `make_pth.py` gave each network.
#[test]
fn networks_are_inferred_from_names_and_extents() {
    use NormKind::{Batch, Instance, None};
    let generators = [
        ("unet5_batch", unet([3, 3, 2], 5, Batch)),
        ("unet5_batch_legacy", unet([3, 1, 2], 5, Batch)),
        ("unet5_instance", unet([1, 3, 2], 5, Instance)),
        ("unet5_instance_2018", unet([3, 3, 1], 5, Instance)),
        ("unet5_none", unet([3, 3, 1], 5, None)),
        ("unet8_batch_half", unet([3, 3, 1], 8, Batch)),
        ("unet5_batch_parallel", unet([3, 3, 1], 5, Batch)),
        ("unet5_batch_bfloat16_legacy", unet([3, 3, 1], 5, Batch)),
        ("unet5_batch_strided", unet([3, 3, 1], 5, Batch)),
        ("unet5_batch_shared_legacy", unet([3, 3, 1], 5, Batch)),
    ];
    let discriminators = [
        ("patch1_batch", patch(6, 4, 1, Batch)),
        ("patch3_batch", patch(6, 4, 3, Batch)),
        ("patch3_instance", patch(3, 2, 3, Instance)),
        ("patch3_none_double", patch(4, 2, 3, None)),
        ("patch5_batch", patch(6, 2, 5, Batch)),
        ("pixel_batch", patch(6, 4, 0, Batch)),
        ("pixel_instance_legacy", patch(6, 4, 0, Instance)),
        ("pixel_none", patch(2, 4, 0, None)),
    ];
    assert_eq!(expected().len(), generators.len() + discriminators.len());
    for (name, config) in generators {
        let weights = load_weights(&golden(&format!("{name}.pth"))).unwrap();
        assert_eq!(weights.generator.map(|(config, _)| config), Some(config), "{name}");
        assert_eq!(weights.discriminators, []);
    }
    for (name, config) in discriminators {
        let weights = load_weights(&golden(&format!("{name}.pth"))).unwrap();
        let configs: Vec<_> =
            weights.discriminators.into_iter().map(|(config, _)| config).collect();
        assert_eq!(configs, [config], "{name}");
        assert_eq!(weights.generator, Option::None);
    }
}

/// Our name and place of a number against PyTorch's, by the rule written out:
/// (dim0, dim1, r, s) is (dim0, r, s, dim1).
#[test]
fn filters_are_permuted_by_the_one_rule() {
    let path = golden("unet5_batch.pth");
    let weights = load_weights(&path).unwrap();
    let tensors = &weights.generator.as_ref().unwrap().1;
    let mut state = state_dict(&path);
    for (ours, port) in [
        ("down1.conv.weight", "model.model.0.weight"),
        ("down2.conv.weight", "model.model.1.model.1.weight"),
        ("down5.conv.weight", "model.model.1.model.3.model.3.model.3.model.1.weight"),
        ("up1.conv.weight", "model.model.1.model.3.model.3.model.3.model.3.weight"),
        ("up4.conv.weight", "model.model.1.model.5.weight"),
        ("up5.conv.weight", "model.model.3.weight"),
    ] {
        let index = state.tensors().iter().position(|t| t.name == port).unwrap();
        let size = state.tensors()[index].size.clone();
        let theirs = state.read(index, &[0, 1, 2, 3]).unwrap();
        let HostTensor { shape, data } = &tensors[ours];
        assert_eq!(*shape, Shape::new(size[0], size[2], size[3], size[1]), "{ours}");
        for d0 in 0..size[0] {
            for d1 in 0..size[1] {
                for r in 0..4 {
                    for s in 0..4 {
                        let at = ((d0 * size[1] + d1) * 4 + r) * 4 + s;
                        let our_at = ((d0 * 4 + r) * 4 + s) * size[1] + d1;
                        assert_eq!(data[our_at], theirs[at], "{ours}");
                    }
                }
            }
        }
    }
    let norm = "model.model.1.model.3.model.3.model.3.model.4.running_var";
    let index = state.tensors().iter().position(|t| t.name == norm).unwrap();
    assert_eq!(state.read(index, &[0]).unwrap(), tensors["up1.norm.running_var"].data);
    let index = state.tensors().iter().position(|t| t.name == "model.model.3.bias").unwrap();
    assert_eq!(state.read(index, &[0]).unwrap(), tensors["up5.conv.bias"].data);
}

/// `.pth` to `.safetensors` to `.pth` keeps every bit of every number, and its PyTorch name.
#[test]
fn conversion_there_and_back_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // A person can look at what comes out with `make_pth.py check`.
    let kept = std::env::var_os("PIX2PIX_PTH_OUT").map(PathBuf::from);
    let out = kept.as_deref().unwrap_or(dir.path());
    for name in expected().keys() {
        let first = golden(&format!("{name}.pth"));
        let ours = dir.path().join(format!("{name}.safetensors"));
        let again = out.join(format!("{name}.pth"));
        // All but the metadata, which a .pth does not have.
        let networks = |weights: Weights| (weights.generator, weights.discriminators);
        let converted = networks(convert(&first, &ours).unwrap());
        assert_eq!(networks(convert(&ours, &again).unwrap()), converted);
        let read = |path: &Path| -> BTreeMap<String, (Vec<usize>, Vec<u32>)> {
            let mut state = state_dict(path);
            let stored = state.tensors().to_vec();
            let read = |(i, t): (usize, &pth::StoredTensor)| {
                let order: Vec<_> = (0..t.size.len()).collect();
                let bits = state.read(i, &order).unwrap().iter().map(|v| v.to_bits()).collect();
                (t.name.trim_start_matches("module.").to_string(), (t.size.clone(), bits))
            };
            stored.iter().enumerate().map(read).collect()
        };
        let mut want = read(&first);
        if name.ends_with("2018") {
            want.retain(|n, _| !n.contains("running"));
        }
        assert_eq!(read(&again), want, "{name}");
        assert_eq!(networks(load_weights(&ours).unwrap()), converted);
    }
}

/// Numbers that depend on name and place, for a network of any kind.
fn fill(params: &Params, seed: u64) -> BTreeMap<String, HostTensor> {
    let tensor = |(i, param): (usize, &Param)| {
        let numbers =
            (0..param.shape.count()).map(|at| normal(seed, [at as u32, i as u32, 0, 0])[0] * 0.25);
        // No variance is below 0.
        let variance = param.name.ends_with("running_var");
        let data = numbers.map(|v| if variance { v.abs() } else { v }).collect();
        (param.name.clone(), HostTensor { shape: param.shape, data })
    };
    params.iter().enumerate().map(tensor).collect()
}

fn both(kind: GeneratorKind, norm: NormKind) -> Weights {
    let g = GeneratorConfig { kind, ..unet([3, 2, 2], 4, norm) };
    let d = patch(5, 2, 2, norm);
    let generator = fill(&g.params().unwrap(), 1);
    let discriminator = fill(&d.params().unwrap(), 2);
    Weights {
        generator: Some((g, generator)),
        discriminators: vec![(d, discriminator)],
        metadata: BTreeMap::new(),
    }
}

#[test]
fn a_model_file_describes_itself_and_keeps_further_keys() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let mut weights = both(GeneratorKind::EncoderDecoder, NormKind::None);
    weights.metadata.insert("config".into(), r#"{"train":{"lr":0.0002},"generator":1}"#.into());
    weights.metadata.insert("step".into(), "12".into());
    save_weights(&path, &weights).unwrap();
    let read = load_weights(&path).unwrap();
    assert_eq!(read.generator, weights.generator);
    assert_eq!(read.discriminators, weights.discriminators);
    assert_eq!(read.metadata["format"], "pix2pix-engine");
    assert_eq!(read.metadata["version"], "1");
    assert_eq!(read.metadata["step"], "12");
    let config: Value = serde_json::from_str(&read.metadata["config"]).unwrap();
    assert_eq!(config["train"]["lr"], 0.0002);
    assert_eq!(config["generator"]["kind"], "encoder-decoder");
    assert_eq!(config["discriminator"]["layers"], 2);
    // Equal contents, equal bytes.
    let again = dir.path().join("again.safetensors");
    save_weights(&again, &read).unwrap();
    assert_eq!(fs::read(&path).unwrap(), fs::read(&again).unwrap());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

/// Several discriminators are a list in `config`, and each has its own tensors; one of them without
/// a description is refused.
#[test]
fn several_discriminators_are_written_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let mut weights = both(GeneratorKind::Unet, NormKind::Batch);
    for layers in [3, 0] {
        let config = patch(5, 2, layers, NormKind::Batch);
        let tensors = fill(&config.params().unwrap(), layers as u64 + 7);
        weights.discriminators.push((config, tensors));
    }
    save_weights(&path, &weights).unwrap();
    let read = load_weights(&path).unwrap();
    assert_eq!(read.discriminators, weights.discriminators);
    let config: Value = serde_json::from_str(&read.metadata["config"]).unwrap();
    assert_eq!(config["discriminator"][2]["layers"], 0);
    // The port's file holds one network.
    let port = dir.path().join("d.pth");
    weights.generator = None;
    save_pth(&port, &weights).unwrap();
    assert_eq!(load_weights(&port).unwrap().discriminators, weights.discriminators[..1]);

    let mut reader = Reader::open(&path).unwrap();
    let names: Vec<String> = reader.names().to_vec();
    let mut entries = Vec::new();
    for name in &names {
        entries.push((name.as_str(), reader.shape(name).unwrap(), reader.read(name).unwrap()));
    }
    let mut metadata = read.metadata.clone();
    let mut config = config;
    config["discriminator"].as_array_mut().unwrap().pop();
    metadata.insert("config".into(), config.to_string());
    write(&path, &entries, &metadata).unwrap();
    let error = load_weights(&path).unwrap_err().to_string();
    assert!(error.contains("its `config` describes no discriminator3"), "{error}");
}

/// Writes tensors given by name, extents and numbers.
fn write(
    path: &Path,
    entries: &[(&str, Shape, Vec<f32>)],
    metadata: &BTreeMap<String, String>,
) -> pix2pix_engine::Result<()> {
    let layout: Vec<_> = entries.iter().map(|(name, shape, _)| (name, *shape)).collect();
    safetensors::write(path, &layout, metadata, |i, out| {
        out.extend_from_slice(&entries[i].2);
        Ok(())
    })
}

/// A generator on the CPU with first values, and its configuration.
fn on_cpu(kind: GeneratorKind, norm: NormKind) -> (GeneratorConfig, Box<dyn Network>, Cpu, usize) {
    let config = GeneratorConfig { kind, ..unet([3, 3, 2], 4, norm) };
    let mut network = config.build().unwrap();
    let mut arena = Arena::default();
    network.params_mut().place(&mut arena, Placement::Values);
    let mut cpu = Cpu::new(1).unwrap();
    cpu.reserve(arena.len()).unwrap();
    network.params().init(&mut cpu, 5, 0).unwrap();
    (config, network, cpu, arena.len())
}

/// What `save_model` writes opens as every model does, and translates to the bytes that the network
/// in memory gives.
#[test]
fn a_network_in_memory_is_saved_as_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    for kind in [GeneratorKind::Unet, GeneratorKind::EncoderDecoder] {
        for norm in [NormKind::Batch, NormKind::Instance, NormKind::None] {
            let (config, network, mut cpu, end) = on_cpu(kind, norm);
            save_model(&path, &config, &*network, &cpu).unwrap();
            let read = load_weights(&path).unwrap();
            let (described, tensors) = read.generator.unwrap();
            assert_eq!((&described, read.discriminators), (&config, vec![]));
            assert_eq!(tensors.len(), network.params().iter().count());
            for param in network.params().iter() {
                let mut values = vec![0.0; param.shape.count()];
                cpu.download(param.view(), &mut values).unwrap();
                let found = &tensors[&param.name];
                assert_eq!((found.shape, &found.data), (param.shape, &values), "{}", param.name);
            }

            let pixels: Vec<u8> = (0..32 * 16 * 3).map(|i| (i * 37 % 251) as u8).collect();
            let mut tape = Tape::new();
            let x = tape.input("x", Shape::new(1, 16, 32, 3));
            let (statistics, running) = (Statistics::Batch, Running::Keep);
            let mode = Mode { statistics, dropout: false, running, runs: 1 };
            let y = network.forward(&mut tape, x, mode).unwrap();
            tape.output("y", y);
            let program = tape.compile(&cpu, end).unwrap();
            cpu.reserve(program.end()).unwrap();
            let picture = Image::new(32, 16, 3, pixels).unwrap();
            let (samples, range) = (picture.samples.as_slice(), SampleRange::BYTE);
            cpu.upload_images(samples, range, program.view("x").unwrap()).unwrap();
            program.run(&mut cpu).unwrap();
            let y = program.view("y").unwrap();
            let expected = cpu.download_images(y, range, SampleType::U8).unwrap();

            let backend = Box::new(Cpu::new(1).unwrap());
            let mut model = Translator::open(&path, TranslateOptions::default(), backend).unwrap();
            assert_eq!(model.config(), &config);
            assert_eq!(model.translate(&picture).unwrap().samples, expected, "{kind:?} {norm:?}");
        }
    }
}

/// A description of another network is refused, and the file that was there stays.
#[test]
fn a_model_is_not_saved_under_a_wrong_description() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    fs::write(&path, "before").unwrap();
    let (config, network, cpu, _) = on_cpu(GeneratorKind::Unet, NormKind::Batch);
    for wrong in [
        GeneratorConfig { kind: GeneratorKind::EncoderDecoder, ..config.clone() },
        GeneratorConfig { norm: NormKind::Instance, ..config.clone() },
        GeneratorConfig { depth: 5, ..config.clone() },
        GeneratorConfig { out_channels: 1, ..config },
    ] {
        let error = save_model(&path, &wrong, &*network, &cpu).unwrap_err();
        assert!(error.to_string().contains("does not have the parameters of"), "{error}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"before");
}

/// The crate that defines the format reads what we write, and we read what it writes.
#[test]
fn safetensors_agree_with_the_formats_own_crate() {
    use ::safetensors::{Dtype, SafeTensors, tensor::TensorView};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.safetensors");
    let filter: Vec<f32> = (0..24u8).map(f32::from).collect();
    let entries = [
        ("z \"quoted\"", Shape::new(2, 2, 2, 3), filter.clone()),
        ("a", Shape::vector(2), vec![0.5, -1.0]),
        ("one", Shape::SCALAR, vec![7.0]),
    ];
    let metadata = ["b", "a", "c"].map(|k| (k.to_string(), format!("{k}\n"))).into();
    write(&path, &entries, &metadata).unwrap();
    let bytes = fs::read(&path).unwrap();
    let theirs = SafeTensors::deserialize(&bytes).unwrap();
    let z = theirs.tensor("z \"quoted\"").unwrap();
    assert_eq!((z.shape(), z.dtype()), (&[2, 2, 2, 3][..], Dtype::F32));
    let values: Vec<f32> =
        z.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!(values, filter);
    assert_eq!(theirs.tensor("a").unwrap().shape(), [2]);
    assert_eq!(theirs.tensor("one").unwrap().shape(), [1]);
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.names(), ["z \"quoted\"", "a", "one"]);
    assert_eq!(reader.metadata(), &metadata);
    assert_eq!(reader.shape("a"), Some(Shape::vector(2)));
    assert_eq!(reader.read("a").unwrap(), [0.5, -1.0]);
    assert_eq!(reader.read("z \"quoted\"").unwrap(), filter);
    assert!(reader.read("b").is_err() && reader.read_into("a", &mut [0.0; 3]).is_err());
    let second = dir.path().join("b.safetensors");
    write(&second, &entries, &metadata).unwrap();
    assert_eq!(bytes, fs::read(&second).unwrap());

    let half = [0x00, 0x3c, 0x00, 0xc0];
    let view = TensorView::new(Dtype::F16, vec![2], &half).unwrap();
    let bytes = ::safetensors::serialize([("h", view)], None).unwrap();
    let mut reader = Reader::new(std::io::Cursor::new(bytes), Path::new("half")).unwrap();
    assert_eq!(reader.read("h").unwrap(), [1.0, -2.0]);
}

#[test]
fn wrong_entries_write_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.safetensors");
    let entry = |name, len| (name, Shape::vector(2), vec![0.0; len]);
    for entries in
        [vec![entry("a", 3)], vec![entry("a", 2), entry("a", 2)], vec![entry("__metadata__", 2)]]
    {
        assert!(write(&path, &entries, &BTreeMap::new()).is_err());
    }
    let failing =
        safetensors::write(&path, &[("a", Shape::vector(1))], &BTreeMap::new(), |_, _| {
            Err(pix2pix_engine::Error::machine("gone"))
        });
    assert!(failing.is_err());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// What PyTorch's port does not have is refused by name, before a file appears.
#[test]
fn what_the_port_lacks_is_not_written_as_pth() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.pth");
    let says = |weights: &Weights| save_pth(&path, weights).unwrap_err().to_string();
    let encoder_decoder = both(GeneratorKind::EncoderDecoder, NormKind::Batch);
    assert!(says(&encoder_decoder).contains("no encoder-decoder"));
    let biased = both(GeneratorKind::Unet, NormKind::None);
    assert!(says(&biased).contains("down1.conv.bias is not zero"));
    assert!(says(&Weights::default()).contains("no network"));
    let named = convert(&golden("pixel_none.pth"), &dir.path().join("a.onnx")).unwrap_err();
    assert!(named.to_string().contains(".safetensors or .pth"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    save_pth(&path, &both(GeneratorKind::Unet, NormKind::Instance)).unwrap();
    let read = load_weights(&path).unwrap();
    assert_eq!(read.generator, both(GeneratorKind::Unet, NormKind::Instance).generator);
}

/// Reading and writing hold the tensors once: 2 MiB of weights, and at most a tensor more.
#[test]
fn nothing_holds_a_second_copy_of_all_tensors() {
    let dir = tempfile::tempdir().unwrap();
    let config = unet([3, 3, 12], 5, NormKind::Batch);
    let params = config.params().unwrap();
    let all: usize = params.iter().map(|p| 4 * p.shape.count()).sum();
    let largest = params.iter().map(|p| 4 * p.shape.count()).max().unwrap();
    assert!(all > 2 << 20 && largest < all / 2);
    // Buffers of the files, names, headers.
    let small = 600 << 10;
    let tensors = fill(&params, 3);
    let weights = Weights { generator: Some((config, tensors)), ..Weights::default() };
    let ours = dir.path().join("a.safetensors");
    let (saved, held) = memory::peak(|| save_weights(&ours, &weights));
    saved.unwrap();
    assert!(held < largest + small, "{held}");
    let torch = dir.path().join("a.pth");
    let (saved, held) = memory::peak(|| save_pth(&torch, &weights));
    saved.unwrap();
    assert!(held < 2 * largest + small, "{held}");
    for path in [ours, torch] {
        let (read, held) = memory::peak(|| load_weights(&path).unwrap());
        assert_eq!(read.generator, weights.generator);
        assert!(held < all + 2 * largest + small && held >= all, "{held}");
    }
}

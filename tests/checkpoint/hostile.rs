//! Files that are broken or mean harm: each is refused with one sentence, without a panic, and
//! without taking memory that the file's own size does not justify.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipWriter};
use pix2pix_engine::checkpoint::{FORMAT, Weights, read_weights};
use pix2pix_engine::{Error, Result};

use super::mutate::mutate;
use super::{golden, memory};

/// What reading a small hostile file may hold: its pickle of at most 1 MiB and the values that
/// the limits in `pickle.rs` allow.
const MEMORY: usize = 4 << 20;

fn read(bytes: &[u8]) -> (Result<Weights>, usize) {
    memory::peak(|| read_weights(Cursor::new(bytes), Path::new("model.pth")))
}

/// Refused as wrong input, in one printable line that begins with the file's name.
fn refusal(case: &str, bytes: &[u8]) -> String {
    let (result, held) = read(bytes);
    let error = match result {
        Ok(_) => panic!("{case}: was accepted"),
        Err(error) => error,
    };
    assert!(matches!(error, Error::Input(_)), "{case}: {error:?}");
    let sentence = error.to_string();
    assert!(sentence.starts_with("model.pth: "), "{case}: {sentence}");
    assert!(sentence.len() < 2100 && !sentence.chars().any(char::is_control), "{case}: {sentence}");
    assert!(held <= MEMORY + 2 * bytes.len(), "{case}: held {held} bytes");
    sentence
}

fn refuses(case: &str, bytes: &[u8], because: &str) {
    let sentence = refusal(case, bytes);
    assert!(sentence.contains(because), "{case}: {sentence:?} does not say {because:?}");
}

/// A zip archive as PyTorch lays it out.
fn archive(pickle: &[u8], storages: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::DEFAULT.compression_method(method);
    zip.start_file("archive/data.pkl", options).unwrap();
    zip.write_all(pickle).unwrap();
    for (key, bytes) in storages {
        zip.start_file(format!("archive/data/{key}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn stored(pickle: &[u8]) -> Vec<u8> {
    archive(pickle, &[("0", &[0; 64])], CompressionMethod::Stored)
}

fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

fn long(value: i64) -> Vec<u8> {
    [&[0x8a, 8][..], &value.to_le_bytes()].concat()
}

fn tuple(values: &[i64]) -> Vec<u8> {
    [b"(".to_vec(), values.iter().flat_map(|&v| long(v)).collect(), b"t".to_vec()].concat()
}

/// `{name: tensor}` with a storage "0" that claims `count` floats.
fn state(count: i64, offset: i64, size: &[i64], stride: &[i64]) -> Vec<u8> {
    let mut out = b"\x80\x02}".to_vec();
    out.extend(text("model.model.0.weight"));
    out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    out.extend(text("storage"));
    out.extend(b"ctorch\nFloatStorage\n");
    out.extend(text("0"));
    out.extend(text("cpu"));
    out.extend(long(count));
    out.extend(b"tQ");
    out.extend(long(offset));
    out.extend(tuple(size));
    out.extend(tuple(stride));
    out.extend(b"\x89}tRs.");
    out
}

const MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";

/// The container before PyTorch 1.6: `keys` and `storages` follow the state dict.
fn legacy(pickle: &[u8], keys: &[&str], storages: &[u8]) -> Vec<u8> {
    let keys: Vec<u8> = keys.iter().flat_map(|k| text(k)).collect();
    [MAGIC, pickle, b"\x80\x02](", &keys, b"e.", storages].concat()
}

#[test]
fn pickles_that_call_something_are_refused_by_its_name() {
    let call = |body: &[u8]| [b"\x80\x02", body, b"."].concat();
    let cases: [(&str, &[u8], &str); 7] = [
        ("os.system", b"cos\nsystem\n(X\x02\x00\x00\x00lstR", "os.system"),
        ("eval", b"cbuiltins\neval\n(X\x01\x00\x00\x001tR", "builtins.eval"),
        ("eval by stack", b"\x8c\x08builtins\x8c\x04eval\x93", "builtins.eval"),
        ("instance", b"(X\x02\x00\x00\x00lsios\nsystem\n", "os.system"),
        (
            "whole module",
            b"cmodels.networks\nUnetGenerator\n)\x81",
            "models.networks.UnetGenerator",
        ),
        ("terminal codes", b"cos\x1b[31m\nsystem\n", "system, so it is not a plain state dict"),
        ("new object", b"ccollections\nOrderedDict\n)\x81", "operation 0x81"),
    ];
    for (case, body, because) in cases {
        refuses(case, &stored(&call(body)), because);
        refuses(case, &legacy(&call(body), &[], &[]), because);
    }
}

#[test]
fn pickle_bombs_stay_small() {
    let deep = [&b"\x80\x02)"[..], &[0x85; 900_000], b"."].concat();
    let wide = [&b"\x80\x02"[..], &[b'N'; 900_000], b"."].concat();
    let marks = [&b"\x80\x02"[..], &[b'('; 900_000], b"."].concat();
    let memo: Vec<u8> =
        (0..150_000u32).flat_map(|i| [&b"r"[..], &i.to_le_bytes()].concat()).collect();
    let memo = [&b"\x80\x02N"[..], &memo, b"."].concat();
    // Each list holds the one before it many times: 10^1000 leaves for whoever would walk them.
    let laughs =
        [&b"\x80\x02]q\0"[..], &b"](h\0h\0h\0h\0h\0h\0h\0h\0h\0h\0eq\0".repeat(1000), b"."];
    // A list that holds itself.
    let cycle = b"\x80\x02]q\0h\0a.".to_vec();
    let recalls = [&b"\x80\x02N"[..], b"q\0", &b"h\0".repeat(400_000), b"."].concat();
    let long4 = b"\x80\x02\x8b\xff\xff\xff\x7f.".to_vec();
    let cases = [
        ("deep", deep, "more than 32768 values"),
        ("wide", wide, "more than 32768 values"),
        ("marks", marks, "more than 65536 values"),
        ("memo", memo, "more than 65536 values"),
        ("laughs", laughs.concat(), "no state dict"),
        ("cycle", cycle, "no state dict"),
        ("recalls", recalls, "more than 65536 values"),
        ("long4", long4, "an integer of 2147483647 bytes"),
        ("text of 4 GB", b"\x80\x02X\xff\xff\xff\xff.".to_vec(), "cut off or damaged"),
        ("text of 2^64", b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.".to_vec(), "cut off"),
        ("no stop", b"\x80\x02}".to_vec(), "cut off or damaged"),
        ("empty stack", b"\x80\x02.".to_vec(), "pickle is damaged"),
        ("no mark", b"\x80\x02t.".to_vec(), "pickle is damaged"),
        ("unknown memo", b"\x80\x02h\x09.".to_vec(), "pickle is damaged"),
        ("odd members", b"\x80\x02}(NNNu.".to_vec(), "pickle is damaged"),
        ("below a mark", b"\x80\x02}(0.".to_vec(), "pickle is damaged"),
        ("empty", Vec::new(), "cut off or damaged"),
        ("key is no text", b"\x80\x02}NNs.".to_vec(), "a key that is no text"),
        ("member is no tensor", b"\x80\x02}X\x01\0\0\0aNs.".to_vec(), "its member a is no tensor"),
        ("nothing in it", b"\x80\x02}.".to_vec(), "holds no tensors"),
    ];
    for (case, pickle, because) in cases {
        refuses(case, &stored(&pickle), because);
        refusal(case, &legacy(&pickle, &[], &[]));
    }
    refuses("long pickle", &stored(&[b'N'; (1 << 20) + 1]), "more than the 1048576 that are read");
}

#[test]
fn tensors_that_claim_more_than_is_there_are_refused() {
    let huge = i64::MAX;
    let cases = [
        ("storage", state(17, 0, &[1, 1, 1, 1], &[1, 1, 1, 1]), "of 17 numbers, but 16 are there"),
        ("storage of 2^63", state(huge, 0, &[huge], &[1]), "but 16 are there"),
        ("negative storage", state(-1, 0, &[1], &[1]), "pickle is damaged"),
        ("extents", state(16, 0, &[4, 5], &[5, 1]), "do not fit its storage"),
        ("offset", state(16, 1, &[16], &[1]), "do not fit its storage"),
        ("offset of 2^63", state(16, huge, &[16], &[1]), "do not fit its storage"),
        ("overflow", state(16, 0, &[huge, huge, huge], &[1, 1, 1]), "do not fit its storage"),
        ("stride overflow", state(16, 0, &[3, 3], &[huge, huge]), "do not fit its storage"),
        ("no strides", state(16, 0, &[huge, 4], &[0, 0]), "do not fit its storage"),
        ("expanded", state(16, 0, &[1 << 40], &[0]), "would take 4398046511104 bytes"),
        ("negative stride", state(16, 15, &[16], &[-1]), "-1, which is negative"),
        ("negative extent", state(16, 0, &[-16], &[1]), "-16, which is negative"),
        ("ranks differ", state(16, 0, &[4, 4], &[1]), "pickle is damaged"),
        ("many extents", state(16, 0, &[1; 30], &[1; 30]), "pickle is damaged"),
        ("empty extents", state(16, 0, &[0, huge, huge], &[1, 1, 1]), "do not fit its storage"),
        ("a vector", state(16, 0, &[16], &[1]), "a filter has four"),
        ("alone", state(16, 0, &[1, 1, 4, 4], &[16, 16, 4, 1]), "no model.model.3.weight"),
    ];
    let numbers = [&16u64.to_le_bytes()[..], &[0; 64]].concat();
    for (case, pickle, because) in &cases {
        refuses(case, &stored(pickle), because);
        refuses(case, &legacy(pickle, &["0"], &numbers), because);
    }
    let good = state(16, 0, &[1, 1, 4, 4], &[16, 16, 4, 1]);
    let none = archive(&good, &[], CompressionMethod::Stored);
    refuses("missing storage", &none, "wants the storage 0, which is not there");
    let count = u64::MAX.to_le_bytes();
    refuses("legacy count", &legacy(&good, &["0"], &count), "should have 18446744073709551615");
    refuses("legacy short", &legacy(&good, &["0"], &numbers[..71]), "only 63 bytes follow");
    refuses("legacy unused", &legacy(&good, &["0", "1"], &numbers), "that no tensor uses");
    refuses("legacy absent", &legacy(&good, &[], &numbers), "which is not there");
}

#[test]
fn zip_archives_that_lie_are_refused() {
    let zeros = vec![0; 900_000];
    let bomb = archive(b"\x80\x02}.", &[("0", &zeros)], CompressionMethod::Deflated);
    assert!(bomb.len() < 3000);
    refuses("bomb", &bomb, "is compressed, which PyTorch never does");
    let good = state(16, 0, &[1, 1, 4, 4], &[16, 16, 4, 1]);
    let plain = stored(&good);
    // The directory's sizes, at 20 and 24 of an entry: the second entry is the storage's.
    let entries: Vec<usize> =
        plain.windows(4).enumerate().filter(|w| w.1 == b"PK\x01\x02").map(|w| w.0).collect();
    for size in [65u32, 1 << 20, u32::MAX - 1] {
        let mut lie = plain.clone();
        lie[entries[1] + 20..][..4].copy_from_slice(&size.to_le_bytes());
        lie[entries[1] + 24..][..4].copy_from_slice(&size.to_le_bytes());
        refusal(&format!("size {size}"), &lie);
    }
    let mut count = plain.clone();
    let end = plain.len() - 22;
    count[end + 8..][..4].copy_from_slice(&[0xfe, 0xff, 0xfe, 0xff]);
    refusal("65,534 members", &count);
    let at = plain.windows(good.len()).position(|w| w == good).unwrap();
    let mut flipped = plain.clone();
    flipped[at + 8] ^= 1;
    refuses("one bit", &flipped, "the file is damaged");
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("readme.txt", SimpleFileOptions::DEFAULT).unwrap();
    refuses("other zip", &zip.finish().unwrap().into_inner(), "without a data.pkl");
}

#[test]
fn safetensors_that_lie_are_refused() {
    let file = |json: &str, data: usize| {
        [&(json.len() as u64).to_le_bytes(), json.as_bytes(), &vec![0; data]].concat()
    };
    let one = |dtype: &str, shape: &str, offsets: &str| {
        let info = format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#);
        file(&format!(r#"{{"a":{info}}}"#), 16)
    };
    let two = |second: &str, offsets: &str| {
        let info = |o: &str| format!(r#"{{"dtype":"F32","shape":[2],"data_offsets":{o}}}"#);
        file(&format!(r#"{{"a":{},"{second}":{}}}"#, info("[0,8]"), info(offsets)), 16)
    };
    let meta = |text: &str| file(&format!(r#"{{"__metadata__":{text}}}"#), 0);
    let ours = |config: &str| {
        let text = serde_json::to_string(config).unwrap();
        let tensor = r#""generator.x":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#;
        let meta = format!(r#"{{"format":"{FORMAT}","version":"1","config":{text}}}"#);
        file(&format!(r#"{{"__metadata__":{meta},{tensor}}}"#), 0)
    };
    let generator = |depth: &str, base: &str| {
        ours(&format!(
            r#"{{"generator":{{"kind":"unet","in_channels":3,"out_channels":3,"norm":"batch",
            "dropout":true,"depth":{depth},"base_channels":{base}}}}}"#
        ))
    };
    let max = u64::MAX.to_le_bytes();
    let huge = "18446744073709551615";
    let mut long = file("{", 3 << 20);
    long[..8].copy_from_slice(&(3u64 << 20).to_le_bytes());
    let cases = [
        ("huge header", [&max[..], b"{}"].concat(), "should have 18446744073709551615 bytes"),
        ("long header", long, "more than the 2097152 that are read"),
        ("no JSON", file("{nonsense", 0), "header is damaged"),
        ("NaN", one("F32", "[NaN]", "[0,16]"), "header is damaged"),
        ("negative", one("F32", "[-4]", "[0,16]"), "header is damaged"),
        ("fraction", one("F32", "[4.5]", "[0,16]"), "header is damaged"),
        ("unknown type", one("F99", "[4]", "[0,16]"), "header is damaged"),
        ("integers", one("I64", "[2]", "[0,16]"), "a is of type I64; weights are F32"),
        ("three extents", one("F32", "[1,2,2]", "[0,16]"), "a has 3 extents"),
        ("too many bytes", one("F32", "[4]", "[0,20]"), "which disagree"),
        ("beyond the end", one("F32", "[5]", "[0,20]"), "the data is 16 bytes"),
        ("too few bytes", one("F32", "[3]", "[0,12]"), "end at byte 12, but its data has 16"),
        ("backwards", one("F32", "[4]", "[16,0]"), "which disagree"),
        ("gap", one("F32", "[3]", "[4,16]"), "the tensor before it ends at 0"),
        ("overflow", one("F32", &format!("[{huge},{huge},1,1]"), "[0,16]"), "which disagree"),
        ("wrap to 16", one("F32", "[4294967296,4294967296,1,4]", "[0,16]"), "which disagree"),
        ("overlap", two("b", "[4,12]"), "the tensor before it ends at 8"),
        ("the same twice", two("b", "[0,8]"), "the tensor before it ends at 8"),
        ("name twice", two("a", "[8,16]"), "the name a comes twice"),
        ("metadata", meta("[1]"), "header is damaged"),
        ("metadata of numbers", meta(r#"{"a":1}"#), "header is damaged"),
        ("deep", file(&format!("{{\"a\":{}", "[".repeat(200_000)), 0), "header is damaged"),
        ("foreign", file("{}", 0), "without the metadata of our model files"),
        ("version", meta(&format!(r#"{{"format":"{FORMAT}","version":"2"}}"#)), "version is 2"),
        ("no config", ours(""), "`config` is damaged"),
        ("config of nothing", ours("{}"), "its `config` describes no generator"),
        ("config of text", ours(r#"{"generator":"unet"}"#), "describes no generator"),
        ("deep config", ours(&"[".repeat(200_000)), "`config` is damaged"),
        ("depth", generator("4000000000", "64"), "depth is 4000000000; it must lie between"),
        ("width", generator("8", huge), "base_channels is 18446744073709551615"),
        ("other tensor", generator("8", "64"), "generator.x that its `config` does not have"),
    ];
    for (case, bytes, because) in cases {
        refuses(case, &bytes, because);
    }
}

/// Every golden cut at every byte of its beginning and end, and here and there between.
#[test]
fn truncated_files_are_refused() {
    for name in ["pixel_none.pth", "pixel_instance_legacy.pth", "unet5_batch_legacy.pth"] {
        let bytes = fs::read(golden(name)).unwrap();
        let step = (bytes.len() / 2000).max(1);
        for length in (0..bytes.len()).step_by(step).chain(bytes.len() - 100..bytes.len()) {
            refusal(&format!("{name} cut to {length}"), &bytes[..length]);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.safetensors");
    pix2pix_engine::checkpoint::convert(&golden("pixel_batch.pth"), &path).unwrap();
    let bytes = fs::read(&path).unwrap();
    for length in 0..bytes.len() {
        refusal(&format!("safetensors cut to {length}"), &bytes[..length]);
    }
}

/// Seeded mutations of what PyTorch and we write: none panics or takes memory beyond the file's
/// due. Zip archives are put together anew, so that their checksums let the mutation through.
#[test]
fn mutated_files_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let ours = dir.path().join("a.safetensors");
    pix2pix_engine::checkpoint::convert(&golden("pixel_batch.pth"), &ours).unwrap();
    let zip = fs::read(golden("pixel_batch.pth")).unwrap();
    let mut archive_in = ::zip::ZipArchive::new(Cursor::new(&zip)).unwrap();
    let mut pickle = Vec::new();
    std::io::copy(&mut archive_in.by_name("pixel_batch/data.pkl").unwrap(), &mut pickle).unwrap();
    let numbers = [0; 512];
    let keys: Vec<String> = (0..10).map(|i| i.to_string()).collect();
    let storages: Vec<_> = keys.iter().map(|k| (k.as_str(), &numbers[..])).collect();
    let again = |pickle: &[u8]| archive(pickle, &storages, CompressionMethod::Stored);
    assert!(read(&again(&pickle)).0.is_ok());
    let same = |bytes: &[u8]| bytes.to_vec();
    let legacy = |name: &str| fs::read(golden(name)).unwrap();
    type Build<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;
    let seeds: [(Vec<u8>, Build, u32); 5] = [
        (fs::read(&ours).unwrap(), &same, 1500),
        (zip.clone(), &same, 1500),
        (pickle, &again, 1500),
        (legacy("pixel_instance_legacy.pth"), &same, 2000),
        (legacy("unet5_batch_shared_legacy.pth"), &same, 500),
    ];
    for (seed, (original, build, rounds)) in (0u64..).zip(&seeds) {
        let mut accepted = 0;
        for round in 0..*rounds {
            let mut bytes = original.clone();
            mutate(&mut bytes, 2000, seed, round);
            let bytes = build(&bytes);
            let (result, held) = read(&bytes);
            accepted += u32::from(result.is_ok());
            assert!(held <= MEMORY + 10 * bytes.len(), "{seed}/{round}: held {held} bytes");
            if let Err(error) = result {
                assert!(matches!(error, Error::Input(_)), "{seed}/{round}: {error:?}");
            }
        }
        // Most mutations do harm; some change only a number.
        assert!(accepted < rounds / 2, "{seed}: {accepted} of {rounds}");
    }
}

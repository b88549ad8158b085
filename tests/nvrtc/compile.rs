//! Compile errors, architectures, and the cache.

use pix2pix_engine::device::{Cache, Compiled, find_nvrtc};

fn files(text: &str) -> Vec<(String, String)> {
    let header = "__device__ int one() { return 1; }\n";
    vec![("a.cu".into(), text.into()), ("b.cuh".into(), header.into())]
}

#[test]
fn a_mistake_is_shown_with_file_and_line() {
    if !cuda::nvrtc::or_skip("a_mistake_is_shown_with_file_and_line") {
        return;
    }
    let nvrtc = find_nvrtc().unwrap();
    let options = ["--gpu-architecture=sm_80".to_string()];
    let text =
        "#include \"b.cuh\"\nextern \"C\" __global__ void f(int* p)\n{\n    *p = onne();\n}\n";
    let error = nvrtc.compile("a.cu", &files(text), &options).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let error = error.to_string();
    assert!(error.contains("a.cu(4)") && error.contains("onne"), "{error}");
    let error = nvrtc.compile("c.cu", &files(text), &options).unwrap_err().to_string();
    assert!(error.contains("no kernel file c.cu"), "{error}");
    // The assembler checks inline assembly, which the compiler passes on unchecked.
    let text = "extern \"C\" __global__ void f() { asm(\"no.such.instruction;\"); }";
    assert!(nvrtc.compile("a.cu", &files(text), &options).is_err());
    let good = nvrtc.compile("a.cu", &files(&text.replace("no.such.instruction;", "")), &options);
    let good = good.unwrap();
    assert!(good.ptx.contains(".entry f") && !good.cubin.is_empty());
}

#[test]
fn an_architecture_is_the_devices_or_the_newest_below() {
    if !cuda::nvrtc::or_skip("an_architecture_is_the_devices_or_the_newest_below") {
        return;
    }
    let nvrtc = find_nvrtc().unwrap();
    assert_eq!(nvrtc.architecture(80).unwrap(), 80);
    let newest = *nvrtc.architectures.iter().max().unwrap();
    assert_eq!(nvrtc.architecture(newest + 50).unwrap(), newest);
}

/// Many threads write and read one entry: each reads the whole entry of one writer, or nothing.
#[test]
fn a_cache_is_used_by_many_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(Some(folder.path()));
    let entry = |i: u8| Compiled {
        ptx: format!("// {i}").repeat(1000),
        cubin: vec![i; 10_000],
        log: String::new(),
    };
    let all: Vec<Compiled> = (0..4).map(entry).collect();
    std::thread::scope(|scope| {
        for mine in &all {
            scope.spawn(|| {
                for _ in 0..100 {
                    cache.store("key", mine);
                    let found = cache.get("key").expect("it is never half there");
                    assert!(all.contains(&found));
                }
            });
        }
    });
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "no temporary file stays");
}

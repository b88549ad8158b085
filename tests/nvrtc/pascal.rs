//! f32 on GPUs of compute capability 6.0 to 7.0: NVRTC 12 compiles for them, NVRTC 13 does not.

use std::sync::Mutex;

use pix2pix_engine::device::{Nvrtc, Precision, compile_options, find_nvrtc};
use pix2pix_engine::kernel::cuda;

/// Two of Pascal and one of Volta, older than NVRTC 13's oldest, 7.5.
const DROPPED: [i32; 3] = [60, 61, 70];

#[test]
fn all_kernels_compile_in_f32_for_pascal_and_volta() {
    const TEST: &str = "all_kernels_compile_in_f32_for_pascal_and_volta";
    let Some(library) = ::cuda::nvrtc::twelve_or_skip(TEST) else { return };
    let nvrtc = Nvrtc::open(library).unwrap();
    assert_eq!(nvrtc.version.0, 12);
    let sources = cuda::sources().unwrap();
    let files = sources.iter().map(|(file, _)| file).filter(|file| file.ends_with(".cu"));
    let work: Vec<(&String, i32)> =
        files.flat_map(|file| DROPPED.map(|generation| (file, generation))).collect();
    assert!(work.len() >= 10 * DROPPED.len(), "ten families or more: {work:?}");
    let work = Mutex::new(work);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = work.lock().unwrap().pop();
                    let Some((file, generation)) = next else { break };
                    assert_eq!(nvrtc.architecture(generation).unwrap(), generation);
                    let options = compile_options(generation, Precision::F32);
                    let compiled = nvrtc.compile(file, &sources, &options).unwrap();
                    let place = format!("{file}, sm_{generation}");
                    assert!(compiled.ptx.contains(&format!(".target sm_{generation}")), "{place}");
                    assert!(!compiled.cubin.is_empty(), "{place}: the assembler takes it too");
                    // Asynchronous copies exist from 8.0 on.
                    assert!(!compiled.ptx.contains("cp.async"), "{place}");
                }
            });
        }
    });
}

#[test]
fn two_compilers_are_used_in_one_process() {
    const TEST: &str = "two_compilers_are_used_in_one_process";
    let Some(library) = ::cuda::nvrtc::twelve_or_skip(TEST) else { return };
    if !::cuda::nvrtc::or_skip(TEST) {
        return;
    }
    let both = [Nvrtc::open(library).unwrap(), find_nvrtc().unwrap()];
    let kernel = "extern \"C\" __global__ void f(int* p) { *p = __CUDACC_VER_MAJOR__; }";
    let files = [("a.cu".to_string(), kernel.to_string())];
    for nvrtc in &both {
        let options = ["--gpu-architecture=sm_80".to_string()];
        let ptx = nvrtc.compile("a.cu", &files, &options).unwrap().ptx;
        let (major, minor) = nvrtc.version;
        assert!(ptx.contains(&format!("release {major}.{minor}")), "{ptx}");
        assert!(ptx.contains(&format!(", {major};")), "it is the compiler that says so: {ptx}");
    }
}

#[test]
fn a_card_that_it_has_dropped_is_refused_with_the_cure() {
    if !::cuda::nvrtc::or_skip("a_card_that_it_has_dropped_is_refused_with_the_cure") {
        return;
    }
    let mut nvrtc = find_nvrtc().unwrap();
    // Like NVRTC 13, whichever version was found.
    nvrtc.architectures.retain(|architecture| *architecture >= 75);
    for (device, says) in [(60, "6.0"), (70, "7.0")] {
        let error = nvrtc.architecture(device).unwrap_err().to_string();
        for say in [says, "7.5 and newer", "pip install nvidia-cuda-nvrtc-cu12", "PIX2PIX_NVRTC"] {
            assert!(error.contains(say), "no {say:?} in {error}");
        }
    }
    let error = nvrtc.architecture(52).unwrap_err().to_string();
    assert!(error.contains("5.2") && error.contains("6.0 and newer"), "{error}");
    assert!(error.contains("`device` cpu"), "{error}");
}

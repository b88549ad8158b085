//! What a training program asks of a driver, all at once: a captured step of kernels, copies and
//! fills, replayed, with a second stream that works beside it.

mod common;

use common::{card, code, compile};
use cuda::{Options, nvrtc};
use cudarc::driver::sys::{
    self, CUdevice_attribute as Attribute, CUfunction_attribute as FunctionAttribute,
    CUgraphInstantiate_flags as Flags, CUresult, CUstreamCaptureMode as Mode,
};
use cudarc::driver::{LaunchConfig, PushKernelArg, result};

const SOURCE: &str = r#"
// sum[i] += x[i] * weight[i], through shared memory so that every check has something to see.
extern "C" __global__ void step(const float *x, const float *weight, float *sum, int count) {
    extern __shared__ float tile[];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    tile[threadIdx.x] = i < count ? x[i] : 0.0f;
    __syncthreads();
    if (i < count) sum[i] += tile[threadIdx.x] * weight[i];
}
"#;

const COUNT: usize = 300;
const REPLAYS: usize = 20;

/// Twenty replays of a captured step; inputs come by a second stream, ordered by events outside the
/// capture, from pinned memory; results go back the same way. Returns what the host received.
fn train(options: Options, mode: Mode) -> Vec<Vec<f32>> {
    let (gpu, context) = card(options.checks("all"));
    // SAFETY: the events below order the streams.
    unsafe { context.disable_event_tracking() };
    let module = compile(&context, SOURCE);
    let kernel = module.load_function("step").expect("it is there");
    let large = FunctionAttribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    kernel.set_attribute(large, 64 << 10).expect("within the card's limit");
    let (work, side) =
        (context.new_stream().expect("a stream"), context.new_stream().expect("a stream"));
    let mut input = work.alloc_zeros::<f32>(COUNT).expect("there is room");
    let mut x = work.alloc_zeros::<f32>(COUNT).expect("there is room");
    let weight = work.clone_htod(&vec![0.5f32; COUNT]).expect("there is room");
    let mut sum = work.alloc_zeros::<f32>(COUNT).expect("there is room");
    let mut out = work.alloc_zeros::<f32>(COUNT).expect("there is room");
    // SAFETY: written before it is read.
    let mut sent = unsafe { context.alloc_pinned::<f32>(COUNT) }.expect("there is room");
    // SAFETY: as above.
    let mut received = unsafe { context.alloc_pinned::<f32>(COUNT) }.expect("there is room");
    context.synchronize().expect("nothing failed");

    work.begin_capture(mode).expect("not capturing");
    work.memcpy_dtod(&input, &mut x).expect("captured");
    work.memset_zeros(&mut sum).expect("captured");
    let count = COUNT as i32;
    for _ in 0..2 {
        // More dynamic shared memory than a launch has without the attribute.
        let config = LaunchConfig {
            grid_dim: (3, 1, 1),
            block_dim: (128, 1, 1),
            shared_mem_bytes: 50 << 10,
        };
        // SAFETY: the arguments are those of the kernel.
        unsafe {
            work.launch_builder(&kernel)
                .arg(&x)
                .arg(&weight)
                .arg(&mut sum)
                .arg(&count)
                .launch(config)
        }
        .expect("captured");
    }
    work.memcpy_dtod(&sum, &mut out).expect("captured");
    let graph = work.end_capture(Flags(0)).expect("capturing").expect("a graph");
    graph.upload().expect("instantiated");

    let mut all = Vec::new();
    let timing = Some(sys::CUevent_flags::CU_EVENT_DEFAULT);
    for round in 0..REPLAYS {
        sent.as_mut_slice().expect("idle").fill(round as f32);
        side.memcpy_htod(&sent, &mut input).expect("in range");
        let arrived = side.record_event(timing).expect("recorded");
        work.wait(&arrived).expect("submitted");
        graph.launch().expect("instantiated");
        let done = work.record_event(timing).expect("recorded");
        side.wait(&done).expect("submitted");
        side.memcpy_dtoh(&out, &mut received).expect("in range");
        side.synchronize().expect("nothing failed");
        assert!(done.is_complete(), "what a later operation of another stream waited for");
        assert!(arrived.elapsed_ms(&done).expect("both are complete") > 0.0);
        all.push(received.as_slice().expect("idle").to_vec());
    }
    assert_eq!(gpu.findings(), []);
    let counters = gpu.counters();
    assert_eq!(counters.kernels["step"].launches, 2 * REPLAYS as u64);
    all
}

#[test]
fn a_captured_step_replays_beside_a_second_stream() {
    if !nvrtc::or_skip("a_captured_step_replays_beside_a_second_stream") {
        return;
    }
    // Twice x times one half, exact.
    let expected: Vec<Vec<f32>> = (0..REPLAYS).map(|round| vec![round as f32; COUNT]).collect();
    let (local, relaxed) =
        (Mode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, Mode::CU_STREAM_CAPTURE_MODE_RELAXED);
    for (options, mode) in [
        (Options::new(), local),
        (Options::new(), relaxed),
        (Options::new().eager(true), local),
        (Options::new().seed(5), local),
        (Options::new().seed(6).order("reverse"), relaxed),
    ] {
        assert_eq!(train(options, mode), expected);
    }
}

#[test]
fn a_card_answers_what_an_engine_asks() {
    let (gpu, context) = card(Options::new().device("rtx3060").driver(12, 8).quiet(true));
    let mut version = 0;
    // SAFETY: `version` is a number of our own.
    assert_eq!(unsafe { sys::cuDriverGetVersion(&mut version) }, CUresult::CUDA_SUCCESS);
    assert_eq!(version, 12_080);
    for (attribute, expected) in [
        (Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 8),
        (Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 6),
        (Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 28),
        (Attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1_777_000),
        (Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 7_501_000),
        (Attribute::CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 192),
        (Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 2304 << 10),
        (Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 99 << 10),
    ] {
        assert_eq!(context.attribute(attribute), Ok(expected), "{attribute:?}");
    }
    let before = context.mem_get_info().expect("a context");
    let held = context.default_stream().alloc_zeros::<u8>(1 << 20).expect("there is room");
    assert_eq!(context.mem_get_info(), Ok((before.0 - (1 << 20), before.1)));
    drop(held);

    let cubin = b"\x7fELF\x02\x01\x01\x33\x07\0\0\0\0\0\0\0";
    // SAFETY: the image has the magic number of a cubin and a NUL behind it.
    let refused = unsafe { result::module::load_data(cubin.as_ptr().cast()) };
    assert_eq!(code(refused), CUresult::CUDA_ERROR_INVALID_IMAGE);
    assert!(
        gpu.notes().iter().any(|note| note.contains("cubin") && note.contains("load PTX")),
        "{:?}",
        gpu.notes()
    );
}

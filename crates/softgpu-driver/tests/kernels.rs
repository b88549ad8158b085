//! Kernels compiled by NVRTC and run through cudarc, against the same sums done on the host.

mod common;

use common::{card, compile};
use cuda::{Options, nvrtc};
use cudarc::driver::sys::{
    CUfunction_attribute as Attribute, CUgraphInstantiate_flags as Flags,
    CUstreamCaptureMode as Mode,
};
use cudarc::driver::{CudaSlice, CudaStream, CudaViewMut, LaunchConfig, PushKernelArg};

const SOURCE: &str = r#"
extern "C" __global__ void saxpy(float a, const float *x, float *y, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    y[i] = a * x[i] + y[i];
}

// One sum a block: warp shuffles, then one value a warp in shared memory.
extern "C" __global__ void block_sums(const float *x, float *sums, int count) {
    __shared__ float of_warp[32];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float v = i < count ? x[i] : 0.0f;
    for (int step = 16; step > 0; step /= 2) v += __shfl_xor_sync(0xffffffffu, v, step);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = v;
    __syncthreads();
    if (threadIdx.x < 32) {
        v = threadIdx.x < blockDim.x / 32 ? of_warp[threadIdx.x] : 0.0f;
        for (int step = 16; step > 0; step /= 2) v += __shfl_xor_sync(0xffffffffu, v, step);
        if (threadIdx.x == 0) sums[blockIdx.x] = v;
    }
}

extern "C" __global__ void histogram(const unsigned char *x, unsigned *bins, int count) {
    extern __shared__ unsigned mine[];
    for (int b = threadIdx.x; b < 256; b += blockDim.x) mine[b] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x)
        atomicAdd(&mine[x[i]], 1u);
    __syncthreads();
    for (int b = threadIdx.x; b < 256; b += blockDim.x) atomicAdd(&bins[b], mine[b]);
}

extern "C" __global__ void transpose(const float *x, float *y, int rows, int columns) {
    __shared__ float tile[16][17];
    int c = blockIdx.x * 16 + threadIdx.x, r = blockIdx.y * 16 + threadIdx.y;
    if (r < rows && c < columns) tile[threadIdx.y][threadIdx.x] = x[r * columns + c];
    __syncthreads();
    r = blockIdx.x * 16 + threadIdx.y;
    c = blockIdx.y * 16 + threadIdx.x;
    if (r < columns && c < rows) y[r * rows + c] = tile[threadIdx.x][threadIdx.y];
}

struct Settings { double scale; int offset; unsigned char mask[5]; };
__constant__ float table[4] = {1.0f, 2.0f, 4.0f, 8.0f};
extern "C" __global__ void settings(Settings s, double *out) {
    out[threadIdx.x] = s.scale * table[threadIdx.x % 4] + s.offset + s.mask[threadIdx.x % 5];
}
"#;

/// Numbers near 0.25 from a fixed seed (splitmix64).
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32 - 0.5) * 0.5
        })
        .collect()
}

#[test]
fn saxpy_is_one_fused_step_an_element() {
    if !nvrtc::or_skip("saxpy_is_one_fused_step_an_element") {
        return;
    }
    let (gpu, context) = card(Options::new());
    let saxpy = compile(&context, SOURCE).load_function("saxpy").expect("it is there");
    let stream = context.default_stream();
    let count = 1000;
    let (x, mut y) = (numbers(count, 1), numbers(count, 2));
    let there = stream.clone_htod(&x).expect("there is room");
    let mut sum = stream.clone_htod(&y).expect("there is room");
    let (a, length) = (1.5f32, count as i32);
    // SAFETY: the arguments are those of the kernel, and the guard keeps it to `count` elements.
    unsafe {
        stream
            .launch_builder(&saxpy)
            .arg(&a)
            .arg(&there)
            .arg(&mut sum)
            .arg(&length)
            .launch(LaunchConfig::for_num_elems(count as u32))
    }
    .expect("launched");
    for (y, x) in y.iter_mut().zip(&x) {
        *y = a.mul_add(*x, *y);
    }
    assert_eq!(stream.clone_dtoh(&sum), Ok(y));
    assert_eq!(gpu.findings(), []);
    let counters = gpu.counters();
    assert_eq!(counters.launches.len(), 1);
    assert_eq!(counters.kernels["saxpy"].launches, 1);
}

#[test]
fn sums_by_shuffles_and_shared_memory() {
    if !nvrtc::or_skip("sums_by_shuffles_and_shared_memory") {
        return;
    }
    let (gpu, context) = card(Options::new());
    let kernel = compile(&context, SOURCE).load_function("block_sums").expect("it is there");
    let stream = context.default_stream();
    let x = numbers(5000, 3);
    let there = stream.clone_htod(&x).expect("there is room");
    let mut sums = stream.alloc_zeros::<f32>(20).expect("there is room");
    let count = x.len() as i32;
    let config = LaunchConfig { grid_dim: (20, 1, 1), block_dim: (256, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the arguments are those of the kernel.
    unsafe { stream.launch_builder(&kernel).arg(&there).arg(&mut sums).arg(&count).launch(config) }
        .expect("launched");
    let sums = stream.clone_dtoh(&sums).expect("in range");
    for (block, &sum) in sums.iter().enumerate() {
        let exact: f64 = x.iter().skip(256 * block).take(256).map(|&v| f64::from(v)).sum();
        // 256 terms below 0.25, eight additions deep: 8 roundings of a sum below 64.
        assert!(
            (f64::from(sum) - exact).abs() < 8.0 * 64.0 * f64::from(f32::EPSILON),
            "block {block}"
        );
    }
    assert_eq!(gpu.findings(), []);
}

#[test]
fn atomics_in_shared_and_global_memory_count_right() {
    if !nvrtc::or_skip("atomics_in_shared_and_global_memory_count_right") {
        return;
    }
    let (gpu, context) = card(Options::new());
    let kernel = compile(&context, SOURCE).load_function("histogram").expect("it is there");
    let stream = context.default_stream();
    let x: Vec<u8> = numbers(10_000, 4).iter().map(|v| (v.to_bits() >> 3) as u8).collect();
    let there = stream.clone_htod(&x).expect("there is room");
    let mut bins = stream.alloc_zeros::<u32>(256).expect("there is room");
    let count = x.len() as i32;
    let config =
        LaunchConfig { grid_dim: (7, 1, 1), block_dim: (96, 1, 1), shared_mem_bytes: 1024 };
    // SAFETY: the arguments are those of the kernel.
    unsafe { stream.launch_builder(&kernel).arg(&there).arg(&mut bins).arg(&count).launch(config) }
        .expect("launched");
    let mut expected = vec![0u32; 256];
    x.iter().for_each(|&v| expected[usize::from(v)] += 1);
    assert_eq!(stream.clone_dtoh(&bins), Ok(expected));
    assert_eq!(gpu.findings(), []);
}

#[test]
fn a_tile_at_a_time_in_every_order() {
    if !nvrtc::or_skip("a_tile_at_a_time_in_every_order") {
        return;
    }
    for order in ["forward", "reverse", "11"] {
        let (gpu, context) = card(Options::new().order(order).threads(1));
        let kernel = compile(&context, SOURCE).load_function("transpose").expect("it is there");
        let stream = context.default_stream();
        let (rows, columns) = (37, 50);
        let x = numbers(rows * columns, 5);
        let there = stream.clone_htod(&x).expect("there is room");
        let mut y = stream.alloc_zeros::<f32>(rows * columns).expect("there is room");
        let (r, c) = (rows as i32, columns as i32);
        let config =
            LaunchConfig { grid_dim: (4, 3, 1), block_dim: (16, 16, 1), shared_mem_bytes: 0 };
        // SAFETY: the arguments are those of the kernel.
        unsafe {
            stream.launch_builder(&kernel).arg(&there).arg(&mut y).arg(&r).arg(&c).launch(config)
        }
        .expect("launched");
        let y = stream.clone_dtoh(&y).expect("in range");
        for row in 0..rows {
            for column in 0..columns {
                assert_eq!(y[column * rows + row], x[row * columns + column], "{order}");
            }
        }
        assert_eq!(gpu.findings(), [], "{order}");
    }
}

#[test]
fn structs_by_value_and_constant_memory() {
    #[derive(Clone, Copy)]
    #[repr(C)]
    struct Settings {
        scale: f64,
        offset: i32,
        mask: [u8; 5],
    }
    // SAFETY: plain numbers in C's layout, like the struct of the source.
    unsafe impl cudarc::driver::DeviceRepr for Settings {}
    if !nvrtc::or_skip("structs_by_value_and_constant_memory") {
        return;
    }
    let (gpu, context) = card(Options::new());
    let module = compile(&context, SOURCE);
    let kernel = module.load_function("settings").expect("it is there");
    let stream = context.default_stream();
    let mut out = stream.alloc_zeros::<f64>(8).expect("there is room");
    let given = Settings { scale: 0.5, offset: -3, mask: [9, 8, 7, 6, 5] };
    let config = LaunchConfig { grid_dim: (1, 1, 1), block_dim: (8, 1, 1), shared_mem_bytes: 0 };
    let mut launch = |table: [f32; 4]| {
        // SAFETY: the arguments are those of the kernel.
        unsafe { stream.launch_builder(&kernel).arg(&given).arg(&mut out).launch(config) }
            .expect("launched");
        let expected: Vec<f64> = (0..8)
            .map(|t| 0.5 * f64::from(table[t % 4]) - 3.0 + f64::from(given.mask[t % 5]))
            .collect();
        assert_eq!(stream.clone_dtoh(&out), Ok(expected));
    };
    launch([1.0, 2.0, 4.0, 8.0]);
    let mut table = module.get_global("table", &stream).expect("it is there");
    assert_eq!(table.len(), 16);
    let bytes: Vec<u8> = [3.0f32, 5.0, 7.0, 11.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    stream.memcpy_htod(&bytes, &mut table).expect("in range");
    launch([3.0, 5.0, 7.0, 11.0]);
    assert_eq!(gpu.findings(), []);
}

#[test]
fn replaying_a_graph_equals_the_loop() {
    if !nvrtc::or_skip("replaying_a_graph_equals_the_loop") {
        return;
    }
    let run = |graph: bool| {
        let (gpu, context) = card(Options::new());
        // SAFETY: everything is on one stream.
        unsafe { context.disable_event_tracking() };
        let module = compile(&context, SOURCE);
        let saxpy = module.load_function("saxpy").expect("it is there");
        let stream = context.new_stream().expect("a stream");
        let mut x = stream.clone_htod(&numbers(512, 6)).expect("there is room");
        let mut y = stream.clone_htod(&numbers(512, 7)).expect("there is room");
        let (a, count) = (0.75f32, 512i32);
        let once = |from: &CudaSlice<f32>, to: &mut CudaSlice<f32>| {
            let mut launch = stream.launch_builder(&saxpy);
            launch.arg(&a).arg(from).arg(to).arg(&count);
            // SAFETY: the arguments are those of the kernel.
            unsafe { launch.launch(LaunchConfig::for_num_elems(512)) }.expect("launched");
        };
        let mut step = || {
            once(&x, &mut y);
            once(&y, &mut x);
        };
        if graph {
            stream.begin_capture(Mode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).expect("not capturing");
            step();
            let graph = stream.end_capture(Flags(0)).expect("capturing").expect("a graph");
            (0..5).for_each(|_| graph.launch().expect("instantiated"));
        } else {
            (0..5).for_each(|_| step());
        }
        let bits = |slice| {
            stream
                .clone_dtoh(slice)
                .expect("in range")
                .iter()
                .map(|v: &f32| v.to_bits())
                .collect::<Vec<_>>()
        };
        assert_eq!(gpu.findings(), []);
        (bits(&x), bits(&y))
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn kernels_on_several_streams_are_checked_against_each_other() {
    if !nvrtc::or_skip("kernels_on_several_streams_are_checked_against_each_other") {
        return;
    }
    // What both launches do, how the second is ordered after the first, and whether that is an error.
    for (shared, ordered, wrong) in
        [("y", false, true), ("y", true, false), ("x", false, false), ("halves", false, false)]
    {
        let (gpu, context) = card(Options::new());
        // SAFETY: this test orders its streams itself, or fails to on purpose.
        unsafe { context.disable_event_tracking() };
        let saxpy = compile(&context, SOURCE).load_function("saxpy").expect("it is there");
        let (a, b) =
            (context.new_stream().expect("a stream"), context.new_stream().expect("a stream"));
        let x = a.clone_htod(&numbers(256, 8)).expect("there is room");
        let mut y = a.clone_htod(&numbers(256, 9)).expect("there is room");
        let mut z = a.clone_htod(&numbers(256, 10)).expect("there is room");
        context.synchronize().expect("nothing failed");
        let factor = 2.0f32;
        let launch = |stream: &CudaStream, y: &mut CudaViewMut<f32>, count: i32| {
            // SAFETY: the arguments are those of the kernel.
            unsafe {
                stream
                    .launch_builder(&saxpy)
                    .arg(&factor)
                    .arg(&x)
                    .arg(y)
                    .arg(&count)
                    .launch(LaunchConfig::for_num_elems(256))
            }
            .expect("launched");
        };
        // 99 elements end in the middle of a sector and of a warp.
        let first = if shared == "halves" { 0..99 } else { 0..256 };
        launch(&a, &mut y.slice_mut(first.clone()), first.len() as i32);
        if ordered {
            b.join(&a).expect("submitted");
        }
        match shared {
            "y" => launch(&b, &mut y.as_view_mut(), 256),
            "x" => launch(&b, &mut z.as_view_mut(), 256),
            _ => launch(&b, &mut y.slice_mut(99..), 157),
        }
        context.synchronize().expect("nothing failed");
        let found = gpu.findings();
        let hazards =
            found.iter().filter(|f| f.kind == "stream-hazard" && f.kernel == "saxpy").count();
        assert_eq!(found.len(), hazards, "{shared}: {found:?}");
        assert_eq!(hazards > 0, wrong, "{shared}, ordered by an event: {ordered}; {found:?}");
    }
}

#[test]
fn occupancy_follows_the_card() {
    if !nvrtc::or_skip("occupancy_follows_the_card") {
        return;
    }
    for (device, by_threads) in [("a100", 8), ("rtx3060", 6), ("t4", 4)] {
        let (_gpu, context) = card(Options::new().device(device));
        let module = compile(&context, SOURCE);
        let saxpy = module.load_function("saxpy").expect("it is there");
        // saxpy needs few registers and no shared memory: the resident threads of the card bind.
        let blocks = saxpy.occupancy_max_active_blocks_per_multiprocessor(256, 0, None);
        assert_eq!(blocks, Ok(by_threads), "{device}");
        let half = 33 << 10;
        let attribute = Attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        saxpy.set_attribute(attribute, half as i32).expect("within every card's limit");
        let shared = saxpy.occupancy_max_active_blocks_per_multiprocessor(256, half, None);
        let by_shared = match device {
            "a100" => 4,
            "rtx3060" => 2,
            _ => 1,
        };
        assert_eq!(shared, Ok(by_shared), "{device}");
        extern "C" fn none(_: std::ffi::c_int) -> usize {
            0
        }
        let (grid, block) =
            saxpy.occupancy_max_potential_block_size(none, 0, 0, None).expect("some size fits");
        assert!(block >= 256 && grid > 0, "{device}: {grid} x {block}");
        assert!(saxpy.num_regs().is_ok_and(|n| (4..=64).contains(&n)), "{:?}", saxpy.num_regs());
        assert_eq!(
            module.load_function("transpose").and_then(|f| f.shared_size_bytes()),
            Ok(16 * 17 * 4)
        );
    }
}

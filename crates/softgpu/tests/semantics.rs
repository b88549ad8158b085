//! Instructions that neither Triton nor ptxas's constants pin down, by hand-written PTX and exact references.

// Lanes index inputs and results alike.
#![allow(clippy::needless_range_loop)]

mod common;

use common::{Args, Device, Random};
use softgpu::Options;

/// Runs `body` on 32 lanes: lane in `%t`, inputs in `%a` and `%b`, result in `%d`.
fn lanes(body: &str, a: &[u32; 32], b: &[u32; 32]) -> [u32; 32] {
    let text = format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n\
         .visible .entry k(.param .u64 pa, .param .u64 pb, .param .u64 pd) {{\n\
         .reg .b64 %x<4>; .reg .b32 %t, %a, %b, %d, %r<9>; .reg .pred %p, %q; .reg .b16 %h;\n\
         .shared .align 4 .b32 s[32];\n\
         ld.param.u64 %x0, [pa]; ld.param.u64 %x1, [pb]; ld.param.u64 %x2, [pd]; mov.u32 %t, %tid.x;\n\
         mad.wide.u32 %x0, %t, 4, %x0; mad.wide.u32 %x1, %t, 4, %x1; mad.wide.u32 %x2, %t, 4, %x2;\n\
         ld.global.u32 %a, [%x0]; ld.global.u32 %b, [%x1]; mov.u32 %d, 12345;\n\
         {body}\nst.global.u32 [%x2], %d;\nret;\n}}\n"
    );
    let device = Device::new(&text);
    let out = device.u32s(&[777; 32]);
    let args = Args::default().u64(device.u32s(a)).u64(device.u32s(b)).u64(out);
    // Findings are not the subject here: some of these bodies diverge on purpose.
    device.run("k", [1, 1, 1], 32, 0, &args, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    device.read(out, 32).try_into().unwrap()
}

fn index() -> [u32; 32] {
    std::array::from_fn(|l| l as u32)
}

/// Shuffles within segments of a power of two, as the CUDA guide words them: a source outside the segment
/// gives the caller's own value.
#[test]
fn shuffles_within_segments() {
    let a: [u32; 32] = std::array::from_fn(|l| 100 + l as u32);
    for width in [2u32, 4, 8, 16, 32] {
        for delta in [0u32, 1, 3, 5, 16, 31] {
            for mode in ["up", "down", "bfly", "idx"] {
                // The clamp that nvcc passes: 32 - width in the upper field; 31 or 0 in the lower.
                let c = (32 - width) << 8 | if mode == "up" { 0 } else { 31 };
                let body = format!(
                    "shfl.sync.{mode}.b32 %r0|%p, %a, {delta}, {c:#x}, -1; selp.b32 %r1, 1000, 0, %p;\n\
                     add.s32 %d, %r0, %r1;"
                );
                let got = lanes(&body, &a, &a);
                for l in 0..32u32 {
                    let (segment, at) = (l / width * width, l % width);
                    let near = |at: u32| (at < width).then_some(segment + at);
                    let inside = match mode {
                        "up" => at.checked_sub(delta).and_then(near),
                        "down" => near(at + delta),
                        // xor may reach earlier segments, not later ones.
                        "bfly" => Some(l ^ delta).filter(|s| s / width <= l / width),
                        _ => near(delta % width),
                    };
                    let want = 100 + inside.unwrap_or(l);
                    let want = want + if inside.is_some() { 1000 } else { 0 };
                    assert_eq!(got[l as usize], want, "{mode} {delta} width {width} lane {l}");
                }
            }
        }
    }
}

/// The register may be wider than the type that an integer is converted from, as NVRTC writes it.
#[test]
fn conversions_take_the_low_bits_of_a_wider_register() {
    let a: [u32; 32] = std::array::from_fn(|l| 0x8000_0000 + 0x0123_4567 * l as u32);
    let wide = "mov.b64 %x3, {%a, %t}; add.s64 %x3, %x3, 0x7700000000;";
    let high = "mov.b64 {%r0, %d}, %x3;";
    for (what, want) in [
        (format!("cvt.s64.s32 %x3, %x3; {high}"), a.map(|x| ((x as i32) >> 31) as u32)),
        (format!("cvt.u64.u32 %x3, %x3; {high}"), [0; 32]),
        ("cvt.u32.u16 %d, %x3;".into(), a.map(|x| x & 0xffff)),
        ("cvt.s32.s8 %d, %x3;".into(), a.map(|x| x as i8 as u32)),
        ("cvt.rn.f32.s32 %d, %x3;".into(), a.map(|x| (x as i32 as f32).to_bits())),
    ] {
        assert_eq!(lanes(&format!("{wide} {what}"), &a, &a), want, "{what}");
    }
}

#[test]
fn votes_count_those_that_vote() {
    // The predicate is true in all lanes; only the lower half votes.
    let body = "setp.lt.u32 %p, %t, 16; setp.lt.u32 %q, %t, 99;\n\
                @%p vote.sync.ballot.b32 %d, %q, 0xffff;";
    let got = lanes(body, &index(), &index());
    assert!((0..32).all(|l| got[l] == if l < 16 { 0xffff } else { 12345 }), "{got:x?}");
    let body = "setp.lt.u32 %p, %t, 20; vote.sync.any.pred %q, %p, -1; selp.b32 %r0, 1, 0, %q;\n\
                vote.sync.all.pred %q, %p, -1; selp.b32 %r1, 2, 0, %q;\n\
                vote.sync.uni.pred %q, !%p, -1; selp.b32 %r2, 4, 0, %q;\n\
                or.b32 %d, %r0, %r1; or.b32 %d, %d, %r2;";
    assert_eq!(lanes(body, &index(), &index()), [1; 32]);
}

#[test]
fn matches_and_reductions() {
    let a: [u32; 32] = std::array::from_fn(|l| (l % 3) as u32);
    let got = lanes("match.any.sync.b32 %d, %a, -1;", &a, &a);
    for l in 0..32 {
        assert_eq!(got[l], (0..32).filter(|k| k % 3 == l % 3).fold(0, |m, k| m | 1 << k));
    }
    let a: [u32; 32] = std::array::from_fn(|l| (l as i32 * 7 - 100) as u32);
    for (op, want) in [
        ("add.s32", a.iter().fold(0, |s: u32, v| s.wrapping_add(*v))),
        ("min.s32", a.iter().map(|v| *v as i32).min().unwrap() as u32),
        ("max.u32", *a.iter().max().unwrap()),
        ("xor.b32", a.iter().fold(0, |s, v| s ^ v)),
    ] {
        assert_eq!(lanes(&format!("redux.sync.{op} %d, %a, -1;"), &a, &a), [want; 32], "{op}");
    }
    let got = lanes("setp.lt.u32 %p, %a, 5; bar.red.popc.u32 %d, 0, %p;", &index(), &index());
    assert_eq!(got, [5; 32]);
}

#[test]
fn guards_and_exits() {
    let got =
        lanes("setp.lt.u32 %p, %t, 9; @!%p mov.u32 %d, 1; @%p mov.u32 %d, 2;", &index(), &index());
    assert!((0..32).all(|l| got[l] == if l < 9 { 2 } else { 1 }));
    // Those that exit early leave the others running.
    let got = lanes("setp.lt.u32 %p, %t, 9; @%p exit; mov.u32 %d, 3;", &index(), &index());
    assert!((0..32).all(|l| got[l] == if l < 9 { 777 } else { 3 }));
}

/// Lanes that leave a loop one by one meet behind it: the ballot there counts them all.
#[test]
fn lanes_meet_behind_a_loop() {
    let body = "mov.u32 %r0, 0;\nLOOP: add.u32 %r0, %r0, 1; setp.le.u32 %p, %r0, %t; @%p bra LOOP;\n\
                activemask.b32 %r1; popc.b32 %r1, %r1; mad.lo.u32 %d, %r1, 100, %r0;";
    let got = lanes(body, &index(), &index());
    assert!((0..32).all(|l| got[l] == 3200 + l as u32 + 1), "{got:?}");
}

#[test]
fn narrow_loads_extend() {
    let a: [u32; 32] = std::array::from_fn(|l| 0x8081_f0f1u32.wrapping_add(l as u32));
    for (ty, want) in [
        ("s8", (|v| v as i8 as u32) as fn(u32) -> u32),
        ("u8", |v| v & 0xff),
        ("s16", |v| v as i16 as u32),
        ("u16", |v| v & 0xffff),
    ] {
        let got = lanes(&format!("ld.global.{ty} %d, [%x0];"), &a, &a);
        assert!((0..32).all(|l| got[l] == want(a[l])), "{ty}");
    }
    let got =
        lanes("ld.global.s8 %x3, [%x0+3]; shr.u64 %x3, %x3, 32; cvt.u32.u64 %d, %x3;", &a, &a);
    assert_eq!(got, [u32::MAX; 32]);
}

#[test]
fn byte_permutations_and_fields() {
    // Selector nibbles: byte 0, byte 7, sign of byte 3, sign of byte 1.
    let a = [0x8055_ff11; 32];
    let b = [0x0102_0304; 32];
    assert_eq!(lanes("prmt.b32 %d, %a, %b, 0x9b70;", &a, &b), [0xffff_0111; 32]);
    assert_eq!(lanes("prmt.b32 %d, %a, %b, 0xa654;", &a, &b), [0x0002_0304; 32]);
    // 8 bits of a at position 12 of b.
    assert_eq!(
        lanes("bfi.b32 %d, %a, %b, 12, 8;", &[0xab; 32], &[0xffff_ffff; 32]),
        [0xfffa_bfff; 32]
    );
    let (x, y) = ([-1i8, 2, -3, 4], [5i8, -6, 7, -128]);
    let (px, py) = (u32::from_le_bytes(x.map(|v| v as u8)), u32::from_le_bytes(y.map(|v| v as u8)));
    let want = x.iter().zip(y).map(|(x, y)| i32::from(*x) * i32::from(y)).sum::<i32>() + 9;
    assert_eq!(lanes("dp4a.s32.s32 %d, %a, %b, 9;", &[px; 32], &[py; 32]), [want as u32; 32]);
}

#[test]
fn nan_and_signed_zeros() {
    let nan = [f32::NAN.to_bits(); 32];
    for (op, want) in [("cvt.rzi.s32.f32", 0), ("cvt.rni.u32.f32", 0)] {
        assert_eq!(lanes(&format!("{op} %d, %a;"), &nan, &nan), [want; 32], "{op}");
    }
    let (minus, plus) = ([1 << 31; 32], [0; 32]);
    for (a, b) in [(minus, plus), (plus, minus)] {
        assert_eq!(lanes("max.f32 %d, %a, %b;", &a, &b), plus);
        assert_eq!(lanes("min.f32 %d, %a, %b;", &a, &b), minus);
    }
    assert_eq!(lanes("fma.rm.f32 %d, %a, %b, %a;", &plus, &minus), minus);
}

/// Sign and magnitude of the integer `n` times 2^-`scale`, rounded to 24 bits.
fn rounded(n: i128, scale: i32, sticky: bool, mode: &str) -> u32 {
    let (negative, magnitude) = (n < 0, n.unsigned_abs());
    let bits = 128 - magnitude.leading_zeros() as i32;
    let drop = (bits - 24).max(0);
    let (kept, lost) = (magnitude >> drop, magnitude & ((1 << drop) - 1));
    let inexact = lost != 0 || sticky;
    let half = if drop == 0 { 0 } else { 1u128 << (drop - 1) };
    let up = match mode {
        "rn" => drop > 0 && (lost > half || lost == half && (sticky || kept & 1 == 1)),
        "rm" => negative && inexact,
        "rp" => !negative && inexact,
        _ => false,
    };
    let value = (kept + u128::from(up)) as f64 * 2f64.powi(drop - scale);
    let value = value as f32;
    (if negative { -value } else { value }).to_bits()
}

/// Mantissa with sign and exponent: x = m 2^(e - 23).
fn parts(x: f32) -> (i128, i32) {
    let bits = x.to_bits();
    let m = i128::from(bits & 0x7f_ffff | 0x80_0000);
    (if x < 0.0 { -m } else { m }, (bits >> 23 & 0xff) as i32 - 127)
}

/// All four roundings of sums, products, fused ones and quotients, against exact integers.
#[test]
fn directed_rounding_is_exact() {
    let mut random = Random(41);
    let mut float = |spread: i32| -> f32 {
        let bits = random.next();
        let exponent = (bits >> 40) as i32 % (2 * spread + 1) - spread;
        // Few mantissa bits now and then, so that ties and exact results occur.
        let mantissa =
            (bits as u32 & 0x7f_ffff) & if bits >> 62 == 0 { 0x7f_f000 } else { u32::MAX };
        f32::from_bits(((exponent + 127) as u32) << 23 | mantissa | (bits >> 30) as u32 & 1 << 31)
    };
    for _ in 0..40 {
        let a: [f32; 32] = std::array::from_fn(|_| float(10));
        let b: [f32; 32] = std::array::from_fn(|_| float(10));
        let c = float(12);
        let (ab, bb) = (a.map(f32::to_bits), b.map(f32::to_bits));
        for mode in ["rn", "rz", "rm", "rp"] {
            let sum = lanes(&format!("add.{mode}.f32 %d, %a, %b;"), &ab, &bb);
            let product = lanes(&format!("mul.{mode}.f32 %d, %a, %b;"), &ab, &bb);
            let literal = format!("0f{:08X}", c.to_bits());
            let fused = lanes(&format!("fma.{mode}.f32 %d, %a, %b, {literal};"), &ab, &bb);
            let quotient = lanes(&format!("div.{mode}.f32 %d, %a, %b;"), &ab, &bb);
            for l in 0..32 {
                let ((ma, ea), (mb, eb), (mc, ec)) = (parts(a[l]), parts(b[l]), parts(c));
                // Everything in units of 2^-80.
                let unit = |m: i128, e: i32| m << (e + 80);
                let exact = unit(ma, ea - 23) + unit(mb, eb - 23);
                if exact != 0 {
                    assert_eq!(
                        sum[l],
                        rounded(exact, 80, false, mode),
                        "{} + {} {mode}",
                        a[l],
                        b[l]
                    );
                }
                let exact = unit(ma * mb, ea + eb - 46);
                assert_eq!(
                    product[l],
                    rounded(exact, 80, false, mode),
                    "{} * {} {mode}",
                    a[l],
                    b[l]
                );
                let exact = exact + unit(mc, ec - 23);
                if exact != 0 {
                    let want = rounded(exact, 80, false, mode);
                    assert_eq!(fused[l], want, "{} * {} + {c} {mode}", a[l], b[l]);
                }
                let (n, d) = (ma << 60, mb);
                let want = rounded(n / d, 60 - (ea - eb), n % d != 0, mode);
                assert_eq!(quotient[l], want, "{} / {} {mode}", a[l], b[l]);
            }
        }
    }
}

/// A load of every second float touches twice the sectors that its bytes fill.
#[test]
fn strided_loads_cost_sectors() {
    let text = ".version 8.0\n.target sm_80\n.address_size 64\n\
                .visible .entry k(.param .u64 p, .param .u32 stride) {\n\
                .reg .b64 %x<3>; .reg .b32 %t, %v, %n;\n\
                ld.param.u64 %x0, [p]; ld.param.u32 %n, [stride]; mov.u32 %t, %tid.x;\n\
                mul.lo.u32 %t, %t, %n; mad.wide.u32 %x1, %t, 4, %x0;\n\
                ld.global.u32 %v, [%x1]; st.global.u32 [%x1], %v; ret; }\n";
    let device = Device::new(text);
    let x = device.zeros(32 * 64 * 4);
    for (stride, sectors) in [(1, 4), (2, 8), (4, 16), (8, 32), (33, 32), (0, 1)] {
        let args = Args::default().u64(x).u32(stride);
        let c = device.clean("k", [1, 1, 1], 32, 0, &args).counters.unwrap();
        assert_eq!(
            c.get("l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum"),
            sectors,
            "stride {stride}"
        );
        assert_eq!(
            c.get("l1tex__t_sectors_pipe_lsu_mem_global_op_st.sum"),
            sectors,
            "stride {stride}"
        );
        assert_eq!(c.get("unique_sectors_written"), sectors);
    }
}

/// The shapes and types of mma that Triton's kernels leave out, by the element formulas of the PTX manual.
#[test]
fn the_other_matrix_shapes() {
    let mut random = Random(43);
    for (k, ty, accumulate) in [
        (4usize, "tf32", "f32"),
        (8, "f16", "f32"),
        (8, "bf16", "f32"),
        (16, "f16", "f16"),
        (8, "f16", "f16"),
    ] {
        let narrow = ty != "tf32";
        let small = |r: &mut Random| (r.next() % 9) as f32 - 4.0;
        // Small integers are exact in every type, so that the result must be.
        let a: Vec<f32> = (0..16 * k).map(|_| small(&mut random)).collect();
        let b: Vec<f32> = (0..k * 8).map(|_| small(&mut random)).collect();
        let c: Vec<f32> = (0..16 * 8).map(|_| small(&mut random)).collect();
        let bits = |x: f32, ty: &str| -> u32 {
            match ty {
                "f16" => half::f16::from_f32(x).to_bits().into(),
                "bf16" => half::bf16::from_f32(x).to_bits().into(),
                _ => x.to_bits(),
            }
        };
        let mut words = Vec::new();
        let (na, nb) = if narrow { (k / 4, k / 8) } else { (k / 2, k / 4) };
        let nc = if accumulate == "f16" { 2 } else { 4 };
        for lane in 0..32 {
            let (g, t) = (lane / 4, lane % 4);
            let mut elements = |n: usize, narrow: bool, ty: &str, at: &dyn Fn(usize) -> f32| {
                for r in 0..n {
                    words.push(match narrow {
                        true => bits(at(2 * r), ty) | bits(at(2 * r + 1), ty) << 16,
                        false => bits(at(r), ty),
                    });
                }
            };
            // a_i: row g for i = 0, 1 (mod 4) in pairs, g + 8 else; column 2t + i % 2, plus 8 from i = 4 on.
            elements(na, narrow, ty, &|i| match narrow {
                true => a[(g + i / 2 % 2 * 8) * k + 2 * t + i % 2 + i / 4 * 8],
                false => a[(g + i % 2 * 8) * k + t + i / 2 * 4],
            });
            elements(nb, narrow, ty, &|i| match narrow {
                true => b[(2 * t + i % 2 + i / 2 * 8) * 8 + g],
                false => b[(t + i * 4) * 8 + g],
            });
            elements(nc, accumulate == "f16", accumulate, &|i| {
                c[(g + i / 2 * 8) * 8 + 2 * t + i % 2]
            });
        }
        let n = na + nb + nc;
        let list = |from: usize, count: usize| -> String {
            (from..from + count).map(|i| format!("%r{i}")).collect::<Vec<_>>().join(", ")
        };
        let mut text = format!(
            ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 p) {{\n\
             .reg .b64 %x<2>; .reg .b32 %t, %r<20>;\n\
             ld.param.u64 %x0, [p]; mov.u32 %t, %tid.x; mad.wide.u32 %x0, %t, {}, %x0;\n",
            4 * n
        );
        for i in 0..n {
            text += &format!("ld.global.u32 %r{i}, [%x0+{}];\n", 4 * i);
        }
        let d = list(na + nb, nc);
        text += &format!(
            "mma.sync.aligned.m16n8k{k}.row.col.{accumulate}.{ty}.{ty}.{accumulate} {{{d}}}, {{{}}}, {{{}}}, {{{d}}};\n",
            list(0, na),
            list(na, nb)
        );
        for i in 0..nc {
            text += &format!("st.global.u32 [%x0+{}], %r{};\n", 4 * i, na + nb + i);
        }
        let device = Device::new(&(text + "ret; }\n"));
        let at = device.u32s(&words);
        device.clean("k", [1, 1, 1], 32, 0, &Args::default().u64(at));
        let out = device.read(at, 32 * n);
        for lane in 0..32 {
            let (g, t) = (lane / 4, lane % 4);
            for i in 0..4 {
                let (row, column) = (g + i / 2 * 8, 2 * t + i % 2);
                let sum: f32 = (0..k).map(|x| a[row * k + x] * b[x * 8 + column]).sum();
                let want = bits(sum + c[row * 8 + column], accumulate);
                let got = match accumulate {
                    "f16" => out[lane * n + i / 2] >> (i % 2 * 16) & 0xffff,
                    _ => out[lane * n + i],
                };
                assert_eq!(got, want, "k {k} {ty} {accumulate} lane {lane} element {i}");
            }
        }
    }
}

/// Packed arithmetic rounds once: against f64, which is exact for these operands.
#[test]
fn packed_half_arithmetic() {
    let mut random = Random(44);
    let value = |r: &mut Random| half::f16::from_f32(r.unit() * 8.0);
    let a: Vec<[half::f16; 2]> =
        (0..32).map(|_| [value(&mut random), value(&mut random)]).collect();
    let b: Vec<[half::f16; 2]> =
        (0..32).map(|_| [value(&mut random), value(&mut random)]).collect();
    let pack = |v: &[half::f16; 2]| u32::from(v[0].to_bits()) | u32::from(v[1].to_bits()) << 16;
    let (x, y) = (std::array::from_fn(|l| pack(&a[l])), std::array::from_fn(|l| pack(&b[l])));
    for (body, f) in [
        ("add.rn.f16x2 %d, %a, %b;", (|p, q| p + q) as fn(f64, f64) -> f64),
        ("mul.rn.f16x2 %d, %a, %b;", |p, q| p * q),
        ("fma.rn.f16x2 %d, %a, %b, %a;", |p, q| p * q + p),
        ("max.f16x2 %d, %a, %b;", f64::max),
    ] {
        let got = lanes(body, &x, &y);
        for l in 0..32 {
            let want = [0, 1].map(|i| half::f16::from_f64(f(a[l][i].to_f64(), b[l][i].to_f64())));
            assert_eq!(got[l], pack(&want), "{body} {:?} {:?}", a[l], b[l]);
        }
    }
}

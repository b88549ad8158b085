//! Scalar semantics against constants that NVIDIA's assembler folded (`folding/make.py`).
//!
//! The values come from ptxas, not from us: rounding, NaN, saturation, shifts past the width, conversions.

mod common;

use common::{Args, Device};
use std::fmt::Write;

const TABLE: &str = include_str!("folding/table.txt");

struct Group {
    opcode: String,
    widths: Vec<u32>,
    kind: char,
    rows: Vec<(Vec<u64>, u64)>,
}

fn groups() -> Vec<Group> {
    let mut list: Vec<Group> = Vec::new();
    for line in TABLE.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with(' ') {
            let numbers =
                words.iter().filter(|w| **w != "=").map(|w| u64::from_str_radix(w, 16).unwrap());
            let mut numbers: Vec<u64> = numbers.collect();
            let result = numbers.pop().unwrap();
            list.last_mut().unwrap().rows.push((numbers, result));
        } else {
            let widths = words[1].split(',').map(|w| w.parse().unwrap()).collect();
            let kind = words[2].chars().next().unwrap();
            list.push(Group { opcode: words[0].into(), widths, kind, rows: Vec::new() });
        }
    }
    list
}

/// A kernel that loads its operands, so that nothing is constant, and stores the result as 64 bits.
fn kernel(name: usize, g: &Group) -> String {
    let mut text = format!(
        ".visible .entry k{name}(.param .u64 pin, .param .u64 pout) {{\n\
         .reg .b64 %in, %out, %at, %x; .reg .b32 %t, %w; .reg .b16 %h; .reg .pred %p;\n\
         ld.param.u64 %in, [pin]; ld.param.u64 %out, [pout]; mov.u32 %t, %tid.x;\n\
         mad.wide.u32 %in, %t, {}, %in; mad.wide.u32 %out, %t, 8, %out;\n",
        8 * g.widths.len()
    );
    for (i, width) in g.widths.iter().enumerate() {
        let _ = writeln!(text, ".reg .b{width} %a{i}; ld.global.b{width} %a{i}, [%in+{}];", 8 * i);
    }
    let target = match g.kind {
        'w' => "%w",
        'x' => "%x",
        'h' => "%h",
        _ => "%p",
    };
    let operands: Vec<String> = (0..g.widths.len()).map(|i| format!("%a{i}")).collect();
    let _ = writeln!(text, "{} {target}, {};", g.opcode, operands.join(", "));
    text.push_str(match g.kind {
        'w' => "cvt.u64.u32 %x, %w;\n",
        'h' => "cvt.u64.u16 %x, %h;\n",
        'p' => "selp.b64 %x, 1, 0, %p;\n",
        _ => "",
    });
    text + "st.global.b64 [%out], %x;\nret;\n}\n"
}

/// Units in the last place between two f32, NaNs equal.
fn ulps(a: u64, b: u64) -> u64 {
    let (x, y) = (f32::from_bits(a as u32), f32::from_bits(b as u32));
    if x.is_nan() && y.is_nan() || x == y {
        return 0;
    }
    if x.is_nan() || y.is_nan() {
        return u64::MAX;
    }
    let order = |v: u64| if v >> 31 & 1 != 0 { -((v & 0x7fff_ffff) as i64) } else { v as i64 };
    order(a).abs_diff(order(b))
}

/// A NaN of the result's type: hardware has one pattern, and this crate does not promise which.
fn nan(g: &Group, v: u64) -> bool {
    let float = |ty: &str| g.opcode.contains(ty);
    let target = g.opcode.split('.').find(|m| m.starts_with('f') && m[1..].parse::<u32>().is_ok());
    match (g.kind, target) {
        ('w', Some("f32")) => f32::from_bits(v as u32).is_nan(),
        ('x', Some("f64")) => f64::from_bits(v).is_nan(),
        ('h', Some("f16")) => v & 0x7fff > 0x7c00,
        ('h', _) if float("bf16") => v & 0x7fff > 0x7f80,
        _ => false,
    }
}

#[test]
fn constants_folded_by_ptxas() {
    let groups = groups();
    let mut text = String::from(".version 8.0\n.target sm_80\n.address_size 64\n");
    groups.iter().enumerate().for_each(|(i, g)| text += &kernel(i, g));
    let device = Device::new(&text);
    let (mut rows, mut wrong) = (0, Vec::new());
    for (i, g) in groups.iter().enumerate() {
        let input: Vec<u8> =
            g.rows.iter().flat_map(|r| r.0.iter().flat_map(|v| v.to_le_bytes())).collect();
        let out = device.empty(g.rows.len() * 8);
        let args = Args::default().u64(device.bytes(&input)).u64(out);
        device.clean(&format!("k{i}"), [1, 1, 1], g.rows.len() as u32, 0, &args);
        let words = device.read(out, g.rows.len() * 2);
        for (r, (inputs, want)) in g.rows.iter().enumerate() {
            rows += 1;
            let got = u64::from(words[2 * r]) | u64::from(words[2 * r + 1]) << 32;
            // The manual bounds the approximations by 2^-20.9 to 2 units; 2 units hold for all of these.
            let approximate = g.opcode.contains("approx") || g.opcode.contains("full");
            let good = got == *want
                || nan(g, got) && nan(g, *want)
                || approximate && g.kind == 'w' && ulps(got, *want) <= 2;
            if !good {
                wrong.push(format!("{} {inputs:x?}: {got:x}, ptxas says {want:x}", g.opcode));
            }
        }
    }
    assert!(rows > 5000, "{rows} rows");
    assert!(wrong.is_empty(), "{} of {rows} differ:\n{}", wrong.len(), wrong.join("\n"));
}

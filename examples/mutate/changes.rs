//! The deliberate mistakes: where in a text each can be made.

use std::fmt;

/// The kind of a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A barrier of a block, removed.
    Barrier,
    /// A wait for asynchronous copies or the end of their group, removed or one group too early.
    Wait,
    /// A memory fence, removed.
    Fence,
    /// An accumulation turned into an assignment.
    Sum,
    /// A bound, one off.
    Bound,
    /// A condition negated, or a threshold moved.
    Condition,
}

impl Kind {
    pub const ALL: [Kind; 6] =
        [Kind::Barrier, Kind::Wait, Kind::Fence, Kind::Sum, Kind::Bound, Kind::Condition];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Barrier => "barrier removed",
            Kind::Wait => "wait removed or early",
            Kind::Fence => "fence removed",
            Kind::Sum => "sum overwritten",
            Kind::Bound => "bound one off",
            Kind::Condition => "condition turned",
        })
    }
}

/// One changed file.
pub struct Mutant {
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    pub kind: Kind,
    /// The old text and the new.
    pub what: String,
    /// The whole file with the mistake.
    pub text: String,
}

/// The kind, the text to look for, and its replacement.
const WORDS: [(Kind, &str, &str); 18] = [
    (Kind::Barrier, "__syncthreads();", ";"),
    (Kind::Barrier, "__syncwarp();", ";"),
    (Kind::Fence, "__threadfence();", ";"),
    (Kind::Wait, "copy_commit();", ";"),
    (Kind::Wait, "copy_wait<0>();", ";"),
    (Kind::Wait, "copy_wait<STAGES - 2>();", ";"),
    (Kind::Wait, "copy_wait<STAGES - 2>();", "copy_wait<STAGES - 1>();"),
    (Kind::Sum, " += ", " = "),
    (Kind::Sum, " -= ", " = -"),
    (Kind::Sum, " *= ", " = "),
    (Kind::Sum, " + __shfl_xor_sync(", ", __shfl_xor_sync("),
    // The product itself, d = a b.
    (
        Kind::Sum,
        "asm volatile(\"mma.sync",
        "d[0] = d[1] = d[2] = d[3] = 0.0f; asm volatile(\"mma.sync",
    ),
    // A division that rounds up, one too low.
    (Kind::Bound, " - 1) / ", " - 2) / "),
    (Kind::Bound, " + 3) / 4", " + 2) / 4"),
    // The test for the last block.
    (Kind::Bound, "blocks - 1", "blocks - 2"),
    (Kind::Bound, "split.parts - 1;", "split.parts - 2;"),
    (Kind::Condition, " && ", " || "),
    (Kind::Condition, " || ", " && "),
];

/// Where an index wraps around to 0.
const TURNS: [&str; 5] =
    [" == STAGES", " == across.count", " == down.count", " == across.taps", " == in.c"];

/// Every mistake that can be made in `text`, the contents of `file`.
///
/// Preprocessor lines and template parameters are left out. So are the bounds of loops over arrays
/// of registers, which the compiler unrolls: one iteration more is undefined behaviour in C++.
pub fn mutants(file: &str, text: &str) -> Vec<Mutant> {
    let mut all = Vec::new();
    let (mut start, mut before) = (0, "");
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let bare = code.trim_start();
        if !bare.starts_with('#') && !bare.starts_with("static_assert") {
            let code = if bare.starts_with("template") && !bare.contains(')') { "" } else { code };
            let registers = before.trim() == "#pragma unroll" && !code.contains("k < CHUNK");
            for (kind, at, old, new) in changes(code) {
                let header = at < header_end(code);
                // A loop counter that does not count is a hang, which says nothing about sums.
                if header && (registers || old == " += ") {
                    continue;
                }
                let place = start + at;
                all.push(Mutant {
                    file: file.to_string(),
                    line: number + 1,
                    kind,
                    what: if new == ";" {
                        format!("`{}`", old.trim())
                    } else {
                        format!("`{}`, `{}` to `{}`", line.trim(), old.trim(), new.trim())
                    },
                    text: format!("{}{new}{}", &text[..place], &text[place + old.len()..]),
                });
            }
        }
        if !bare.is_empty() {
            before = bare;
        }
        start += line.len();
    }
    all
}

/// The end of the loop header in a line.
fn header_end(code: &str) -> usize {
    code.find("for (").map_or(0, |at| close(code, at + 4).unwrap_or(code.len()))
}

/// The closing parenthesis for the one at `open`.
fn close(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0;
    for (i, c) in code[open..].char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return Some(open + i),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The last argument of the call whose parenthesis opens at `open`: its position and its text.
fn last_argument(code: &str, open: usize) -> Option<(usize, &str)> {
    let end = close(code, open)?;
    let (mut depth, mut from) = (0, open + 1);
    for (i, c) in code[open..end].char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 1 => from = open + i + 2,
            _ => {}
        }
    }
    Some((from, &code[from..end]))
}

/// Kind, position, old and new text of every change of a line.
fn changes(code: &str) -> Vec<(Kind, usize, String, String)> {
    let mut all = Vec::new();
    let mut push = |kind, at: usize, old: &str, new: &str| {
        all.push((kind, at, old.to_string(), new.to_string()));
    };
    for (kind, old, new) in WORDS {
        code.match_indices(old).for_each(|(at, _)| push(kind, at, old, new));
    }
    // Comparisons of integers are bounds; those with a floating-point number are conditions.
    for (old, new) in [(" < ", " <= "), (" > ", " >= "), (" <= ", " < "), (" >= ", " > ")] {
        for (at, _) in code.match_indices(old) {
            let right = code[at + old.len()..].split([';', ')', '?']).next().unwrap_or_default();
            let kind =
                if right.contains(".0f") || right == "t" { Kind::Condition } else { Kind::Bound };
            push(kind, at, old, new);
        }
    }
    for turn in TURNS {
        let late = turn.replace("==", ">");
        code.match_indices(turn).for_each(|(at, _)| push(Kind::Bound, at, turn, &late));
    }
    for (at, _) in code.match_indices(" == ") {
        push(Kind::Condition, at, " == ", " != ");
    }
    for (at, _) in code.match_indices("min(") {
        if code[..at].ends_with('f') {
            continue;
        }
        if let Some((from, last)) = last_argument(code, at + 3) {
            push(Kind::Bound, from, last, &format!("{last} + 1"));
        }
    }
    for (at, _) in code.match_indices("max(0,") {
        push(Kind::Bound, at, "max(0,", "max(-1,");
    }
    // The addend of a fused product.
    for (at, _) in code.match_indices("fmaf(") {
        if let Some((from, last)) = last_argument(code, at + 4) {
            push(Kind::Sum, from, last, "0.0f");
        }
    }
    // Whether a result is added to the old contents.
    for ending in ["add ?", "add)", "add != 0"] {
        for (at, _) in code.match_indices(ending) {
            let of_name = |c: char| c.is_alphanumeric() || "_.".contains(c);
            let from = code[..at].rfind(|c| !of_name(c)).map_or(0, |i| i + 1);
            let old = &code[from..at + ending.len()];
            if ending != "add)" || code[..from].ends_with("if (") {
                push(Kind::Sum, from, old, &old.replace(&code[from..at + 3], "false"));
            }
        }
    }
    all
}

//! Device-side `printf` and failed assertions.

use super::lanes::each;
use super::memory::window;
use super::state::{Fatal, Warp, Worker};
use crate::ir::Call;
use crate::lower::LOCAL_BASE;
use crate::ptx::ast::Space;
use crate::report::FindingKind;

/// Longest text that a format or a string argument may have.
const LONGEST: usize = 1 << 16;

impl Worker<'_> {
    #[inline(never)]
    pub fn call(&mut self, warp: &mut Warp, pc: usize, m: &Call, exec: u32) -> Result<(), Fatal> {
        for l in each(exec) {
            let argument = |i: usize| self.local_word(warp, u64::from(m.args[i]), 8);
            if m.assert {
                let message = self.text(argument(0)(l));
                let file = self.text(argument(1)(l));
                let line = self.local_word(warp, u64::from(m.args[2]), 4)(l);
                let text = format!("assertion `{message}` failed at {file}:{line}");
                return Err(self.fatal(warp, pc, l, FindingKind::Assert, text));
            }
            let (format, list) = (argument(0)(l), argument(1)(l));
            let text = self.format(warp, l, &self.text(format), list);
            let written = text.len() as u64;
            self.output.entry(self.linear).or_default().push_str(&text);
            if let Some(result) = m.result
                && u64::from(result) + 4 <= warp.local.len() as u64 * 4
            {
                warp.set_local(result.into(), 4, l, written);
            }
        }
        Ok(())
    }

    /// Reads a word of a lane's local memory; zero outside it.
    fn local_word<'w>(&self, warp: &'w Warp, at: u64, width: u32) -> impl Fn(usize) -> u64 + 'w {
        move |lane| {
            let size = warp.local.len() as u64 * 4;
            let inside = at.is_multiple_of(u64::from(width))
                && at.checked_add(width.into()).is_some_and(|e| e <= size);
            if inside { warp.local_value(at, width, lane) } else { 0 }
        }
    }

    /// A NUL-terminated string of global memory.
    fn text(&self, address: u64) -> String {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while bytes.len() < LONGEST {
            let at = address.wrapping_add(bytes.len() as u64);
            if self.launch.memory.read(at, &mut byte).is_err() || byte[0] == 0 {
                break;
            }
            bytes.push(byte[0]);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn format(&self, warp: &Warp, lane: usize, format: &str, list: u64) -> String {
        let mut out = String::new();
        let mut at = match window(list) {
            Space::Local => list - LOCAL_BASE,
            _ => list,
        };
        let mut take = |width: u64| {
            at = at.next_multiple_of(width);
            let value = self.local_word(warp, at, width as u32)(lane);
            at = at.saturating_add(width);
            value
        };
        let mut chars = format.chars().peekable();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let (mut left, mut zero, mut plus) = (false, false, false);
            while let Some(flag) = chars.next_if(|c| "-0+ #".contains(*c)) {
                left |= flag == '-';
                zero |= flag == '0';
                plus |= flag == '+';
            }
            let mut number = |chars: &mut std::iter::Peekable<std::str::Chars>| {
                if chars.next_if_eq(&'*').is_some() {
                    return Some((take(4) as usize).min(LONGEST));
                }
                let mut n = None;
                while let Some(d) = chars.next_if(char::is_ascii_digit) {
                    n = Some((n.unwrap_or(0) * 10 + d as usize - '0' as usize).min(LONGEST));
                }
                n
            };
            let width = number(&mut chars).unwrap_or(0);
            let precision = chars.next_if_eq(&'.').map(|_| number(&mut chars).unwrap_or(0));
            let mut long = false;
            while let Some(size) = chars.next_if(|c| "hljzt".contains(*c)) {
                long |= size != 'h';
            }
            let bytes = if long { 8 } else { 4 };
            let text = match chars.next() {
                Some('d' | 'i') => {
                    let value = take(bytes);
                    let value = if long { value as i64 } else { i64::from(value as i32) };
                    if plus { format!("{value:+}") } else { value.to_string() }
                }
                Some('u') => take(bytes).to_string(),
                Some('x') => format!("{:x}", take(bytes)),
                Some('X') => format!("{:X}", take(bytes)),
                Some('o') => format!("{:o}", take(bytes)),
                Some('c') => char::from(take(4) as u8).to_string(),
                Some('p') => format!("{:#x}", take(8)),
                Some('s') => {
                    let text = self.text(take(8));
                    text.chars().take(precision.unwrap_or(usize::MAX)).collect()
                }
                Some(kind @ ('f' | 'F' | 'e' | 'E' | 'g' | 'G')) => {
                    let value = f64::from_bits(take(8));
                    let text = float(kind, value, precision.unwrap_or(6));
                    if plus && value >= 0.0 { format!("+{text}") } else { text }
                }
                Some('%') => "%".into(),
                Some(other) => format!("%{other}"),
                None => "%".into(),
            };
            let missing = width.saturating_sub(text.chars().count());
            match (left, zero) {
                (true, _) => {
                    out.push_str(&text);
                    out.extend(std::iter::repeat_n(' ', missing));
                }
                (_, true) => {
                    let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
                    out.push_str(sign);
                    out.extend(std::iter::repeat_n('0', missing));
                    out.push_str(digits);
                }
                _ => {
                    out.extend(std::iter::repeat_n(' ', missing));
                    out.push_str(&text);
                }
            }
        }
        out
    }
}

/// A float as C's printf writes it.
fn float(kind: char, value: f64, precision: usize) -> String {
    if !value.is_finite() {
        let text = if value.is_nan() { "nan" } else { "inf" };
        return format!(
            "{}{text}",
            if value.is_sign_negative() && !value.is_nan() { "-" } else { "" }
        );
    }
    let exponential = |precision: usize| {
        let text = format!("{value:.precision$e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let n: i32 = exponent.parse().unwrap_or(0);
        let sign = if n < 0 { '-' } else { '+' };
        (format!("{mantissa}e{sign}{:02}", n.abs()), n)
    };
    let text = match kind.to_ascii_lowercase() {
        'f' => format!("{value:.precision$}"),
        'e' => exponential(precision).0,
        _ => {
            let digits = precision.max(1);
            let (text, exponent) = exponential(digits - 1);
            let trim = |t: &str| match t.contains('.') {
                true => t.trim_end_matches('0').trim_end_matches('.').to_string(),
                false => t.to_string(),
            };
            if exponent < -4 || exponent >= digits as i32 {
                let (mantissa, tail) = text.split_once('e').unwrap_or((&text, "+00"));
                format!("{}e{tail}", trim(mantissa))
            } else {
                trim(&format!("{value:.*}", (digits as i32 - 1 - exponent) as usize))
            }
        }
    };
    if kind.is_ascii_uppercase() { text.to_uppercase() } else { text }
}

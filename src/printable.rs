//! Text that a terminal shows as it is: what would move its cursor, change its colours or turn its
//! reading direction is written as an escape.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with every control character written out, as `\u{1b}` for the escape character. Those
/// are the C0 and C1 controls, line ends included, and the invisible characters that reorder or hide
/// what stands beside them (Unicode's bidirectional controls, separators of lines and paragraphs, zero
/// width, tags). Letters of any script, spaces and symbols stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if hidden(c) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

fn hidden(c: char) -> bool {
    // U+200C and U+200D join letters in Persian and Indian scripts and in emoji, and stay.
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        for (text, shown) in [
            ("plain größe 写真 🎨 \u{200d}", "plain größe 写真 🎨 \u{200d}"),
            ("a\u{1b}[31mred", "a\\u{1b}[31mred"),
            ("a\nerror: b\r\tc", "a\\nerror: b\\r\\tc"),
            ("\u{9b}2J\u{7f}\0", "\\u{9b}2J\\u{7f}\\u{0}"),
            ("gnp.\u{202e}exe", "gnp.\\u{202e}exe"),
            ("a\u{2028}b\u{200b}", "a\\u{2028}b\\u{200b}"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }
}

//! Splits PTX text into words, numbers, strings and punctuation, each with its line.

use crate::load_error::LoadError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Identifier, opcode with its modifiers, directive, register or special register.
    Word,
    Number,
    Text,
    Punct,
    End,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    pub line: u32,
}

fn in_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'.' | b'%')
}

/// All tokens, ended by one of kind `End`.
pub(super) fn lex(text: &str) -> Result<Vec<Token<'_>>, LoadError> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::with_capacity(bytes.len() / 4);
    let (mut at, mut line) = (0, 1u32);
    while at < bytes.len() {
        let start = at;
        let byte = bytes[at];
        let kind = match byte {
            b'\n' => {
                line += 1;
                at += 1;
                continue;
            }
            b' ' | b'\t' | b'\r' | 0 => {
                at += 1;
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                while at < bytes.len() && bytes[at] != b'\n' {
                    at += 1;
                }
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at += 2;
                while at < bytes.len() && !(bytes[at] == b'*' && bytes.get(at + 1) == Some(&b'/')) {
                    line += u32::from(bytes[at] == b'\n');
                    at += 1;
                }
                at = (at + 2).min(bytes.len());
                continue;
            }
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' && bytes[at] != b'\n' {
                    at += 1;
                }
                if bytes.get(at) != Some(&b'"') {
                    return Err(LoadError::Syntax { line, message: "a string has no end".into() });
                }
                at += 1;
                Kind::Text
            }
            b'0'..=b'9' => {
                while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'.') {
                    at += 1;
                }
                Kind::Number
            }
            _ if in_word(byte) => {
                while at < bytes.len() {
                    let scope = bytes[at] == b':'
                        && bytes.get(at + 1) == Some(&b':')
                        && bytes.get(at + 2).is_some_and(|b| in_word(*b));
                    if scope {
                        at += 2;
                    } else if in_word(bytes[at]) {
                        at += 1;
                    } else {
                        break;
                    }
                }
                Kind::Word
            }
            b'{' | b'}' | b'[' | b']' | b'(' | b')' | b'<' | b'>' | b',' | b';' | b':' | b'@'
            | b'!' | b'|' | b'+' | b'-' | b'=' => {
                at += 1;
                Kind::Punct
            }
            _ => {
                let message = format!("unexpected byte {byte:#04x}");
                return Err(LoadError::Syntax { line, message });
            }
        };
        let text = match kind {
            Kind::Text => &text[start + 1..at - 1],
            _ => &text[start..at],
        };
        tokens.push(Token { kind, text, line });
    }
    tokens.push(Token { kind: Kind::End, text: "end of text", line });
    Ok(tokens)
}

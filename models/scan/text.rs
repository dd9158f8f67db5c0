//! A file's text with its line continuations removed.

use std::borrow::Cow;

use memchr::{memchr_iter, memmem};

/// What separates tokens on a line. NUL counts, as in GCC.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c | 0)
}

/// Whether `byte` may start an identifier (`$` is an extension that all compilers have on; bytes over 127 are UTF-8).
pub(super) fn is_ident_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$' | 0x80..)
}

/// Whether `byte` may stand in an identifier or a number.
pub(super) fn is_ident(byte: u8) -> bool {
    is_ident_start(byte) || byte.is_ascii_digit()
}

/// The text of a file as the lexer sees it: no byte order mark, no line continuations.
pub(super) struct Text<'a> {
    /// The text.
    pub bytes: Cow<'a, [u8]>,
    /// Where continuations were taken out, in `bytes`.
    splices: Vec<usize>,
    /// Compilers and their modes disagree on where lines end (trigraph `??/`, a lone carriage return).
    pub doubtful: bool,
}

impl<'a> Text<'a> {
    /// Removes each backslash that ends a line, with the blanks that GCC and Clang allow after it, and the line's end.
    pub fn new(raw: &'a [u8]) -> Self {
        let raw = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
        let mut joined = Vec::new();
        let mut splices = Vec::new();
        let mut copied = 0;
        for at in memchr_iter(b'\\', raw) {
            let blanks = raw[at + 1..].iter().take_while(|&&byte| is_blank(byte) || byte == b'\r').count();
            if raw.get(at + 1 + blanks) == Some(&b'\n') {
                joined.extend_from_slice(&raw[copied..at]);
                splices.push(joined.len());
                copied = at + blanks + 2;
            }
        }
        let bytes = if splices.is_empty() {
            Cow::Borrowed(raw)
        } else {
            joined.extend_from_slice(&raw[copied..]);
            Cow::Owned(joined)
        };
        let lone_return = memchr_iter(b'\r', raw).any(|at| raw.get(at + 1) != Some(&b'\n'));
        let doubtful = lone_return || memmem::find(raw, b"??/").is_some();
        Self { bytes, splices, doubtful }
    }

    /// The line number, from 1, of a position in `bytes`.
    pub fn line(&self, at: usize) -> usize {
        let at = at.min(self.bytes.len());
        1 + memchr_iter(b'\n', &self.bytes[..at]).count() + self.splices.partition_point(|&splice| splice <= at)
    }

    /// Whether a continuation was taken out strictly between two positions.
    pub fn spliced(&self, from: usize, to: usize) -> bool {
        let next = self.splices.partition_point(|&splice| splice <= from);
        self.splices.get(next).is_some_and(|&splice| splice < to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continuations_go_with_the_blanks_behind_them() {
        let text = Text::new(b"\xef\xbb\xbf#inc\\\nlude \\ \t\r\n<x> \\n\nend");
        assert_eq!(&*text.bytes, b"#include <x> \\n\nend");
        assert_eq!(text.line(0), 1);
        assert_eq!(text.line(9), 3);
        assert_eq!(text.line(17), 4);
        assert!(text.spliced(3, 5) && !text.spliced(4, 8) && !text.doubtful);
    }

    #[test]
    fn unclear_line_ends_are_doubtful() {
        assert!(Text::new(b"a\rb").doubtful);
        assert!(Text::new(b"// what??/\nb").doubtful);
        assert!(!Text::new(b"a\r\nb\r\n").doubtful);
    }
}

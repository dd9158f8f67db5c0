//! Comments, literals and lines of C text. In doubt, a line is a directive.
//!
//! Only block comments and raw strings go over lines, so only they could hide a directive by mistake. Where it is in
//! doubt whether one has begun (an apostrophe without its twin or in a number, `R"` that may be no raw string), the
//! lines in it count as directives too. Everything else is undone by the next end of line.

use memchr::{memchr, memchr2, memchr2_iter, memmem};

use super::assembly;
use super::facts::Facts;
use super::macros::Macros;
use super::text::{Text, is_blank, is_ident};

/// Bytes that end a stretch of code.
static STOPS: [bool; 256] = {
    let mut stops = [false; 256];
    stops[b'\n' as usize] = true;
    stops[b'\r' as usize] = true;
    stops[b'/' as usize] = true;
    stops[b'"' as usize] = true;
    stops[b'\'' as usize] = true;
    stops
};

/// Which rare words a text holds at all, so that the common file is not searched for them piece by piece.
#[derive(Clone, Copy, Default)]
struct Rare {
    clock: bool,
    assembly: bool,
    pragma: bool,
}

/// Reads one text from its beginning to its end.
pub(super) struct Lexer<'t> {
    pub(super) text: &'t Text<'t>,
    pub(super) bytes: &'t [u8],
    /// Where it stands.
    pub(super) at: usize,
    /// What it found.
    pub(super) facts: Facts,
    /// When set, macros are collected instead of facts.
    pub(super) macros: Option<Macros>,
    /// How many `#if` are open.
    pub(super) depth: usize,
    /// `__has_` occurs.
    pub(super) conditions: bool,
    rare: Rare,
    /// A comment that begins on this line may be none.
    pub(super) doubt: bool,
    /// It reads lines of a doubtful comment or a raw string.
    within: bool,
}

impl<'t> Lexer<'t> {
    /// What a text asks for.
    pub fn facts(text: &'t Text) -> Facts {
        let mut lexer = Self::new(text);
        let has = |word: &str| memmem::find(lexer.bytes, word.as_bytes()).is_some();
        lexer.conditions = has("__has_");
        lexer.rare = Rare {
            clock: has("__DATE__") || has("__TIME"),
            assembly: assembly::occurs(lexer.bytes),
            pragma: has("_Pragma"),
        };
        lexer.run();
        lexer.facts
    }

    /// The macros that a text defines.
    pub fn macros(text: &'t Text) -> Macros {
        let mut lexer = Self::new(text);
        lexer.macros = Some(Macros::default());
        lexer.run();
        lexer.macros.unwrap_or_default()
    }

    fn new(text: &'t Text) -> Self {
        Self {
            text,
            bytes: &text.bytes,
            at: 0,
            facts: Facts::default(),
            macros: None,
            depth: 0,
            conditions: false,
            rare: Rare::default(),
            doubt: false,
            within: false,
        }
    }

    fn run(&mut self) {
        while self.at < self.bytes.len() {
            self.doubt = self.text.doubtful;
            self.blanks();
            if let Some(mark) = self.mark() {
                self.at += mark;
                self.directive();
            } else if matches!(self.peek(), Some(b'i' | b'e' | b'@')) {
                self.module();
            }
            self.rest_of_line();
        }
    }

    /// The byte that it stands on.
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'t [u8] {
        &self.bytes[self.at.min(self.bytes.len())..]
    }

    /// The length of the mark that begins a directive here, if one does.
    fn mark(&self) -> Option<usize> {
        match self.peek()? {
            b'#' => Some(1),
            b'%' => self.rest().starts_with(b"%:").then_some(2),
            b'?' => self.rest().starts_with(b"??=").then_some(3),
            _ => None,
        }
    }

    /// Skips blanks and block comments; does not leave the line but for a comment that does.
    pub(super) fn blanks(&mut self) {
        while let Some(byte) = self.peek() {
            if is_blank(byte) {
                self.at += 1;
            } else if byte == b'/' && self.bytes.get(self.at + 1) == Some(&b'*') {
                self.comment();
            } else {
                return;
            }
        }
    }

    /// Whether the line ends here, a line comment left aside.
    pub(super) fn line_ends(&self) -> bool {
        self.peek().is_none_or(|byte| byte == b'\n' || byte == b'\r') || self.rest().starts_with(b"//")
    }

    /// Where the line ends that `at` is on.
    pub(super) fn end_of_line(&self, at: usize) -> usize {
        memchr2(b'\n', b'\r', &self.bytes[at..]).map_or(self.bytes.len(), |length| at + length)
    }

    /// Skips a block comment.
    fn comment(&mut self) {
        let start = self.at;
        let end =
            memmem::find(&self.bytes[(start + 2).min(self.bytes.len())..], b"*/").map(|length| start + length + 4);
        if self.doubt || end.is_none() {
            self.lines_within(start, end.unwrap_or(self.bytes.len()));
        }
        self.at = end.unwrap_or(self.bytes.len());
    }

    /// Takes the lines that begin in a stretch for directives where they look like one.
    fn lines_within(&mut self, from: usize, to: usize) {
        if std::mem::replace(&mut self.within, true) {
            return;
        }
        let bytes = self.bytes;
        for end in memchr2_iter(b'\n', b'\r', &bytes[from..to]) {
            self.at = from + end + 1;
            self.blanks();
            if let Some(mark) = self.mark() {
                self.at += mark;
                self.directive();
            }
        }
        self.within = false;
    }

    /// Reads to the end of the line and past it.
    fn rest_of_line(&mut self) {
        let mut from = self.at;
        loop {
            let rest = self.rest();
            let Some(length) = rest.iter().position(|&byte| STOPS[usize::from(byte)]) else {
                self.at = self.bytes.len();
                return self.code(from, self.at);
            };
            self.at += length;
            let start = self.at;
            match (rest[length], rest.get(length + 1)) {
                (b'/', Some(b'*')) => {
                    self.code(from, start);
                    self.comment();
                    from = self.at;
                }
                (b'/', Some(b'/')) => {
                    self.code(from, start);
                    self.at = (self.end_of_line(start) + 1).min(self.bytes.len());
                    return;
                }
                (b'/', _) => self.at += 1,
                (b'"', _) => {
                    self.code(from, start);
                    from = self.string(from);
                }
                (b'\'', next) => {
                    if next.is_some_and(|&byte| is_ident(byte)) && self.in_number(from) {
                        self.doubt = true;
                        self.at += 1;
                    } else {
                        self.code(from, start);
                        from = self.character();
                    }
                }
                _ => {
                    self.code(from, start);
                    self.at += 1;
                    return;
                }
            }
        }
    }

    /// Whether the apostrophe it stands on may be a digit separator: what is before it, back to `from`, ends in a number.
    fn in_number(&self, from: usize) -> bool {
        let before = &self.bytes[from..self.at];
        let length = before.iter().rev().take_while(|&&byte| is_ident(byte) || byte == b'.' || byte == b'\'').count();
        before[before.len() - length..].iter().find(|&&byte| byte != b'.').is_some_and(u8::is_ascii_digit)
    }

    /// Skips a character literal; returns where code goes on. Without its end, the compilers take the rest of the line
    /// for it, and the lexer takes it for code.
    fn character(&mut self) -> usize {
        let start = self.at;
        match self.closing(b'\'') {
            Some(end) => {
                self.at = end + 1;
                self.at
            }
            None => self.unclosed(start),
        }
    }

    /// Skips a string literal; returns where code goes on.
    fn string(&mut self, from: usize) -> usize {
        let start = self.at;
        if let Some(end) = self.raw_string(from) {
            // Where `R` is no prefix (C90) the literal ended elsewhere.
            self.doubt = true;
            self.lines_within(start, end);
            self.at = end;
            return end;
        }
        match self.closing(b'"') {
            Some(end) => {
                self.at = end + 1;
                self.literal(start + 1, end, false, end + 1);
                self.at
            }
            None => self.unclosed(start),
        }
    }

    fn unclosed(&mut self, start: usize) -> usize {
        self.doubt = true;
        self.at = self.end_of_line(start);
        start + 1
    }

    /// Where the literal ends that begins here, if it does on this line.
    pub(super) fn closing(&self, quote: u8) -> Option<usize> {
        let mut at = self.at + 1;
        loop {
            match *self.bytes.get(at)? {
                b'\n' | b'\r' => return None,
                // A backslash before the end of a line that stayed was one of two.
                b'\\' if !matches!(self.bytes.get(at + 1), Some(b'\n' | b'\r')) => at += 2,
                byte if byte == quote => return Some(at),
                _ => at += 1,
            }
        }
    }

    /// Where the raw string ends whose quote it stands on, if it is one.
    fn raw_string(&mut self, from: usize) -> Option<usize> {
        let before = &self.bytes[from..self.at];
        let length = before.iter().rev().take_while(|&&byte| is_ident(byte)).count();
        if !matches!(&before[before.len() - length..], b"R" | b"LR" | b"uR" | b"UR" | b"u8R") {
            return None;
        }
        let start = self.at + 1;
        let open = self.bytes[start..].iter().take(17).position(|&byte| byte == b'(')? + start;
        let delimiter = &self.bytes[start..open];
        if delimiter.iter().any(|byte| byte.is_ascii_whitespace() || matches!(byte, b')' | b'\\' | b'"')) {
            return None;
        }
        let closing = [b")", delimiter, b"\""].concat();
        // A continuation within the closing means that it is none: in raw strings there are no continuations.
        let close = memmem::find_iter(&self.bytes[open..], &closing)
            .map(|length| open + length)
            .find(|&at| !self.text.spliced(at, at + closing.len()))?;
        let end = close + closing.len();
        self.literal(open + 1, close, true, end);
        Some(end)
    }

    /// Looks for rare words in a stretch of code.
    fn code(&mut self, from: usize, to: usize) {
        if self.macros.is_some() {
            return;
        }
        let code = &self.bytes[from..to];
        if self.rare.clock {
            let has = |word: &str| word_occurs(code, word.as_bytes());
            self.facts.volatile |= has("__DATE__") || has("__TIME__");
            self.facts.timestamp |= has("__TIMESTAMP__");
        }
        if self.rare.assembly {
            assembly::in_code(self.bytes, from, to, &mut self.facts, |at| self.text.line(at));
        }
    }

    /// Looks for rare words in a string literal: what is between its quotes, and where the text behind it begins.
    fn literal(&mut self, from: usize, to: usize, raw: bool, behind: usize) {
        if self.macros.is_some() {
            return;
        }
        let content = &self.bytes[from..to];
        if self.rare.assembly {
            assembly::in_string(content, raw, &self.bytes[behind..], &mut self.facts, || self.text.line(from));
        }
        if self.rare.pragma {
            self.pragma_operator(content);
        }
    }
}

/// Whether `word` occurs in `code` as a whole identifier.
fn word_occurs(code: &[u8], word: &[u8]) -> bool {
    memmem::find_iter(code, word).any(|at| {
        let before = at.checked_sub(1).and_then(|at| code.get(at));
        !before.is_some_and(|&byte| is_ident(byte)) && !code.get(at + word.len()).is_some_and(|&byte| is_ident(byte))
    })
}

/// The header name that begins at `at`, `<x>` or `"x"`: the name, whether in quotes, and where it ends. Within one,
/// neither escapes nor comments count.
pub(super) fn header_name(bytes: &[u8], at: usize) -> Option<(&[u8], bool, usize)> {
    let (quoted, end) = match *bytes.get(at)? {
        b'"' => (true, b'"'),
        b'<' => (false, b'>'),
        _ => return None,
    };
    let rest = &bytes[at + 1..];
    let length = memchr(end, rest)?;
    let name = &rest[..length];
    memchr2(b'\n', b'\r', name).is_none().then_some((name, quoted, at + length + 2))
}

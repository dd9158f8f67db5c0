//! `#include`, `#if`, `#define`, `#pragma`, `#embed` and what they ask for.

use super::facts::{Computed, Lookup, Note, Place, Use};
use super::lex::{Lexer, header_name};
use super::macros::{Body, Call};
use super::text::{is_ident, is_ident_start};

/// What a directive does.
#[derive(Clone, Copy)]
enum Action {
    /// It names a file.
    File { next: bool, usage: Use },
    /// It opens a conditional group, perhaps with an expression.
    Open { expression: bool },
    /// It goes on with another expression.
    Middle,
    /// It closes a conditional group.
    Close,
    /// It defines a macro.
    Define,
    /// It is a pragma.
    Pragma,
    /// It asks for nothing.
    Nothing,
}

/// The directives that matter (C23 6.10, C++23 15, and the extensions of GCC and Clang).
const DIRECTIVES: &[(&[u8], Action)] = &[
    (b"include", Action::File { next: false, usage: Use::Include }),
    (b"include_next", Action::File { next: true, usage: Use::Include }),
    (b"import", Action::File { next: false, usage: Use::Include }),
    (b"__include_macros", Action::File { next: false, usage: Use::Include }),
    (b"embed", Action::File { next: false, usage: Use::Data }),
    (b"if", Action::Open { expression: true }),
    (b"ifdef", Action::Open { expression: false }),
    (b"ifndef", Action::Open { expression: false }),
    (b"elif", Action::Middle),
    (b"elifdef", Action::Nothing),
    (b"elifndef", Action::Nothing),
    (b"else", Action::Nothing),
    (b"endif", Action::Close),
    (b"undef", Action::Nothing),
    (b"line", Action::Nothing),
    (b"define", Action::Define),
    (b"pragma", Action::Pragma),
];

/// The operators of conditions that ask for a file, and whether each goes on after the current directory.
const CONDITIONS: &[(&[u8], bool, Use)] = &[
    (b"__has_include", false, Use::Probe),
    (b"__has_include__", false, Use::Probe),
    (b"__has_include_next", true, Use::Probe),
    (b"__has_include_next__", true, Use::Probe),
    (b"__has_embed", false, Use::Data),
];

impl<'t> Lexer<'t> {
    /// Reads a directive from behind its mark; stops somewhere on its line.
    pub(super) fn directive(&mut self) {
        self.blanks();
        let name = self.identifier();
        let Some(&(_, action)) = DIRECTIVES.iter().find(|(known, _)| *known == name) else {
            // `#error` and its like: Clang takes the line as it is, so that no comment begins on it; GCC has tokens.
            self.doubt = true;
            return;
        };
        match action {
            Action::Nothing => {}
            Action::File { next, usage } => self.file(next, usage),
            Action::Open { expression } => {
                self.depth += 1;
                if expression {
                    self.condition(&[]);
                }
            }
            Action::Middle => {
                self.condition(&[]);
            }
            Action::Close => self.depth = self.depth.saturating_sub(1),
            Action::Define => self.define(),
            Action::Pragma => self.pragma(),
        }
    }

    /// Reads an identifier (or a number), which may be empty.
    pub(super) fn identifier(&mut self) -> &'t [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|&byte| !is_ident(byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn found(&mut self, name: &[u8], quoted: bool, next: bool, usage: Use) {
        if !name.is_empty() && self.macros.is_none() {
            let unconditional = self.depth == 0;
            self.facts.lookups.push(Lookup { name: name.into(), quoted, next, usage, unconditional });
        }
    }

    fn computed(&mut self, name: Option<&[u8]>, place: Place) {
        if self.macros.is_none() {
            let line = self.text.line(self.at);
            self.facts.computed.push(Computed { name: name.map(Into::into), place, line });
        }
    }

    /// The operand of `#include` and its kin.
    fn file(&mut self, next: bool, usage: Use) {
        self.blanks();
        let bytes = self.bytes;
        if let Some((name, quoted, end)) = header_name(bytes, self.at) {
            self.found(name, quoted, next, usage);
            self.at = end;
        } else if !self.line_ends() && self.peek() != Some(b'"') {
            let name = self.identifier();
            let whole = name.first().is_some_and(|&byte| is_ident_start(byte)) && {
                self.blanks();
                // The parameters of `#embed` may follow.
                self.line_ends() || (usage == Use::Data && self.peek() != Some(b'('))
            };
            self.computed(whole.then_some(name), Place::Directive { next, usage });
        }
    }

    /// The operands of `__has_include` and its kin on the rest of the line; `parameters` are those of the macro whose
    /// body this is. Macros may stand for the operators, so any header name right behind a parenthesis counts. Returns
    /// whether an operator takes its operand from a parameter.
    fn condition(&mut self, parameters: &[&[u8]]) -> bool {
        let bytes = self.bytes;
        let mut wraps = false;
        loop {
            self.blanks();
            if self.line_ends() {
                return wraps;
            }
            match bytes[self.at] {
                // An apostrophe behind a digit separates digits.
                quote @ (b'"' | b'\'') if !is_ident(bytes[self.at - 1]) => match self.closing(quote) {
                    Some(end) => self.at = end + 1,
                    None => self.at += 1,
                },
                b'(' => {
                    self.at += 1;
                    self.blanks();
                    if let Some((name, quoted, end)) = header_name(bytes, self.at) {
                        self.found(name, quoted, false, Use::Probe);
                        self.at = end;
                    }
                }
                byte if is_ident(byte) => {
                    let name = self.identifier();
                    if let Some(&(_, next, usage)) = CONDITIONS.iter().find(|(known, ..)| *known == name) {
                        wraps |= self.operand(next, usage, parameters);
                    } else if self.macros.is_some() {
                        self.call(name);
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// The operand of one `__has_include`. Returns whether it comes from a parameter.
    fn operand(&mut self, next: bool, usage: Use, parameters: &[&[u8]]) -> bool {
        let bytes = self.bytes;
        self.blanks();
        let called = self.peek() == Some(b'(');
        if called {
            self.at += 1;
            self.blanks();
        }
        if let Some((name, quoted, end)) = header_name(bytes, self.at) {
            self.found(name, quoted, next, usage);
            self.at = end;
            return false;
        }
        if !called {
            // `defined __has_include`; or a macro that is another name for the operator.
            return self.line_ends();
        }
        let place = Place::Condition { next, usage };
        let name = self.identifier();
        if name.is_empty() {
            // `defined(__has_include)` has its parenthesis behind.
            self.computed(None, place);
            return false;
        }
        self.blanks();
        let whole = matches!(self.peek(), Some(b')')) || (usage == Use::Data && self.peek() != Some(b'('));
        if whole && parameters.contains(&name) {
            return true;
        }
        self.computed((whole && is_ident_start(name[0])).then_some(name), place);
        false
    }

    /// Notes `NAME(ARGUMENT)` in a condition: `NAME` may stand for `__has_include`.
    fn call(&mut self, name: &'t [u8]) {
        let back = self.at;
        self.blanks();
        if name != b"defined" && self.peek() == Some(b'(') {
            self.at += 1;
            self.blanks();
            let argument = self.identifier();
            self.blanks();
            let line = self.text.line(self.at);
            if self.peek() == Some(b')')
                && argument.first().is_some_and(|&byte| is_ident_start(byte))
                && let Some(macros) = &mut self.macros
            {
                macros.calls.push(Call { name: name.into(), argument: argument.into(), line });
            }
        }
        self.at = back;
    }

    /// `#define`. What its body says to the compiler is read as code by the caller.
    fn define(&mut self) {
        if self.macros.is_none() && !self.conditions {
            return;
        }
        self.blanks();
        let name = self.identifier();
        let mut parameters = Vec::new();
        let function = self.peek() == Some(b'(');
        if function {
            self.at += 1;
            loop {
                self.blanks();
                match self.peek() {
                    None | Some(b'\n' | b'\r') => break,
                    Some(byte) if is_ident_start(byte) => parameters.push(self.identifier()),
                    Some(byte) => {
                        self.at += 1;
                        if byte == b')' {
                            break;
                        }
                    }
                }
            }
        }
        let start = self.at;
        if self.conditions && self.condition(&parameters) && self.macros.is_none() {
            self.facts.wrappers.push(name.into());
        }
        self.at = start;
        if self.macros.is_some() {
            let body = if function { Body::Function } else { self.body() };
            if let Some(macros) = &mut self.macros {
                macros.define(name, body);
            }
            self.at = start;
        }
    }

    /// The body of an object-like macro, to the end of the line.
    fn body(&mut self) -> Body {
        self.blanks();
        let bytes = self.bytes;
        let body = if self.line_ends() {
            return Body::Empty;
        } else if let Some((name, quoted, end)) = header_name(bytes, self.at) {
            self.at = end;
            if quoted { Body::Quoted(name.into()) } else { Body::Bracketed(name.into()) }
        } else if is_ident_start(bytes[self.at]) {
            Body::Name(self.identifier().into())
        } else {
            // Nothing that begins otherwise expands to a header name.
            return if matches!(bytes[self.at], b'"' | b'<' | b'(') { Body::Other } else { Body::Empty };
        };
        self.blanks();
        if self.line_ends() { body } else { Body::Other }
    }

    fn pragma(&mut self) {
        // As with `#error`, not every pragma consists of tokens (`#pragma mark`).
        self.doubt = true;
        self.blanks();
        let space = self.identifier();
        self.blanks();
        let name = self.identifier();
        self.blanks();
        match (space, name) {
            (b"GCC", b"dependency" | b"pch_preprocess") => {
                let bytes = self.bytes;
                if let Some((name, quoted, end)) = header_name(bytes, self.at) {
                    self.found(name, quoted, false, Use::Data);
                    self.at = end;
                }
            }
            (b"clang", b"module") if self.identifier() == b"import" => self.note("a clang module"),
            _ => {}
        }
    }

    /// `_Pragma("GCC dependency \"file\"")`, from within its string.
    pub(super) fn pragma_operator(&mut self, content: &[u8]) {
        let Some(operand) = content.trim_ascii().strip_prefix(b"GCC dependency") else { return };
        let operand: Vec<u8> = operand.iter().copied().filter(|&byte| byte != b'\\').collect();
        if let Some((name, quoted, _)) = header_name(operand.trim_ascii(), 0) {
            self.found(name, quoted, false, Use::Data);
        }
    }

    /// `import <x>;`, `export import x;`, `@import x;` at the beginning of a line; stays where it stands.
    pub(super) fn module(&mut self) {
        let back = self.at;
        if self.peek() == Some(b'@') {
            self.at += 1;
        }
        let mut word = self.identifier();
        if word == b"export" {
            self.blanks();
            word = self.identifier();
        }
        if word == b"import" && self.peek() != Some(b'(') {
            self.blanks();
            if header_name(self.bytes, self.at).is_some() {
                self.note("a header unit");
            } else if self.peek().is_some_and(|byte| is_ident_start(byte) || byte == b':') {
                let rest = self.rest();
                let length =
                    rest.iter().take_while(|&&byte| is_ident(byte) || matches!(byte, b'.' | b':' | b' ')).count();
                if rest.get(length) == Some(&b';') {
                    self.note("a module");
                }
            }
        }
        self.at = back;
    }

    fn note(&mut self, what: &'static str) {
        if self.macros.is_none() {
            let line = self.text.line(self.at);
            self.facts.modules.push(Note { what, line });
        }
    }
}

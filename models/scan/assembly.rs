//! `.incbin` and `.include`, in assembly and in the strings of inline assembly.

use memchr::{memchr, memchr_iter, memrchr};

use super::facts::{Computed, Embedded, Facts, Place};
use super::text::{is_blank, is_ident, is_ident_start};

/// What follows a directive.
enum Operand<'a> {
    /// A complete name in quotes.
    File(&'a [u8]),
    /// An identifier, perhaps a macro.
    Macro(&'a [u8]),
    /// Something put together by macros.
    Built,
}

/// A directive found in a text.
struct Directive {
    /// Where it begins and where its operand may begin.
    start: usize,
    after: usize,
    /// It is `.include`.
    include: bool,
}

/// Whether a text may hold one of the directives at all. The assembler ignores their case.
pub(super) fn occurs(text: &[u8]) -> bool {
    memchr_iter(b'.', text).any(|at| spelled(&text[at + 1..]).is_some())
}

/// Whether `text` begins with `incbin` or `include` as a whole word; and whether it is `include`.
fn spelled(text: &[u8]) -> Option<bool> {
    let whole = |word: &[u8]| {
        text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
            && !text.get(word.len()).is_some_and(|&byte| is_ident(byte) || byte == b'.')
    };
    // Both are seven bytes with their dot or eight; the first letters tell them apart cheaply.
    if !text.first().is_some_and(|byte| byte.eq_ignore_ascii_case(&b'i')) {
        return None;
    }
    if whole(b"incbin") {
        return Some(false);
    }
    whole(b"include").then_some(true)
}

/// The directives in a text, at places where the assembler could see one.
fn directives(text: &[u8]) -> impl Iterator<Item = Directive> + '_ {
    memchr_iter(b'.', text).filter_map(move |start| {
        let include = spelled(&text[start + 1..])?;
        let before = &text[..start];
        // `foo.include` is a member; `\n.include` within a C string begins a line.
        let escape = matches!(before, [.., b'\\', b'n' | b't' | b'r']);
        let joined = before.last().is_some_and(|&byte| is_ident(byte) || matches!(byte, b'.' | b')' | b']' | b'>'));
        (escape || !joined).then_some(Directive { start, after: start + if include { 8 } else { 7 }, include })
    })
}

/// The directives in `text[from..to]`, which is code for the assembler, preprocessed or not. `text` goes on behind
/// `to`, since the lexer ends a stretch of code where a string begins.
pub(super) fn in_code(text: &[u8], from: usize, to: usize, facts: &mut Facts, line: impl Fn(usize) -> usize) {
    for found in directives(&text[from..to]) {
        let rest = &text[from + found.after..];
        match operand(rest) {
            Some(Operand::File(name)) => {
                facts.embedded.push(Embedded { name: name.into(), include: found.include });
            }
            Some(Operand::Macro(name)) => built(facts, Some(name), &found, line(from + found.start)),
            Some(Operand::Built) => built(facts, None, &found, line(from + found.start)),
            None => {}
        }
    }
}

/// The directives of a whole file of plain assembly.
pub(super) fn plain(text: &[u8]) -> Facts {
    let mut facts = Facts::default();
    for found in directives(text) {
        let line = || 1 + memchr_iter(b'\n', &text[..found.start]).count();
        match operand(&text[found.after..]) {
            Some(Operand::File(name)) => {
                facts.embedded.push(Embedded { name: name.into(), include: found.include });
            }
            // Prose about the directives is common; a comment cannot hurt.
            Some(_) if !commented(&text[..found.start]) => built(&mut facts, None, &found, line()),
            _ => {}
        }
    }
    facts
}

/// Whether the line that `before` ends in begins as a comment does on one of the architectures.
fn commented(before: &[u8]) -> bool {
    let line = memrchr(b'\n', before).map_or(before, |end| &before[end + 1..]);
    line.iter()
        .find(|&&byte| !is_blank(byte))
        .is_some_and(|byte| matches!(byte, b'#' | b';' | b'@' | b'|' | b'!' | b'*' | b'/'))
}

/// The operand at the beginning of `rest`.
fn operand(rest: &[u8]) -> Option<Operand<'_>> {
    let blanks = rest.iter().take_while(|&&byte| is_blank(byte)).count();
    let rest = &rest[blanks..];
    match *rest.first()? {
        b'"' => {
            let line = &rest[1..memchr(b'\n', rest).unwrap_or(rest.len())];
            let Some(end) = memchr(b'"', line) else { return Some(Operand::Built) };
            let name = &line[..end];
            Some(if memchr(b'\\', name).is_some() { Operand::Built } else { Operand::File(name) })
        }
        b'\\' => Some(Operand::Built),
        first if is_ident_start(first) && blanks > 0 => {
            let end = rest.iter().take_while(|&&byte| is_ident(byte)).count();
            let follows = rest[end..].iter().find(|&&byte| !is_blank(byte));
            Some(if follows == Some(&b'(') { Operand::Built } else { Operand::Macro(&rest[..end]) })
        }
        _ => None,
    }
}

/// The directives within a string literal: `content` is what stands between its quotes, `raw` tells a raw literal, and
/// `behind` is the text after it.
pub(super) fn in_string(content: &[u8], raw: bool, behind: &[u8], facts: &mut Facts, line: impl Fn() -> usize) {
    for found in directives(content) {
        let mut rest = &content[found.after..];
        while let Some(next) = match rest {
            [byte, next @ ..] if is_blank(*byte) => Some(next),
            [b'\\', b't', next @ ..] => Some(next),
            _ => None,
        } {
            rest = next;
        }
        let quote: &[u8] = if raw { b"\"" } else { b"\\\"" };
        let Some(named) = rest.strip_prefix(quote) else {
            // The name would come from the literal or macro behind this one. Nothing of the kind behind it: this is a
            // string about the directive (an assembler's own table), not inline assembly.
            if rest.is_empty() && continues(behind) {
                built(facts, None, &found, line());
            }
            continue;
        };
        match memchr::memmem::find(named, quote) {
            Some(end) if memchr(b'\\', &named[..end]).is_none() => {
                facts.embedded.push(Embedded { name: named[..end].into(), include: found.include });
            }
            Some(_) => built(facts, None, &found, line()),
            None if continues(behind) => built(facts, None, &found, line()),
            None => {}
        }
    }
}

/// Whether what follows a string literal may make it longer: another literal, a macro, a stringified parameter.
fn continues(behind: &[u8]) -> bool {
    behind
        .iter()
        .find(|&&byte| !is_blank(byte) && !matches!(byte, b'\n' | b'\r'))
        .is_some_and(|&byte| matches!(byte, b'"' | b'#' | b'/') || is_ident_start(byte))
}

fn built(facts: &mut Facts, name: Option<&[u8]>, found: &Directive, line: usize) {
    let place = Place::Assembler { include: found.include };
    facts.computed.push(Computed { name: name.map(Into::into), place, line });
}

//! Which files a NASM source names: `%include`, `incbin`, `%pathsearch`, `%depend`, whether or not a condition hides them.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::{FileKind, Reason, World};

/// What a scan found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Every file that a name may mean.
    pub files: Vec<PathBuf>,
    /// A place where a macro makes the name.
    pub computed: Option<String>,
    /// Something that cannot be sealed.
    pub refused: Option<Reason>,
    /// A macro for the time of the assembly is used.
    pub volatile: bool,
}

/// Macros that stand for the time of the assembly (NASM manual, "Standard Macros"), with what their names share.
const TIME: &[&[u8]] =
    &[b"__DATE", b"__TIME", b"__UTC_", b"__POSIX_TIME", b"__?DATE", b"__?TIME", b"__?UTC_", b"__?POSIX_TIME"];

/// Follows the sources at `roots`.
pub(super) fn scan(roots: &[PathBuf], include_dirs: &[OsString], cwd: &Path, world: &dyn World) -> Found {
    let mut found = Found::default();
    let mut seen: HashSet<PathBuf> = HashSet::new();
    let mut pending: Vec<PathBuf> = roots.to_vec();
    while let Some(path) = pending.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let Ok(content) = world.read(&path) else { continue };
        found.files.push(path.clone());
        let own = path.parent().unwrap_or(cwd);
        for line in content.split(|&byte| byte == b'\n') {
            let line = without_comment(line);
            found.volatile |= TIME.iter().any(|name| line.windows(name.len()).any(|part| part == *name));
            found.refused = found.refused.or_else(|| refused(line));
            for named in names(line) {
                match named {
                    Named::Computed => found.computed = Some(path.to_string_lossy().into_owned()),
                    Named::File { name, is_source } => {
                        let candidates = candidates(OsStr::from_bytes(name), include_dirs, own, cwd);
                        for candidate in candidates {
                            if world.kind(&candidate) != Some(FileKind::File) {
                                continue;
                            }
                            if is_source {
                                pending.push(candidate);
                            } else if seen.insert(candidate.clone()) {
                                found.files.push(candidate);
                            }
                        }
                    }
                }
            }
        }
    }
    found
}

/// Where a named file may be: in the working directory, beside the naming file (yasm), in each directory of `-I`, which
/// NASM before 2.14 put before the name without a slash.
pub(super) fn candidates(name: &OsStr, include_dirs: &[OsString], own: &Path, cwd: &Path) -> Vec<PathBuf> {
    let mut candidates = vec![cwd.join(name), own.join(name)];
    for directory in include_dirs {
        candidates.push(cwd.join(directory).join(name));
        candidates.push(own.join(directory).join(name));
        let mut glued = directory.as_bytes().to_vec();
        glued.extend_from_slice(name.as_bytes());
        candidates.push(cwd.join(OsString::from_vec(glued)));
    }
    candidates.sort();
    candidates.dedup();
    candidates
}

/// A line up to a `;` that is not in quotes.
fn without_comment(line: &[u8]) -> &[u8] {
    let mut quote = None;
    for (at, &byte) in line.iter().enumerate() {
        match (byte, quote) {
            (b';', None) => return &line[..at],
            (b'\'' | b'"' | b'`', None) => quote = Some(byte),
            (_, Some(open)) if byte == open => quote = None,
            _ => {}
        }
    }
    line
}

/// `%!NAME` is an environment variable; `[map symbols file]` writes a file.
fn refused(line: &[u8]) -> Option<Reason> {
    let names_variable = |pair: &[u8]| {
        pair[0] == b'%' && pair[1] == b'!' && (pair[2].is_ascii_alphabetic() || b"_'\"`".contains(&pair[2]))
    };
    if line.windows(3).any(names_variable) {
        return Some(Reason::Unsealable("environment variables that the source names".to_owned()));
    }
    let start = line.trim_ascii_start();
    let is_map = start.len() > 5 && start[..4].eq_ignore_ascii_case(b"[map") && start[4].is_ascii_whitespace();
    is_map.then(|| Reason::UnknownOption("[map]".to_owned()))
}

#[derive(Debug, PartialEq, Eq)]
enum Named<'a> {
    File { name: &'a [u8], is_source: bool },
    Computed,
}

/// What a line without its comment names.
fn names(line: &[u8]) -> Vec<Named<'_>> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < line.len() {
        let (word, end) = word_at(line, at);
        if word.is_empty() {
            at = end.max(at + 1);
            continue;
        }
        let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
        let rest = line[end..].trim_ascii_start();
        if is(b"%include") || is(b"%depend") {
            out.push(quoted(rest, is(b"%include")));
        } else if is(b"incbin") && !follows_macro(line, at) {
            out.push(quoted(rest, false));
        } else if is(b"%pathsearch") {
            let (_, after) = word_at(rest, 0);
            out.push(quoted(rest[after..].trim_ascii_start(), false));
        }
        at = end;
    }
    out
}

/// Whether the word at `at` is the name in a macro's definition, as in NASM's own `%imacro incbin`.
fn follows_macro(line: &[u8], at: usize) -> bool {
    let before = line[..at].trim_ascii().to_ascii_lowercase();
    before.starts_with(b"%") && before.ends_with(b"macro")
}

/// The word that starts at `at`, with `%` and `$` taken as letters, and where it ends; empty where no word starts.
fn word_at(line: &[u8], at: usize) -> (&[u8], usize) {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_%$.?@".contains(byte);
    match line.get(at).copied().unwrap_or_default() {
        quote @ (b'\'' | b'"' | b'`') => {
            let close = line[at + 1..].iter().position(|&byte| byte == quote);
            (&[], close.map_or(line.len(), |close| at + close + 2))
        }
        _ => {
            let end = line
                .get(at..)
                .unwrap_or_default()
                .iter()
                .position(|byte| !is_word(byte))
                .map_or(line.len(), |length| at + length);
            (line.get(at..end).unwrap_or_default(), end)
        }
    }
}

/// The string at the start of `rest`; a macro's parameter or anything but a string is computed.
fn quoted(rest: &[u8], is_source: bool) -> Named<'_> {
    let Some((&open, inner)) = rest.split_first().filter(|(open, _)| b"'\"`<".contains(open)) else {
        return Named::Computed;
    };
    let close = if open == b'<' { b'>' } else { open };
    match inner.iter().position(|&byte| byte == close) {
        Some(end) if !inner[..end].iter().any(|&byte| byte == b'%' || (open == b'`' && byte == b'\\')) => {
            Named::File { name: &inner[..end], is_source }
        }
        _ => Named::Computed,
    }
}

/// The names in the right side of a make rule: a backslash keeps a blank, and joins lines.
pub(super) fn make_names(text: &[u8]) -> Vec<OsString> {
    let mut out = Vec::new();
    let mut word = Vec::new();
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if matches!(bytes.peek(), Some(b' ' | b'\\' | b'#')) => word.extend(bytes.next()),
            b'\\' if bytes.peek() == Some(&b'\n') => {}
            b'$' if bytes.peek() == Some(&b'$') => word.extend(bytes.next()),
            byte if byte.is_ascii_whitespace() => {
                if !word.is_empty() {
                    out.push(OsString::from_vec(std::mem::take(&mut word)));
                }
            }
            byte => word.push(byte),
        }
    }
    if !word.is_empty() {
        out.push(OsString::from_vec(word));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(line: &str) -> Vec<String> {
        names(without_comment(line.as_bytes()))
            .into_iter()
            .map(|named| match named {
                Named::File { name, is_source } => {
                    format!("{}{}", if is_source { "+" } else { "" }, String::from_utf8_lossy(name))
                }
                Named::Computed => "?".to_owned(),
            })
            .collect()
    }

    #[test]
    fn lines() {
        for (line, expected) in [
            ("%include \"a.inc\"", vec!["+a.inc"]),
            ("  %INCLUDE 'a b.inc' ; %include \"c\"", vec!["+a b.inc"]),
            ("data: incbin \"blob\",4,5", vec!["blob"]),
            ("times 2 INCBIN `blob`", vec!["blob"]),
            ("%pathsearch found \"x.bin\"", vec!["x.bin"]),
            ("%depend 'dep'", vec!["dep"]),
            ("%include MACRO", vec!["?"]),
            ("incbin %1", vec!["?"]),
            ("%include \"%1.inc\"", vec!["?"]),
            ("%imacro incbin 1-2+ 0", vec![]),
            ("; %include \"a\"", vec![]),
            ("db \"%include 'a'\"", vec![]),
            ("db ';', 1\n", vec![]),
            ("myincbin \"x\"", vec![]),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
    }

    #[test]
    fn make_rules() {
        assert_eq!(make_names(b" a.asm b\\ c.inc \\\n d$$.inc\n"), ["a.asm", "b c.inc", "d$.inc"]);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = names(without_comment(&line));
            let _ = refused(&line);
            let _ = make_names(&line);
        }

        #[test]
        fn directives_never_panic(line in "(%include|incbin|%pathsearch|[ \"'`%;<>a]){0,20}") {
            let _ = names(without_comment(line.as_bytes()));
        }
    }
}

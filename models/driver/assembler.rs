//! The assembler's own arguments among a driver's (`-Wa,`, `-Xassembler`). Source: the manual of GNU as, "Command-Line
//! Options", and of its x86 and ARM ports.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::Reason;

/// What an argument of the assembler is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Reads and writes nothing.
    Harmless,
    /// The same, and the next word is its value.
    HarmlessWith,
    /// A directory for `.include` and `.incbin`, joined or in the next word.
    Directory,
    /// A file that is written, in the next word.
    Writes,
    /// A listing: to the file after `=`, else to standard output.
    Listing,
}
use Kind::{Directory, Harmless, HarmlessWith, Listing, Writes};

/// Spelling, whether more may follow in the same word, meaning.
const ROWS: &[(&str, bool, Kind)] = &[
    ("-a", true, Listing),
    ("-I", true, Directory),
    ("--MD", false, Writes),
    ("--defsym", false, HarmlessWith),
    ("--alternate", false, Harmless),
    ("--compress-debug-sections", true, Harmless),
    ("--nocompress-debug-sections", false, Harmless),
    ("--divide", false, Harmless),
    ("--execstack", false, Harmless),
    ("--noexecstack", false, Harmless),
    ("--fatal-warnings", false, Harmless),
    ("--no-warn", false, Harmless),
    ("--warn", false, Harmless),
    ("--gdwarf-", true, Harmless),
    ("--gstabs", true, Harmless),
    ("--gen-debug", false, Harmless),
    ("--generate-missing-build-notes=", true, Harmless),
    ("--elf-stt-common=", true, Harmless),
    ("--hash-size=", true, Harmless),
    ("--reduce-memory-overheads", false, Harmless),
    ("--keep-locals", false, Harmless),
    ("--no-pad-sections", false, Harmless),
    ("--sectname-subst", false, Harmless),
    ("--size-check=", true, Harmless),
    ("--strip-local-absolute", false, Harmless),
    ("--traditional-format", false, Harmless),
    ("--multibyte-handling=", true, Harmless),
    ("--listing-", true, Harmless),
    ("--debug-prefix-map", true, Harmless),
    ("--32", false, Harmless),
    ("--64", false, Harmless),
    ("--x32", false, Harmless),
    ("-m", true, Harmless),
    ("-g", true, Harmless),
    ("-W", false, Harmless),
    ("-D", false, Harmless),
    ("-f", false, Harmless),
    ("-J", false, Harmless),
    ("-L", false, Harmless),
    ("-R", false, Harmless),
    ("-n", false, Harmless),
    ("-q", false, Harmless),
    ("-s", false, Harmless),
    ("-Z", false, Harmless),
    ("-O", true, Harmless),
    ("-EL", false, Harmless),
    ("-EB", false, Harmless),
    ("-fPIC", false, Harmless),
    ("-pic", false, Harmless),
];

/// An argument with what it means and its operand.
fn rows(words: &[OsString]) -> impl Iterator<Item = (Option<Kind>, &OsStr, &OsStr)> {
    let mut words = words.iter();
    std::iter::from_fn(move || {
        let word = words.next()?;
        let bytes = word.as_bytes();
        let row = ROWS
            .iter()
            .filter(|(spelling, more, _)| match bytes.strip_prefix(spelling.as_bytes()) {
                Some(rest) => rest.is_empty() || *more,
                None => false,
            })
            .max_by_key(|(spelling, ..)| spelling.len());
        let kind = row.map(|(.., kind)| *kind);
        let rest = OsStr::from_bytes(&bytes[row.map_or(0, |(spelling, ..)| spelling.len())..]);
        let operand = match kind {
            Some(HarmlessWith | Writes) => words.next().map_or(OsStr::new(""), OsString::as_os_str),
            Some(Directory) if rest.is_empty() => words.next().map_or(OsStr::new(""), OsString::as_os_str),
            _ => rest,
        };
        Some((kind, word.as_os_str(), operand))
    })
}

/// The directories of `-I`.
pub fn directories(words: &[OsString]) -> Vec<OsString> {
    rows(words).filter(|(kind, ..)| *kind == Some(Directory)).map(|(.., operand)| operand.to_owned()).collect()
}

/// The files that the assembler writes beside its object.
///
/// # Errors
/// [`Reason::UnknownOption`]; [`Reason::Stdout`] for a listing without a file.
pub fn written(words: &[OsString]) -> Result<Vec<OsString>, Reason> {
    let mut out = Vec::new();
    for (kind, word, operand) in rows(words) {
        match kind {
            None => return Err(Reason::UnknownOption(format!("-Wa,{}", word.to_string_lossy()))),
            Some(Writes) => out.push(operand.to_owned()),
            Some(Listing) => match operand.as_bytes().iter().position(|&byte| byte == b'=') {
                Some(equals) => out.push(OsStr::from_bytes(&operand.as_bytes()[equals + 1..]).to_owned()),
                None => return Err(Reason::Stdout),
            },
            Some(Harmless | HarmlessWith | Directory) => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(',').map(OsString::from).collect()
    }

    #[test]
    fn every_kind() {
        assert_eq!(written(&words("--noexecstack,-mrelax-relocations=no,--defsym,X=1")), Ok(vec![]));
        assert_eq!(written(&words("-adhlns=x.lst,--MD,y.d")), Ok(vec!["x.lst".into(), "y.d".into()]));
        assert_eq!(written(&words("-al")), Err(Reason::Stdout));
        assert_eq!(written(&words("--what")), Err(Reason::UnknownOption("-Wa,--what".into())));
        assert_eq!(directories(&words("-Ia,-I,b,-g")), ["a", "b"]);
    }
}

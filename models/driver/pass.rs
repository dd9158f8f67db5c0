//! Arguments that a driver hands on: to the preprocessor, the assembler, Clang's inner compiler, LLVM.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;

use super::name::Family;
use super::option::{self, Dependency, Found, Meaning};
use crate::Reason;

/// Parts `a,b,c`, the operand of `-Wp,` and `-Wa,`.
pub fn commas(operand: &OsStr) -> Vec<OsString> {
    operand.as_bytes().split(|&byte| byte == b',').map(|piece| OsStr::from_bytes(piece).to_owned()).collect()
}

fn unknown(prefix: &str, word: &OsStr) -> Reason {
    Reason::UnknownOption(format!("{prefix}{}", word.to_string_lossy()))
}

/// The options among the preprocessor's own arguments. There `-MD` and `-MMD` take a file (GCC manual, "Invocation" of
/// the preprocessor).
///
/// # Errors
/// [`Reason::UnknownOption`].
pub fn preprocessor(words: &[OsString], family: Family) -> Result<Vec<Found>, Reason> {
    let mut out = Vec::new();
    let mut index = 0;
    while let Some(word) = words.get(index) {
        let next = words.get(index + 1);
        let found = option::find(word, next, family).ok_or_else(|| unknown("-Wp,", word))?;
        index += 1 + usize::from(found.separate);
        match found.meaning {
            Meaning::Dependency(Dependency::Beside) => {
                out.push(found);
                if let Some(file) = next {
                    index += 1;
                    out.push(file_found(file));
                }
            }
            Meaning::Define
            | Meaning::Undefine
            | Meaning::Include(_)
            | Meaning::Forced
            | Meaning::Dependency(_)
            | Meaning::Listed
            | Meaning::Harmless => out.push(found),
            _ => return Err(unknown("-Wp,", word)),
        }
    }
    Ok(out)
}

/// `-MF file`, for the file after the preprocessor's own `-MD`.
fn file_found(file: &OsStr) -> Found {
    Found { spelling: "-MF", meaning: Meaning::Dependency(Dependency::File), operand: file.to_owned(), separate: false }
}

/// An argument of `-mllvm`.
///
/// # Errors
/// [`Reason::UnknownOption`] for one whose value is neither a number nor a truth value, since it may name a file.
pub fn llvm(word: &OsStr) -> Result<(), Reason> {
    let Some(equals) = word.as_bytes().iter().position(|&byte| byte == b'=') else { return Ok(()) };
    let value = &word.as_bytes()[equals + 1..];
    let plain = value.iter().all(u8::is_ascii_digit) || [&b"true"[..], b"false", b"always", b"never"].contains(&value);
    if plain { Ok(()) } else { Err(unknown("-mllvm ", word)) }
}

/// Words collected one by one from `-Xpreprocessor` and `-Xclang`, each with the arguments it came from.
#[derive(Debug, Default)]
pub struct Words {
    /// From `-Xpreprocessor`.
    pub preprocessor: Vec<(OsString, Range<usize>)>,
    /// From `-Xclang`.
    pub inner: Vec<(OsString, Range<usize>)>,
}

/// Options of Clang's inner compiler: spelling, whether the next word is its value. They read and write nothing.
const INNER: &[(&str, bool)] = &[
    ("-target-feature", true),
    ("-target-cpu", true),
    ("-tune-cpu", true),
    ("-main-file-name", true),
    ("-disable-llvm-passes", false),
    ("-disable-O0-optnone", false),
    ("-no-opaque-pointers", false),
    ("-opaque-pointers", false),
    ("-fno-pch-timestamp", false),
    ("-fno-validate-pch", false),
    ("-fdebug-compilation-dir", true),
    ("-finclude-default-header", false),
    ("-fallow-half-arguments-and-returns", false),
    ("-fnative-half-type", false),
    ("-relaxed-aliasing", false),
    ("-menable-no-infs", false),
    ("-menable-no-nans", false),
    ("-ffake-address-space-map", false),
    ("-Wno-unused-command-line-argument", false),
];

impl Words {
    /// What the collected words mean.
    ///
    /// # Errors
    /// [`Reason::UnknownOption`].
    pub fn finish(self, family: Family) -> Result<Vec<(Found, Range<usize>)>, Reason> {
        let mut out = Vec::new();
        if let Some((_, range)) = self.preprocessor.first() {
            let words: Vec<OsString> = self.preprocessor.iter().map(|(word, _)| word.clone()).collect();
            out.extend(preprocessor(&words, family)?.into_iter().map(|found| (found, range.clone())));
        }
        let mut inner = self.inner.iter();
        while let Some((word, range)) = inner.next() {
            if let Some((_, separate)) = INNER.iter().find(|(it, _)| word == it) {
                if *separate {
                    inner.next();
                }
                continue;
            }
            // What the driver takes too means the same inside, when it has no say in what is read or written.
            let next = inner.clone().next().map(|(word, _)| word);
            match option::find(word, next, family) {
                Some(found) if matches!(found.meaning, Meaning::Harmless | Meaning::Listed | Meaning::Reads) => {
                    if found.separate {
                        inner.next();
                    }
                    out.push((found, range.clone()));
                }
                _ => return Err(unknown("-Xclang ", word)),
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preprocessor_words() {
        let words = commas(OsStr::new("-MMD,dir/.x.d,-DA=1"));
        let found = preprocessor(&words, Family::Gcc).unwrap();
        let short: Vec<_> = found.iter().map(|it| (it.spelling, it.operand.to_str().unwrap())).collect();
        assert_eq!(short, [("-MMD", ""), ("-MF", "dir/.x.d"), ("-D", "A=1")]);
        assert_eq!(
            preprocessor(&commas(OsStr::new("--what")), Family::Gcc),
            Err(Reason::UnknownOption("-Wp,--what".into()))
        );
    }

    #[test]
    fn llvm_words() {
        assert!(llvm(OsStr::new("-x86-asm-syntax")).is_ok());
        assert!(llvm(OsStr::new("-inline-threshold=100")).is_ok());
        assert!(llvm(OsStr::new("-stats-file=x")).is_err());
    }

    #[test]
    fn inner_words() {
        let words = |list: &[&str]| Words {
            inner: list.iter().enumerate().map(|(index, word)| (word.into(), index..index + 1)).collect(),
            ..Words::default()
        };
        assert!(words(&["-target-feature", "+avx2", "-fcolor-diagnostics"]).finish(Family::Clang).is_ok());
        let load = words(&["-load", "x.so"]).finish(Family::Clang).unwrap();
        assert_eq!((load[0].0.meaning, load[0].0.operand.to_str()), (Meaning::Reads, Some("x.so")));
        assert!(words(&["-ast-dump"]).finish(Family::Clang).is_err());
    }
}

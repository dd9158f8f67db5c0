//! The first line of a script: who runs it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::CaptureError;

/// As much of a script as Linux looks at (`BINPRM_BUF_SIZE`, execve(2)).
const LONGEST: usize = 256;

/// What a first line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FirstLine {
    /// The interpreter's path.
    pub interpreter: PathBuf,
    /// What comes before the script in its arguments: nothing, or all the rest of the line as one (execve(2)).
    pub argument: Option<OsString>,
}

/// What `env` is told to start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EnvCall {
    /// The program, a name or a path.
    pub program: OsString,
    /// What comes before the script in its arguments.
    pub args: Vec<OsString>,
    /// The variables that are set for it.
    pub set: BTreeMap<OsString, OsString>,
}

/// The first line of a file that begins with `content`; `None` if that is no script.
///
/// # Errors
/// [`CaptureError::FirstLine`] for lines that the kernel would misunderstand.
pub(crate) fn first_line(script: &Path, content: &[u8]) -> Result<Option<FirstLine>, CaptureError> {
    let Some(rest) = content.strip_prefix(b"#!") else { return Ok(None) };
    let wrong = |what: &str| CaptureError::FirstLine { script: script.into(), what: what.into() };
    let Some(line) = rest.split(|&byte| byte == b'\n').next().filter(|line| line.len() + 2 < LONGEST) else {
        return Err(wrong(&format!("is longer than {LONGEST} bytes, of which Linux reads no more: shorten it")));
    };
    if line.ends_with(b"\r") {
        let what = "ends with a carriage return, which Linux takes for part of the interpreter's name: convert the script \
            to Unix line ends (`sed -i 's/\\r$//'`)";
        return Err(wrong(what));
    }
    let line = trim(line);
    let end = line.iter().position(|&byte| is_blank(byte)).unwrap_or(line.len());
    let (interpreter, argument) = (&line[..end], trim(&line[end..]));
    if interpreter.is_empty() {
        return Err(wrong("names no interpreter: write its path after `#!`"));
    }
    Ok(Some(FirstLine {
        interpreter: OsStr::from_bytes(interpreter).into(),
        argument: (!argument.is_empty()).then(|| OsStr::from_bytes(argument).into()),
    }))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trim(mut line: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = line
        && is_blank(*first)
    {
        line = rest;
    }
    while let [rest @ .., last] = line
        && is_blank(*last)
    {
        line = rest;
    }
    line
}

/// What `env` starts when the first line of a script gives it this argument (env(1)).
///
/// # Errors
/// [`CaptureError::FirstLine`] where that cannot be said.
pub(crate) fn env_call(script: &Path, argument: Option<&OsStr>) -> Result<EnvCall, CaptureError> {
    let wrong = |what: String| CaptureError::FirstLine { script: script.into(), what };
    let argument = argument.ok_or_else(|| wrong("gives `env` no program: write its name after it".into()))?;
    let bytes = argument.as_bytes();
    let split = bytes.strip_prefix(b"-S").or_else(|| bytes.strip_prefix(b"--split-string="));
    let words = match split {
        Some(text) => words(text).map_err(|what| wrong(what.into()))?,
        None => vec![argument.to_owned()],
    };
    let mut call = EnvCall::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        match bytes {
            // The script's environment is the caller's to say; what is taken from it changes nothing here.
            b"-i" | b"-" | b"--ignore-environment" | b"-v" | b"--debug" => {}
            b"-u" => drop(words.next()),
            [b'-', ..] => {
                return Err(wrong(format!("gives `env` the option {word:?}, which gg does not follow: leave it out")));
            }
            _ => match bytes.iter().position(|&byte| byte == b'=') {
                Some(at) => {
                    let (name, value) = (OsStr::from_bytes(&bytes[..at]), OsStr::from_bytes(&bytes[at + 1..]));
                    call.set.insert(name.into(), value.into());
                }
                None => {
                    call.program = word;
                    call.args = words.collect();
                    break;
                }
            },
        }
    }
    match call.program.as_bytes() {
        b"" => Err(wrong("gives `env` no program: write its name after it".into())),
        name if split.is_none() && name.contains(&b' ') => Err(wrong(format!(
            "makes `env` look for a program called {:?}, for it gets all of the line as one argument: write `env -S`",
            call.program
        ))),
        _ => Ok(call),
    }
}

/// Splits as `env -S` does: at blanks, but for quotes and backslashes.
fn words(text: &[u8]) -> Result<Vec<OsString>, &'static str> {
    let mut out = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, quote) {
            (b'\'' | b'"', None) => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (_, Some(end)) if byte == end => quote = None,
            (b'$', Some(b'"') | None) => return Err("has a variable in it, which gg does not follow: write its value"),
            (b'\\', None | Some(b'"')) => {
                let next = bytes.next().ok_or("ends with a backslash: leave it out")?;
                match next {
                    b'_' if quote.is_none() => out.extend(word.take().map(OsString::from_vec)),
                    b'_' => word.get_or_insert_default().push(b' '),
                    b'c' => break,
                    b't' => word.get_or_insert_default().push(b'\t'),
                    b'n' => word.get_or_insert_default().push(b'\n'),
                    b'r' => word.get_or_insert_default().push(b'\r'),
                    other => word.get_or_insert_default().push(other),
                }
            }
            (b' ' | b'\t', None) => out.extend(word.take().map(OsString::from_vec)),
            (b'#', None) if word.is_none() => break,
            _ => word.get_or_insert_default().push(byte),
        }
    }
    if quote.is_some() {
        return Err("has a quote that does not end: close it");
    }
    out.extend(word.map(OsString::from_vec));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Option<(String, Option<String>)>, String> {
        let found = first_line(Path::new("/s"), text.as_bytes()).map_err(|error| error.to_string())?;
        let text = |text: OsString| text.into_string().unwrap();
        Ok(found.map(|it| (text(it.interpreter.into()), it.argument.map(text))))
    }

    #[test]
    fn first_lines() {
        let some =
            |interpreter: &str, argument: Option<&str>| Ok(Some((interpreter.into(), argument.map(String::from))));
        assert_eq!(line("#!/bin/sh\necho"), some("/bin/sh", None));
        assert_eq!(line("#! /bin/sh -e  \n"), some("/bin/sh", Some("-e")));
        assert_eq!(line("#!/usr/bin/env\t-S a b"), some("/usr/bin/env", Some("-S a b")));
        assert_eq!(line("\x7fELF"), Ok(None));
        assert!(line("#!/bin/sh\r\n").unwrap_err().contains("carriage return"));
        assert!(line("#!\n").unwrap_err().contains("names no interpreter"));
        assert!(line(&format!("#!/{}\n", "a".repeat(300))).unwrap_err().contains("longer than 256 bytes"));
    }

    fn env(argument: &str) -> Result<(String, Vec<String>, Vec<String>), String> {
        let argument = (!argument.is_empty()).then(|| OsStr::new(argument));
        let call = env_call(Path::new("/s"), argument).map_err(|error| error.to_string())?;
        let text = |text: OsString| text.into_string().unwrap();
        let set = call.set.into_iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect();
        Ok((text(call.program), call.args.into_iter().map(text).collect(), set))
    }

    #[test]
    fn what_env_starts() {
        assert_eq!(env("python3"), Ok(("python3".into(), vec![], vec![])));
        let expected = ("python3".into(), vec!["-u".into(), "a b".into()], vec!["A=1".into()]);
        assert_eq!(env("-S -i A=1 python3 -u 'a b'"), Ok(expected));
        assert_eq!(env("-Sperl\\_-w # more"), Ok(("perl".into(), vec!["-w".into()], vec![])));
        assert!(env("python3 -u").unwrap_err().contains("write `env -S`"));
        assert!(env("-C").unwrap_err().contains("does not follow"));
        assert!(env("-S 'a").unwrap_err().contains("quote"));
        assert!(env("-S $A").unwrap_err().contains("variable"));
        assert!(env("").unwrap_err().contains("no program"));
    }
}

//! Words of a shell's command line.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

/// The command line that runs these arguments, for any POSIX shell. It is text, also where they are not.
pub fn line(argv: &[OsString]) -> String {
    argv.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

/// One word.
pub fn quote(word: &OsStr) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+:,@%^".contains(c);
    match word.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(plain) => text.to_owned(),
        Some(text) => format!("'{}'", text.replace('\'', r"'\''")),
        None => printed(word.as_bytes()),
    }
}

/// A word that is no text, by way of printf(1), which every shell has.
fn printed(bytes: &[u8]) -> String {
    let mut format = String::new();
    for &byte in bytes {
        match byte {
            b'%' => format.push_str("%%"),
            b'\\' => format.push_str(r"\\"),
            b'\'' | 0..=31 | 127.. => drop(write!(format, "\\{byte:03o}")),
            _ => format.push(byte.into()),
        }
    }
    format!("\"$(printf '{format}')\"")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_what_was_meant() {
        let words: [&[u8]; 10] = [
            b"-DX=1",
            b"",
            b"a b",
            b"it's",
            b"$HOME `x` \"\\n\"",
            b"tab\t\nline",
            b"caf\xe9 100%d\\n'.c",
            b"\xff\x01x",
            b"-n",
            b"~*?[a]",
        ];
        let words: Vec<OsString> = words.iter().map(|word| OsStr::from_bytes(word).to_owned()).collect();
        let script = format!("printf '%s\\0' {}", line(&words));
        let said = Command::new("sh").args(["-c", &script]).output().unwrap().stdout;
        let mut want = words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>().join(&0);
        want.push(0);
        assert_eq!(said, want, "{script}");
        assert_eq!(line(&words[..3]), "-DX=1 '' 'a b'");
    }
}

//! Response files: `@file` arguments as GCC, Clang and the binutils expand them.
//!
//! The quoting is libiberty's `buildargv`, not the shell's (GCC manual, "Overall Options", `@file`): words are parted by
//! white space, both kinds of quotes hold white space together, and a backslash makes the next character literal
//! anywhere, inside either kind of quotes too. An `@file` that cannot be read stays a literal argument.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::{FileKind, Reason, World};

/// How often one command line may open response files before it counts as one that opens itself (libiberty's limit).
const LIMIT: usize = 2000;

/// A command line with its response files opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// The arguments in order.
    pub args: Vec<OsString>,
    /// The response files that were opened, absolute.
    pub files: Vec<PathBuf>,
}

/// Opens every `@file` among `args`, nested ones too; relative names are looked up from `cwd`.
///
/// # Errors
/// [`Reason::Malformed`] when the files open each other without end.
pub fn expand(args: &[OsString], cwd: &Path, world: &dyn World) -> Result<Expanded, Reason> {
    let mut out = Expanded::default();
    let mut pending: Vec<OsString> = args.iter().rev().cloned().collect();
    while let Some(arg) = pending.pop() {
        let Some(name) = arg.as_bytes().strip_prefix(b"@").filter(|name| !name.is_empty()) else {
            out.args.push(arg);
            continue;
        };
        let path = cwd.join(OsStr::from_bytes(name));
        let content = match world.kind(&path) {
            Some(FileKind::File) => world.read(&path).ok(),
            _ => None,
        };
        let Some(content) = content else {
            out.args.push(arg);
            continue;
        };
        if out.files.len() == LIMIT {
            return Err(Reason::Malformed(format!("response file {} opens itself", path.display())));
        }
        out.files.push(path);
        pending.extend(split(&content).into_iter().rev());
    }
    Ok(out)
}

/// Parts the content of a response file into arguments.
pub fn split(content: &[u8]) -> Vec<OsString> {
    let mut out = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = content.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, quote) {
            // A backslash at the very end stands for nothing.
            (b'\\', _) => word.get_or_insert_default().extend(bytes.next()),
            (_, Some(open)) if byte == open => quote = None,
            (_, Some(_)) => word.get_or_insert_default().push(byte),
            (b'\'' | b'"', None) => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, None) => out.extend(word.take().map(OsString::from_vec)),
            (_, None) => word.get_or_insert_default().push(byte),
        }
    }
    out.extend(word.map(OsString::from_vec));
    out
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;
    use crate::MemoryWorld;

    fn words(content: &str) -> Vec<String> {
        split(content.as_bytes()).into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn quoting() {
        let rows: &[(&str, &[&str])] = &[
            ("", &[]),
            (" \n\t", &[]),
            ("-c a.c\n-o\ta.o", &["-c", "a.c", "-o", "a.o"]),
            ("'a b' \"c d\"", &["a b", "c d"]),
            ("a' 'b", &["a b"]),
            (r"a\ b", &["a b"]),
            (r#""a\"b" 'c\'d'"#, &["a\"b", "c'd"]),
            (r"'a\\b'", &[r"a\b"]),
            ("'' x", &["", "x"]),
            (r#"-DX=\"y\""#, &["-DX=\"y\""]),
            ("'it is \"so\"'", &["it is \"so\""]),
        ];
        for (content, expected) in rows {
            assert_eq!(words(content), *expected, "{content:?}");
        }
    }

    #[test]
    fn nested_missing_and_endless() {
        let world = MemoryWorld::new().with("/w/a.rsp", "-c @sub/b.rsp").with("/w/sub/b.rsp", "x.c").with("/w/l", "@l");
        let expand = |arg: &str| expand(&[arg.into(), "-O2".into()], Path::new("/w"), &world);
        let good = expand("@a.rsp").unwrap();
        assert_eq!(good.args, ["-c", "x.c", "-O2"]);
        assert_eq!(good.files, [PathBuf::from("/w/a.rsp"), PathBuf::from("/w/sub/b.rsp")]);
        assert_eq!(expand("@none").unwrap().args, ["@none", "-O2"]);
        assert!(matches!(expand("@l"), Err(Reason::Malformed(_))));
    }

    proptest! {
        // Any word with every byte behind a backslash comes back as it was.
        #[test]
        fn escaped_words_survive(words in prop::collection::vec(prop::collection::vec(1u8..=255, 1..9), 0..5)) {
            let content: Vec<u8> = words.iter().flat_map(|word| {
                word.iter().flat_map(|&byte| [b'\\', byte]).chain([b'\n'])
            }).collect();
            let expected: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
            prop_assert_eq!(split(&content), expected);
        }
    }

    #[test]
    fn as_gcc_does() {
        let dir = tempfile::tempdir().unwrap();
        let content = "-DA='x y' -D\"B=\\\"q\\\"\" '-DC=a\\'b' -DD=z\\ w";
        std::fs::write(dir.path().join("r"), content).unwrap();
        let out = Command::new("gcc")
            .args(["@r", "-E", "-dM", "-x", "c", "/dev/null"])
            .current_dir(dir.path())
            .output()
            .unwrap();
        let macros = String::from_utf8(out.stdout).unwrap();
        for word in words(content) {
            let (name, value) = word.strip_prefix("-D").unwrap().split_once('=').unwrap();
            assert!(macros.contains(&format!("#define {name} {value}\n")), "{name} {value}");
        }
    }
}

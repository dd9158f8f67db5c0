//! The rules for make that `-M` prints.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The prerequisites of all rules in `text`, in order, as spelled.
///
/// The quoting is GCC's (`munge` in libcpp/mkdeps.cc): a space in a name gets a backslash, and backslashes right before
/// it are doubled; `#` gets a backslash, `$` is doubled; a backslash at the end of a line joins the next one.
pub fn prerequisites(text: &[u8]) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut rule = Rule::default();
    let mut index = 0;
    while index < text.len() {
        match text[index] {
            b'\\' => {
                let run = text[index..].iter().take_while(|&&byte| byte == b'\\').count();
                index += run;
                match text.get(index) {
                    Some(b'\n') => {
                        rule.extend(&b"\\".repeat(run - 1));
                        rule.end_word(&mut out);
                    }
                    Some(&next @ (b' ' | b'\t')) => {
                        rule.extend(&b"\\".repeat(run / 2));
                        if run % 2 == 1 { rule.extend(&[next]) } else { rule.end_word(&mut out) }
                    }
                    Some(&next @ (b'#' | b':')) => {
                        rule.extend(&b"\\".repeat(run - 1));
                        rule.extend(&[next]);
                    }
                    _ => {
                        rule.extend(&b"\\".repeat(run));
                        continue;
                    }
                }
            }
            b'$' if text.get(index + 1) == Some(&b'$') => {
                rule.extend(b"$");
                index += 1;
            }
            b' ' | b'\t' => rule.end_word(&mut out),
            b'\n' => {
                rule.end_word(&mut out);
                rule = Rule::default();
            }
            byte => rule.extend(&[byte]),
        }
        index += 1;
    }
    rule.end_word(&mut out);
    out
}

/// The rule being read.
#[derive(Default)]
struct Rule {
    word: Vec<u8>,
    targets_done: bool,
}

impl Rule {
    fn extend(&mut self, bytes: &[u8]) {
        self.word.extend_from_slice(bytes);
    }

    fn end_word(&mut self, out: &mut Vec<PathBuf>) {
        let word = std::mem::take(&mut self.word);
        if self.targets_done {
            if !word.is_empty() {
                out.push(PathBuf::from(OsString::from_vec(word)));
            }
        } else {
            self.targets_done = word.ends_with(b":");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn quoting() {
        let rows: &[(&str, &[&str])] = &[
            ("a.o: a.c b.h \\\n c.h\n", &["a.c", "b.h", "c.h"]),
            ("a\\ b.o: a\\ b.c\n", &["a b.c"]),
            ("x: a\\\\\\ b c\\\\ d\n", &["a\\ b", "c\\", "d"]),
            ("x: a\\#b $$HOME\n", &["a#b", "$HOME"]),
            ("a.o: a.c\nb.o: b.c\n\nphony:\n", &["a.c", "b.c"]),
            ("x: c:\\d\n", &["c:\\d"]),
        ];
        for (text, expected) in rows {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(prerequisites(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn odd_names_as_the_compilers_write_them() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["a b.h", "x#y.h", "d$e.h", "plain.h", "two  gaps.h"];
        let source: String = names.iter().map(|name| format!("#include \"{name}\"\n")).collect();
        std::fs::write(dir.path().join("m.c"), source).unwrap();
        for name in names {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        for tool in ["gcc", "clang"] {
            let out = Command::new(tool).args(["-M", "m.c"]).current_dir(dir.path()).output().unwrap();
            let found = prerequisites(&out.stdout);
            for name in names {
                assert!(found.iter().any(|path| path.file_name().is_some_and(|it| it == name)), "{tool}: {name}");
            }
        }
    }
}

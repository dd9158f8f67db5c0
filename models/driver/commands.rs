//! The commands that a driver prints for `-###`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// The commands in the answer to `-###`, as argument vectors. Both compilers print each command on a line that starts
/// with a space; an argument with unusual characters is in double quotes, with a backslash before `"`, `\` and `$`
/// (`execute` in GCC's gcc.cc, `Command::printArg` in Clang's Job.cpp).
pub fn commands(text: &[u8]) -> Vec<Vec<OsString>> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if rest.starts_with(b" ") {
            let (command, after) = words(rest);
            out.extend((!command.is_empty()).then_some(command));
            rest = after;
        } else {
            let end = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |end| end + 1);
            rest = &rest[end..];
        }
    }
    // Clang says `(in-process)` of a command it does not start as a program.
    out.retain(|command| command.first().is_some_and(|word| word != "(in-process)"));
    out
}

/// The words up to the first newline outside quotes, and what follows it.
fn words(text: &[u8]) -> (Vec<OsString>, &[u8]) {
    let mut out = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quoted = false;
    let mut index = 0;
    while let Some(&byte) = text.get(index) {
        index += 1;
        match byte {
            b'\\' if quoted => {
                word.get_or_insert_default().extend(text.get(index));
                index += 1;
            }
            b'"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            b' ' if !quoted => out.extend(word.take().map(OsString::from_vec)),
            b'\n' if !quoted => break,
            _ => word.get_or_insert_default().push(byte),
        }
    }
    out.extend(word.map(OsString::from_vec));
    (out, text.get(index..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn as_both_compilers_print() {
        for tool in ["gcc", "clang"] {
            let odd = ["-DA=x y", "-DB=\"q\"", "-DC=a\\b$c", "-DD=l\nm", "-DE='e'"];
            let out = Command::new(tool)
                .args(odd)
                .args(["-###", "-c", "-x", "c", "/dev/null", "-o", "/tmp/a b.o"])
                .output()
                .unwrap();
            let all = commands(&out.stderr);
            let compile = all.iter().find(|it| it.iter().any(|arg| arg == "/dev/null")).unwrap();
            for arg in odd {
                let value = &arg[2..];
                let found = compile.iter().any(|it| it == arg) || compile.iter().any(|it| it == value);
                assert!(found, "{tool}: {arg:?} in {compile:?}");
            }
            assert!(all.iter().any(|it| it.iter().any(|arg| arg == "/tmp/a b.o")));
        }
    }
}

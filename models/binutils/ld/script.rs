//! Linker scripts: which files they name (GNU ld manual, "Linker Scripts").

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// What a linker script says about files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Script {
    /// `INPUT`, `GROUP`, `STARTUP`, with `AS_NEEDED` taken as given; `-lname` stays as it is.
    pub inputs: Vec<OsString>,
    /// `INCLUDE`, at any depth.
    pub includes: Vec<OsString>,
    /// `SEARCH_DIR`
    pub directories: Vec<OsString>,
    /// Names without wildcards in section descriptions, which ld opens if no input has such a name; among them are
    /// words that name no file at all.
    pub sections: Vec<OsString>,
    /// `OUTPUT`
    pub output: Option<OsString>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a [u8]),
    Mark(u8),
}

/// Reads a script. What is no linker script gives nothing.
pub(super) fn parse(text: &[u8]) -> Script {
    let tokens = lex(text);
    let mut script = Script::default();
    let mut depth = 0_usize;
    let mut at = 0;
    while at < tokens.len() {
        let opens = tokens.get(at + 1) == Some(&Token::Mark(b'('));
        match tokens[at] {
            Token::Mark(b'{') => depth += 1,
            Token::Mark(b'}') => depth = depth.saturating_sub(1),
            Token::Mark(_) => {}
            Token::Word(b"INCLUDE") => {
                if let Some(Token::Word(name)) = tokens.get(at + 1) {
                    script.includes.push(name_of(name));
                    at += 1;
                }
            }
            Token::Word(word) if opens && depth == 0 => {
                let (names, end) = group(&tokens, at + 1);
                match word {
                    b"INPUT" | b"GROUP" | b"STARTUP" => script.inputs.extend(names.into_iter().map(name_of)),
                    b"SEARCH_DIR" => script.directories.extend(names.into_iter().map(name_of)),
                    b"OUTPUT" => script.output = names.first().map(|name| name_of(name)),
                    _ => {}
                }
                at = end;
            }
            Token::Word(word) if opens && !word.iter().any(|byte| b"*?[".contains(byte)) => {
                script.sections.push(name_of(word));
            }
            Token::Word(_) => {}
        }
        at += 1;
    }
    script
}

fn name_of(bytes: &[u8]) -> OsString {
    OsStr::from_bytes(bytes).to_owned()
}

/// The words between the parenthesis at `open` and its partner, nested ones included, and where the partner stands.
fn group<'a>(tokens: &[Token<'a>], open: usize) -> (Vec<&'a [u8]>, usize) {
    let mut depth = 0_usize;
    let mut names = Vec::new();
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token {
            Token::Mark(b'(') => depth += 1,
            Token::Mark(b')') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return (names, at);
                }
            }
            Token::Word(b"AS_NEEDED") | Token::Mark(_) => {}
            Token::Word(name) => names.push(*name),
        }
    }
    (names, tokens.len())
}

fn lex(text: &[u8]) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(&byte) = rest.first() {
        if rest.starts_with(b"/*") {
            let end = rest.windows(2).skip(2).position(|pair| pair == b"*/").map_or(rest.len(), |at| at + 4);
            rest = &rest[end..];
        } else if byte == b'#' {
            rest = &rest[rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len())..];
        } else if byte.is_ascii_whitespace() || byte == 0 {
            rest = &rest[1..];
        } else if byte == b'"' {
            let end = rest[1..].iter().position(|&byte| byte == b'"').map_or(rest.len(), |at| at + 1);
            tokens.push(Token::Word(&rest[1..end]));
            rest = rest.get(end + 1..).unwrap_or_default();
        } else if b"(){};,".contains(&byte) {
            tokens.push(Token::Mark(byte));
            rest = &rest[1..];
        } else {
            let ends = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0 || b"(){};,\"".contains(byte);
            let end = rest.iter().position(ends).unwrap_or(rest.len());
            tokens.push(Token::Word(&rest[..end]));
            rest = &rest[end..];
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(names: &[OsString]) -> Vec<&str> {
        names.iter().map(|name| name.to_str().unwrap()).collect()
    }

    #[test]
    fn libc() {
        let script = parse(
            b"/* GNU ld script\n   Use the shared library */\nOUTPUT_FORMAT(elf64-x86-64)\n\
              GROUP ( /lib/x86_64-linux-gnu/libc.so.6 /usr/lib/libc_nonshared.a  AS_NEEDED ( /lib64/ld.so.2 ) -lm )\n",
        );
        assert_eq!(
            names(&script.inputs),
            ["/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/libc_nonshared.a", "/lib64/ld.so.2", "-lm"]
        );
    }

    #[test]
    fn every_command() {
        let script = parse(
            b"STARTUP(crt0.o) SEARCH_DIR(=/lib);SEARCH_DIR(\"two words\") OUTPUT(x.elf)\nINCLUDE common.ld\n\
              INPUT(a.o, \"b c.o\" AS_NEEDED(d.so))\nMEMORY { INCLUDE regions.ld }\n\
              SECTIONS { .text : { start.o(.text) KEEP (*crtbegin.o(.ctors)) *(.text .text.*) } INCLUDE more.ld }",
        );
        assert_eq!(names(&script.inputs), ["crt0.o", "a.o", "b c.o", "d.so"]);
        assert_eq!(names(&script.directories), ["=/lib", "two words"]);
        assert_eq!(names(&script.includes), ["common.ld", "regions.ld", "more.ld"]);
        assert_eq!(names(&script.sections), ["start.o", "KEEP"]);
        assert_eq!(script.output, Some("x.elf".into()));
    }

    #[test]
    fn comments_hide_commands() {
        assert_eq!(parse(b"/* INPUT(a) */ # INPUT(b)\nINPUT(c) /* INPUT(d)"), parse(b"INPUT(c)"));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&text);
        }

        #[test]
        fn broken_scripts_never_panic(text in "(INPUT|GROUP|INCLUDE|[(){}\"/*;, a]){0,40}") {
            let _ = parse(text.as_bytes());
        }
    }
}

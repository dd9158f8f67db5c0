//! Python's command line, as far as it says what is run.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What Python is told to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A file, directory or archive.
    Script(OsString),
    /// `-m`
    Module(OsString),
    /// `-c`
    Code(OsString),
    /// Standard input, or nothing but the interpreter itself.
    Nothing,
}

/// A command line without the program's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// The options that decide where modules are looked for.
    pub options: Vec<OsString>,
    pub target: Target,
    /// How many arguments were looked at; one more than there are where it was seen that there are no more.
    pub asked: usize,
}

/// Arguments that are counted as they are asked for.
struct Words<'a> {
    rest: std::slice::Iter<'a, OsString>,
    asked: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a OsString;

    fn next(&mut self) -> Option<&'a OsString> {
        self.asked += 1;
        self.rest.next()
    }
}

/// Options without a value that decide where modules are looked for (Python's manual, "Command line and environment").
const PLACES: &[u8] = b"EIPsS";

/// Options with a value.
const VALUES: &[u8] = b"WX";

/// Long options with a value of their own.
const LONG_VALUES: &[&str] = &["--check-hash-based-pycs"];

impl Command {
    pub fn parse(args: &[OsString]) -> Self {
        let mut options = Vec::new();
        let mut args = Words { rest: args.iter(), asked: 0 };
        let target = loop {
            let Some(arg) = args.next() else { break Target::Nothing };
            let bytes = arg.as_bytes();
            match bytes {
                b"-" => break Target::Nothing,
                [b'-', b'-', ..] => {
                    if LONG_VALUES.iter().any(|it| arg == OsStr::new(it)) {
                        args.next();
                    }
                }
                [b'-', letters @ ..] => {
                    if let Some(target) = cluster(letters, &mut args, &mut options) {
                        break target;
                    }
                }
                _ => break Target::Script(arg.clone()),
            }
        };
        Self { options, target, asked: args.asked }
    }
}

/// Options in one argument, the last of which may have a value: behind it, or in the next argument.
fn cluster(letters: &[u8], args: &mut Words<'_>, options: &mut Vec<OsString>) -> Option<Target> {
    for (at, letter) in letters.iter().enumerate() {
        let mut value = || match &letters[at + 1..] {
            [] => args.next().cloned().unwrap_or_default(),
            rest => OsString::from_vec(rest.to_vec()),
        };
        match letter {
            b'm' => return Some(Target::Module(value())),
            b'c' => return Some(Target::Code(value())),
            letter if VALUES.contains(letter) => {
                value();
                return None;
            }
            letter if PLACES.contains(letter) => options.push(OsString::from_vec(vec![b'-', *letter])),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines() {
        let parse = |line: &str| {
            let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            let Command { options, target, .. } = Command::parse(&args);
            (options.join(OsStr::new(" ")).into_string().unwrap(), target)
        };
        let (script, module) = (|it: &str| Target::Script(it.into()), |it: &str| Target::Module(it.into()));
        assert_eq!(parse("a.py -m b"), ("".into(), script("a.py")));
        assert_eq!(parse("-u -Wd -X dev a.py"), ("".into(), script("a.py")));
        assert_eq!(parse("-W d -IBm json.tool -s"), ("-I".into(), module("json.tool")));
        assert_eq!(parse("-mjson.tool"), ("".into(), module("json.tool")));
        assert_eq!(parse("-EsSc pass"), ("-E -s -S".into(), Target::Code("pass".into())));
        assert_eq!(parse("--check-hash-based-pycs always -"), ("".into(), Target::Nothing));
        assert_eq!(parse("--version"), ("".into(), Target::Nothing));
    }

    #[test]
    fn what_is_looked_at() {
        let asked = |line: &str| Command::parse(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>()).asked;
        for (line, expected) in
            [("a.py b c", 1), ("-u -W d -c pass x", 5), ("-mjson.tool x", 1), ("- x", 1), ("", 1), ("-V", 2), ("-c", 2)]
        {
            assert_eq!(asked(line), expected, "{line}");
        }
    }
}

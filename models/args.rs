//! Option tables as data, the one parser that reads command lines by them, and `@file`.
//!
//! A table is a text with one option a line; `#` starts a comment line:
//!
//! ```text
//! # meaning  operand    spellings
//! output     either     -o
//! output     long       --output
//! flag       none       -s ~strip-all
//! ```
//!
//! A spelling that starts with `~` stands for the name after one dash and after two (`-strip-all`, `--strip-all`).
//! The operand is one of
//!
//! | word | accepted |
//! |---|---|
//! | `none` | `-s` |
//! | `joined` | `-Idir` |
//! | `separate` | `-o file` |
//! | `either` | `-ofile`, `-o file` |
//! | `equals` | `--name=value` |
//! | `long` | `--name=value`, `--name value` |
//! | `equals?` | `--name`, `--name=value` |
//! | `joined?` | `-O`, `-O2` |
//!
//! What no row describes is [`Reason::UnknownOption`]; unique abbreviations (`--strip-unn`), which GNU tools accept,
//! are among that on purpose, since another version of a tool may give them another meaning.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::{FileKind, Read, Reason, World};

/// How an option takes its operand; see the table in the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// `-s`
    None,
    /// `-Idir`
    Joined,
    /// `-o file`
    Separate,
    /// `-ofile` or `-o file`
    Either,
    /// `--name=value`
    Equals,
    /// `--name=value` or `--name value`
    Long,
    /// `--name` or `--name=value`
    EqualsOptional,
    /// `-O` or `-O2`
    JoinedOptional,
}

impl Operand {
    /// The operand style that a word of a table names.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "none" => Self::None,
            "joined" => Self::Joined,
            "separate" => Self::Separate,
            "either" => Self::Either,
            "equals" => Self::Equals,
            "long" => Self::Long,
            "equals?" => Self::EqualsOptional,
            "joined?" => Self::JoinedOptional,
            _ => return None,
        })
    }

    fn takes_next(self) -> bool {
        matches!(self, Self::Separate | Self::Either | Self::Long)
    }

    fn takes_equals(self) -> bool {
        matches!(self, Self::Equals | Self::Long | Self::EqualsOptional)
    }

    /// Whether the option may stand without one.
    pub fn is_optional(self) -> bool {
        matches!(self, Self::EqualsOptional | Self::JoinedOptional)
    }

    fn takes_joined(self) -> bool {
        matches!(self, Self::Joined | Self::Either | Self::JoinedOptional)
    }
}

/// What the rows of one tool's table may mean.
pub trait Meaning: Copy + PartialEq + std::fmt::Debug {
    /// The meaning that a word of the table names.
    fn parse(word: &str) -> Option<Self>;
}

/// Declares an enum of meanings together with the words that name them in a table.
macro_rules! meanings {
    ($(#[$outer:meta])* $visibility:vis enum $name:ident { $($(#[$inner:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visibility enum $name { $($(#[$inner])* $variant,)* }

        impl $crate::args::Meaning for $name {
            fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}
pub(crate) use meanings;

/// A line of a table that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("option table line {line}: {what} {word:?}; correct the line")]
pub struct TableError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with the word.
    pub what: &'static str,
    /// The word.
    pub word: String,
}

/// Beyond single options, how a tool reads its command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Syntax {
    /// `-sx` means `-s -x`.
    pub clusters: bool,
    /// `--` ends the options.
    pub terminator: bool,
    /// `-name:what` is `-name` for a part of the result.
    pub specifiers: bool,
}

/// The options of one tool.
#[derive(Clone, Debug)]
pub struct Table<M> {
    rows: HashMap<Vec<u8>, (M, Operand)>,
    syntax: Syntax,
}

/// One element of a parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<M> {
    /// An option.
    Option {
        /// What its row says.
        meaning: M,
        /// As the table spells it (`--output`).
        spelling: String,
        /// Its operand.
        value: Option<OsString>,
    },
    /// A file name or other operand.
    Operand(OsString),
}

impl<M: Meaning> Table<M> {
    /// Reads a table in the format of the module's documentation.
    ///
    /// # Errors
    /// The first line with an unknown word or with a spelling that an earlier line has.
    pub fn parse(text: &str, syntax: Syntax) -> Result<Self, TableError> {
        let mut table = Self { rows: HashMap::new(), syntax };
        for (index, line) in text.lines().enumerate() {
            let error = |what, word: &str| TableError { line: index + 1, what, word: word.to_owned() };
            let mut words = line.split_whitespace();
            let Some(meaning) = words.next().filter(|word| !word.starts_with('#')) else { continue };
            let meaning = M::parse(meaning).ok_or_else(|| error("unknown meaning", meaning))?;
            let operand = words.next().unwrap_or_default();
            let operand = Operand::parse(operand).ok_or_else(|| error("unknown operand style", operand))?;
            for spelling in words {
                if !table.add(spelling, meaning, operand) {
                    return Err(error("spelled twice or without a dash:", spelling));
                }
            }
        }
        Ok(table)
    }

    /// An empty table, for [`Table::add`].
    pub fn new(syntax: Syntax) -> Self {
        Self { rows: HashMap::new(), syntax }
    }

    /// Adds one spelling; false when it is there already or does not start with `-`, `~` or `+`.
    pub fn add(&mut self, spelling: &str, meaning: M, operand: Operand) -> bool {
        let mut insert = |name: String| self.rows.insert(name.into_bytes(), (meaning, operand)).is_none();
        match spelling.strip_prefix('~') {
            Some(name) => insert(format!("-{name}")) & insert(format!("--{name}")),
            None => spelling.starts_with(['-', '+']) && insert(spelling.to_owned()),
        }
    }

    /// How an option takes its operand, if there is such an option.
    pub fn operand(&self, spelling: &str) -> Option<Operand> {
        self.rows.get(spelling.as_bytes()).map(|&(_, operand)| operand)
    }

    /// Every spelling with its meaning and operand style, in no order; for tests and for help texts.
    pub fn rows(&self) -> impl Iterator<Item = (&[u8], M, Operand)> {
        self.rows.iter().map(|(spelling, (meaning, operand))| (spelling.as_slice(), *meaning, *operand))
    }

    /// Splits a command line (without `argv[0]`) into options and operands, in order.
    ///
    /// # Errors
    /// [`Reason::UnknownOption`], or [`Reason::Malformed`] when an operand is missing.
    pub fn split(&self, args: &[OsString]) -> Result<Vec<Item<M>>, Reason> {
        let mut items = Vec::with_capacity(args.len());
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            if arg == "--" && self.syntax.terminator {
                items.extend(rest.by_ref().cloned().map(Item::Operand));
            } else if !self.option(arg.as_bytes(), &mut rest, &mut items)? {
                items.push(Item::Operand(arg.clone()));
            }
        }
        Ok(items)
    }

    /// Reads one argument; false when it is an operand.
    fn option(
        &self,
        arg: &[u8],
        rest: &mut std::slice::Iter<'_, OsString>,
        items: &mut Vec<Item<M>>,
    ) -> Result<bool, Reason> {
        let mut push = |spelling: &[u8], meaning, value: Option<&[u8]>| {
            items.push(Item::Option {
                meaning,
                spelling: String::from_utf8_lossy(spelling).into_owned(),
                value: value.map(|value| OsString::from_vec(value.to_vec())),
            });
        };
        let name = match arg.iter().position(|&byte| byte == b':') {
            Some(at) if self.syntax.specifiers && !self.rows.contains_key(arg) => &arg[..at],
            _ => arg,
        };
        if let Some(&(meaning, operand)) = self.rows.get(name) {
            let value = match operand {
                Operand::None | Operand::EqualsOptional | Operand::JoinedOptional => None,
                _ if operand.takes_next() => Some(rest.next().ok_or_else(|| malformed(arg))?.as_bytes()),
                _ => return Err(malformed(arg)),
            };
            push(name, meaning, value);
            return Ok(true);
        }
        if !arg.starts_with(b"-") || arg == b"-" {
            return Ok(false);
        }
        if let Some(at) = arg.iter().position(|&byte| byte == b'=')
            && let Some(&(meaning, operand)) = self.rows.get(&arg[..at])
            && operand.takes_equals()
        {
            push(&arg[..at], meaning, Some(&arg[at + 1..]));
            return Ok(true);
        }
        for end in (2..arg.len()).rev() {
            if let Some(&(meaning, operand)) = self.rows.get(&arg[..end])
                && operand.takes_joined()
            {
                push(&arg[..end], meaning, Some(&arg[end..]));
                return Ok(true);
            }
        }
        if self.syntax.clusters && self.cluster(arg, rest, items)? {
            return Ok(true);
        }
        Err(Reason::UnknownOption(String::from_utf8_lossy(arg).into_owned()))
    }

    /// `-sxo file`: flags, the last of which may take an operand.
    fn cluster(
        &self,
        arg: &[u8],
        rest: &mut std::slice::Iter<'_, OsString>,
        items: &mut Vec<Item<M>>,
    ) -> Result<bool, Reason> {
        let mut found = Vec::new();
        for (index, &letter) in arg.iter().enumerate().skip(1) {
            let name = [b'-', letter];
            let Some(&(meaning, operand)) = self.rows.get(name.as_slice()) else { return Ok(false) };
            let tail = &arg[index + 1..];
            let value = match operand {
                Operand::None => None,
                Operand::JoinedOptional => (!tail.is_empty()).then(|| OsStr::from_bytes(tail).to_owned()),
                _ if operand.takes_joined() && !tail.is_empty() => Some(OsStr::from_bytes(tail).to_owned()),
                _ if operand.takes_next() && tail.is_empty() => {
                    Some(rest.next().ok_or_else(|| malformed(arg))?.clone())
                }
                _ => return Ok(false),
            };
            found.push(Item::Option { meaning, spelling: format!("-{}", char::from(letter)), value });
            if operand != Operand::None {
                break;
            }
        }
        items.append(&mut found);
        Ok(true)
    }
}

fn malformed(arg: &[u8]) -> Reason {
    Reason::Malformed(format!("{} without its operand", String::from_utf8_lossy(arg)))
}

/// How many `@file`s one command line may name: the limit of libiberty's `expandargv`.
const MAX_RESPONSE_FILES: usize = 2000;

/// Replaces each `@file` by the arguments in the file, as libiberty's `expandargv` and LLVM's GNU tokenizer do; gives
/// the arguments and the files read. An `@name` without such a file stays what it is.
///
/// # Errors
/// [`Reason::Malformed`] for a directory or for files that include each other, [`Reason::MissingInput`] for a file
/// that cannot be read.
pub fn expand(args: &[OsString], cwd: &Path, world: &dyn World) -> Result<(Vec<OsString>, Vec<Read>), Reason> {
    let mut out = Vec::with_capacity(args.len());
    let mut reads = Vec::new();
    let mut pending: Vec<OsString> = args.iter().rev().cloned().collect();
    while let Some(arg) = pending.pop() {
        let name = arg.as_bytes().strip_prefix(b"@").filter(|name| !name.is_empty()).map(OsStr::from_bytes);
        let Some((name, kind)) = name.and_then(|name| Some((name, world.kind(&cwd.join(name))?))) else {
            out.push(arg);
            continue;
        };
        let path = cwd.join(name);
        if kind == FileKind::Directory || reads.len() >= MAX_RESPONSE_FILES {
            return Err(Reason::Malformed(format!("{} cannot be expanded", arg.to_string_lossy())));
        }
        let content = world.read(&path).map_err(|_| Reason::MissingInput(path.clone()))?;
        reads.push(Read::File(path));
        pending.extend(tokens(&content).into_iter().rev());
    }
    Ok((out, reads))
}

/// Splits the content of a response file: white space separates, quotes of either kind group, a backslash takes the
/// next byte as it is, within quotes too (libiberty `buildargv`).
pub fn tokens(content: &[u8]) -> Vec<OsString> {
    let mut out = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = content.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, quote) {
            (b'\\', _) => word.get_or_insert_default().extend(bytes.next()),
            (_, Some(open)) if byte == open => quote = None,
            (_, Some(_)) => word.get_or_insert_default().push(byte),
            (b'\'' | b'"', None) => {
                word.get_or_insert_default();
                quote = Some(byte);
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
    use super::*;
    use crate::MemoryWorld;
    use proptest::prelude::*;

    meanings! {
        enum Kind {
            Flag = "flag",
            Value = "value",
        }
    }

    const TEXT: &str = "# a comment\nflag none -s -x ~strip-all\nvalue either -o\nvalue long --output\n\
                        value joined -I\nvalue separate -only\nvalue equals ~sys\nvalue equals? --id\nflag joined? -O\n";

    fn table() -> Table<Kind> {
        Table::parse(TEXT, Syntax { clusters: true, terminator: true, ..Syntax::default() }).unwrap()
    }

    fn os(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn shown(words: &[&str]) -> Result<Vec<String>, Reason> {
        Ok(table()
            .split(&os(words))?
            .into_iter()
            .map(|item| match item {
                Item::Option { spelling, value: None, .. } => spelling,
                Item::Option { spelling, value: Some(value), .. } => format!("{spelling}<{}", value.display()),
                Item::Operand(operand) => operand.to_string_lossy().into_owned(),
            })
            .collect())
    }

    #[test]
    fn every_operand_style() {
        for (line, expected) in [
            (vec!["-s", "a"], vec!["-s", "a"]),
            (vec!["-strip-all", "--strip-all"], vec!["-strip-all", "--strip-all"]),
            (vec!["-ofile", "-o", "file"], vec!["-o<file", "-o<file"]),
            (vec!["-only", "x"], vec!["-only<x"]),
            (vec!["--output=a=b", "--output", "c"], vec!["--output<a=b", "--output<c"]),
            (vec!["-Idir"], vec!["-I<dir"]),
            (vec!["-sys=/", "--sys="], vec!["-sys</", "--sys<"]),
            (vec!["--id", "--id=md5"], vec!["--id", "--id<md5"]),
            (vec!["-O", "-O2"], vec!["-O", "-O<2"]),
            (vec!["-sxo", "file"], vec!["-s", "-x", "-o<file"]),
            (vec!["-sxofile"], vec!["-s", "-x", "-o<file"]),
            (vec!["-", "--", "-s"], vec!["-", "-s"]),
        ] {
            assert_eq!(shown(&line).unwrap(), expected, "{line:?}");
        }
    }

    #[test]
    fn what_no_row_describes_is_named() {
        for line in ["-q", "--strip-al", "-sq", "--sys", "--strip-all=1"] {
            let error = shown(&[line]).unwrap_err();
            let expected = [Reason::UnknownOption(line.to_owned()), malformed(line.as_bytes())];
            assert!(expected.contains(&error), "{line}: {error:?}");
        }
        assert_eq!(shown(&["-o"]), Err(malformed(b"-o")));
        assert_eq!(shown(&["-I"]), Err(malformed(b"-I")));
    }

    #[test]
    fn a_bad_table_names_its_line() {
        let parse = |text| Table::<Kind>::parse(text, Syntax::default()).map(|_| ()).map_err(|error| error.line);
        assert_eq!(parse("flag none -s\nvalue none -s"), Err(2));
        assert_eq!(parse("wrong none -s"), Err(1));
        assert_eq!(parse("\nflag sideways -s"), Err(2));
        assert_eq!(parse("flag none s"), Err(1));
    }

    #[test]
    fn response_files_nest_and_keep_quotes() {
        let world = MemoryWorld::new()
            .with("/w/a.rsp", "one 'two three' \"fo\\\"ur\" @b.rsp\n")
            .with("/w/b.rsp", "fi\\ ve\n''")
            .with("/w/loop", "@loop");
        let (args, reads) = expand(&os(&["x", "@a.rsp", "@none", "@"]), Path::new("/w"), &world).unwrap();
        assert_eq!(args, os(&["x", "one", "two three", "fo\"ur", "fi ve", "", "@none", "@"]));
        assert_eq!(reads, [Read::File("/w/a.rsp".into()), Read::File("/w/b.rsp".into())]);
        assert!(matches!(expand(&os(&["@loop"]), Path::new("/w"), &world), Err(Reason::Malformed(_))));
        assert!(matches!(expand(&os(&["@/"]), Path::new("/w"), &world), Err(Reason::Malformed(_))));
    }

    proptest! {
        #[test]
        fn tokens_invert_quoting(words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..8), 0..6)) {
            let mut text = Vec::new();
            for word in &words {
                text.extend_from_slice(b"''");
                text.extend(word.iter().flat_map(|&byte| [b'\\', byte]));
                text.push(b'\n');
            }
            let expected: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
            prop_assert_eq!(tokens(&text), expected);
        }

        #[test]
        fn splitting_never_panics(words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..8), 0..6)) {
            let words: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
            let _ = table().split(&words);
        }
    }
}

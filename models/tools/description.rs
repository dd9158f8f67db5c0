//! One data file, read.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::ToolError;
use super::form::{File, Follow, Here, Inputs, Needs, Word};
use super::pattern;
use crate::StepKind;
use crate::args::{Meaning, Operand, Syntax, Table, meanings};

meanings! {
    /// What an option or operand is.
    pub(super) enum Role {
        Flag = "flag",
        Input = "input",
        InputDirectory = "input-directory",
        Output = "output",
        Executable = "executable",
        InPlace = "in-place",
        Query = "query",
        Reads = "reads",
        Here = "here",
    }
}

/// The kinds of steps by their names.
const KINDS: &[(&str, StepKind)] = &[
    ("compile", StepKind::Compile),
    ("assemble", StepKind::Assemble),
    ("preprocess", StepKind::Preprocess),
    ("archive", StepKind::Archive),
    ("link", StepKind::Link),
    ("strip", StepKind::Strip),
    ("other", StepKind::Other),
];

/// What the operand of an option may be.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// One of these; anything where there are none.
    pub allowed: Option<Vec<String>>,
    /// None of these.
    pub except: Vec<String>,
    /// Each of the parts between these.
    pub split: Option<char>,
}

/// What outputs may be called, and what has to be given for such ones.
#[derive(Debug)]
pub(super) struct Outputs {
    pub names: Vec<String>,
    /// One of each of these lists of options.
    pub requires: Vec<Vec<String>>,
}

/// When a tool looks at its standard input.
#[derive(Debug)]
pub(super) struct Stdin {
    /// Where one of these options is given, if there are any, ...
    pub with: Vec<String>,
    /// ... and none of these is.
    pub unless: Vec<String>,
}

/// What the name of an output is derived from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The first operand.
    First,
    /// Each operand.
    Each,
    /// The operand of one of these options.
    Options(Vec<String>),
}

/// An output that no option or operand names.
#[derive(Debug)]
pub(super) struct Derived {
    /// One of each of these lists is given.
    pub with: Vec<Vec<String>>,
    /// None of these is given.
    pub without: Vec<String>,
    pub origin: Origin,
    /// What it is derived from fits none of these.
    pub except: Vec<String>,
    /// What it is derived from, and what the output is called; the first that fits.
    pub names: Vec<(String, String)>,
}

/// A tool.
#[derive(Debug)]
pub(super) struct Description {
    pub names: Vec<String>,
    /// What the file behind all links may be called; anything where there are none.
    pub really: Vec<String>,
    pub kind: StepKind,
    pub environment: Vec<String>,
    pub positional: Vec<Role>,
    pub rest: Option<Role>,
    pub response_files: bool,
    /// Options count for the file after them.
    pub sections: bool,
    /// Options with which it writes over what is there; always where nothing is said.
    pub overwrites: Option<Vec<String>>,
    /// When it looks at its standard input, though its operands do not say so; never where nothing is said.
    pub stdin: Option<Stdin>,
    pub here: Here,
    pub needs: Needs,
    pub follow: Option<Follow>,
    pub inputs: Vec<Inputs>,
    pub outputs: Vec<Outputs>,
    pub derived: Vec<Derived>,
    pub options: Table<Role>,
    /// By the option as it is spelled.
    pub values: HashMap<String, Values>,
}

impl Description {
    /// Reads a data file; `path` is for errors.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ToolError> {
        let file: File = toml::from_str(text)
            .map_err(|error| ToolError::Syntax { path: path.to_owned(), message: error.to_string() })?;
        let wrong = |what, word: &Word| ToolError::Meaning {
            path: path.to_owned(),
            line: text[..word.span().start].matches('\n').count() + 1,
            what,
            word: word.get_ref().clone(),
        };
        let role = |word: &Word| Role::parse(word.get_ref()).ok_or_else(|| wrong("there is no role", word));
        let kind = file.kind.as_ref().map(|word| {
            let found = KINDS.iter().find(|(name, _)| name == word.get_ref()).map(|&(_, kind)| kind);
            found.ok_or_else(|| wrong("there is no kind", word))
        });
        let syntax = Syntax { clusters: file.clusters, terminator: file.terminator, specifiers: file.specifiers };
        let (mut options, mut values) = (Table::new(syntax), HashMap::new());
        for row in &file.option {
            let operand = Operand::parse(row.operand.get_ref());
            let operand = operand.ok_or_else(|| wrong("there is no operand", &row.operand))?;
            let meaning = role(&row.role)?;
            for name in &row.names {
                if !options.add(name.get_ref(), meaning, operand) {
                    return Err(wrong("named twice or without a dash:", name));
                }
                let limits = Values { allowed: row.values.clone(), except: row.except.clone(), split: row.split };
                values.insert(name.get_ref().clone(), limits);
            }
        }
        let known = |words: &[Word]| -> Result<Vec<String>, ToolError> {
            let unknown = words.iter().find(|word| !values.contains_key(word.get_ref()));
            match unknown {
                Some(word) => Err(wrong("there is no option", word)),
                None => Ok(plain(words)),
            }
        };
        let is_no_name = |name: &str| name.contains('/') || name == "*" || name.is_empty();
        if let Some(name) = file.names.iter().find(|name| is_no_name(name.get_ref())) {
            return Err(wrong("cannot be a tool's name:", name));
        }
        let mut derived = Vec::new();
        for row in &file.writes {
            let origin = match row.of.iter().map(|word| word.get_ref().as_str()).collect::<Vec<_>>().as_slice() {
                ["first"] => Origin::First,
                ["each"] => Origin::Each,
                _ => Origin::Options(known(&row.of)?),
            };
            for (_, name) in &row.name {
                super::writes::check(name.get_ref(), |option| values.contains_key(option))
                    .map_err(|what| wrong(what, name))?;
            }
            derived.push(Derived {
                with: row.with.iter().map(|words| known(words)).collect::<Result<_, _>>()?,
                without: known(&row.without)?,
                origin,
                except: row.except.clone(),
                names: row.name.iter().map(|(from, to)| (from.clone(), to.get_ref().clone())).collect(),
            });
        }
        let mut outputs = Vec::new();
        for row in &file.outputs {
            let requires = row.requires.iter().map(|words| known(words)).collect::<Result<_, _>>()?;
            outputs.push(Outputs { names: row.names.clone(), requires });
        }
        if let Some(follow) = &file.follow {
            known(&follow.directories)?;
        }
        let overwrites = file.overwrites.as_deref().map(known).transpose()?;
        let stdin = match &file.stdin {
            Some(form) => Some(Stdin { with: known(&form.with)?, unless: known(&form.unless)? }),
            None => None,
        };
        Ok(Self {
            names: plain(&file.names),
            really: file.really,
            kind: kind.transpose()?.unwrap_or(StepKind::Other),
            environment: file.environment,
            positional: file.positional.iter().map(role).collect::<Result<_, _>>()?,
            rest: file.rest.as_ref().map(role).transpose()?,
            response_files: file.response_files,
            sections: file.sections,
            overwrites,
            stdin,
            here: file.here,
            needs: file.needs,
            follow: file.follow,
            inputs: file.inputs,
            outputs,
            derived,
            options,
            values,
        })
    }

    /// Whether a program's file name is one of the tool's.
    pub fn is_called(&self, name: &OsStr) -> bool {
        pattern::fits_one(&self.names, name.as_bytes())
    }
}

fn plain(words: &[Word]) -> Vec<String> {
    words.iter().map(|word| word.get_ref().clone()).collect()
}

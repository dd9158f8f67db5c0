//! One data file, read.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::Deserialize;

use super::ToolError;
use crate::StepKind;
use crate::args::{Operand, Syntax, Table, meanings};

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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    names: Vec<String>,
    #[serde(default = "other")]
    kind: String,
    #[serde(default)]
    environment: Vec<String>,
    #[serde(default)]
    positional: Vec<String>,
    rest: Option<String>,
    #[serde(default)]
    clusters: bool,
    #[serde(default)]
    response_files: bool,
    default_output: Option<DefaultOutput>,
    #[serde(default)]
    option: Vec<OptionRow>,
}

fn other() -> String {
    "other".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OptionRow {
    names: Vec<String>,
    operand: String,
    role: String,
}

/// The output of a call that names none.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct DefaultOutput {
    /// An option's name, or `first` for the first operand.
    pub from: String,
    /// What replaces the suffix.
    pub suffix: Option<String>,
    /// What is added at the end.
    #[serde(default)]
    pub append: String,
}

/// A tool.
#[derive(Debug)]
pub(super) struct Description {
    pub names: Vec<String>,
    pub kind: StepKind,
    pub environment: Vec<String>,
    pub positional: Vec<Role>,
    pub rest: Option<Role>,
    pub response_files: bool,
    pub default_output: Option<DefaultOutput>,
    pub options: Table<Role>,
}

impl Description {
    /// Reads a data file; `path` is for errors.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ToolError> {
        let file: File = toml::from_str(text)
            .map_err(|error| ToolError::Syntax { path: path.to_owned(), message: error.to_string() })?;
        let wrong = |what, word: &str| ToolError::Meaning { path: path.to_owned(), what, word: word.to_owned() };
        let role =
            |word: &String| <Role as crate::args::Meaning>::parse(word).ok_or_else(|| wrong("there is no role", word));
        let kind = KINDS.iter().find(|(name, _)| *name == file.kind).map(|&(_, kind)| kind);
        let mut options = Table::new(Syntax { clusters: file.clusters, terminator: true });
        for row in &file.option {
            let operand = Operand::parse(&row.operand).ok_or_else(|| wrong("there is no operand", &row.operand))?;
            let meaning = role(&row.role)?;
            for name in &row.names {
                if !options.add(name, meaning, operand) {
                    return Err(wrong("named twice or without a dash:", name));
                }
            }
        }
        if let Some(name) = file.names.iter().find(|name| name.contains('/') || name.as_str() == "*" || name.is_empty())
        {
            return Err(wrong("cannot be a tool's name:", name));
        }
        Ok(Self {
            names: file.names,
            kind: kind.ok_or_else(|| wrong("there is no kind", &file.kind))?,
            environment: file.environment,
            positional: file.positional.iter().map(role).collect::<Result<_, _>>()?,
            rest: file.rest.as_ref().map(role).transpose()?,
            response_files: file.response_files,
            default_output: file.default_output,
            options,
        })
    }

    /// Whether a program's file name is one of the tool's.
    pub fn is_called(&self, name: &OsStr) -> bool {
        self.names.iter().any(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
    }
}

/// Whether `name` fits `pattern`, whose `*` stands for anything.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|skip| matches(rest, &name[skip..])),
        Some((byte, rest)) => name.split_first().is_some_and(|(first, name)| first == byte && matches(rest, name)),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("dwp", "dwp", true),
            ("*-dwp", "x86_64-linux-gnu-dwp", true),
            ("*-dwp", "dwp", false),
            ("dwp*", "dwp-14", true),
            ("a*b*c", "a__b_c", true),
            ("a*b*c", "a__c", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}

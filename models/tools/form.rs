//! A data file as it is written.

use serde::Deserialize;
use toml::Spanned;

/// A word, with its place in the file.
pub(super) type Word = Spanned<String>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub names: Vec<Word>,
    #[serde(default)]
    pub really: Vec<String>,
    pub kind: Option<Word>,
    #[serde(default)]
    pub environment: Vec<String>,
    #[serde(default)]
    pub positional: Vec<Word>,
    pub rest: Option<Word>,
    #[serde(default)]
    pub clusters: bool,
    #[serde(default)]
    pub response_files: bool,
    #[serde(default = "yes")]
    pub terminator: bool,
    #[serde(default)]
    pub specifiers: bool,
    #[serde(default)]
    pub sections: bool,
    pub overwrites: Option<Vec<Word>>,
    pub stdin: Option<StdinForm>,
    #[serde(default)]
    pub here: Here,
    #[serde(default)]
    pub needs: Needs,
    pub follow: Option<Follow>,
    #[serde(default)]
    pub inputs: Vec<Inputs>,
    #[serde(default)]
    pub outputs: Vec<OutputsForm>,
    #[serde(default)]
    pub writes: Vec<WritesForm>,
    #[serde(default)]
    pub option: Vec<OptionForm>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OptionForm {
    pub names: Vec<Word>,
    pub operand: Word,
    pub role: Word,
    pub values: Option<Vec<String>>,
    #[serde(default)]
    pub except: Vec<String>,
    pub split: Option<char>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutputsForm {
    pub names: Vec<String>,
    #[serde(default)]
    pub requires: Vec<Vec<Word>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WritesForm {
    #[serde(default)]
    pub with: Vec<Vec<Word>>,
    #[serde(default)]
    pub without: Vec<Word>,
    /// `first`, `each`, or options.
    pub of: Vec<Word>,
    #[serde(default)]
    pub except: Vec<String>,
    pub name: Vec<(String, Word)>,
}

/// When a tool looks at its standard input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StdinForm {
    #[serde(default)]
    pub with: Vec<Word>,
    #[serde(default)]
    pub unless: Vec<Word>,
}

/// What makes a call run here.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Here {
    /// A variable that fits is set.
    #[serde(default)]
    pub variables: Vec<String>,
    /// A file that fits is there.
    #[serde(default)]
    pub files: Vec<String>,
    /// A name of an input or output fits.
    #[serde(default)]
    pub names: Vec<String>,
    /// A line of an input fits.
    #[serde(default)]
    pub lines: Vec<String>,
}

/// What a tool needs to run, beside itself and its libraries.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// Programs that it starts: absolute, or as PATH finds them.
    #[serde(default)]
    pub starts: Vec<String>,
    /// Files and directories with all that is in them: absolute, or from the directory of the program.
    #[serde(default)]
    pub files: Vec<String>,
    /// Shared objects that it loads by name, which may need libraries.
    #[serde(default)]
    pub modules: Vec<String>,
    /// Its message catalogues, without `.mo`.
    #[serde(default)]
    pub messages: Vec<String>,
}

/// What inputs name in turn.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Follow {
    /// The word before a quoted name.
    pub word: String,
    /// Words that may stand between them.
    #[serde(default)]
    pub skip: Vec<String>,
    /// Options that name directories in which names are looked for, in this order.
    pub directories: Vec<Word>,
    /// The directory where none of them is given.
    pub otherwise: String,
    /// Directories that come last: absolute, or from the directory of the program.
    #[serde(default)]
    pub system: Vec<String>,
}

/// What inputs may be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inputs {
    /// Their names.
    pub names: Vec<String>,
    /// How such files begin; in whatever way, where nothing is said.
    #[serde(default)]
    pub begins: Vec<String>,
}

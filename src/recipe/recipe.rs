//! The JSON form of one thunk.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Text, unique};

/// One computation. What is left out is inherited where [`Recipe::inherit`] says so, and has a default else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// Whether the thunk whose program states this gives what is left out. Its inputs are inputs here as well.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub inherit: bool,
    /// What a person calls it; no part of the thunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The program, an absolute path among the inputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<Text>,
    /// In place of `executable`, where a front end takes the recipe: a program by name or path, which is captured with all that
    /// it needs; `args` are those that follow its own name, `env` is added to what it needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<Text>,
    /// With `program`: others that it starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<Text>,
    /// With `program`: Python packages that it imports by names which its text does not show.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// With `program`: files and directories that it opens besides, with the libraries that those among them need.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Text>,
    /// The argument vector, `argv[0]` included \[the executable alone].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<Text>>,
    /// The whole environment \[empty].
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "unique::optional")]
    pub env: Option<BTreeMap<String, Text>>,
    /// The working directory \[/].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<Text>,
    /// The file mode creation mask \[022].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    /// What is visible, by absolute path; `null` takes an inherited one away.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique::map")]
    pub inputs: BTreeMap<String, Option<Source>>,
    /// What it writes, by tag \[nothing].
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "unique::optional")]
    pub outputs: Option<BTreeMap<String, Target>>,
    /// How long it may take, in seconds \[as long as the engine allows].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    /// Whether the result tells more than the inputs say \[false].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volatile: Option<bool>,
    /// Whether writing what is no output is a failure \[true].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// Where an input is from: exactly one of the fields, and `mode` or `output` where they mean something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// A file with this content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A file with this content, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// A file with the content of this object: a value's name, or a thunk's with `#` and the output's tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// A directory and all below it: the name of a tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// A symbolic link with this text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symlink: Option<Text>,
    /// An empty directory; always `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<bool>,
    /// An output of another recipe, by its key in the same graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thunk: Option<String>,
    /// With `thunk`: which output; may be left out where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// What the thunk that states this has as its input at this path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Text>,
    /// What the thunk that states this has written as its output of this tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made: Option<String>,
    /// A file or directory of this machine, with what is in it now; links that lead to it are followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Text>,
    /// The permission bits of a file, in octal digits \[as they are where that is known, else 644].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

impl Source {
    /// The fields that say where it is from.
    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        let said = [
            ("text", self.text.is_some()),
            ("base64", self.base64.is_some()),
            ("object", self.object.is_some()),
            ("tree", self.tree.is_some()),
            ("symlink", self.symlink.is_some()),
            ("directory", self.directory.is_some()),
            ("thunk", self.thunk.is_some()),
            ("input", self.input.is_some()),
            ("made", self.made.is_some()),
            ("file", self.file.is_some()),
        ];
        said.into_iter().filter(|(_, said)| *said).map(|(name, _)| name).collect()
    }
}

/// One output: its path, or its path and what may be said of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged, expecting = "a path or {\"path\": ..., \"optional\": ..., \"dynamic\": ...} was expected")]
pub enum Target {
    /// A file that must be written.
    Path(String),
    /// One of which more is said.
    Described(Described),
}

/// See [`Target::Described`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Described {
    /// Where.
    pub path: Text,
    /// Whether it may be missing.
    #[serde(default)]
    pub optional: bool,
    /// Whether it may be a graph.
    #[serde(default)]
    pub dynamic: bool,
}

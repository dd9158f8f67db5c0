//! What a program wrote in place of an output: a graph, which is to be forced instead.

use std::collections::BTreeMap;

use gg_ir::{Input, Made, Name, Reference, Tag, Thunk};
use serde::Deserialize;

use crate::graph::input_beside;
use crate::seal::{file, path};
use crate::{Graph, RecipeError, Result, Sealed, Source, Sources, Text, seal_all};

/// The first line of a graph.
pub const HEADER: &[u8] = b"gg-graph 1\n";

/// The mode of an output that another thunk writes, where it is that thunk's to say.
pub const UNSAID: u32 = 0;

/// What follows the first line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    thunks: Graph,
    output: Source,
}

/// The thunk whose program wrote it.
pub struct Parent<'a> {
    /// The thunk.
    pub thunk: &'a Thunk,
    /// What its inputs that are outputs of others are.
    pub resolved: &'a BTreeMap<Reference, Name>,
    /// What it has written.
    pub made: &'a BTreeMap<Tag, Made>,
}

/// What a graph comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// The thunks, each after those that it uses.
    pub thunks: Vec<Sealed>,
    /// The content of values that it states.
    pub values: Vec<Vec<u8>>,
    /// What stands for the output.
    pub output: Made,
}

/// Whether an output that may be a graph is one.
pub fn is_graph(content: &[u8]) -> bool {
    content.starts_with(HEADER)
}

/// Reads a graph, of which [`is_graph`] is true.
///
/// # Errors
/// [`RecipeError`] for what is no graph.
pub fn grow(content: &[u8], parent: &Parent<'_>) -> Result<Growth> {
    let json =
        content.strip_prefix(HEADER).ok_or_else(|| RecipeError::new("it does not begin with the line gg-graph 1"))?;
    let written: Written = serde_json::from_slice(json).map_err(|error| RecipeError::new(error.to_string()))?;
    let mut values = parent.thunk.clone();
    for input in values.inputs.values_mut() {
        if let Input::File { object, .. } = input
            && let Some(value) = parent.resolved.get(object)
        {
            *object = Reference::Value(*value);
        }
    }
    let mut sources = FromParent { thunk: &values, made: parent.made, values: Vec::new() };
    let thunks = seal_all(&written.thunks, Some(&values), &mut sources).map_err(|error| error.within("thunks"))?;
    let output = match input_beside(&written.output, &thunks, &mut sources).map_err(|error| error.within("output"))? {
        // Of what another thunk writes, the mode is known when it has.
        Input::File { object, .. } if object.thunk().is_some() && written.output.mode.is_none() => {
            Made { object, mode: UNSAID }
        }
        Input::File { object, mode } => Made { object, mode },
        _ => return Err(RecipeError::new("output: it has to be a file")),
    };
    Ok(Growth { thunks, values: sources.values, output })
}

/// What a program inside a sandbox can name.
struct FromParent<'a> {
    thunk: &'a Thunk,
    made: &'a BTreeMap<Tag, Made>,
    values: Vec<Vec<u8>>,
}

impl FromParent<'_> {
    fn value(&mut self, content: Vec<u8>) -> Input {
        let name = Name::of_value(&content);
        self.values.push(content);
        file(name)
    }
}

impl Sources for FromParent<'_> {
    fn input(&mut self, source: &Source) -> Result<Input> {
        if let Some(text) = &source.text {
            return Ok(self.value(text.clone().into_bytes()));
        }
        if let Some(text) = &source.base64 {
            let content = Text::decode(text).map_err(|error| RecipeError::new(format!("base64: {error}")))?;
            return Ok(self.value(content));
        }
        if let Some(at) = &source.input {
            let at = path(&at.0).map_err(|error| error.within("input"))?;
            let found = self.thunk.inputs.get(&at);
            return found.cloned().ok_or_else(|| {
                RecipeError::new(format!(
                    "input: the thunk that states this has no input at {at} (what is below one of its trees \
                                          is part of the tree)"
                ))
            });
        }
        if let Some(text) = &source.made {
            let made = Tag::new(text.as_str()).ok().and_then(|tag| self.made.get(&tag));
            let made = made.ok_or_else(|| {
                RecipeError::new(format!("made: the thunk that states this has written no output {text:?}"))
            })?;
            return Ok(Input::File { object: made.object.clone(), mode: made.mode });
        }
        let kind = source.kinds().first().copied().unwrap_or_default();
        Err(RecipeError::new(format!("{kind}: what runs in a sandbox cannot name that")))
    }

    fn admit(&mut self, input: &Input) -> Result<()> {
        let is_same = |known: &Input| match (known, input) {
            (Input::File { object: known, .. }, Input::File { object, .. }) => known == object,
            (known, input) => known == input,
        };
        let written = self.values.iter().map(|content| file(Name::of_value(content)));
        let made = self.made.values().map(|made| Input::File { object: made.object.clone(), mode: made.mode });
        if self.thunk.inputs.values().any(is_same) || made.chain(written).any(|known| is_same(&known)) {
            return Ok(());
        }
        Err(RecipeError::new(
            "the thunk that states this has not seen it: it is none of its inputs, and not made by it",
        ))
    }
}

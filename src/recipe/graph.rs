//! Many recipes that use each other's outputs.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use gg_ir::{Input, Name, Reference, Tag, Thunk};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::seal::{input, seal};
use crate::{Recipe, RecipeError, Result, Source, Sources};

/// How many recipes a graph may hold. One that wants more states them in several thunks, each of which states some.
pub const MOST_THUNKS: usize = 100_000;

/// How many inputs the thunks of a graph may have, all together: each has its own, also of those that all inherit.
pub const MOST_INPUTS: usize = 4_000_000;

/// Recipes by key. No two are equally called, and there are at most [`MOST_THUNKS`]: reading ends with an error at the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph(pub BTreeMap<String, Recipe>);

impl<'de> Deserialize<'de> for Graph {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(Recipes)
    }
}

struct Recipes;

impl<'de> Visitor<'de> for Recipes {
    type Value = Graph;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("recipes by key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Graph, A::Error> {
        let mut recipes = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            if recipes.len() == MOST_THUNKS {
                return Err(A::Error::custom(format_args!("more than {MOST_THUNKS} thunks in one graph")));
            }
            let value = map.next_value().map_err(|error| A::Error::custom(format_args!("{key}: {error}")))?;
            if let Some(_twice) = recipes.insert(key.clone(), value) {
                return Err(A::Error::custom(format_args!("{key} is stated twice")));
            }
        }
        Ok(Graph(recipes))
    }
}

/// One recipe, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// What it is called in the graph.
    pub key: String,
    /// What it is called everywhere.
    pub name: Name,
    /// The thunk.
    pub thunk: Thunk,
    /// What a person calls it.
    pub label: Option<String>,
}

/// Makes the thunks of a graph, each after those whose outputs it uses.
///
/// # Errors
/// [`RecipeError`] for what is no thunk, uses what is not there, or waits for itself.
pub fn seal_all(graph: &Graph, parent: Option<&Thunk>, sources: &mut dyn Sources) -> Result<Vec<Sealed>> {
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
    for (key, recipe) in &graph.0 {
        let mut uses = 0;
        for (at, source) in &recipe.inputs {
            let Some(used) = source.as_ref().and_then(|source| source.thunk.as_deref()) else { continue };
            let Some((used, _)) = graph.0.get_key_value(used) else {
                let error = RecipeError::new(format!("there is no thunk called {used:?} in the graph"));
                return Err(error.within(at).within("inputs").within(key));
            };
            users.entry(used).or_default().push(key);
            uses += 1;
        }
        missing.insert(key, uses);
    }
    let mut ready: VecDeque<&str> = missing.iter().filter(|(_, uses)| **uses == 0).map(|(key, _)| *key).collect();
    let mut sealed: Vec<Sealed> = Vec::with_capacity(graph.0.len());
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    let mut inputs = 0;
    while let Some(key) = ready.pop_front() {
        let Some(recipe) = graph.0.get(key) else { continue };
        let mut within = Within { sources: &mut *sources, sealed: &sealed, known: &known };
        let thunk = seal(recipe, parent, &mut within).map_err(|error| error.within(key))?;
        inputs += thunk.inputs.len();
        if inputs > MOST_INPUTS {
            let what =
                format!("more than {MOST_INPUTS} inputs in one graph; a directory with all of them is one input");
            return Err(RecipeError::new(what).within(key));
        }
        missing.remove(key);
        known.insert(key, sealed.len());
        sealed.push(Sealed { key: key.to_owned(), name: thunk.name(), thunk, label: recipe.label.clone() });
        for user in users.remove(key).unwrap_or_default() {
            if let Some(uses) = missing.get_mut(user) {
                *uses -= 1;
                if *uses == 0 {
                    ready.push_back(user);
                }
            }
        }
    }
    match missing.keys().next() {
        None => Ok(sealed),
        Some(stuck) => Err(RecipeError::new(format!(
            "{stuck:?} waits for its own output: these use each other in a circle: {}",
            missing.keys().take(5).copied().collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// What a source stands for beside the thunks of a graph that are known.
pub(crate) fn input_beside(source: &Source, sealed: &[Sealed], sources: &mut dyn Sources) -> Result<Input> {
    let known = sealed.iter().enumerate().map(|(at, sealed)| (sealed.key.as_str(), at)).collect();
    input(source, &mut Within { sources, sealed, known: &known })
}

/// The sources of one recipe among others.
struct Within<'a> {
    sources: &'a mut dyn Sources,
    sealed: &'a [Sealed],
    known: &'a BTreeMap<&'a str, usize>,
}

impl Sources for Within<'_> {
    fn input(&mut self, source: &Source) -> Result<Input> {
        let Some(key) = &source.thunk else { return self.sources.input(source) };
        let Some(used) = self.known.get(key.as_str()).and_then(|&at| self.sealed.get(at)) else {
            return Err(RecipeError::new(format!("thunk: there is no thunk called {key:?} in the graph")));
        };
        let outputs = &used.thunk.outputs;
        let tag = match &source.output {
            Some(text) => Tag::new(text.as_str()).ok().filter(|tag| outputs.contains_key(tag)),
            None if outputs.len() == 1 => outputs.keys().next().cloned(),
            None => {
                let count = outputs.len();
                return Err(RecipeError::new(format!("output: {key:?} has {count} outputs; say which one")));
            }
        };
        let Some(tag) = tag else {
            let said = source.output.as_deref().unwrap_or_default();
            return Err(RecipeError::new(format!("output: {key:?} has no output {said:?}")));
        };
        Ok(Input::File { object: Reference::Output(used.name, tag), mode: 0o644 })
    }

    fn admit(&mut self, input: &Input) -> Result<()> {
        self.sources.admit(input)
    }
}

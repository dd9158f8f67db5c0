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
    let (sealed, failed) = seal_each(graph, BTreeMap::new(), parent, sources)?;
    match failed.into_iter().find(|(_, why)| !why.is_dependency()) {
        None => Ok(sealed),
        Some((key, error)) => Err(error.within(&key)),
    }
}

/// As [`seal_all`], but leaves out what is no thunk, and what uses such; says of each, by its key, why. Of some it may be known
/// before that they have `failed`.
///
/// # Errors
/// [`RecipeError`] where it is the graph as a whole: too large, or going round in a circle.
pub fn seal_each(
    graph: &Graph,
    mut failed: BTreeMap<String, RecipeError>,
    parent: Option<&Thunk>,
    sources: &mut dyn Sources,
) -> Result<(Vec<Sealed>, BTreeMap<String, RecipeError>)> {
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
    for (key, recipe) in &graph.0 {
        let mut uses = 0;
        for (at, source) in &recipe.inputs {
            let Some(used) = source.as_ref().and_then(|source| source.thunk.as_deref()) else { continue };
            let Some((used, _)) = graph.0.get_key_value(used) else {
                let error = RecipeError::new(format!("there is no thunk called {used:?} in the graph"));
                failed.entry(key.clone()).or_insert(error.within(at).within("inputs"));
                continue;
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
        missing.remove(key);
        if !failed.contains_key(key) {
            let mut within = Within { sources: &mut *sources, sealed: &sealed, known: &known };
            match seal(recipe, parent, &mut within) {
                Ok(thunk) => {
                    inputs += thunk.inputs.len();
                    known.insert(key, sealed.len());
                    let label = recipe.label.clone();
                    sealed.push(Sealed { key: key.to_owned(), name: thunk.name(), thunk, label });
                }
                Err(error) => drop(failed.insert(key.to_owned(), error)),
            }
        }
        if inputs > MOST_INPUTS {
            let what =
                format!("more than {MOST_INPUTS} inputs in one graph; a directory with all of them is one input");
            return Err(RecipeError::new(what).within(key));
        }
        for user in users.remove(key).unwrap_or_default() {
            if let Some(why) = failed.get(key) {
                let why = RecipeError::dependency(format!("it uses {key:?}, which is no thunk: {why}"));
                failed.entry(user.to_owned()).or_insert(why);
            }
            if let Some(uses) = missing.get_mut(user) {
                *uses -= 1;
                if *uses == 0 {
                    ready.push_back(user);
                }
            }
        }
    }
    match missing.keys().next() {
        None => Ok((sealed, failed)),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine on which there are no files.
    struct Nowhere;

    impl Sources for Nowhere {
        fn input(&mut self, source: &Source) -> Result<Input> {
            match &source.text {
                Some(text) => Ok(crate::seal::file(Name::of_value(text.as_bytes()))),
                None => Err(RecipeError::new("not here")),
            }
        }
    }

    fn each(json: &str) -> Result<(Vec<String>, BTreeMap<String, String>)> {
        let graph: Graph = serde_json::from_str(json).map_err(|error| RecipeError::new(error.to_string()))?;
        let (sealed, failed) = seal_each(&graph, BTreeMap::new(), None, &mut Nowhere)?;
        let failed = failed.into_iter().map(|(key, why)| (key, why.to_string())).collect();
        Ok((sealed.into_iter().map(|sealed| sealed.key).collect(), failed))
    }

    #[test]
    fn what_is_no_thunk_is_left_out_with_what_uses_it() {
        let graph = r#"{
            "good": {"executable": "/p", "inputs": {"/a": {"text": ""}}, "outputs": {"o": "/o"}},
            "bad": {"executable": "/p", "inputs": {"/a": {"file": "/a"}}, "outputs": {"o": "/o"}},
            "lost": {"executable": "/p", "inputs": {"/a": {"thunk": "nobody"}}},
            "user": {"executable": "/p", "inputs": {"/a": {"thunk": "bad"}, "/b": {"thunk": "good"}}, "outputs": {"o": "/o"}},
            "last": {"executable": "/p", "inputs": {"/a": {"thunk": "user"}}}}"#;
        let (sealed, failed) = each(graph).unwrap();
        assert_eq!(sealed, ["good"]);
        assert_eq!(failed["bad"], "inputs: /a: not here");
        assert!(failed["lost"].contains("no thunk called \"nobody\""), "{failed:?}");
        assert_eq!(failed["user"], "it uses \"bad\", which is no thunk: inputs: /a: not here");
        assert!(failed["last"].starts_with("it uses \"user\""), "{failed:?}");
        // As a whole, it is told by what is wrong itself.
        let graph: Graph = serde_json::from_str(graph).unwrap();
        let error = seal_all(&graph, None, &mut Nowhere).unwrap_err().to_string();
        assert_eq!(error, "bad: inputs: /a: not here");
    }

    #[test]
    fn what_is_said_twice_or_where_nothing_can_be_is_refused() {
        for (recipe, what) in [
            (r#""inputs": {"/a": {"text": "1"}, "/a": {"text": "2"}}"#, "\"/a\" is said twice"),
            (r#""env": {"A": "1", "A": "2"}"#, "\"A\" is said twice"),
            (r#""outputs": {"o": "/a", "o": "/b"}"#, "\"o\" is said twice"),
            (r#""inputs": {"/proc/self/x": {"text": ""}}"#, "the sandbox has a /proc of its own"),
            (r#""inputs": {"/dev/null": {"text": ""}}"#, "the sandbox has a /dev of its own"),
            (r#""inputs": {"/a": {"text": "", "mode": "+644"}}"#, "is not up to four octal digits"),
            (r#""outputs": {"o": "/a", "p": "/a"}"#, "/a is an output twice"),
            (r#""outputs": {"o": "/a", "p": "/a/b"}"#, "/a/b is below the output /a, which is a file"),
        ] {
            let told = match each(&format!(r#"{{"a": {{"executable": "/p", {recipe}}}}}"#)) {
                Ok((_, failed)) => failed.get("a").cloned().unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            assert!(told.contains(what), "{recipe}: {told}");
        }
        let stdin = r#"{"a": {"executable": "/p", "inputs": {"/dev/stdin": {"text": ""}}}}"#;
        assert_eq!(each(stdin).unwrap().0, ["a"]);
    }
}

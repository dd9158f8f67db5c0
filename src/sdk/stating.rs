//! What becomes of recipes before they are sent: long contents are kept by gg, and what cannot be stated is taken out, so that it
//! is nobody else's misfortune.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gg_recipe::{Recipe, Source};
use serde_json::{Value as Json, json};

use crate::error::{Error, Result};
use crate::pipe::Pipe;

/// Bytes of a content that is stated with each thunk that has it. What is longer is kept by gg first, and stated by its name.
const INLINE: usize = 64 << 10;

/// Has gg keep the long contents. Gives what cannot be stated, by key; that is not among the recipes any more.
pub(crate) fn keep(recipes: &mut BTreeMap<String, Recipe>, pipe: &Arc<Pipe>) -> HashMap<String, Error> {
    keep_with(recipes, |content| {
        let answer = pipe.ask(content)?;
        let name = answer.get("object").and_then(Json::as_str).map(str::to_owned);
        name.ok_or_else(|| Error::Gone("gg gave a strange answer: it has kept what has no name".to_owned()))
    })
}

fn keep_with(
    recipes: &mut BTreeMap<String, Recipe>,
    mut put: impl FnMut(Json) -> Result<String>,
) -> HashMap<String, Error> {
    let mut faults: HashMap<String, Error> = HashMap::new();
    let mut kept: HashMap<(&str, String), Result<String>> = HashMap::new();
    for (key, recipe) in recipes.iter_mut() {
        for source in recipe.inputs.values_mut().flatten() {
            let Some((kind, content)) = long(source) else { continue };
            let known = kept.entry((kind, content));
            let name = known.or_insert_with_key(|(kind, content)| put(json!({"do": "put", *kind: content})));
            match name {
                Ok(name) => source.object = Some(name.clone()),
                Err(error) => drop(faults.insert(key.clone(), error.clone())),
            }
        }
    }
    if !faults.is_empty() {
        spread(recipes, &mut faults);
    }
    recipes.retain(|key, _| !faults.contains_key(key));
    faults
}

/// Takes out a content that is long, and what it is said as.
fn long(source: &mut Source) -> Option<(&'static str, String)> {
    let is_long = |said: &&mut Option<String>| said.as_ref().is_some_and(|content| content.len() > INLINE);
    let text = Some(&mut source.text).filter(is_long).and_then(Option::take).map(|content| ("text", content));
    let base64 = || Some(&mut source.base64).filter(is_long).and_then(Option::take).map(|content| ("base64", content));
    text.or_else(base64)
}

/// What uses what cannot be stated cannot be stated either.
fn spread(recipes: &BTreeMap<String, Recipe>, faults: &mut HashMap<String, Error>) {
    let mut users: HashMap<&str, Vec<&str>> = HashMap::new();
    for (key, recipe) in recipes {
        for used in recipe.inputs.values().flatten().filter_map(|source| source.thunk.as_deref()) {
            users.entry(used).or_default().push(key);
        }
    }
    let mut stack: Vec<String> = faults.keys().cloned().collect();
    while let Some(key) = stack.pop() {
        let Some(error) = faults.get(&key).cloned() else { continue };
        for user in users.get(key.as_str()).into_iter().flatten() {
            if !faults.contains_key(*user) {
                faults.insert((*user).to_owned(), error.clone());
                stack.push((*user).to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Thunk;
    use crate::thunk::recipes;

    #[test]
    fn long_contents_are_kept_once_and_what_cannot_be_is_refused_alone() {
        let (text, other) = ("x".repeat(INLINE + 1), vec![0xff; INLINE]);
        let a = Thunk::program("a").input("/t", text.clone()).input("/o", other).output("o", "/o");
        let b = Thunk::program("b").input("/t", text).input("/short", "short");
        let bad = Thunk::program("c").input("/bad", "y".repeat(INLINE + 1)).output("o", "/o");
        let user = Thunk::program("d").input("/bad", &bad).input("/a", &a);
        let (mut recipes, keys) = recipes(&[&a, &b, &bad, &user]);
        let mut puts = Vec::new();
        let faults = keep_with(&mut recipes, |content| {
            puts.push(content.clone());
            match content["text"].as_str() {
                Some(text) if text.starts_with('y') => Err(Error::Request("too long".to_owned())),
                _ => Ok(format!("V{}", puts.len())),
            }
        });
        assert_eq!(puts.len(), 3);
        assert_eq!(faults.len(), 2);
        assert!(matches!(&faults[&keys[2]], Error::Request(_)) && matches!(&faults[&keys[3]], Error::Request(_)));
        assert_eq!(recipes.keys().collect::<Vec<_>>().len(), 2);
        let inputs = |key: &str| recipes[key].inputs.values().flatten().cloned().collect::<Vec<_>>();
        assert!(inputs(&keys[0]).iter().all(|it| it.object.is_some() && it.text.is_none() && it.base64.is_none()));
        assert_eq!(recipes[&keys[1]].inputs["/t"], recipes[&keys[0]].inputs["/t"]);
        assert_eq!(recipes[&keys[1]].inputs["/short"].as_ref().and_then(|it| it.text.as_deref()), Some("short"));
    }
}

//! Thunks as a program states them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use gg_recipe::{Described, Recipe, Source, Target, Text};

use crate::outcome::Value;

/// One computation; cheap to clone. Each method gives a thunk of which more is said.
#[derive(Clone, Debug)]
pub struct Thunk(Arc<Stated>);

#[derive(Clone, Default)]
struct Stated {
    recipe: Recipe,
    /// The inputs that are outputs of others; no path of these is one of the recipe's own inputs.
    uses: BTreeMap<String, (Thunk, Option<String>)>,
}

impl std::fmt::Debug for Stated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without what is used in turn, of which there may be very many, one in the other.
        let uses: Vec<&String> = self.uses.keys().collect();
        f.debug_struct("Stated").field("recipe", &self.recipe).field("uses", &uses).finish()
    }
}

impl Drop for Stated {
    fn drop(&mut self) {
        // One after the other: a chain of very many, each dropped by the one before, would be too much for the stack.
        let mut stack: Vec<Thunk> = Vec::new();
        stack.extend(std::mem::take(&mut self.uses).into_values().map(|(used, _)| used));
        while let Some(thunk) = stack.pop() {
            if let Some(mut stated) = Arc::into_inner(thunk.0) {
                stack.extend(std::mem::take(&mut stated.uses).into_values().map(|(used, _)| used));
            }
        }
    }
}

/// What a thunk finds at a path.
#[derive(Clone, Debug)]
pub enum Input {
    /// A file with this content.
    Content(Vec<u8>),
    /// What is at this path of this machine when the thunk is forced: a file, or a directory with all below it.
    File(PathBuf),
    /// Content that gg keeps.
    Value(Value),
    /// A thunk's output of this tag, or its only one.
    Output(Thunk, Option<String>),
    /// A symbolic link.
    Symlink(OsString),
    /// An empty directory.
    Directory,
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        Self::Content(text.as_bytes().to_vec())
    }
}

impl From<String> for Input {
    fn from(text: String) -> Self {
        Self::Content(text.into_bytes())
    }
}

impl From<Vec<u8>> for Input {
    fn from(content: Vec<u8>) -> Self {
        Self::Content(content)
    }
}

impl From<PathBuf> for Input {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<Value> for Input {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

impl From<&Thunk> for Input {
    fn from(thunk: &Thunk) -> Self {
        Self::Output(thunk.clone(), None)
    }
}

impl Thunk {
    /// A run of this program, a name or a path of this machine, with all that it needs.
    pub fn program(name: impl Into<OsString>) -> Self {
        Self::with(Recipe { program: Some(name.into().into()), cwd: Some("/".into()), ..Recipe::default() })
    }

    /// A thunk of which all is said in a recipe.
    pub fn of(recipe: Recipe) -> Self {
        Self::with(recipe)
    }

    fn with(recipe: Recipe) -> Self {
        Self(Arc::new(Stated { recipe, uses: BTreeMap::new() }))
    }

    fn change(mut self, change: impl FnOnce(&mut Stated)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// An argument more.
    pub fn arg(self, arg: impl Into<OsString>) -> Self {
        self.change(|it| it.recipe.args.get_or_insert_default().push(arg.into().into()))
    }

    /// Arguments more.
    pub fn args<A: Into<OsString>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// A variable of its environment, which else has what the program needs and nothing more.
    pub fn env(self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.change(|it| drop(it.recipe.env.get_or_insert_default().insert(name.into(), value.into().into())))
    }

    /// Its working directory \[/].
    pub fn cwd(self, path: impl Into<OsString>) -> Self {
        self.change(|it| it.recipe.cwd = Some(path.into().into()))
    }

    /// What it finds at a path; what was said of this path before is forgotten.
    pub fn input(self, path: impl Into<String>, input: impl Into<Input>) -> Self {
        let path = path.into();
        let source = match input.into() {
            Input::Output(thunk, tag) => {
                return self.change(|it| {
                    it.recipe.inputs.remove(&path);
                    it.uses.insert(path, (thunk, tag));
                });
            }
            Input::Content(content) => match String::from_utf8(content) {
                Ok(text) => Source { text: Some(text), ..Source::default() },
                Err(error) => {
                    use base64::Engine as _;
                    let encoded = base64::engine::general_purpose::STANDARD.encode(error.into_bytes());
                    Source { base64: Some(encoded), ..Source::default() }
                }
            },
            Input::File(path) => Source { file: Some(path.into_os_string().into()), ..Source::default() },
            Input::Value(value) => Source { object: Some(value.object), mode: Some(value.mode), ..Source::default() },
            Input::Symlink(target) => Source { symlink: Some(target.into()), ..Source::default() },
            Input::Directory => Source { directory: Some(true), ..Source::default() },
        };
        self.change(|it| {
            it.uses.remove(&path);
            it.recipe.inputs.insert(path, Some(source));
        })
    }

    /// A file that it must write.
    pub fn output(self, tag: impl Into<String>, path: impl Into<OsString>) -> Self {
        self.target(tag, Described { path: path.into().into(), optional: false, dynamic: false })
    }

    /// A file that it may write.
    pub fn optional_output(self, tag: impl Into<String>, path: impl Into<OsString>) -> Self {
        self.target(tag, Described { path: path.into().into(), optional: true, dynamic: false })
    }

    /// A file that it must write, and that may be a [`crate::Graph`], which is forced in its place.
    pub fn dynamic_output(self, tag: impl Into<String>, path: impl Into<OsString>) -> Self {
        self.target(tag, Described { path: path.into().into(), optional: false, dynamic: true })
    }

    fn target(self, tag: impl Into<String>, described: Described) -> Self {
        let tag = tag.into();
        self.change(|it| drop(it.recipe.outputs.get_or_insert_default().insert(tag, Target::Described(described))))
    }

    /// Other programs that it starts.
    pub fn programs<P: Into<OsString>>(self, programs: impl IntoIterator<Item = P>) -> Self {
        self.change(|it| it.recipe.programs.extend(programs.into_iter().map(|program| Text::from(program.into()))))
    }

    /// Python packages that it imports by names which its text does not show.
    pub fn packages<P: Into<String>>(self, packages: impl IntoIterator<Item = P>) -> Self {
        self.change(|it| it.recipe.packages.extend(packages.into_iter().map(Into::into)))
    }

    /// How many seconds it may run.
    pub fn timeout(self, seconds: u32) -> Self {
        self.change(|it| it.recipe.timeout = Some(seconds))
    }

    /// Its result depends on more than its inputs, and is not kept.
    pub fn volatile(self) -> Self {
        self.change(|it| it.recipe.volatile = Some(true))
    }

    /// It may write files that are no outputs.
    pub fn loose(self) -> Self {
        self.change(|it| it.recipe.strict = Some(false))
    }

    /// What a person calls it.
    pub fn label(self, label: impl Into<String>) -> Self {
        self.change(|it| it.recipe.label = Some(label.into()))
    }

    /// One of its outputs, as an input of another.
    pub fn output_of(&self, tag: impl Into<String>) -> Input {
        Input::Output(self.clone(), Some(tag.into()))
    }
}

/// The recipes of these thunks and of all that they use, by key, and the keys of these.
pub(crate) fn recipes(wanted: &[&Thunk]) -> (BTreeMap<String, Recipe>, Vec<String>) {
    let mut keys: HashMap<*const Stated, String> = HashMap::new();
    let mut order: Vec<Thunk> = Vec::new();
    let mut stack: Vec<Thunk> = wanted.iter().map(|thunk| (*thunk).clone()).collect();
    while let Some(thunk) = stack.pop() {
        let number = keys.len();
        if let std::collections::hash_map::Entry::Vacant(entry) = keys.entry(Arc::as_ptr(&thunk.0)) {
            entry.insert(number.to_string());
            stack.extend(thunk.0.uses.values().map(|(used, _)| used.clone()));
            order.push(thunk);
        }
    }
    let key = |thunk: &Thunk| keys.get(&Arc::as_ptr(&thunk.0)).cloned().unwrap_or_default();
    let mut recipes = BTreeMap::new();
    for thunk in &order {
        let mut recipe = thunk.0.recipe.clone();
        for (path, (used, tag)) in &thunk.0.uses {
            let source = Source { thunk: Some(key(used)), output: tag.clone(), ..Source::default() };
            recipe.inputs.insert(path.clone(), Some(source));
        }
        recipes.insert(key(thunk), recipe);
    }
    (recipes, wanted.iter().map(|thunk| key(thunk)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_use_is_stated_once() {
        let a = Thunk::program("a").output("o", "/o");
        let b = Thunk::program("b").input("/a", &a).output("o", "/o");
        let c = Thunk::program("c").input("/a", &a).input("/b", b.output_of("o"));
        let (recipes, keys) = recipes(&[&c, &b, &c]);
        assert_eq!(recipes.len(), 3);
        assert!(keys[0] == keys[2] && keys[0] != keys[1]);
        let inputs = &recipes[&keys[0]].inputs;
        assert_eq!(inputs["/b"].as_ref().unwrap().thunk.as_ref(), Some(&keys[1]));
        assert_eq!(inputs["/a"], recipes[&keys[1]].inputs["/a"]);
    }

    #[test]
    fn the_last_input_of_a_path_counts() {
        let a = Thunk::program("a").output("o", "/o");
        let text = Thunk::program("b").input("/a", &a).input("/a", "text");
        let (stated, keys) = recipes(&[&text]);
        assert_eq!(stated.len(), 1);
        assert_eq!(stated[&keys[0]].inputs["/a"].as_ref().and_then(|it| it.text.as_deref()), Some("text"));
        let (stated, keys) = recipes(&[&text.clone().input("/a", &a)]);
        assert_eq!(stated.len(), 2);
        let source = stated[&keys[0]].inputs["/a"].as_ref();
        assert!(source.is_some_and(|it| it.thunk.is_some() && it.text.is_none()), "{source:?}");
    }

    #[test]
    fn a_long_chain_is_no_recursion() {
        let mut last = Thunk::program("a").output("o", "/o");
        for _ in 0..200_000 {
            last = Thunk::program("a").input("/a", &last).output("o", "/o");
        }
        assert!(format!("{last:?}").len() < 10_000);
        assert_eq!(recipes(&[&last]).0.len(), 200_001);
        // Some of it is still needed.
        let middle = last.0.uses["/a"].0.clone();
        drop(last);
        drop(middle);
    }

    #[test]
    fn a_thunk_of_which_more_is_said_is_another() {
        let a = Thunk::program("a");
        let b = a.clone().arg("x");
        assert!(a.0.recipe.args.is_none());
        assert_eq!(b.0.recipe.args, Some(vec!["x".into()]));
    }
}

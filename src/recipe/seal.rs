//! From a recipe to a thunk.

use std::collections::BTreeMap;
use std::ffi::OsString;

use gg_ir::{AbsPath, Function, Input, Name, Output, Reference, Tag, Thunk};

use crate::recipe::Described;
use crate::{Recipe, RecipeError, Result, Source, Target, Text};

/// What the sources of a recipe stand for.
pub trait Sources {
    /// What an input from here is. Asked for a source with exactly one kind.
    ///
    /// # Errors
    /// [`RecipeError`] for a source that cannot be had here.
    fn input(&mut self, source: &Source) -> Result<Input>;

    /// Whether what is named by its hash may be an input, since it can be had here.
    ///
    /// # Errors
    /// [`RecipeError`] where it may not.
    fn admit(&mut self, _: &Input) -> Result<()> {
        Ok(())
    }
}

/// What a sandbox makes by itself, whatever is put there.
const OWN: &[&str] = &["/dev", "/proc"];

/// The permission bits of a file of which nothing is said.
const MODE: u32 = 0o644;

/// Makes the thunk; `parent` is the one that [`Recipe::inherit`] means, with values as its inputs.
///
/// # Errors
/// [`RecipeError`] for what is no thunk; whatever `sources` says.
pub fn seal(recipe: &Recipe, parent: Option<&Thunk>, sources: &mut dyn Sources) -> Result<Thunk> {
    let parent = match (recipe.inherit, parent) {
        (true, None) => {
            return Err(RecipeError::new("inherit: no thunk states this, so there is none to inherit from"));
        }
        (true, parent) => parent,
        (false, _) => None,
    };
    if recipe.program.is_some() || !(recipe.programs.is_empty() && recipe.packages.is_empty() && recipe.also.is_empty())
    {
        return Err(RecipeError::new("program: only where gg itself takes a recipe can a program be captured for it"));
    }
    let own = parent.map(|parent| &parent.function);
    let executable = match (&recipe.executable, own) {
        (Some(text), _) => path(&text.0).map_err(|error| error.within("executable"))?,
        (None, Some(own)) => own.executable.clone(),
        (None, None) => return Err(RecipeError::new("it has no executable")),
    };
    let args = match (&recipe.args, own) {
        (Some(args), _) => args.iter().map(Text::to_os).collect(),
        (None, Some(own)) if recipe.executable.is_none() => own.args.clone(),
        (None, _) => vec![OsString::from(executable.as_path())],
    };
    let env: BTreeMap<OsString, OsString> = match (&recipe.env, own) {
        (Some(env), _) => env.iter().map(|(name, value)| (name.into(), value.to_os())).collect(),
        (None, own) => own.map(|own| own.env.clone()).unwrap_or_default(),
    };
    let strings = || args.iter().chain(env.iter().flat_map(|(name, value)| [name, value]));
    if strings().any(|text| text.as_encoded_bytes().contains(&0)) {
        return Err(RecipeError::new("no argument or variable can hold a byte that is zero"));
    }
    if let Some(name) = env.keys().find(|name| name.is_empty() || name.as_encoded_bytes().contains(&b'=')) {
        return Err(RecipeError::new(format!("env: no variable can be called {name:?}")));
    }
    let cwd = match (&recipe.cwd, own) {
        (Some(text), _) => path(&text.0).map_err(|error| error.within("cwd"))?,
        (None, own) => own.map_or_else(AbsPath::root, |own| own.cwd.clone()),
    };
    let umask = recipe.umask.or(own.map(|own| own.umask)).unwrap_or(0o22);
    if umask > 0o777 {
        return Err(RecipeError::new(format!("umask: {umask} is more than 511, which is 777 in octal digits")));
    }
    let mut inputs = parent.map(|parent| parent.inputs.clone()).unwrap_or_default();
    for (at, source) in &recipe.inputs {
        let within = |error: RecipeError| error.within(at).within("inputs");
        let key = path(at.as_bytes()).map_err(within)?;
        if let Some(own) = OWN.iter().find(|own| key.as_path().starts_with(own)).filter(|_| !Thunk::is_stream(&key)) {
            return Err(within(RecipeError::new(format!("the sandbox has a {own} of its own"))));
        }
        match source {
            Some(source) => drop(inputs.insert(key, input(source, sources).map_err(within)?)),
            None => drop(inputs.remove(&key)),
        }
    }
    let outputs = match (&recipe.outputs, parent) {
        (Some(outputs), _) => outputs.iter().map(output).collect::<Result<_>>()?,
        (None, parent) => parent.map(|parent| parent.outputs.clone()).unwrap_or_default(),
    };
    distinct(&outputs)?;
    if recipe.timeout == Some(0) {
        return Err(RecipeError::new("timeout: it has to be a second at least"));
    }
    Ok(Thunk {
        function: Function { executable, args, env, cwd, umask },
        inputs,
        outputs,
        timeout: recipe.timeout.or(parent.and_then(|parent| parent.timeout)),
        volatile: recipe.volatile.or(parent.map(|parent| parent.volatile)).unwrap_or(false),
        strict: recipe.strict.or(parent.map(|parent| parent.strict)).unwrap_or(true),
    })
}

/// What one input is, with the mode that is said.
pub(crate) fn input(source: &Source, sources: &mut dyn Sources) -> Result<Input> {
    match source.kinds()[..] {
        [_] => {}
        [] => return Err(RecipeError::new("it does not say where it is from (text, object, thunk, file, ...)")),
        [first, second, ..] => {
            return Err(RecipeError::new(format!("it is from {first} and from {second}; it can be from one only")));
        }
    }
    if source.output.is_some() && source.thunk.is_none() {
        return Err(RecipeError::new("output: says which output of a thunk, and there is no thunk"));
    }
    if source.directory == Some(false) {
        return Err(RecipeError::new("directory: can only be true"));
    }
    let mut input = match source {
        Source { symlink: Some(target), .. } if target.0.is_empty() || target.0.contains(&0) => {
            return Err(RecipeError::new("symlink: a link's text is not empty, and holds no byte that is zero"));
        }
        Source { symlink: Some(target), .. } => Input::Symlink(target.to_os()),
        Source { directory: Some(_), .. } => Input::Directory,
        Source { tree: Some(text), .. } => {
            let name: Name = text.parse().map_err(|error| RecipeError::new(format!("tree: {error}")))?;
            if name.kind() != gg_ir::Kind::Value {
                return Err(RecipeError::new("tree: a tree is a value, and this is the name of a thunk"));
            }
            let tree = Input::Tree(name);
            sources.admit(&tree).map_err(|error| error.within("tree"))?;
            tree
        }
        Source { object: Some(text), .. } => {
            let object: Reference = text.parse().map_err(|error| RecipeError::new(format!("object: {error}")))?;
            let file = Input::File { object, mode: MODE };
            sources.admit(&file).map_err(|error| error.within("object"))?;
            file
        }
        other => sources.input(other)?,
    };
    if let Some(text) = &source.mode {
        let wanted =
            octal(text).ok_or_else(|| RecipeError::new(format!("mode: {text:?} is not up to four octal digits")))?;
        match &mut input {
            Input::File { mode, .. } => *mode = wanted,
            _ => return Err(RecipeError::new("mode: only a file has one")),
        }
    }
    Ok(input)
}

/// Permission bits: one to four octal digits.
pub fn octal(text: &str) -> Option<u32> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    digits.then(|| u32::from_str_radix(text, 8).ok()).flatten()
}

/// An input with this content.
pub(crate) fn file(name: Name) -> Input {
    Input::File { object: Reference::Value(name), mode: MODE }
}

fn output((tag, target): (&String, &Target)) -> Result<(Tag, Output)> {
    let within = |error: RecipeError| error.within(tag).within("outputs");
    let key = Tag::new(tag.as_str()).map_err(|error| within(RecipeError::new(error.to_string())))?;
    let output = match target {
        Target::Path(text) => Output::at(path(text.as_bytes()).map_err(within)?),
        Target::Described(Described { path: text, optional, dynamic }) => {
            Output { path: path(&text.0).map_err(within)?, optional: *optional, dynamic: *dynamic }
        }
    };
    if output.path == AbsPath::root() {
        return Err(within(RecipeError::new("the root is no file that can be written")));
    }
    Ok((key, output))
}

/// Two outputs cannot be one file, nor one be below the other.
fn distinct(outputs: &BTreeMap<Tag, Output>) -> Result<()> {
    let mut paths: Vec<&AbsPath> = outputs.values().map(|output| &output.path).collect();
    // By their parts, so that what is below a path follows it.
    paths.sort_by(|a, b| a.as_path().cmp(b.as_path()));
    for pair in paths.windows(2) {
        let [path, next] = pair else { continue };
        if path == next {
            return Err(RecipeError::new(format!("{path} is an output twice")).within("outputs"));
        }
        if next.as_path().starts_with(path.as_path()) {
            let what = format!("{next} is below the output {path}, which is a file");
            return Err(RecipeError::new(what).within("outputs"));
        }
    }
    Ok(())
}

/// An absolute path in its only spelling.
pub(crate) fn path(bytes: &[u8]) -> Result<AbsPath> {
    AbsPath::from_bytes(bytes).map_err(|error| RecipeError::new(error.to_string()))
}

//! From recipes to thunks in the store.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use gg_capture::Request;
use gg_ir::{Input, Name, Thunk};
use gg_recipe::{Graph, Recipe, RecipeError, Sealed, Source, Text, seal, seal_each};
use gg_store::Store;

use super::host::{Host, Taken};
use super::program::{Captures, Found, Program, Programs};

/// A thunk that is in the store.
#[derive(Clone, Debug)]
pub struct Stated {
    /// What it is called in the request.
    pub key: String,
    /// Its name.
    pub name: Name,
    /// The thunk.
    pub thunk: Arc<Thunk>,
    /// What a person calls it, where that was said.
    pub label: Option<String>,
    /// Some of the paths of what it works on: of its inputs, those that do not belong to its program.
    pub inputs: Arc<[String]>,
}

/// So many inputs are named where something is said of a thunk.
pub const NAMED: usize = 10;

/// The inputs of a recipe to which no program has been added.
fn own(recipe: &Recipe) -> Arc<[String]> {
    let paths = recipe.inputs.iter().filter(|(path, source)| source.is_some() && !path.starts_with("/dev/"));
    paths.map(|(path, _)| path.clone()).take(NAMED).collect()
}

/// Where recipes are stated.
pub struct Place<'a> {
    /// Where thunks go.
    pub store: &'a Store,
    /// Who captures programs.
    pub programs: &'a Programs,
    /// Where relative paths begin.
    pub cwd: &'a Path,
    /// Directories that were taken in before.
    pub taken: &'a Taken,
    /// The environment of gg, in which programs are looked up as far as a recipe's own says nothing else.
    pub env: &'a BTreeMap<OsString, OsString>,
}

/// Seals recipes, and puts the thunks into the store, each after those that it uses.
///
/// # Errors
/// When a recipe is none, or what it names is not there; the text says which and where.
pub fn state(graph: Graph, place: &Place<'_>) -> Result<Vec<Stated>> {
    let (stated, failed) = state_each(graph, place)?;
    match failed.into_iter().find(|(_, why)| !why.is_dependency()) {
        None => Ok(stated),
        Some((key, why)) => bail!("{key}: {why}"),
    }
}

/// As [`state`], but leaves out what is none, and what uses such; says of each, by its key, why.
///
/// # Errors
/// When it is the graph as a whole, or the store fails.
pub fn state_each(graph: Graph, place: &Place<'_>) -> Result<(Vec<Stated>, BTreeMap<String, RecipeError>)> {
    let captures = place.programs.begin();
    let (mut plain, mut failed, mut inputs) = (BTreeMap::new(), BTreeMap::new(), HashMap::new());
    for (key, recipe) in graph.0 {
        inputs.insert(key.clone(), own(&recipe));
        let recipe = match with_program(recipe, &[], place, &captures) {
            Ok(recipe) => recipe,
            Err(error) => {
                failed.insert(key.clone(), RecipeError::new(format!("{error:#}")));
                Recipe::default()
            }
        };
        plain.insert(key, recipe);
    }
    let mut host = Host::new(place.store, place.cwd, place.taken);
    let (sealed, failed) = seal_each(&Graph(plain), failed, None, &mut host).map_err(|error| anyhow!("{error}"))?;
    let mut stated = Vec::with_capacity(sealed.len());
    for Sealed { key, name, thunk, label } in sealed {
        place.store.put_thunk(&thunk)?;
        let inputs = inputs.remove(&key).unwrap_or_default();
        stated.push(Stated { key, name, thunk: Arc::new(thunk), label, inputs });
    }
    Ok((stated, failed))
}

/// The same for one recipe, which has no key, and may start the programs that are `guessed`.
///
/// # Errors
/// As [`state`].
pub fn state_one(recipe: Recipe, guessed: &[OsString], place: &Place<'_>) -> Result<Stated> {
    let inputs = own(&recipe);
    let recipe = with_program(recipe, guessed, place, &place.programs.begin())?;
    let thunk =
        seal(&recipe, None, &mut Host::new(place.store, place.cwd, place.taken)).map_err(|error| anyhow!("{error}"))?;
    place.store.put_thunk(&thunk)?;
    Ok(Stated { key: String::new(), name: thunk.name(), thunk: Arc::new(thunk), label: recipe.label, inputs })
}

/// The variables by which programs choose a language and its characters (locale(7), gettext's manual): `LC_` begins all others.
const LOCALE: &[&str] = &["LANG", "LANGUAGE", "LOCPATH"];

/// The variables that decide what a program needs: where it, its libraries and its modules are found, by the loader, by Python, by Perl,
/// and by what starts one of several Pythons; the language. A name that ends with `*` stands for all that begin so. Others may differ
/// from thunk to thunk, and the program is the same.
const DECIDING: &[&str] =
    &["PATH", "LD_*", "LANG", "LANGUAGE", "LOCPATH", "LC_*", "PYTHON*", "PYENV_*", "VIRTUAL_ENV", "PERL*"];

fn decides(name: &str) -> bool {
    DECIDING.iter().any(|it| it.strip_suffix('*').map_or(*it == name, |beginning| name.starts_with(beginning)))
}

/// The environment in which programs are captured: gg's, under what the program will have. Of gg's no locale, since the program does
/// not get it, and what is captured would be another for each user.
pub fn environment(
    env: &BTreeMap<OsString, OsString>,
    own: Option<&BTreeMap<String, Text>>,
) -> BTreeMap<OsString, OsString> {
    let is_locale = |name: &OsStr| LOCALE.iter().any(|it| name == *it) || name.as_encoded_bytes().starts_with(b"LC_");
    let kept = env.iter().filter(|(name, _)| !is_locale(name)).map(|(name, value)| (name.clone(), value.clone()));
    let own = own.into_iter().flatten().filter(|(name, _)| decides(name));
    kept.chain(own.map(|(name, value)| (name.into(), value.to_os()))).collect()
}

/// The recipe with its program captured.
fn with_program(
    mut recipe: Recipe,
    guessed: &[OsString],
    place: &Place<'_>,
    captures: &Captures<'_>,
) -> Result<Recipe> {
    let Some(program) = recipe.program.take() else { return Ok(recipe) };
    if recipe.executable.is_some() {
        bail!("it has a program and an executable; it can have one only");
    }
    let request = Request {
        args: recipe.args.iter().flatten().map(Text::to_os).collect(),
        cwd: place.cwd.to_owned(),
        env: environment(place.env, recipe.env.as_ref()),
        programs: recipe.programs.iter().map(Text::to_os).collect(),
        guessed: guessed.to_vec(),
        packages: recipe.packages.clone(),
        also: recipe.also.iter().map(|text| PathBuf::from(text.to_os())).collect(),
        ..Request::new(program.to_os())
    };
    let Found { program, args } = captures.capture(place.store, request)?;
    let Program { captured, inputs } = &*program;
    recipe.executable = Some(OsString::from(captured.executable.as_path()).into());
    recipe.args = Some(args.into_iter().map(Text::from).collect());
    let mut variables = BTreeMap::new();
    for (name, value) in &captured.env {
        let name = name.to_str().with_context(|| format!("the variable {name:?} is not UTF-8"))?;
        variables.insert(name.to_owned(), value.clone().into());
    }
    variables.extend(recipe.env.take().unwrap_or_default());
    recipe.env = Some(variables);
    // Relative paths among the arguments mean there what they mean here.
    recipe.cwd.get_or_insert_with(|| place.cwd.as_os_str().to_owned().into());
    (recipe.programs, recipe.packages, recipe.also) = Default::default();
    for (path, input) in inputs {
        let path = path.as_path().to_str().with_context(|| format!("{path} is needed, and is not UTF-8"))?;
        // What is said by hand is over what was captured.
        recipe.inputs.entry(path.to_owned()).or_insert_with(|| Some(source(input)));
    }
    Ok(recipe)
}

/// An input as a recipe states it.
pub fn source(input: &Input) -> Source {
    match input {
        Input::File { object, mode } => {
            Source { object: Some(object.to_string()), mode: Some(format!("{mode:04o}")), ..Source::default() }
        }
        Input::Tree(name) => Source { tree: Some(name.to_string()), ..Source::default() },
        Input::Symlink(target) => Source { symlink: Some(target.clone().into()), ..Source::default() },
        Input::Directory => Source { directory: Some(true), ..Source::default() },
    }
}

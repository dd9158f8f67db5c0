//! `gg thunk`: thunks by themselves.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use gg_ir::{Placeholder, Tag};
use gg_recipe::{Graph, Recipe};
use gg_store::Store;

use crate::front::{Job, JobArgs, Place, Programs, Taken, state, state_one};
use crate::settings::Settings;

/// What a thunk is made of: a command, or a recipe.
#[derive(Clone, Debug, clap::Args)]
pub struct CreateArgs {
    /// The recipe in this file (docs/ir.md), or several by key; `-`: from standard input
    #[arg(long, value_name = "FILE", conflicts_with = "command")]
    pub recipe: Option<PathBuf>,
    /// Leave a placeholder at each output's path, which `gg force` computes, and which other thunks may have as an input
    #[arg(long, conflicts_with = "recipe")]
    pub place: bool,
    /// What is said of the command
    #[command(flatten)]
    pub job: JobArgs,
    /// The command and its arguments
    #[arg(last = true, required_unless_present = "recipe", value_name = "COMMAND")]
    pub command: Vec<std::ffi::OsString>,
}

/// Makes thunks and prints their names: that of a command, or of each recipe with its key.
///
/// # Errors
/// When what is stated is none.
pub fn create(args: &CreateArgs, settings: &Settings) -> Result<i32> {
    let cwd = std::env::current_dir().context("the current directory is gone")?;
    let env = std::env::vars_os().collect();
    let store = Arc::new(Store::open(&settings.directory)?);
    let _lease = store.lease()?;
    let programs = Programs::default();
    let here = Place { store: &store, programs: &programs, cwd: &cwd, taken: &Taken::default(), env: &env };
    if let Some(path) = &args.recipe {
        let text = read(path)?;
        // One recipe, or many by key: a recipe has fields of its own.
        let single = match serde_json::from_slice::<Recipe>(&text) {
            Ok(recipe) => {
                let stated = state_one(recipe, &[], &here).with_context(|| path.display().to_string())?;
                say(&stated.name.to_string())?;
                return Ok(0);
            }
            Err(error) => error,
        };
        let graph = serde_json::from_slice::<Graph>(&text).map_err(|many| {
            let place = path.display();
            anyhow!("{place} is neither a recipe ({single}) nor recipes by key ({many})")
        })?;
        for stated in state(graph, &here).with_context(|| path.display().to_string())? {
            say(&format!("{}\t{}", stated.key, stated.name))?;
        }
        return Ok(0);
    }
    let job = Job::new(&args.command, &args.job, &cwd)?;
    let stated = state_one(job.recipe.clone(), &job.guessed, &here)?;
    if args.place {
        for (tag, path) in &job.outputs {
            let placeholder = Placeholder { thunk: stated.name, tag: Tag::new(tag.as_str())?, outline: None };
            place(path, &placeholder)?;
        }
    }
    say(&stated.name.to_string())?;
    Ok(0)
}

/// Prints a line; a reader that has gone away is no error.
fn say(line: &str) -> Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

fn place(path: &Path, placeholder: &Placeholder) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let file = tempfile_beside(path);
    fs::write(&file, placeholder.encode()).with_context(|| format!("cannot write {}", file.display()))?;
    fs::rename(&file, path).with_context(|| format!("cannot write {}", path.display()))
}

/// A name beside a file that no other process uses.
fn tempfile_beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".gg-{}", std::process::id()));
    path.with_file_name(name)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

//! Real projects: fetched, prepared once, and copied for each build to one and the same place.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

use crate::Any;
use crate::bench::{Bench, empty};
use crate::peers::install_packages;

/// How a project is had and built; `tests/projects.toml` says what each field means.
#[derive(Clone, Debug, Deserialize)]
struct Recipe {
    source: String,
    #[serde(default)]
    packages: Vec<String>,
    #[serde(default)]
    prepare: Vec<String>,
    build: Vec<String>,
}

/// A project that is ready to be built.
#[derive(Debug)]
pub struct Project {
    pristine: PathBuf,
    /// Where it is built.
    pub tree: PathBuf,
    build: Vec<OsString>,
}

/// The words of a line. No recipe that is measured quotes any.
fn words(line: &str, jobs: u32) -> Vec<OsString> {
    line.replace("{j}", &jobs.to_string()).split_whitespace().map(OsString::from).collect()
}

impl Project {
    /// Fetches and prepares a project, unless an earlier run has. With a `launcher`, CMake is told to call compilers through
    /// it.
    ///
    /// # Errors
    /// When it is not known, or cannot be fetched or configured.
    pub fn ready(bench: &Bench, name: &str, launcher: Option<&str>) -> Any<Self> {
        let recipe = recipe(name)?;
        let tree = bench.work.join("tree").join(name);
        let suffix = launcher.map(|launcher| format!("-{launcher}")).unwrap_or_default();
        let pristine = bench.work.join("pristine").join(format!("{name}{suffix}"));
        let build = words(recipe.build.first().context("a recipe without a build")?, bench.jobs);
        let project = Self { pristine, tree, build };
        let stamp = project.pristine.with_extension("ready");
        if bench.fresh || !stamp.exists() {
            let _ = fs::remove_file(&stamp);
            project.prepare(bench, &recipe, launcher)?;
            fs::write(stamp, "")?;
        }
        Ok(project)
    }

    fn prepare(&self, bench: &Bench, recipe: &Recipe, launcher: Option<&str>) -> Any {
        eprintln!("   preparing {}", self.pristine.display());
        let packages: Vec<&str> = recipe.packages.iter().map(String::as_str).collect();
        if !packages.is_empty() {
            install_packages(bench, &packages);
        }
        for place in [&self.tree, &self.pristine] {
            empty(place)?;
            fs::create_dir_all(place.parent().context("a project has a directory")?)?;
        }
        bench.must(bench.command(Bench::root().join("tests/fetch")).arg(&recipe.source).arg(&self.tree))?;
        for line in &recipe.prepare {
            let line = words(line, bench.jobs);
            let (program, arguments) = line.split_first().context("an empty line in a recipe")?;
            let mut command = bench.command(program);
            command.args(arguments).current_dir(&self.tree);
            if let Some(launcher) = launcher.filter(|_| program == "cmake") {
                command.arg(format!("-DCMAKE_C_COMPILER_LAUNCHER={launcher}"));
                command.arg(format!("-DCMAKE_CXX_COMPILER_LAUNCHER={launcher}"));
            }
            bench.must(&mut command)?;
        }
        bench.must(bench.command("cp").arg("-a").args([&self.tree, &self.pristine]))
    }

    /// The prepared tree, where it is built, as if it had lain there for a while.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn fresh_tree(&self, bench: &Bench) -> Any {
        empty(&self.tree)?;
        fs::create_dir_all(self.tree.parent().context("a project has a directory")?)?;
        bench.must(bench.command("cp").arg("-a").args([&self.pristine, &self.tree]))?;
        bench.settle();
        Ok(())
    }

    /// The build as a plain command.
    pub fn plain(&self, bench: &Bench) -> Command {
        let mut command = bench.command(&self.build[0]);
        command.args(&self.build[1..]).current_dir(&self.tree);
        command
    }

    /// The build by `gg-make`.
    pub fn gg_make(&self, bench: &Bench) -> Command {
        let mut command = bench.gg("gg-make");
        command.args(&self.build[1..]).current_dir(&self.tree);
        command
    }

    /// The build under `gg infer`.
    pub fn gg_infer(&self, bench: &Bench) -> Command {
        let mut command = bench.gg("gg");
        command.args(["infer", "--"]).args(&self.build).current_dir(&self.tree);
        command
    }
}

/// The recipe of a name: the tests' projects, and a few that only the suite builds.
fn recipe(name: &str) -> Any<Recipe> {
    for file in ["tests/projects.toml", "benches/projects.toml"] {
        let path = Bench::root().join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut recipes: BTreeMap<String, toml::Value> =
            toml::from_str(&text).with_context(|| format!("{file} is damaged"))?;
        if let Some(recipe) = recipes.remove(name) {
            return recipe.try_into().with_context(|| format!("the recipe {name} of {file}"));
        }
    }
    anyhow::bail!("there is no project {name}")
}

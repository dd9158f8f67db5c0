//! Graphs, for programs that run as thunks.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use gg_recipe::{Recipe, Source};
use serde_json::json;

/// What a program writes in place of an output that is declared dynamic: what to compute instead.
///
/// ```
/// use gg_sdk::{Graph, Recipe, Source};
///
/// let mut graph = Graph::default();
/// let less = graph.add(Recipe { inherit: true, args: Some(vec!["fib".into(), "4".into()]), ..Recipe::default() });
/// graph.write("/tmp/out", &less)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Graph {
    thunks: BTreeMap<String, Recipe>,
}

impl Graph {
    /// Adds a recipe; what is returned stands for its only output, as an input of others. With [`Source::output`] it is another of them.
    pub fn add(&mut self, recipe: Recipe) -> Source {
        let key = self.thunks.len().to_string();
        self.thunks.insert(key.clone(), recipe);
        Source { thunk: Some(key), ..Source::default() }
    }

    /// What the program's own thunk has as its input at this path.
    pub fn input(path: impl Into<std::ffi::OsString>) -> Source {
        Source { input: Some(path.into().into()), ..Source::default() }
    }

    /// What the program has written as its output of this tag.
    pub fn made(tag: impl Into<String>) -> Source {
        Source { made: Some(tag.into()), ..Source::default() }
    }

    /// Writes the graph to the output's path; `output` is what stands for the output.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>, output: &Source) -> io::Result<()> {
        fs::write(path, format!("gg-graph 1\n{}", json!({"thunks": self.thunks, "output": output})))
    }
}

//! Who uses whose outputs, as text, for Graphviz, and as a picture for a person.
//!
//! # Layout, from the records to the person
//!
//! - `gather`: [`Graph::gather`]: the steps of the last build, or those that chosen files come from
//! - `select`: fewer of them: by tool, by kind, by distance; many that are alike as one
//! - `layout`: where each stands: [`layout::Picture`]
//! - `text`: for a terminal, and in Graphviz's language; `svg`: a picture; `page`: the same for a browser

mod gather;
mod layout;
pub mod page;
mod select;
pub mod svg;
pub mod text;

pub use layout::Picture;
pub use select::Selection;

use crate::report::Served;

/// Steps, each after those that it needs.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// What it is of, for a person.
    pub title: String,
    /// The steps.
    pub nodes: Vec<Node>,
}

/// One step, or several that are drawn as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// A part of its thunk's name that tells it from the others.
    pub id: String,
    /// The kind of step; empty for one that is only known by its thunk.
    pub kind: String,
    /// The tool's name.
    pub tool: String,
    /// What it makes, without the directory of the build.
    pub label: String,
    /// The directory that it was called in.
    pub directory: String,
    /// Its command line.
    pub command: String,
    /// Where its result was from when it was last built.
    pub served: Served,
    /// Whether an earlier build ran it, not the last one.
    pub earlier: bool,
    /// How long its program ran, microseconds.
    pub wall_us: u64,
    /// How many files its sandbox holds; none where the store does not have the thunk any more.
    pub files: Option<usize>,
    /// Places in [`Graph::nodes`] of those whose outputs it uses: in order, each once, all before its own.
    pub needs: Vec<usize>,
    /// What the steps make that this one stands for.
    pub members: Vec<String>,
}

impl Node {
    /// Its kind, or its tool where that is not known.
    pub fn what(&self) -> &str {
        if self.kind.is_empty() { &self.tool } else { &self.kind }
    }
}

impl Graph {
    /// For each step the places of those that use its outputs, in order.
    fn users(&self) -> Vec<Vec<usize>> {
        let mut users = vec![Vec::new(); self.nodes.len()];
        for (place, node) in self.nodes.iter().enumerate() {
            node.needs.iter().for_each(|&need| users[need].push(place));
        }
        users
    }
}

#[cfg(test)]
fn graph(nodes: &[(&str, &str, &[usize])]) -> Graph {
    let node = |(place, &(kind, label, needs)): (usize, &(&str, &str, &[usize]))| Node {
        id: format!("n{place}"),
        kind: kind.into(),
        tool: if kind == "archive" { "ar".into() } else { "gcc".into() },
        label: label.into(),
        served: Served::Executed,
        needs: needs.to_vec(),
        ..Node::default()
    };
    Graph { title: "a test".into(), nodes: nodes.iter().enumerate().map(node).collect() }
}

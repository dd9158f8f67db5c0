//! A graph in words.

use std::io::{self, Write};

use super::Graph;

/// For a terminal: a line for each step, and one for each that it needs.
///
/// # Errors
/// Whatever the output says.
pub fn plain(graph: &Graph, out: &mut dyn Write) -> io::Result<()> {
    for node in &graph.nodes {
        let files = node.files.map_or(String::new(), |files| format!(" ({files} files)"));
        let earlier = if node.earlier { ", an earlier build's" } else { "" };
        writeln!(out, "{} {} {}{files}{earlier}", node.id, node.what(), node.label)?;
        for &need in &node.needs {
            writeln!(out, "  <- {} {}", graph.nodes[need].id, graph.nodes[need].label)?;
        }
    }
    Ok(())
}

/// In the language of Graphviz.
///
/// # Errors
/// Whatever the output says.
pub fn dot(graph: &Graph, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "digraph build {{\n  rankdir=LR;\n  node [shape=box];")?;
    for node in &graph.nodes {
        let style = if node.earlier { ", style=dashed" } else { "" };
        let label = quoted(&format!("{}\n{}", node.what(), node.label));
        writeln!(out, "  {} [label={label}{style}];", quoted(&node.id))?;
        for &need in &node.needs {
            writeln!(out, "  {} -> {};", quoted(&graph.nodes[need].id), quoted(&node.id))?;
        }
    }
    writeln!(out, "}}")
}

/// As a quoted string of the DOT language, where `\n` breaks a line in a label and a backslash stands for itself if it is doubled.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::super::graph;
    use super::*;

    #[test]
    fn both_forms() {
        let mut small = graph(&[("compile", "a\"\\.o", &[]), ("link", "app", &[0])]);
        small.nodes[0].files = Some(3);
        small.nodes[0].earlier = true;
        let mut out = Vec::new();
        plain(&small, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "n0 compile a\"\\.o (3 files), an earlier build's\nn1 link app\n  <- n0 a\"\\.o\n"
        );
        let mut out = Vec::new();
        dot(&small, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(r#""n0" [label="compile\na\"\\.o", style=dashed];"#), "{text}");
        assert!(text.contains(r#""n0" -> "n1";"#) && text.ends_with("}\n"), "{text}");
    }
}

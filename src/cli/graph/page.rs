//! A graph as one page for a browser, which loads nothing: the picture, a search, and what a step that is chosen comes from and goes
//! into.

use std::io::{self, Write};

use super::layout::Picture;
use super::{Graph, svg};

const PAGE: &str = include_str!("page.html");

/// Writes the page.
///
/// # Errors
/// Whatever the output says.
pub fn write(graph: &Graph, picture: &Picture, out: &mut dyn Write) -> io::Result<()> {
    let mut drawing = Vec::new();
    svg::write(graph, picture, &mut drawing)?;
    let (head, rest) = PAGE.split_once("@PICTURE@").unwrap_or((PAGE, ""));
    out.write_all(head.replace("@TITLE@", &svg::escaped(&graph.title)).as_bytes())?;
    out.write_all(&drawing)?;
    out.write_all(rest.as_bytes())
}

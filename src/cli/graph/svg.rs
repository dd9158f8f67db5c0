//! A graph as a picture: one SVG that needs nothing else.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::layout::Picture;
use super::{Graph, Node};

/// A step's box, and the room between columns and rows, in pixels.
const WIDTH: f64 = 216.0;
const HEIGHT: f64 = 40.0;
const COLUMN: f64 = 300.0;
const ROW: f64 = 52.0;
const MARGIN: f64 = 16.0;
/// The line above the picture.
const HEAD: f64 = 36.0;

/// As many characters of a name fit into a box.
const CHARACTERS: usize = 30;

const STYLE: &str = "\
    .ground{fill:#fff}text{font:12px ui-monospace,monospace;fill:#1c2733}.kind{fill:#5b6875;font-size:11px}.head{font-size:14px}\
    .edge{fill:none;stroke:#9aa7b4;stroke-width:1.2}\
    .node rect{fill:#f4f6f8;stroke:#8b98a5}.node .bar{stroke:none;fill:#8b98a5}\
    .compile .bar{fill:#3b7dd8}.assemble .bar{fill:#2aa198}.archive .bar{fill:#b58900}.link .bar{fill:#8e5bd0}.strip .bar{fill:#6c7a87}\
    .earlier .box{stroke-dasharray:5 3}.failed .box{stroke:#d0342c;stroke-width:2}\
    @media(prefers-color-scheme:dark){.ground{fill:#12181f}text{fill:#dde5ec}.kind{fill:#96a3b0}.node rect{fill:#1e2731}}";

/// Writes a picture.
///
/// # Errors
/// Whatever the output says.
pub fn write(graph: &Graph, picture: &Picture, out: &mut dyn Write) -> io::Result<()> {
    let x = |column: usize| MARGIN + column as f64 * COLUMN;
    let y = |row: f64| HEAD + MARGIN + row * ROW;
    let width = (x(picture.columns.saturating_sub(1)) + WIDTH + MARGIN).max(360.0);
    let height = y(picture.rows) + MARGIN;
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\">"
    )?;
    writeln!(out, "<title>{}</title>\n<style>{STYLE}</style>", escaped(&graph.title))?;
    writeln!(out, "<rect class=\"ground\" width=\"100%\" height=\"100%\"/>")?;
    let head = format!("{}: {}", short(&graph.title, 60), steps(graph));
    writeln!(out, "<text class=\"head\" x=\"{MARGIN}\" y=\"{:.0}\">{}</text>", HEAD - 8.0, escaped(&head))?;
    writeln!(out, "<g>")?;
    for (need, user, way) in &picture.edges {
        let (from, to) = (picture.places[*need], picture.places[*user]);
        let mut path = String::new();
        let mut at = (x(from.0) + WIDTH, y(from.1));
        // A string takes all that is written to it.
        let _ = write!(path, "M{:.1} {:.1}", at.0, at.1);
        for (step, row) in way.iter().enumerate() {
            let column = from.0 + 1 + step;
            curve(&mut path, at, (x(column), y(*row)));
            let _ = write!(path, "H{:.1}", x(column) + WIDTH);
            at = (x(column) + WIDTH, y(*row));
        }
        curve(&mut path, at, (x(to.0), y(to.1)));
        writeln!(out, "<path class=\"edge\" data-from=\"{need}\" data-to=\"{user}\" d=\"{path}\"/>")?;
    }
    writeln!(out, "</g>")?;
    for (place, node) in graph.nodes.iter().enumerate() {
        let (column, row) = picture.places[place];
        let (x, y) = (x(column), y(row) - HEIGHT / 2.0);
        let mut class = format!("node {}", node.kind.replace('+', " "));
        if node.earlier {
            class.push_str(" earlier");
        }
        if node.served.name() == "failed" {
            class.push_str(" failed");
        }
        writeln!(
            out,
            "<g class=\"{}\" data-step=\"{place}\" transform=\"translate({x:.1} {y:.1})\"><title>{}</title>\
             <rect class=\"box\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"4\"/><rect class=\"bar\" width=\"5\" height=\"{HEIGHT}\" rx=\"2\"/>\
             <text class=\"kind\" x=\"12\" y=\"15\">{}</text><text x=\"12\" y=\"31\">{}</text></g>",
            escaped(&class),
            escaped(&about(node)),
            escaped(&kind_and_time(node)),
            escaped(&short(&node.label, CHARACTERS - 2)),
        )?;
    }
    writeln!(out, "</svg>")
}

fn curve(path: &mut String, from: (f64, f64), to: (f64, f64)) {
    let middle = (from.0 + to.0) / 2.0;
    let _ = write!(path, "C{middle:.1} {:.1} {middle:.1} {:.1} {:.1} {:.1}", from.1, to.1, to.0, to.1);
}

/// How many steps are drawn, and how many of them by one.
pub fn steps(graph: &Graph) -> String {
    let all: usize = graph.nodes.iter().map(|node| node.members.len().max(1)).sum();
    match all {
        1 => "1 step".to_owned(),
        all if all == graph.nodes.len() => format!("{all} steps"),
        all => format!("{all} steps, {} drawn; many that are alike are one", graph.nodes.len()),
    }
}

fn kind_and_time(node: &Node) -> String {
    let time = if node.wall_us == 0 { String::new() } else { format!(", {:.2} s", node.wall_us as f64 / 1e6) };
    let files = node.files.map_or(String::new(), |files| format!(", {files} files"));
    format!("{}{time}{files}", node.what())
}

/// All there is to say of a step, in lines.
fn about(node: &Node) -> String {
    const MEMBERS: usize = 100;
    let mut lines = vec![node.label.clone(), kind_and_time(node)];
    lines.push(if node.earlier { "in an earlier build".to_owned() } else { node.served.name().to_owned() });
    if !node.command.is_empty() {
        lines.push(format!("in {}: {}", node.directory, node.command));
    }
    lines.extend(node.members.iter().take(MEMBERS).cloned());
    if node.members.len() > MEMBERS {
        lines.push(format!("and {} more", node.members.len() - MEMBERS));
    }
    lines.join("\n")
}

/// The end of a long text, which tells files of one directory apart.
fn short(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let end: String = text.chars().skip(count - most + 1).collect();
    // Whole names, if there are any.
    match end.split_once('/') {
        Some((_, names)) if names.len() * 2 > end.len() => format!("…/{names}"),
        _ => format!("…{end}"),
    }
}

/// As text in XML, which has no way to write most control characters.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\t' => safe.push(character),
            character if character.is_control() => safe.push('\u{fffd}'),
            character => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::graph;
    use super::*;

    #[test]
    fn names_keep_their_ends() {
        assert_eq!(short("src/main.o", 20), "src/main.o");
        assert_eq!(short("a/long/way/down/to/main.o", 14), "…/to/main.o");
        assert_eq!(short("averyveryverylongname.o", 10), "…ongname.o");
    }

    #[test]
    fn a_picture_says_all_and_is_xml() {
        let label = "a/very/long/way/down/to/a/file/<&\"\u{1}.o";
        let mut graph = graph(&[("compile", label, &[]), ("link", "app", &[0])]);
        graph.nodes[0].earlier = true;
        let mut out = Vec::new();
        write(&graph, &Picture::of(&graph, 100).unwrap(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("<title>a/very/long/way/down/to/a/file/&lt;&amp;&quot;\u{fffd}.o\n"), "{text}");
        assert!(text.contains(">…/way/down/to/a/file/&lt;&amp;&quot;\u{fffd}.o<"), "{text}");
        assert!(text.contains("class=\"node compile earlier\"") && text.contains("a test: 2 steps"), "{text}");
        assert_eq!(text.matches("class=\"edge\"").count(), 1);
    }
}

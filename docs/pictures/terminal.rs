//! Takes pictures of a terminal in which a project is built with `gg-make`: while it runs, when it is done, and when a file
//! of it is broken. `docs/pictures/take` calls this.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;

#[path = "../../tests/screen.rs"]
#[allow(dead_code)]
mod screen;

use screen::Screen;

/// Pictures of a build in a terminal.
#[derive(Parser)]
struct Args {
    /// The project's tree; it is copied
    tree: PathBuf,
    /// A source of it that is broken for the last picture
    broken: PathBuf,
    /// Where the pictures go
    out: PathBuf,
    /// gg-make
    #[arg(long)]
    gg_make: PathBuf,
    /// Its arguments
    #[arg(last = true)]
    make: Vec<String>,
}

const SIZE: (u16, u16) = (22, 92);

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("terminal-pictures: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> std::io::Result<()> {
    let folder = tempfile::tempdir()?;
    let name = args.tree.file_name().unwrap_or_default();
    // Of a place whose name is the same each time, since it is in the pictures.
    let tree = std::env::temp_dir().join(name);
    fs::create_dir(&tree)?;
    let _removed = Removed(&tree);
    Command::new("cp").arg("-a").arg(args.tree.join(".")).arg(&tree).status()?;
    let gg_make = fs::canonicalize(&args.gg_make)?;
    let start = || {
        let mut command = Command::new(&gg_make);
        command.args(&args.make).current_dir(&tree).env("GG_DIR", folder.path().join("store"));
        Screen::start(command, SIZE)
    };
    let save = |moment: &str, screen: &Screen| {
        fs::write(args.out.join(format!("terminal-{moment}.svg")), picture(screen.screen(), &name.to_string_lossy()))
    };
    fs::create_dir_all(&args.out)?;
    let mut running = start();
    running.until(is_midway);
    save("running", &running)?;
    running.end();
    save("done", &running)?;
    let broken = tree.join(&args.broken);
    fs::OpenOptions::new().append(true).open(broken)?.write_all(b"\nint broken(void) { return no_such_thing; }\n")?;
    let mut failed = start();
    failed.end();
    save("failed", &failed)
}

/// A directory that goes when this is dropped.
struct Removed<'a>(&'a Path);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0);
    }
}

/// Whether a good part of the steps is done.
fn is_midway(screen: &Screen) -> bool {
    let rows = screen.rows();
    let Some(line) = rows.iter().find(|row| row.starts_with("gg  0:")) else { return false };
    let numbers: Vec<usize> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    matches!(numbers[..], [done, all, ..] if all > 40 && done * 2 > all && done < all)
}

/// Columns and rows, in pixels.
const CELL: (f64, f64) = (8.4, 18.0);
const MARGIN: f64 = 14.0;
/// The bar above the screen, with the title.
const BAR: f64 = 30.0;

/// The colours of xterm, a bit softer.
const PALETTE: [&str; 16] = [
    "#3b4252", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d8dee9", "#6b7385", "#ff7a85",
    "#b3e08c", "#ffd78a", "#7cc4ff", "#dd94f0", "#74d2dd", "#ffffff",
];
const TEXT: &str = "#d8dee9";
const PAPER: &str = "#1e222a";

/// A screen as a picture in SVG.
fn picture(screen: &vt100::Screen, title: &str) -> String {
    let (rows, columns) = screen.size();
    let width = f64::from(columns) * CELL.0 + 2.0 * MARGIN;
    let height = f64::from(rows) * CELL.1 + 2.0 * MARGIN + BAR;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{PAPER}\"/>\n\
         <text x=\"{MARGIN}\" y=\"20\" fill=\"#6b7385\">{}</text>\n",
        escaped(title)
    );
    for row in 0..rows {
        let mut column = 0;
        while column < columns {
            let (text, style, next) = stretch(screen, row, column);
            if !text.trim().is_empty() {
                let x = MARGIN + f64::from(column) * CELL.0;
                let y = BAR + MARGIN + f64::from(row) * CELL.1;
                let length = f64::from(next - column) * CELL.0;
                let _ = writeln!(
                    svg,
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{length:.1}\" xml:space=\"preserve\"{style}>{}</text>",
                    escaped(&text)
                );
            }
            column = next;
        }
    }
    svg + "</svg>\n"
}

/// Cells that look alike, from one on: their text, how they look, and where the next ones begin.
fn stretch(screen: &vt100::Screen, row: u16, from: u16) -> (String, String, u16) {
    let style = |column: u16| {
        let Some(cell) = screen.cell(row, column) else { return String::new() };
        let colour = match cell.fgcolor() {
            vt100::Color::Default => TEXT.to_owned(),
            vt100::Color::Idx(index) => PALETTE[usize::from(index) % PALETTE.len()].to_owned(),
            vt100::Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        };
        format!(" fill=\"{colour}\"{}", if cell.bold() { " font-weight=\"bold\"" } else { "" })
    };
    let first = style(from);
    let (mut text, mut column) = (String::new(), from);
    while column < screen.size().1 && style(column) == first {
        match screen.cell(row, column) {
            Some(cell) if cell.is_wide_continuation() => {}
            Some(cell) if cell.has_contents() => text.push_str(cell.contents()),
            _ => text.push(' '),
        }
        column += 1;
    }
    (text, first, column)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

//! The rows: what is run, and what becomes of the figures.

use anyhow::bail;

use crate::Any;
use crate::bench::Bench;
use crate::line::Line;

pub mod call;
mod infer;

/// A row, or some that are measured together.
#[derive(Clone, Copy)]
pub struct Row {
    /// What it is asked for by.
    pub name: &'static str,
    /// What it measures.
    pub about: &'static str,
    /// Measures it.
    pub measure: fn(&mut Bench) -> Any<Vec<Line>>,
}

/// All rows, in the order in which they are measured.
pub fn all() -> Vec<Row> {
    let row = |name, about, measure| Row { name, about, measure };
    vec![
        row("infer-redis", "redis inferred cold, beside the same make with a do-nothing compiler", infer::redis),
        row("infer-git", "git inferred cold, beside the same make with a do-nothing compiler", infer::git),
        row("infer-ffmpeg", "FFmpeg inferred cold, beside the same make with a do-nothing compiler", infer::ffmpeg),
        row("call", "one stub call with warm caches, CPU in stub and session", call::measure),
    ]
}

/// Those whose names begin with one of the words; all without words.
///
/// # Errors
/// When a word is the beginning of no name.
pub fn chosen(all: &[Row], words: &[String]) -> Any<Vec<Row>> {
    for word in words {
        if !all.iter().any(|row| row.name.starts_with(word.as_str())) {
            bail!("there is no row {word}; `benches/run --list` says which there are");
        }
    }
    let is_wanted = |row: &&Row| words.is_empty() || words.iter().any(|word| row.name.starts_with(word.as_str()));
    Ok(all.iter().filter(is_wanted).copied().collect())
}

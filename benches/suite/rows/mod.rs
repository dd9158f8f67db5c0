//! The rows: what is run, and what becomes of the figures.

use anyhow::bail;

use crate::Any;
use crate::bench::Bench;
use crate::line::Line;

mod builds;
pub mod call;
mod cloud;
mod infer;
mod small;
mod told;
mod tree;

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
        row(
            "build-lua",
            "Lua built cold, again from the cache, and with nothing to do; beside make, ccache, sccache",
            builds::lua,
        ),
        row("build-redis", "redis, the same", builds::redis),
        row("build-ninja", "ninja-cmake, the same", builds::ninja),
        row("build-ninja-lto", "ninja with link-time optimisation, the same", builds::ninja_lto),
        row("thunk", "a trivial thunk in the sandbox with 100 inputs, beyond fork and exec", told::thunk),
        row("coordinator", "the coordinator on 100,000 thunks in virtual time", told::coordinator),
        row("sleep", "1,000 thunks of 2 s on 1,000 workers that the front door pretends", cloud::measure),
        row(
            "tree",
            "a synthetic tree of Chromium's size (--size) inferred, its thunks on disk, and again after a change",
            tree::measure,
        ),
        row("scan", "the include scanner beside gcc -M", told::scan),
        row("store", "hashing, storing, importing files", told::store),
        row(
            "held",
            "a make of 200 compiles by a compiler without a model: what the holding of programs costs",
            small::held,
        ),
        row("trivial", "500 thunks that copy one small file, inferred and forced", small::trivial),
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

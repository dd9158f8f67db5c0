//! `gg man`.

use std::path::Path;

use anyhow::{Context, Result};

use crate::manual::pages;

/// Writes the manual pages to a directory.
///
/// # Errors
/// When they cannot be written.
pub fn run(directory: &Path) -> Result<i32> {
    let pages = pages::write(directory)
        .map_err(|(file, error)| anyhow::Error::from(error).context(format!("cannot write {}", file.display())))?;
    let shown = std::path::absolute(directory).context("the current directory is gone")?;
    println!("{} pages; `man {}/gg.1` shows the first", pages.len(), shown.display());
    Ok(0)
}

//! `gg clean`.

use std::fs;
use std::io;

use anyhow::{Context, Result};
use gg_store::Store;

use crate::front;
use crate::settings::Settings;

/// Deletes everything that gg keeps.
///
/// # Errors
/// When a build runs and `force` is not given, or something cannot be deleted.
pub fn run(force: bool, settings: &Settings) -> Result<i32> {
    Store::open(&settings.directory)?.clean(force)?;
    for folder in ["reports", "pending", "sessions", "history", front::bytecode::FOLDER] {
        let path = settings.directory.join(folder);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot delete {}", path.display()));
            }
            _ => {}
        }
    }
    println!("{} is empty", settings.directory.display());
    Ok(0)
}

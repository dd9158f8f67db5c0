//! Where `gg infer` left placeholders, so that `gg force` without arguments finds them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

fn file(directory: &Path, root: &Path) -> PathBuf {
    let name = gg_ir::Name::of_value(root.as_os_str().as_bytes()).to_string();
    directory.join("pending").join(&name[1..23])
}

/// Adds to what is pending in `root`.
///
/// # Errors
/// When the list cannot be written.
pub fn save(directory: &Path, root: &Path, paths: &[PathBuf]) -> Result<()> {
    let mut all = load(directory, root);
    all.extend(paths.iter().cloned());
    all.sort();
    all.dedup();
    store(directory, root, &all)
}

/// Replaces what is pending in `root`.
///
/// # Errors
/// When the list cannot be written.
pub fn store(directory: &Path, root: &Path, paths: &[PathBuf]) -> Result<()> {
    let path = file(directory, root);
    let write = || {
        fs::create_dir_all(directory.join("pending"))?;
        if paths.is_empty() {
            return fs::remove_file(&path).or(Ok(()));
        }
        // Names may hold newlines, never a NUL.
        let bytes = paths.iter().map(|path| path.as_os_str().as_bytes()).collect::<Vec<_>>().join(&0);
        fs::write(&path, bytes)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// What is pending in `root`.
pub fn load(directory: &Path, root: &Path) -> Vec<PathBuf> {
    let bytes = fs::read(file(directory, root)).unwrap_or_default();
    bytes.split(|&b| b == 0).filter(|path| !path.is_empty()).map(|path| OsStr::from_bytes(path).into()).collect()
}

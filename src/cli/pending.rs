//! Where a build left placeholders (`gg infer`, `--want`), so that `gg force` without arguments finds them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use gg_force::{Coordinator, ThunkFailure};

use crate::console::Console;
use crate::session::{Deliveries, Placeholders, foreign};

fn file(directory: &Path, root: &Path) -> PathBuf {
    let name = gg_ir::Name::of_value(root.as_os_str().as_bytes()).to_string();
    directory.join("pending").join(&name[1..23])
}

/// Adds placeholders that have just been seen to what is pending in `root`.
///
/// # Errors
/// When the list cannot be written.
pub fn save(directory: &Path, root: &Path, mut all: Vec<PathBuf>) -> Result<()> {
    all.sort();
    let mut earlier = load(directory, root);
    earlier.retain(|path| all.binary_search(path).is_err() && Placeholders::at(path).is_some());
    all.extend(earlier);
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

/// Computes those of these files that are placeholders, and puts what they stand for in their place; how many could not be.
/// `tell` is told of each thunk that failed, once, with a file of it.
pub fn settle(
    paths: &[PathBuf],
    placeholders: &Placeholders,
    coordinator: &Coordinator,
    deliveries: &Deliveries,
    console: &Console,
    tell: &dyn Fn(&Path, &ThunkFailure),
) -> usize {
    let adopted = paths.iter().filter_map(|path| Some((path, placeholders.adopt(path)?)));
    let wanted: Vec<_> = adopted.collect();
    for (path, placeholder) in &wanted {
        coordinator.add(foreign(placeholder, path));
    }
    // A thunk may have several files here: what it says is said once.
    let mut told = BTreeSet::new();
    let mut failed = 0;
    for (path, placeholder) in &wanted {
        let thunk = &placeholder.thunk;
        let done = match coordinator.wait(thunk) {
            Ok(reduction) => {
                if told.insert(*thunk) {
                    console.output(&reduction.stdout, &reduction.stderr);
                }
                deliveries
                    .complete(thunk, &reduction)
                    .inspect_err(|(path, error)| deliveries.failures().tell_unwritten(path, &error.to_string()))
                    .is_ok()
            }
            Err(failure) => {
                if told.insert(*thunk) {
                    tell(path, &failure);
                }
                false
            }
        };
        failed += usize::from(!done);
    }
    failed
}

//! What an earlier session that was killed left in the tree.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use gg_force::Coordinator;

use super::deliver::Deliveries;
use super::journal::{self, Remains};
use super::placeholders::Placeholders;
use crate::console::Console;

/// Sets right what sessions that died left in trees that overlap `root`: make takes a placeholder for a finished file,
/// and a file that was half written for a whole one.
///
/// What placeholders stand for is computed now rather than removed: another file that was made from it may be finished
/// and newer, and then make would not ask for it again.
pub fn recover(
    sessions: &Path,
    root: &Path,
    placeholders: &Placeholders,
    deliveries: &Deliveries,
    coordinator: &Coordinator,
    console: &Console,
) {
    journal::take_over(sessions, root, |remains| {
        let (mut made, mut removed) = (0, 0);
        sweep(remains);
        for path in &remains.unfinished {
            removed += u32::from(fs::remove_file(path).is_ok());
        }
        for path in &remains.placeholders {
            let Some(placeholder) = placeholders.adopt(path) else { continue };
            let outcome = coordinator.wait(&placeholder.thunk);
            let done = outcome.is_ok_and(|reduction| deliveries.fulfil(&placeholder.thunk, &reduction).is_ok());
            if done {
                made += 1;
            } else {
                placeholders.abandon(&placeholder.thunk);
                removed += 1;
            }
        }
        if made + removed > 0 {
            console.notice(&format!(
                "an earlier build was killed here: {made} of its unfinished files were completed, {removed} removed"
            ));
        }
        true
    });
}

/// Removes a dead session's temporary files, which stand beside what they were to replace.
fn sweep(remains: &Remains) {
    let folders: BTreeSet<&Path> = remains.placeholders.iter().filter_map(|path| path.parent()).collect();
    for entry in folders.into_iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten() {
        if entry.file_name().as_bytes().starts_with(remains.temporary_prefix.as_bytes()) {
            // What cannot be removed is a stray file, no wrong one.
            let _ = fs::remove_file(entry.path());
        }
    }
}

//! What an earlier session that was killed left in the tree.

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use gg_force::{Coordinator, Outcome};
use gg_ir::{Name, Placeholder};
use gg_store::Store;

use super::deliver::Deliveries;
use super::journal::{self, Heir, Remains};
use super::placeholders::Placeholders;

/// With what a tree is set right. Not with what the build itself uses: a step that fails here is no step of the build, and
/// make may well ask for it again.
pub struct Repair {
    /// Who forces.
    pub coordinator: Arc<Coordinator>,
    /// Where the results go.
    pub deliveries: Arc<Deliveries>,
    /// Where the thunks are.
    pub store: Arc<Store>,
}

impl Repair {
    /// Does for one thunk what its session would have done.
    fn deliver(&self, name: &Name, outcome: &Outcome) -> bool {
        let (Ok(reduction), Ok(thunk)) = (outcome, self.store.read_thunk(name)) else { return false };
        // Outputs that may be left out have no placeholder.
        let optional = thunk.outputs.iter().filter(|(_, output)| output.optional);
        let optional = optional.map(|(tag, output)| (tag.clone(), output.path.as_path().to_path_buf())).collect();
        self.deliveries.place(name, reduction, &optional).and_then(|()| self.deliveries.fulfil(name, reduction)).is_ok()
    }
}

/// Sets right what sessions that died left in trees that overlap one of the heir's: make takes a placeholder for a finished
/// file, and a file that was half written for a whole one. Returns whether everything was done; if not, since it was
/// interrupted, the next session does the rest.
///
/// What placeholders stand for is computed now rather than removed: another file that was made from it may be finished
/// and newer, and then make would not ask for it again.
///
/// # Errors
/// When `repair`, which is asked only if there is something to compute, cannot give what it takes.
pub fn recover(
    sessions: &Path,
    heir: &Heir<'_>,
    placeholders: &Placeholders,
    mut repair: impl FnMut() -> Result<Repair>,
) -> Result<bool> {
    let (mut made, mut removed) = (0, 0);
    let mut tools: Option<Repair> = None;
    let mut result = Ok(());
    journal::take_over(sessions, heir, |remains| {
        if (heir.interrupted)() || result.is_err() {
            return false;
        }
        sweep(remains);
        for path in &remains.unfinished {
            removed += u32::from(fs::remove_file(path).is_ok());
        }
        let mut standing = Vec::new();
        for path in &remains.placeholders {
            // If this process is killed too, its journal names what it was about to write.
            if Placeholders::at(path).is_some() && placeholders.journal().placeholder(path).is_ok() {
                standing.extend(placeholders.adopt(path).map(|placeholder| (path, placeholder)));
            }
        }
        if standing.is_empty() {
            return true;
        }
        if tools.is_none() {
            match repair() {
                Ok(repair) => tools = Some(repair),
                Err(error) => result = Err(error),
            }
        }
        let Some(tools) = &tools else { return false };
        start(&tools.coordinator, &standing);
        for (path, placeholder) in &standing {
            let outcome = tools.coordinator.wait(&placeholder.thunk);
            if (heir.interrupted)() {
                return false;
            }
            let there = || Placeholders::at(path).is_some();
            // One thunk may have several outputs, and was seen to with the first of them.
            if there() {
                let delivered = tools.deliver(&placeholder.thunk, &outcome);
                if !delivered || there() {
                    placeholders.abandon(&placeholder.thunk);
                }
            }
            if path.symlink_metadata().is_ok() { made += 1 } else { removed += 1 }
        }
        true
    });
    if made + removed > 0 {
        (heir.notice)(&format!(
            "an earlier build was killed here: {made} of its unfinished files were completed, {removed} removed"
        ));
    }
    result.map(|()| !(heir.interrupted)())
}

/// Has everything computed, several at a time.
fn start(coordinator: &Coordinator, standing: &[(&PathBuf, Placeholder)]) {
    let mut known: HashSet<Name> = HashSet::new();
    for (path, placeholder) in standing {
        if known.insert(placeholder.thunk) {
            coordinator.add(super::foreign(placeholder, path));
        }
    }
}

/// Removes a dead session's temporary files, which stand beside what they were to replace.
fn sweep(remains: &Remains) {
    for entry in remains.folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten() {
        if entry.file_name().as_bytes().starts_with(remains.temporary_prefix.as_bytes()) {
            // What cannot be removed is a stray file, no wrong one.
            let _ = fs::remove_file(entry.path());
        }
    }
}

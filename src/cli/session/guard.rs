//! What happens when a program of the build touches a placeholder, or executes a tool.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use gg_watch::{Access, Copying, FileId, Guard};

use super::Session;
use super::placeholders::Placeholders;

/// Guards a session's placeholders.
pub struct SessionGuard {
    session: Arc<Session>,
    executed: Mutex<BTreeMap<PathBuf, u64>>,
    /// The terminal, by the names under which programs open it.
    terminals: Vec<FileId>,
}

impl SessionGuard {
    /// A guard.
    pub fn new(session: Arc<Session>) -> Self {
        if session.options.lazy {
            // Then the kernel leads hard links and mounts here.
            session.directories.keep_files();
        }
        // What every process calls its terminal, and what it is called itself.
        let names = ["/dev/tty", "/proc/self/fd/2"].iter().filter(|_| session.console.is_terminal());
        let terminals = names.filter_map(|name| std::fs::metadata(name).ok());
        let terminals = terminals.map(|info| FileId { device: info.dev(), inode: info.ino() }).collect();
        Self { session, executed: Mutex::default(), terminals }
    }

    /// Tools that were executed past the stand-ins, by path, and how often.
    pub fn bypassed(&self) -> BTreeMap<String, u64> {
        let executed = self.executed.lock().unwrap_or_else(PoisonError::into_inner);
        let told = self.session.told_to_execute();
        let past =
            executed.iter().map(|(path, count)| (path, count.saturating_sub(told.get(path).copied().unwrap_or(0))));
        past.filter(|(_, count)| *count > 0).map(|(path, count)| (path.display().to_string(), count)).collect()
    }
}

impl Guard for SessionGuard {
    fn concerns(&self, file: FileId) -> bool {
        self.session.placeholders.knows(file) || self.terminals.contains(&file)
    }

    fn produce(&self, path: &Path, file: FileId, access: Access) -> Result<(), i32> {
        if self.terminals.contains(&file) {
            if access != Access::Stat {
                self.session.console.make_way();
            }
            return Ok(());
        }
        match Placeholders::at(path) {
            // It was overwritten, or has its content by now.
            None => Ok(()),
            Some(placeholder) => {
                self.session.force(path, &placeholder).map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))
            }
        }
    }

    fn renamed(&self, from: &Path, to: &Path) {
        // A journal that cannot be written costs the repair after a crash, nothing now.
        let _ = self.session.placeholders.moved(from, to);
    }

    fn aliased(&self, file: Option<FileId>) {
        self.session.directories.aliased(file.map(|file| (file.device, file.inode)));
    }

    fn linked(&self, file: FileId, name: &Path) -> bool {
        self.session.placeholders.linked(file, name)
    }

    fn instead(&self, program: &Path, caller: u32) -> Option<CString> {
        if self.session.options.detours { self.session.detours.of(program, caller) } else { None }
    }

    fn copies(&self, program: &Path, caller: u32) -> Copying {
        match &self.session.detours {
            _ if !self.session.options.detours => Copying::Produce,
            detours if detours.is_stand_in(program) => Copying::Leave,
            detours => detours.of_copier(program, caller).map_or(Copying::Produce, Copying::Lead),
        }
    }

    fn executed(&self, program: &Path) {
        let is_tool = program.file_name().is_some_and(|name| is_driver(name) && gg_models::Models::is_tool_name(name));
        if is_tool && !program.starts_with(&self.session.sessions) {
            let mut executed = self.executed.lock().unwrap_or_else(PoisonError::into_inner);
            *executed.entry(program.to_path_buf()).or_default() += 1;
        }
    }
}

/// Assemblers and linkers are run by compilers that run here; that is no bypass.
fn is_driver(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let last = name.rsplit('-').next().unwrap_or(&name);
    !(last == "as" || last.starts_with("ld") || last == "mold")
}

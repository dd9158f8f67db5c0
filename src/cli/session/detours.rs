//! Where programs that execute a tool are led to instead, whether they found it on PATH or know its path.
//!
//! ```text
//! SESSION/at/NUMBER/NAME    a link to the stub; NAME is the tool's
//! SESSION/at/NUMBER/.real   a link to the tool
//! ```

use std::collections::HashMap;
use std::collections::HashSet;
use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gg_models::Models;

/// The directory of detours in a session's own.
const AT: &str = "at";
/// The link to the tool.
const REAL: &str = ".real";
/// Ancestors that are looked at, at most.
const ANCESTORS: usize = 64;

/// Where detours lead.
pub struct Detours {
    session: PathBuf,
    sessions: PathBuf,
    /// Names of tools that only a description knows.
    described: HashSet<OsString>,
    /// When the session began: what has changed since is being built, and is no tool of the build's.
    began: Duration,
    made: Mutex<HashMap<PathBuf, Option<CString>>>,
}

impl Detours {
    /// No detours yet, for a session with this directory.
    pub fn new(session: &Path, models: &Models) -> Self {
        Self {
            session: session.to_path_buf(),
            sessions: session.parent().unwrap_or(session).to_path_buf(),
            described: models.described_tools().map(OsString::from).collect(),
            began: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            made: Mutex::default(),
        }
    }

    /// What a process executes instead of a program; nothing else, if the program is no tool, or the call comes out of a tool.
    pub fn of(&self, program: &Path, caller: u32) -> Option<CString> {
        let name = program.file_name()?;
        if !(Models::is_tool_name(name) || self.described.contains(name)) || program.starts_with(&self.sessions) {
            return None;
        }
        // By its own change, which nobody can set back, not by its content's.
        let info = fs::metadata(program).ok()?;
        let changed = Duration::new(info.ctime().try_into().ok()?, info.ctime_nsec().try_into().ok()?);
        if changed >= self.began || self.is_within_a_tool(caller) {
            return None;
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(program) {
            return known.clone();
        }
        // Without, the tool itself runs, and is reported.
        let detour = self.make(program, name, made.len()).ok().flatten();
        made.insert(program.to_path_buf(), detour.clone());
        detour
    }

    fn make(&self, program: &Path, name: &OsStr, number: usize) -> io::Result<Option<CString>> {
        // A link to a stand-in, of this session or another.
        if fs::canonicalize(program)?.starts_with(&self.sessions) {
            return Ok(None);
        }
        let directory = self.session.join(AT).join(number.to_string());
        fs::create_dir_all(&directory)?;
        symlink(program, directory.join(REAL))?;
        let stand_in = directory.join(name);
        symlink("../../stub", &stand_in)?;
        Ok(CString::new(stand_in.as_os_str().as_bytes()).ok())
    }

    /// The tool that a stand-in stands for, if it is one of these.
    pub fn tool(&self, stand_in: &Path) -> Option<PathBuf> {
        let directory = stand_in.parent().filter(|directory| directory.parent() == Some(&self.session.join(AT)))?;
        fs::read_link(directory.join(REAL)).ok()
    }

    /// Whether a process is a stub, or a tool that runs here, or was started by one: compilers start assemblers, linkers and
    /// themselves, and stubs the real tool.
    fn is_within_a_tool(&self, caller: u32) -> bool {
        let own = std::process::id();
        let mut process = caller;
        for _ in 0..ANCESTORS {
            // A process that is gone asks for nothing.
            let Ok(program) = fs::read_link(format!("/proc/{process}/exe")) else { return true };
            let is_tool = program.file_name().is_some_and(Models::is_tool_name);
            if is_tool || program.starts_with(&self.sessions) {
                return true;
            }
            match parent(process) {
                Some(parent) if parent > 1 && parent != own => process = parent,
                _ => return false,
            }
        }
        false
    }
}

/// The parent of a thread's process (`proc_pid_stat(5)`).
fn parent(thread: u32) -> Option<u32> {
    let stat = fs::read(format!("/proc/{thread}/stat")).ok()?;
    // The command in brackets may hold anything; its state and then its parent follow the last bracket.
    let after = stat.rsplit(|&b| b == b')').next()?;
    String::from_utf8_lossy(after).split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_get_a_detour_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let session = dir.path().join("sessions/one");
        fs::create_dir_all(&session).unwrap();
        let detours = Detours {
            began: Duration::MAX,
            ..Detours::new(&session, &Models::new(None, &gg_models::MemoryWorld::new()).unwrap())
        };
        let me = std::process::id();
        let [gcc, sh] = ["/usr/bin/gcc", "/bin/sh"].map(Path::new);
        let detour = detours.of(gcc, me).unwrap();
        assert_eq!(detours.of(gcc, me), Some(detour.clone()));
        assert_eq!(detours.of(sh, me), None);
        let detour = Path::new(OsStr::from_bytes(detour.as_bytes())).to_path_buf();
        assert_eq!(detours.tool(&detour).as_deref(), Some(gcc));
        assert_eq!(detours.of(&detour, me), None);
        assert_eq!(detours.tool(&session.join("bin/gcc")), None);
        // What was made after the session began is a product.
        assert_eq!(Detours { began: Duration::ZERO, ..detours }.of(Path::new("/usr/bin/ar"), me), None);
    }

    #[test]
    fn parents() {
        assert_eq!(parent(std::process::id()), Some(std::os::unix::process::parent_id()));
        assert_eq!(parent(u32::MAX), None);
    }
}

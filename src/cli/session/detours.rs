//! Where programs that execute a tool are led to instead, whether they found it on PATH or know its path.
//!
//! ```text
//! SESSION/at/NUMBER/NAME    a link to the stub; NAME is the tool's
//! SESSION/at/NUMBER/.real   a link to the tool
//! ```

use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gg_models::{Models, ToolNames};

use super::copy;

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
    tools: ToolNames,
    /// When the session began: what was made since is being built, and is no tool of the build's.
    began: Duration,
    /// The directories of PATH when the session began.
    on_path: Vec<PathBuf>,
    numbers: AtomicUsize,
    made: Mutex<HashMap<PathBuf, (Identity, Option<CString>)>>,
}

/// A file that still holds what it held: device, inode, size, and the time of modification in seconds and nanoseconds.
type Identity = (u64, u64, u64, i64, i64);

impl Detours {
    /// No detours yet, for a session with this directory.
    pub fn new(session: &Path, models: &Models) -> Self {
        Self {
            session: session.to_path_buf(),
            sessions: session.parent().unwrap_or(session).to_path_buf(),
            tools: models.tool_names(),
            began: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            on_path: std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect(),
            numbers: AtomicUsize::new(0),
            made: Mutex::default(),
        }
    }

    /// What a process executes instead of a program; nothing else, if the program is no tool, or the call comes out of a tool.
    pub fn of(&self, program: &Path, caller: u32) -> Option<CString> {
        let name = program.file_name()?;
        if !self.tools.has(name) || program.starts_with(&self.sessions) {
            return None;
        }
        self.lead(program, name, caller)
    }

    /// The same for a program that copies files.
    pub fn of_copier(&self, program: &Path, caller: u32) -> Option<CString> {
        self.lead(program, program.file_name().filter(|name| copy::is_copier(name))?, caller)
    }

    fn lead(&self, program: &Path, name: &OsStr, caller: u32) -> Option<CString> {
        let info = fs::metadata(program).ok()?;
        let identity = (info.dev(), info.ino(), info.size(), info.mtime(), info.mtime_nsec());
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let known = made.get(program).filter(|(was, _)| *was == identity).map(|(_, detour)| detour.clone());
        if known.is_none() && self.was_built(program, &info) || self.is_within_a_tool(caller) {
            return None;
        }
        if let Some(known) = known {
            return known;
        }
        // Without, the program itself runs; a tool is reported then.
        let detour = self.make(program, name).ok().flatten();
        made.insert(program.to_path_buf(), (identity, detour.clone()));
        detour
    }

    /// Whether a program is a stand-in of a session's.
    pub fn is_stand_in(&self, program: &Path) -> bool {
        program.starts_with(&self.sessions)
    }

    /// Whether a file was made since the session began. What counts is the time of its own change, which nobody can set back,
    /// as `cp -p` does with its content's; but others change that of the machine's tools, too, in mid-build (a new name, a
    /// `chmod`, a package that is installed again), so there the content's counts.
    fn was_built(&self, program: &Path, info: &fs::Metadata) -> bool {
        let since = |seconds: i64, nanoseconds: i64| {
            // Before 1970 is long before.
            let (Ok(seconds), Ok(nanoseconds)) = (seconds.try_into(), nanoseconds.try_into()) else { return false };
            Duration::new(seconds, nanoseconds) >= self.began
        };
        let is_the_machines =
            program.parent().is_some_and(|parent| self.on_path.iter().any(|on_path| on_path == parent));
        since(info.ctime(), info.ctime_nsec()) && (!is_the_machines || since(info.mtime(), info.mtime_nsec()))
    }

    fn make(&self, program: &Path, name: &OsStr) -> io::Result<Option<CString>> {
        // A link to a stand-in, of this session or another.
        if fs::canonicalize(program)?.starts_with(&self.sessions) {
            return Ok(None);
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
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

    fn detours(dir: &Path) -> Detours {
        let session = dir.join("sessions/one");
        fs::create_dir_all(&session).unwrap();
        Detours::new(&session, &Models::new(None, &gg_models::MemoryWorld::new()).unwrap())
    }

    #[test]
    fn tools_get_a_detour_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let detours = detours(dir.path());
        let me = std::process::id();
        let [gcc, sh] = ["/usr/bin/gcc", "/bin/sh"].map(Path::new);
        let detour = detours.of(gcc, me).unwrap();
        assert_eq!(detours.of(gcc, me), Some(detour.clone()));
        assert_eq!(detours.of(sh, me), None);
        let detour = Path::new(OsStr::from_bytes(detour.as_bytes())).to_path_buf();
        assert_eq!(detours.tool(&detour).as_deref(), Some(gcc));
        assert_eq!(detours.of(&detour, me), None);
        assert_eq!(detours.tool(&detours.session.join("bin/gcc")), None);
    }

    #[test]
    fn what_was_made_since_the_session_began_is_a_product() {
        let dir = tempfile::tempdir().unwrap();
        let (bin, tree) = (dir.path().join("bin"), dir.path().join("tree"));
        for place in [&bin, &tree] {
            fs::create_dir(place).unwrap();
            fs::copy("/bin/true", place.join("gcc")).unwrap();
            fs::copy("/bin/true", place.join("ar")).unwrap();
        }
        let me = std::process::id();
        // Longer than the clock of files needs to go on.
        std::thread::sleep(Duration::from_millis(50));
        let detours = Detours { on_path: vec![bin.clone()], ..detours(dir.path()) };
        std::thread::sleep(Duration::from_millis(50));
        let of = |path: &Path| detours.of(path, me);
        let touch =
            |path: &Path| fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();

        // A tool that is only touched is still the one that it was, if it is the machine's, or was seen before that.
        let first = of(&tree.join("gcc"));
        assert!(first.is_some());
        for place in [bin.join("gcc"), tree.join("gcc"), tree.join("ar")] {
            touch(&place);
        }
        assert!(of(&bin.join("gcc")).is_some());
        assert_eq!(of(&tree.join("gcc")), first);
        assert_eq!(of(&tree.join("ar")), None);
        // Another content is another tool, wherever it is; also one that was copied with the time of its original.
        let modified = fs::metadata("/bin/true").unwrap().modified().unwrap();
        for place in [&bin, &tree] {
            let mut file = fs::OpenOptions::new().append(true).open(place.join("gcc")).unwrap();
            io::Write::write_all(&mut file, b"more").unwrap();
            assert_eq!(of(&place.join("gcc")), None);
        }
        fs::File::options().append(true).open(tree.join("gcc")).unwrap().set_modified(modified).unwrap();
        assert_eq!(of(&tree.join("gcc")), None);
    }

    #[test]
    fn parents() {
        assert_eq!(parent(std::process::id()), Some(std::os::unix::process::parent_id()));
        assert_eq!(parent(u32::MAX), None);
    }
}

//! The stand-ins: one directory that leads PATH, with the stub under every tool's name.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use gg_models::Models;

const STUB: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stub"));

/// The name of a session's directory of stand-ins within the session's own.
const BIN: &str = "bin";

/// Unpacks the stub into a session's directory, with a link to it for each tool that `path` (a value of PATH) leads to
/// and gg has a model for; returns the directory that is to lead PATH. A tool that is not there gets no stand-in, so
/// that `command not found` stays what it is.
///
/// # Errors
/// Whatever the file system says.
pub fn unpack(session: &Path, path: &OsStr, models: &Models) -> io::Result<PathBuf> {
    let stub = session.join("stub");
    fs::write(&stub, STUB)?;
    fs::set_permissions(&stub, fs::Permissions::from_mode(0o755))?;
    let bin = session.join(BIN);
    fs::create_dir(&bin)?;
    let tools = models.tool_names();
    let mut names = BTreeSet::new();
    for directory in std::env::split_paths(path).filter(|directory| directory.is_absolute()) {
        // A directory on PATH that cannot be read leads to nothing.
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        names.extend(entries.flatten().map(|entry| entry.file_name()).filter(|name| tools.has(name)));
    }
    // Further names of one link cost a third of what further links do, to make and to remove.
    let mut link: Option<PathBuf> = None;
    for name in names {
        let place = bin.join(name);
        if link.as_ref().is_some_and(|link| fs::hard_link(link, &place).is_ok()) {
            continue;
        }
        symlink("../stub", &place)?;
        link = Some(place);
    }
    Ok(bin)
}

/// PATH without any gg's stand-ins: this session's, an outer one's, or those of a session that is gone.
pub fn path_without(path: &OsStr, sessions: &Path) -> OsString {
    let is_stand_ins = |directory: &[u8]| {
        let directory = Path::new(OsStr::from_bytes(directory));
        directory.starts_with(sessions) && directory.ends_with(BIN)
    };
    let kept: Vec<&[u8]> = path.as_bytes().split(|&b| b == b':').filter(|directory| !is_stand_ins(directory)).collect();
    OsString::from_vec(kept.join(&b':'))
}

/// The executable file that `path` leads to under `name`, but for those in `passed_over`; an empty or relative part of PATH means below `cwd`.
pub fn find(name: &OsStr, path: &OsStr, cwd: &Path, passed_over: &[PathBuf]) -> Option<PathBuf> {
    std::env::split_paths(path).map(|directory| cwd.join(directory).join(name)).find(|candidate| {
        !passed_over.contains(candidate)
            && fs::metadata(candidate).is_ok_and(|info| info.is_file() && info.permissions().mode() & 0o111 != 0)
    })
}

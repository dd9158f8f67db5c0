//! Compiled Python modules that captures have left in gg's directory (`src/capture/python/compile.py` lays them out).

use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where they are, in gg's directory: `FORM/tree/DIRECTORY`, and what is known of that in `FORM/state/NAME`.
pub const FOLDER: &str = "bytecode";

/// The modules of one directory with packages, for one version of Python.
struct Kept {
    state: PathBuf,
    tree: PathBuf,
    /// Where their texts are.
    texts: PathBuf,
    changed: SystemTime,
    bytes: u64,
}

/// Deletes those whose texts are gone, and the oldest others until `room` bytes are left. Returns how many bytes.
///
/// # Errors
/// When a directory cannot be read, or a file not deleted.
pub fn collect(directory: &Path, room: u64, dry_run: bool) -> io::Result<u64> {
    let mut all: Vec<Kept> = Vec::new();
    for form in entries(&directory.join(FOLDER))? {
        for state in entries(&form.path().join("state"))? {
            let texts = PathBuf::from(OsString::from_vec([b"/", &*decoded(state.file_name().as_bytes())].concat()));
            let tree = form.path().join("tree").join(texts.strip_prefix("/").unwrap_or(&texts));
            let changed = state.metadata()?.modified()?;
            let bytes = state.metadata()?.len() + size(&tree)?;
            all.push(Kept { state: state.path(), tree, texts, changed, bytes });
        }
    }
    all.sort_by_key(|kept| (kept.texts.is_dir(), kept.changed));
    let mut left: u64 = all.iter().map(|kept| kept.bytes).sum();
    let before = left;
    for kept in all {
        if left <= room && kept.texts.is_dir() {
            break;
        }
        left -= kept.bytes;
        if !dry_run {
            // First, so that nothing is said to be there that is not.
            fs::remove_file(&kept.state)?;
            if kept.tree.is_dir() {
                fs::remove_dir_all(&kept.tree)?;
            }
        }
    }
    Ok(before - left)
}

fn entries(directory: &Path) -> io::Result<Vec<DirEntry>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn size(tree: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in entries(tree)? {
        let info = entry.metadata()?;
        sum += if info.is_dir() { size(&entry.path())? } else { info.len() };
    }
    Ok(sum)
}

/// The directory in a state's name, in which `%2F` stands for `/` and `%25` for `%`.
fn decoded(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match rest {
            [b'%', b'2', b'F', after @ ..] => (b'/', after),
            [b'%', b'2', b'5', after @ ..] => (b'%', after),
            _ => (byte, after),
        };
        out.push(byte);
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_text_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let form = dir.path().join(FOLDER).join("cpython-311");
        let texts = dir.path().join("te%xts");
        fs::create_dir(&texts).unwrap();
        let keep = |texts: &Path| {
            let name = texts.to_str().unwrap().trim_start_matches('/');
            let tree = form.join("tree").join(name);
            fs::create_dir_all(tree.join("p")).unwrap();
            fs::write(tree.join("p/m.pyc"), [0; 98]).unwrap();
            let state = form.join("state");
            fs::create_dir_all(&state).unwrap();
            fs::write(state.join(name.replace('%', "%25").replace('/', "%2F")), "{}").unwrap();
            tree
        };
        let (there, gone) = (keep(&texts), keep(Path::new("/no/such/texts")));
        assert_eq!(collect(dir.path(), 1000, true).unwrap(), 100);
        assert!(gone.is_dir());
        assert_eq!(collect(dir.path(), 1000, false).unwrap(), 100);
        assert!(there.is_dir() && !gone.is_dir());
        assert_eq!(collect(dir.path(), 99, false).unwrap(), 100);
        assert!(!there.is_dir());
        assert_eq!(collect(dir.path(), 0, false).unwrap(), 0);
    }
}

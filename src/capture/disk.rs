//! The machine as the models ask about it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use gg_models::{Answer, Environment, FileKind, World};

/// Files and programs as they are now. What is captured is finished: a placeholder is an error where a program is looked for.
#[derive(Debug)]
pub struct Disk;

impl World for Disk {
    fn kind(&self, path: &Path) -> Option<FileKind> {
        let kind = fs::metadata(path).ok()?.file_type();
        Some(match (kind.is_file(), kind.is_dir()) {
            (true, _) => FileKind::File,
            (_, true) => FileKind::Directory,
            _ => FileKind::Other,
        })
    }

    fn read(&self, path: &Path) -> io::Result<Arc<[u8]>> {
        fs::read(path).map(Arc::from)
    }

    fn head(&self, path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
        head(path, limit).map(Some)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let mut names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    fn ask(&self, argv: &[OsString], cwd: &Path, env: &Environment) -> io::Result<Answer> {
        let (program, args) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let output =
            Command::new(program).args(args).current_dir(cwd).env_clear().envs(env).stdin(Stdio::null()).output()?;
        Ok(Answer { success: output.status.success(), stdout: output.stdout, stderr: output.stderr })
    }
}

/// The first bytes of a file.
///
/// # Errors
/// Whatever the file system says.
pub fn head(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(limit as u64).read_to_end(&mut content)?;
    Ok(content)
}

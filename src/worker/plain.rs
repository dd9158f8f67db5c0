//! Running a program where no namespaces are to be had: in the real tree, on the real files.
//!
//! A program cannot be shown other files at the paths that its arguments name, and arguments are never rewritten. So every
//! input must *be* at its path what the thunk says; what is not yet there is put there by the pool's owner (see
//! [`crate::Pool::on_materialise`]), and anything else is an error, never a wrong result. Outputs are written where the
//! arguments say, and are read from there.
//!
//! What this cannot do: hide files that are no inputs, forbid the network, notice files that were not declared, or check
//! system trees (their files are those of this very machine). If the worker process is killed, descendants of the program may
//! outlive it.

use std::fs;
use std::io;
use std::path::Path;

use gg_ir::{AbsPath, Input, Name, Thunk};
use gg_store::Store;

use crate::error::{Result, at};
use crate::plan::value_of;
use crate::{Job, WorkerError};

/// Puts a value in place of the file at a path (which may be a placeholder, or missing), with these permission bits.
pub type Materialise = dyn Fn(&AbsPath, &Name, u32) -> io::Result<()> + Send + Sync;

/// Checks that every input is in place, and takes away outputs of an earlier run, which must not pass for this one's.
pub(crate) fn prepare(job: &Job<'_>, store: &Store, materialise: Option<&Materialise>) -> Result<()> {
    for (path, input) in job.description.inputs.iter().filter(|(path, _)| !Thunk::is_stream(path)) {
        let fits = match input {
            Input::File { object, mode } => {
                let value = value_of(job, object)?;
                let fits = || holds(path, &value, store);
                fits()
                    || match materialise {
                        None => false,
                        Some(materialise) => {
                            materialise(path, &value, *mode).map_err(at("put an input at", path.as_path()))?;
                            fits()
                        }
                    }
            }
            Input::Symlink(target) => fs::read_link(path).is_ok_and(|found| found.as_os_str() == target),
            Input::Tree(_) => path.as_path().is_dir(),
            Input::Directory => fs::create_dir_all(path).is_ok(),
        };
        if !fits {
            return Err(WorkerError::InputDiffers { path: path.clone() });
        }
    }
    for output in job.description.outputs.values() {
        if !job.description.inputs.contains_key(&output.path) {
            remove(output.path.as_path())?;
        }
    }
    Ok(())
}

fn holds(path: &AbsPath, value: &Name, store: &Store) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() == value.length())
        && store.hash(path.as_path()).is_ok_and(|(found, _)| found == *value)
}

fn remove(path: &Path) -> Result<()> {
    // Only a regular file can be what an earlier run left; a link or a device is the user's.
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => fs::remove_file(path).map_err(at("remove the earlier", path)),
        _ => Ok(()),
    }
}

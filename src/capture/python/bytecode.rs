//! Compiled modules, kept from capture to capture.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gg_models::World;

use super::{COMPILED, INSTALLED, SELDOM};
use crate::disk::Disk;
use crate::gather::Gather;
use crate::{CaptureError, Note, interpreters};

const COMPILE: &str = include_str!("compile.py");

/// Where Python finds compiled modules in a sandbox: the same place on all machines.
const PLACE: &str = "/var/cache/gg/python";

/// The variable that tells it so.
const PREFIX: &str = "PYTHONPYCACHEPREFIX";

impl Gather<'_> {
    /// Adds the compiled modules of these directories, `standard` being the standard library's, if the request says where they are
    /// kept. `form` names their format. Without them Python compiles what it imports each time that it starts.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn compiled(
        &mut self,
        python: &Path,
        form: &OsStr,
        standard: &[PathBuf],
        installed: &[PathBuf],
    ) -> Result<(), CaptureError> {
        let Some(kept) = &self.request.bytecode else { return Ok(()) };
        if self.request.env.contains_key(OsStr::new(PREFIX)) {
            return Ok(());
        }
        let kept = self.request.cwd.join(kept).join(form);
        // As `-I`, which would leave the seed to chance, and with it the order of sets.
        let mut env = self.request.env.clone();
        env.retain(|name, _| !name.as_bytes().starts_with(b"PYTHON"));
        env.insert("PYTHONHASHSEED".into(), "0".into());
        let mut argv: Vec<OsString> =
            vec![python.into(), "-s".into(), "-c".into(), COMPILE.into(), kept.clone().into()];
        for directory in standard {
            // Always without the same, so that it is one tree for all programs.
            let seldom = SELDOM.iter().flat_map(|(_, paths)| *paths).chain(INSTALLED);
            argv.extend([directory.into(), COMPILED.into()]);
            argv.extend(seldom.map(|path| OsString::from(format!("/{path}"))));
            argv.push("".into());
        }
        for directory in installed {
            argv.extend([directory.into(), COMPILED.into(), "".into()]);
        }
        let failed = match Disk.ask(&argv, Path::new("/"), &env) {
            Ok(answer) if answer.success => None,
            Ok(answer) => Some(interpreters::last_line(&answer.stderr)),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = failed {
            self.notes.insert(Note::NotCompiled { directory: kept, why });
            return Ok(());
        }
        for directory in standard.iter().chain(installed) {
            let below = directory.strip_prefix("/").unwrap_or(directory);
            self.places.tree_from(&Path::new(PLACE).join(below), &kept.join("tree").join(below))?;
        }
        self.env.insert(PREFIX.into(), PLACE.into());
        Ok(())
    }
}

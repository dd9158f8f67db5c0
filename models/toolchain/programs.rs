//! How a compiler finds the programs that it starts.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Parts;
use crate::driver::environment;
use crate::driver::name::{self, Family};
use crate::{Answer, FileKind};

impl Parts<'_> {
    /// What `tool` answers to one argument; `None` when it fails.
    pub(super) fn ask(&self, tool: &Path, argument: &str) -> Option<Answer> {
        let argv = [tool.as_os_str().to_owned(), OsString::from(argument)];
        let env = environment::of_query(self.env);
        let answer = match self.places(tool) {
            Some(places) => self.world.ask_once(&argv, Path::new("/"), &env, &|_| Some(places.clone())),
            None => self.world.ask(&argv, Path::new("/"), &env),
        };
        answer.ok().filter(|answer| answer.success)
    }

    /// Where `tool` looks for its parts: what comes there or goes may change its answers. GCC has these directories built in
    /// or reads them in the environment, and changes them by `specs` files in them (GCC manual, "Spec Files"). `None` for
    /// other compilers: clang looks which versions of GCC there are.
    fn places(&self, tool: &Path) -> Option<Vec<PathBuf>> {
        if name::compiler(tool, self.world).is_none_or(|compiler| compiler.family != Family::Gcc) {
            return None;
        }
        let argv = [tool.as_os_str().to_owned(), OsString::from("-print-search-dirs")];
        let env = environment::of_query(self.env);
        let answer = self.world.ask_once(&argv, Path::new("/"), &env, &|answer| Some(listed(answer))).ok()?;
        Some(listed(&answer))
    }

    /// The path that `tool` answers to one argument (`-print-libgcc-file-name`); `None` for a bare name, which means that
    /// the tool has no such part.
    pub(super) fn ask_path(&self, tool: &Path, argument: &str) -> Option<PathBuf> {
        let answer = self.ask(tool, argument)?;
        let path = Path::new(OsStr::from_bytes(answer.stdout.trim_ascii_end())).to_owned();
        path.is_absolute().then_some(path)
    }

    /// The program `name` as the compiler `tool` would start it: from its own directories, else from PATH.
    pub(super) fn program_of(&self, tool: &Path, name: &str) -> Option<PathBuf> {
        self.ask_path(tool, &format!("-print-prog-name={name}"))
            .filter(|path| self.world.kind(path) == Some(FileKind::File))
            .or_else(|| self.on_path(name))
    }

    /// The program `name` as PATH finds it.
    pub(super) fn on_path(&self, name: &str) -> Option<PathBuf> {
        let path = self.var("PATH").unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"));
        let directories = path.as_bytes().split(|&byte| byte == b':').map(OsStr::from_bytes).map(Path::new);
        let mut candidates = directories.filter(|it| it.is_absolute()).map(|directory| directory.join(name));
        candidates.find(|path| self.world.kind(path) == Some(FileKind::File))
    }
}

/// The directories in an answer to `-print-search-dirs`, and the file in each that could change it.
fn listed(answer: &Answer) -> Vec<PathBuf> {
    let lines = answer.stdout.split(|&byte| byte == b'\n');
    let lists = lines.filter_map(|line| line.splitn(2, |&byte| byte == b'=').nth(1));
    let directories = lists.flat_map(|list| list.split(|&byte| byte == b':')).filter(|it| it.starts_with(b"/"));
    directories
        .map(|directory| Path::new(OsStr::from_bytes(directory)))
        .flat_map(|it| [it.into(), it.join("specs")])
        .collect()
}

//! Calls whose answer somebody needs at once, and what is remembered of those that failed.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use gg_ir::{Failed, Name, Tag, Thunk};
use gg_models::Step;
use gg_worker::{Failure, Status};

use super::Session;
use super::wire::Message;

/// Files that only a probe makes: what matters is whether the step succeeds. Parts of paths, with who makes them.
const PROBES: [&str; 5] = [
    "/conftest.",               // autoconf
    "/CMakeFiles/CMakeTmp",     // CMake before 3.25
    "/CMakeFiles/CMakeScratch", // CMake
    "/meson-private/tmp",       // Meson
    "/config.tests/",           // Qt
];

/// What compilers say when the machine failed them, and not the source: nothing that is remembered.
const MACHINE_TROUBLE: [&str; 8] = [
    "No space left on device",
    "Cannot allocate memory",
    "virtual memory exhausted",
    "out of memory",
    "Killed signal terminated program",
    "Input/output error",
    "internal compiler error",
    "Too many open files",
];

impl Session {
    /// Why the caller must have the result before it goes on, if it must.
    pub(super) fn at_once(
        &self,
        message: &Message,
        step: &Step,
        outputs: &BTreeMap<Tag, PathBuf>,
    ) -> Option<&'static str> {
        if step.awaited {
            return Some("its answer is read");
        }
        if !self.options.lazy {
            return Some("every step is awaited");
        }
        if outputs.values().any(|path| is_probes(path) || self.aliases.temporaries().holds(path)) {
            return Some("a configuration probe");
        }
        // What a step says can be shown later where it would have gone to the person; anything else, a pipe or a file, is
        // read by somebody who knows it to be whole when the tool has ended.
        let [_, out, error] = &message.fds;
        let is_ours = |fd: &Option<OwnedFd>| fd.as_ref().is_none_or(is_our_own_output);
        let thrown_away = || out.as_ref().is_some_and(|fd| is_null(fd.as_raw_fd())) && is_null(libc::STDOUT_FILENO);
        // Of a whole build nobody may want to see what it prints, but its errors: a probe throws both away.
        if is_ours(error) && (is_ours(out) || thrown_away()) { None } else { Some("its output is read by a program") }
    }

    /// How a step failed when it was awaited before. What it reads is all in its name, unless it waits for other steps.
    pub(super) fn known_failure(&self, name: &Name, thunk: &Thunk) -> Option<Failed> {
        // A record that cannot be read is as good as none: the step runs.
        if self.is_repeatable(thunk) { self.store.failure(name).ok().flatten() } else { None }
    }

    /// Remembers how an awaited step failed, where it would fail again.
    pub(super) fn remember(&self, thunk: &Thunk, program: &Failure, failed: &Failed) {
        let text = String::from_utf8_lossy(&failed.stderr);
        let believed = matches!(program.status, Status::Exited(1..=127))
            && !MACHINE_TROUBLE.iter().any(|trouble| text.contains(trouble))
            && !self.deliveries.planned().was_widened(&failed.thunk);
        if believed && self.is_repeatable(thunk) {
            // What is not remembered is only done again.
            let _ = self.store.record_failure(failed);
        }
    }

    fn is_repeatable(&self, thunk: &Thunk) -> bool {
        self.options.isolated && !thunk.volatile && thunk.dependencies().next().is_none()
    }
}

/// Whether a file is one that only a probe makes.
pub(super) fn is_probes(path: &Path) -> bool {
    PROBES.iter().any(|part| path.to_string_lossy().contains(part))
}

/// Whether a call's standard output and error are one file or pipe, and there is something for each: in which order they
/// would stand there, only the tool itself shows.
pub(super) fn mixed(fds: &[Option<OwnedFd>; 3], stdout: &[u8], stderr: &[u8]) -> bool {
    let place = |fd: &OwnedFd| {
        let info = status_of(fd.as_raw_fd())?;
        (info.st_mode & libc::S_IFMT != libc::S_IFCHR).then_some((info.st_dev, info.st_ino))
    };
    let [out, error] = [1, 2].map(|fd| fds[fd].as_ref().and_then(place));
    !stdout.is_empty() && !stderr.is_empty() && out.is_some() && out == error
}

fn status_of(fd: i32) -> Option<libc::stat> {
    // SAFETY: fstat fills a structure of its own.
    let mut info: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: as above; any number may be asked for.
    (unsafe { libc::fstat(fd, &mut info) } == 0).then_some(info)
}

/// Whether a descriptor leads to the null device.
fn is_null(fd: i32) -> bool {
    status_of(fd)
        .is_some_and(|info| info.st_mode & libc::S_IFMT == libc::S_IFCHR && info.st_rdev == libc::makedev(1, 3))
}

/// Whether a descriptor leads where this process's own standard output or error does.
pub(super) fn is_our_own_output(fd: &OwnedFd) -> bool {
    let identity = |fd: i32| {
        // The null device says nothing of who is meant: it is where a probe's output goes as well.
        let info = status_of(fd).filter(|_| !is_null(fd))?;
        Some((info.st_dev, info.st_ino, info.st_rdev))
    };
    let theirs = identity(fd.as_raw_fd());
    theirs.is_some() && [1, 2].iter().any(|&own| identity(own) == theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_files_are_probes() {
        for path in [
            "/p/conftest.o",
            "/p/b/conftest.exe",
            "/p/b/CMakeFiles/CMakeTmp/CMakeFiles/cmTC_0fa3b.dir/src.c.o",
            "/p/b/CMakeFiles/CMakeScratch/TryCompile-a0Zz9q/cmTC_0fa3b",
            "/p/b/meson-private/tmp_ab0cd9e/output.exe",
            "/p/config.tests/x/main.o",
        ] {
            assert!(is_probes(Path::new(path)), "{path}");
        }
        // Meson's and CMake's checks of the compiler are run, and so are real files that somebody opens.
        for path in
            ["/p/main.o", "/p/conftests/a.o", "/p/b/meson-private/sanitycheckc.exe", "/p/b/CMakeFiles/app.dir/a.c.o"]
        {
            assert!(!is_probes(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn one_place_for_results_and_messages() {
        let file = |path: &Path| Some(OwnedFd::from(std::fs::OpenOptions::new().append(true).open(path).unwrap()));
        let (one, other) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
        let is_mixed = |out: &Path, error: &Path| {
            let fds = [None, file(out), file(error)];
            mixed(&fds, b"out", b"error") && !mixed(&fds, b"", b"error") && !mixed(&fds, b"out", b"")
        };
        assert!(is_mixed(one.path(), one.path()));
        assert!(!is_mixed(one.path(), other.path()));
        // What is thrown away has no order.
        assert!(!is_mixed(Path::new("/dev/null"), Path::new("/dev/null")));
    }
}

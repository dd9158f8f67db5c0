//! A shell in a step's sandbox. It, and the tools that a person calls there, are this machine's own, which the sandbox shows below
//! `/.gg`, where no step looks for anything.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use gg_store::Store;
use gg_worker::{Brought, Visit, WorkerError};

use super::sandbox::Sandboxed;
use crate::engine::worker_command;

/// Where what belongs to gg lies in the sandbox.
const OWN: &str = ".gg";

/// Where this machine's directories lie in it.
const HOST: &str = ".gg/host";

/// Directories of this machine that hold its programs and what those need; nothing through which a read-only view could be used to
/// change anything, as devices and sockets are.
const SHOWN: [&str; 7] = ["usr", "bin", "sbin", "lib", "lib64", "nix/store", "gnu/store"];

/// Where its shared libraries may be, below [`HOST`].
const LIBRARIES: [&str; 7] =
    ["lib", "lib64", "usr/lib", "usr/lib64", "usr/local/lib", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu"];

/// Where its programs are, below [`HOST`].
const PROGRAMS: [&str; 5] = ["usr/local/bin", "usr/bin", "bin", "usr/sbin", "sbin"];

/// Runs a command in the sandbox of a step, or a shell; its exit status.
///
/// # Errors
/// When there is no such sandbox to be had, or something that it holds is not in the store.
pub fn visit(step: &Sandboxed, command: &[OsString], store: &Arc<Store>, directory: &Path) -> Result<i32> {
    let job = step.job();
    let sh = shown(Path::new("/bin/sh")).context("this machine's /bin/sh cannot be shown in a sandbox")?;
    let mut brought = vec![Brought::Directory(OWN.into()), Brought::Directory(HOST.into())];
    for name in SHOWN {
        let place = Path::new(HOST).join(name);
        let Ok(info) = fs::symlink_metadata(Path::new("/").join(name)) else { continue };
        match fs::read_link(Path::new("/").join(name)) {
            Ok(target) => brought.push(Brought::Link(place, target)),
            Err(_) if info.is_dir() => {
                if let Some(parent) = Path::new(name).parent().filter(|parent| !parent.as_os_str().is_empty()) {
                    brought.push(Brought::Directory(Path::new(HOST).join(parent)));
                }
                brought.push(Brought::Host(place, Path::new("/").join(name)));
            }
            Err(_) => {}
        }
    }
    brought.extend(loader(&sh, step, store)?);
    let stdin = match step.stdin(store)? {
        Some(bytes) => {
            brought.push(Brought::File(Path::new(OWN).join("stdin"), bytes, 0o444));
            "/.gg/stdin"
        }
        None => "/dev/null",
    };
    let env = shown(Path::new("/usr/bin/env")).unwrap_or_else(|| "env".into());
    let cwd = crate::shell::quote(step.thunk.function.cwd.as_path().as_os_str());
    let script = format!(
        "#!{}\n# Runs the step's command as gg runs it.\ncd {cwd} || exit\n{}",
        sh.display(),
        step.script(&crate::shell::quote(env.as_os_str()), "", stdin)
    );
    brought.push(Brought::Directory(Path::new(OWN).join("bin")));
    brought.push(Brought::File(Path::new(OWN).join("bin/run"), script.into_bytes(), 0o555));
    let (executable, args) = match command {
        [] => {
            let own = std::env::var_os("SHELL").and_then(|shell| shown(Path::new(&shell)));
            let shell = own.unwrap_or_else(|| sh.clone());
            (shell.clone(), vec![shell.file_name().unwrap_or(OsStr::new("sh")).to_owned()])
        }
        // The shell finds it on PATH.
        command => {
            let words = ["sh", "-c", "exec \"$@\"", "sh"].map(OsString::from);
            (sh.clone(), words.into_iter().chain(command.iter().cloned()).collect())
        }
    };
    let visit = Visit {
        store,
        scratch: &directory.join("scratch"),
        worker_command: &worker_command(),
        job: &job,
        brought,
        executable: executable.into(),
        args,
        env: environment(step),
    };
    let (input, out, err) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let ended = visit.run([input.as_fd(), out.as_fd(), err.as_fd()]);
    take_terminal(input.as_fd().as_raw_fd());
    match ended {
        Ok(status) => Ok(status.code()),
        Err(error @ (WorkerError::NoNamespaces(_) | WorkerError::Sandbox { .. })) => {
            Err(anyhow!(error).context("a sandbox cannot be entered here; --into DIR unpacks it instead"))
        }
        Err(error) => Err(step.explained(error)),
    }
}

/// Where a program of this machine's is in the sandbox, if it is shown there.
fn shown(program: &Path) -> Option<PathBuf> {
    let real = program.canonicalize().ok()?;
    let below = real.strip_prefix("/").ok()?;
    let is_shown = SHOWN.iter().any(|name| below.starts_with(name));
    is_shown.then(|| Path::new("/").join(HOST).join(below))
}

/// The step's own environment, and what this machine's programs need there besides.
fn environment(step: &Sandboxed) -> Vec<OsString> {
    let mut env = step.thunk.function.env.clone();
    let list = |below: &[&str]| {
        let places: Vec<String> = below.iter().map(|place| format!("/{HOST}/{place}")).collect();
        places.join(":")
    };
    let path = env.entry("PATH".into()).or_default();
    if !path.is_empty() {
        path.push(":");
    }
    path.push(format!("/{OWN}/bin:{}", list(&PROGRAMS)));
    let usr: Vec<String> = LIBRARIES.iter().filter(|it| it.starts_with("lib/")).map(|it| format!("usr/{it}")).collect();
    let libraries: Vec<&str> = LIBRARIES.into_iter().chain(usr.iter().map(String::as_str)).collect();
    env.insert("LD_LIBRARY_PATH".into(), list(&libraries).into());
    env.insert("TERMINFO_DIRS".into(), list(&["usr/share/terminfo", "lib/terminfo", "usr/lib/terminfo"]).into());
    if let Some(terminal) = std::env::var_os("TERM") {
        env.insert("TERM".into(), terminal);
    }
    env.insert("HOME".into(), "/tmp".into());
    env.insert("PS1".into(), "(gg) $ ".into());
    env.into_iter()
        .map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            name
        })
        .collect()
}

/// The dynamic loader of this machine's programs, where the sandbox holds none.
fn loader(sh: &Path, step: &Sandboxed, store: &Arc<Store>) -> Result<Vec<Brought>> {
    let Some(below) = sh.strip_prefix(Path::new("/").join(HOST)).ok() else { return Ok(Vec::new()) };
    let Some(loader) = fs::read(Path::new("/").join(below)).ok().and_then(|bytes| interpreter(&bytes)) else {
        return Ok(Vec::new());
    };
    let Ok(loader) = loader.strip_prefix("/") else { return Ok(Vec::new()) };
    let (Some(top), Some(folder)) = (loader.iter().next(), loader.parent()) else { return Ok(Vec::new()) };
    let has_top = gg_worker::holds(store, &step.job(), Path::new(top)).map_err(|error| step.explained(error))?;
    if has_top {
        return Ok(Vec::new());
    }
    let mut brought: Vec<Brought> = Vec::new();
    let mut folders: Vec<&Path> = folder.ancestors().filter(|place| !place.as_os_str().is_empty()).collect();
    folders.reverse();
    brought.extend(folders.into_iter().map(|place| Brought::Directory(place.to_path_buf())));
    brought.push(Brought::Link(loader.to_path_buf(), Path::new("/").join(HOST).join(loader)));
    Ok(brought)
}

/// The loader that a program names (ELF-64, little-endian: `PT_INTERP`), if it names one.
fn interpreter(program: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    const PT_INTERP: u64 = 3;
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let field = program.get(at..at.checked_add(bytes)?)?;
        Some(field.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    };
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, entry, count) = (number(32, 8)? as usize, number(54, 2)? as usize, number(56, 2)? as usize);
    let head = (0..count).map(|at| table.saturating_add(at * entry)).find(|&at| number(at, 4) == Some(PT_INTERP))?;
    let (start, length) = (number(head + 8, 8)? as usize, number(head + 32, 8)? as usize);
    let text = program.get(start..start.checked_add(length)?)?;
    Some(Path::new(OsStr::from_bytes(text.strip_suffix(b"\0").unwrap_or(text))).to_path_buf())
}

/// Takes the terminal back, which a shell had for itself.
fn take_terminal(fd: i32) {
    // SAFETY: plain calls; what is no terminal has nothing to be taken back. In the background, the call would stop this process.
    unsafe {
        let before = libc::signal(libc::SIGTTOU, libc::SIG_IGN);
        if libc::isatty(fd) == 1 {
            libc::tcsetpgrp(fd, libc::getpgrp());
        }
        libc::signal(libc::SIGTTOU, before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaders() {
        assert_eq!(interpreter(b"#!/bin/sh\n"), None);
        assert_eq!(interpreter(b"\x7fELF\x02\x01"), None);
        let program = std::fs::read("/bin/sh").unwrap();
        let loader = interpreter(&program).unwrap();
        assert!(loader.is_absolute() && loader.exists(), "{}", loader.display());
    }
}

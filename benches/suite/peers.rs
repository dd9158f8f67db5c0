//! Compiler caches to compare with, from Debian's packages.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::Any;
use crate::bench::Bench;

/// A compiler cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// <https://ccache.dev>
    Ccache,
    /// <https://github.com/mozilla/sccache>
    Sccache,
}

/// Where PATH finds a program.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|place| place.join(program)).find(|file| file.is_file())
}

/// Installs Debian packages, if a program of them is missing.
///
/// # Errors
/// When it is still missing then.
pub fn install(bench: &Bench, program: &str, packages: &[&str]) -> Any<PathBuf> {
    if let Some(found) = find(program) {
        return Ok(found);
    }
    install_packages(bench, packages);
    match find(program) {
        Some(found) => Ok(found),
        None => bail!(
            "peer missing: {program} is not installed and could not be; as root: apt-get install {}",
            packages.join(" ")
        ),
    }
}

/// Tries to install Debian packages. What comes of it is seen by whoever needs them.
pub fn install_packages(bench: &Bench, packages: &[&str]) {
    let apt = |arguments: &[&str]| {
        let mut command: Command = bench.command("apt-get");
        bench.must(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    let all = [&["install", "-y", "-qq", "--no-install-recommends"], packages].concat();
    if apt(&all).is_err() && apt(&["update", "-qq"]).is_ok() {
        let _ = apt(&all);
    }
}

impl Peer {
    /// Its program's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ccache => "ccache",
            Self::Sccache => "sccache",
        }
    }

    /// Its program, installed if need be.
    ///
    /// # Errors
    /// When it is not to be had.
    pub fn program(self, bench: &Bench) -> Any<PathBuf> {
        install(bench, self.name(), &[self.name()])
    }

    /// A directory in which it goes by the compilers' names, to lead PATH. ccache knows by its name what it is called as; for sccache
    /// a tiny static program stands there that executes it.
    ///
    /// # Errors
    /// When it is not to be had.
    pub fn directory(self, bench: &Bench) -> Any<PathBuf> {
        let (program, directory) = (self.program(bench)?, bench.scratch().join(format!("{}-bin", self.name())));
        if directory.is_dir() {
            return Ok(directory);
        }
        fs::create_dir_all(&directory)?;
        for tool in ["cc", "gcc", "c++", "g++"] {
            let (stand_in, real) = (directory.join(tool), find(tool).with_context(|| format!("there is no {tool}"))?);
            match self {
                Self::Ccache => symlink(&program, stand_in)?,
                Self::Sccache => {
                    let mut gcc = bench.command("gcc");
                    gcc.arg(format!("-DLAUNCHER=\"{}\"", program.display()));
                    gcc.arg(format!("-DTOOL=\"{}\"", real.display())).args(["-O2", "-static", "-o"]).arg(stand_in);
                    bench.must(gcc.arg(Bench::root().join("benches/suite/launch.c")))?;
                }
            }
        }
        Ok(directory)
    }

    /// Its cache, in a row.
    pub fn cache(self, bench: &Bench) -> PathBuf {
        bench.scratch().join(self.name())
    }

    /// A build that runs with the cache: sccache's server is started for it and stopped after it, so that its CPU time is counted.
    pub fn lead(self, bench: &Bench, build: &Command, path: Option<&Path>) -> Any<Command> {
        let cache = self.cache(bench);
        fs::create_dir_all(&cache)?;
        let mut command = match self {
            Self::Ccache => {
                let mut command = bench.command(build.get_program());
                command.env("CCACHE_DIR", cache);
                command
            }
            Self::Sccache => {
                let mut command = bench.command("sh");
                let script = "sccache --start-server; \"$@\"; status=$?; sccache --stop-server; exit $status";
                command.args(["-c", script, "sh"]).arg(build.get_program());
                command.env("SCCACHE_DIR", cache).env("SCCACHE_SERVER_PORT", free_port()?.to_string());
                command
            }
        };
        command.args(build.get_args());
        if let Some(directory) = build.get_current_dir() {
            command.current_dir(directory);
        }
        if let Some(directory) = path {
            command.env("PATH", crate::bench::path_with(directory));
        }
        Ok(command)
    }
}

/// A port that is free now.
fn free_port() -> Any<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

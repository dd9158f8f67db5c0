//! The compilers and their kin, as a build finds them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::findings::Findings;
use crate::stand_ins::find;

/// What is looked for. A build needs one of the first ones.
const COMPILERS: &[&str] = &["cc", "gcc", "clang"];
const OTHERS: &[&str] = &["c++", "g++", "clang++", "as", "ld", "ar", "ranlib", "strip", "make", "ninja", "cmake"];

/// Programs that stand between a build and its compiler.
const WRAPPERS: &[&str] = &["ccache", "distcc", "icecc", "sccache"];

/// The compilers that were found, for the canary.
#[derive(Clone, Debug, Default)]
pub struct Compilers {
    /// For C.
    pub c: Option<PathBuf>,
    /// For C++.
    pub cxx: Option<PathBuf>,
}

/// Looks.
pub fn look(findings: &mut Findings) -> Compilers {
    findings.group("tools");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let here = std::env::current_dir().unwrap_or_default();
    let at = |name: &str| find(OsStr::new(name), &path, &here, &[]);
    let mut compilers = Compilers::default();
    let c: Vec<_> = COMPILERS.iter().map(|name| (*name, at(name))).collect();
    if c.iter().all(|(_, place)| place.is_none()) {
        findings.failed(
            "compiler",
            "there is no cc, gcc or clang on PATH",
            "install one: `apt install build-essential`, `dnf install gcc-c++ make`",
        );
    }
    for (name, place) in c.into_iter().chain(OTHERS.iter().map(|name| (*name, at(name)))) {
        let Some(place) = place else {
            findings.skipped(name, "not on PATH");
            continue;
        };
        if COMPILERS.contains(&name) {
            compilers.c.get_or_insert_with(|| place.clone());
        } else if matches!(name, "c++" | "g++" | "clang++") {
            compilers.cxx.get_or_insert_with(|| place.clone());
        }
        tell(findings, name, &place);
    }
    compilers
}

fn tell(findings: &mut Findings, name: &str, place: &Path) {
    let file = place.display();
    if let Some(wrapper) = wrapper(place) {
        findings.warned(
            name,
            format!("{file} is {wrapper}"),
            format!(
                "gg keeps results itself, also those of links: take {wrapper}'s directory off PATH to let gg do it all"
            ),
        );
        return;
    }
    match version(place) {
        Ok(version) => findings.ok(name, format!("{file}: {version}")),
        Err(why) => findings.warned(name, format!("{file}: {why}"), "builds that call it will fail: install it again"),
    }
}

/// The wrapper that a compiler's name leads to.
fn wrapper(place: &Path) -> Option<&'static str> {
    let real = place.canonicalize().ok()?;
    let name = real.file_name()?.to_str()?;
    WRAPPERS.iter().find(|wrapper| name == **wrapper).copied()
}

/// The first line of what a tool says of its version.
fn version(place: &Path) -> Result<String, String> {
    let told = Command::new(place).arg("--version").env("LC_ALL", "C").stdin(Stdio::null()).output();
    let told = told.map_err(|error| format!("it cannot be started: {error}"))?;
    let text = String::from_utf8_lossy(&told.stdout);
    match text.lines().next() {
        Some(line) if told.status.success() => Ok(line.trim().to_owned()),
        // Not every tool knows the option.
        _ if told.status.code().is_some() => Ok("it does not tell its version".to_owned()),
        _ => Err(format!("it dies when asked for its version ({})", told.status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapper_is_known_by_what_a_link_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ccache"), "").unwrap();
        std::os::unix::fs::symlink("ccache", dir.path().join("cc")).unwrap();
        assert_eq!(wrapper(&dir.path().join("cc")), Some("ccache"));
        assert_eq!(wrapper(Path::new("/bin/sh")), None);
    }
}

//! Builds the stub, which `gg` embeds, so that installing gg is copying one file; and notes which commit gg is built from.
//!
//! The stub is a static program with settings of its own, and cargo has no stable way to depend on a built program; it
//! is one file without dependencies, so the compiler is called directly.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    let source = "../../stubs/stub.rs";
    println!("cargo::rerun-if-changed={source}");
    let var = |name: &str| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let out = Path::new(&var("OUT_DIR")).join("stub");
    let status = Command::new(var("RUSTC"))
        .args(["--edition", "2024", "--crate-name", "gg_stub", "--target", &var("TARGET")])
        .args(["-C", "target-feature=+crt-static", "-C", "relocation-model=static", "-C", "panic=abort"])
        .args(["-C", "opt-level=s", "-C", "lto=fat", "-C", "codegen-units=1", "-C", "strip=symbols"])
        .arg("-o")
        .args([out.as_path(), Path::new(source)])
        .status();
    match status {
        Ok(status) if status.success() => {}
        other => {
            panic!("gg's stub ({source}) was not compiled: {other:?}; a static C library is needed (Debian: libc6-dev)")
        }
    }
    let size = fs::metadata(&out).map_or(0, |info| info.len());
    assert!(size > 0, "gg's stub ({source}) is empty");
    println!("cargo::rustc-env=GG_TARGET={}", var("TARGET"));
    println!("cargo::rerun-if-env-changed=GG_COMMIT");
    let commit = env::var("GG_COMMIT").ok().or_else(|| {
        // Only of what is released: else each commit would make all tests link anew.
        (var("PROFILE") == "release").then(|| commit(Path::new("../..")))?
    });
    if let Some(commit) = commit {
        println!("cargo::rustc-env=GG_COMMIT={commit}");
    }
}

/// The commit that is checked out, as git's own files tell; none where there are none, as in an archive of the sources.
fn commit(root: &Path) -> Option<String> {
    let read = |path: &Path| {
        println!("cargo::rerun-if-changed={}", path.display());
        fs::read_to_string(path).ok()
    };
    // In a work tree of its own, `.git` is a file that names the directory (gitrepository-layout(5)).
    let git = root.join(".git");
    let git = if git.is_file() { root.join(read(&git)?.strip_prefix("gitdir:")?.trim()) } else { git };
    if !git.is_dir() {
        return None;
    }
    let common = git.join("commondir");
    let common = if common.is_file() { git.join(read(&common)?.trim()) } else { PathBuf::from(&git) };
    let head = read(&git.join("HEAD"))?;
    let Some(reference) = head.strip_prefix("ref:").map(str::trim) else { return Some(head.trim().to_owned()) };
    // A file that is missing is looked for in each build, so only what is there is named.
    let loose = [&git, &common].map(|place| place.join(reference)).into_iter().find(|file| file.is_file());
    if let Some(file) = loose {
        return read(&file).map(|text| text.trim().to_owned());
    }
    let packed = read(&common.join("packed-refs"))?;
    let line = packed.lines().find(|line| line.ends_with(&format!(" {reference}")))?;
    line.split(' ').next().map(str::to_owned)
}

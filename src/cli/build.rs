//! Builds the stub, which `gg` embeds, so that installing gg is copying one file.
//!
//! The stub is a static program with settings of its own, and cargo has no stable way to depend on a built program; it
//! is one file without dependencies, so the compiler is called directly.

use std::path::Path;
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
}

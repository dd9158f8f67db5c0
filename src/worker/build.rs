//! Builds the path shim of the relocated sandbox, twice: as the library that programs are given, and as the worker's own
//! part, which starts the first program.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the shim consists of, and what both have in common.
const INSIDE: &[&str] = &["start", "open", "files", "spawn", "library"];
const SHARED: &[&str] = &["map", "path", "exec"];

/// Nothing of the C library that a program of ten years ago would not find, and no tricks on its behalf.
const FLAGS: &[&str] = &[
    "-O2",
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-builtin",
    "-fno-stack-protector",
    "-fno-delete-null-pointer-checks",
    "-U_FORTIFY_SOURCE",
    "-Wall",
    "-Wno-nonnull-compare",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_RELOCATED").is_none() {
        return;
    }
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../stubs/shim");
    println!("cargo:rerun-if-changed={}", from.display());
    println!("cargo:rerun-if-env-changed=CC");
    println!("cargo:rerun-if-env-changed=AR");
    let to = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let source = |name: &&str| from.join(name).with_extension("c");

    let mut shim = compiler();
    shim.args(FLAGS).args(["-shared", "-nostdlib", "-Wl,-z,initfirst", "-Wl,--hash-style=gnu", "-Wl,-s", "-o"]);
    run(shim.arg(to.join("shim.so")).args(SHARED.iter().chain(INSIDE).map(source)));

    let mut archive = Command::new(env::var_os("AR").unwrap_or("ar".into()));
    archive.arg("rcs").arg(to.join("libgg_sandbox.a"));
    for name in SHARED.iter().chain(&["launch"]) {
        let object = to.join(name).with_extension("o");
        run(compiler().args(FLAGS).arg("-c").arg(source(name)).arg("-o").arg(&object));
        archive.arg(object);
    }
    run(&mut archive);
    println!("cargo:rustc-link-search=native={}", to.display());
    println!("cargo:rustc-link-lib=static=gg_sandbox");
}

/// The C compiler for the target, named as other build scripts would have it.
fn compiler() -> Command {
    let target = env::var("TARGET").unwrap_or_default();
    let own = env::var_os(format!("CC_{}", target.replace('-', "_"))).or_else(|| env::var_os("CC"));
    let cross = Some(target.as_str()) != env::var("HOST").ok().as_deref() && target.starts_with("aarch64");
    Command::new(own.unwrap_or_else(|| OsString::from(if cross { "aarch64-linux-gnu-gcc" } else { "cc" })))
}

fn run(command: &mut Command) {
    let status = command.status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "the relocated sandbox needs a C compiler and ar: {command:?}: {status:?}"
    );
}

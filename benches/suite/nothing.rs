//! The do-nothing compiler: see `nothing.c`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use crate::Any;
use crate::bench::Bench;

/// The names that it goes by.
const NAMES: [&str; 14] = [
    "cc",
    "gcc",
    "c++",
    "g++",
    "clang",
    "clang++",
    "ar",
    "gcc-ar",
    "ranlib",
    "gcc-ranlib",
    "strip",
    "ld",
    "as",
    "nasm",
];

/// A directory that holds it under all names, to lead PATH.
///
/// # Errors
/// When it cannot be compiled.
pub fn directory(bench: &Bench) -> Any<PathBuf> {
    let directory = bench.scratch().join("nothing");
    if directory.is_dir() {
        return Ok(directory);
    }
    fs::create_dir_all(&directory)?;
    let (source, first) = (Bench::root().join("benches/suite/nothing.c"), directory.join(NAMES[0]));
    let mut gcc = bench.command("gcc");
    // Static: a start without a dynamic linker is the cheapest there is.
    bench.must(gcc.args(["-O2", "-static", "-o"]).args([&first, &source])).context("the do-nothing compiler")?;
    for name in &NAMES[1..] {
        fs::hard_link(&first, directory.join(name))?;
    }
    Ok(directory)
}

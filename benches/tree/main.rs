//! Writes a synthetic C++ project of any size, with the shape of a large real one.
//!
//! `bench-tree DIRECTORY [--files N] [--seed N]` writes sources, `Makefile` and `build.ninja`. With 40,000 files, the default, it is
//! of Chromium's size: 2,000 directories, 60,000 headers of which each source reaches some 300, 3,000 archives, 1,000 shared
//! libraries, 100 programs. It really compiles, and each program prints a number and ends with status 0. The same arguments
//! give the same bytes.
//!
//! # Layout
//!
//! - `shape`: how much there is of everything, and what it is called
//! - `includes`: which file includes which headers
//! - `sources`: the C++ text; `make`, `ninja`: the build files
//! - `random`: numbers that a seed decides

mod includes;
mod make;
mod ninja;
mod random;
mod shape;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Parser;

use crate::includes::Includes;
use crate::shape::Shape;

type Any<T = ()> = anyhow::Result<T>;

/// Writes a synthetic C++ project, with a Makefile and a build.ninja.
#[derive(Debug, Parser)]
#[command(name = "bench-tree")]
struct Args {
    /// Where to; must not exist
    directory: PathBuf,
    /// How many C++ files, programs' own included; everything else follows from it
    #[arg(long, default_value_t = 40_000, value_parser = clap::value_parser!(u32).range(20..=1_000_000))]
    files: u32,
    /// How many headers a source reaches, about; small projects have fewer
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(10..=3000))]
    reach: u32,
    /// One library among so many is a shared one; 0: all are archives
    #[arg(long, default_value_t = 4)]
    shared: usize,
    /// What decides who includes whom
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Any {
    let args = Args::parse();
    if args.directory.exists() {
        bail!("{} is there already; name a new directory", args.directory.display());
    }
    let shape = Shape::of(args.files as usize, args.shared);
    let includes = Includes::draw(&shape, args.reach as usize, args.seed);
    let root = &args.directory;
    sources::write_all(root, &shape, &includes)?;
    write(&root.join("Makefile"), &make::text(&shape, &includes))?;
    write(&root.join("build.ninja"), &ninja::text(&shape, &includes))?;
    let about = about(&shape, &includes);
    write(&root.join("tree.txt"), &about)?;
    print!("{about}");
    Ok(())
}

/// What was written, a figure and its value in each line; benches read it.
fn about(shape: &Shape, includes: &Includes) -> String {
    let users = includes.users();
    let mut by_use: Vec<usize> = (0..shape.headers).collect();
    by_use.sort_by_key(|header| (users[*header], *header));
    let sources = shape.sources() as f64;
    let at = |share: f64| by_use[((shape.headers - 1) as f64 * share) as usize];
    let reach: usize = includes.reach.iter().sum();
    let direct: usize = includes.of_sources.iter().map(Vec::len).sum();
    let mut out = format!(
        "files {}\ndirectories {}\nheaders {}\nlibraries {}\nprograms {}\nsteps {}\nheaders-reached {:.0}\nheaders-included {:.1}\n",
        shape.files,
        shape.directories,
        shape.headers,
        shape.libraries(),
        shape.programs,
        shape.files + shape.libraries() + shape.programs,
        reach as f64 / sources,
        direct as f64 / sources,
    );
    // One that is used by so many of the sources, for builds after a change.
    let rare =
        by_use.iter().rev().find(|header| users[**header] as f64 <= sources / 100.0).copied().unwrap_or(by_use[0]);
    for (label, header) in [("median-header", at(0.5)), ("one-percent-header", rare), ("most-used-header", at(1.0))] {
        out += &format!("{label} {} {}\n", shape.header_path(header), users[header]);
    }
    out
}

/// Writes a file, and the directory that it is in.
fn write(path: &Path, text: &str) -> Any {
    let written = fs::write(path, text).or_else(|error| match path.parent() {
        Some(parent) if error.kind() == std::io::ErrorKind::NotFound => {
            fs::create_dir_all(parent)?;
            fs::write(path, text)
        }
        _ => Err(error),
    });
    written.with_context(|| format!("cannot write {}", path.display()))
}

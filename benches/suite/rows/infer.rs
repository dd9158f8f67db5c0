//! `gg infer` of a cold tree, beside the same make with a do-nothing compiler.
//!
//! Both sides begin with the same prepared tree. With the do-nothing compiler, make starts a process for each step that makes an
//! empty file; what builds ask of their compilers (`-E`, `-MM`, `--version`) is answered by the real one on both sides.

use anyhow::Context;

use crate::Any;
use crate::bench::{Bench, path_with};
use crate::line::{Line, Unit, taken};
use crate::nothing;
use crate::project::Project;

/// Of the do-nothing make's CPU time.
const TARGET: f64 = 1.5;

pub fn redis(bench: &mut Bench) -> Any<Vec<Line>> {
    infer(bench, "infer-redis", "redis")
}

pub fn git(bench: &mut Bench) -> Any<Vec<Line>> {
    infer(bench, "infer-git", "git")
}

pub fn ffmpeg(bench: &mut Bench) -> Any<Vec<Line>> {
    infer(bench, "infer-ffmpeg", "ffmpeg")
}

fn infer(bench: &mut Bench, row: &str, name: &str) -> Any<Vec<Line>> {
    let project = Project::ready(bench, name, None)?;
    let path = path_with(&nothing::directory(bench)?);
    for _ in 0..bench.rounds {
        project.fresh_tree(bench)?;
        let mut floor = project.plain(bench);
        floor.env("PATH", &path);
        bench.measure(row, "do-nothing make", &floor)?;

        project.fresh_tree(bench)?;
        bench.empty_store()?;
        let gg = project.gg_infer(bench);
        bench.measure(row, "gg infer, empty store", &gg)?;

        project.fresh_tree(bench)?;
        bench.empty_store()?;
        know_toolchain(bench)?;
        let gg = project.gg_infer(bench);
        bench.measure(row, "gg infer, toolchain known", &gg)?;
    }
    let side = |side| bench.runs.side(row, side).context("it was never run");
    let (floor, cold, known) =
        (side("do-nothing make")?, side("gg infer, empty store")?, side("gg infer, toolchain known")?);
    let line = |store: &str, gg: crate::runs::Side| {
        let what = format!("infer of {name}, cold tree, {store}: CPU over the do-nothing make");
        let line = Line::new(what, Unit::Times, TARGET, gg.median.cpu / floor.median.cpu);
        line.of(taken("gg infer", &gg), taken("do-nothing make", &floor))
    };
    Ok(vec![line("empty store", cold), line("store that knows the toolchain", known)])
}

/// A store that has seen one small program compiled: the toolchain is hashed and laid out, which happens once per store.
fn know_toolchain(bench: &Bench) -> Any {
    let place = bench.scratch().join("hello");
    std::fs::create_dir_all(&place)?;
    for name in ["hello.c", "hello.cc"] {
        std::fs::write(place.join(name), "#include <stdio.h>\nint main(void) { return puts(\"hello\") < 0; }\n")?;
    }
    bench.settle();
    let build =
        "gcc -c hello.c -o hello.o && gcc hello.o -o hello && ar rcs hello.a hello.o && g++ -c hello.cc -o hello.o";
    bench.must(bench.gg("gg").args(["build", "--", "sh", "-c", build]).current_dir(&place))?;
    // Removed by its name: a directory of products is no project's concern.
    std::fs::remove_dir_all(&place)?;
    Ok(())
}

//! Builds of our own of many tiny steps.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::{Context, bail};

use crate::Any;
use crate::bench::{Bench, path_with};
use crate::line::{Line, Unit, taken};

/// Steps of the build of trivial thunks.
const COPIES: usize = 500;
/// Compiles of the build whose compiler has no model.
const HELD: usize = 200;

/// What a compiler driver says of itself.
fn ask_gcc(question: &str) -> Any<String> {
    let said = Command::new("gcc").arg(question).output().context("cannot start gcc")?;
    Ok(String::from_utf8(said.stdout)?.trim().to_owned())
}

/// What it costs to hold programs that open placeholders, where there is none: `cc1` is no tool that gg knows.
pub fn held(bench: &mut Bench) -> Any<Vec<Line>> {
    let place = bench.scratch().join("held");
    fs::create_dir_all(&place)?;
    let (cc1, system) = (ask_gcc("-print-prog-name=cc1")?, ask_gcc("-print-multiarch")?);
    let mut makefile = String::from("all: $(patsubst %.c,%.s,$(wildcard *.c))\n");
    let _ = write!(makefile, "%.s: %.c\n\t{cc1} -quiet -imultiarch {system} $< -o $@\n");
    fs::write(place.join("Makefile"), makefile)?;
    for number in 0..HELD {
        let text = format!("#include <stdio.h>\nint g{number}(void) {{ return printf(\"%d\", {number}); }}\n");
        fs::write(place.join(format!("g{number}.c")), text)?;
    }
    bench.settle();
    let jobs = format!("-j{}", bench.jobs);
    for _ in 0..bench.rounds {
        for (side, mut command) in [("make", bench.command("make")), ("gg-make", bench.gg("gg-make"))] {
            for number in 0..HELD {
                let _ = fs::remove_file(place.join(format!("g{number}.s")));
            }
            bench.measure("held", side, command.args(["-s", &jobs]).current_dir(&place))?;
        }
    }
    let side = |side| bench.runs.side("held", side).context("it was never run");
    let (make, gg) = (side("make")?, side("gg-make")?);
    let what = format!("{HELD} compiles by a compiler without a model: CPU over plain make");
    let line = Line::plain(what, Unit::Times, gg.median.cpu / make.median.cpu);
    Ok(vec![line.of(taken("gg-make", &gg), taken("make", &make))])
}

/// Thunks that copy one small file.
pub fn trivial(bench: &mut Bench) -> Any<Vec<Line>> {
    let (place, tool) = (bench.scratch().join("trivial"), bench.scratch().join("tool"));
    fs::create_dir_all(&place)?;
    fs::create_dir_all(&tool)?;
    fs::copy("/bin/cp", tool.join("bench-copy")).context("cannot copy /bin/cp")?;
    let path = path_with(&tool);
    let gg = |arguments: &[&str]| {
        let mut command = bench.gg("gg");
        command.args(arguments).current_dir(&place).env("PATH", &path);
        command
    };
    let (infer, force) = (gg(&["infer", "--", "make", "-s"]), gg(&["force"]));
    let model = "names = [\"bench-copy\"]\npositional = [\"input\", \"output\"]\n";
    fs::write(bench.scratch().join("tools/bench-copy.toml"), model)?;
    let makefile = "all: $(patsubst %.in,%.out,$(wildcard *.in))\n%.out: %.in\n\tbench-copy $< $@\n";
    fs::write(place.join("Makefile"), makefile)?;
    for number in 0..COPIES {
        fs::write(place.join(format!("{number}.in")), number.to_string())?;
    }
    bench.settle();
    let clean = || (0..COPIES).for_each(|number| drop(fs::remove_file(place.join(format!("{number}.out")))));
    let mut make = bench.command("make");
    make.arg("-s").current_dir(&place).env("PATH", &path);
    for _ in 0..bench.rounds {
        clean();
        bench.empty_store()?;
        bench.measure("trivial", "make", &make)?;
        for (inferred, forced) in [("infer", "force"), ("infer again", "force again")] {
            clean();
            bench.measure("trivial", inferred, &infer)?;
            bench.measure("trivial", forced, &force)?;
            if fs::read(place.join("1.out"))? != b"1" {
                bail!("a forced file is not what it should be");
            }
        }
    }
    let each = |side: &str| bench.runs.side("trivial", side).map(|side| side.median.cpu * 1e3 / COPIES as f64);
    let line = |side: &str, what: &str, beside: &str| {
        let figure = each(side).context("it was never run")?;
        Any::Ok(Line::plain(format!("{what}, each of {COPIES}: CPU"), Unit::Ms, figure).of("", beside))
    };
    Ok(vec![
        line("make", "plain make that copies a small file", "make included")?,
        line("infer", "gg infer of a trivial thunk", "make and the first look at the tool included")?,
        line("force", "gg force of a trivial thunk", "the copy included; the original gg: 13.5 ms")?,
        line("force again", "gg force of a trivial thunk in the reduction cache", "the file is put in place")?,
    ])
}

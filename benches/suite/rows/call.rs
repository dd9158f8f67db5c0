//! One stub call with warm caches: what the CPU does in the stub and in the session for one more compile of a kind that the session
//! has seen.
//!
//! A driver, this program once more, runs under `gg infer` and executes `gcc -c` for each of [`CALLS`] small sources, one after
//! the other, twice over. Only the second time is measured: files are hashed, headers are scanned, thunks and placeholders are
//! there. The stub's share is the CPU time of the driver's children (fork's other half, exec, exit), the session's that of the
//! `gg` process and its keeper meanwhile. Nothing is subtracted; the same calls of a do-nothing compiler stand beside.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::bench::{Bench, path_with};
use crate::line::{Line, Unit};
use crate::runs::median;
use crate::spent::{Spent, cpu, cpu_of};
use crate::{Any, nothing};

/// The first argument of the driver; a file for its figures and the number of sources follow.
pub const HELPER: &str = "__calls";

const CALLS: usize = 2000;

/// Milliseconds of CPU time.
const TARGET: f64 = 0.5;

const ROW: &str = "call";

/// The driver: all calls twice; the CPU seconds that children and ancestors took the second time go to a file.
pub fn helper(arguments: &[OsString]) -> Any<u8> {
    let [file, calls] = arguments else { bail!("{HELPER} FILE CALLS") };
    let calls: usize = calls.to_str().and_then(|text| text.parse().ok()).context("how many calls?")?;
    let ancestors = ancestors();
    let mut taken = (0.0, 0.0);
    for _ in 0..2 {
        let session = || ancestors.iter().filter_map(|pid| cpu_of(*pid)).sum::<f64>();
        let before = (cpu(libc::RUSAGE_CHILDREN), session());
        for number in 0..calls {
            call(number)?;
        }
        taken = (cpu(libc::RUSAGE_CHILDREN) - before.0, session() - before.1);
    }
    fs::write(file, format!("{} {}", taken.0, taken.1))?;
    Ok(0)
}

/// The processes above this one up to the suite's helper that are gg's: the session, and the keeper that started this.
fn ancestors() -> Vec<u32> {
    let mut found = Vec::new();
    // SAFETY: a question without pointers.
    let mut pid = unsafe { libc::getppid() } as u32;
    loop {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if !name.starts_with("gg") {
            return found;
        }
        found.push(pid);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let parent =
            status.lines().find_map(|line| line.strip_prefix("PPid:")).and_then(|text| text.trim().parse().ok());
        let Some(parent) = parent else { return found };
        pid = parent;
    }
}

fn call(number: usize) -> Any {
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-Wall", "-Iinclude", "-c", "-o"]).arg(format!("f{number}.o")).arg(format!("f{number}.c"));
    let status = gcc.stdin(Stdio::null()).status().context("cannot start gcc")?;
    if !status.success() {
        bail!("gcc ended with {status}");
    }
    Ok(())
}

fn write_sources(place: &Path) -> Any {
    fs::create_dir_all(place.join("include"))?;
    for header in 0..10 {
        let next = if header > 0 { format!("#include \"h{}.h\"\n", header - 1) } else { String::new() };
        let text = format!("#pragma once\n{next}static inline int h{header}(int x) {{ return x * {header}; }}\n");
        fs::write(place.join(format!("include/h{header}.h")), text)?;
    }
    for number in 0..CALLS {
        let text = format!(
            "#include <stdio.h>\n#include <stdlib.h>\n#include \"h{}.h\"\nint f{number}(int x) {{ return h0(x) + {number}; }}\n",
            number % 10
        );
        fs::write(place.join(format!("f{number}.c")), text)?;
    }
    Ok(())
}

pub fn measure(bench: &mut Bench) -> Any<Vec<Line>> {
    let place = bench.scratch().join("calls");
    write_sources(&place)?;
    bench.settle();
    let (driver, figures) = (std::env::current_exe()?, bench.scratch().join("calls.spent"));
    let nothing = path_with(&nothing::directory(bench)?);
    let arguments = [HELPER.into(), figures.clone().into_os_string(), CALLS.to_string().into()];
    let (mut stub, mut session, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let mut plain = bench.command(&driver);
        let spent = run(bench, plain.args(&arguments).current_dir(&place).env("PATH", &nothing), &figures)?;
        bench.runs.add(ROW, "do-nothing compiler", Spent { cpu: spent.0, ..Spent::default() });
        floor.push(spent.0);
        bench.empty_store()?;
        let mut gg = bench.gg("gg");
        let gg = gg.args(["infer", "--"]).arg(&driver).args(&arguments).current_dir(&place);
        let spent = run(bench, gg, &figures)?;
        bench.runs.add(ROW, "stub", Spent { cpu: spent.0, ..Spent::default() });
        bench.runs.add(ROW, "session", Spent { cpu: spent.1, ..Spent::default() });
        stub.push(spent.0);
        session.push(spent.1);
        for number in 0..CALLS {
            fs::remove_file(place.join(format!("f{number}.o")))?;
        }
    }
    let each = |seconds: Vec<f64>| median(seconds) * 1000.0 / CALLS as f64;
    let (stub, session, floor) = (each(stub), each(session), each(floor));
    let what = "one stub call, warm caches: CPU in stub and session";
    let gg = format!("{stub:.3} ms in the stub (its fork, exec and exit included), {session:.3} ms in the session");
    let beside = format!("{floor:.3} ms a call of the do-nothing compiler");
    Ok(vec![Line::new(what, Unit::Ms, TARGET, stub + session).of(gg, beside)])
}

/// What the driver found: CPU seconds of its children, and of the session.
fn run(bench: &Bench, command: &mut Command, figures: &Path) -> Any<(f64, f64)> {
    bench.must(command)?;
    let text = fs::read_to_string(figures)?;
    let (children, session) = text.split_once(' ').context("the driver's figures are damaged")?;
    Ok((children.parse()?, session.parse()?))
}

//! Programs that measure a part by themselves: they print a list of JSON objects with `label`, `figure`, `unit` (`ms`, `us`, `B`,
//! `x`, `s`, `MB/s`) and `beside`, which may begin with the target, as in "at most 20".

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::Any;
use crate::bench::Bench;
use crate::line::{Line, Unit};
use crate::project::Project;
use crate::runs::median;

/// One figure that a program tells.
#[derive(Clone, Debug, Deserialize)]
struct Told {
    label: String,
    figure: f64,
    unit: String,
    #[serde(default)]
    beside: String,
}

impl Told {
    fn unit(&self) -> Any<Unit> {
        Ok(match self.unit.as_str() {
            "x" => Unit::Times,
            "ms" => Unit::Ms,
            "us" => Unit::Us,
            "s" => Unit::Seconds,
            "B" => Unit::Bytes,
            "MB/s" => Unit::Speed,
            other => bail!("a figure in {other}, which the suite does not know"),
        })
    }

    /// The target that `beside` begins with, and the rest of it.
    fn target(&self) -> (Option<f64>, &str) {
        let Some((front, rest)) = self.beside.split_once("at most ") else { return (None, &self.beside) };
        let number = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or_default();
        (
            number.parse().ok(),
            if front.is_empty() { rest[number.len()..].trim_start_matches([',', ';', ' ']) } else { &self.beside },
        )
    }
}

/// Runs a program a few times; the medians of what it tells.
fn ask(bench: &Bench, command: &mut Command, rounds: u32) -> Any<Vec<Line>> {
    let mut all: Vec<Vec<Told>> = Vec::new();
    for _ in 0..rounds {
        let program = command.get_program().to_owned();
        let said = command
            .stderr(std::process::Stdio::piped())
            .output()
            .with_context(|| format!("cannot start {program:?}"))?;
        if !said.status.success() {
            bail!("{program:?} ended with {}:\n{}", said.status, String::from_utf8_lossy(&said.stderr).trim_end());
        }
        all.push(serde_json::from_slice(&said.stdout).with_context(|| format!("{program:?} tells no JSON"))?);
    }
    bench.tidy();
    let first = all.first().context("no round was run")?;
    let lines = first.iter().enumerate().map(|(at, told)| {
        let figures = all.iter().filter_map(|round| round.get(at)).map(|told| told.figure).collect();
        let (target, beside) = told.target();
        Ok(Line { target, ..Line::plain(&told.label, told.unit()?, median(figures)) }.of("", beside))
    });
    lines.collect()
}

/// A trivial thunk in the sandbox.
pub fn thunk(bench: &mut Bench) -> Any<Vec<Line>> {
    let mut command = bench.command(bench.program("overhead")?);
    command.args(["--json", "2000", &bench.jobs.to_string(), "100"]);
    ask(bench, &mut command, bench.rounds)
}

/// The coordinator, on imagined workers in virtual time.
pub fn coordinator(bench: &mut Bench) -> Any<Vec<Line>> {
    let mut command = bench.command(bench.program("bench-coordinator")?);
    ask(bench, command.arg("--json"), bench.rounds)
}

/// The include scanner, over redis.
pub fn scan(bench: &mut Bench) -> Any<Vec<Line>> {
    let project = Project::ready(bench, "redis", None)?;
    project.fresh_tree(bench)?;
    let mut command = bench.command(bench.program("bench-parts")?);
    command.arg("scan").arg(project.tree.join("src"));
    for part in ["hiredis", "linenoise", "lua/src", "hdr_histogram", "fpconv"] {
        command.args([Path::new("-I"), &Path::new("../deps").join(part)]);
    }
    ask(bench, &mut command, 1)
}

/// Hashing, storing and importing files.
pub fn store(bench: &mut Bench) -> Any<Vec<Line>> {
    let mut command = bench.command(bench.program("bench-parts")?);
    command.arg("store").arg(bench.scratch().join("parts"));
    ask(bench, &mut command, 1)
}

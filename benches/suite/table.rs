//! The table: as text, as Markdown for the README, and as JSON with all runs.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use serde_json::json;

use crate::Any;
use crate::bench::Bench;
use crate::line::Line;
use crate::runs::Runs;

/// What rows have given so far.
#[derive(Debug)]
pub struct Table {
    /// What was measured, where, when.
    pub machine: String,
    lines: Vec<(&'static str, Line)>,
    failures: Vec<(&'static str, String)>,
}

/// A figure that is far off needs no decimals.
fn ratio(line: &Line) -> String {
    match (line.is_reached(), line.ratio()) {
        (Some(reached), Some(ratio)) => format!("{} ({ratio:.2})", if reached { "yes" } else { "no" }),
        _ => String::new(),
    }
}

fn target(line: &Line) -> String {
    line.target.map(|target| line.unit.show(target)).unwrap_or_default()
}

impl Table {
    /// An empty one.
    pub fn new(bench: &Bench) -> Self {
        Self { machine: bench.machine(), lines: Vec::new(), failures: Vec::new() }
    }

    /// Adds what a row gave, and tells it at once.
    pub fn add(&mut self, row: &'static str, lines: Vec<Line>) {
        for line in lines {
            eprintln!("   {}: {} {}", line.what, line.figure(), ratio(&line));
            self.lines.push((row, line));
        }
    }

    /// Notes that a row could not be run.
    pub fn fail(&mut self, row: &'static str, why: &anyhow::Error) {
        eprintln!("   could not be run: {why:#}");
        self.failures.push((row, format!("{why:#}")));
    }

    /// Whether every row could be run.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty() && self.lines.iter().all(|(_, line)| line.measured.is_some())
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let mut out = format!("{}\n\n", self.machine);
        let width = self.lines.iter().map(|(_, line)| line.what.len()).max().unwrap_or(0);
        let _ = writeln!(out, "{:width$}  {:>9}  {:>9}  {:10}  raw", "what", "at most", "measured", "reached");
        for (_, line) in &self.lines {
            let measured = line.figure();
            let sides = [line.gg.as_str(), line.beside.as_str()].into_iter().filter(|side| !side.is_empty());
            let sides = sides.collect::<Vec<_>>().join("; ");
            let _ =
                writeln!(out, "{:width$}  {:>9}  {measured:>9}  {:10}  {sides}", line.what, target(line), ratio(line));
        }
        for (row, why) in &self.failures {
            let _ = writeln!(out, "{row}: could not be run: {why}");
        }
        out
    }

    /// For the README.
    pub fn markdown(&self) -> String {
        let mut out = format!("{}.\n\n", self.machine);
        out += "| what | at most | measured | reached | gg | beside |\n|---|---|---|---|---|---|\n";
        for (_, line) in &self.lines {
            let cells = [&line.what, &target(line), &line.figure(), &ratio(line), &line.gg, &line.beside];
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            let _ = writeln!(out, "| {} |", cells.join(" | "));
        }
        for (row, why) in &self.failures {
            let _ =
                writeln!(out, "| {row} | | could not be run | | {} | |", why.replace('|', "\\|").replace('\n', " "));
        }
        out
    }

    /// Writes everything to a file, if there is to be one.
    pub fn save(&self, file: Option<&Path>, runs: &Runs) -> Any {
        let Some(file) = file else { return Ok(()) };
        let lines: Vec<_> = self.lines.iter().map(|(row, line)| {
            json!({ "row": row, "what": line.what, "unit": line.unit, "target": line.target, "measured": line.measured,
                "ratio": line.ratio(), "reached": line.is_reached(), "gg": line.gg, "beside": line.beside })
        }).collect();
        let failures: Vec<_> = self.failures.iter().map(|(row, why)| json!({ "row": row, "why": why })).collect();
        let all = json!({ "machine": self.machine, "lines": lines, "failures": failures, "runs": runs });
        std::fs::write(file, serde_json::to_vec_pretty(&all)?)
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

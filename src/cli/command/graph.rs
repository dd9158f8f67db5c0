//! `gg graph`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use gg_force::simulator::{RecordedStep, Recording};
use gg_ir::{Input, Name, Reference};
use gg_store::Store;

use super::report;
use crate::report::{Served, StepRecord};
use crate::settings::Settings;

/// Shows the graph of the last build: who uses whose outputs.
///
/// # Errors
/// When there has been no build, or its thunks are not in the store any more.
pub fn run(dot: bool, settings: &Settings) -> Result<i32> {
    let report = report::load(settings)?;
    let store = Store::open(&settings.directory)?;
    let mut labels: BTreeMap<Name, (String, String)> = BTreeMap::new();
    for step in &report.steps {
        labels.insert(step.thunk.parse()?, (step.kind.clone(), report.shorten(&step.label).to_owned()));
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let write = |out: &mut dyn Write| -> Result<()> {
        if dot {
            writeln!(out, "digraph build {{\n  rankdir=LR;\n  node [shape=box];")?;
        }
        for (name, (kind, label)) in &labels {
            let thunk = store.read_thunk(name)?;
            let needed: BTreeSet<Name> = thunk.dependencies().copied().collect();
            let files = thunk.inputs.values().filter(|input| matches!(input, Input::File { .. })).count();
            let id = |name: &Name| name.to_string()[1..13].to_owned();
            if dot {
                writeln!(out, "  {:?} [label={:?}];", id(name), format!("{kind}\n{label}"))?;
                for other in &needed {
                    writeln!(out, "  {:?} -> {:?};", id(other), id(name))?;
                }
            } else {
                writeln!(out, "{} {kind} {label} ({files} files)", id(name))?;
                for other in &needed {
                    let label = labels.get(other).map_or("(an earlier build's)", |(_, label)| label);
                    writeln!(out, "  <- {} {label}", id(other))?;
                }
            }
        }
        if dot {
            writeln!(out, "}}")?;
        }
        out.flush()?;
        Ok(())
    };
    match write(&mut out) {
        Err(error)
            if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) =>
        {
            Ok(0)
        }
        other => other.map(|()| 0),
    }
}

/// Writes the graph of the last build to a file, with what its steps took when they were run.
///
/// # Errors
/// When there has been no build, its thunks are not in the store any more, or the file cannot be written.
pub fn record(file: &Path, settings: &Settings) -> Result<i32> {
    let report = report::load(settings)?;
    let store = Store::open(&settings.directory)?;
    let mut entries: Vec<(Name, &StepRecord)> = Vec::new();
    let mut places: HashMap<Name, u32> = HashMap::new();
    for step in report.steps.iter().filter(|step| matches!(step.served, Served::Executed | Served::Cached)) {
        let name = step.thunk.parse()?;
        if places.insert(name, entries.len() as u32).is_none() {
            entries.push((name, step));
        }
    }
    let left_out = report.steps.len() - entries.len();
    if entries.is_empty() {
        bail!("the last build here has no step that succeeded; there is nothing to record");
    }
    let mut seen: HashSet<Name> = HashSet::new();
    let mut steps = Vec::with_capacity(entries.len());
    for (name, entry) in &entries {
        let thunk = store
            .read_thunk(name)
            .with_context(|| format!("{} cannot be read; build again, then record", report.shorten(&entry.label)))?;
        let mut step = RecordedStep {
            kind: entry.kind.clone(),
            label: report.shorten(&entry.label).to_owned(),
            wall_us: entry.wall_us,
            cpu_us: entry.cpu_us,
            output_bytes: entry.output_bytes,
            ..RecordedStep::default()
        };
        let mut needs: BTreeSet<u32> = BTreeSet::new();
        for input in thunk.inputs.values() {
            // Trees are system directories: they are the toolchain's.
            let Input::File { object, .. } = input else { continue };
            let value = match object {
                Reference::Value(value) => Some(*value),
                Reference::Output(other, tag) => match places.get(other) {
                    Some(&place) => {
                        needs.insert(place);
                        None
                    }
                    // An earlier build's: as good as a source.
                    None => store.reduction(other)?.and_then(|made| Some(*made.outputs.get(tag)?.object.name())),
                },
            };
            if let Some(value) = value {
                step.input_bytes += value.length();
                step.new_bytes += if seen.insert(value) { value.length() } else { 0 };
            }
        }
        step.needs = needs.into_iter().collect();
        steps.push(step);
    }
    let recording = Recording::new(steps)
        .map_err(|step| anyhow::anyhow!("{} waits for itself; build again, then record", entries[step].1.label))?;
    fs::write(file, recording.to_string()).with_context(|| format!("cannot write {}", file.display()))?;
    println!("{}: {} steps, {} s of CPU time", file.display(), entries.len(), total(&recording));
    if left_out > 0 {
        println!("left out: {left_out} steps that did not succeed, or that are there twice");
    }
    Ok(0)
}

fn total(recording: &Recording) -> u64 {
    recording.steps().iter().map(RecordedStep::work).sum::<std::time::Duration>().as_secs()
}

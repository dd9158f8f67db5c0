//! `gg graph`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use anyhow::Result;
use gg_ir::{Input, Name};
use gg_store::Store;

use super::report;
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
        let label = step
            .label
            .strip_prefix(&*report.root.to_string_lossy())
            .map_or(&*step.label, |rest| rest.trim_start_matches('/'));
        labels.insert(step.thunk.parse()?, (step.kind.clone(), label.to_owned()));
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

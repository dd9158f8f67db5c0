//! `gg graph`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use gg_force::simulator::{RecordedStep, Recording};
use gg_ir::{Input, Name, Reference};
use gg_store::Store;

use super::report;
use crate::args::GraphArgs;
use crate::graph::{Graph, Picture, Selection, page, svg, text};
use crate::report::{Record, Runs, Served, StepRecord};
use crate::settings::Settings;

/// More steps and edges than this make no picture that a person can look at.
const MOST: usize = 20_000;

/// Shows the graph of the last build, or what some files come from: who uses whose outputs.
///
/// # Errors
/// When there has been no build, a file is not known to come from one, or nothing can be written.
pub fn run(args: &GraphArgs, settings: &Settings) -> Result<i32> {
    if let Some(file) = &args.record {
        return record(file, settings);
    }
    let store = Store::open(&settings.directory)?;
    let runs = if args.files.is_empty() { vec![report::load(settings)?] } else { kept(settings)? };
    let selection = Selection { tools: args.tools.clone(), kinds: args.kinds.clone(), depth: args.depth };
    let graph = Graph::gather(&runs, &args.files, &store)?.select(&selection);
    if graph.nodes.is_empty() {
        bail!("the build has no such step; `gg graph` without options lists all");
    }
    let pictures: [(&Option<PathBuf>, &Draws); 2] = [(&args.svg, &svg::write), (&args.html, &page::write)];
    for (file, draw) in pictures {
        let Some(file) = file else { continue };
        let graph = if args.all { graph.clone() } else { graph.fold() };
        let picture = Picture::of(&graph, MOST).with_context(|| {
            format!("{} are too many to be drawn; name a file, or use --depth, --kind or --tool", svg::steps(&graph))
        })?;
        if file.as_os_str() == "-" {
            to_stdout(|out| draw(&graph, &picture, out))?;
            continue;
        }
        let mut drawing = Vec::new();
        draw(&graph, &picture, &mut drawing)
            .and_then(|()| fs::write(file, drawing))
            .with_context(|| format!("cannot write {}", file.display()))?;
        println!("{}: {}; open it in a browser", file.display(), svg::steps(&graph));
    }
    if args.svg.is_none() && args.html.is_none() {
        to_stdout(|out| if args.dot { text::dot(&graph, out) } else { text::plain(&graph, out) })?;
    }
    Ok(0)
}

/// What draws a graph.
type Draws = dyn Fn(&Graph, &Picture, &mut dyn Write) -> io::Result<()>;

fn to_stdout(write: impl Fn(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write the graph"),
        _ => Ok(()),
    }
}

/// All records of builds here, the last one first.
fn kept(settings: &Settings) -> Result<Vec<Record>> {
    let last = report::load(settings)?;
    let root = std::env::current_dir().context("the current directory is gone")?;
    let at = || format!("cannot look for records in {}", settings.directory.display());
    let Some(runs) = Runs::nearest(&settings.directory, &root).with_context(at)? else { return Ok(vec![last]) };
    let numbers = runs.numbers().with_context(at)?.into_iter().rev().filter(|number| *number < last.run);
    // One that was just replaced, or that another version wrote, tells nothing.
    let earlier: Vec<Record> = numbers.filter_map(|number| runs.load(number).ok()).collect();
    Ok([last].into_iter().chain(earlier).collect())
}

/// Writes the graph of the last build to a file, with what its steps took when they were run.
///
/// # Errors
/// When there has been no build, its thunks are not in the store any more, or the file cannot be written.
fn record(file: &Path, settings: &Settings) -> Result<i32> {
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
        // What was real when the step was inferred, its thunk does not tell from a source: the record does.
        let own = places.get(name).copied().unwrap_or_default();
        let told = entry.needs.iter().filter_map(|&need| report.steps.get(need as usize)?.thunk.parse::<Name>().ok());
        let told: Vec<(Name, u32)> = told.filter_map(|need| Some((need, *places.get(&need)?))).collect();
        let told: Vec<(Name, u32)> = told.into_iter().filter(|&(_, place)| place < own).collect();
        let mut made: HashSet<Name> = HashSet::new();
        for (need, _) in &told {
            let reduction = store.reduction(need)?;
            made.extend(reduction.iter().flat_map(|made| made.outputs.values()).map(|made| *made.object.name()));
        }
        let mut needs: BTreeSet<u32> = told.into_iter().map(|(_, place)| place).collect();
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
            if let Some(value) = value.filter(|value| !made.contains(value)) {
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

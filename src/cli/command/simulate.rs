//! `gg simulate`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use gg_force::simulator::{Model, Recording, Scheduling, Shape, Simulation, simulate, simulate_in_detail, synthetic};

use crate::args::SimulateArgs;
use crate::report;

/// Simulates a build on a model of a service, for each number of workers and each way to schedule.
///
/// # Errors
/// When a file cannot be read, or is not what it should be.
pub fn run(args: &SimulateArgs) -> Result<i32> {
    let model = match &args.model {
        Some(file) => model(file)?,
        None => Model::default(),
    };
    let first = args.seeds.first().copied().unwrap_or_default();
    let recording = recording(args, first)?;
    let results: Vec<Simulation> = args
        .policies
        .iter()
        .flat_map(|policy| args.workers.iter().map(move |workers| (*policy, *workers)))
        .map(|(policy, workers)| middle(args, |seed| simulate(&recording, &model, workers, policy, seed)))
        .collect::<Result<_>>()?;
    if let Some(file) = &args.report {
        let ([result], [policy], [workers]) = (&results[..], &args.policies[..], &args.workers[..]) else {
            bail!("a report is of one build: give one number of workers and one policy with --report")
        };
        // Once more: the same comes out, with all that is left out when many are compared.
        let detailed = simulate_in_detail(&recording, &model, *workers, *policy, result.seed);
        let record = report::imagined(&source(args), &recording, &detailed);
        fs::write(file, serde_json::to_vec(&record)?).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let mut out = io::stdout().lock();
    let written = match &results[..] {
        _ if args.json => serde_json::to_writer_pretty(&mut out, &results).map_err(io::Error::from),
        [result] => print(&mut out, result),
        _ => table(&mut out, &results),
    };
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write the result"),
        _ => Ok(i32::from(results.iter().any(|result| result.failed > 0))),
    }
}

/// Of a simulation with each seed, the one whose makespan is in the middle.
fn middle(args: &SimulateArgs, simulate: impl Fn(u64) -> Simulation) -> Result<Simulation> {
    let mut results: Vec<Simulation> = args.seeds.iter().map(|seed| simulate(*seed)).collect();
    results.sort_by(|a, b| a.makespan_s.total_cmp(&b.makespan_s));
    let middle = results.len().saturating_sub(1) / 2;
    results.into_iter().nth(middle).context("there is no seed")
}

fn recording(args: &SimulateArgs, seed: u64) -> Result<Recording> {
    if let Some(file) = &args.shape {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let shape = Shape::parse(&text).with_context(|| format!("{} is no shape of a graph", file.display()))?;
        return Ok(synthetic(&shape, seed));
    }
    let Some(file) = &args.graph else {
        return Ok(synthetic(&Shape::of(args.synthetic.unwrap_or_default()), seed));
    };
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let text = String::from_utf8(bytes).ok().with_context(|| format!("{} is no text", file.display()))?;
    let recording = Recording::parse(&text).with_context(|| file.display().to_string())?;
    if recording.steps().is_empty() {
        bail!("{} holds no steps; `gg graph --record FILE` after a build writes those of that build", file.display());
    }
    Ok(recording)
}

fn model(file: &Path) -> Result<Model> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Model::parse(&text).with_context(|| format!("{} is no model of a service", file.display()))
}

fn print(out: &mut dyn Write, result: &Simulation) -> io::Result<()> {
    let row = |out: &mut dyn Write, label: &str, figure: String, beside: String| {
        writeln!(out, "{}", format!("{label:<18}{figure:>12}  {beside}").trim_end())
    };
    let Simulation { steps, workers, scheduling, .. } = result;
    writeln!(out, "{steps} steps on {workers} workers, {scheduling}")?;
    row(out, "makespan", seconds(result.makespan_s), format!("{:.2} times the bound", result.ratio))?;
    row(
        out,
        "bound",
        seconds(result.bound_s),
        "the critical path or the work on all workers, at a function's speed".into(),
    )?;
    row(
        out,
        "critical path",
        seconds(result.critical_path_s),
        format!("{} steps, as recorded", result.critical_steps),
    )?;
    row(out, "work", seconds(result.work_s), "as recorded".into())?;
    row(
        out,
        "worker use",
        format!("{:.0} %", result.worker_use * 100.0),
        format!("at most {} busy at once", result.peak_concurrency),
    )?;
    row(out, "requests", result.invocations.to_string(), format!("{} cold starts", result.cold_starts))?;
    let (retries, throttled) = (result.retries, result.throttled);
    row(out, "sent again", retries.to_string(), format!("{throttled} more refused as too many"))?;
    row(out, "duplicates", result.duplicates.to_string(), format!("{} answered first", result.duplicates_won))?;
    let gb = |bytes: u64| bytes as f64 / 1e9;
    row(out, "billed", seconds(result.billed_s), format!("{:.0} GiB s", result.gib_s))?;
    row(
        out,
        "client",
        format!("{:.2} GB up", gb(result.bytes_up)),
        format!("{:.2} GB down, before compression", gb(result.bytes_down)),
    )?;
    row(out, "cost", format!("${:.2}", result.dollars), "by the model's prices".into())?;
    if result.failed > 0 {
        row(out, "failed", result.failed.to_string(), "their requests died too often".into())?;
    }
    writeln!(out, "\nwhere the time of the chain that decided it went ({} steps)", result.chain_steps)?;
    for share in result.chain.iter().filter(|share| share.share >= 0.001) {
        writeln!(out, "  {:<24}{:>10}{:>7.1} %", share.phase.name(), seconds(share.seconds), share.share * 100.0)?;
    }
    Ok(())
}

fn seconds(time: f64) -> String {
    format!("{time:.1} s")
}

fn table(out: &mut dyn Write, results: &[Simulation]) -> io::Result<()> {
    let width = results.iter().map(|result| result.scheduling.len()).max().unwrap_or_default().max(8);
    writeln!(
        out,
        "{:<width$}{:>9}{:>12}{:>8}{:>7}{:>10}{:>9}  most of the time",
        "policy", "workers", "makespan", "ratio", "use", "requests", "cost"
    )?;
    for result in results {
        let limits = result.chain.iter().take(3);
        let limits: Vec<String> =
            limits.map(|share| format!("{} {:.0} %", share.phase.name(), share.share * 100.0)).collect();
        writeln!(
            out,
            "{:<width$}{:>9}{:>12}{:>8.2}{:>5.0} %{:>10}{:>9}  {}",
            result.scheduling,
            result.workers,
            seconds(result.makespan_s),
            result.ratio,
            result.worker_use * 100.0,
            result.invocations,
            format!("${:.2}", result.dollars),
            limits.join(", ")
        )?;
    }
    Ok(())
}

/// What is simulated, for a person.
fn source(args: &SimulateArgs) -> String {
    args.graph.as_ref().or(args.shape.as_ref()).map_or_else(
        || format!("--synthetic {}", args.synthetic.unwrap_or_default()),
        |file| file.display().to_string(),
    )
}

/// Reads a way to schedule.
///
/// # Errors
/// What the words may be.
pub fn policy(text: &str) -> Result<Scheduling, String> {
    text.parse().map_err(|error: gg_force::simulator::SchedulingError| error.to_string())
}

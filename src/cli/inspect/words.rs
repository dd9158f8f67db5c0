//! Who ran, where and when, for a person.

use crate::report::{self, AttemptRecord, Record, Served, StepRecord, seconds};

/// The engine that is this machine.
const HERE: &str = "local";

/// Where an engine of this name runs steps.
pub fn on(engine: &str) -> String {
    if engine == HERE { "on this machine".to_owned() } else { format!("on {engine}") }
}

/// The same for one of the engine's workers, as the report numbers them, where that is known.
pub fn on_worker(engine: &str, worker: Option<u32>) -> String {
    match worker {
        // Which of its processes it was says nothing of a machine that everything else runs on.
        Some(worker) if engine != HERE => format!("{} (worker {worker})", on(engine)),
        _ => on(engine),
    }
}

/// One try: where, how it ended, and why, in a line.
pub fn attempt(attempt: &AttemptRecord) -> String {
    let what = if attempt.duplicate { "a duplicate" } else { "a try" };
    let place = on_worker(&attempt.engine, attempt.worker);
    let took = seconds(attempt.ended_us.saturating_sub(attempt.sent_us));
    let trouble = attempt.trouble.as_deref().and_then(|text| text.lines().next());
    let trouble = trouble.map_or(String::new(), |text| format!(": {text}"));
    format!("{what} {place}, {} after {took}{trouble}", attempt.end.name())
}

/// Which run, and when that was.
pub fn run(record: &Record) -> String {
    let when = report::moment(record.started);
    match record.run {
        0 => format!("a build of {when} UTC"),
        run => format!("run {run} ({when} UTC)"),
    }
}

/// The command of a step, as it runs wherever it is typed.
pub fn command(step: &StepRecord) -> String {
    if step.directory.is_empty() {
        return step.command.clone();
    }
    format!("cd {} && {}", crate::shell::quote(step.directory.as_ref()), step.command)
}

/// How a step ended.
pub fn ending(step: &StepRecord) -> String {
    let failure = || step.failure.as_deref().unwrap_or("it failed").lines().next().unwrap_or_default().to_owned();
    let worker = step.decisive().and_then(|attempt| attempt.worker);
    let place = step.engine.as_deref().map_or(String::new(), |engine| format!(", {}", on_worker(engine, worker)));
    match step.served {
        Served::Executed => format!("exit status 0{place}"),
        Served::Cached if step.failure.is_some() => format!("known to fail: {}", failure()),
        Served::Cached => "exit status 0, from the cache".to_owned(),
        Served::Failed if step.status.is_none() => format!("could not be run: {}", failure()),
        Served::Failed => format!("failed: {}{place}", failure()),
        Served::NotRun => "not run".to_owned(),
        Served::Pending => "not run yet: nobody has wanted its result".to_owned(),
    }
}

//! Who ran, where and when, for a person.

use crate::report::{self, Record, Served, StepRecord};

/// The engine that is this machine.
const HERE: &str = "local";

/// Where an engine of this name runs steps.
pub fn on(engine: &str) -> String {
    if engine == HERE { "on this machine".to_owned() } else { format!("on {engine}") }
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
    let place = step.engine.as_deref().map_or(String::new(), |engine| format!(", {}", on(engine)));
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

//! `gg log`.

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result};
use gg_store::Store;

use super::report;
use crate::console::write_plainly;
use crate::inspect::{Found, find, words};
use crate::report::{Record, Served, StepRecord};
use crate::settings::Settings;

/// What a step said.
enum Said {
    /// To standard output, and to standard error.
    Text(Vec<u8>, Vec<u8>),
    /// It is not kept, for this reason.
    Lost(String),
}

/// Shows again what a step wrote; without a file, what those wrote that failed in the last build.
///
/// # Errors
/// When there is no such step, or no record of a build.
pub fn run(what: Option<&OsStr>, settings: &Settings) -> Result<i32> {
    let store = Store::open(&settings.directory)?;
    if let Some(what) = what {
        let found = find(what, &store, settings)?;
        show(&found.record, found.step(), &said(&found, &store), settings)?;
        return Ok(0);
    }
    let record = report::load(settings)?;
    let failed = failed(&record);
    if failed.is_empty() {
        eprintln!("gg: no step failed in {}: {}", words::run(&record), record.command.join(" "));
    }
    for (at, step) in failed.into_iter().enumerate() {
        if at > 0 {
            eprintln!();
        }
        show(&record, step, &of_failed(step, &store), settings)?;
    }
    Ok(0)
}

/// The steps that failed, and should not have: that a probe fails is an answer. Where nothing else explains that the build failed,
/// the last step that failed while the build waited for it is meant.
fn failed(record: &Record) -> Vec<&StepRecord> {
    let is_failed = |step: &&StepRecord| step.served == Served::Failed;
    let all = record.steps.iter().filter(is_failed);
    let known = |step: &&StepRecord| step.served == Served::Cached && step.failure.is_some();
    let unawaited: Vec<&StepRecord> = all.clone().filter(|step| step.at_once.is_none() || !record.lazy).collect();
    if unawaited.is_empty() && record.status != Some(0) {
        return record.steps.iter().rev().find(|step| is_failed(step) || known(step)).into_iter().collect();
    }
    unawaited
}

fn said(found: &Found, store: &Store) -> Said {
    let step = found.step();
    let lost = |why: &str| Said::Lost(why.to_owned());
    match step.served {
        Served::Executed | Served::Cached if step.failure.is_none() => {
            let reduction = found.thunk().ok().and_then(|thunk| store.reduction(&thunk).ok()?);
            match reduction {
                Some(reduction) => Said::Text(reduction.stdout, reduction.stderr),
                None if found.record.sandbox.contains("none") => {
                    lost("what it said is not kept: it ran without a sandbox, so its result is for that build alone")
                }
                None => lost(
                    "what it said is not kept any more: its result was deleted (gg gc), or is made anew in each build",
                ),
            }
        }
        Served::Pending => lost("it said nothing yet; gg force computes it"),
        Served::NotRun => lost("it said nothing, since it was not run; gg log shows what failed"),
        _ => of_failed(step, store),
    }
}

fn of_failed(step: &StepRecord, store: &Store) -> Said {
    let text = |text: &Option<String>| text.as_deref().unwrap_or_default().as_bytes().to_vec();
    let (stdout, stderr) = (text(&step.stdout), text(&step.stderr));
    if step.served == Served::Cached {
        let kept = step.thunk.parse().ok().and_then(|thunk| store.failure(&thunk).ok()?);
        return kept.map_or_else(
            || Said::Lost("what it said is not kept any more (gg gc)".to_owned()),
            |failed| Said::Text(failed.stdout, failed.stderr),
        );
    }
    match (&step.failure, step.status) {
        (Some(why), None) => Said::Lost(format!("gg could not run its command, which is not at fault: {why}")),
        _ => Said::Text(stdout, stderr),
    }
}

fn show(record: &Record, step: &StepRecord, said: &Said, settings: &Settings) -> Result<()> {
    let colour = settings.look.colour && io::stderr().is_terminal();
    let label = record.shorten(&step.label);
    let (kind, ending) = (&step.kind, words::ending(step));
    let mut head = format!("gg: {label} ({kind}): {ending}");
    if record.version > 0 {
        head += &format!(", in {}", words::run(record));
    }
    if colour {
        let look = if step.served == Served::Failed { "1;31" } else { "1" };
        head = format!("\x1b[{look}m{head}\x1b[m");
    }
    eprintln!("{head}\n    {}", words::command(step));
    for attempt in step.attempts.iter().filter(|attempt| attempt.trouble.is_some()) {
        eprintln!("    {}", words::attempt(attempt));
    }
    let (stdout, stderr) = match said {
        Said::Text(stdout, stderr) if stdout.is_empty() && stderr.is_empty() => {
            eprintln!("gg: it wrote nothing");
            return Ok(());
        }
        Said::Lost(why) => {
            eprintln!("gg: {why}");
            return Ok(());
        }
        Said::Text(stdout, stderr) => (stdout, stderr),
    };
    let written = write_plainly(&mut io::stdout(), stdout, io::stdout().is_terminal())
        .and_then(|()| write_plainly(&mut io::stderr(), stderr, io::stderr().is_terminal()))
        .and_then(|()| if stderr.is_empty() || stderr.ends_with(b"\n") { Ok(()) } else { writeln!(io::stderr()) });
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot show the output"),
        _ => Ok(()),
    }
}

//! `gg run`: one command as a thunk, now.

use std::ffi::OsString;
use std::sync::mpsc::channel;

use anyhow::{Context, Result};

use crate::front::{Bench, Job, JobArgs};
use crate::settings::Settings;
use crate::signals::Signals;

/// Runs a command where its inputs are and nothing else is, or takes its result from the cache; returns its exit status.
///
/// # Errors
/// When it cannot be stated, or gg cannot work.
pub fn run(command: &[OsString], args: &JobArgs, settings: &Settings, stop: Signals) -> Result<i32> {
    let bench = Bench::start(settings, stop, true, None)?;
    let job = Job::new(command, args, bench.cwd())?;
    let stated = bench.state(&job)?;
    let (sender, answer) = channel();
    bench.forcer().force(&stated, 0, move |ended| drop(sender.send(ended.clone())));
    bench.show();
    let ended = answer.recv().context("the coordinator has ended before the command did")?;
    let status = match &ended.result {
        Ok(reduction) => {
            bench.pass_on(&reduction.stdout, &reduction.stderr)?;
            job.place(bench.store(), reduction)?;
            0
        }
        Err(failed) => {
            bench.pass_on(&failed.stdout, &failed.stderr)?;
            bench.tell(&job, failed);
            failed.exit_status()
        }
    };
    bench.end(status);
    Ok(status)
}

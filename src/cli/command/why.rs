//! `gg why`.

use std::ffi::OsStr;
use std::io::{self, Write};

use anyhow::Result;
use gg_store::Store;

use crate::inspect::{Earlier, find, place, reason, time, words};
use crate::settings::Settings;

/// Says why a step was executed or was not, why it ran where it did, and where its time went.
///
/// # Errors
/// When there is no such step.
pub fn run(what: &OsStr, settings: &Settings) -> Result<i32> {
    let store = Store::open(&settings.directory)?;
    let found = find(what, &store, settings)?;
    let (step, earlier) = (found.step(), Earlier::of(&found));
    let mut text =
        format!("{} ({}, {})\n    {}\n", found.label(), step.kind, words::ending(step), words::command(step));
    let lines = [reason(&found, earlier.as_ref(), &store)?, place(&found), time(&found, earlier.as_ref())];
    for line in lines.iter().flatten().filter(|line| !line.is_empty()) {
        text += &format!("{line}\n");
    }
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(0),
    }
}

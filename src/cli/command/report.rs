//! `gg report`.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::args::ReportArgs;
use crate::report::{self, Record, RunName, Runs};
use crate::settings::Settings;

/// Shows the record of a run.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn run(args: &ReportArgs, settings: &Settings) -> Result<i32> {
    let name = args.file.clone().map_or_else(|| args.run.clone(), RunName::File);
    let record = named(&name, settings)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = if args.json {
        serde_json::to_writer_pretty(&mut out, &record).map_err(io::Error::from).and_then(|()| writeln!(out))
    } else {
        record.print(&mut out)
    };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write the report"),
        _ => Ok(0),
    }
}

/// The record of the last build here.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn load(settings: &Settings) -> Result<Record> {
    named(&RunName::Last, settings)
}

/// The record of the run of this name.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn named(name: &RunName, settings: &Settings) -> Result<Record> {
    let (runs, numbers) = match name {
        RunName::File(file) => return read(file),
        _ => here(settings)?,
    };
    let number = match (name, &numbers[..]) {
        (RunName::Number(number), _) if numbers.contains(number) => *number,
        (RunName::Number(number), _) => {
            let known: Vec<String> = numbers.iter().map(u64::to_string).collect();
            bail!("there is no run {number} any more, or not yet; there are {}", known.join(", "));
        }
        (RunName::Previous, [.., previous, _]) => *previous,
        (RunName::Previous, _) => bail!("there is only one run yet; build once more"),
        (_, [.., last]) => *last,
        (_, []) => bail!(NONE),
    };
    runs.load(number).with_context(|| format!("the record of run {number} in {}", settings.directory.display()))
}

const NONE: &str = "there is no report yet; build something with gg-make first";

/// The runs that are meant here, and their numbers, of which there is at least one.
fn here(settings: &Settings) -> Result<(Runs, Vec<u64>)> {
    let root = std::env::current_dir().context("the current directory is gone")?;
    let at = || format!("cannot look for records in {}", settings.directory.display());
    let runs = Runs::nearest(&settings.directory, &root).with_context(at)?.context(NONE)?;
    let numbers = runs.numbers().with_context(at)?;
    Ok((runs, numbers))
}

fn read(file: &Path) -> Result<Record> {
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    report::read(BufReader::new(opened)).with_context(|| file.display().to_string())
}

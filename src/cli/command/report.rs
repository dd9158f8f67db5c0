//! `gg report`.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::args::ReportArgs;
use crate::report::{self, Begun, Record, RunName, Runs};
use crate::settings::Settings;

/// Shows the record of a run.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn run(args: &ReportArgs, settings: &Settings) -> Result<i32> {
    if args.list {
        return list(settings);
    }
    let name = args.file.clone().map_or_else(|| args.run.clone(), RunName::File);
    let record = named(&name, settings)?;
    let against = args.against.as_ref().map(|against| earlier(against, &record, settings)).transpose()?;
    let files: [(&Option<PathBuf>, &str, &Writes<'_>); 2] = [
        (&args.html, "open it in a browser", &|out| report::page::write(&record, against.as_ref(), out)),
        (&args.trace, "open it in https://ui.perfetto.dev or chrome://tracing", &|out| {
            report::trace::write(&record, out)
        }),
    ];
    let mut wrote = false;
    for (file, what, write) in files {
        let Some(file) = file else { continue };
        wrote = true;
        if file.as_os_str() == "-" {
            to_stdout(write)?;
            continue;
        }
        save(file, write).with_context(|| format!("cannot write {}", file.display()))?;
        println!("{}: {} steps; {what}", file.display(), record.steps.len());
    }
    if !wrote {
        to_stdout(&|out| match &against {
            _ if args.json => Ok(serde_json::to_writer_pretty(&mut *out, &record)?).and_then(|()| writeln!(out)),
            Some(before) => report::print_comparison(before, &record, out),
            None => record.print(out),
        })?;
    }
    Ok(0)
}

/// What writes something out.
type Writes<'a> = dyn Fn(&mut dyn Write) -> io::Result<()> + 'a;

fn to_stdout(write: &Writes<'_>) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write the report"),
        _ => Ok(()),
    }
}

fn save(file: &Path, write: &Writes<'_>) -> io::Result<()> {
    let mut out = io::BufWriter::new(File::create(file)?);
    write(&mut out)?;
    out.flush()
}

/// The run that a record is compared with; `previous` is the one before that very run.
fn earlier(name: &RunName, record: &Record, settings: &Settings) -> Result<Record> {
    let (RunName::Previous, true) = (name, record.run > 0) else { return named(name, settings) };
    let (runs, numbers) = here(settings)?;
    let before = numbers.iter().rev().find(|number| **number < record.run);
    let number = before.with_context(|| format!("there is no run before run {} any more", record.run))?;
    Ok(runs.load(*number)?)
}

/// Lists the runs that are kept, the last one last.
fn list(settings: &Settings) -> Result<i32> {
    let (runs, numbers) = here(settings)?;
    to_stdout(&|out| {
        writeln!(out, "{:>5}  {:<17}{:>10}  {:>6}  command", "run", "began (UTC)", "time", "status")?;
        numbers.iter().try_for_each(|number| match runs.head(*number) {
            Ok(head) => {
                let status = head.status.map_or("-".to_owned(), |status| status.to_string());
                let (time, when) = (head.wall_ms as f64 / 1e3, report::moment(head.started));
                writeln!(out, "{number:>5}  {when:<17}{time:>8.2} s  {status:>6}  {}", head.command.join(" "))
            }
            // It may just have been replaced.
            Err(error) => writeln!(out, "{number:>5}  {error}"),
        })?;
        unrecorded(settings).map_or(Ok(()), |(why, _)| writeln!(out, "    -  {why}"))
    })?;
    Ok(0)
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
    if *name == RunName::Last {
        tell_unrecorded(settings);
    }
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

/// Says so where the last build here has no record, and an older one is shown.
fn tell_unrecorded(settings: &Settings) {
    let Some((begun, last)) = unrecorded(settings) else { return };
    let last = last.map_or(String::new(), |last| format!("; what follows is run {last}, the one before it"));
    eprintln!("gg: {begun}{last}");
}

/// What there is to say of a build that has begun here and has no record, and the number of the run before it.
fn unrecorded(settings: &Settings) -> Option<(String, Option<u64>)> {
    let root = std::env::current_dir().ok()?;
    let (Begun { record, goes_on }, last) = Runs::unrecorded(&settings.directory, &root)?;
    let which =
        format!("the last build here ({}, begun {} UTC)", record.command.join(" "), report::moment(record.started));
    Some(if goes_on {
        (format!("{which} still goes on"), last)
    } else {
        (format!("{which} did not end in order, since gg was killed or the machine stopped: it has no record"), last)
    })
}

const NONE: &str = "there is no report yet; build something with gg-make first";

/// The runs that are meant here, and their numbers, of which there is at least one.
fn here(settings: &Settings) -> Result<(Runs, Vec<u64>)> {
    let root = std::env::current_dir().context("the current directory is gone")?;
    let at = || format!("cannot look for records in {}", settings.directory.display());
    let none = || match unrecorded(settings) {
        Some((why, None)) => why,
        _ => NONE.to_owned(),
    };
    let runs = Runs::nearest(&settings.directory, &root).with_context(at)?.with_context(none)?;
    let numbers = runs.numbers().with_context(at)?;
    Ok((runs, numbers))
}

fn read(file: &Path) -> Result<Record> {
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    report::read(BufReader::new(opened)).with_context(|| file.display().to_string())
}

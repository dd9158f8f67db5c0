//! `gg parallel`: one command template over many items.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;

use anyhow::{Context, Result, bail};

use crate::front::{Bench, Ended, FailureKind, Job, JobArgs, fill, names_item};
use crate::settings::Settings;
use crate::signals::Signals;

/// What separates the command from its items.
const ITEMS: &str = ":::";

/// What is done over and over.
#[derive(Clone, Debug, clap::Args)]
pub struct ParallelArgs {
    /// Read the items from this file, one a line, instead of standard input
    #[arg(short = 'a', long = "arg-file", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Items end with a NUL byte rather than with their line
    #[arg(short = '0', long = "null")]
    pub null: bool,
    /// An item is no input by itself; without this, one that is a file is, where no --in says otherwise
    #[arg(long)]
    pub no_input: bool,
    /// Show what commands write as they end, not in the order of the items
    #[arg(short, long)]
    pub unordered: bool,
    /// Begin nothing more once one has failed
    #[arg(long)]
    pub halt: bool,
}

/// Runs the command once for each item; exit status 1 if any failed.
///
/// # Errors
/// When there is no command, two items have one output (nothing has been run then), or standard output cannot be written.
pub fn run(
    command: &[OsString],
    args: &JobArgs,
    how: &ParallelArgs,
    settings: &Settings,
    stop: Signals,
) -> Result<i32> {
    let (mut template, items) = items(command, how)?;
    if template.is_empty() {
        bail!("there is no command before {ITEMS}");
    }
    if !template.iter().any(|word| names_item(word)) {
        template.push("{}".into());
    }
    let told = ["gg", "parallel"].map(OsStr::new).into_iter().chain(template.iter().map(OsString::as_os_str));
    let told = told.map(|word| word.to_string_lossy().into_owned()).collect();
    let bench = Bench::start(settings, stop, !how.halt, Some(told))?;
    // Of an item that cannot be stated, why; that is this item's failure, as it is if its command fails.
    let stating = |number: usize, item: &OsString| {
        let item_of = || item.to_string_lossy().into_owned();
        job(&template, args, how, item, number + 1, &bench).map_err(|error| format!("{}: {error:#}", item_of()))
    };
    let jobs: Vec<Result<Job, String>> = items.iter().enumerate().map(|(number, item)| stating(number, item)).collect();
    if let Some(path) = twice(jobs.iter().flatten()) {
        bail!("{} is an output of several items; name it by the item, as in --out '{{.}}.out'", path.display());
    }
    let (sender, answers) = channel();
    for (number, job) in jobs.iter().enumerate() {
        let stated = match job {
            Ok(job) => bench.state(job).map_err(|error| format!("{}: {error:#}", items[number].to_string_lossy())),
            Err(why) => Err(why.clone()),
        };
        let sender = sender.clone();
        match stated {
            Ok(stated) => {
                bench.forcer().force(&stated, 0, move |ended| drop(sender.send((number, Ok(ended.clone())))));
            }
            Err(why) => drop(sender.send((number, Err(why)))),
        }
        if number == 0 {
            bench.show();
        }
    }
    drop(sender);
    // Somebody has to wait for all, or what is not begun any more after a failure would never end.
    let waiting = Arc::clone(&bench.forcer().forces.coordinator);
    drop(std::thread::Builder::new().name("gg-halt".into()).spawn(move || drop(waiting.wait_all())));
    let (mut failed, mut next) = (0, 0);
    let mut held: BTreeMap<usize, Result<Ended, String>> = BTreeMap::new();
    for (number, ended) in answers.iter().take(jobs.len()) {
        if how.unordered {
            failed += usize::from(!finish(&bench, jobs[number].as_ref(), &ended)?);
            continue;
        }
        held.insert(number, ended);
        while let Some(ended) = held.remove(&next) {
            failed += usize::from(!finish(&bench, jobs[next].as_ref(), &ended)?);
            next += 1;
        }
    }
    let status = i32::from(failed > 0);
    bench.end(status);
    if failed > 0 {
        eprintln!("gg: {failed} of {} failed", jobs.len());
    }
    Ok(status)
}

/// The command for one item.
fn job(
    template: &[OsString],
    args: &JobArgs,
    how: &ParallelArgs,
    item: &OsStr,
    number: usize,
    bench: &Bench,
) -> Result<Job> {
    let filled = |list: &[OsString]| list.iter().map(|word| fill(word, item, number)).collect::<Vec<_>>();
    let mut own = JobArgs {
        inputs: filled(&args.inputs),
        outputs: filled(&args.outputs),
        stdin: args.stdin.as_ref().map(|word| fill(word, item, number)),
        ..args.clone()
    };
    let said = args.inputs.iter().chain(&args.stdin).any(|word| names_item(word));
    if !said && !how.no_input && !item.is_empty() && bench.cwd().join(item).exists() {
        own.inputs.push(item.to_owned());
    }
    let mut job = Job::new(&filled(template), &own, bench.cwd())?;
    job.recipe.label = Some(filled(template).iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "));
    Ok(job)
}

/// An output that two items have.
fn twice<'a>(jobs: impl Iterator<Item = &'a Job>) -> Option<&'a PathBuf> {
    let mut seen = std::collections::HashSet::new();
    jobs.flat_map(|job| job.outputs.values()).find(|path| !seen.insert(*path))
}

/// Shows what a command has written, and puts its outputs where they belong; whether all went well.
fn finish(bench: &Bench, job: Result<&Job, &String>, ended: &Result<Ended, String>) -> Result<bool> {
    let (job, ended) = match (job, ended) {
        (Ok(job), Ok(ended)) => (job, ended),
        (_, Err(why)) | (Err(why), _) => {
            bench.say(why);
            return Ok(false);
        }
    };
    match &ended.result {
        Ok(reduction) => {
            bench.pass_on(&reduction.stdout, &reduction.stderr)?;
            let placed = job.place(bench.store(), reduction);
            if let Err(error) = &placed {
                bench.say(&format!("{error:#}"));
            }
            Ok(placed.is_ok())
        }
        Err(failed) => {
            bench.pass_on(&failed.stdout, &failed.stderr)?;
            // What was not begun since another had failed is no news.
            if failed.kind != FailureKind::Cancelled {
                bench.tell(job, failed);
            }
            Ok(false)
        }
    }
}

/// The command, and what follows `:::`, or is read.
fn items(command: &[OsString], how: &ParallelArgs) -> Result<(Vec<OsString>, Vec<OsString>)> {
    if let Some(at) = command.iter().position(|word| word == ITEMS) {
        if how.file.is_some() {
            bail!("items come from {ITEMS} and from a file; say one of them");
        }
        return Ok((command[..at].to_vec(), command[at + 1..].to_vec()));
    }
    let mut text = Vec::new();
    match &how.file {
        Some(path) => File::open(path)
            .and_then(|mut file| file.read_to_end(&mut text))
            .with_context(|| format!("cannot read {}", path.display()))?,
        None => io::stdin().lock().read_to_end(&mut text).context("cannot read the items from standard input")?,
    };
    let end = if how.null { 0 } else { b'\n' };
    let lines = text.split(|&byte| byte == end).filter(|line| !line.is_empty());
    Ok((command.to_vec(), lines.map(|line| OsString::from_vec(line.to_vec())).collect()))
}

//! Why a step was executed, or was not.

use std::collections::BTreeSet;

use anyhow::Result;
use gg_store::Store;

use super::causes::{Causes, Follower};
use super::{Found, words};
use crate::report::{Record, Served, StepRecord};

/// A step in an earlier run.
pub struct Earlier {
    /// The run.
    pub record: Record,
    place: usize,
}

impl Earlier {
    /// The step.
    pub fn step(&self) -> &StepRecord {
        &self.record.steps[self.place]
    }

    /// The latest earlier run in which the same file was made, or failed to be, by the same kind of step; one in which nothing
    /// became of it, if there is no other.
    pub fn of(found: &Found) -> Option<Self> {
        let step = found.step();
        let mut idle = None;
        for record in found.earlier() {
            let same = |other: &StepRecord| other.label == step.label && other.kind == step.kind;
            let Some(place) = record.steps.iter().rposition(same) else { continue };
            let ended = !matches!(record.steps[place].served, Served::NotRun | Served::Pending);
            let earlier = Self { record, place };
            if ended {
                return Some(earlier);
            }
            idle.get_or_insert(earlier);
        }
        idle
    }
}

/// Why it was executed, served from the cache, or neither, in lines.
///
/// # Errors
/// When the store cannot be read.
pub fn reason(found: &Found, earlier: Option<&Earlier>, store: &Store) -> Result<Vec<String>> {
    let (step, run) = (found.step(), words::run(&found.record));
    Ok(match step.served {
        Served::Cached => cached(found, store, &run),
        Served::NotRun => vec![match &failed_needs(&found.record, step)[..] {
            [] => format!("It was not run in {run}: {}.", step.failure.as_deref().unwrap_or("the build was ended")),
            [one] => format!("It was not run in {run}, since {one} failed; gg log shows how."),
            failed => format!("It was not run in {run}, since these failed: {}; gg log shows how.", failed.join(", ")),
        }],
        Served::Pending => {
            vec![format!("It was not run in {run}, since nobody has wanted its result yet; gg force computes it.")]
        }
        Served::Executed | Served::Failed => executed(found, earlier, store, &run)?,
    })
}

/// Which of the steps that it needs, or that those need, failed.
fn failed_needs<'a>(record: &'a Record, step: &StepRecord) -> Vec<&'a str> {
    let mut todo: Vec<u32> = step.needs.clone();
    let mut seen = BTreeSet::new();
    let mut failed = Vec::new();
    while let Some(place) = todo.pop() {
        let Some(need) = record.steps.get(place as usize).filter(|_| seen.insert(place)) else { continue };
        if need.served == Served::Failed {
            failed.push(record.shorten(&need.label));
        }
        todo.extend(&need.needs);
    }
    failed.sort_unstable();
    failed
}

fn cached(found: &Found, store: &Store, run: &str) -> Vec<String> {
    let step = found.step();
    let known = if step.failure.is_some() { "How it fails" } else { "Its result" };
    let head = format!("{known} came from the cache in {run}.");
    let ran =
        |other: &StepRecord| other.thunk == step.thunk && matches!(other.served, Served::Executed | Served::Failed);
    let mut same: Option<String> = None;
    for record in found.earlier() {
        if let Some(other) = record.steps.iter().find(|other| ran(other)) {
            let on = other.engine.as_deref().map_or(String::new(), |engine| format!(", {}", words::on(engine)));
            return vec![head, format!("This very step was executed in {}{on}.", words::run(&record))];
        }
        if same.is_some() {
            continue;
        }
        let is_step = |other: &&StepRecord| other.label == step.label && other.kind == step.kind;
        let Some(other) = record.steps.iter().rfind(is_step) else { continue };
        let causes = causes((&record, other), (&found.record, step), store);
        if causes.is_some_and(|causes| causes.lines.is_empty()) {
            let how = match (other.served, &other.engine) {
                (Served::Cached, _) => "where it came from the cache, too".to_owned(),
                (_, Some(engine)) => format!("where it was executed {}", words::on(engine)),
                _ => continue,
            };
            same = Some(format!("It reads the same, byte for byte, as in {}, {how}.", words::run(&record)));
        }
    }
    let elsewhere = "It was executed in a build whose record is not kept here: an earlier one, one of another directory, or of \
                     another machine that shares results.";
    vec![head, same.unwrap_or_else(|| elsewhere.to_owned())]
}

/// What a step differs in from one of an earlier run; none where the thunks of the two are not kept any more.
fn causes(before: (&Record, &StepRecord), after: (&Record, &StepRecord), store: &Store) -> Option<Causes> {
    let thunk = |step: &StepRecord| store.read_thunk(&step.thunk.parse().ok()?).ok();
    Some(Follower::new(before.0, after.0, store).follow(&*thunk(before.1)?, &*thunk(after.1)?))
}

fn executed(found: &Found, earlier: Option<&Earlier>, store: &Store, run: &str) -> Result<Vec<String>> {
    let step = found.step();
    let Some(earlier) = earlier else {
        let kept = found.runs.as_ref().and_then(|runs| runs.numbers().ok()?.first().copied());
        let since = match kept {
            Some(first) if first > 1 => format!(", as far as the records that are kept tell (from run {first} on)"),
            _ => String::new(),
        };
        return Ok(vec![format!("It was executed in {run}, since it was never built here before{since}.")]);
    };
    let (before, then) = (earlier.step(), words::run(&earlier.record));
    if before.thunk == step.thunk {
        return Ok(vec![format!("It was executed in {run}: {}.", again(found, earlier, store, &then))]);
    }
    let Some(causes) = causes((&earlier.record, before), (&found.record, step), store) else {
        let command = if before.command == step.command { "" } else { " Its command is another one." };
        return Ok(vec![
            format!("It was executed in {run}, since it differs from what was built in {then}."),
            format!("What it was made from then is not kept any more (gg gc).{command}"),
        ]);
    };
    if causes.lines.is_empty() {
        return Ok(vec![format!("It was executed in {run}: {}.", again(found, earlier, store, &then))]);
    }
    let mut lines = vec![format!("It was executed in {run}, since after {then}:")];
    lines.extend(causes.lines.iter().map(|(depth, text)| format!("{:1$}{text}", "", 4 * (depth + 1))));
    if causes.is_deep {
        let roots: Vec<&str> = causes.roots.iter().map(String::as_str).collect();
        lines.push(format!("What it comes down to: {}.", roots.join(", ")));
    }
    Ok(lines)
}

/// Why the very same step was executed again.
fn again(found: &Found, earlier: &Earlier, store: &Store, then: &str) -> String {
    let step = found.step();
    let thunk = step.thunk.parse().ok().and_then(|name| store.read_thunk(&name).ok());
    if thunk.is_some_and(|thunk| thunk.volatile) {
        return "its result tells more than what it reads (__DATE__ or __TIME__, say), so that each build makes it anew"
            .to_owned();
    }
    match earlier.step().served {
        Served::Failed => {
            format!("nothing has changed since {then}, where it failed; failures of steps are not believed")
        }
        Served::NotRun | Served::Pending => format!("nothing has changed since {then}, where it was not run"),
        _ if earlier.record.sandbox.contains("none") => {
            format!(
                "nothing has changed since {then}; but steps ran without a sandbox there, and such results are not kept"
            )
        }
        _ => format!(
            "nothing has changed since {then}; its result was deleted since (gg gc), lost, or found to be damaged"
        ),
    }
}

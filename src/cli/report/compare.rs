//! What is different between two runs.

use std::collections::HashMap;
use std::io::{self, Write};

use super::print::{seconds, short, signed};
use super::record::{Record, Served, StepRecord};

/// A step is slower or faster if its times differ by more than this part of the smaller one, ...
const PART: u64 = 5;
/// ... and by more than this, microseconds: less is the machine's mood.
const LEAST_US: u64 = 50_000;

/// What has become of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// It fails now.
    Fails,
    /// It failed, or was not run since another one failed, and does not any more.
    Mended,
    /// It was executed, and came from the cache.
    NotCached,
    /// It came from the cache, and was executed.
    NowCached,
    /// It takes longer.
    Slower,
    /// It takes less long.
    Faster,
    /// It was not there.
    New,
    /// It is not there any more.
    Gone,
}

impl Change {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Fails,
        Self::Mended,
        Self::NotCached,
        Self::NowCached,
        Self::Slower,
        Self::Faster,
        Self::New,
        Self::Gone,
    ];

    /// What to call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fails => "fails now",
            Self::Mended => "fails no more",
            Self::NotCached => "executed, and was cached",
            Self::NowCached => "cached, and was executed",
            Self::Slower => "slower",
            Self::Faster => "faster",
            Self::New => "new",
            Self::Gone => "gone",
        }
    }
}

/// One step that is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What has become of it.
    pub change: Change,
    /// Its place in the run that is looked at.
    pub after: Option<u32>,
    /// Its place in the other run.
    pub before: Option<u32>,
    /// How long it took there, microseconds.
    pub before_us: u64,
    /// How long it takes, microseconds.
    pub after_us: u64,
}

/// What is different in a run from an earlier one: by change, and the largest differences first. A step is the same one if it
/// makes the same file by the same kind of step; of several such, in their order.
pub fn compare(before: &Record, after: &Record) -> Vec<Difference> {
    type Key<'a> = (&'a str, &'a str);
    fn key<'a>(record: &Record, step: &'a StepRecord) -> Key<'a> {
        (&step.kind, record.shorten(&step.label))
    }
    let mut known: HashMap<Key<'_>, Vec<u32>> = HashMap::new();
    for (place, step) in before.steps.iter().enumerate().rev() {
        known.entry(key(before, step)).or_default().push(place as u32);
    }
    let mut differences = Vec::new();
    for (place, step) in after.steps.iter().enumerate() {
        let other = known.get_mut(&key(after, step)).and_then(Vec::pop);
        let earlier = other.map(|other| &before.steps[other as usize]);
        if let Some(change) = changed(earlier, step) {
            differences.push(Difference {
                change,
                after: Some(place as u32),
                before: other,
                before_us: earlier.map_or(0, StepRecord::took_us),
                after_us: step.took_us(),
            });
        }
    }
    for other in known.into_values().flatten() {
        let before_us = before.steps[other as usize].took_us();
        differences.push(Difference { change: Change::Gone, after: None, before: Some(other), before_us, after_us: 0 });
    }
    let size = |difference: &Difference| difference.after_us.abs_diff(difference.before_us);
    differences.sort_by_key(|it| (it.change, std::cmp::Reverse(size(it)), it.after, it.before));
    differences
}

fn changed(before: Option<&StepRecord>, after: &StepRecord) -> Option<Change> {
    let Some(before) = before else { return Some(Change::New) };
    match (before.served, after.served) {
        (Served::Failed, Served::Failed) => None,
        (_, Served::Failed) => Some(Change::Fails),
        (Served::Failed | Served::NotRun, Served::Executed | Served::Cached) => Some(Change::Mended),
        (Served::Cached, Served::Executed) => Some(Change::NotCached),
        (Served::Executed, Served::Cached) => Some(Change::NowCached),
        (Served::Executed, Served::Executed) => {
            let (old, new) = (before.took_us(), after.took_us());
            let much = new.abs_diff(old) > LEAST_US.max(old.min(new) / PART);
            much.then_some(if new > old { Change::Slower } else { Change::Faster })
        }
        _ => None,
    }
}

/// As many steps of each change are listed.
const LISTED: usize = 10;

/// Writes what is different for a person.
///
/// # Errors
/// Whatever `out` says.
pub fn print(before: &Record, after: &Record, out: &mut dyn Write) -> io::Result<()> {
    let differences = compare(before, after);
    let name = |record: &Record| match record.run {
        0 => record.command.join(" "),
        run => format!("run {run}"),
    };
    writeln!(out, "{} against {}\n", name(after), name(before))?;
    let (old, new) = (before.total(), after.total());
    let row = |out: &mut dyn Write, what: &str, old: u64, new: u64, show: &dyn Fn(u64) -> String| {
        let by = signed(new as i64 - old as i64, show);
        writeln!(out, "{what:<12}{:>12}{:>12}{by:>12}", show(old), show(new))
    };
    let count = |number: u64| number.to_string();
    writeln!(out, "{:<12}{:>12}{:>12}{:>12}", "", "before", "now", "by")?;
    row(out, "time", before.wall_ms * 1000, after.wall_ms * 1000, &seconds)?;
    row(out, "steps", old.steps, new.steps, &count)?;
    row(out, "executed", old.executed, new.executed, &count)?;
    row(out, "cached", old.cached, new.cached, &count)?;
    row(out, "CPU time", old.cpu_us, new.cpu_us, &seconds)?;
    row(out, "run here", before.here.len() as u64, after.here.len() as u64, &count)?;
    for change in Change::ALL {
        let these: Vec<&Difference> = differences.iter().filter(|difference| difference.change == change).collect();
        if these.is_empty() {
            continue;
        }
        writeln!(out, "\n{}: {}", change.name(), these.len())?;
        for difference in these.iter().take(LISTED) {
            let (record, place) = match (difference.after, difference.before) {
                (Some(place), _) => (after, place),
                (None, place) => (before, place.unwrap_or_default()),
            };
            let step = &record.steps[place as usize];
            let times = match change {
                Change::New => seconds(difference.after_us),
                Change::Gone => seconds(difference.before_us),
                _ => format!("{} -> {}", seconds(difference.before_us), seconds(difference.after_us)),
            };
            writeln!(out, "{times:>20}  {:<12} {}", step.kind, short(record.shorten(&step.label)))?;
        }
        if these.len() > LISTED {
            writeln!(out, "{:>20}  and {} more", "", these.len() - LISTED)?;
        }
    }
    if differences.is_empty() {
        writeln!(out, "\nEvery step is as it was.")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::record::AttemptRecord;
    use super::*;

    fn record(root: &str, steps: &[(&str, Served, u64)]) -> Record {
        let step = |&(label, served, run_ms): &(&str, Served, u64)| StepRecord {
            kind: "compile".into(),
            label: format!("{root}/{label}"),
            served,
            attempts: vec![AttemptRecord { run_us: run_ms * 1000, ..AttemptRecord::default() }],
            ..StepRecord::default()
        };
        Record { root: root.into(), steps: steps.iter().map(step).collect(), ..Record::default() }
    }

    #[test]
    fn what_has_become_of_each_step() {
        use Served::{Cached, Executed, Failed, NotRun};
        let before = record(
            "/a",
            &[
                ("same.o", Executed, 100),
                ("slow.o", Executed, 100),
                ("fast.o", Executed, 900),
                ("little.o", Executed, 10_000),
                ("hit.o", Executed, 500),
                ("miss.o", Cached, 0),
                ("bad.o", Executed, 1),
                ("good.o", NotRun, 0),
                ("gone.o", Executed, 5),
                ("twice.o", Executed, 100),
                ("twice.o", Executed, 300),
            ],
        );
        // Another checkout, in another order.
        let after = record(
            "/b",
            &[
                ("new.o", Executed, 7),
                ("twice.o", Executed, 100),
                ("twice.o", Executed, 400),
                ("same.o", Executed, 140),
                ("slow.o", Executed, 200),
                ("fast.o", Executed, 300),
                ("little.o", Executed, 11_000),
                ("hit.o", Cached, 0),
                ("miss.o", Executed, 600),
                ("bad.o", Failed, 1),
                ("good.o", Executed, 1),
            ],
        );
        let found: Vec<(&str, Change)> = compare(&before, &after)
            .iter()
            .map(|it| match (it.after, it.before) {
                (Some(place), _) => (&after.steps[place as usize].label[3..], it.change),
                (None, place) => (&before.steps[place.unwrap() as usize].label[3..], it.change),
            })
            .collect();
        assert_eq!(
            found,
            [
                ("bad.o", Change::Fails),
                ("good.o", Change::Mended),
                ("miss.o", Change::NotCached),
                ("hit.o", Change::NowCached),
                ("twice.o", Change::Slower),
                ("slow.o", Change::Slower),
                ("fast.o", Change::Faster),
                ("new.o", Change::New),
                ("gone.o", Change::Gone),
            ]
        );
        assert_eq!(compare(&after, &after), []);
    }
}

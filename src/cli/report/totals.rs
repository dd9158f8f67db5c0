//! What the steps of a run come to.

use std::collections::BTreeMap;

use super::record::{End, Record, Served, StepRecord};

/// What some steps come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// How many there are.
    pub steps: u64,
    /// How many of them were executed in this run.
    pub executed: u64,
    /// How many came from the cache.
    pub cached: u64,
    /// How long programs ran in this run, microseconds.
    pub run_us: u64,
    /// CPU time of what was executed in this run, microseconds.
    pub cpu_us: u64,
    /// Bytes of outputs.
    pub output_bytes: u64,
}

/// What all tries come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// Tries.
    pub all: u64,
    /// Those that brought no result, without those that a duplicate was faster than.
    pub in_vain: u64,
    /// Those that were sent since another one lagged.
    pub duplicates: u64,
    /// Those of them that were answered first.
    pub duplicates_won: u64,
    /// Workers that had to be started.
    pub cold: u64,
    /// How long programs ran in all of them, microseconds.
    pub run_us: u64,
    /// Bytes to workers.
    pub bytes_up: u64,
    /// Bytes from workers.
    pub bytes_down: u64,
}

impl Group {
    fn add(&mut self, step: &StepRecord) {
        let executed = step.served == Served::Executed;
        self.steps += 1;
        self.executed += u64::from(executed);
        self.cached += u64::from(step.served == Served::Cached);
        self.run_us += step.attempts.iter().map(|attempt| attempt.run_us).sum::<u64>();
        self.cpu_us += if executed { step.cpu_us } else { 0 };
        self.output_bytes += step.output_bytes;
    }
}

impl Record {
    /// The steps by what `key` says of them.
    pub fn group<'a, K: Ord>(&'a self, key: impl Fn(&'a StepRecord) -> K) -> BTreeMap<K, Group> {
        let mut groups: BTreeMap<K, Group> = BTreeMap::new();
        self.steps.iter().for_each(|step| groups.entry(key(step)).or_default().add(step));
        groups
    }

    /// All steps.
    pub fn total(&self) -> Group {
        let mut total = Group::default();
        self.steps.iter().for_each(|step| total.add(step));
        total
    }

    /// The folder that a step's file is in, as seen from the build's directory; `.` for that itself.
    pub fn folder<'a>(&self, step: &'a StepRecord) -> &'a str {
        let label = self.shorten(&step.label);
        // A command line has no folder.
        let is_path = label.len() < step.label.len() || step.outputs.contains(&step.label) || self.simulated;
        match label.rfind('/').filter(|_| is_path) {
            Some(0) => "/",
            Some(at) => &label[..at],
            None => ".",
        }
    }

    /// All tries of all steps.
    pub fn tries(&self) -> Tries {
        let mut tries = Tries::default();
        for attempt in self.steps.iter().flat_map(|step| &step.attempts) {
            let done = matches!(attempt.end, End::Done | End::Failed);
            tries.all += 1;
            tries.in_vain += u64::from(!done && attempt.end != End::Beaten);
            tries.duplicates += u64::from(attempt.duplicate);
            tries.duplicates_won += u64::from(attempt.duplicate && done);
            tries.cold += u64::from(attempt.cold);
            tries.run_us += attempt.run_us;
            tries.bytes_up += attempt.bytes_up;
            tries.bytes_down += attempt.bytes_down;
        }
        tries
    }

    /// How many programs ran at a time, on average: their time, over the run's.
    pub fn parallelism(&self) -> f64 {
        let wall_us = self.wall_ms.max(1) as f64 * 1e3;
        self.tries().run_us as f64 / wall_us
    }

    /// The steps that took the longest in this run: their places, the slowest first.
    pub fn slowest(&self, count: usize) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.steps.len()).filter(|&place| self.steps[place].took_us() > 0).collect();
        places.sort_by_key(|&place| std::cmp::Reverse(self.steps[place].took_us()));
        places.truncate(count);
        places
    }

    /// How many calls ran here, by tool and reason.
    pub fn by_reason(&self) -> BTreeMap<(&str, &str), u64> {
        let mut table = BTreeMap::new();
        for call in &self.here {
            *table.entry((call.tool.as_str(), call.reason.as_str())).or_default() += 1;
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::AttemptRecord;
    use super::*;

    #[test]
    fn folders() {
        let record = Record { root: "/p".into(), ..Record::default() };
        let folder = |label: &str, is_output: bool| {
            let outputs = if is_output { vec![label.to_owned()] } else { vec![] };
            record.folder(&StepRecord { label: label.into(), outputs, ..StepRecord::default() }).to_owned()
        };
        assert_eq!([folder("/p/src/a.o", true), folder("/p/app", true)], ["src", "."]);
        assert_eq!([folder("/elsewhere/x.o", true), folder("/x", true)], ["/elsewhere", "/"]);
        assert_eq!(folder("gcc -c sub/x.c", false), ".");
    }

    #[test]
    fn tries_and_groups() {
        let attempt = |end, duplicate, run_us| AttemptRecord { end, duplicate, run_us, ..AttemptRecord::default() };
        let step =
            |served, attempts| StepRecord { kind: "k".into(), served, attempts, cpu_us: 5, ..StepRecord::default() };
        let record = Record {
            wall_ms: 1,
            steps: vec![
                step(Served::Executed, vec![attempt(End::Done, true, 1500), attempt(End::Beaten, false, 0)]),
                step(Served::Executed, vec![attempt(End::Broken, false, 500), attempt(End::Done, false, 2000)]),
                step(Served::Cached, vec![]),
            ],
            ..Record::default()
        };
        let tries = record.tries();
        assert_eq!((tries.all, tries.in_vain, tries.duplicates, tries.duplicates_won), (4, 1, 1, 1));
        let group = record.group(|step| step.kind.as_str())["k"];
        assert_eq!((group.steps, group.executed, group.cached, group.run_us, group.cpu_us), (3, 2, 1, 4000, 10));
        assert_eq!(record.parallelism(), 4.0);
        assert_eq!(record.slowest(9), [1, 0]);
    }
}

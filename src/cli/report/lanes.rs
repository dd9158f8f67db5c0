//! Where in a picture each try stands: a lane for each worker. What is not known to have had a certain worker takes the first lane
//! that is free.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::record::{AttemptRecord, Record};

/// One lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The engine; `here` for calls that ran outside of any.
    pub engine: String,
    /// Which of its workers.
    pub name: String,
}

/// The lanes, from the top.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lanes {
    /// All of them.
    pub all: Vec<Lane>,
    /// The lane of each try: of all tries of the first step, then of the second, ...
    pub of_attempts: Vec<u32>,
    /// The lane of each call that ran here.
    pub of_here: Vec<u32>,
}

/// The engine of calls that ran here.
pub const HERE: &str = "here";

/// Places for things that take some time, as few as there may be: the first that is free for each, in the order of beginnings.
struct Free {
    free: BTreeSet<u32>,
    busy: BinaryHeap<Reverse<(u64, u32)>>,
    count: u32,
}

impl Free {
    fn take(&mut self, begun: u64, ended: u64) -> u32 {
        while let Some(&Reverse((until, place))) = self.busy.peek().filter(|Reverse((until, _))| *until <= begun) {
            debug_assert!(until <= begun);
            self.busy.pop();
            self.free.insert(place);
        }
        let place = self.free.pop_first().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        });
        self.busy.push(Reverse((ended, place)));
        place
    }
}

/// Gives a place to each of these times; how many places there are.
fn places(times: &[(u64, u64)]) -> (Vec<u32>, u32) {
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by_key(|&at| times[at]);
    let mut free = Free { free: BTreeSet::new(), busy: BinaryHeap::new(), count: 0 };
    let mut places = vec![0; times.len()];
    for at in order {
        let (begun, ended) = times[at];
        places[at] = free.take(begun, ended.max(begun + 1));
    }
    (places, free.count)
}

/// The lanes of a record.
pub fn lanes(record: &Record) -> Lanes {
    let attempts: Vec<&AttemptRecord> = record.steps.iter().flat_map(|step| &step.attempts).collect();
    let mut workers: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    let mut unknown: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, attempt) in attempts.iter().enumerate() {
        match attempt.worker {
            Some(worker) => drop(workers.entry(&attempt.engine).or_default().insert(worker)),
            None => unknown.entry(&attempt.engine).or_default().push(at),
        }
    }
    let mut lanes = Lanes { of_attempts: vec![0; attempts.len()], ..Lanes::default() };
    let engines: BTreeSet<&str> = workers.keys().chain(unknown.keys()).copied().collect();
    for engine in engines {
        let mut known: BTreeMap<u32, u32> = BTreeMap::new();
        for &worker in workers.get(engine).into_iter().flatten() {
            known.insert(worker, lanes.all.len() as u32);
            lanes.all.push(Lane { engine: engine.to_owned(), name: worker.to_string() });
        }
        for (at, attempt) in attempts.iter().enumerate().filter(|(_, attempt)| attempt.engine == engine) {
            if let Some(&lane) = attempt.worker.and_then(|worker| known.get(&worker)) {
                lanes.of_attempts[at] = lane;
            }
        }
        let others = unknown.get(engine).map_or(&[][..], Vec::as_slice);
        let times: Vec<(u64, u64)> = others.iter().map(|&at| (attempts[at].sent_us, attempts[at].ended_us)).collect();
        let (places, count) = places(&times);
        let first = lanes.all.len() as u32;
        others.iter().zip(places).for_each(|(&at, place)| lanes.of_attempts[at] = first + place);
        lanes.all.extend((0..count).map(|_| Lane { engine: engine.to_owned(), name: "?".to_owned() }));
    }
    let times: Vec<(u64, u64)> =
        record.here.iter().map(|call| (call.began_us, call.ended_us.unwrap_or(call.began_us))).collect();
    let (places, count) = places(&times);
    let first = lanes.all.len() as u32;
    lanes.of_here = places.into_iter().map(|place| first + place).collect();
    lanes.all.extend((0..count).map(|place| Lane { engine: HERE.to_owned(), name: place.to_string() }));
    lanes
}

#[cfg(test)]
mod tests {
    use super::super::record::{HereRecord, StepRecord};
    use super::*;

    #[test]
    fn known_workers_then_the_first_that_is_free() {
        let attempt = |engine: &str, worker, sent_us, ended_us| AttemptRecord {
            engine: engine.into(),
            worker,
            sent_us,
            ended_us,
            ..AttemptRecord::default()
        };
        let step = |attempts| StepRecord { attempts, ..StepRecord::default() };
        let call = |began_us, ended_us| HereRecord { began_us, ended_us, ..HereRecord::default() };
        let record = Record {
            steps: vec![
                step(vec![attempt("lambda", None, 5, 20), attempt("lambda", Some(7), 9, 30)]),
                step(vec![attempt("lambda", None, 0, 10), attempt("local", Some(0), 20, 30)]),
                step(vec![attempt("lambda", None, 10, 12), attempt("lambda", Some(3), 9, 30)]),
            ],
            here: vec![call(0, None), call(0, Some(9)), call(9, Some(9))],
            ..Record::default()
        };
        let lanes = lanes(&record);
        let names: Vec<_> = lanes.all.iter().map(|lane| (lane.engine.as_str(), lane.name.as_str())).collect();
        let want = [
            ("lambda", "3"),
            ("lambda", "7"),
            ("lambda", "?"),
            ("lambda", "?"),
            ("local", "0"),
            ("here", "0"),
            ("here", "1"),
        ];
        assert_eq!(names, want);
        assert_eq!(lanes.of_attempts, [3, 1, 2, 4, 2, 0]);
        assert_eq!(lanes.of_here, [5, 6, 5]);
    }
}

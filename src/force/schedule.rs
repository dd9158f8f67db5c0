//! Who picks the next thunk, and where it runs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{EngineIndex, ThunkId};

/// The order in which ready thunks are picked: the greatest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// Waited for, or begun already.
    pub urgent: bool,
    /// The expected time along the longest path to a sink, microseconds.
    pub path: u64,
    /// When it became ready: the earlier first.
    pub order: Reverse<u64>,
    /// Which.
    pub id: ThunkId,
}

/// The ready thunks, and how busy the engines are.
#[derive(Default)]
pub(crate) struct Schedule {
    /// By the engines that they may not run on: a bit per engine.
    ready: BTreeMap<u64, BTreeSet<Rank>>,
    length: usize,
    running: Vec<usize>,
    /// The engines that only take what all others are banned from.
    reserves: u64,
    order: u64,
}

impl Schedule {
    pub fn new(engines: usize, reserves: u64) -> Self {
        Self { running: vec![0; engines], reserves, ..Self::default() }
    }

    pub fn engines(&self) -> usize {
        self.running.len()
    }

    /// How many thunks are ready.
    pub fn len(&self) -> usize {
        self.length
    }

    /// How many are running, on all engines.
    pub fn running(&self) -> usize {
        self.running.iter().sum()
    }

    /// The rank of a thunk that becomes ready now.
    pub fn rank(&mut self, id: ThunkId, urgent: bool, path: u64) -> Rank {
        self.order += 1;
        Rank { urgent, path, order: Reverse(self.order), id }
    }

    pub fn insert(&mut self, banned: u64, rank: Rank) {
        self.length += usize::from(self.ready.entry(banned).or_default().insert(rank));
    }

    pub fn remove(&mut self, banned: u64, rank: &Rank) {
        if let Some(set) = self.ready.get_mut(&banned) {
            self.length -= usize::from(set.remove(rank));
            if set.is_empty() {
                self.ready.remove(&banned);
            }
        }
    }

    /// Takes the first ready thunk that an engine has room for, and the first engine that has, and counts it there.
    /// With `only_urgent`, others stay.
    pub fn pick(&mut self, capacity: &[usize], only_urgent: bool) -> Option<(ThunkId, EngineIndex)> {
        let all = 0..self.running.len();
        let first = all.clone().filter(|&e| self.reserves & bit(e) == 0).fold(0, |set, e| set | bit(e));
        let free = |banned: u64| {
            let allowed = if banned & first == first { !banned } else { !banned & first };
            all.clone().find(|&e| allowed & bit(e) != 0 && self.running[e] < capacity.get(e).copied().unwrap_or(0))
        };
        let heads = self.ready.iter().filter_map(|(&banned, set)| Some((*set.last()?, banned, free(banned)?)));
        let (rank, banned, engine) = heads.max()?;
        if only_urgent && !rank.urgent {
            return None;
        }
        self.remove(banned, &rank);
        self.running[engine] += 1;
        Some((rank.id, engine))
    }

    /// Whether an urgent thunk is ready.
    pub fn has_urgent(&self) -> bool {
        self.ready.values().any(|set| set.last().is_some_and(|rank| rank.urgent))
    }

    /// An engine has finished one.
    pub fn release(&mut self, engine: EngineIndex) {
        self.running[engine] = self.running[engine].saturating_sub(1);
    }
}

/// The bit of an engine in a set of engines.
pub(crate) fn bit(engine: EngineIndex) -> u64 {
    1 << engine
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(schedule: &mut Schedule, id: u32, urgent: bool, path: u64, banned: u64) {
        let rank = schedule.rank(ThunkId(id), urgent, path);
        schedule.insert(banned, rank);
    }

    #[test]
    fn urgent_then_long_then_early() {
        let mut schedule = Schedule::new(1, 0);
        ready(&mut schedule, 0, false, 5, 0);
        ready(&mut schedule, 1, false, 9, 0);
        ready(&mut schedule, 2, false, 5, 0);
        ready(&mut schedule, 3, true, 1, 0);
        let picked: Vec<_> = std::iter::from_fn(|| schedule.pick(&[9], false)).map(|(id, _)| id.0).collect();
        assert_eq!(picked, [3, 1, 0, 2]);
        assert_eq!((schedule.len(), schedule.running()), (0, 4));
    }

    #[test]
    fn the_first_engine_with_room_that_is_not_banned() {
        let mut schedule = Schedule::new(2, 0);
        ready(&mut schedule, 0, false, 9, bit(0));
        ready(&mut schedule, 1, false, 8, 0);
        ready(&mut schedule, 2, false, 7, bit(0));
        ready(&mut schedule, 3, false, 6, 0);
        assert_eq!(schedule.pick(&[2, 1], false), Some((ThunkId(0), 1)));
        // The second engine is full: 2 has to wait, 3 does not.
        assert_eq!(schedule.pick(&[2, 1], false), Some((ThunkId(1), 0)));
        assert_eq!(schedule.pick(&[2, 1], false), Some((ThunkId(3), 0)));
        assert_eq!(schedule.pick(&[2, 1], false), None);
        schedule.release(1);
        assert_eq!(schedule.pick(&[2, 1], true), None);
        assert_eq!(schedule.pick(&[2, 1], false), Some((ThunkId(2), 1)));
    }

    #[test]
    fn a_reserve_takes_what_nobody_else_may() {
        let mut schedule = Schedule::new(3, bit(2));
        ready(&mut schedule, 0, false, 9, 0);
        ready(&mut schedule, 1, false, 8, bit(0));
        ready(&mut schedule, 2, false, 7, bit(0) | bit(1));
        assert_eq!(schedule.pick(&[0, 0, 9], false), Some((ThunkId(2), 2)));
        assert_eq!(schedule.pick(&[0, 0, 9], false), None);
        assert_eq!(schedule.pick(&[0, 1, 9], false), Some((ThunkId(0), 1)));
    }
}

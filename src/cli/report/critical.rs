//! The critical path: the longest chain of steps each of which needed the one before it. No number of workers makes a build
//! shorter.

use super::record::{AttemptRecord, Served, StepRecord};

/// A chain of steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CriticalPath {
    /// The steps' places, in the order in which they had to run.
    pub steps: Vec<u32>,
    /// How long workers had them, one after the other, microseconds.
    pub length_us: u64,
}

impl AttemptRecord {
    /// How long the worker had it, microseconds.
    pub fn on_worker_us(&self) -> u64 {
        match self.fetch_us + self.prepare_us + self.run_us + self.store_us {
            0 => self.ended_us.saturating_sub(self.sent_us).saturating_sub(self.upload_us + self.queue_us),
            known => known,
        }
    }
}

impl StepRecord {
    /// How long a worker had it in this run, microseconds: nothing for what was known.
    pub fn took_us(&self) -> u64 {
        match (self.served, self.decisive()) {
            (Served::Executed | Served::Failed, Some(attempt)) => attempt.on_worker_us(),
            (Served::Executed, None) => self.wall_us,
            _ => 0,
        }
    }
}

/// The critical path of the steps of one record. Each needs only steps before itself; what says otherwise is not looked at.
pub fn critical_path(steps: &[StepRecord]) -> CriticalPath {
    // The longest chain that ends with each step, and the step before it there.
    let mut chains: Vec<(u64, Option<u32>)> = Vec::with_capacity(steps.len());
    for (place, step) in steps.iter().enumerate() {
        let needs = step.needs.iter().filter(|need| (**need as usize) < place);
        let before = needs.map(|&need| (chains[need as usize].0, need)).max();
        let length = before.map_or(0, |(length, _)| length) + step.took_us();
        chains.push((length, before.filter(|(length, _)| *length > 0).map(|(_, need)| need)));
    }
    let last = (0..chains.len()).max_by_key(|&place| chains[place].0).filter(|&place| chains[place].0 > 0);
    let Some(last) = last else { return CriticalPath::default() };
    let chain = std::iter::successors(Some(last as u32), |place| chains[*place as usize].1);
    // What was known took no time, and is no part of it.
    let mut path: Vec<u32> = chain.filter(|place| steps[*place as usize].took_us() > 0).collect();
    path.reverse();
    CriticalPath { steps: path, length_us: chains[last].0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(run_us: u64, needs: &[u32]) -> StepRecord {
        StepRecord {
            needs: needs.to_vec(),
            served: Served::Executed,
            attempts: vec![AttemptRecord {
                run_us,
                queue_us: 1000,
                ended_us: 1000 + run_us,
                ..AttemptRecord::default()
            }],
            ..StepRecord::default()
        }
    }

    #[test]
    fn the_longest_chain() {
        assert_eq!(critical_path(&[]), CriticalPath::default());
        let mut steps = vec![step(5, &[]), step(9, &[]), step(3, &[0]), step(1, &[1, 2]), step(2, &[3, 0])];
        assert_eq!(critical_path(&steps), CriticalPath { steps: vec![1, 3, 4], length_us: 12 });
        // What was known takes no time.
        steps[1].served = Served::Cached;
        assert_eq!(critical_path(&steps), CriticalPath { steps: vec![0, 2, 3, 4], length_us: 11 });
        steps[3].served = Served::Cached;
        assert_eq!(critical_path(&steps), CriticalPath { steps: vec![0, 2, 4], length_us: 10 });
        // Neither itself nor what is not there.
        steps[0].needs = vec![0, 4, 99];
        assert_eq!(critical_path(&steps).length_us, 10);
    }
}

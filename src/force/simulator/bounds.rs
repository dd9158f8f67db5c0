//! What no schedule can beat.

use std::time::Duration;

use super::recording::Recording;

/// The bounds of a graph, on workers that are as fast as the machine it was recorded on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// All steps one after the other.
    pub work: Duration,
    /// The longest path.
    pub critical_path: Duration,
    /// How many steps are on it.
    pub critical_steps: usize,
}

impl Bounds {
    /// Those of this graph.
    pub fn of(recording: &Recording) -> Self {
        let mut paths: Vec<(Duration, usize)> = Vec::with_capacity(recording.steps().len());
        for step in recording.steps() {
            let before = step.needs.iter().map(|&need| paths[need as usize]).max().unwrap_or_default();
            paths.push((before.0 + step.work(), before.1 + 1));
        }
        let (critical_path, critical_steps) = paths.into_iter().max().unwrap_or_default();
        let work = recording.steps().iter().map(|step| step.work()).sum();
        Self { work, critical_path, critical_steps }
    }

    /// The least time on so many workers of this speed, seconds.
    pub fn least_s(&self, workers: usize, speed: f64) -> f64 {
        self.critical_path.as_secs_f64().max(self.work.as_secs_f64() / workers.max(1) as f64) / speed
    }
}

#[cfg(test)]
mod tests {
    use super::super::recording::RecordedStep;
    use super::*;

    #[test]
    fn the_longest_path_or_the_work() {
        let step = |cpu_us, needs: &[u32]| RecordedStep { cpu_us, needs: needs.to_vec(), ..RecordedStep::default() };
        let steps = vec![step(3_000_000, &[]), step(1_000_000, &[]), step(2_000_000, &[0, 1]), step(4_000_000, &[])];
        let bounds = Bounds::of(&Recording::new(steps).unwrap());
        assert_eq!((bounds.work.as_secs(), bounds.critical_path.as_secs(), bounds.critical_steps), (10, 5, 2));
        assert_eq!([1, 2, 9].map(|workers| bounds.least_s(workers, 0.5)), [20.0, 10.0, 10.0]);
    }
}

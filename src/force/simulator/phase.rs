//! Where a step's time goes.

use std::time::Duration;

use serde::Serialize;

/// What a step waits for, or does. In the order in which it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Until the client has inferred the step.
    Infer,
    /// All workers that were asked for are busy.
    Workers,
    /// Fewer workers may be had than were asked for: the service starts only so many in a time, or refuses requests.
    RampUp,
    /// The client's line is busy with sources.
    Upload,
    /// Requests that died, and the delays before the next ones.
    Retry,
    /// The way of the request and of its answer.
    Request,
    /// A worker is started, and fetches and unpacks the toolchain.
    ColdStart,
    /// Other steps in the same request.
    Batch,
    /// Inputs come from the store.
    Fetch,
    /// The program runs.
    Compute,
    /// The program runs longer than on an ordinary worker; also the wait until it is given to another.
    Slow,
    /// Outputs go to the store.
    Store,
    /// After the last step: the client's line is busy with outputs.
    Download,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Infer,
        Self::Workers,
        Self::RampUp,
        Self::Upload,
        Self::Retry,
        Self::Request,
        Self::ColdStart,
        Self::Batch,
        Self::Fetch,
        Self::Compute,
        Self::Slow,
        Self::Store,
        Self::Download,
    ];

    /// What to call it to a person.
    pub fn name(self) -> &'static str {
        match self {
            Self::Infer => "inference",
            Self::Workers => "waiting for workers",
            Self::RampUp => "ramp-up of workers",
            Self::Upload => "upload of sources",
            Self::Retry => "failed requests",
            Self::Request => "requests",
            Self::ColdStart => "cold starts",
            Self::Batch => "other steps of a batch",
            Self::Fetch => "fetching inputs",
            Self::Compute => "computing",
            Self::Slow => "slow workers",
            Self::Store => "storing outputs",
            Self::Download => "download of outputs",
        }
    }
}

/// Time by phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent([Duration; Phase::ALL.len()]);

impl Spent {
    /// Nothing but this.
    pub fn of(phase: Phase, time: Duration) -> Self {
        let mut spent = Self::default();
        spent.add(phase, time);
        spent
    }

    pub fn add(&mut self, phase: Phase, time: Duration) {
        self.0[phase as usize] += time;
    }

    pub fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, time)| *mine += time);
    }

    pub fn get(&self, phase: Phase) -> Duration {
        self.0[phase as usize]
    }

    pub fn total(&self) -> Duration {
        self.0.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_has_a_place_of_its_own() {
        for (place, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, place);
        }
        let mut spent = Spent::of(Phase::Fetch, Duration::from_secs(1));
        spent.add_all(&Spent::of(Phase::Fetch, Duration::from_secs(2)));
        spent.add(Phase::Store, Duration::from_secs(4));
        assert_eq!((spent.get(Phase::Fetch).as_secs(), spent.total().as_secs()), (3, 7));
    }
}

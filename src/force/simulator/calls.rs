//! The calls of a simulated build, step by step, for who wants to look at them.

use std::time::Duration;

use super::phase::{Phase, Spent};
use crate::attempt::{AttemptEnd, Phases};

/// What one call did for one step. Times are from the build's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedCall {
    /// The step's place in the recording.
    pub step: u32,
    /// The worker, from 0, in the order in which they were started.
    pub worker: u32,
    /// When it was sent.
    pub sent: Duration,
    /// When it ended.
    pub ended: Duration,
    /// Where the time between went; nothing is known of a call that did not end by itself.
    pub phases: Phases,
    /// How it ended: done, broken (it died), or beaten.
    pub end: AttemptEnd,
    /// It was sent since an earlier one lagged.
    pub duplicate: bool,
    /// The worker was started for it.
    pub cold: bool,
}

/// A call, for each step in it: the steps follow one another, and the first one had the way there.
pub(super) fn calls<'a>(
    steps: &'a [u32],
    worker: u32,
    (sent, ended): (Duration, Duration),
    shared: &'a Spent,
    own: &'a [Spent],
    (end, duplicate): (AttemptEnd, bool),
) -> impl Iterator<Item = SimulatedCall> + 'a {
    let mut at = sent;
    steps.iter().zip(own).enumerate().map(move |(place, (&step, own))| {
        let way = if place == 0 { *shared } else { Spent::default() };
        let begun = at;
        at = (begun + way.total() + own.total()).min(ended);
        let phases = Phases {
            queue: way.total(),
            fetch: own.get(Phase::Fetch),
            prepare: own.get(Phase::Request),
            run: own.get(Phase::Compute) + own.get(Phase::Slow),
            store: own.get(Phase::Store),
            upload: Duration::ZERO,
        };
        SimulatedCall {
            step,
            worker,
            sent: begun,
            ended: at,
            phases: if at - begun < way.total() + own.total() { Phases::default() } else { phases },
            end,
            duplicate,
            cold: !way.get(Phase::ColdStart).is_zero(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn steps_of_a_batch_follow_one_another() {
        let shared = Spent::of(Phase::ColdStart, SECOND * 2);
        let own = [Spent::of(Phase::Compute, SECOND * 3), Spent::of(Phase::Fetch, SECOND)];
        let all: Vec<_> = calls(&[7, 9], 5, (SECOND, SECOND * 7), &shared, &own, (AttemptEnd::Done, false)).collect();
        let times: Vec<_> = all.iter().map(|call| (call.step, call.sent.as_secs(), call.ended.as_secs())).collect();
        assert_eq!(times, [(7, 1, 6), (9, 6, 7)]);
        assert_eq!((all[0].phases.queue, all[0].phases.run, all[1].phases.fetch), (SECOND * 2, SECOND * 3, SECOND));
        assert_eq!([all[0].cold, all[1].cold], [true, false]);
        // One that died, or was not waited for.
        let cut: Vec<_> = calls(&[7], 5, (SECOND, SECOND * 2), &shared, &own, (AttemptEnd::Broken, true)).collect();
        assert_eq!((cut[0].ended, cut[0].phases), (SECOND * 2, Phases::default()));
    }
}

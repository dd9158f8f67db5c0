//! The chain of steps that decided how long the build took, and where its time went.

use std::time::Duration;

use super::driver::Trace;
use super::phase::{Phase, Spent};
use super::recording::Recording;

/// Where the time to the end of the last step went: from that step back to the one of its needs that ended last, and so on,
/// to a step that waited for nothing but to be inferred. And how many steps these are.
pub(super) fn realised(recording: &Recording, traces: &[Trace]) -> (Spent, usize) {
    let mut spent = Spent::default();
    let mut length = 0;
    let ended = |step: &usize| traces[*step].ended.unwrap_or_default();
    let mut last = (0..traces.len()).max_by_key(ended);
    while let Some(step) = last {
        spent.add_all(&traces[step].spent);
        length += 1;
        let needs = recording.steps()[step].needs.iter().map(|&need| need as usize);
        let arrived = traces[step].arrived.unwrap_or_default();
        last = needs.max_by_key(ended).filter(|need| ended(need) > arrived);
        if last.is_none() {
            spent.add(Phase::Infer, arrived);
        }
    }
    (spent, length)
}

/// How long the client's line was busy after the last step.
pub(super) fn tail(free: Duration, end: Duration) -> Spent {
    Spent::of(Phase::Download, free.saturating_sub(end))
}

//! What is to happen, in order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// What can happen. The numbers are those of steps, requests and calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happening {
    /// The client has inferred a step.
    Arrive(u32),
    /// A request is sent.
    Send(u32),
    /// A call ends.
    CallEnds(u32),
    /// It is looked whether a request lags.
    Look(u32),
}

/// What is to happen; at the same time, what was put first.
#[derive(Default)]
pub(super) struct Agenda {
    next: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    order: u64,
}

impl Agenda {
    pub fn put(&mut self, at: Duration, what: Happening) {
        self.order += 1;
        self.next.push(Reverse((at, self.order, what)));
    }

    /// When the next thing happens.
    pub fn at(&self) -> Option<Duration> {
        self.next.peek().map(|Reverse((at, ..))| *at)
    }

    /// What happens next, if it does so by `now`.
    pub fn take(&mut self, now: Duration) -> Option<Happening> {
        if self.at()? > now {
            return None;
        }
        self.next.pop().map(|Reverse((.., what))| what)
    }
}

//! How many requests may be under way: what was asked for, or what the service lets through.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A service that refuses one request refuses many at once; they count as one hint.
const PAUSE: Duration = Duration::from_millis(250);

/// The delay before a request that was refused or failed is sent again for the first time; each further one is twice as long.
const BACKOFF: Duration = Duration::from_millis(100);
/// The longest such delay.
const BACKOFF_CAP: Duration = Duration::from_secs(5);

/// The delay before the next try, after so many.
pub(crate) fn backoff(count: u32) -> Duration {
    BACKOFF.saturating_mul(1 << count.min(16)).min(BACKOFF_CAP)
}

/// Finds the capacity by itself: down by a third when requests are refused, up by one for each that many which go through
/// (additive increase, multiplicative decrease, as TCP does it).
#[derive(Debug)]
pub(crate) struct Limit {
    most: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: f64,
    refused: Option<Instant>,
}

impl Limit {
    pub fn new(most: usize) -> Self {
        let most = most.max(1) as f64;
        Self { most, state: Mutex::new(State { now: most, refused: None }) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// At least one.
    pub fn now(&self) -> usize {
        self.state().now as usize
    }

    /// The service refused a request as one too many.
    pub fn refused(&self, at: Instant) {
        let mut state = self.state();
        if state.refused.is_none_or(|before| at.saturating_duration_since(before) > PAUSE) {
            state.now = (state.now * 2.0 / 3.0).max(1.0);
            state.refused = Some(at);
        }
    }

    /// A request went through.
    pub fn passed(&self) {
        let mut state = self.state();
        state.now = (state.now + 1.0 / state.now).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn down_at_once_and_up_slowly() {
        let limit = Limit::new(90);
        let begun = Instant::now();
        (0..50).for_each(|_| limit.refused(begun));
        assert_eq!(limit.now(), 60);
        limit.refused(begun + 2 * PAUSE);
        assert_eq!(limit.now(), 40);
        (0..41).for_each(|_| limit.passed());
        assert_eq!(limit.now(), 41);
        (0..9000).for_each(|_| limit.passed());
        assert_eq!(limit.now(), 90);
        (0..60).for_each(|n| limit.refused(begun + PAUSE * 2 * (n + 2)));
        assert_eq!(limit.now(), 1);
    }
}

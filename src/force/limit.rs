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

/// Above the level at which requests were last refused, as many that go through make room for one more.
const CAREFUL: f64 = 4.0;

/// Finds the capacity by itself: down by a third when requests are refused, but not below what is under way, since the service
/// evidently bears that; up by one for each that goes through, and more slowly above the level at which it was refused last.
///
/// A service that starts only so many workers in a time refuses thousands at first, again and again. Without the floor, the
/// capacity then falls to one within seconds, and with the growth of TCP's congestion avoidance (one for each whole window)
/// it would take minutes to come back: simulated, 8,000 workers were slower than 1,000.
#[derive(Debug)]
pub(crate) struct Limit {
    most: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: f64,
    refused: Option<Instant>,
    /// What was under way when requests were refused.
    borne: f64,
}

impl Limit {
    pub fn new(most: usize) -> Self {
        let most = most.max(1) as f64;
        Self { most, state: Mutex::new(State { now: most, refused: None, borne: most }) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// At least one.
    pub fn now(&self) -> usize {
        self.state().now as usize
    }

    /// The service refused a request as one too many, while so many others were under way.
    pub fn refused(&self, at: Instant, under_way: usize) {
        let mut state = self.state();
        if state.refused.is_none_or(|before| at.saturating_duration_since(before) > PAUSE) {
            let borne = under_way.max(1) as f64;
            state.now = (state.now * 2.0 / 3.0).max(borne).min(state.now);
            state.borne = borne;
            state.refused = Some(at);
        }
    }

    /// A request went through.
    pub fn passed(&self) {
        let mut state = self.state();
        let step = if state.now < state.borne { 1.0 } else { 1.0 / CAREFUL };
        state.now = (state.now + step).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn down_at_once_and_up_again() {
        let limit = Limit::new(90);
        let begun = Instant::now();
        (0..50).for_each(|_| limit.refused(begun, 10));
        assert_eq!(limit.now(), 60);
        limit.refused(begun + 2 * PAUSE, 10);
        assert_eq!(limit.now(), 40);
        (0..4).for_each(|_| limit.passed());
        assert_eq!(limit.now(), 41);
        (0..9000).for_each(|_| limit.passed());
        assert_eq!(limit.now(), 90);
        (0..60).for_each(|n| limit.refused(begun + PAUSE * 2 * (n + 2), 0));
        assert_eq!(limit.now(), 1);
    }

    #[test]
    fn what_the_service_bears_is_not_given_up() {
        let limit = Limit::new(8000);
        let begun = Instant::now();
        (0..60).for_each(|n| limit.refused(begun + PAUSE * 2 * n, 1000));
        assert_eq!(limit.now(), 1000);
        // A refusal is no reason to allow more.
        limit.refused(begun + PAUSE * 200, 4000);
        assert_eq!(limit.now(), 1000);
        // Up to what was borne quickly, beyond that with care.
        (0..3000).for_each(|_| limit.passed());
        assert_eq!(limit.now(), 4000);
        (0..4000).for_each(|_| limit.passed());
        assert_eq!(limit.now(), 5000);
    }

    #[test]
    fn delays_double_up_to_the_cap() {
        assert_eq!([0, 1, 2, 9, u32::MAX].map(|count| backoff(count).as_millis()), [100, 200, 400, 5000, 5000]);
    }
}

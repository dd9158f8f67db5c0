//! What the coordinator does about failures, in figures.

use std::time::Duration;

/// Which of the ready thunks goes first. What somebody waits for goes before all others in either order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The one with the longest path to a sink, by past run times.
    #[default]
    CriticalPath,
    /// The one that became ready first.
    Arrival,
}

/// Caps, delays, and the order of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How often an engine that failed is asked again for the same thunk, before the next engine is.
    pub retries: u32,
    /// The delay before the first such retry; each further one is twice as long.
    pub backoff: Duration,
    /// The longest such delay.
    pub backoff_cap: Duration,
    /// How often a thunk waits for a lost object to be brought back, and how often a thunk is run again to do so: for
    /// each object.
    pub repairs: u32,
    /// Whether a program that failed is run once more before that is believed. Always done where a signal ended it.
    pub confirm: bool,
    /// Which of the ready thunks goes first.
    pub order: Order,
    /// How deep graphs in graphs may be that programs state.
    pub depth: u32,
    /// How many thunks programs may state in all.
    pub sprouts: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            retries: 3,
            backoff: Duration::from_millis(100),
            backoff_cap: Duration::from_secs(10),
            repairs: 3,
            confirm: true,
            order: Order::default(),
            depth: 10_000,
            sprouts: 1_000_000,
        }
    }
}

impl Policy {
    /// The delay before retry `count`, from 1.
    pub fn delay(&self, count: u32) -> Duration {
        let factor = 1u32 << count.saturating_sub(1).min(20);
        self.backoff.saturating_mul(factor).min(self.backoff_cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap() {
        let policy = Policy::default();
        assert_eq!([1, 2, 3].map(|n| policy.delay(n).as_millis()), [100, 200, 400]);
        assert_eq!(policy.delay(u32::MAX), policy.backoff_cap);
    }
}

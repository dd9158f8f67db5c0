//! How long steps of one kind take, to tell which of them lag behind.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// As many times are remembered for each kind, the latest.
const REMEMBERED: usize = 256;
/// With fewer times than this nothing is known of a kind, and what is known of all has to do.
const ENOUGH: usize = 5;
/// How often one request is sent at most, where each lags.
pub(crate) const CALLS: usize = 3;
/// All kinds together.
const ANY: &str = "";
/// Nothing is asked for twice before this: the second request costs about as much.
const LEAST: Duration = Duration::from_secs(1);

/// Times by kind of step.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<HashMap<Arc<str>, Times>>);

/// The latest times of one kind.
#[derive(Debug, Default)]
struct Times {
    latest: VecDeque<Duration>,
    /// What is made of them, until there is another: it is asked for far more often.
    lags_after: Option<Duration>,
}

impl Times {
    fn add(&mut self, time: Duration) {
        if self.latest.len() == REMEMBERED {
            self.latest.pop_front();
        }
        self.latest.push_back(time);
        self.lags_after = None;
    }

    fn lags_after(&mut self) -> Option<Duration> {
        if self.latest.len() < ENOUGH {
            return None;
        }
        Some(*self.lags_after.get_or_insert_with(|| {
            let mut times: Vec<Duration> = self.latest.iter().copied().collect();
            let ninth = (times.len() * 9).div_ceil(10) - 1;
            let (_, time, _) = times.select_nth_unstable(ninth);
            (*time * 3).max(LEAST)
        }))
    }
}

impl Pace {
    /// A step of this kind took so long, from its request to its answer.
    pub fn took(&self, kind: &Arc<str>, time: Duration) {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !kinds.contains_key(ANY) {
            kinds.insert(ANY.into(), Times::default());
        }
        kinds.entry(kind.clone()).or_default().add(time);
        if let Some(any) = kinds.get_mut(ANY).filter(|_| **kind != *ANY) {
            any.add(time);
        }
    }

    /// When a step of this kind lags: three times as long as nine of ten took. `None` while too little is known.
    pub fn lags_after(&self, kind: &Arc<str>) -> Option<Duration> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = kinds.get_mut(kind).and_then(Times::lags_after);
        own.or_else(|| kinds.get_mut(ANY)?.lags_after())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_times_the_ninth_decile() {
        let (pace, kind) = (Pace::default(), Arc::from("compile"));
        for second in 1..=4 {
            pace.took(&kind, Duration::from_secs(second));
        }
        assert_eq!(pace.lags_after(&kind), None);
        for second in 5..=10 {
            pace.took(&kind, Duration::from_secs(second));
        }
        assert_eq!(pace.lags_after(&kind), Some(Duration::from_secs(27)));
        assert_eq!(pace.lags_after(&Arc::from("link")), Some(Duration::from_secs(27)), "as for all kinds");
        (0..REMEMBERED).for_each(|_| pace.took(&kind, Duration::from_millis(5)));
        assert_eq!(pace.lags_after(&kind), Some(LEAST));
    }
}

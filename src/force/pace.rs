//! How long steps of one kind take, to tell which of them lag behind.

use std::collections::HashMap;
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
pub(crate) struct Pace(Mutex<HashMap<Arc<str>, Vec<Duration>>>);

impl Pace {
    /// A step of this kind took so long, from its request to its answer.
    pub fn took(&self, kind: &Arc<str>, time: Duration) {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in [Arc::clone(kind), Arc::from(ANY)] {
            let times = kinds.entry(kind).or_default();
            if times.len() == REMEMBERED {
                times.remove(0);
            }
            times.push(time);
        }
    }

    /// When a step of this kind lags: three times as long as nine of ten took. `None` while too little is known.
    pub fn lags_after(&self, kind: &Arc<str>) -> Option<Duration> {
        let kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = |kind: &str| kinds.get(kind).filter(|times| times.len() >= ENOUGH);
        let mut times = enough(kind).or_else(|| enough(ANY))?.clone();
        let ninth = (times.len() * 9).div_ceil(10) - 1;
        let (_, time, _) = times.select_nth_unstable(ninth);
        Some((*time * 3).max(LEAST))
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

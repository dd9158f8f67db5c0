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

/// As many times as nine of ten took, a step has to take to lag.
const LAG: f64 = 3.0;
/// The same of steps that have run before: how long these take is known far better.
const LAG_KNOWN: f64 = 1.5;

/// Times by kind of step.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<Kinds>);

#[derive(Debug, Default)]
struct Kinds {
    /// In seconds.
    times: HashMap<Arc<str>, Latest>,
    /// How many times as long as before, and [`MARGIN`], a step took, of those that have run before. In a build whose longest
    /// steps go first, the latest times say little of the next ones; this does.
    known: Latest,
}

/// The latest figures of one kind.
#[derive(Debug, Default)]
struct Latest {
    figures: VecDeque<f64>,
    /// The ninth decile, until there is another figure: it is asked for far more often.
    ninth: Option<f64>,
}

impl Latest {
    fn add(&mut self, figure: f64) {
        if self.figures.len() == REMEMBERED {
            self.figures.pop_front();
        }
        self.figures.push_back(figure);
        self.ninth = None;
    }

    /// What nine of ten are at most; `None` while there are too few.
    fn ninth(&mut self) -> Option<f64> {
        if self.figures.len() < ENOUGH {
            return None;
        }
        Some(*self.ninth.get_or_insert_with(|| {
            let mut figures: Vec<f64> = self.figures.iter().copied().collect();
            let place = (figures.len() * 9).div_ceil(10) - 1;
            *figures.select_nth_unstable_by(place, f64::total_cmp).1
        }))
    }
}

/// What a step may take beside its own time, seconds: for a worker to be started, say. Added on both sides of a comparison.
const MARGIN: f64 = 1.0;

impl Pace {
    /// A step of this kind took so long, from its request to its answer; `expected`: it had run before, for so long.
    pub fn took(&self, kind: &Arc<str>, expected: Option<Duration>, time: Duration) {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !kinds.times.contains_key(ANY) {
            kinds.times.insert(ANY.into(), Latest::default());
        }
        let seconds = time.as_secs_f64();
        kinds.times.entry(kind.clone()).or_default().add(seconds);
        if let Some(any) = kinds.times.get_mut(ANY).filter(|_| **kind != *ANY) {
            any.add(seconds);
        }
        if let Some(expected) = expected {
            kinds.known.add(seconds / (expected.as_secs_f64() + MARGIN));
        }
    }

    /// When a step of this kind lags: one and a half times as long as nine of ten took, measured by how long they took before;
    /// three times as long as nine of ten of its kind where it has not run before. `None` while too little is known.
    pub fn lags_after(&self, kind: &Arc<str>, expected: Option<Duration>) -> Option<Duration> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            expected.and_then(|expected| Some(kinds.known.ninth()? * LAG_KNOWN * (expected.as_secs_f64() + MARGIN)));
        let mut of_kind = |kind: &str| Some(kinds.times.get_mut(kind)?.ninth()? * LAG);
        let seconds = known.or_else(|| of_kind(kind)).or_else(|| of_kind(ANY))?;
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).max(LEAST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn three_times_the_ninth_decile() {
        let (pace, kind) = (Pace::default(), Arc::from("compile"));
        for second in 1..=4 {
            pace.took(&kind, None, SECOND * second);
        }
        assert_eq!(pace.lags_after(&kind, None), None);
        for second in 5..=10 {
            pace.took(&kind, None, SECOND * second);
        }
        assert_eq!(pace.lags_after(&kind, None), Some(SECOND * 27));
        assert_eq!(pace.lags_after(&Arc::from("link"), None), Some(SECOND * 27), "as for all kinds");
        assert_eq!(pace.lags_after(&kind, Some(SECOND)), Some(SECOND * 27), "none that is known has run");
        (0..REMEMBERED).for_each(|_| pace.took(&kind, None, Duration::from_millis(5)));
        assert_eq!(pace.lags_after(&kind, None), Some(LEAST));
    }

    #[test]
    fn what_has_run_before_is_measured_by_that() {
        let (pace, kind) = (Pace::default(), Arc::from("compile"));
        // The longest first, each twice as long as it was.
        for second in (11..=20).rev() {
            pace.took(&kind, Some(SECOND * second), SECOND * (second + 1) * 2);
        }
        assert_eq!(pace.lags_after(&kind, Some(SECOND * 3)), Some(SECOND * 12));
        assert_eq!(pace.lags_after(&Arc::from("link"), Some(SECOND * 99)), Some(SECOND * 300));
        assert_eq!(pace.lags_after(&kind, Some(Duration::ZERO)), Some(SECOND * 3));
        assert_eq!(pace.lags_after(&kind, None), Some(SECOND * 40 * 3));
    }
}

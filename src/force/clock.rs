//! Time, real or imagined.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the coordinator takes the time from.
pub trait Clock: Send + Sync {
    /// The time since some moment before the coordinator was started.
    fn now(&self) -> Duration;

    /// Called when the coordinator has nothing to do before `until`, if that is given, or before an event arrives.
    /// `settled` says that nothing is under way on the coordinator's own threads. Returns how long to wait in real
    /// time for an event; `None`: as long as it takes.
    fn idle(&self, until: Option<Duration>, settled: bool) -> Option<Duration>;
}

/// The time on the wall.
pub struct RealClock(Instant);

impl RealClock {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self(Instant::now())
    }

    /// A clock that has run since then.
    pub fn since(begun: Instant) -> Self {
        Self(begun)
    }
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for RealClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn idle(&self, until: Option<Duration>, _: bool) -> Option<Duration> {
        until.map(|until| until.saturating_sub(self.now()))
    }
}

/// Imagined time, which stands still while anyone is busy and jumps to the next thing to happen when all are idle.
/// Simulated engines put what is to happen on its agenda.
#[derive(Default)]
pub struct VirtualClock(Mutex<Agenda>);

#[derive(Default)]
struct Agenda {
    now: Duration,
    held: bool,
    order: u64,
    next: BinaryHeap<Reverse<Entry>>,
}

struct Entry {
    at: Duration,
    order: u64,
    run: Box<dyn FnOnce() + Send>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl VirtualClock {
    /// A clock at zero with an empty agenda.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts something on the agenda, `delay` from now. It runs on the thread that is idle then, and must be quick.
    pub fn after(&self, delay: Duration, run: impl FnOnce() + Send + 'static) {
        let mut agenda = self.lock();
        agenda.order += 1;
        let entry = Entry { at: agenda.now + delay, order: agenda.order, run: Box::new(run) };
        agenda.next.push(Reverse(entry));
    }

    /// Stops the time, say while a test prepares a graph, or lets it go on with the coordinator's next event.
    pub fn hold(&self, held: bool) {
        self.lock().held = held;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Agenda> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Duration {
        self.lock().now
    }

    fn idle(&self, until: Option<Duration>, settled: bool) -> Option<Duration> {
        let mut agenda = self.lock();
        if agenda.held || !settled {
            return None;
        }
        let next = agenda.next.peek().map(|Reverse(entry)| entry.at);
        match (next, until) {
            (Some(at), until) if until.is_none_or(|until| at <= until) => {
                agenda.now = agenda.now.max(at);
                let entry = agenda.next.pop();
                drop(agenda);
                if let Some(Reverse(entry)) = entry {
                    (entry.run)();
                }
                Some(Duration::ZERO)
            }
            (_, Some(until)) => {
                agenda.now = agenda.now.max(until);
                Some(Duration::ZERO)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn imagined_time_jumps_to_what_is_next() {
        let clock = Arc::new(VirtualClock::new());
        let (said, heard) = channel();
        for (seconds, word) in [(20, "b"), (10, "a")] {
            let said = said.clone();
            clock.after(Duration::from_secs(seconds), move || said.send(word).unwrap());
        }
        assert_eq!(clock.idle(None, false), None);
        assert_eq!(clock.now(), Duration::ZERO);
        assert_eq!(clock.idle(None, true), Some(Duration::ZERO));
        assert_eq!((clock.now(), heard.try_recv()), (Duration::from_secs(10), Ok("a")));
        assert_eq!(clock.idle(Some(Duration::from_secs(15)), true), Some(Duration::ZERO));
        assert_eq!((clock.now(), heard.try_recv().is_err()), (Duration::from_secs(15), true));
        clock.hold(true);
        assert_eq!(clock.idle(None, true), None);
        clock.hold(false);
        assert_eq!(clock.idle(None, true), Some(Duration::ZERO));
        assert_eq!(clock.now(), Duration::from_secs(20));
        assert_eq!(clock.idle(None, true), None);
    }
}

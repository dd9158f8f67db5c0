//! What was asked of a remote store, and what it cost.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Requests to a remote store and bytes moved, since it was opened. Retries count: they are paid for too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Requests that read an object or a part of one.
    pub get: u64,
    /// Requests that write: whole objects, parts, and the beginning and end of uploads in parts.
    pub put: u64,
    /// Requests that only ask whether something is there.
    pub head: u64,
    /// Requests that list.
    pub list: u64,
    /// Requests that delete.
    pub delete: u64,
    /// Bytes received, of bodies only.
    pub bytes_down: u64,
    /// Bytes sent, of bodies only.
    pub bytes_up: u64,
}

impl Counters {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.get + self.put + self.head + self.list + self.delete
    }

    fn each(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            get: combine(self.get, other.get),
            put: combine(self.put, other.put),
            head: combine(self.head, other.head),
            list: combine(self.list, other.list),
            delete: combine(self.delete, other.delete),
            bytes_down: combine(self.bytes_down, other.bytes_down),
            bytes_up: combine(self.bytes_up, other.bytes_up),
        }
    }
}

impl Add for Counters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.each(other, u64::saturating_add)
    }
}

/// What came to it between two readings.
impl Sub for Counters {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.each(other, u64::saturating_sub)
    }
}

/// The kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Put,
    Head,
    List,
    Delete,
}

/// Counts from many threads.
#[derive(Default)]
pub(super) struct Meter {
    requests: [AtomicU64; 5],
    down: AtomicU64,
    up: AtomicU64,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}

impl Meter {
    pub fn request(&self, verb: Verb) {
        self.requests[verb as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn down(&self, bytes: u64) {
        self.down.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn up(&self, bytes: u64) {
        self.up.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn read(&self) -> Counters {
        let count = |verb: Verb| self.requests[verb as usize].load(Ordering::Relaxed);
        Counters {
            get: count(Verb::Get),
            put: count(Verb::Put),
            head: count(Verb::Head),
            list: count(Verb::List),
            delete: count(Verb::Delete),
            bytes_down: self.down.load(Ordering::Relaxed),
            bytes_up: self.up.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_and_sums() {
        let meter = Meter::default();
        let before = meter.read();
        for verb in [Verb::Get, Verb::Put, Verb::Head, Verb::List, Verb::Delete, Verb::Get] {
            meter.request(verb);
        }
        meter.down(7);
        meter.up(9);
        let spent = meter.read() - before;
        let expected = Counters { get: 2, put: 1, head: 1, list: 1, delete: 1, bytes_down: 7, bytes_up: 9 };
        assert_eq!((spent, spent.requests(), spent + spent - spent), (expected, 6, expected));
    }
}

//! A `force` that has not been answered.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use gg_ir::Name;
use serde_json::Value;

/// One thunk that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What it is called in the request.
    pub key: String,
    /// Its name.
    pub thunk: Name,
    /// Who asks for it.
    pub asker: u64,
}

/// What is wanted of one `force`, and how much of that has ended. Each wish is told of once: by whoever claims it.
#[derive(Debug)]
pub struct Open {
    /// The request.
    pub id: Value,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The keys that were cancelled before it was known what is wanted.
    early: HashSet<String>,
    wishes: Vec<(Wish, bool)>,
    /// The numbers of the wishes of a key.
    numbers: HashMap<String, Vec<usize>>,
    ended: usize,
    failed: usize,
    /// It was cancelled as a whole.
    cancelled: bool,
}

impl State {
    fn claim(&mut self, numbers: impl Iterator<Item = usize>) -> Vec<Wish> {
        let mut claimed = Vec::new();
        for number in numbers {
            if let Some((wish, is_claimed)) = self.wishes.get_mut(number)
                && !std::mem::replace(is_claimed, true)
            {
                claimed.push(wish.clone());
            }
        }
        claimed
    }
}

impl Open {
    /// One of which it is not known what is wanted.
    pub fn new(id: Value) -> Self {
        Self { id, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Changed by single calls: whole even if a thread panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wanted is known. The numbers of those that were cancelled before, claimed.
    pub fn begin(&self, wishes: Vec<Wish>) -> Vec<usize> {
        let mut state = self.lock();
        let early = std::mem::take(&mut state.early);
        let cancelled: Vec<usize> = (0..wishes.len()).filter(|&number| early.contains(&wishes[number].key)).collect();
        let all = state.cancelled;
        for (number, wish) in wishes.iter().enumerate() {
            state.numbers.entry(wish.key.clone()).or_default().push(number);
        }
        state.wishes = wishes.into_iter().map(|wish| (wish, all)).collect();
        cancelled.iter().for_each(|&number| state.wishes[number].1 = true);
        if all { Vec::new() } else { cancelled }
    }

    /// Whether it is for the caller to tell of this wish.
    pub fn claim(&self, number: usize) -> bool {
        self.lock().wishes.get_mut(number).is_some_and(|(_, claimed)| !std::mem::replace(claimed, true))
    }

    /// Whether somebody has claimed it.
    pub fn is_claimed(&self, number: usize) -> bool {
        self.lock().wishes.get(number).is_none_or(|(_, claimed)| *claimed)
    }

    /// Claims the wishes of these keys that nobody has claimed.
    pub fn claim_keys(&self, keys: HashSet<String>) -> Vec<Wish> {
        let mut state = self.lock();
        if state.wishes.is_empty() {
            state.early.extend(keys);
            return Vec::new();
        }
        let mut numbers: Vec<usize> = keys.iter().filter_map(|key| state.numbers.get(key)).flatten().copied().collect();
        numbers.sort_unstable();
        state.claim(numbers.into_iter())
    }

    /// Claims all that nobody has claimed, and all that will be wanted.
    pub fn cancel(&self) -> Vec<Wish> {
        let mut state = self.lock();
        state.cancelled = true;
        let all = 0..state.wishes.len();
        state.claim(all)
    }

    /// Notes that a wish which was claimed has been told of: after the last, how many are done and how many have failed.
    pub fn told(&self, failed: bool) -> Option<(usize, usize)> {
        let mut state = self.lock();
        state.ended += 1;
        state.failed += usize::from(failed);
        let last = state.ended == state.wishes.len() && !state.cancelled;
        last.then(|| (state.ended - state.failed, state.failed))
    }
}

#[cfg(test)]
mod tests {
    use gg_ir::Kind;

    use super::*;

    fn wishes(keys: &[&str]) -> Vec<Wish> {
        let thunk = Name::of(Kind::Thunk, b"");
        keys.iter().enumerate().map(|(n, key)| Wish { key: (*key).into(), thunk, asker: n as u64 }).collect()
    }

    fn keys(keys: &[&str]) -> HashSet<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn each_wish_is_told_of_once() {
        let open = Open::new(Value::Null);
        assert!(open.begin(wishes(&["a", "b", "a"])).is_empty());
        assert!(open.claim(0) && !open.claim(0));
        assert_eq!(open.told(false), None);
        let dropped: Vec<_> = open.claim_keys(keys(&["a", "c"])).into_iter().map(|wish| wish.asker).collect();
        assert_eq!(dropped, [2]);
        assert_eq!(open.told(true), None);
        assert!(!open.is_claimed(1) && open.claim(1));
        assert_eq!(open.told(false), Some((2, 1)));
    }

    #[test]
    fn what_is_cancelled_before_it_is_known_is_not_begun() {
        let open = Open::new(Value::Null);
        assert!(open.claim_keys(keys(&["b", "x"])).is_empty());
        assert_eq!(open.begin(wishes(&["a", "b"])), [1]);
        assert!(open.is_claimed(1) && !open.is_claimed(0));

        let open = Open::new(Value::Null);
        assert!(open.cancel().is_empty());
        assert!(open.begin(wishes(&["a"])).is_empty());
        assert!(open.is_claimed(0));
        assert_eq!(open.told(false), None, "it has been answered");
    }
}

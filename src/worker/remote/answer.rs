//! Where outputs go: the small ones into the answer, the others into the store, before the answer is given.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use gg_ir::{Kind, Name, Reduction, Reference};
use gg_store::remote::{RemoteError, pack};
use gg_store::{Store, StoreError};
use tokio::task::JoinSet;

use super::run::Shop;
use crate::wire::{JobResult, MESSAGE_LIMIT};

/// Uploads that run side by side.
const WIDE: usize = 16;
/// How much of an answer may be something else than the pack: results, and what is around them.
const RESULTS: usize = 2 << 20;
/// What is left for the JSON around it all.
const AROUND: usize = 64 << 10;
/// How much a pack takes for each object besides its bytes, at most.
const EACH: u64 = 128;

/// The outputs of some results, on their way.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    /// A pack with the small ones.
    pub inline: Vec<u8>,
    /// What is in the store now.
    pub stored: Vec<Name>,
}

/// Where whoever asks wants outputs to go; see [`crate::wire::Request`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes {
    pub inline_limit: u64,
    pub store_from: Option<u64>,
    pub record: bool,
}

/// The values that a result speaks of.
fn values(result: &JobResult) -> Vec<Name> {
    let (outputs, undeclared) = match result {
        JobResult::Done { reduction } => (&reduction.outputs, &reduction.undeclared),
        JobResult::Failed { failure } => (&failure.outputs, &failure.undeclared),
        _ => return vec![],
    };
    let made = outputs.values().chain(undeclared.values());
    made.filter_map(|made| if let Reference::Value(name) = &made.object { Some(*name) } else { None }).collect()
}

/// Chooses what rides in the answer: the smallest first, as long as there is room.
fn choose(all: &BTreeSet<Name>, room: u64) -> (Vec<Name>, Vec<Name>) {
    let mut sorted: Vec<Name> = all.iter().copied().collect();
    sorted.sort_by_key(|name| (name.length(), *name));
    let mut taken = 0;
    let fits = |name: &&Name| {
        taken += name.length() + EACH;
        taken <= room
    };
    let count = sorted.iter().take_while(fits).count();
    let large = sorted.split_off(count);
    (sorted, large)
}

impl Shop {
    /// Brings the outputs of all results where they go. A result whose outputs cannot be brought anywhere becomes one that
    /// says so. If reductions are to be recorded, everything goes to the store and then they do too.
    pub async fn deliver(&self, results: &mut [JobResult], wishes: &Wishes) -> Outputs {
        let Wishes { inline_limit, store_from, record } = *wishes;
        let mut of: Vec<Vec<Name>> = results.iter().map(values).collect();
        let done = |result: &JobResult| match result {
            JobResult::Done { reduction } if record => Some(reduction.clone()),
            _ => None,
        };
        let reductions: Vec<Option<Reduction>> = results.iter().map(done).collect();
        self.shorten(results);
        for (result, names) in results.iter().zip(&mut of) {
            if let JobResult::Elsewhere { name } = result {
                names.push(*name);
            }
        }
        let told: usize = results.iter().map(|result| result.encode().len()).sum();
        let room = ((MESSAGE_LIMIT - AROUND).saturating_sub(told) / 4 * 3) as u64;
        let all: BTreeSet<Name> = of.iter().flatten().copied().collect();
        let (mut small, large) = choose(&all, room.min(inline_limit));
        let mut up: Vec<Name> = large;
        let too = |name: &&Name| store_from.is_some_and(|length| name.length() >= length);
        up.extend(small.iter().filter(too).copied());
        if record {
            let done = of.iter().zip(&reductions).filter(|(_, reduction)| reduction.is_some());
            let known: HashSet<Name> = up.iter().copied().collect();
            let more: BTreeSet<Name> =
                done.flat_map(|(names, _)| names).copied().filter(|name| !known.contains(name)).collect();
            up.extend(more);
        }
        let (store, names) = (self.store.clone(), small.clone());
        let packing = tokio::task::spawn_blocking(move || pack_up(&store, &names));
        let mut failed = self.upload(&up).await;
        let full =
            |error: &RemoteError| matches!(error, RemoteError::Local(e) if matches!(**e, StoreError::Full { .. }));
        if failed.values().any(full) {
            self.make_room().await;
            let again: Vec<Name> = failed.keys().copied().collect();
            failed = self.upload(&again).await;
        }
        let packed = packing.await.unwrap_or_else(|error| Err(format!("the worker failed: {error}")));
        let inline = match packed {
            Ok(inline) => inline,
            Err(text) => {
                // As if they had been large.
                let again: HashMap<Name, RemoteError> = self.upload(&small).await;
                let lost = |names: &[Name]| names.iter().any(|name| again.contains_key(name));
                for (result, _) in results.iter_mut().zip(&of).filter(|(_, names)| lost(names)) {
                    *result = JobResult::Broken { text: text.clone(), again: true };
                }
                up.extend(small.drain(..).filter(|name| !again.contains_key(name)));
                pack::write([])
            }
        };
        let inside: HashSet<Name> = small.into_iter().collect();
        for (result, names) in results.iter_mut().zip(&of) {
            let lost = names.iter().find_map(|name| failed.get(name).filter(|_| !inside.contains(name)));
            if let Some(error) = lost {
                *result = match self.explain(error.clone()) {
                    // It is the local store that lacks it.
                    JobResult::Missing { .. } | JobResult::Corrupt { .. } => {
                        JobResult::Broken { text: error.to_string(), again: true }
                    }
                    other => other,
                };
            }
        }
        let whole = |names: &[Name]| names.iter().all(|name| !failed.contains_key(name));
        let reductions = reductions.into_iter().zip(&of).filter(|(_, names)| whole(names));
        self.record(reductions.filter_map(|(reduction, _)| reduction).collect()).await;
        let mut stored: Vec<Name> = up.into_iter().filter(|name| !failed.contains_key(name)).collect();
        stored.sort_unstable();
        stored.dedup();
        Outputs { inline, stored }
    }

    /// Puts results away that are too long for an answer, the longest first: a program that writes megabytes to its standard
    /// output or error.
    fn shorten(&self, results: &mut [JobResult]) {
        let mut lengths: Vec<usize> = results.iter().map(|result| result.encode().len()).collect();
        while lengths.iter().sum::<usize>() > RESULTS {
            let Some(at) = (0..lengths.len()).max_by_key(|&at| lengths[at]) else { return };
            let Ok(name) = self.store.put(Kind::Value, &results[at].encode()) else {
                let text = "the program said more than fits into an answer, and the scratch space is full".to_owned();
                results[at] = JobResult::OutOfMemory { text, memory_mib: self.memory_mib };
                lengths[at] = 0;
                continue;
            };
            results[at] = JobResult::Elsewhere { name };
            if std::mem::take(&mut lengths[at]) == 0 {
                return;
            }
        }
    }

    /// Uploads objects side by side; those that could not be, and why.
    async fn upload(&self, names: &[Name]) -> HashMap<Name, RemoteError> {
        // Until it is known better.
        let mut failed: HashMap<_, _> = names.iter().map(|name| (*name, RemoteError::Interrupted)).collect();
        let mut waiting = names.iter().copied();
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < WIDE
                && let Some(name) = waiting.next()
            {
                let (remote, store) = (self.remote.clone(), self.store.clone());
                under_way.spawn(async move { (name, remote.put_object(&store, &name).await) });
            }
            match under_way.join_next().await {
                Some(Ok((name, Ok(())))) => drop(failed.remove(&name)),
                Some(Ok((name, Err(error)))) => drop(failed.insert(name, error)),
                // A task that panicked: its object stays failed.
                Some(Err(_)) => {}
                None => return failed,
            }
        }
    }

    /// Records reductions all of whose outputs are in the store.
    async fn record(&self, reductions: Vec<Reduction>) {
        let mut under_way = JoinSet::new();
        for reduction in reductions {
            let remote = self.remote.clone();
            under_way.spawn(async move { remote.record(&reduction).await });
        }
        while let Some(done) = under_way.join_next().await {
            if let Ok(Err(error)) = done {
                // The step itself is done; the next build runs it again.
                eprintln!("gg worker: a reduction was not recorded: {error}");
            }
        }
    }
}

/// The objects, in one pack.
fn pack_up(store: &Arc<Store>, names: &[Name]) -> Result<Vec<u8>, String> {
    pack::write_from(store, names).map_err(|error: StoreError| format!("an output was lost: {error}"))
}

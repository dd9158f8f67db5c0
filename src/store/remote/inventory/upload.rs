//! The way up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use gg_ir::{Entry, Name};
use tokio::sync::watch;

use super::log::Note;
use super::{Batch, FULL, Flight, Inventory, Outcome, Sort, State, WINDOW, absent};
use crate::Store;
use crate::remote::backend::Mode;
use crate::remote::error::{RemoteError, Result};
use crate::remote::key::Key;
use crate::remote::remote::{Uploaded, blocking};
use crate::shards::lock;

/// Packs of trees under way at once: compressing them takes all of the machine anyway.
const TREES: usize = 2;

/// Names on their way. Dropped unfinished (the task was aborted, or has panicked), they are free for others to upload.
struct Cargo {
    inventory: Inventory,
    names: Vec<(Name, Sort)>,
    landed: Option<watch::Sender<Option<Outcome>>>,
}

impl Cargo {
    fn land(mut self, failures: HashMap<Name, RemoteError>) {
        self.clear();
        if let Some(landed) = self.landed.take() {
            // Nobody may be waiting any more.
            let _ = landed.send(Some(Arc::new(failures)));
        }
    }

    fn clear(&mut self) {
        let mut state = lock(&self.inventory.0.state);
        for key in self.names.drain(..) {
            state.flights.remove(&key);
        }
    }
}

impl Drop for Cargo {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Inventory {
    fn depart(&self, state: &mut State, names: &[Name], sort: Sort) -> (Cargo, Flight) {
        let (landed, flight) = watch::channel(None);
        let names: Vec<_> = names.iter().map(|name| (*name, sort)).collect();
        state.flights.extend(names.iter().map(|key| (*key, flight.clone())));
        (Cargo { inventory: self.clone(), names, landed: Some(landed) }, flight)
    }

    /// Sends a large object by itself.
    pub(super) fn upload_object(&self, state: &mut State, name: Name) -> Flight {
        let (cargo, flight) = self.depart(state, &[name], Sort::Object);
        let doubtful = state.doubtful.contains(&Key::Object(name));
        let this = self.clone();
        tokio::spawn(async move {
            let sent = this.send_object(&name, doubtful).await;
            if sent.is_ok() {
                this.arrived(Key::Object(name), Note::Object(name));
            }
            cargo.land(sent.err().map(|error| (name, error)).into_iter().collect());
        });
        flight
    }

    async fn send_object(&self, name: &Name, doubtful: bool) -> Result<()> {
        let _slot = self.0.uploads.acquire().await.map_err(|_| RemoteError::Interrupted)?;
        // From another machine, or an output of a step: asking costs less than sending.
        if !doubtful && self.0.remote.has_object(name).await? {
            return Ok(());
        }
        self.0.remote.put_object(&self.0.store, name).await
    }

    /// Adds a small object to those that travel next.
    pub(super) fn join_batch(&self, state: &mut State, name: Name) -> Flight {
        let batch = state.batch.get_or_insert_with(|| {
            let (this, number) = (self.clone(), state.batches);
            tokio::spawn(async move {
                tokio::time::sleep(WINDOW).await;
                let mut state = lock(&this.0.state);
                // Unless it was full before.
                if state.batches == number {
                    this.send_batch(&mut state);
                }
            });
            Batch { names: Vec::new(), raw: 0, landed: watch::channel(None).0 }
        });
        batch.names.push(name);
        batch.raw += name.length();
        let (flight, full) = (batch.landed.subscribe(), batch.raw >= FULL);
        state.flights.insert((name, Sort::Object), flight.clone());
        if full {
            self.send_batch(state);
        }
        flight
    }

    fn send_batch(&self, state: &mut State) {
        let Some(Batch { names, landed, .. }) = state.batch.take() else { return };
        state.batches += 1;
        let keys = names.iter().map(|name| (*name, Sort::Object)).collect();
        let cargo = Cargo { inventory: self.clone(), names: keys, landed: Some(landed) };
        let this = self.clone();
        tokio::spawn(async move {
            let failures = this.send_small(names).await;
            cargo.land(failures);
        });
    }

    /// Sends small objects in one pack. What the local store does not have does not keep the others from being sent.
    async fn send_small(&self, names: Vec<Name>) -> HashMap<Name, RemoteError> {
        let mut failures = HashMap::new();
        let mut sent = self.send_pack(names.clone(), None).await;
        if matches!(sent, Err(RemoteError::Local(_))) {
            let (store, all) = (self.0.store.clone(), names.clone());
            let readable = blocking(move || {
                let read = |name: &Name| store.read(name).map(|_| ()).map_err(RemoteError::from);
                Ok(all.into_iter().map(|name| (name, read(&name))).collect::<Vec<_>>())
            });
            let (mut good, mut bad) = (Vec::new(), HashMap::new());
            for (name, read) in readable.await.unwrap_or_default() {
                match read {
                    Ok(()) => good.push(name),
                    Err(error) => _ = bad.insert(name, error),
                }
            }
            if !good.is_empty() && !bad.is_empty() {
                failures = bad;
                sent = self.send_pack(good, None).await;
            } else if !bad.is_empty() {
                return bad;
            }
        }
        if let Err(error) = sent {
            for name in names {
                failures.entry(name).or_insert_with(|| error.clone());
            }
        }
        failures
    }

    async fn send_pack(&self, names: Vec<Name>, root: Option<Name>) -> Result<()> {
        let store = &self.0.store;
        // Which id it will have is only known when it is made, so all of them are when there is any doubt.
        let mode = if lock(&self.0.state).doubtful.is_empty() { Mode::New } else { Mode::Over };
        let Uploaded { id, size, index } = self.0.remote.upload_pack(store, names, mode).await?;
        self.arrived(Key::Pack(id), Note::Pack { id, size, root, index });
        Ok(())
    }

    /// The store has answered that it has it.
    fn arrived(&self, key: Key, note: Note) {
        let mut state = lock(&self.0.state);
        state.confirmed.insert(key, Instant::now());
        state.doubtful.remove(&key);
        if let Note::Pack { index, .. } = &note {
            index.names().for_each(|name| _ = state.doubtful.remove(&Key::Object(*name)));
        }
        self.note(&mut state, vec![note]);
    }

    /// Sends trees, each in a pack of its own, but for those that lie within others of them.
    pub(super) fn upload_trees(&self, state: &mut State, trees: &[Name]) -> Flight {
        let (cargo, flight) = self.depart(state, trees, Sort::Tree);
        let (this, trees) = (self.clone(), trees.to_vec());
        tokio::spawn(async move {
            let failures = this.send_trees(trees).await;
            cargo.land(failures);
        });
        flight
    }

    async fn send_trees(&self, trees: Vec<Name>) -> HashMap<Name, RemoteError> {
        let mut failures = HashMap::new();
        let (mut walked, mut held) = (Vec::new(), HashSet::new());
        for tree in trees {
            let store = self.0.store.clone();
            match blocking(move || closure(&store, &tree)).await {
                Ok(names) => walked.push((tree, names)),
                Err(error) => _ = failures.insert(tree, error),
            }
        }
        walked.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
        let mut packs = Vec::new();
        for (tree, names) in walked {
            if !held.contains(&tree) {
                held.extend(names.iter().copied());
                packs.push((tree, names));
            }
        }
        let sending = futures::stream::iter(packs).map(|(tree, names)| async move {
            let slot = self.0.uploads.acquire().await.map_err(|_| RemoteError::Interrupted);
            let sent = match slot {
                // Another caller may have sent one around it.
                Ok(_) if lock(&self.0.state).known.tree(&tree) => Ok(()),
                Ok(_) => self.send_pack(names.clone(), Some(tree)).await,
                Err(error) => Err(error),
            };
            (names, sent)
        });
        let mut sending = sending.buffer_unordered(TREES);
        while let Some((names, sent)) = sending.next().await {
            if let Err(error) = sent {
                failures.extend(names.into_iter().map(|name| (name, error.clone())));
            }
        }
        failures
    }
}

/// A tree and all that is below it: first the trees, then the files. All of it is in the local store.
fn closure(store: &Store, tree: &Name) -> Result<Vec<Name>> {
    let (mut trees, mut files) = (vec![*tree], Vec::new());
    let mut seen = HashSet::from([*tree]);
    let mut at = 0;
    while let Some(name) = trees.get(at).copied() {
        at += 1;
        for (_, entry) in store.read_tree(&name)?.entries() {
            match entry {
                Entry::Tree(name) if seen.insert(*name) => trees.push(*name),
                Entry::File { content, .. } if seen.insert(*content) => {
                    if !store.holds(content) {
                        return Err(absent(content));
                    }
                    files.push(*content);
                }
                _ => {}
            }
        }
    }
    trees.append(&mut files);
    Ok(trees)
}

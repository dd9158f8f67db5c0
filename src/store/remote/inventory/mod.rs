//! What one side remembers of a remote store, and how it brings there what is not.

mod known;
mod log;
mod upload;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gg_ir::Name;
use tokio::sync::{Semaphore, watch};

use self::known::Known;
use self::log::{Log, Note};
use super::error::{Missing, RemoteError, Result};
use super::key::Key;
use super::pack::BLOCK;
use super::remote::Remote;
use super::sources::Sources;
use crate::error::at;
use crate::layout::make_dir;
use crate::shards::lock;
use crate::{Store, StoreError};

/// Larger objects lie by themselves.
const SMALL: u64 = BLOCK;
/// How long a small object waits for others to travel with.
const WINDOW: Duration = Duration::from_millis(30);
/// A pack of small objects is sent when they have so many bytes.
const FULL: u64 = 4 << 20;
/// Uploads under way at once, beside those of packs of small objects.
const WIDE: usize = 16;
/// How often what somebody else was to upload is waited for in vain before giving up.
const ROUNDS: usize = 8;

/// What is known to be in a remote store: which object lies in which pack, or by itself. Nothing is ever asked of the
/// store to find that out; what turns out to be gone is forgotten (see [`Inventory::forget`]) and uploaded again.
///
/// It is kept on disk, so that the next build uploads nothing, and may be used by any number of tasks and processes at
/// once. Cheap to clone.
#[derive(Clone)]
pub struct Inventory(Arc<Shared>);

struct Shared {
    remote: Remote,
    store: Arc<Store>,
    state: Mutex<State>,
    uploads: Semaphore,
}

struct State {
    known: Known,
    log: Log,
    /// What is on its way.
    flights: HashMap<(Name, Sort), Flight>,
    batch: Option<Batch>,
    /// Set apart from batches that came before.
    batches: u64,
    /// What was said to be gone or damaged: written over whatever is there.
    doubtful: HashSet<Key>,
    /// When this process has seen what arrive.
    confirmed: HashMap<Key, Instant>,
}

/// An object, or a tree with all that is below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sort {
    Object,
    Tree,
}

/// What came of an upload: what failed. A sender that is gone has not finished.
type Outcome = Arc<HashMap<Name, RemoteError>>;
type Flight = watch::Receiver<Option<Outcome>>;

/// Small objects that wait for others.
struct Batch {
    names: Vec<Name>,
    raw: u64,
    landed: watch::Sender<Option<Outcome>>,
}

impl fmt::Debug for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inventory").field(&self.0.remote).finish()
    }
}

/// What [`Inventory::ensure`] has to wait for.
enum Next {
    Done(Sources),
    Wait(Vec<(Name, Flight)>),
}

impl Inventory {
    /// Opens what is remembered of a remote store. It lies in `dir`, in a folder named after the store's URI.
    ///
    /// # Errors
    /// [`RemoteError::Local`] when the folder cannot be made.
    pub fn open(remote: Remote, store: Arc<Store>, dir: &Path) -> Result<Self> {
        let dir = dir.join(remote.digest());
        make_dir(&dir).map_err(at("create", &dir))?;
        let (mut log, mut known) = (Log::new(dir.join("inventory-1")), Known::default());
        log.refresh(&mut known);
        log.compact(&mut known);
        let state = State {
            known,
            log,
            flights: HashMap::new(),
            batch: None,
            batches: 0,
            doubtful: HashSet::new(),
            confirmed: HashMap::new(),
        };
        let uploads = Semaphore::new(WIDE);
        Ok(Self(Arc::new(Shared { remote, store, state: Mutex::new(state), uploads })))
    }

    /// The store it is about.
    pub fn remote(&self) -> &Remote {
        &self.0.remote
    }

    /// Uploads what is not there yet, and tells where all lies: the objects `names`, and the trees with all that is below
    /// them.
    ///
    /// What is on its way for another caller is waited for. Small objects wait some milliseconds for those of other
    /// callers and travel in one pack; each tree is a pack; larger objects travel by themselves, side by side. Uploads go
    /// on when the caller is dropped.
    ///
    /// # Errors
    /// [`RemoteError::Local`] when the local store does not have something; [`RemoteError::Denied`],
    /// [`RemoteError::Unreachable`], [`RemoteError::Service`].
    pub async fn ensure(&self, names: &[Name], trees: &[Name]) -> Result<Sources> {
        for _ in 0..ROUNDS {
            let waits = match self.next(names, trees) {
                Next::Done(sources) => return Ok(sources),
                Next::Wait(waits) => waits,
            };
            for (name, mut flight) in waits {
                let landed = flight.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
                if let Some(error) = landed.and_then(|failures| failures.get(&name).cloned()) {
                    return Err(error);
                }
            }
        }
        // Forgotten as fast as it is uploaded.
        let names = names.iter().chain(trees).copied().collect();
        let missing = Missing { names, packs: Vec::new() };
        Err(RemoteError::Missing { store: self.0.remote.uri().to_owned(), missing })
    }

    fn next(&self, names: &[Name], trees: &[Name]) -> Next {
        let mut state = lock(&self.0.state);
        let state = &mut *state;
        let complete =
            |known: &Known| names.iter().all(|name| known.object(name)) && trees.iter().all(|tree| known.tree(tree));
        if !complete(&state.known) {
            // Another process may have been faster.
            state.log.refresh(&mut state.known);
        }
        if complete(&state.known) {
            return Next::Done(state.known.sources(names, trees));
        }
        let mut waits = Vec::new();
        let mut new = Vec::new();
        for tree in trees.iter().filter(|tree| !state.known.tree(tree)) {
            match state.flights.get(&(*tree, Sort::Tree)) {
                Some(flight) => waits.push((*tree, flight.clone())),
                None if new.contains(tree) => {}
                None => new.push(*tree),
            }
        }
        if !new.is_empty() {
            let flight = self.upload_trees(state, &new);
            waits.extend(new.into_iter().map(|tree| (tree, flight.clone())));
        }
        for name in names {
            if state.known.object(name) {
                continue;
            }
            let flight = match state.flights.get(&(*name, Sort::Object)) {
                Some(flight) => flight.clone(),
                None if name.length() > SMALL => self.upload_object(state, *name),
                None => self.join_batch(state, *name),
            };
            waits.push((*name, flight));
        }
        Next::Wait(waits)
    }

    /// Notes that these lie by themselves: a worker has uploaded them.
    pub fn note_objects(&self, names: &[Name]) {
        let mut state = lock(&self.0.state);
        let new = names.iter().filter(|name| !state.known.object(name));
        let notes: Vec<Note> = new.map(|name| Note::Object(*name)).collect();
        let now = Instant::now();
        state.confirmed.extend(names.iter().map(|name| (Key::Object(*name), now)));
        self.note(&mut state, notes);
    }

    /// Where these objects lie, as far as that is known. Nothing is uploaded: what is not known may lie by itself.
    pub fn sources(&self, names: &[Name]) -> Sources {
        let state = lock(&self.0.state);
        let known: Vec<Name> = names.iter().copied().filter(|name| state.known.object(name)).collect();
        state.known.sources(&known, &[])
    }

    /// Whether an object is believed to be there.
    pub fn holds(&self, name: &Name) -> bool {
        lock(&self.0.state).known.object(name)
    }

    /// Forgets what is not there (any more), or is damaged there: the next [`Inventory::ensure`] uploads it again, over
    /// whatever is there.
    pub fn forget(&self, missing: &Missing) {
        self.forget_since(missing, Instant::now());
    }

    /// As [`Inventory::forget`], but for what has been uploaded after `asked`: when many requests find the same pack
    /// missing, it is uploaded once. `asked` is when the request was sent that found it missing.
    pub fn forget_since(&self, missing: &Missing, asked: Instant) {
        let mut state = lock(&self.0.state);
        let state = &mut *state;
        let newer = |key: Key| state.confirmed.get(&key).is_some_and(|when| *when > asked);
        let still = Missing {
            names: missing.names.iter().copied().filter(|name| !newer(Key::Object(*name))).collect(),
            packs: missing.packs.iter().copied().filter(|id| !newer(Key::Pack(*id))).collect(),
        };
        let notes = state.known.gone(&still);
        let gone = notes.iter().filter_map(|note| match note {
            Note::NoObject(name) => Some(Key::Object(*name)),
            Note::NoPack(id) => Some(Key::Pack(*id)),
            _ => None,
        });
        let gone: Vec<Key> = gone.filter(|key| !newer(*key)).collect();
        let notes = notes.into_iter().filter(|note| match note {
            Note::NoPack(id) => gone.contains(&Key::Pack(*id)),
            _ => true,
        });
        let notes = notes.collect();
        state.doubtful.extend(still.packs.iter().map(|id| Key::Pack(*id)));
        state.doubtful.extend(still.names.iter().map(|name| Key::Object(*name)));
        state.doubtful.extend(gone);
        self.note(state, notes);
    }

    /// Takes notes over, in memory and on disk. When the disk is full, the next build uploads more than it had to.
    fn note(&self, state: &mut State, notes: Vec<Note>) {
        if !notes.is_empty() {
            let _ = state.log.append(&notes);
            notes.into_iter().for_each(|note| state.known.add(note));
        }
    }
}

/// The error of an object that no local store has.
fn absent(name: &Name) -> RemoteError {
    StoreError::Missing { name: *name }.into()
}

//! What is missing, on its way into the local store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Weak};

use bytes::{Buf, Bytes};
use futures::stream::FuturesUnordered;
use futures::{StreamExt, TryStreamExt};
use gg_ir::{Entry, Name};
use tokio::sync::mpsc;

use super::backend::Fault;
use super::error::{Missing, RemoteError, Result};
use super::key::Key;
use super::pack::{self, FOOTER, Index, PackError, PackId};
use super::plan::{self, Span, WHOLE};
use super::remote::{Remote, blocking};
use super::sources::{PackSource, Sources, key};
use crate::shards::lock;
use crate::{Store, StoreError};

/// Requests under way at once for one call.
const WIDE: usize = 16;
/// More than this is taken apart while it arrives, instead of being held in memory.
const IN_MEMORY: u64 = 16 << 20;
/// Pieces of a stream that wait to be taken apart.
const WAITING: usize = 16;
/// What a stream takes of the memory, about.
const STREAM: u64 = 2 << 20;

/// An object that is not in the local store, and the tree it was found missing in.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    name: Name,
    root: Option<Name>,
}

/// One thing to do.
#[derive(Clone, Debug)]
enum Job {
    /// Everything of a pack that is not there yet.
    Whole(PackId, Vec<Name>),
    /// Some objects of a pack, by the places that the sources tell.
    Some(PackId, Vec<Name>),
    /// Some objects of a pack, by the places that its index tells.
    Indexed(PackId, Vec<Name>),
    /// An object by itself.
    Single(Name),
}

/// What has been tried for whom, so that nothing is tried twice.
#[derive(Default)]
struct Tried {
    whole: HashSet<PackId>,
    some: HashSet<(PackId, Name)>,
    indexed: HashSet<(PackId, Name)>,
    single: HashSet<Name>,
}

impl Remote {
    /// Brings what is missing of `names`, and of `trees` with all that is below them, into the local store. Small packs
    /// and packs of trees are read whole, near parts of others together, objects that lie by themselves side by side.
    /// Everything is checked against its name; what arrives damaged is asked for once more.
    ///
    /// # Errors
    /// [`RemoteError::Missing`] with all that was found to be missing; [`RemoteError::Corrupt`]; [`RemoteError::Local`]
    /// when the local store cannot be written; [`RemoteError::Denied`], [`RemoteError::Unreachable`],
    /// [`RemoteError::Service`]. What has arrived before that stays.
    pub async fn fetch(&self, store: &Arc<Store>, names: &[Name], trees: &[Name], sources: &Sources) -> Result<()> {
        let mut tried = Tried::default();
        loop {
            let (local, names, trees) = (store.clone(), names.to_vec(), trees.to_vec());
            let wanted = blocking(move || wanted(&local, &names, &trees)).await?;
            if wanted.is_empty() {
                return Ok(());
            }
            let jobs = jobs(&wanted, sources, &mut tried);
            if jobs.is_empty() {
                let names = wanted.iter().map(|wanted| wanted.name).collect();
                let missing = Missing { names, packs: Vec::new() };
                return Err(RemoteError::Missing { store: self.uri().to_owned(), missing });
            }
            let mut missing = Missing::default();
            let mut failed = None;
            let mut done =
                futures::stream::iter(jobs).map(|job| self.carry_out(store, job, sources)).buffer_unordered(WIDE);
            while let Some(result) = done.next().await {
                match result {
                    Ok(()) => {}
                    Err(RemoteError::Missing { missing: more, .. }) => missing.add(more),
                    // Waiting for the others would not help.
                    Err(error @ (RemoteError::Local(_) | RemoteError::Denied { .. })) => return Err(error),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            if let Some(error) = failed {
                return Err(error);
            }
            if !missing.is_empty() {
                return Err(RemoteError::Missing { store: self.uri().to_owned(), missing });
            }
        }
    }

    async fn carry_out(&self, store: &Arc<Store>, job: Job, sources: &Sources) -> Result<()> {
        let again = job.clone();
        match self.attempt(store, job, sources).await {
            // Bytes can be damaged on their way, too.
            Err(RemoteError::Corrupt { .. }) => self.attempt(store, again, sources).await,
            done => done,
        }
    }

    async fn attempt(&self, store: &Arc<Store>, job: Job, sources: &Sources) -> Result<()> {
        let source = |id: &PackId| sources.packs.get(id).cloned().unwrap_or_default();
        match job {
            Job::Single(name) => self.single(store, name).await,
            Job::Whole(id, wanted) => {
                let flight = self.flight(Key::Pack(id));
                let _turn = flight.lock().await;
                // Somebody else's turn may have brought it.
                if lacks(store, &wanted).await? { self.whole(store, id, &source(&id)).await } else { Ok(()) }
            }
            Job::Some(id, wanted) => {
                let flight = self.flight(Key::Pack(id));
                let _turn = flight.lock().await;
                if !lacks(store, &wanted).await? {
                    return Ok(());
                }
                self.spans(store, id, plan::spans(plan::by_source(&source(&id), &wanted))).await
            }
            Job::Indexed(id, wanted) => {
                let flight = self.flight(Key::Pack(id));
                let _turn = flight.lock().await;
                if !lacks(store, &wanted).await? {
                    return Ok(());
                }
                let index = self.index(id, &source(&id)).await?;
                let wanted: HashSet<Name> = wanted.into_iter().collect();
                self.spans(store, id, plan::spans(plan::by_index(&index, |name| wanted.contains(name)))).await
            }
        }
    }

    /// Held while something is being fetched.
    fn flight(&self, key: Key) -> Arc<tokio::sync::Mutex<()>> {
        let mut flights = lock(&self.0.flights);
        if let Some(flight) = flights.get(&key).and_then(Weak::upgrade) {
            return flight;
        }
        if flights.len() > 1000 {
            flights.retain(|_, flight| flight.strong_count() > 0);
        }
        let flight = Arc::default();
        flights.insert(key, Arc::downgrade(&flight));
        flight
    }

    async fn single(&self, store: &Arc<Store>, name: Name) -> Result<()> {
        let key = Key::Object(name);
        let flight = self.flight(key);
        let _turn = flight.lock().await;
        if !lacks(store, &[name]).await? {
            return Ok(());
        }
        let large = name.length() > IN_MEMORY / 2;
        let _memory = self.memory(if large { STREAM } else { 2 * name.length() }).await?;
        let local = store.clone();
        let unpack = move |from: &mut dyn Read| pack::unpack_object(from, &name, &local);
        let arrived = match large {
            true => self.piped(&key, None, unpack).await,
            false => {
                let bytes = self.backend().get(&key, None).await?;
                blocking(move || unpack(&mut bytes.reader())).await
            }
        };
        arrived.map_err(|error| self.damaged(&key, error))
    }

    /// A malformed pack from the store is the store's damage.
    fn damaged(&self, key: &Key, error: RemoteError) -> RemoteError {
        match error {
            RemoteError::Pack(reason) => self.backend().corrupt(key, reason),
            error => error,
        }
    }

    async fn whole(&self, store: &Arc<Store>, id: PackId, source: &PackSource) -> Result<()> {
        let key = Key::Pack(id);
        if source.size > WHOLE {
            let index = self.index(id, source).await?;
            let local = store.clone();
            let plans = blocking(move || Ok(plan::by_index(&index, |name| !local.holds(name)))).await?;
            return self.spans(store, id, plan::spans(plans)).await;
        }
        let _memory = self.memory(3 * source.size).await?;
        let bytes = self.backend().get(&key, None).await?;
        let local = store.clone();
        let arrived = blocking(move || match PackId::of(&bytes) == id {
            true => pack::read_into(&bytes, &local).map(|_| ()),
            false => Err(PackError::Short.into()),
        });
        arrived.await.map_err(|error| self.damaged(&key, error))
    }

    async fn index(&self, id: PackId, source: &PackSource) -> Result<Arc<Index>> {
        let key = Key::Pack(id);
        let start = source.size.checked_sub(source.index.saturating_add(FOOTER));
        let start = start.ok_or_else(|| self.backend().corrupt(&key, PackError::Short))?;
        let _memory = self.memory(3 * source.index).await?;
        let bytes = self.backend().get(&key, Some(start..source.size)).await?;
        let size = source.size;
        let index = blocking(move || Ok(Index::unseal(&bytes, size)?)).await;
        index.map(Arc::new).map_err(|error| self.damaged(&key, error))
    }

    async fn spans(&self, store: &Arc<Store>, id: PackId, spans: Vec<Span>) -> Result<()> {
        let spans: FuturesUnordered<_> = spans.into_iter().map(|span| self.span(store, id, span)).collect();
        spans.try_collect().await
    }

    async fn span(&self, store: &Arc<Store>, id: PackId, span: Span) -> Result<()> {
        let key = Key::Pack(id);
        let length = span.range.end - span.range.start;
        let large = length > IN_MEMORY;
        let _memory = self.memory(if large { STREAM } else { 2 * length }).await?;
        let (local, blocks, range) = (store.clone(), span.blocks, span.range);
        let arrived = match large {
            true => self.piped(&key, Some(range), move |from| pack::unpack(from, &blocks, &local)).await,
            false => {
                let bytes = self.backend().get(&key, Some(range)).await?;
                blocking(move || pack::unpack(bytes.reader(), &blocks, &local)).await
            }
        };
        arrived.map_err(|error| self.damaged(&key, error))
    }

    /// Takes bytes apart while they arrive.
    async fn piped(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
        take: impl FnOnce(&mut dyn Read) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let mut stream = self.backend().stream(key, range).await?;
        let (to, from) = mpsc::channel(WAITING);
        let (remote, key) = (self.clone(), *key);
        let pump = async move {
            while let Some(piece) = stream.next().await {
                let piece = piece.map_err(|fault: Fault| remote.backend().error("read", &key, fault));
                if to.send(piece).await.is_err() {
                    // The reader has seen enough.
                    break;
                }
            }
        };
        let taken = blocking(move || take(&mut Pipe { from, rest: Bytes::new() }));
        futures::future::join(pump, taken).await.1
    }
}

/// Reads what arrives.
struct Pipe {
    from: mpsc::Receiver<Result<Bytes>>,
    rest: Bytes,
}

impl Read for Pipe {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.from.blocking_recv() {
                Some(piece) => self.rest = piece.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        (&mut self.rest).reader().read(to)
    }
}

async fn lacks(store: &Arc<Store>, names: &[Name]) -> Result<bool> {
    let (store, names) = (store.clone(), names.to_vec());
    blocking(move || Ok(names.iter().any(|name| !store.holds(name)))).await
}

/// What is not in the local store, of the objects themselves and below the trees as far as those are known.
fn wanted(store: &Store, names: &[Name], trees: &[Name]) -> Result<Vec<Wanted>> {
    let mut seen = HashSet::new();
    let mut wanted = Vec::new();
    for name in names {
        if seen.insert(*name) && !store.holds(name) {
            wanted.push(Wanted { name: *name, root: None });
        }
    }
    let mut walked = HashSet::new();
    for root in trees {
        let mut below = vec![*root];
        while let Some(name) = below.pop() {
            if !walked.insert(name) {
                continue;
            }
            match store.read_tree(&name) {
                Ok(tree) => {
                    for (_, entry) in tree.entries() {
                        match entry {
                            Entry::Tree(name) => below.push(*name),
                            Entry::File { content, .. } => {
                                if seen.insert(*content) && !store.holds(content) {
                                    wanted.push(Wanted { name: *content, root: Some(*root) });
                                }
                            }
                            Entry::Symlink(_) => {}
                        }
                    }
                }
                // A damaged one is out of the way now.
                Err(StoreError::Missing { .. } | StoreError::Corrupt { .. }) => {
                    wanted.push(Wanted { name, root: Some(*root) });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(wanted)
}

/// What to do next for what is wanted, apart from what has been tried.
fn jobs(wanted: &[Wanted], sources: &Sources, tried: &mut Tried) -> Vec<Job> {
    let mut places = HashMap::new();
    let mut trees = HashMap::new();
    for (id, pack) in &sources.packs {
        trees.extend(pack.trees.iter().map(|(tree, whole)| (*tree, (*id, *whole))));
        for block in pack.blocks.values() {
            places.extend(block.objects.iter().map(|(_, told)| (*told, *id)));
        }
    }
    let mut whole: BTreeMap<PackId, Vec<Name>> = BTreeMap::new();
    let mut some: BTreeMap<PackId, Vec<Name>> = BTreeMap::new();
    let mut indexed: BTreeMap<PackId, Vec<Name>> = BTreeMap::new();
    let mut jobs = Vec::new();
    for Wanted { name, root } in wanted {
        let tree = root.and_then(|root| trees.get(&key(&root)));
        if let Some((id, true)) = tree
            && !tried.whole.contains(id)
        {
            whole.entry(*id).or_default().push(*name);
        } else if let Some((id, false)) = tree
            && tried.indexed.insert((*id, *name))
        {
            indexed.entry(*id).or_default().push(*name);
        } else if let Some(id) = places.get(&key(name))
            && tried.some.insert((*id, *name))
        {
            some.entry(*id).or_default().push(*name);
        } else if tried.single.insert(*name) {
            jobs.push(Job::Single(*name));
        }
    }
    for (id, names) in some {
        let source = sources.packs.get(&id);
        let size = source.map_or(0, |source| source.size);
        let needed: u64 =
            source.map_or(0, |source| plan::by_source(source, &names).iter().map(|block| block.length).sum());
        if let Some(all) = whole.get_mut(&id) {
            all.extend(names);
        } else if (size <= WHOLE || needed >= size / 2) && !tried.whole.contains(&id) {
            whole.insert(id, names);
        } else {
            jobs.push(Job::Some(id, names));
        }
    }
    tried.whole.extend(whole.keys());
    jobs.extend(
        indexed.into_iter().filter(|(id, _)| !whole.contains_key(id)).map(|(id, names)| Job::Indexed(id, names)),
    );
    jobs.extend(whole.into_iter().map(|(id, names)| Job::Whole(id, names)));
    jobs
}

//! Graphs that grow as they are forced: a program may write, in place of an output, what to compute for it
//! (`gg_recipe::grow`). Its reduction then points to further thunks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gg_ir::{Kind, Name, Reduction, Reference, Tag, Thunk};
use gg_recipe::{Growth, Parent, grow, is_graph};

use crate::failure::Cause;
use crate::ids::ThunkId;
use crate::ledger::{Ledger, LedgerError};
use crate::node::State;
use crate::plan::{Command, Given, Plan};

/// The longest graph that is read, in bytes.
const LONGEST: u64 = 64 << 20;

/// Why what a program wrote could not be taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GrowError {
    /// It is no graph: the program's fault.
    Malformed(String),
    /// The store failed.
    Ledger(LedgerError),
}

impl From<LedgerError> for GrowError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

/// What the graphs of an execution come to.
#[derive(Debug)]
pub(crate) struct Grown {
    /// The reduction, with further thunks in place of graphs.
    pub reduction: Reduction,
    /// What the program calls the thunks that it states.
    pub labels: Vec<(Name, String)>,
}

/// Replaces each output that is a graph by what stands for it, and puts the thunks that it needs into the store.
pub(crate) fn take_up(
    store: &dyn Ledger,
    thunk: &Thunk,
    resolved: &BTreeMap<Reference, Name>,
    reduction: &Reduction,
) -> Result<Grown, GrowError> {
    let mut graphs: BTreeMap<Tag, Vec<u8>> = BTreeMap::new();
    for (tag, made) in &reduction.outputs {
        let dynamic = thunk.outputs.get(tag).is_some_and(|output| output.dynamic);
        if !dynamic || made.object.thunk().is_some() {
            continue;
        }
        let name = *made.object.name();
        if name.length() > LONGEST {
            // What is that long is no graph, unless it says that it is one.
            if store.begins(&name, gg_recipe::HEADER)? {
                let most = LONGEST >> 20;
                return Err(malformed(tag, format!("it has {} bytes; {most} MiB are read", name.length())));
            }
            continue;
        }
        let content = store.read(&name)?;
        if is_graph(&content) {
            graphs.insert(tag.clone(), content);
        }
    }
    let mut grown = Grown { reduction: reduction.clone(), labels: Vec::new() };
    let plain = reduction.outputs.iter().filter(|(tag, _)| !graphs.contains_key(*tag));
    let made: BTreeMap<_, _> = plain.map(|(tag, made)| (tag.clone(), made.clone())).collect();
    for (tag, content) in graphs {
        let parent = Parent { thunk, resolved, made: &made };
        let growth = grow(&content, &parent).map_err(|error| malformed(&tag, error.to_string()))?;
        keep(store, &growth)?;
        grown.reduction.outputs.insert(tag, growth.output);
        let labels = growth.thunks.into_iter().filter_map(|sealed| Some((sealed.name, sealed.label?)));
        grown.labels.extend(labels);
    }
    Ok(grown)
}

fn malformed(tag: &Tag, what: String) -> GrowError {
    GrowError::Malformed(format!("its output '{tag}' is a malformed graph: {what}"))
}

/// Keeps what the output needs; what nothing needs is not computed, so it need not be there.
fn keep(store: &dyn Ledger, growth: &Growth) -> Result<(), LedgerError> {
    let mut needed: BTreeSet<Name> = growth.output.object.thunk().copied().into_iter().collect();
    for content in &growth.values {
        store.put(Kind::Value, content)?;
    }
    for sealed in growth.thunks.iter().rev() {
        if needed.contains(&sealed.name) {
            needed.extend(sealed.thunk.dependencies().copied());
            store.put(Kind::Thunk, &sealed.thunk.encode())?;
        }
    }
    Ok(())
}

impl Plan {
    /// Looks whether outputs that may be graphs are. What the program was given may have been made anew since.
    pub(crate) fn look_for_graphs(&mut self, id: ThunkId, (thunk, resolved): Given, reduction: Arc<Reduction>) {
        let dynamic = |tag: &Tag| thunk.outputs.get(tag).is_some_and(|output| output.dynamic);
        if !reduction.outputs.keys().any(dynamic) {
            return self.executed_whole(id, reduction);
        }
        self.graph[id].state = State::Growing;
        self.commands.push_back(Command::Grow { id, thunk, resolved, reduction });
    }

    pub(crate) fn grown(&mut self, id: ThunkId, grown: Result<Grown, GrowError>) {
        if self.graph[id].state != State::Growing {
            return;
        }
        match grown {
            Ok(Grown { reduction, labels }) => {
                // Only of those that are new here; what is known has a label, if anybody has given one.
                let new = labels.into_iter().filter(|(name, _)| self.graph.find(name).is_none());
                let new: Vec<_> = new.collect();
                self.labels.extend(new);
                self.executed_whole(id, Arc::new(reduction));
            }
            Err(GrowError::Malformed(text)) => self.fail(id, Cause::Breach(text)),
            Err(GrowError::Ledger(LedgerError::Missing(name) | LedgerError::Corrupt(name))) => self.lost(id, name),
            Err(GrowError::Ledger(LedgerError::Other(text))) => self.fail(id, Cause::Infrastructure(text)),
        }
    }

    /// The thunk of this name, which is there because of another that is `depth` programs deep.
    ///
    /// # Errors
    /// When it is too deep, or one too many; it is not evaluated then.
    pub(crate) fn admit(&mut self, name: Name, depth: u32) -> Result<ThunkId, Cause> {
        let known = self.graph.find(&name).map_or(0, |id| self.graph[id].depth);
        let policy = self.setup.policy;
        if depth > known {
            if depth > policy.depth {
                return Err(Cause::Breach(wild(&format!("states a graph {} levels deep in others", policy.depth))));
            }
            self.sprouts += usize::from(known == 0);
            if self.sprouts > policy.sprouts {
                return Err(Cause::Breach(wild(&format!("states one thunk more than {} in this run", policy.sprouts))));
            }
        }
        let id = self.add_by_name(name);
        let node = &mut self.graph[id];
        node.depth = node.depth.max(depth);
        Ok(id)
    }
}

fn wild(what: &str) -> String {
    format!("it {what}, which is the limit; does its program ever write a plain result?")
}

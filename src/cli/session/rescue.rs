//! What is tried before a failure is believed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use gg_ir::{Name, Thunk};
use gg_models::{Call, Step, StepKind};

use super::Session;
use super::alias::Alias;
use super::moment::Disk;

/// A step as it was planned, kept until it has ended.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The call.
    pub call: Call,
    /// The model's answer.
    pub step: Step,
    /// The call's file mode creation mask.
    pub umask: u32,
    /// The names under which it was sealed.
    pub alias: Alias,
}

/// The steps whose inputs could be found more exactly.
#[derive(Debug, Default)]
pub struct Steps {
    planned: Mutex<HashMap<Name, Arc<Planned>>>,
    /// Those whose inputs were not all that the tool reads.
    widened: Mutex<HashSet<Name>>,
}

impl Steps {
    /// Keeps a step, if a preprocessor could say more about its inputs.
    pub fn keep(&self, name: Name, planned: impl FnOnce() -> Planned, kind: StepKind) {
        if matches!(kind, StepKind::Compile | StepKind::Preprocess | StepKind::CompileLink | StepKind::Assemble) {
            let mut steps = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
            steps.entry(name).or_insert_with(|| Arc::new(planned()));
        }
    }

    /// Takes a step out.
    pub fn take(&self, name: &Name) -> Option<Arc<Planned>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).remove(name)
    }

    /// Whether a step turned out to read more than it was given.
    pub fn was_widened(&self, name: &Name) -> bool {
        self.widened.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    fn widen(&self, name: &Name) {
        self.widened.lock().unwrap_or_else(PoisonError::into_inner).insert(*name);
    }
}

/// The session that a coordinator turns to, bound once both exist.
#[derive(Default)]
pub struct Rescue(OnceLock<Weak<Session>>);

impl Rescue {
    /// Binds the session.
    pub fn bind(&self, session: &Arc<Session>) {
        // The first one stays.
        let _ = self.0.set(Arc::downgrade(session));
    }

    fn session(&self) -> Option<Arc<Session>> {
        self.0.get().and_then(Weak::upgrade)
    }

    /// The failed thunk with all that the compiler itself says it reads, if that is more than it was given: a scanner may
    /// have missed a file.
    pub fn widen(&self, name: &Name) -> Option<Arc<Thunk>> {
        let session = self.session()?;
        let steps = session.deliveries.planned();
        let planned = steps.take(name)?;
        let more = session.models.exact_reads(&planned.call, &session.machine).ok()?;
        let mut step = planned.step.clone();
        step.reads.extend(more);
        let toolchain = session.models.toolchain(&planned.call.tool, &session.machine, &planned.call.env).ok()?;
        let sealed = session.sealer.seal(&planned.call, &step, &toolchain, planned.umask, None, &Disk).ok()?;
        let thunk = session.aliases.renamed(&planned.alias, &sealed.thunk)?;
        let widened = session.store.put_thunk(&thunk).ok()?;
        if widened == *name {
            return None;
        }
        steps.widen(name);
        Some(Arc::new(thunk))
    }

    /// Brings an object back into the store.
    pub fn resupply(&self, name: &Name) -> bool {
        self.session().is_some_and(|session| session.sealer.resupply(name))
    }
}

//! What is tried before a failure is believed.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use gg_ir::{AbsPath, Input, Name, Thunk};
use gg_models::{Call, Environment, Plan, StepKind};

use super::Session;
use super::alias::Alias;
use super::moment::Disk;
use super::placeholders::Placeholders;

/// A call that a step was planned for, kept until the step has ended. There may be tens of thousands, so what the model said
/// is not kept: it can be asked again.
#[derive(Debug)]
pub struct Planned {
    tool: PathBuf,
    argv: Vec<OsString>,
    cwd: PathBuf,
    env: Arc<Environment>,
    umask: u32,
    alias: Alias,
}

impl Planned {
    fn call(&self) -> Call {
        let Self { tool, argv, cwd, env, .. } = self;
        Call { tool: tool.clone(), argv: argv.clone(), cwd: cwd.clone(), env: (**env).clone() }
    }
}

/// As many environments are compared with that of a call; most calls of a build have one of a few.
const ENVIRONMENTS: usize = 16;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Changed by single calls: whole even if a thread panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The steps whose inputs could be found more exactly.
#[derive(Debug, Default)]
pub struct Steps {
    planned: Mutex<HashMap<Name, Planned>>,
    /// The environments of the latest calls, newest last.
    environments: Mutex<Vec<Arc<Environment>>>,
    /// Those whose inputs were not all that the tool reads.
    widened: Mutex<HashSet<Name>>,
}

impl Steps {
    /// Keeps the call of a step, if a preprocessor could say more about the step's inputs. `umask` is the call's, and `alias`
    /// has the names under which the step was sealed.
    pub fn keep(&self, name: Name, call: &Call, umask: u32, alias: &Alias, kind: StepKind) {
        if !matches!(kind, StepKind::Compile | StepKind::Preprocess | StepKind::CompileLink | StepKind::Assemble) {
            return;
        }
        let env = self.environment(&call.env);
        let mut steps = locked(&self.planned);
        steps.entry(name).or_insert_with(|| Planned {
            tool: call.tool.clone(),
            argv: call.argv.clone(),
            cwd: call.cwd.clone(),
            env,
            umask,
            alias: alias.clone(),
        });
    }

    /// The one copy of an environment.
    fn environment(&self, env: &Environment) -> Arc<Environment> {
        let mut known = locked(&self.environments);
        if let Some(same) = known.iter().rev().find(|known| ***known == *env) {
            return Arc::clone(same);
        }
        if known.len() == ENVIRONMENTS {
            known.remove(0);
        }
        known.push(Arc::new(env.clone()));
        Arc::clone(&known[known.len() - 1])
    }

    /// Takes a call out.
    pub fn take(&self, name: &Name) -> Option<Planned> {
        locked(&self.planned).remove(name)
    }

    /// Whether a step turned out to read more than it was given.
    pub fn was_widened(&self, name: &Name) -> bool {
        locked(&self.widened).contains(name)
    }

    fn widen(&self, name: &Name) {
        locked(&self.widened).insert(*name);
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
        let failed = session.store.read_thunk(name).ok()?;
        if is_overtaken(&failed) {
            return None;
        }
        let call = planned.call();
        let more = session.models.exact_reads(&call, &session.machine).ok()?;
        let Plan::Thunk(mut step) = session.models.plan(&call, &session.machine) else { return None };
        step.reads.extend(more);
        let toolchain = session.models.toolchain(&call.tool, &session.machine, &call.env).ok()?;
        let sealed = session.sealer.seal(&call, &step, &toolchain, planned.umask, None, &Disk).ok()?;
        let thunk = session.aliases.renamed(&planned.alias, &sealed.thunk)?;
        if !is_wider(&thunk, &failed) {
            return None;
        }
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

/// Whether a placeholder stands by now where a step reads, other than the one that the step was given: it may wait for the
/// step itself, and must not be waited for.
fn is_overtaken(thunk: &Thunk) -> bool {
    thunk.inputs.iter().any(|(path, input)| match input {
        Input::File { object, .. } => {
            Placeholders::at(path.as_path()).is_some_and(|placeholder| placeholder.reference() != *object)
        }
        _ => false,
    })
}

/// Whether a step does the same as one that failed, with all that it had, and perhaps more. The tree may have changed since,
/// and what would then succeed is another step.
fn is_wider(wider: &Thunk, failed: &Thunk) -> bool {
    let in_tree = |path: &AbsPath| {
        let above = path.as_path().ancestors().filter_map(|above| AbsPath::new(above).ok());
        above
            .into_iter()
            .any(|above| matches!(wider.inputs.get(&above), Some(Input::Tree(_))) && above != AbsPath::root())
    };
    let has = |(path, input): (&AbsPath, &Input)| match wider.inputs.get(path) {
        Some(found) => found == input || *input == Input::Directory,
        None => *input == Input::Directory || in_tree(path),
    };
    wider.function == failed.function && wider.outputs == failed.outputs && failed.inputs.iter().all(has)
}

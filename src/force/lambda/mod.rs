//! The engine on AWS Lambda: each step is one request to a function, and objects pass through a remote store.
//!
//! # Layout
//!
//! - `options`: [`LambdaOptions`]
//! - `step`: one step, from the upload of its inputs to its result: retries, duplicates, what is given back
//! - `call`: one call of the function, and what its end means
//! - `account`: [`Account`]: who we are at AWS; `chain`: the credentials that the SDK finds, for the store as well
//! - `needs`: the objects that a step needs
//! - `arrivals`: what workers made, on its way here
//! - `shared`: results that several machines share
//! - `log`: what calls came to, step by step
//! - `tally`: [`Tally`]: what it all came to
//! - `visit`: [`visit()`]: a call that asks for nothing but who is there
//!
//! # Who is at fault
//!
//! A program's failure is the program's. Everything else (the service, the function, the network, the store) is tried again,
//! with delays and a cap; then the step is given back ([`EngineResult::Declined`]), for another engine to run. When the service
//! answers nobody any more, all steps are given back at once.

mod account;
mod arrivals;
mod call;
mod chain;
mod log;
mod needs;
mod options;
mod shared;
mod step;
mod tally;
mod visit;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use gg_ir::Name;
use gg_store::Store;
use gg_store::remote::{Inventory, Remote, RemoteUri};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, oneshot};

use crate::engine::{Engine, EngineResult, Work};
use crate::ids::ThunkId;
use crate::limit::Limit;
use crate::pace::Pace;
pub use account::Account;
use arrivals::Arrivals;
pub use options::LambdaOptions;
use tally::Tallies;
pub use tally::Tally;
pub use visit::{NotMet, Visit, visit};

/// A synchronous call may take as long as a function may run: 15 minutes (AWS Lambda Developer Guide, "Lambda quotas").
const CALL: Duration = Duration::from_secs(15 * 60 + 30);

/// As many packs are written or read side by side: a thousand answers at once would otherwise start hundreds of threads, for what
/// two processors do no sooner.
const PACKERS: usize = 16;

/// As many reductions may be on their way into the shared cache; what comes meanwhile is not shared.
const SHARES: u32 = 10_000;

/// Is told once, when the service is not asked any more.
pub type OnDown = Box<dyn Fn(&str) + Send + Sync>;

/// Why the engine cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LambdaError {
    /// The system gave no threads.
    #[error("the Lambda engine cannot start its threads: {0}")]
    Threads(#[from] std::io::Error),
    /// The remote store cannot be used.
    #[error(transparent)]
    Store(#[from] gg_store::remote::RemoteError),
}

/// Runs thunks as calls of a function.
pub struct LambdaEngine {
    desk: Arc<Desk>,
    runtime: Option<Runtime>,
}

pub(crate) struct Desk {
    options: LambdaOptions,
    uri: String,
    client: Client,
    inventory: Arc<Inventory>,
    remote: Remote,
    store: Arc<Store>,
    arrivals: Arc<Arrivals>,
    limit: Limit,
    pace: Pace,
    tallies: Tallies,
    workers: log::Workers,
    /// Why the service is not asked any more.
    down: OnceLock<String>,
    /// Who is told of that.
    on_down: OnceLock<OnDown>,
    under_way: Arc<AtomicUsize>,
    answered: Mutex<Option<Instant>>,
    /// Objects that workers have left in the remote store, each by itself.
    far: Mutex<HashSet<Name>>,
    /// A permit for each reduction that is being shared.
    sharing: Arc<Semaphore>,
    /// A permit for each pack that is written or read.
    packing: Semaphore,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    /// Dropped, it cancels.
    steps: HashMap<ThunkId, oneshot::Sender<()>>,
    stopped: bool,
}

impl Desk {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn far(&self) -> MutexGuard<'_, HashSet<Name>> {
        self.far.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a worker has left this object in the remote store.
    fn is_far(&self, name: &Name) -> bool {
        self.far().contains(name)
    }

    /// The service has answered somebody.
    fn answered(&self) {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether the service has answered somebody since then.
    fn answered_since(&self, since: Instant) -> bool {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at > since)
    }

    /// How long the service has answered nobody, since then at most.
    fn silent_for(&self, since: Instant) -> Duration {
        let answered = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.map_or(since, |at| at.max(since)).elapsed()
    }
}

impl LambdaEngine {
    /// An engine on this function and this remote store. `inventory` is a directory where it notes what it has uploaded.
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// [`LambdaError`].
    pub fn new(
        options: LambdaOptions,
        uri: &RemoteUri,
        inventory: &std::path::Path,
        store: Arc<Store>,
    ) -> Result<Self, LambdaError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .thread_name("gg-lambda")
            .build()?;
        let _entered = runtime.enter();
        let account = runtime.block_on(Account::find(options.region.as_deref()));
        let remote = Remote::open_with(uri, account.credentials())?;
        let inventory = Arc::new(Inventory::open(remote.clone(), Arc::clone(&store), inventory)?);
        let client = client(&options, &account);
        let arrivals = Arc::new(Arrivals::new(
            runtime.handle().clone(),
            remote.clone(),
            Arc::clone(&inventory),
            Arc::clone(&store),
        ));
        store.set_supply(Some(Arc::clone(&arrivals) as _));
        let desk = Desk {
            limit: Limit::new(options.jobs),
            options,
            uri: uri.to_string(),
            client,
            inventory,
            remote,
            store,
            arrivals,
            pace: Pace::default(),
            tallies: Tallies::default(),
            workers: log::Workers::default(),
            down: OnceLock::new(),
            on_down: OnceLock::new(),
            under_way: Arc::default(),
            answered: Mutex::default(),
            far: Mutex::default(),
            sharing: Arc::new(Semaphore::new(SHARES as usize)),
            packing: Semaphore::new(PACKERS),
            running: Mutex::default(),
        };
        Ok(Self { desk: Arc::new(desk), runtime: Some(runtime) })
    }

    /// Says who is told, once, when the service is not asked any more. Only the first call counts.
    pub fn on_down(&self, tell: OnDown) {
        // Said before: then it stays.
        let _ = self.desk.on_down.set(tell);
    }

    /// What the requests came to so far.
    pub fn tally(&self) -> Tally {
        self.desk.tallies.read()
    }

    /// What this machine asked of the remote store so far.
    pub fn counters(&self) -> gg_store::remote::Counters {
        self.desk.remote.counters()
    }

    /// Why the service is not asked any more, if it is not.
    pub fn down(&self) -> Option<String> {
        self.desk.down.get().cloned()
    }
}

fn client(options: &LambdaOptions, account: &Account) -> Client {
    // Retries are decided here, where it is known what they are for.
    let mut builder = aws_sdk_lambda::config::Builder::from(&account.config)
        .timeout_config(TimeoutConfig::builder().operation_timeout(CALL).build());
    if let Some(endpoint) = &options.endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    Client::from_conf(builder.build())
}

impl Engine for LambdaEngine {
    fn name(&self) -> &str {
        "lambda"
    }

    fn capacity(&self) -> usize {
        // What is down gives everything back at once.
        if self.desk.down.get().is_some() { usize::MAX } else { self.desk.limit.now() }
    }

    fn start(&self, work: Work, done: Box<dyn FnOnce(EngineResult) + Send>) {
        let (cancel, cancelled) = oneshot::channel();
        let Some(runtime) = &self.runtime else { return done(EngineResult::Cancelled) };
        {
            let mut running = self.desk.running();
            if running.stopped {
                drop(running);
                return done(EngineResult::Cancelled);
            }
            running.steps.insert(work.id, cancel);
        }
        let desk = Arc::clone(&self.desk);
        runtime.spawn(async move {
            let result = tokio::select! {
                result = desk.force(&work) => result,
                _ = cancelled => EngineResult::Cancelled,
            };
            desk.running().steps.remove(&work.id);
            done(result);
        });
    }

    fn cancel(&self, id: ThunkId) {
        drop(self.desk.running().steps.remove(&id));
    }

    fn stop(&self) {
        let mut running = self.desk.running();
        running.stopped = true;
        running.steps.clear();
    }
}

impl Drop for LambdaEngine {
    fn drop(&mut self) {
        self.stop();
        self.desk.store.set_supply(None);
        if let Some(runtime) = self.runtime.take() {
            // Requests that are under way are left to themselves.
            runtime.shutdown_background();
        }
    }
}

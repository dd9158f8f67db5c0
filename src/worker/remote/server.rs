//! One request from its bytes to those of its answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gg_store::Store;
use gg_store::remote::{Remote, RemoteUri, pack};
use tokio::task::JoinSet;

use super::answer::Wishes;
use super::chain::{Link, links};
use super::run::{Shop, Times};
use super::settings::Settings;
use super::space::{Space, taken};
use crate::wire::{self, JobResult, Phases, Refusal, Request, Response, WireError, WorkerReport};
use crate::{Pool, PoolConfig, SandboxKind};

/// A worker that is called from afar. It may be given several requests at once.
pub struct Server {
    settings: Settings,
    id: String,
    runs: AtomicU64,
    base: Mutex<Option<Base>>,
    remotes: Mutex<HashMap<String, Remote>>,
    space: Arc<Space>,
}

/// What lasts from one request to the next.
#[derive(Clone)]
struct Base {
    store: Arc<Store>,
    pool: Arc<Pool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn micros(time: Duration) -> u64 {
    time.as_micros() as u64
}

impl Server {
    /// A server, its store and its first worker process ready where that is possible. Where it is not, each request tries
    /// again, and is refused with the reason. Blocks; needs no runtime.
    pub fn start(settings: Settings) -> Self {
        let mut random = [0u8; 8];
        // It need not be random to be of use.
        let _ = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty());
        let server = Self {
            id: format!("{:016x}", u64::from_ne_bytes(random)),
            runs: AtomicU64::new(0),
            base: Mutex::new(None),
            remotes: Mutex::default(),
            space: Arc::new(Space::new(settings.scratch_bytes)),
            settings,
        };
        if let Err(text) = server.base() {
            eprintln!("gg worker: {text}");
        }
        server
    }

    /// The kind of sandbox in use, once there is one.
    pub fn sandbox(&self) -> Option<SandboxKind> {
        lock(&self.base).as_ref().map(|base| base.pool.kind().0)
    }

    fn base(&self) -> Result<Base, String> {
        let mut base = lock(&self.base);
        if let Some(base) = &*base {
            return Ok(base.clone());
        }
        let scratch = &self.settings.scratch;
        let store = Arc::new(Store::open(&scratch.join("store")).map_err(|error| error.to_string())?);
        let pool = Pool::start(PoolConfig {
            store: store.clone(),
            processes: self.settings.processes,
            scratch: scratch.join("pool"),
            worker_command: self.settings.worker_command.clone(),
            memory_limit: None,
            sandbox: self.settings.sandbox,
        });
        let pool = Arc::new(pool.map_err(|error| error.to_string())?);
        Ok(base.insert(Base { store, pool }).clone())
    }

    /// The answer to a request's bytes, whatever they are. `deadline` is when whoever called gives up.
    ///
    /// To be called on a tokio runtime with time and I/O.
    pub async fn answer(&self, request: &[u8], deadline: Option<Instant>) -> Response {
        match Request::decode(request) {
            Ok(request) => self.handle(request, deadline).await,
            Err(error) => {
                let refusal = match error {
                    WireError::Version { found, .. } => Refusal::Version { worker: wire::VERSION, request: found },
                    other => Refusal::Malformed { text: other.to_string() },
                };
                Response::refusal(refusal, self.report(self.runs.fetch_add(1, Ordering::Relaxed)))
            }
        }
    }

    fn report(&self, earlier: u64) -> WorkerReport {
        let sandbox = match self.sandbox() {
            None => "none",
            Some(SandboxKind::Namespace) => "namespace",
            Some(SandboxKind::Relocated) => "relocated",
            Some(SandboxKind::Plain) => "plain",
        };
        WorkerReport {
            worker: self.id.clone(),
            cold: earlier == 0,
            runs: earlier + 1,
            memory_mib: self.settings.memory_mib,
            sandbox: sandbox.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            ..WorkerReport::default()
        }
    }

    /// The answer to a request.
    pub async fn handle(&self, request: Request, deadline: Option<Instant>) -> Response {
        let began = Instant::now();
        let mut report = self.report(self.runs.fetch_add(1, Ordering::Relaxed));
        match self.serve(request, deadline, &mut report).await {
            Ok(mut response) => {
                response.report.phases.total = micros(began.elapsed());
                response
            }
            Err(refusal) => {
                report.phases.total = micros(began.elapsed());
                Response::refusal(refusal, report)
            }
        }
    }

    async fn serve(
        &self,
        request: Request,
        deadline: Option<Instant>,
        report: &mut WorkerReport,
    ) -> Result<Response, Refusal> {
        let began = Instant::now();
        let Base { store, pool } = self.base().map_err(|text| Refusal::Broken { text })?;
        let remote = self.remote(&request.store)?;
        let before = remote.counters();
        let broken = |error: gg_store::StoreError| Refusal::Broken { text: error.to_string() };
        let wishes =
            Wishes { inline_limit: request.inline_limit, store_from: request.store_from, record: request.record };
        let inline = request.inline;
        self.space.grew(4 * inline.len() as u64);
        let (shelf, space) = (store.clone(), self.space.clone());
        let tidied = tokio::task::spawn_blocking(move || space.tidy(&shelf)).await;
        tidied.map_err(|error| Refusal::Broken { text: error.to_string() })?.map_err(broken)?;
        let shelf = store.clone();
        let _lease = store.lease().map_err(broken)?;
        if !inline.is_empty() {
            let unpacked = tokio::task::spawn_blocking(move || pack::read_into(&inline, &shelf)).await;
            let unpacked = unpacked.map_err(|error| Refusal::Broken { text: error.to_string() })?;
            unpacked.map_err(|error| match error {
                gg_store::remote::RemoteError::Pack(error) => {
                    Refusal::Malformed { text: format!("the objects in it: {error}") }
                }
                other => Refusal::Broken { text: other.to_string() },
            })?;
        }
        let shop = Shop {
            store: store.clone(),
            pool,
            space: self.space.clone(),
            remote: remote.clone(),
            sources: Arc::new(request.sources),
            deadline: deadline.map(|deadline| deadline.checked_sub(self.settings.margin).unwrap_or(deadline)),
            memory_mib: self.settings.memory_mib,
        };
        let mut links = links(&request.jobs);
        let wanted: Vec<&Link> = links.iter().filter_map(|link| link.as_ref().ok()).collect();
        let mut phases = Phases::default();
        if shop.fetch(&wanted).await.is_err() {
            // Some of them may be able to run all the same.
            for link in &mut links {
                let Ok(job) = &*link else { continue };
                if let Err(result) = shop.fetch(&[job]).await {
                    *link = Err(Box::new(result));
                }
            }
        }
        phases.fetch = micros(began.elapsed());
        let settings = request.jobs.iter().map(|job| (Duration::from_millis(job.timeout_ms), job.terminal)).collect();
        let (mut results, times) = run_all(&shop, links, settings).await;
        for (times, result) in times.iter().zip(&results) {
            let ran = result.cost().map_or(Duration::ZERO, |cost| Duration::from_micros(cost.wall_us));
            phases.fetch += micros(times.fetch);
            phases.run += micros(ran);
            phases.materialise += micros(times.pool.saturating_sub(ran));
            report.peak_kib = report.peak_kib.max(result.cost().map_or(0, |cost| cost.peak_kib));
        }
        let storing = Instant::now();
        let outputs = shop.deliver(&mut results, &wishes).await;
        phases.store = micros(storing.elapsed());
        let spent = remote.counters() - before;
        self.space.grew(4 * spent.bytes_down + 2 * outputs.inline.len() as u64 + 2 * spent.bytes_up);
        report.phases = phases;
        report.requests = spent.requests();
        report.bytes_down = spent.bytes_down;
        report.bytes_up = spent.bytes_up;
        report.scratch = taken(&store);
        Ok(Response {
            version: wire::VERSION,
            refused: None,
            results,
            inline: outputs.inline,
            stored: outputs.stored,
            report: std::mem::take(report),
        })
    }

    /// The store that a request names, if this worker may use it.
    fn remote(&self, uri: &str) -> Result<Remote, Refusal> {
        let refuse = |text: String| Refusal::Store { text, again: false };
        let open = |uri: &str| {
            let uri: RemoteUri = uri.parse().map_err(|error: gg_store::remote::RemoteError| error.to_string())?;
            Remote::open(&uri).map_err(|error| error.to_string())
        };
        let mut remotes = lock(&self.remotes);
        if let Some(known) = remotes.get(uri) {
            return Ok(known.clone());
        }
        let remote = match &self.settings.store {
            None => open(uri).map_err(refuse)?,
            Some(own) => {
                // What is compared is what it comes to, however it is written; the credentials are our own.
                let own = open(own).map_err(refuse)?;
                let asked = uri.parse::<RemoteUri>().map(|asked| asked.to_string());
                if !uri.is_empty() && !asked.is_ok_and(|asked| asked == own.uri()) {
                    return Err(refuse(format!("it is set up for {} and was asked for {uri}", own.uri())));
                }
                own
            }
        };
        remotes.insert(uri.to_owned(), remote.clone());
        Ok(remote)
    }
}

/// Runs jobs, each as soon as those are done that it depends on.
async fn run_all(
    shop: &Shop,
    links: Vec<Result<Link, Box<JobResult>>>,
    settings: Vec<(Duration, bool)>,
) -> (Vec<JobResult>, Vec<Times>) {
    let mut results: Vec<Option<JobResult>> = Vec::with_capacity(links.len());
    let mut waiting: Vec<Option<Link>> = Vec::with_capacity(links.len());
    for link in links {
        match link {
            Ok(link) => {
                results.push(None);
                waiting.push(Some(link));
            }
            Err(result) => {
                results.push(Some(*result));
                waiting.push(None);
            }
        }
    }
    let mut times = vec![Times::default(); results.len()];
    let mut under_way = JoinSet::new();
    loop {
        // Earlier jobs first: one that cannot be run settles those that need it.
        for at in 0..waiting.len() {
            let ready = |link: &mut Link| link.after.iter().all(|&earlier| results[earlier].is_some());
            let Some(mut link) = waiting[at].take_if(ready) else { continue };
            match take_over(&mut link, &results) {
                Err(result) => results[at] = Some(*result),
                Ok(()) => {
                    let (shop, (timeout, terminal)) = (shop.clone(), settings[at]);
                    under_way.spawn(async move { (at, shop.run(Arc::new(link), timeout, terminal).await) });
                }
            }
        }
        match under_way.join_next().await {
            Some(Ok((at, (result, took)))) => {
                results[at] = Some(result);
                times[at] = took;
            }
            Some(Err(_)) => {}
            None => break,
        }
    }
    let lost = || JobResult::Broken { text: "the worker failed in the middle of it".to_owned(), again: true };
    (results.into_iter().map(|result| result.unwrap_or_else(lost)).collect(), times)
}

/// Takes over what the jobs made that this one needs.
fn take_over(link: &mut Link, results: &[Option<JobResult>]) -> Result<(), Box<JobResult>> {
    for earlier in link.after.clone() {
        match &results[earlier] {
            Some(JobResult::Done { reduction }) => link.take(reduction)?,
            _ => {
                let reason = format!("job {earlier} of the request, whose output it needs, did not succeed");
                return Err(Box::new(JobResult::NotRun { reason }));
            }
        }
    }
    Ok(())
}

//! Engines that are not this machine: set up as the settings say, and reported on.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use gg_force::{Engine, LambdaEngine, LambdaOptions, Ledger, LedgerError};
use gg_ir::{Kind, Name, Reduction, Thunk};
use gg_store::Store;
use gg_store::remote::RemoteUri;

use crate::config::Config;
use crate::cost::{self, Usage};
use crate::report::EngineRecord;
use crate::settings::Settings;

/// How many requests are under way at once where nothing is said.
const JOBS: usize = 100;

/// The engine on AWS Lambda, and what else is done with its store.
pub struct Far {
    engine: Arc<LambdaEngine>,
    region: String,
    jobs: usize,
    reductions: Reductions,
}

/// What is done with the shared cache of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reductions {
    Off,
    Read,
    ReadWrite,
}

impl Far {
    /// Sets it up; nothing is sent yet.
    ///
    /// # Errors
    /// When something is not configured; the text says what to do.
    pub fn start(store: &Arc<Store>, settings: &Settings, jobs: Option<usize>, terminal: bool) -> Result<Self> {
        let config = &settings.config;
        let (uri, function) = (store_of(config)?, function_of(config)?);
        let reductions = match config.store.reductions.as_deref() {
            None | Some("off") => Reductions::Off,
            Some("read") => Reductions::Read,
            Some("read-write") => Reductions::ReadWrite,
            Some(other) => bail!("the shared cache of results can be off, read or read-write, not {other:?}"),
        };
        let jobs = jobs.unwrap_or(JOBS);
        let options = LambdaOptions {
            larger: config.lambda.larger.clone(),
            region: config.lambda.region.clone(),
            endpoint: config.lambda.endpoint.clone(),
            jobs,
            terminal,
            ..LambdaOptions::new(function)
        };
        let notes = settings.directory.join("remotes");
        let engine = LambdaEngine::new(options, &uri, &notes, Arc::clone(store))?;
        let variable = |name| std::env::var(name).ok();
        let region =
            config.lambda.region.clone().or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
        Ok(Self { engine: Arc::new(engine), region: region.unwrap_or_default(), jobs, reductions })
    }

    /// Says who is told, once, when the service is not asked any more.
    pub fn on_down(&self, tell: impl Fn(&str) + Send + Sync + 'static) {
        self.engine.on_down(Box::new(tell));
    }

    /// The engine itself.
    pub fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine) as _
    }

    /// The ledger with the shared cache behind it, where that is wanted.
    pub fn ledger(&self, ledger: Arc<dyn Ledger>) -> Arc<dyn Ledger> {
        match self.reductions {
            Reductions::Off => ledger,
            _ => Arc::new(Shared {
                ledger,
                engine: Arc::clone(&self.engine),
                write: self.reductions == Reductions::ReadWrite,
            }),
        }
    }

    /// Ends in order.
    pub fn end(&self) {
        if self.reductions == Reductions::ReadWrite {
            self.engine.finish_sharing();
        }
    }

    fn usage(&self) -> Usage {
        let (tally, counters) = (self.engine.tally(), self.engine.counters());
        Usage {
            requests: tally.requests,
            mib_ms: tally.mib_ms,
            puts: counters.put + counters.list + tally.stored,
            gets: counters.get + counters.head + tally.store_requests.saturating_sub(tally.stored),
            bytes_out: counters.bytes_down,
        }
    }

    /// What it has cost so far, in US dollars.
    pub fn dollars(&self) -> f64 {
        cost::dollars(&self.usage(), &self.region)
    }

    /// Bytes that went there and came from there, and what it has cost so far.
    pub fn so_far(&self) -> crate::console::Far {
        let (tally, counters) = (self.engine.tally(), self.engine.counters());
        crate::console::Far {
            up: counters.bytes_up + tally.sent,
            down: counters.bytes_down + tally.received,
            dollars: self.dollars(),
        }
    }

    /// For the report.
    pub fn entry(&self) -> EngineRecord {
        let (tally, counters) = (self.engine.tally(), self.engine.counters());
        let mut counts: std::collections::BTreeMap<String, u64> = [
            ("requests", tally.requests),
            ("answers", tally.answers),
            ("throttled", tally.throttled),
            ("failed", tally.failed),
            ("crashed", tally.crashed),
            ("lost", tally.lost),
            ("corrupt", tally.corrupt),
            ("duplicated", tally.duplicated),
            ("duplicates_won", tally.duplicates_won),
            ("uploaded_again", tally.uploaded_again),
            ("given_back", tally.given_back),
            ("cold", tally.cold),
            ("billed_ms", tally.billed_ms),
            ("mib_ms", tally.mib_ms),
            ("fetch_us", tally.phases.fetch),
            ("materialise_us", tally.phases.materialise),
            ("run_us", tally.phases.run),
            ("store_us", tally.phases.store),
            ("worker_store_requests", tally.store_requests),
            ("worker_bytes_down", tally.bytes_down),
            ("worker_bytes_up", tally.bytes_up),
            ("bytes_sent", tally.sent),
            ("bytes_received", tally.received),
            ("store_puts", counters.put),
            ("store_gets", counters.get),
            ("store_heads", counters.head),
            ("store_lists", counters.list),
            ("store_bytes_up", counters.bytes_up),
            ("store_bytes_down", counters.bytes_down),
        ]
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count))
        .collect();
        counts.retain(|_, count| *count > 0);
        EngineRecord {
            name: self.engine.name().to_owned(),
            jobs: self.jobs,
            counts,
            dollars: self.dollars(),
            down: self.engine.down(),
        }
    }
}

/// The function that is configured.
///
/// # Errors
/// When none is.
pub fn function_of(config: &Config) -> Result<&str> {
    config.lambda.function.as_deref().context(
        "the engine lambda needs a function: `gg deploy aws` makes one and notes it; or set GG_FUNCTION, or `function` below \
         [lambda] in gg.toml",
    )
}

/// The remote store that is configured.
///
/// # Errors
/// When none is, or what is said is no store's URI.
pub fn store_of(config: &Config) -> Result<RemoteUri> {
    let uri = config.store.uri.as_deref().context(
        "the engine lambda needs a store: `gg deploy aws` makes one and notes it; or set GG_STORE, or `uri` below [store] in \
         gg.toml, to s3://BUCKET/PREFIX",
    )?;
    uri.parse().context("GG_STORE, or `uri` below [store] in gg.toml")
}

/// A ledger, and behind it what others have shared.
struct Shared {
    ledger: Arc<dyn Ledger>,
    engine: Arc<LambdaEngine>,
    write: bool,
}

impl Ledger for Shared {
    fn read_thunk(&self, name: &Name) -> Result<Arc<Thunk>, LedgerError> {
        self.ledger.read_thunk(name)
    }

    fn reduction(&self, thunk: &Name) -> Result<Option<Reduction>, LedgerError> {
        Ok(self.ledger.reduction(thunk)?.or_else(|| self.engine.shared(thunk)))
    }

    fn record(&self, reduction: &Reduction) -> Result<(), LedgerError> {
        self.ledger.record(reduction)?;
        if self.write {
            self.engine.share(reduction);
        }
        Ok(())
    }

    fn read(&self, value: &Name) -> Result<Vec<u8>, LedgerError> {
        self.ledger.read(value)
    }

    fn begins(&self, value: &Name, with: &[u8]) -> Result<bool, LedgerError> {
        self.ledger.begins(value, with)
    }

    fn put(&self, kind: Kind, bytes: &[u8]) -> Result<Name, LedgerError> {
        self.ledger.put(kind, bytes)
    }

    fn forget(&self, thunk: &Name) {
        self.ledger.forget(thunk);
    }
}

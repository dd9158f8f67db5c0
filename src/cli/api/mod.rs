//! `gg api`: thunks for other programs, in lines of JSON (`docs/api.md`).
//!
//! - `protocol`: what is said on either side
//! - `lines`: the pipe: reading requests, writing answers
//! - `open`: a `force` that has not been answered
//! - `server`: who answers

mod lines;
mod open;
mod protocol;
mod server;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gg_store::Store;

use crate::console::{Console, Look, Progress, Verbosity};
use crate::front::Forcer;
use crate::report::Chronicle;
use crate::settings::Settings;
use crate::signals::{Signals, die_of};

/// How long the last answers may take to be read.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers requests from standard input until it ends.
///
/// # Errors
/// When gg cannot work.
pub fn run(settings: &Settings, stop: Signals) -> Result<i32> {
    let store = Arc::new(Store::open(&settings.directory)?);
    let _lease = store.lease()?;
    // Another program shows its user how far things are.
    let look = Look { verbosity: Verbosity::Normal, progress: Progress::Off, ..settings.look };
    let console = Arc::new(Console::new(look));
    let begun = Instant::now();
    let root = std::env::current_dir().context("the current directory is gone")?;
    let command = ["gg", "api"].map(str::to_owned).into();
    let chronicle = Chronicle::new(&settings.directory, &root, command, true, begun);
    let forcer = Arc::new(Forcer::start(&store, settings, &console, true, Some(&chronicle), begun)?);
    let coordinator = Arc::clone(&forcer.forces.coordinator);
    drop(std::thread::Builder::new().name("gg-signals".into()).spawn(move || {
        let arrived = stop.wait();
        coordinator.cancel_all();
        die_of(arrived.signal);
    }));
    let server = server::Server::new(Arc::clone(&forcer))?;
    let served = lines::serve(&server);
    forcer.cancel_all();
    forcer.forces.end();
    console.end();
    chronicle.save(&forcer.forces, i32::from(served.is_err()), &console);
    // Whoever does not read the last answers does not keep gg from ending.
    let (done, ended) = channel();
    drop(std::thread::Builder::new().name("gg-end".into()).spawn(move || {
        drop((server, forcer));
        let _ = done.send(());
    }));
    let _ = ended.recv_timeout(PATIENCE);
    served?;
    Ok(0)
}

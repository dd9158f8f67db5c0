//! `gg force`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use gg_force::Request;
use gg_store::Store;

use crate::console::Console;
use crate::engine::Forces;
use crate::run::STEP_FAILED;
use crate::session::{Deliveries, Journal, Placeholders};
use crate::settings::Settings;
use crate::{pending, signals};

/// Computes what placeholders stand for and puts it in their place: in `files`, or wherever the last `gg infer` of this
/// directory left one.
///
/// # Errors
/// When a file is no placeholder and not there either, or gg cannot work.
pub fn run(files: &[PathBuf], settings: &Settings, stop: signals::Signals) -> Result<i32> {
    let root = std::env::current_dir().context("the current directory is gone")?;
    let store = Arc::new(Store::open(&settings.directory)?);
    let _lease = store.lease()?;
    let console = Arc::new(Console::new(settings.status));
    let journal = Journal::create(&settings.directory.join("sessions"), &root).context("cannot set up a session")?;
    let placeholders = Arc::new(Placeholders::new(journal));
    let deliveries = Arc::new(Deliveries::new(Arc::clone(&store), Arc::clone(&placeholders), Arc::clone(&console)));
    let forces =
        Forces::start(Arc::clone(&store), settings, Arc::clone(&deliveries) as _, true, &Arc::default(), &console)?;
    deliveries.bind(&forces.coordinator);
    let paths = if files.is_empty() { pending::load(&settings.directory, &root) } else { files.to_vec() };

    let coordinator = Arc::clone(&forces.coordinator);
    drop(std::thread::Builder::new().name("gg-signals".into()).spawn(move || {
        let arrived = stop.wait();
        // What is not computed yet stays a placeholder.
        coordinator.cancel_all();
        signals::die_of(arrived.signal);
    }));

    let mut wanted = Vec::new();
    for path in paths {
        let path = root.join(path);
        match placeholders.adopt(&path) {
            Some(placeholder) => {
                let (name, label) = (placeholder.thunk, path.display().to_string());
                forces.coordinator.add(Request {
                    name,
                    thunk: None,
                    kind: "other".into(),
                    label,
                    volatile: false,
                    eager: false,
                });
                wanted.push((path, placeholder));
            }
            None if files.is_empty() || path.exists() => {}
            None => bail!("{}: no such file", path.display()),
        }
    }
    // A thunk may have several files here: what it says is said once.
    let mut told = BTreeSet::new();
    let mut failed = 0;
    for (path, placeholder) in &wanted {
        let outcome = forces.coordinator.wait(&placeholder.thunk);
        let done = match outcome {
            Ok(reduction) => {
                if told.insert(placeholder.thunk) {
                    console.output(&reduction.stdout, &reduction.stderr);
                }
                deliveries
                    .complete(&placeholder.thunk, &reduction)
                    .map_err(|(path, error)| format!("cannot write {}: {error}", path.display()))
            }
            Err(failure) => {
                if let (gg_force::Cause::Program(program), true) = (&failure.cause, told.insert(placeholder.thunk)) {
                    console.output(&program.stdout, &program.stderr);
                }
                Err(failure.cause.to_string())
            }
        };
        if let Err(why) = done {
            console.notice(&format!("{}: {why}", path.display()));
            failed += 1;
        }
    }
    forces.coordinator.wait_all();
    forces.end();
    let mut still = pending::load(&settings.directory, &root);
    still.retain(|path| Placeholders::at(path).is_some());
    pending::store(&settings.directory, &root, &still)?;
    let directory = placeholders.journal().directory().to_path_buf();
    drop(std::fs::remove_dir_all(directory));
    Ok(if failed > 0 { STEP_FAILED } else { 0 })
}

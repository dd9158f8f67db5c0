//! `gg force`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use gg_force::{Cause, ThunkFailure};
use gg_store::Store;

use crate::console::Console;
use crate::engine::{Forces, Manner};
use crate::report::Chronicle;
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
    let began = Instant::now();
    let root = std::env::current_dir().context("the current directory is gone")?;
    let store = Arc::new(Store::open(&settings.directory)?);
    let _lease = store.lease()?;
    let console = Arc::new(Console::new(settings.look));
    let journal = Journal::create(&settings.directory.join("sessions"), &root).context("cannot set up a session")?;
    let placeholders = Arc::new(Placeholders::new(journal));
    let begun = Instant::now();
    let names = files.iter().map(|file| file.to_string_lossy().into_owned());
    let command = ["gg", "force"].map(str::to_owned).into_iter().chain(names).collect();
    let mut chronicle = Chronicle::new(&settings.directory, &root, command, false, begun);
    chronicle.announce();
    let deliveries = Arc::new(Deliveries::new(
        Arc::clone(&store),
        Arc::clone(&placeholders),
        Arc::clone(&console),
        Arc::clone(chronicle.recorder()),
    ));
    let next = Arc::clone(&deliveries) as _;
    let observer = Arc::new(chronicle.observer(&store, next));
    let chronicle = Arc::new(chronicle);
    let manner = Manner { keep_going: true, confirm: true, terminal: true };
    let forces = Forces::start(Arc::clone(&store), settings, observer, manner, &Arc::default(), &console, begun)?;
    let forces = Arc::new(forces);
    deliveries.bind(&forces.coordinator);
    let paths = if files.is_empty() { pending::load(&settings.directory, &root) } else { files.to_vec() };

    let failing = Arc::clone(&deliveries);
    console.follow(forces.status(root.clone(), began, || false, move || failing.failures().count().0));
    let (coordinator, told, ended) = (Arc::clone(&forces.coordinator), Arc::clone(&console), Arc::clone(&chronicle));
    drop(std::thread::Builder::new().name("gg-signals".into()).spawn(move || {
        let arrived = stop.wait();
        told.end();
        // What is not computed yet stays a placeholder.
        coordinator.cancel_all();
        ended.end();
        signals::die_of(arrived.signal);
    }));

    let mut wanted = Vec::new();
    for path in paths {
        let path = root.join(path);
        if Placeholders::at(&path).is_none() && !files.is_empty() && !path.exists() {
            chronicle.end();
            bail!("{}: no such file", path.display());
        }
        wanted.push(path);
    }
    let tell = |path: &Path, failure: &ThunkFailure| {
        let root = match &failure.cause {
            Cause::Dependency(name) => forces.coordinator.wait(name).err(),
            _ => None,
        };
        deliveries.failures().tell_forced(path, failure, root.as_deref());
    };
    let failed = pending::settle(&wanted, &placeholders, &forces.coordinator, &deliveries, &console, &tell);
    forces.coordinator.wait_all();
    forces.end();
    console.end();
    if let Some(text) = deliveries.failures().summary() {
        console.notice(&text);
    }
    let mut still = pending::load(&settings.directory, &root);
    still.retain(|path| Placeholders::at(path).is_some());
    pending::store(&settings.directory, &root, &still)?;
    let status = if failed > 0 { STEP_FAILED } else { 0 };
    chronicle.save(&forces, status, &console);
    let directory = placeholders.journal().directory().to_path_buf();
    drop(std::fs::remove_dir_all(directory));
    Ok(status)
}

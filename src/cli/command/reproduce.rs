//! `gg reproduce`.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use gg_store::Store;

use crate::inspect::{Sandboxed, find, unpack, visit, words};
use crate::settings::Settings;
use crate::signals::{self, Signals};

/// Opens a shell in the sandbox that a step ran in, runs a command there, or unpacks it into a folder; the exit status of what
/// ran there.
///
/// # Errors
/// When there is no such step, or what its sandbox holds is not in the store.
pub fn run(what: &OsStr, into: Option<&Path>, command: &[OsString], settings: &Settings, stop: Signals) -> Result<i32> {
    let store = Arc::new(Store::open(&settings.directory)?);
    // What the sandbox shows is not collected meanwhile.
    let _lease = store.lease()?;
    let found = find(what, &store, settings)?;
    let step = Sandboxed::of(&found, &store)?;
    #[cfg(feature = "lambda")]
    crate::inspect::bring(&step, &store, settings)?;
    if let Some(folder) = into {
        unpack(&found, &step, &store, folder)?;
        println!("{}: the sandbox of {}; run.sh runs its command", folder.display(), found.label());
        return Ok(0);
    }
    if command.is_empty() {
        let (label, kind, ending) = (found.label(), &found.step().kind, words::ending(found.step()));
        eprintln!("gg: the sandbox of {label} ({kind}, {ending}); its command, which `run` runs as gg did:");
        eprintln!("    {}", crate::shell::line(&step.thunk.function.args));
        eprintln!("gg: what is written here is gone when you leave; `exit` does");
    }
    drop(std::thread::Builder::new().name("gg-signals".into()).spawn(move || {
        loop {
            // A terminal's Ctrl-C is for the program in the sandbox, which ends with this process in any case.
            let arrived = stop.wait();
            if arrived.to_us_alone {
                signals::die_of(arrived.signal);
            }
        }
    }));
    visit(&step, command, &store, &settings.directory)
}

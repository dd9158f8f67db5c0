//! `gg doctor`: whether gg can work here, and with the engines that are set up.
//!
//! # Layout
//!
//! - `findings`: [`findings::Findings`]: what was found, for a person and for a program
//! - `setup`: gg itself, its directory, its configuration
//! - `tools`: the compilers and their kin
//! - `machine`: what the kernel grants
//! - `remote`: the engine `lambda`: who we are, the store, the function
//! - `canary`: a small program, compiled and linked plainly and by each engine
//!
//! What cannot be looked at since something before it failed is said to be that, and fails nothing.

mod canary;
mod findings;
mod machine;
#[cfg(feature = "lambda")]
mod remote;
mod setup;
mod tools;

use anyhow::{Context, Result};

use crate::engines::{Choice, Kind};
use crate::signals::{Signals, die_of};
use findings::Findings;

/// The exit status when something keeps gg from working.
const UNFIT: i32 = 1;

/// Looks at everything; returns the exit status.
///
/// # Errors
/// When what was found cannot be told.
pub fn run(engines: Vec<Choice>, json: bool, stop: Signals) -> Result<i32> {
    let place = canary::Place::new();
    let swept = place.clone();
    std::thread::Builder::new()
        .spawn(move || {
            let arrived = stop.wait();
            swept.remove();
            die_of(arrived.signal)
        })
        .context("cannot start a thread")?;
    let mut findings = Findings::new(!json);
    let settings = setup::look(&mut findings);
    let compilers = tools::look(&mut findings);
    let Some(mut settings) = settings else {
        findings.group("this machine");
        findings.skipped("all else", "there is no place for a store");
        return findings.end(json).map(|()| UNFIT);
    };
    let asked = engines.iter().map(|choice| choice.kind).collect::<Vec<_>>();
    settings.choose(engines, None);
    let kinds = if asked.is_empty() { used(&settings.engines) } else { asked };
    let isolated = machine::look(&mut findings, &settings);
    for kind in [Kind::Local, Kind::Lambda].into_iter().filter(|kind| kinds.contains(kind)) {
        let ready = match kind {
            Kind::Local => isolated,
            #[cfg(feature = "lambda")]
            Kind::Lambda => remote::look(&mut findings, &settings, &compilers),
            #[cfg(not(feature = "lambda"))]
            Kind::Lambda => {
                findings.group("engine lambda");
                findings.failed("engine", "this gg was built without it", "build gg with its default features");
                false
            }
        };
        canary::look(&mut findings, &place, &settings, kind, &compilers, ready);
    }
    let failed = findings.has_failed();
    findings.end(json)?;
    Ok(if failed { UNFIT } else { 0 })
}

/// The kinds of engine that builds use.
fn used(engines: &[Choice]) -> Vec<Kind> {
    if engines.is_empty() { vec![Kind::Local] } else { engines.iter().map(|choice| choice.kind).collect() }
}

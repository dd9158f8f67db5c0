//! Ends a build whose supervisor is dead.
//!
//! Everything that the build may take for finished must be finished, as after an interruption at the terminal. So the order
//! matters:
//!
//! 1. Programs that catch `SIGTERM` get it first: `make` deletes the targets that it is making, compilers delete what they
//!    are writing. They may go on with their calls, but for opening placeholders.
//! 2. All others stop where their next trapped call is. If one of them would fail or die first, a shell could go on with
//!    the next command, or `make` take a truncated file for a finished one.
//! 3. When the first are gone, or have had their time, the others are killed; then whatever is left.

use std::collections::HashSet;
use std::io::Read as _;
use std::time::{Duration, Instant};

use crate::calls::{Abi, Call};
use crate::family::{catches_sigterm, descendants, process_of};
use crate::filter::{OPEN_BLIND, OPEN_NEW};
use crate::judge;
use crate::keeper::{pause, reap_one};
use crate::listener::{Listener, Notice};
use crate::place::{Place, Views};

/// Whether a file that begins with these bytes is a placeholder.
pub type Refuse = fn(&[u8]) -> bool;

/// How many bytes of a file are looked at.
const HEAD: u64 = 4096;
/// How long programs have to tidy up before what they may be waiting for is killed.
const TIDYING: Duration = Duration::from_millis(500);
/// How long until they are killed themselves.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Between two looks.
const TICK: Duration = Duration::from_millis(10);
/// Processes that cannot be killed are in the kernel's hands (a dead network file system); they are left there.
const AT_LAST: Duration = Duration::from_secs(10);

/// Ends everything that descends from this process.
pub(crate) fn end(listener: Option<&Listener>, refuse: Refuse) {
    let below = || descendants(std::process::id() as i32).unwrap_or_default();
    let begun = Instant::now();
    let (tidying, frozen): (Vec<i32>, Vec<i32>) = below().into_iter().partition(|pid| catches_sigterm(*pid));
    for pid in &tidying {
        signal(*pid, libc::SIGTERM);
        // One that was stopped at the terminal.
        signal(*pid, libc::SIGCONT);
    }
    let (tidying, frozen): (HashSet<i32>, HashSet<i32>) = (tidying.into_iter().collect(), frozen.into_iter().collect());
    let views = Views::default();
    views.change();
    loop {
        while reap_one().is_some() {}
        let left = below();
        let spent = begun.elapsed();
        if left.is_empty() || spent > AT_LAST {
            return;
        }
        let tidied = spent > TIDYING || !left.iter().any(|pid| tidying.contains(pid));
        for pid in left {
            if spent > PATIENCE || tidied && !tidying.contains(&pid) {
                signal(pid, libc::SIGKILL);
            }
        }
        match listener.filter(|listener| !listener.gone(Some(Duration::ZERO))) {
            None => pause(TICK),
            Some(listener) => {
                while listener.ready(TICK) {
                    let Some(notice) = listener.receive() else { break };
                    // Left without an answer until it is killed.
                    if process_of(notice.pid).is_some_and(|pid| !frozen.contains(&pid)) {
                        answer(listener, &notice, &views, refuse);
                    }
                }
            }
        }
    }
}

/// Lets every call go on, but for those that would read a placeholder, until no process is left under the filter.
pub(crate) fn serve(listener: &Listener, refuse: Refuse) {
    let views = Views::default();
    views.change();
    while !listener.gone(Some(Duration::ZERO)) {
        while reap_one().is_some() {}
        if listener.ready(Duration::from_secs(1))
            && let Some(notice) = listener.receive()
        {
            answer(listener, &notice, &views, refuse);
        }
    }
}

fn answer(listener: &Listener, notice: &Notice, views: &Views, refuse: Refuse) {
    match reads(notice, views) {
        Some(place) if is_refused(&place, refuse) => listener.fail(notice.id, libc::EIO),
        _ => listener.go_on(notice.id),
    }
}

/// The file whose content the call is about, if it is about one.
fn reads(notice: &Notice, views: &Views) -> Option<Place> {
    let (_, call) = Abi::find(notice.data.arch, notice.data.nr as u32)?;
    let flags = |position: usize| notice.data.args[position] as i32;
    let (at, follow) = match call {
        Call::Open { at, flags: position } => {
            let flags = flags(position);
            if flags & OPEN_BLIND != 0 || flags & OPEN_NEW == OPEN_NEW {
                return None;
            }
            (at, true)
        }
        Call::Link { from, .. } => (from, false),
        Call::Open2 { at, .. } | Call::Exec { at, .. } | Call::Truncate { at } => (at, true),
        _ => return None,
    };
    judge::place(notice, at, follow, views).ok()
}

fn is_refused(place: &Place, refuse: Refuse) -> bool {
    if !place.look().is_some_and(|found| found.is_file()) {
        return false;
    }
    let Ok(file) = place.open(libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY) else { return false };
    let mut head = Vec::new();
    std::fs::File::from(file).take(HEAD).read_to_end(&mut head).is_ok() && refuse(&head)
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: plain numbers; a process that is gone is no error.
    unsafe { libc::kill(pid, signal) };
}

//! One build from beginning to end.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use gg_store::Store;
use gg_watch::Watch;

use crate::console::Console;
use crate::engine::Forces;
use crate::report::Report;
use crate::session::{Deliveries, Journal, Options, Parts, Placeholders, Rescue, Session, SessionGuard, recover};
use crate::settings::Settings;
use crate::{signals, stand_ins};

/// The exit status when a step failed though the build command itself did not notice; make's own for any failure.
pub const STEP_FAILED: i32 = 2;

/// What a shell says of a command that cannot be found.
const NOT_FOUND: i32 = 127;

/// How long the build command has to end in order after Ctrl-C.
const GRACE: Duration = Duration::from_millis(600);

/// What to build, and how.
pub struct Build {
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// Steps are run; without, placeholders stay (`gg infer`).
    pub force: bool,
    /// A failed step does not keep others from being started.
    pub keep_going: bool,
}

/// Runs a build; returns its exit status.
///
/// # Errors
/// When gg itself cannot work; nothing has been built then.
pub fn run(build: &Build, settings: &Settings, stop: signals::Signals) -> Result<i32> {
    let began = (Instant::now(), SystemTime::now());
    let root = std::env::current_dir().context("the current directory is gone; change to one that exists")?;
    let console = Arc::new(Console::new(settings.status));
    let store = match Store::open(&settings.directory) {
        Ok(store) => Arc::new(store),
        Err(error) => return without_gg(build, &console, &error.into()),
    };
    // Held to the end: what this build uses is not collected meanwhile.
    let _lease = store.lease().context("cannot protect this build's objects from `gg gc`")?;
    signals::adopt_orphans();

    let sessions = settings.directory.join("sessions");
    let journal = Journal::create(&sessions, &root)
        .with_context(|| format!("cannot set up a session in {}", sessions.display()))?;
    let placeholders = Arc::new(Placeholders::new(journal));
    let deliveries = Arc::new(Deliveries::new(Arc::clone(&store), Arc::clone(&placeholders), Arc::clone(&console)));
    let rescue = Arc::new(Rescue::default());
    let forces =
        Forces::start(Arc::clone(&store), settings, Arc::clone(&deliveries) as _, build.keep_going, &rescue, &console)?;
    deliveries.bind(&forces.coordinator);
    recover(&sessions, &root, &placeholders, &deliveries, &forces.coordinator, &console);

    let eager_reason = match (settings.lazy, gg_watch::supported()) {
        (false, _) => Some("GG_LAZY=0 asks for it".to_owned()),
        _ if !forces.isolated => Some("steps are not isolated, so they work on the files of the tree".to_owned()),
        (true, Err(why)) => Some(why.to_string()),
        (true, Ok(())) => None,
    };
    let parts = Parts {
        store: Arc::clone(&store),
        tools: settings.tools.clone(),
        placeholders: Arc::clone(&placeholders),
        deliveries: Arc::clone(&deliveries),
        coordinator: Arc::clone(&forces.coordinator),
        console: Arc::clone(&console),
    };
    let options = Options { lazy: eager_reason.is_none(), force: build.force, keep_going: build.keep_going };
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let session = Session::start(parts, options.clone(), &root, &path)?;
    rescue.bind(&session);
    let guard = Arc::new(SessionGuard::new(Arc::clone(&session)));

    let mut command = command(build, session.stand_ins(), &path, &sessions);
    let (mut child, watch) = match spawn(&mut command, options.lazy.then(|| Arc::clone(&guard))) {
        Ok(started) => started,
        Err(error) => {
            console.end();
            session.close();
            placeholders_of(placeholders, session, guard);
            let program = build.command[0].to_string_lossy();
            eprintln!("gg: cannot start {program}: {error}; is it installed and on PATH?");
            return Ok(NOT_FOUND);
        }
    };

    let interruption = Arc::new(Interruption::default());
    watch_signals(stop, child.id() as i32, &interruption, &forces, &deliveries);
    let ticker = tick(&console, &forces);
    let status = child.wait().context("cannot wait for the build command")?;
    interruption.make_ended.store(true, Ordering::SeqCst);
    let signal = || interruption.signal.load(Ordering::SeqCst);
    if build.force && signal() == 0 {
        forces.coordinator.wait_all();
    }
    forces.end();
    ticker.store(true, Ordering::SeqCst);
    if let Some(watch) = &watch {
        watch.end();
    }
    console.end();
    let left = placeholders.remaining();
    if build.force {
        // Steps that never ran: after an interruption, or with one that failed.
        left.iter().for_each(|path| drop(std::fs::remove_file(path)));
    } else {
        crate::pending::save(&settings.directory, &root, &left)?;
    }

    let (failures, not_run) = deliveries.failures();
    let code = match exit_code(status) {
        0 if failures + not_run > 0 || deliveries.failed() => STEP_FAILED,
        code => code,
    };
    if failures > 0 {
        let others = if not_run > 0 { format!("; {not_run} more were not run because of it") } else { String::new() };
        console.notice(&format!("{failures} {} failed{others}", if failures == 1 { "step" } else { "steps" }));
    }
    let (steps, here, notices) = deliveries.take_report();
    let report = Report {
        root,
        command: build.command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        started: began.1.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        wall_ms: began.0.elapsed().as_millis() as u64,
        status: Some(code),
        lazy: options.lazy,
        eager_reason,
        sandbox: forces.sandbox.clone(),
        steps,
        here,
        bypassed: guard.bypassed(),
        notices,
    };
    // The build is done; what cannot be noted down does not undo it.
    if let Err(error) = report.save(&settings.directory).and_then(|()| store.save_stamps().map_err(io::Error::other)) {
        console.notice(&format!("cannot write to {}: {error}", settings.directory.display()));
    }
    session.close();
    drop(watch);
    placeholders_of(placeholders, session, guard);
    match signal() {
        0 => Ok(code),
        signal => signals::die_of(signal),
    }
}

/// Ends the session's bookkeeping on disk.
fn placeholders_of(placeholders: Arc<Placeholders>, session: Arc<Session>, guard: Arc<SessionGuard>) {
    let directory = placeholders.journal().directory().to_path_buf();
    drop((session, guard, placeholders));
    // Nothing stands any more, or what stands is meant to; what cannot be removed is swept by the next session.
    let _ = std::fs::remove_dir_all(directory);
}

/// A store that cannot be used must not keep anyone from building.
fn without_gg(build: &Build, console: &Console, error: &anyhow::Error) -> Result<i32> {
    console.notice(&format!("{error:#}"));
    console.notice("building without gg, since its store cannot be used");
    let error = Command::new(&build.command[0]).args(&build.command[1..]).exec();
    console.notice(&format!("cannot start {}: {error}", build.command[0].to_string_lossy()));
    Ok(NOT_FOUND)
}

fn command(build: &Build, stand_ins: &Path, path: &OsStr, sessions: &Path) -> Command {
    let mut leading = OsString::from(stand_ins);
    leading.push(":");
    leading.push(stand_ins::path_without(path, sessions));
    let mut command = Command::new(&build.command[0]);
    command.args(&build.command[1..]).env("PATH", leading);
    // SAFETY: one system call.
    unsafe {
        command.pre_exec(|| {
            // If gg is killed, make ends in order and removes what it was making.
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            Ok(())
        });
    }
    command
}

fn spawn(command: &mut Command, guard: Option<Arc<SessionGuard>>) -> Result<(Child, Option<Watch>)> {
    match guard {
        None => Ok((command.spawn()?, None)),
        Some(guard) => {
            let (child, watch) = gg_watch::spawn(command, guard)?;
            Ok((child, Some(watch)))
        }
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1)
}

#[derive(Default)]
struct Interruption {
    /// The signal that arrived, or zero.
    signal: AtomicI32,
    make_ended: AtomicBool,
}

/// Ends everything that gg started when a signal arrives.
fn watch_signals(
    stop: signals::Signals,
    make: i32,
    interruption: &Arc<Interruption>,
    forces: &Forces,
    deliveries: &Arc<Deliveries>,
) {
    let (interruption, deliveries) = (Arc::clone(interruption), Arc::clone(deliveries));
    let coordinator = Arc::clone(&forces.coordinator);
    let watching = std::thread::Builder::new().name("gg-signals".into()).spawn(move || {
        loop {
            let arrived = stop.wait();
            let again = interruption.signal.swap(arrived.signal, Ordering::SeqCst) != 0;
            deliveries.interrupt();
            let ended = || interruption.make_ended.load(Ordering::SeqCst);
            // Twice would keep make from tidying up.
            if arrived.to_us_alone && !again && !ended() {
                signals::send(make, arrived.signal);
            }
            coordinator.cancel_all();
            let patience = Instant::now();
            while !again && !ended() && patience.elapsed() < GRACE {
                std::thread::sleep(Duration::from_millis(10));
            }
            for pid in signals::descendants(std::process::id() as i32).unwrap_or_default() {
                signals::send(pid, libc::SIGKILL);
            }
        }
    });
    // Without the thread, a signal does nothing until the build ends, which the next start of gg repairs.
    drop(watching);
}

/// Keeps the status line up to date until the flag is set.
fn tick(console: &Arc<Console>, forces: &Forces) -> Arc<AtomicBool> {
    let done = Arc::new(AtomicBool::new(false));
    if console.is_terminal() {
        let (console, coordinator, done) = (Arc::clone(console), Arc::clone(&forces.coordinator), Arc::clone(&done));
        drop(std::thread::Builder::new().name("gg-status".into()).spawn(move || {
            while !done.load(Ordering::SeqCst) {
                let now = coordinator.progress();
                console.status(&format!(
                    "gg: {} of {} steps done ({} from the cache), {} running, {} failed",
                    now.done, now.total, now.cached, now.running, now.failed
                ));
                std::thread::sleep(Duration::from_millis(200));
            }
        }));
    }
    done
}

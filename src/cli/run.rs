//! One build from beginning to end.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use gg_force::{Coordinator, ThunkFailure};
use gg_store::Store;
use gg_watch::{Guard, Kept};

use crate::compile_commands::CompileCommands;
use crate::console::{Console, summary};
use crate::engine::{Forces, Manner, OWN_PROGRAM};
use crate::report::{self, Record, Recorder, Runs};
use crate::session::{
    Deliveries, Heir, Journal, Options, Parts, Placeholders, Repair, Rescue, Session, SessionGuard, recover,
};
use crate::settings::Settings;
use crate::wanted::Wanted;
use crate::{pending, signals, stand_ins};

/// The exit status when a step failed though the build command itself did not notice; make's own for any failure.
pub const STEP_FAILED: i32 = 2;

/// What a shell says of a command that cannot be found.
const NOT_FOUND: i32 = 127;

/// How long the build has to end in order after Ctrl-C, before what does not tidy up is killed.
const GRACE: Duration = Duration::from_millis(500);

/// How long until the rest is killed, from the beginning as well.
const LAST_GRACE: Duration = Duration::from_millis(750);

/// How long it is tried to kill the rest. What does not end by then hangs in the kernel.
const KILLING: Duration = Duration::from_secs(10);

/// What to build, and how.
pub struct Build {
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// Which outputs are computed, and which stay placeholders.
    pub wanted: Wanted,
    /// Where the commands that compile are written down, if anywhere.
    pub compile_commands: Option<PathBuf>,
    /// A failed step does not keep others from being started.
    pub keep_going: bool,
    /// The build command was told to take no notice of failures (`make -i`): its exit status is the word.
    pub ignore_errors: bool,
    /// The build command was told to say little (`make -s`): when all goes well, gg says nothing at the end.
    pub silent: bool,
}

/// What an earlier `gg infer` left here becomes real files first: a program that make starts could not tell them from sources.
/// A step that fails is make's to do again.
fn settle_earlier(
    settings: &Settings,
    root: &Path,
    placeholders: &Placeholders,
    forces: &Forces,
    deliveries: &Deliveries,
    console: &Console,
) -> Result<()> {
    let left = pending::load(&settings.directory, root);
    if left.is_empty() {
        return Ok(());
    }
    let tell = |path: &Path, failure: &ThunkFailure| {
        console.detail(&format!("{} is left to the build: {}", path.display(), failure.cause));
    };
    pending::settle(&left, placeholders, &forces.coordinator, deliveries, console, &tell);
    for path in left.iter().filter(|path| Placeholders::at(path).is_some()) {
        std::fs::remove_file(path).with_context(|| format!("cannot remove the placeholder {}", path.display()))?;
    }
    pending::store(&settings.directory, root, &[])
}

/// Runs a build; returns its exit status.
///
/// # Errors
/// When gg itself cannot work; nothing has been built then.
pub fn run(build: &Build, settings: &Settings, stop: signals::Signals) -> Result<i32> {
    let began = (Instant::now(), SystemTime::now());
    let root = std::env::current_dir().context("the current directory is gone; change to one that exists")?;
    let console = Arc::new(Console::new(settings.look));
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
    let recorder = Arc::new(Recorder::new(began.0));
    let runs = Runs::of(&settings.directory, &root);
    let began_as = Record {
        version: report::VERSION,
        gg: env!("CARGO_PKG_VERSION").to_owned(),
        root: root.clone(),
        command: build.command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        started: began.1.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        ..Record::default()
    };
    // Without, a build that is killed is not missed by `gg report`; that is no reason not to build.
    let underway = runs.begin(&began_as).ok();
    let delivering = |recorder: &Arc<Recorder>| {
        let (store, placeholders, console) = (Arc::clone(&store), Arc::clone(&placeholders), Arc::clone(&console));
        Arc::new(Deliveries::new(store, placeholders, console, Arc::clone(recorder)))
    };
    let deliveries = delivering(&recorder);
    let rescue = Arc::new(Rescue::default());
    let observer = Arc::clone(&deliveries) as _;
    let manner = Manner { keep_going: build.keep_going, confirm: true, terminal: true };
    let forces = Forces::start(Arc::clone(&store), settings, observer, manner, &rescue, &console, began.0)?;
    let forces = Arc::new(forces);
    deliveries.bind(&forces.coordinator);
    let interruption = Arc::new(Interruption::default());
    interruption.ends(&forces.coordinator);
    watch_signals(stop, &interruption, &deliveries, &console);
    let repair = || {
        // What an earlier build left is none of this one's steps.
        let deliveries = delivering(&Arc::new(Recorder::new(began.0)));
        let rescue = Arc::new(Rescue::default());
        let observer = Arc::clone(&deliveries) as _;
        let forces = Forces::start(
            Arc::clone(&store),
            settings,
            observer,
            Manner { keep_going: true, ..manner },
            &rescue,
            &console,
            began.0,
        )?;
        deliveries.bind(&forces.coordinator);
        interruption.ends(&forces.coordinator);
        Ok(Repair { coordinator: forces.coordinator, deliveries, store: Arc::clone(&store) })
    };
    let heir = Heir {
        roots: &roots(&root, build),
        notice: &|text| console.notice(text),
        interrupted: &|| interruption.signal() != 0,
    };
    if !recover(&sessions, &heir, &placeholders, repair)? {
        console.end();
        let directory = placeholders.journal().directory().to_path_buf();
        let _ = std::fs::remove_dir_all(directory);
        drop(underway);
        signals::die_of(interruption.signal());
    }

    if build.wanted.leaves_some() {
        // It goes on from there: whoever opens one of these gets the real file.
        pending::load(&settings.directory, &root).iter().for_each(|path| drop(placeholders.adopt(path)));
    } else {
        settle_earlier(settings, &root, &placeholders, &forces, &deliveries, &console)?;
    }
    let compile_commands =
        build.compile_commands.as_deref().map(|path| CompileCommands::open(path).map(Arc::new)).transpose()?;
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
        compile_commands: compile_commands.clone(),
    };
    let lazy = eager_reason.is_none();
    let options = Options {
        lazy,
        detours: lazy && gg_watch::redirects().is_ok(),
        wanted: build.wanted.clone(),
        isolated: forces.isolated,
        keep_going: build.keep_going,
    };
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let session = Session::start(parts, options.clone(), &root, &path)?;
    rescue.bind(&session);
    let guard = Arc::new(SessionGuard::new(Arc::clone(&session)));

    // Where the kernel leads tools to stand-ins, PATH need not: nobody finds gg's paths, and writes them down.
    let leading = (!session.leads()).then(|| session.stand_ins());
    let started = Kept::spawn(
        keeper(leading, &path, &sessions),
        &build.command,
        options.lazy.then(|| Arc::clone(&guard) as Arc<dyn Guard>),
        placeholders.journal().lock(),
    );
    let mut kept = match started {
        Ok(kept) => kept,
        Err(error) => {
            console.end();
            session.close();
            placeholders_of(placeholders, session, guard);
            eprintln!("gg: {error}; is it installed and on PATH?");
            return Ok(NOT_FOUND);
        }
    };
    interruption.runs(&kept);
    let (make, failing) = (Arc::clone(&interruption), Arc::clone(&deliveries));
    console.follow(forces.status(
        root.clone(),
        began.0,
        move || !make.make_ended.load(Ordering::SeqCst),
        move || failing.failures().count().0,
    ));
    let status = kept.wait().context("cannot wait for the build command")?;
    interruption.make_ended.store(true, Ordering::SeqCst);
    let command_ended = recorder.elapsed();
    if interruption.signal() == 0 {
        forces.coordinator.wait_all();
        session.finish();
    }
    if interruption.signal() != 0 {
        interruption.finish();
    }
    forces.end();
    if let Some(watch) = kept.watch() {
        watch.end();
    }
    console.end();
    let left = placeholders.remaining();
    if build.wanted.leaves_some() {
        pending::save(&settings.directory, &root, left)?;
    } else {
        // Steps that never ran: after an interruption, or with one that failed.
        left.iter().for_each(|path| drop(std::fs::remove_file(path)));
    }
    if let Some(Err(error)) = compile_commands.map(|commands| commands.write()) {
        console.notice(&format!("{error:#}"));
    }

    let (failures, not_run) = deliveries.failures().count();
    let code = match exit_code(status) {
        0 if !build.ignore_errors && (failures + not_run > 0 || deliveries.failed()) => STEP_FAILED,
        code => code,
    };
    let interrupted = interruption.signal() != 0;
    if let Some(text) = deliveries.failures().summary() {
        console.notice(&text);
    } else if code == 0 && !interrupted && !build.silent {
        say_done(&console, &forces, began.0.elapsed());
    }
    let (here, notices) = recorder.take_calls();
    let record = Record {
        wall_ms: began.0.elapsed().as_millis() as u64,
        command_ended_us: Some(command_ended.as_micros() as u64),
        status: Some(code),
        lazy: options.lazy,
        eager_reason,
        sandbox: forces.sandbox.clone(),
        here,
        bypassed: guard.bypassed(),
        engines: forces.report(),
        notices,
        ..began_as
    };
    // The build is done; what cannot be noted down does not undo it.
    let recorded = runs.save(&record, recorder.take_steps()).map(drop);
    drop(underway);
    for saved in [recorded, store.save_stamps().map_err(io::Error::other), session.save()] {
        let Err(error) = saved else { continue };
        console.notice(&format!("cannot write to {}: {error}", settings.directory.display()));
    }
    session.close();
    if interruption.signal() != 0 {
        // make may end before what it started does.
        interruption.finish();
    }
    kept.release();
    placeholders_of(placeholders, session, guard);
    match interruption.signal() {
        0 => Ok(code),
        signal => signals::die_of(signal),
    }
}

/// Says what a build came to that had steps, and went well.
fn say_done(console: &Console, forces: &Forces, time: Duration) {
    let progress = forces.coordinator.progress();
    if progress.total > 0 {
        let dollars = forces.far().map(|far| far.dollars);
        console.success(&summary(progress.total, progress.cached, time, dollars));
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

/// What starts the build's command, with the stand-ins leading PATH if they are to.
fn keeper(stand_ins: Option<&Path>, path: &OsStr, sessions: &Path) -> Command {
    let without = stand_ins::path_without(path, sessions);
    let mut command = Command::new(OWN_PROGRAM);
    command.arg(crate::KEEPER);
    match stand_ins {
        Some(stand_ins) => {
            let mut leading = OsString::from(stand_ins);
            leading.push(":");
            leading.push(without);
            command.env("PATH", leading);
        }
        // The variable stays as it is, also where it is not set.
        None if without != path => drop(command.env("PATH", without)),
        None => {}
    }
    command
}

/// The trees that a command may build: where it starts, and every directory that its arguments name (`-C DIR`,
/// `--directory=DIR`, `O=DIR`).
fn roots(root: &Path, build: &Build) -> Vec<PathBuf> {
    let mut roots = vec![root.to_path_buf()];
    for argument in build.command.iter().skip(1).map(|argument| argument.as_bytes()) {
        let value = argument.iter().position(|&b| b == b'=').map(|at| &argument[at + 1..]);
        for text in [Some(argument), value, argument.strip_prefix(b"-C")].into_iter().flatten() {
            if let (false, Ok(path)) = (text.is_empty(), root.join(OsStr::from_bytes(text)).canonicalize())
                && path.is_dir()
                && path.parent().is_some()
            {
                roots.push(path);
            }
        }
    }
    roots
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1)
}

/// What ends when a signal arrives.
#[derive(Default)]
struct Interruption {
    /// The signal that arrived, or zero.
    signal: AtomicI32,
    /// The build command's process, or zero.
    make: AtomicI32,
    /// The keeper's process, or zero.
    keeper: AtomicI32,
    make_ended: AtomicBool,
    coordinators: Mutex<Vec<Arc<Coordinator>>>,
}

impl Interruption {
    fn signal(&self) -> i32 {
        self.signal.load(Ordering::SeqCst)
    }

    /// A signal ends this too.
    fn ends(&self, coordinator: &Arc<Coordinator>) {
        let mut coordinators = self.coordinators.lock().unwrap_or_else(PoisonError::into_inner);
        coordinators.push(Arc::clone(coordinator));
        if self.signal() != 0 {
            coordinator.cancel_all();
        }
    }

    /// The build command runs.
    fn runs(&self, kept: &Kept) {
        self.keeper.store(kept.keeper(), Ordering::SeqCst);
        self.make.store(kept.id(), Ordering::SeqCst);
        // It arrived before there was a process to tell.
        if self.signal() != 0 {
            signals::send(kept.id(), self.signal());
        }
    }

    /// Ends everything; `alone` if nobody else was sent the signal.
    fn end(&self, signal: i32, alone: bool) {
        let begun = Instant::now();
        let again = self.signal.swap(signal, Ordering::SeqCst) != 0;
        // Twice would keep programs from tidying up.
        if alone && !again {
            self.pass_on(signal);
        }
        let coordinators = self.coordinators.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // It waits for engines to let go; that is not to delay the rest. Without a thread, what they run is killed below.
        let cancel = move || coordinators.iter().for_each(|coordinator| coordinator.cancel_all());
        drop(std::thread::Builder::new().name("gg-cancel".into()).spawn(cancel));
        let wait = |limit: Duration| {
            while !again && !self.make_ended.load(Ordering::SeqCst) && begun.elapsed() < limit {
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        wait(GRACE);
        // First what others may be waiting for; make then sees its children end, and can still delete what it was making.
        self.kill(|pid| !gg_watch::catches_sigterm(pid));
        wait(LAST_GRACE);
        // More than once: what loses its parent while the list is made may be missing from it.
        loop {
            self.kill(|_| true);
            if self.make_ended.load(Ordering::SeqCst) || begun.elapsed() > KILLING {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal to the build as a terminal would have done: to its process group. `make` passes on only some signals,
    /// and the shells between it and another `make` none.
    fn pass_on(&self, signal: i32) {
        for pid in self.below() {
            if signals::in_our_group(pid) {
                signals::send(pid, signal);
            }
        }
    }

    fn kill(&self, which: impl Fn(i32) -> bool) {
        for pid in self.below().into_iter().filter(|pid| which(*pid)) {
            signals::send(pid, libc::SIGKILL);
        }
    }

    /// After an interruption, once the build command itself has ended: kills what it left, so that nothing outlives gg.
    fn finish(&self) {
        let begun = Instant::now();
        // A list may lack what lost its parent while it was made: only several empty ones are believed.
        let mut empty = 0;
        while begun.elapsed() < GRACE && empty < 3 {
            let below = self.below();
            empty = if below.is_empty() { empty + 1 } else { 0 };
            below.into_iter().for_each(|pid| signals::send(pid, libc::SIGKILL));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// All that descends from this process, but for the keeper.
    fn below(&self) -> Vec<i32> {
        let keeper = self.keeper.load(Ordering::SeqCst);
        let all = gg_watch::descendants(std::process::id() as i32).unwrap_or_default();
        all.into_iter().filter(|pid| *pid != keeper).collect()
    }
}

/// Ends everything that gg started when a signal arrives.
fn watch_signals(
    stop: signals::Signals,
    interruption: &Arc<Interruption>,
    deliveries: &Arc<Deliveries>,
    console: &Arc<Console>,
) {
    let (interruption, deliveries, console) = (Arc::clone(interruption), Arc::clone(deliveries), Arc::clone(console));
    let watching = std::thread::Builder::new().name("gg-signals".into()).spawn(move || {
        loop {
            let arrived = stop.wait();
            deliveries.failures().interrupt();
            console.end();
            interruption.end(arrived.signal, arrived.to_us_alone);
        }
    });
    // Without the thread, a signal does nothing until the build ends, which the next start of gg repairs.
    drop(watching);
}

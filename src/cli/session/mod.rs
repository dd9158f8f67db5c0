//! One build: stubs ask, models plan, steps are sealed and forced, files take the place of placeholders.
//!
//! # Layout, in the order in which a call travels
//!
//! - `wire`: what a stub says and what it is answered
//! - `callers`: the threads that wait for calls
//! - `answer`: what becomes of one call
//! - `copy`: copies of placeholders
//! - `probe`: which calls are awaited, and what is remembered of those that failed
//! - `temporary`, `alias`: probes whose names are made up anew each time, under names that stay the same
//! - `machine`: the file system and programs as models see them; `moment`: the same for one call, looked at once;
//!   `directories`: what is known of directories from call to call; `notices`: what the kernel says about changes in them
//! - `answers`: what programs answered, kept from build to build
//! - `stdin`: what a call reads from its standard input
//! - `gather`, `seal`: from a model's step to a thunk; `headers`: what headers were sealed as, from call to call
//! - `placeholders`, `standing`, `journal`: what stands in the tree meanwhile, what is known of it, and what a crash leaves
//! - `lost`: what is missing since the step that makes it failed
//! - `deliver`: results into the tree and before the person; `failures`: what is told of steps that failed
//! - `guard`: programs that open placeholders, or execute tools
//! - `detours`: where programs that execute a tool are led to
//! - `rescue`: what is tried before a failure is believed
//! - `recover`: what an earlier session that died left

mod alias;
mod answer;
mod answers;
mod callers;
mod copy;
mod deliver;
mod detours;
mod directories;
mod failures;
mod gather;
mod guard;
mod headers;
mod journal;
mod lost;
mod machine;
mod moment;
mod notices;
mod placeholders;
mod probe;
mod recover;
mod rescue;
mod seal;
mod standing;
mod stdin;
mod temporary;
mod wire;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use anyhow::{Context, Result};
use gg_force::{Coordinator, Request};
use gg_ir::{Name, Placeholder};
use gg_models::Models;
use gg_store::Store;

use self::alias::Aliases;
use self::answers::Answers;
use self::callers::Callers;
use crate::compile_commands::CompileCommands;
use crate::console::Console;
use crate::stand_ins;
use crate::wanted::Wanted;
pub use deliver::Deliveries;
use detours::Detours;
use directories::Directories;
pub use guard::SessionGuard;
pub use journal::{Heir, Journal};
use machine::{Force, Machine};
use moment::Moment;
pub use placeholders::Placeholders;
pub use recover::{Repair, recover};
pub use rescue::Rescue;
use seal::Sealer;

/// Everything that the calls of one build share.
pub struct Session {
    store: Arc<Store>,
    models: Models,
    machine: Machine<Forcer>,
    directories: Directories,
    sealer: Sealer,
    placeholders: Arc<Placeholders>,
    deliveries: Arc<Deliveries>,
    coordinator: Arc<Coordinator>,
    console: Arc<Console>,
    options: Options,
    stand_ins: PathBuf,
    detours: Detours,
    sessions: PathBuf,
    aliases: Aliases,
    told: Mutex<HashMap<PathBuf, u64>>,
    compile_commands: Option<Arc<CompileCommands>>,
    closing: AtomicBool,
}

/// How a session answers.
#[derive(Clone, Debug)]
pub struct Options {
    /// Steps are answered before they have run.
    pub lazy: bool,
    /// The kernel leads whoever executes a tool to its stand-in.
    pub detours: bool,
    /// Which outputs are computed though nobody opens them.
    pub wanted: Wanted,
    /// Steps are isolated, so that what is true of one once is true again.
    pub isolated: bool,
    /// After a failure, go on with what does not depend on it.
    pub keep_going: bool,
}

/// What a session is made of.
pub struct Parts {
    /// The store.
    pub store: Arc<Store>,
    /// Where descriptions of further tools are.
    pub tools: Option<PathBuf>,
    /// The placeholders, with the journal.
    pub placeholders: Arc<Placeholders>,
    /// Where results go.
    pub deliveries: Arc<Deliveries>,
    /// Who forces.
    pub coordinator: Arc<Coordinator>,
    /// The terminal.
    pub console: Arc<Console>,
    /// Where compiles are taken down, if they are.
    pub compile_commands: Option<Arc<CompileCommands>>,
}

/// Forces placeholders for the machine that models look at; bound to its session once that exists.
#[derive(Default)]
struct Forcer(OnceLock<Weak<Session>>);

impl Force for Forcer {
    fn force(&self, path: &Path, placeholder: &Placeholder) -> io::Result<()> {
        match self.0.get().and_then(Weak::upgrade) {
            Some(session) => session.force(path, placeholder),
            None => Err(io::Error::from_raw_os_error(libc::EIO)),
        }
    }

    fn outline(&self, name: &Name) -> Option<Arc<[u8]>> {
        // One that is gone costs the computation that it would have saved.
        self.0.get().and_then(Weak::upgrade)?.store.read(name).ok().map(Arc::from)
    }
}

impl Session {
    /// Starts answering stubs for a build in `root`.
    ///
    /// # Errors
    /// When the session's directory or socket cannot be made.
    pub fn start(parts: Parts, options: Options, root: &Path, path: &OsStr) -> Result<Arc<Self>> {
        let Parts { store, tools, placeholders, deliveries, coordinator, console, compile_commands } = parts;
        let directory = placeholders.journal().directory().to_path_buf();
        let at = || format!("cannot set up gg's session in {}", directory.display());
        let machine = Machine::new(Forcer::default(), Some(Answers::new(store.dir())));
        let models = Models::new(tools.as_deref(), &machine)?;
        let stand_ins = stand_ins::unpack(&directory, path, &models).with_context(at)?;
        let listener = listen(&directory.join("socket")).with_context(at)?;
        let sessions = directory.parent().unwrap_or(&directory).to_path_buf();
        let session = Arc::new(Self {
            sealer: Sealer::new(Arc::clone(&store), root.to_path_buf()),
            machine,
            directories: Directories::default(),
            detours: Detours::new(&directory, &models),
            models,
            placeholders,
            deliveries,
            coordinator,
            console,
            options,
            stand_ins,
            aliases: Aliases::new(Arc::clone(&store), root, &sessions),
            store,
            sessions,
            told: Mutex::default(),
            compile_commands,
            closing: AtomicBool::new(false),
        });
        // Set once, here.
        let _ = session.machine.forcer().0.set(Arc::downgrade(&session));
        Callers::start(Arc::clone(&session), listener).with_context(at)?;
        Ok(session)
    }

    /// Whether tools lead to stand-ins without PATH.
    pub fn leads(&self) -> bool {
        self.options.detours
    }

    /// The directory that is to lead PATH.
    pub fn stand_ins(&self) -> &Path {
        &self.stand_ins
    }

    /// Writes down what was learnt of this machine's tools.
    ///
    /// # Errors
    /// Whatever the file system says; the next build asks again.
    pub fn save(&self) -> io::Result<()> {
        self.machine.save()
    }

    /// From now on, nobody is answered.
    pub fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    /// Whether nobody is answered any more.
    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Computes what a placeholder stands for and puts it in its place.
    ///
    /// # Errors
    /// `EIO` when the step that makes it failed, or its content cannot be written.
    pub fn force(&self, path: &Path, placeholder: &Placeholder) -> io::Result<()> {
        let failed = || io::Error::from_raw_os_error(libc::EIO);
        if !self.deliveries.knows(&placeholder.thunk) {
            // Somebody else's: its failure is no reason to stop this build.
            self.coordinator.add(foreign(placeholder, path));
        }
        let reduction = self.coordinator.wait(&placeholder.thunk).map_err(|_| failed())?;
        // One that this session did not place: an earlier one's.
        self.placeholders.adopt(path);
        self.deliveries.fulfil(&placeholder.thunk, &reduction).map_err(|(path, error)| {
            self.console.notice(&format!("cannot write {}: {error}", path.display()));
            failed()
        })
    }

    /// After the build command: what is wanted where placeholders are by now, since the build has moved them there.
    pub fn finish(&self) {
        if !matches!(self.options.wanted, Wanted::Some { .. }) {
            return;
        }
        for path in self.placeholders.remaining() {
            let executable = fs::metadata(&path).is_ok_and(|info| info.permissions().mode() & 0o111 != 0);
            if let (true, Some(placeholder)) =
                (self.options.wanted.includes(&path, executable), Placeholders::at(&path))
            {
                // A step that fails says so itself.
                let _ = self.force(&path, &placeholder);
            }
        }
    }

    /// The machine as it is now, for one call.
    fn moment(&self) -> Moment<'_, Forcer> {
        if self.placeholders.has_linked() {
            // Those were made here, and nobody has told.
            self.directories.keep_no_files();
        }
        Moment::new(&self.machine, &self.directories)
    }

    /// How often stubs were told to become each tool.
    fn told_to_execute(&self) -> HashMap<PathBuf, u64> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The request for a thunk that an earlier session left: it blames nobody here.
pub fn foreign(placeholder: &Placeholder, path: &Path) -> Request {
    Request {
        name: placeholder.thunk,
        thunk: None,
        kind: "other".into(),
        label: path.display().to_string(),
        volatile: false,
        // One that fails keeps nothing else from being computed.
        eager: true,
        anew: false,
    }
}

/// Listens on a path that may be longer than a socket's address can hold (108 bytes).
fn listen(path: &Path) -> io::Result<UnixListener> {
    let listener = match (path.as_os_str().len() < 108, path.parent()) {
        (false, Some(directory)) => {
            let directory = std::fs::File::open(directory)?;
            UnixListener::bind(format!("/proc/self/fd/{}/socket", directory.as_raw_fd()))?
        }
        _ => UnixListener::bind(path)?,
    };
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

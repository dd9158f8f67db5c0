//! What becomes of one call.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use gg_force::{Cause, Request};
use gg_ir::{AbsPath, Failed, Input, Kind, Name, Placeholder, Reference, Tag, Thunk};
use gg_models::{Call, Plan, Reason, Step, StepKind};

use super::Session;
use super::alias::Alias;
use super::copy;
use super::deliver::{CommandLine, Delivery};
use super::moment::Sight;
use super::probe::{is_our_own_output, is_probes, mixed};
use super::seal::{SealError, SealedStep};
use super::stdin::{self, WithStdin};
use super::wire::{self, Answer, Message};
use crate::console::write_plainly;
use crate::report::{Entry, HereRecord, reads};
use crate::stand_ins;

/// What the shell says of a command that cannot be found.
const NOT_FOUND: i32 = 127;

/// Names the wrappers that a call came out of.
const WRAPPED: &str = "GG_WRAPPED";

/// How an awaited step is run.
#[derive(Clone, Copy, Debug, Default)]
struct Variant {
    /// Under the caller's own names, since they cannot be put into what comes out.
    own_names: bool,
    /// With one stream for standard output and error, since the caller has one for them and both are used.
    merged: bool,
}

impl Session {
    /// Serves one connection to its end.
    pub(super) fn serve(&self, socket: &UnixStream) {
        // What goes wrong here closes the connection, and the stub becomes the real tool.
        let Ok(message) = wire::receive(socket) else { return };
        let message = Arc::new(message);
        if let Err(error) = self.reply(socket, &message)
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            self.console.notice(&format!("a call of {:?} could not be answered: {error}", message.argv[0]));
        }
    }

    fn reply(&self, socket: &UnixStream, message: &Message) -> io::Result<()> {
        let name = Path::new(&message.argv[0]).file_name().unwrap_or(&message.argv[0]);
        let full_path = message.env.get(OsStr::new("PATH")).map_or(OsStr::new("/usr/bin:/bin"), |path| path);
        let path = stand_ins::path_without(full_path, &self.sessions);
        // A wrapper such as ccache finds its compiler on PATH, and that is not the wrapper again.
        let wrappers: Vec<PathBuf> =
            message.env.get(OsStr::new(WRAPPED)).map(|list| std::env::split_paths(list).collect()).unwrap_or_default();
        let past_path = self.detours.tool(&message.executed);
        let Some(tool) = past_path.or_else(|| stand_ins::find(name, &path, &message.cwd, &wrappers)) else {
            let text = format!("gg: {}: not found on PATH\n", name.to_string_lossy());
            write_to(message.fds[2].as_ref(), text.as_bytes());
            return wire::answer(socket, &Answer::Exit(NOT_FOUND));
        };
        if copy::is_copier(name) {
            // What goes wrong is the program's own to report.
            return match self.copy(name, message) {
                Ok(true) => self.exit(socket, message, 0),
                Ok(false) | Err(_) => wire::answer(socket, &Answer::Exec(&tool)),
            };
        }
        let mut env = message.env.clone();
        env.insert("PATH".into(), path);
        env.remove(OsStr::new(WRAPPED));
        let call = Call { tool, argv: message.argv.clone(), cwd: message.cwd.clone(), env };
        if let Some(commands) = &self.compile_commands {
            let mut compilations = self.models.compilations(&call, &self.machine);
            compilations.retain(|it| {
                !is_probes(&call.absolute(&it.source)) && it.output.as_deref().is_none_or(|path| !is_probes(path))
            });
            commands.add(&call, &compilations);
        }
        let mut moment = self.moment();
        let mut plan = self.models.plan(&call, &moment);
        if let (Plan::Here(Reason::Stdin), Some(fd)) = (&plan, &message.fds[0])
            && let Some(content) = stdin::peek(fd)
        {
            // Whoever writes there may have written files too.
            moment = self.moment();
            plan = self.models.plan(&call, &WithStdin::new(&moment, &call.cwd, Arc::clone(&content)));
            // Once for each call.
            let _ = message.stdin.set(content);
        }
        let missing = match &plan {
            Plan::Thunk(Step { missing: Some(path), .. }) => Some(Reason::MissingInput(path.clone())),
            _ => None,
        };
        match plan {
            Plan::Thunk(step)
                if missing.is_some() && self.reads_lost(message, &call.argv, &call.cwd, missing.as_ref()) =>
            {
                step.writes.iter().for_each(|write| self.placeholders.lost().enter(&call.absolute(&write.path)));
                self.exit(socket, message, 1)
            }
            Plan::Here(reason) => self.here(socket, message, &call, &reason),
            Plan::Thunk(step) => match self.sealed(&call, &step, message, &moment) {
                Ok(sealed) => self.thunk(socket, message, &call, &step, sealed, Variant::default()),
                Err(reason) => self.here(socket, message, &call, &reason),
            },
        }
    }

    fn sealed(&self, call: &Call, step: &Step, message: &Message, sight: &dyn Sight) -> Result<SealedStep, Reason> {
        let toolchain = self.models.toolchain(&call.tool, &self.machine, &call.env)?;
        let stdin = message.stdin.get().map(|content| &**content);
        self.sealer.seal(call, step, &toolchain, message.umask, stdin, sight).map_err(|error| match error {
            SealError::Path { path, what: "does not exist" } => Reason::MissingInput(path),
            other => Reason::Unsealable(other.to_string()),
        })
    }

    /// The call is done, with this status.
    fn exit(&self, socket: &UnixStream, message: &Message, status: i32) -> io::Result<()> {
        // The tool would have read it; whoever reads from there next gets what follows.
        if let (Some(fd), Some(content)) = (&message.fds[0], message.stdin.get()) {
            stdin::take(fd, content);
        }
        wire::answer(socket, &Answer::Exit(status))
    }

    /// Whether a call reads what is missing since a step of this build failed. The caller is told; the call is to end with 1.
    fn reads_lost(&self, message: &Message, argv: &[OsString], cwd: &Path, reason: Option<&Reason>) -> bool {
        let lost = self.placeholders.lost().read_by(argv.iter().map(OsString::as_os_str), cwd, reason);
        let Some(path) = lost else { return false };
        self.deliveries.failures().not_started();
        let path = path.strip_prefix(cwd).unwrap_or(&path).display().to_string();
        write_to(message.fds[2].as_ref(), format!("gg: not started, since {path} could not be made\n").as_bytes());
        true
    }

    /// The real tool runs here and now.
    fn here(&self, socket: &UnixStream, message: &Message, call: &Call, reason: &Reason) -> io::Result<()> {
        if self.reads_lost(message, &call.argv, &call.cwd, Some(reason)) {
            return self.exit(socket, message, 1);
        }
        let command = CommandLine { argv: call.argv.clone(), cwd: call.cwd.clone() };
        self.console.detail(&format!("run here: {} ({reason})", command.shown()));
        // A process that is gone already has no descriptor, and nothing to be written down.
        let process = process_descriptor(message.pid).ok();
        let entry = HereRecord {
            tool: tool_name(call),
            command: command.shown(),
            reason: reason.to_string(),
            directory: command.cwd,
            ..HereRecord::default()
        };
        self.deliveries.recorder().enter_here(entry, process.as_ref().and_then(|process| process.try_clone().ok()));
        *self.told.lock().unwrap_or_else(PoisonError::into_inner).entry(call.tool.clone()).or_default() += 1;
        // A file that the shell made for the tool's output is half a file if everything dies now.
        let written = message.fds[1].as_ref().and_then(regular_file_behind);
        if let (Some(path), Some(_)) = (&written, &process) {
            self.placeholders.journal().started(path)?;
        }
        let answer =
            if *reason == Reason::Wrapper { Answer::ExecWrapper(&call.tool) } else { Answer::Exec(&call.tool) };
        wire::answer(socket, &answer)?;
        if let (Some(path), Some(process)) = (written, process) {
            wait_for(&process);
            self.placeholders.journal().finished(&path)?;
        }
        Ok(())
    }

    fn thunk(
        &self,
        socket: &UnixStream,
        message: &Message,
        call: &Call,
        step: &Step,
        sealed: SealedStep,
        variant: Variant,
    ) -> io::Result<()> {
        let SealedStep { mut thunk, outputs } = sealed;
        if variant.merged {
            let path = AbsPath::new(Thunk::STDERR).map_err(io::Error::other)?;
            thunk.inputs.insert(path, Input::Symlink(Thunk::STDOUT.into()));
        }
        let at_once = self.at_once(message, step, &outputs);
        let renamed = at_once.filter(|_| self.options.lazy && self.options.isolated && !variant.own_names);
        let renamed = renamed.and_then(|_| self.aliases.of(&thunk));
        let (alias, thunk) = match renamed {
            Some((alias, renamed)) => (alias, renamed),
            None => (Alias::default(), thunk),
        };
        if let (Some(path), None) = (&step.missing, at_once) {
            return self.here(socket, message, call, &Reason::MissingInput(path.clone()));
        }
        let name = match self.store.put_thunk(&thunk) {
            Ok(name) => name,
            Err(error) => return self.here(socket, message, call, &Reason::Unsealable(error.to_string())),
        };
        let command = Arc::new(CommandLine { argv: call.argv.clone(), cwd: call.cwd.clone() });
        // What the call is made for comes first.
        let made = step.writes.first().and_then(|write| outputs.iter().find(|(tag, _)| tag.as_str() == write.tag));
        let label = made.map_or_else(|| command.shown(), |(_, path)| path.display().to_string());
        self.deliveries.recorder().enter(Entry {
            thunk: name,
            kind: kind_name(step.kind),
            tool: tool_name(call),
            label: label.clone(),
            outputs: outputs.values().map(|path| path.to_string_lossy().into_owned()).collect(),
            directory: &call.cwd,
            command: command.shown(),
            reads: reads(&thunk),
            at_once,
        });
        if self.deliveries.failed() && !self.options.keep_going && at_once.is_none() {
            outputs.values().for_each(|path| self.placeholders.lost().enter(path));
            write_to(message.fds[2].as_ref(), b"gg: not started, since an earlier step has failed\n");
            return self.exit(socket, message, 1);
        }
        self.deliveries.planned().keep(name, call, message.umask, &alias, step.kind);
        let thunk = Arc::new(thunk);
        let request = Request {
            name,
            thunk: Some(Arc::clone(&thunk)),
            kind: kind_name(step.kind).into(),
            label,
            volatile: thunk.volatile,
            eager: at_once.is_some(),
            anew: false,
        };
        if at_once.is_some() {
            if let Some(failed) = self.known_failure(&name, &thunk) {
                self.deliveries.recorder().enter_known(&name, failed.status.cast_signed());
                return self.failed_before(socket, message, call, step, &outputs, &alias.failed(&failed), variant);
            }
            self.coordinator.add(request);
            return self.awaited(socket, message, call, step, &thunk, &name, &outputs, &alias, variant);
        }
        let unplaced = match self.place(&name, &thunk, step, &outputs, message.umask) {
            Ok(unplaced) => unplaced,
            Err(error) => {
                self.placeholders.abandon(&name);
                let reason = Reason::Unsealable(format!("files that cannot be written ({error})"));
                return self.here(socket, message, call, &reason);
            }
        };
        let restore = changed_in_place(&thunk);
        let is_wanted = outputs.iter().any(|(tag, path)| self.options.wanted.includes(path, is_executable(step, tag)));
        if is_wanted {
            self.coordinator.add(request);
        }
        self.deliveries.expect(name, Delivery { unplaced, restore, command, stays: !is_wanted });
        self.exit(socket, message, 0)
    }

    /// Answers with what the step really did.
    #[allow(clippy::too_many_arguments)]
    fn awaited(
        &self,
        socket: &UnixStream,
        message: &Message,
        call: &Call,
        step: &Step,
        thunk: &Thunk,
        name: &Name,
        outputs: &BTreeMap<Tag, PathBuf>,
        alias: &Alias,
        variant: Variant,
    ) -> io::Result<()> {
        let mut outcome = self.coordinator.wait(name);
        if let (Ok(reduction), false) = (&outcome, alias.is_empty()) {
            match self.aliases.reduction(alias, reduction) {
                Some(told) => outcome = Ok(Arc::new(told)),
                None => return self.vary(socket, message, call, step, Variant { own_names: true, ..variant }),
            }
        }
        let status = match outcome {
            Ok(reduction) if mixed(&message.fds, &reduction.stdout, &reduction.stderr) => {
                return self.vary(socket, message, call, step, Variant { merged: true, ..variant });
            }
            Ok(reduction) => match self.deliveries.place(name, &reduction, outputs) {
                Ok(()) => {
                    write_to(message.fds[1].as_ref(), &reduction.stdout);
                    write_to(message.fds[2].as_ref(), &reduction.stderr);
                    0
                }
                Err((path, error)) => {
                    let text = format!("gg: cannot write {}: {error}\n", path.display());
                    write_to(message.fds[2].as_ref(), text.as_bytes());
                    1
                }
            },
            Err(failure) => match &failure.cause {
                Cause::Program(program) => {
                    let failed = Failed {
                        thunk: *name,
                        status: program.status.code().unsigned_abs(),
                        stdout: program.stdout.clone(),
                        stderr: program.stderr.clone(),
                    };
                    self.remember(thunk, program, &failed);
                    return self.failed_before(socket, message, call, step, outputs, &alias.failed(&failed), variant);
                }
                other => {
                    remove_made(step, outputs);
                    let text = format!("gg: this step could not be run: {}\n", self.deliveries.failures().why(other));
                    write_to(message.fds[2].as_ref(), text.as_bytes());
                    1
                }
            },
        };
        self.exit(socket, message, status)
    }

    /// Runs an awaited step in another way, since its result cannot be used.
    fn vary(
        &self,
        socket: &UnixStream,
        message: &Message,
        call: &Call,
        step: &Step,
        variant: Variant,
    ) -> io::Result<()> {
        // Where steps work on the files of the tree, it has been done already.
        if variant.merged && !self.options.isolated {
            return self.here(socket, message, call, &Reason::Mixed);
        }
        match self.sealed(call, step, message, &self.moment()) {
            Ok(sealed) => self.thunk(socket, message, call, step, sealed, variant),
            Err(reason) => self.here(socket, message, call, &reason),
        }
    }

    /// Answers with how the step failed.
    #[allow(clippy::too_many_arguments)]
    fn failed_before(
        &self,
        socket: &UnixStream,
        message: &Message,
        call: &Call,
        step: &Step,
        outputs: &BTreeMap<Tag, PathBuf>,
        failed: &Failed,
        variant: Variant,
    ) -> io::Result<()> {
        if mixed(&message.fds, &failed.stdout, &failed.stderr) {
            return self.vary(socket, message, call, step, Variant { merged: true, ..variant });
        }
        remove_made(step, outputs);
        write_to(message.fds[1].as_ref(), &failed.stdout);
        write_to(message.fds[2].as_ref(), &failed.stderr);
        self.exit(socket, message, failed.status.cast_signed())
    }

    /// Puts the placeholders of a step into the tree; returns the outputs that get none.
    fn place(
        &self,
        name: &Name,
        thunk: &Thunk,
        step: &Step,
        outputs: &BTreeMap<Tag, PathBuf>,
        umask: u32,
    ) -> io::Result<BTreeMap<Tag, PathBuf>> {
        let mut unplaced = BTreeMap::new();
        for (tag, path) in outputs {
            if thunk.outputs.get(tag).is_some_and(|output| output.optional) {
                unplaced.insert(tag.clone(), path.clone());
                continue;
            }
            let mode = if is_executable(step, tag) { 0o777 } else { 0o666 } & !umask;
            let known = step.writes.iter().find(|write| write.tag == tag.as_str()).and_then(|it| it.outline.as_ref());
            // Without it, whoever plans with the file waits for it.
            let outline = known.and_then(|outline| self.store.put(Kind::Value, outline).ok());
            self.placeholders.place(path, Placeholder { thunk: *name, tag: tag.clone(), outline }, mode)?;
        }
        Ok(unplaced)
    }
}

fn is_executable(step: &Step, tag: &Tag) -> bool {
    step.writes.iter().any(|write| write.tag == tag.as_str() && write.executable)
}

/// As the tools do: what could not be made is not left as it was, but for what is changed in place.
fn remove_made(step: &Step, outputs: &BTreeMap<Tag, PathBuf>) {
    let in_place = |path: &Path| step.reads.iter().any(|read| read.path() == Some(path));
    for path in outputs.values().filter(|path| !in_place(path)) {
        let _ = fs::remove_file(path);
    }
}

/// What a tool that changes files in place found there.
fn changed_in_place(thunk: &Thunk) -> BTreeMap<PathBuf, (Reference, u32)> {
    let found = thunk.outputs.values().filter_map(|output| match thunk.inputs.get(&output.path)? {
        Input::File { object, mode } => Some((output.path.as_path().to_path_buf(), (object.clone(), *mode))),
        _ => None,
    });
    found.collect()
}

fn kind_name(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Compile => "compile",
        StepKind::Assemble => "assemble",
        StepKind::Preprocess => "preprocess",
        StepKind::Archive => "archive",
        StepKind::Link => "link",
        StepKind::CompileLink => "compile+link",
        StepKind::Strip => "strip",
        StepKind::Query => "query",
        StepKind::Other => "other",
    }
}

fn tool_name(call: &Call) -> String {
    call.tool.file_name().unwrap_or(call.tool.as_os_str()).to_string_lossy().into_owned()
}

fn write_to(fd: Option<&OwnedFd>, bytes: &[u8]) {
    let Some(Ok(fd)) = fd.map(OwnedFd::try_clone) else { return };
    let mut file = File::from(fd);
    let terminal = file.is_terminal();
    // The reader may have gone; the tool would have been told so by a signal, and nobody else.
    let _ = write_plainly(&mut file, bytes, terminal);
}

/// The path of the regular file that a descriptor leads to, if it is one with a name.
fn regular_file_behind(fd: &OwnedFd) -> Option<PathBuf> {
    let path = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
    let info = fs::symlink_metadata(&path).ok()?;
    let own = File::from(fd.try_clone().ok()?).metadata().ok()?;
    let same = (info.dev(), info.ino()) == (own.dev(), own.ino());
    // What was there before is not the tool's to lose.
    // SAFETY: F_GETFL takes any descriptor.
    let appends = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) } & libc::O_APPEND != 0;
    let is_regular = info.is_file() && info.len() == 0 && !appends;
    (same && is_regular && !is_our_own_output(fd)).then_some(path)
}

fn process_descriptor(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open returns a new descriptor or an error.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Waits until a process has ended.
fn wait_for(process: &OwnedFd) {
    let mut poll = libc::pollfd { fd: process.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure, which outlives the call.
    while unsafe { libc::poll(&mut poll, 1, -1) } < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {
    }
}

//! What a person sees while a build runs: the output of steps, whole and one at a time, notices, and how far the build is.
//!
//! # How a block stays at the bottom of a terminal that others write to
//!
//! make and all that it starts have the terminal itself as their output, as without gg. So they may colour what they say, ask
//! questions, read answers, take the whole screen, be stopped and go on; and whatever becomes of gg, nothing that they write
//! is lost, since it does not come by gg. A pseudo-terminal in between would give gg a look at their output. But programs that
//! switch echo off, or read single keys, do that on whichever descriptor they like, a daemon's output would end with the
//! build, and what is in flight would go with gg.
//!
//! Instead gg keeps the last rows for itself (`screen`), as apt does: above them text scrolls as ever. Each time it shows
//! them anew, in one write that leaves the cursor where it was. It does not when the terminal is not to be disturbed
//! (`terminal`): somebody writes at this moment, reads a password, or is in the foreground in gg's place; and when a program reads
//! single keys, as editors and menus do that have the whole screen, the rows are given back until it has ended; for one that opens
//! the terminal by its name, as pagers do and who asks for passwords, they are given back before it has (`session::guard`). Before gg
//! is stopped (Ctrl-Z) it gives the rows back, and if gg is killed, a process that waits for that (`janitor`) does.
//!
//! What can still happen: a program whose colour or letter is in two writes, with gg's between them, has that one garbled. None
//! is known that does so. What a step says may come behind a line that another program has begun and not ended, as with `make -j`.
//! And where two gg build at one terminal, one of them shows how far it is.
//!
//! - `look`: what the environment and the command line say
//! - `status`: the state of a build in words; `width`: by columns
//! - `screen`: what is sent to a terminal; `terminal`: when; `janitor`: if gg is killed
//! - `live`: the thread that does it
//! - `escapes`: output for those who have no terminal

mod escapes;
mod janitor;
mod live;
mod look;
mod screen;
mod status;
mod terminal;
mod width;

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use escapes::write_plainly;
pub use janitor::main as janitor_main;
pub use live::summary;
pub use look::{BETWEEN_LINES, Look, Progress, Verbosity};
pub use status::{Far, Oldest, Status};
pub use width::printable;

use terminal::Block;

/// The terminal, or whatever stands for it.
#[derive(Debug)]
pub struct Console {
    /// Standard error is a terminal.
    terminal: bool,
    look: Look,
    shown: Mutex<Shown>,
}

/// How progress is shown.
#[derive(Debug, Default)]
struct Shown {
    /// The rows at the bottom of a terminal, if there are such.
    block: Option<Block>,
    /// Lines that were written.
    lines: u64,
    /// Nothing is shown any more.
    ended: bool,
}

impl Console {
    /// The console.
    pub fn new(look: Look) -> Self {
        Self { terminal: io::stderr().is_terminal(), look, shown: Mutex::default() }
    }

    /// Whether standard error is a terminal, so that steps may colour what they say.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether gg's own words may be coloured.
    pub fn has_colour(&self) -> bool {
        self.terminal && self.look.colour
    }

    /// Shows how far the build is from now on, as `source` tells it when it is asked; its argument says whether the time left is
    /// wanted.
    pub fn follow(self: &Arc<Self>, source: impl Fn(bool) -> Option<Status> + Send + 'static) {
        if self.look.verbosity == Verbosity::Quiet || self.look.progress == Progress::Off {
            return;
        }
        if self.terminal && self.look.progress == Progress::Auto {
            self.lock().block = Block::open();
        }
        let between_lines = match self.look.progress {
            Progress::Plain(time) => time,
            Progress::Auto | Progress::Off => BETWEEN_LINES,
        };
        live::start(Arc::clone(self), between_lines, source);
    }

    /// Shows what a step wrote, all of it at once.
    pub fn output(&self, stdout: &[u8], stderr: &[u8]) {
        if stdout.is_empty() && stderr.is_empty() {
            return;
        }
        let _one_at_a_time = self.lock();
        // A closed standard output is the caller's wish.
        let _ = write_plainly(&mut io::stdout(), stdout, io::stdout().is_terminal());
        let _ = write_plainly(&mut io::stderr(), stderr, self.terminal);
    }

    /// Passes on what a program wrote that somebody stated, byte for byte; it may be anything.
    ///
    /// # Errors
    /// When it cannot be written, but for a reader that has gone away, which is the caller's wish.
    pub fn pass_on(&self, stdout: &[u8], stderr: &[u8]) -> io::Result<()> {
        let _one_at_a_time = self.lock();
        let _ = io::stderr().write_all(stderr);
        let written = io::stdout().write_all(stdout).and_then(|()| io::stdout().flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Shows a message of gg's own.
    pub fn notice(&self, text: &str) {
        self.output(b"", format!("gg: {text}\n").as_bytes());
    }

    /// Shows what only some want to know.
    pub fn detail(&self, text: &str) {
        if self.look.verbosity == Verbosity::Verbose {
            self.notice(text);
        }
    }

    /// Shows what a build came to that went well: to a person, to whom it was told how far it was, and to who asks for it.
    pub fn success(&self, text: &str) {
        let wanted = match self.look.verbosity {
            Verbosity::Quiet => false,
            Verbosity::Normal => self.terminal && self.look.progress != Progress::Off || self.lock().lines > 0,
            Verbosity::Verbose => true,
        };
        if wanted {
            self.notice(text);
        }
    }

    /// Shows no progress any more.
    pub fn end(&self) {
        live::forget_stops();
        let mut shown = self.lock();
        shown.block = None;
        shown.ended = true;
    }

    /// Brings the block up to date; `false` when nothing is shown any more.
    fn show(&self, status: &Status) -> bool {
        let mut shown = self.lock();
        if let Some(block) = &mut shown.block {
            block.show(status, self.look.colour);
        }
        !shown.ended
    }

    /// A program is about to use the terminal itself, past its standard output and error.
    pub fn make_way(&self) {
        if let Some(block) = &mut self.lock().block {
            block.make_way();
        }
    }

    /// Takes the block away for the time being.
    fn hide(&self) {
        if let Some(block) = &mut self.lock().block {
            block.hide();
        }
    }

    /// Writes how far the build is as a line.
    fn tell(&self, status: &Status) {
        let ended = {
            let mut shown = self.lock();
            shown.lines += u64::from(!shown.ended);
            shown.ended
        };
        if !ended {
            self.notice(&status.plain());
        }
    }

    fn has_block(&self) -> bool {
        self.lock().block.is_some()
    }

    /// Gives the rows back, and stops this process as Ctrl-Z does; returns when it goes on.
    fn stop(&self) {
        // Held meanwhile: nothing is shown before this process goes on.
        let mut shown = self.lock();
        if let Some(block) = &mut shown.block {
            block.hide();
        }
        live::stop_now(!shown.ended);
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The last rows of the terminal: when they are gg's to write to.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use super::janitor::Janitor;
use super::screen::{self, LET_GO, Size};
use super::status::Status;

/// A terminal with fewer rows or columns has none to spare.
const LEAST: Size = Size { rows: 8, columns: 20 };

/// What has not changed is shown again after this time: a program may have cleared the screen.
const AGAIN: Duration = Duration::from_secs(1);

/// A program that is about to use the terminal has done what shows it after this time: it has switched its modes.
const GRACE: Duration = Duration::from_secs(1);

/// Rows at the bottom of the terminal that standard error is. Dropped, it gives them back.
#[derive(Debug)]
pub struct Block {
    /// Opened anew, for the lock that says whose rows they are.
    tty: File,
    shown: Option<Shown>,
    /// Nothing is shown before.
    not_before: Option<Instant>,
    /// Gives the rows back if this process cannot.
    janitor: Option<Janitor>,
}

#[derive(Debug)]
struct Shown {
    lines: Vec<String>,
    size: Size,
    at: Instant,
}

/// Whose the terminal is at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// It may be written to.
    Free,
    /// Somebody is writing, or reads what is not to be seen.
    Busy,
    /// A program has the whole of it.
    Taken,
}

impl Block {
    /// The last rows, if the terminal has any.
    pub fn open() -> Option<Self> {
        let path = format!("/proc/self/fd/{}", libc::STDERR_FILENO);
        let tty = OpenOptions::new().write(true).custom_flags(libc::O_NOCTTY).open(path).ok()?;
        let has_size = size(tty.as_raw_fd()).is_some_and(|size| size.rows > 0 && size.columns > 0);
        has_size.then_some(Self { tty, shown: None, not_before: None, janitor: None })
    }

    /// Shows how far things are, unless the terminal is not to be written to.
    pub fn show(&mut self, status: &Status, colour: bool) {
        match whose(self.tty.as_raw_fd()) {
            Use::Free => {}
            Use::Busy => return,
            Use::Taken => return self.let_go(),
        }
        if self.not_before.is_some_and(|at| Instant::now() < at) {
            return;
        }
        let Some(size) = size(self.tty.as_raw_fd()) else { return };
        if size.rows < LEAST.rows || size.columns < LEAST.columns {
            return self.hide();
        }
        // The last column stays free: some terminals begin a new row when it is written to.
        let lines = status.lines(usize::from(size.columns) - 1, colour);
        let known = self.shown.as_ref().filter(|shown| shown.size == size);
        if known.is_some_and(|shown| shown.lines == lines && shown.at.elapsed() < AGAIN) {
            return;
        }
        // Another gg has the rows.
        if self.shown.is_none() && !self.lock(libc::LOCK_EX | libc::LOCK_NB) {
            return;
        }
        let other_size = self.shown.as_ref().is_some_and(|shown| shown.size != size);
        if self.janitor.is_none() {
            self.janitor = Janitor::start();
        }
        if self.shown.is_none()
            && let Some(janitor) = &mut self.janitor
        {
            janitor.tell(lines.len() as u8);
        }
        self.write(&screen::show(&lines, size, other_size));
        self.shown = Some(Shown { lines, size, at: Instant::now() });
    }

    /// Gives the rows back, empty.
    pub fn hide(&mut self) {
        let Some(shown) = self.shown.take() else { return };
        match whose(self.tty.as_raw_fd()) {
            Use::Taken => self.write(LET_GO),
            _ => self.write(&screen::hide(shown.lines.len() as u16, shown.size)),
        }
        self.tell_hidden();
    }

    /// Gives the rows back to a program that is about to use the terminal, in whatever way.
    pub fn make_way(&mut self) {
        self.hide();
        self.not_before = Some(Instant::now() + GRACE);
    }

    /// Gives the rows back to a program that has the whole screen.
    fn let_go(&mut self) {
        if self.shown.take().is_some() {
            self.write(LET_GO);
            self.tell_hidden();
        }
    }

    fn tell_hidden(&mut self) {
        if let Some(janitor) = &mut self.janitor {
            janitor.tell(0);
        }
        self.lock(libc::LOCK_UN);
    }

    fn lock(&self, operation: i32) -> bool {
        // SAFETY: a descriptor of ours.
        unsafe { libc::flock(self.tty.as_raw_fd(), operation) == 0 }
    }

    fn write(&mut self, text: &str) {
        // A terminal that is gone shows nothing.
        let _ = unstopped(|| self.tty.write_all(text.as_bytes()));
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.hide();
    }
}

/// Writes also where the terminal stops processes in the background that do (`stty tostop`).
pub(super) fn unstopped(write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let (mut set, mut before) = (MaybeUninit::<libc::sigset_t>::uninit(), MaybeUninit::uninit());
    // SAFETY: the sets are initialised before they are read.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTTOU);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr());
    }
    let written = write();
    // SAFETY: as above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    written
}

/// The size of a terminal.
pub(super) fn size(tty: RawFd) -> Option<Size> {
    // SAFETY: plain numbers, filled by the call.
    let mut size: libc::winsize = unsafe { zeroed() };
    // SAFETY: as above.
    let told = unsafe { libc::ioctl(tty, libc::TIOCGWINSZ, &raw mut size) } == 0;
    told.then_some(Size { rows: size.ws_row, columns: size.ws_col })
}

fn whose(tty: RawFd) -> Use {
    // SAFETY: plain numbers, filled by the calls.
    let (modes, foreground) = unsafe {
        let mut modes: libc::termios = zeroed();
        if libc::tcgetattr(tty, &raw mut modes) != 0 {
            return Use::Busy;
        }
        // Fails where the terminal is not the controlling one: then nobody is in the background.
        let group = libc::tcgetpgrp(tty);
        (modes, group < 0 || group == libc::getpgrp())
    };
    if modes.c_lflag & libc::ICANON == 0 || !foreground {
        return Use::Taken;
    }
    let mut poll = libc::pollfd { fd: tty, events: libc::POLLOUT, revents: 0 };
    // Not while another write is under way, or Ctrl-S holds everything back.
    // SAFETY: one valid element.
    let writable = unsafe { libc::poll(&raw mut poll, 1, 0) } == 1 && poll.revents & libc::POLLOUT != 0;
    if modes.c_lflag & libc::ECHO == 0 || !writable { Use::Busy } else { Use::Free }
}

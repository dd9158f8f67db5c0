//! A terminal, and what stands on its screen.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A terminal with a program in it, which leads a session there.
pub struct Screen {
    terminal: File,
    parser: vt100::Parser,
    /// All that was written to it.
    pub raw: Vec<u8>,
    pub child: Child,
}

impl Screen {
    /// Starts a command in a terminal of this size. What it would have as its input, output and error is the terminal, but
    /// for what `change` sets.
    pub fn start(command: Command, size: (u16, u16)) -> Self {
        Self::start_with(command, size, |_| {})
    }

    /// As [`Screen::start`]; `change` comes after the terminal is set.
    pub fn start_with(mut command: Command, size: (u16, u16), change: impl FnOnce(&mut Command)) -> Self {
        let (terminal, inner) = pair(size);
        let dup = || Stdio::from(inner.try_clone().unwrap());
        command.stdin(dup()).stdout(dup()).stderr(dup());
        command.env("TERM", "xterm-256color").env_remove("CI").env_remove("NO_COLOR");
        change(&mut command);
        // SAFETY: system calls.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM, libc::SIGTSTP, libc::SIGTTOU] {
                    libc::signal(signal, libc::SIG_DFL);
                }
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        Self { terminal, parser: vt100::Parser::new(size.0, size.1, 0), raw: Vec::new(), child }
    }

    /// The rows, without the spaces at their ends.
    pub fn rows(&self) -> Vec<String> {
        let columns = self.parser.screen().size().1;
        self.parser.screen().rows(0, columns).map(|row| row.trim_end().to_owned()).collect()
    }

    /// The screen as text.
    pub fn text(&self) -> String {
        self.rows().join("\n").trim_end().to_owned()
    }

    /// The cells, for a picture.
    pub fn screen(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// All that was written, as text.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }

    /// Types.
    pub fn type_in(&mut self, text: &str) {
        self.terminal.write_all(text.as_bytes()).unwrap();
    }

    /// Gives it another size.
    pub fn resize(&mut self, size: (u16, u16)) {
        let size_of = winsize(size);
        // SAFETY: a structure of the right kind.
        assert_eq!(unsafe { libc::ioctl(self.terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size_of) }, 0);
        self.parser.screen_mut().set_size(size.0, size.1);
    }

    /// Shows what is written until something stands there.
    #[track_caller]
    pub fn until(&mut self, happened: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !happened(self) {
            assert!(begun.elapsed() < LIMIT, "it does not happen:\n{}", self.text());
            assert!(self.take(), "the terminal was left before that:\n{}\n{:?}", self.text(), self.said());
        }
    }

    /// Shows what is written until the program has ended, and everybody has left the terminal.
    pub fn end(&mut self) -> ExitStatus {
        while self.take() {}
        self.child.wait().unwrap()
    }

    /// Takes what was written; `false` when nobody can write any more.
    fn take(&mut self) -> bool {
        let mut poll = libc::pollfd { fd: self.terminal.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid element.
        if unsafe { libc::poll(&raw mut poll, 1, 50) } == 0 {
            return true;
        }
        let mut bytes = [0; 4096];
        match self.terminal.read(&mut bytes) {
            Ok(length @ 1..) => {
                self.parser.process(&bytes[..length]);
                self.raw.extend_from_slice(&bytes[..length]);
                true
            }
            _ => false,
        }
    }

    /// Whether all rows scroll, as in a terminal that nobody has changed.
    pub fn scrolls_whole(&mut self) -> bool {
        let (rows, columns) = self.screen().size();
        let mut copy = vt100::Parser::new(rows, columns, 0);
        copy.process(&self.raw);
        copy.process(format!("\x1b[{rows};1H\r\nlowest").as_bytes());
        let rows: Vec<String> = copy.screen().rows(0, columns).collect();
        let mut scrolled = self.rows();
        scrolled.remove(0);
        scrolled.push("lowest".into());
        rows.iter().map(|row| row.trim_end()).eq(scrolled.iter().map(String::as_str))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn winsize((rows, columns): (u16, u16)) -> libc::winsize {
    libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn pair(size: (u16, u16)) -> (File, OwnedFd) {
    let size = winsize(size);
    let (mut outer, mut inner) = (-1, -1);
    // SAFETY: fills two numbers, which are new descriptors of ours; both are closed in what is executed.
    unsafe {
        let opened =
            libc::openpty(&raw mut outer, &raw mut inner, std::ptr::null_mut(), std::ptr::null(), &raw const size);
        assert_eq!(opened, 0);
        libc::fcntl(outer, libc::F_SETFD, libc::FD_CLOEXEC);
        libc::fcntl(inner, libc::F_SETFD, libc::FD_CLOEXEC);
        (File::from_raw_fd(outer), OwnedFd::from_raw_fd(inner))
    }
}

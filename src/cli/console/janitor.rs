//! A process that gives the terminal's last rows back if gg is killed.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use super::{screen, terminal};
use crate::engine::OWN_PROGRAM;

/// The janitor's end of it.
#[derive(Debug)]
pub struct Janitor {
    process: Child,
    /// Carries how many rows are gg's, a byte each time; its end is the janitor's.
    socket: Option<UnixStream>,
}

impl Janitor {
    /// Starts one; without, a gg that is killed leaves its rows as they are.
    pub fn start() -> Option<Self> {
        let (ours, theirs) = UnixStream::pair().ok()?;
        // A group of its own: what ends the build does not end it.
        let process = Command::new(OWN_PROGRAM)
            .arg(crate::JANITOR)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .ok()?;
        Some(Self { process, socket: Some(ours) })
    }

    /// Says how many rows are gg's by now.
    pub fn tell(&mut self, rows: u8) {
        // One that was killed hears nothing.
        let _ = self.socket.as_mut().map(|socket| socket.write_all(&[rows]));
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        self.socket = None;
        let _ = self.process.wait();
    }
}

/// What such a process does: standard input is the socket, standard error the terminal.
pub fn main() {
    // SAFETY: plain calls; the name is a literal.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, c"gg-terminal".as_ptr());
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
    }
    let (mut rows, mut said) = (0, [0; 16]);
    while let Ok(length @ 1..) = std::io::stdin().lock().read(&mut said) {
        rows = said[length - 1];
    }
    if rows > 0
        && let Some(size) = terminal::size(libc::STDERR_FILENO)
    {
        let text = screen::hide(rows.into(), size);
        // Nobody is left to be told.
        let _ = terminal::unstopped(|| std::io::stderr().write_all(text.as_bytes()));
    }
}

//! Signals that end a build in order, and what gg started.

use std::mem::MaybeUninit;

/// The signals that end a build.
const ENDING: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// A signal that arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    /// Its number.
    pub signal: i32,
    /// A process sent it to this one alone; else the terminal sent it to the whole build.
    pub to_us_alone: bool,
}

/// The ending signals, taken out of the hands of every thread; those that were ignored when gg began stay ignored, as
/// `nohup` wants it.
pub struct Signals(libc::sigset_t);

impl Signals {
    /// Blocks the signals in this thread and all that it starts from now on. Programs that it starts are not affected:
    /// the standard library clears their mask.
    pub fn block() -> Self {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the set; the other calls take it initialised.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            let mut set = set.assume_init();
            for signal in ENDING {
                let mut action: libc::sigaction = std::mem::zeroed();
                libc::sigaction(signal, std::ptr::null(), &mut action);
                if action.sa_sigaction != libc::SIG_IGN {
                    libc::sigaddset(&mut set, signal);
                }
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            Self(set)
        }
    }

    /// Waits for the next one.
    pub fn wait(&self) -> Arrived {
        loop {
            let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
            // SAFETY: the set is initialised, and the kernel fills the information.
            let signal = unsafe { libc::sigwaitinfo(&self.0, info.as_mut_ptr()) };
            if signal > 0 {
                // SAFETY: filled by the call that succeeded.
                let code = unsafe { info.assume_init() }.si_code;
                // A terminal that goes away tells only the leader of its session.
                return Arrived { signal, to_us_alone: code <= 0 || signal == libc::SIGHUP };
            }
        }
    }
}

/// Ends this process as the signal would have ended it, so that the caller sees why.
pub fn die_of(signal: i32) -> ! {
    // SAFETY: plain calls; the process does not survive them.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), std::ptr::null_mut());
        libc::raise(signal);
    }
    std::process::exit(128 + signal)
}

/// Sends a signal to a process; one that is gone is no error.
pub fn send(pid: i32, signal: i32) {
    // SAFETY: kill takes any numbers.
    unsafe { libc::kill(pid, signal) };
}

/// Whether a process is in this one's process group, which is what a terminal's signals go to.
pub fn in_our_group(pid: i32) -> bool {
    // SAFETY: plain numbers.
    unsafe { libc::getpgid(pid) == libc::getpgrp() }
}

/// Makes this process the parent of what its descendants leave behind, so that nothing escapes
/// [`gg_watch::descendants`].
pub fn adopt_orphans() {
    // SAFETY: a plain flag of this process.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
}

//! The thread that shows how far a build is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use super::Console;
use super::status::{Status, took};

/// Between two looks, where there is a block.
const PERIOD: Duration = Duration::from_millis(200);

/// A build that ends before that needs no block.
const FIRST: Duration = Duration::from_millis(500);

/// A block that says that nothing is to be done is taken away after this time: the build command does other things.
const IDLE: Duration = Duration::from_secs(2);

/// How far back the rate looks, and between two estimates of the time left.
const RECENT: Duration = Duration::from_secs(10);
const BETWEEN_ESTIMATES: Duration = Duration::from_secs(2);

/// Starts it; without a thread, nothing is shown. Where there is no block, a line is written each time that `between_lines` has
/// passed.
pub fn start(console: Arc<Console>, between_lines: Duration, source: impl Fn(bool) -> Option<Status> + Send + 'static) {
    let thread = std::thread::Builder::new().name("gg-status".into());
    drop(thread.spawn(move || {
        if console.has_block() {
            let stops = Stops::watch();
            follow(&console, &source, &stops);
        } else {
            tell(&console, &source, between_lines);
        }
    }));
}

fn follow(console: &Console, source: &dyn Fn(bool) -> Option<Status>, stops: &Stops) {
    let begun = Instant::now();
    let mut pace = Pace::default();
    let mut busy = begun;
    loop {
        if stops.wait(PERIOD) {
            console.stop();
        }
        let Some(mut status) = source(pace.wants_estimate()) else { continue };
        pace.complete(&mut status);
        if status.is_busy() {
            busy = Instant::now();
        }
        let on = match begun.elapsed() > FIRST && status.inferred > 0 && busy.elapsed() < IDLE {
            true => console.show(&status),
            false => {
                console.hide();
                console.has_block()
            }
        };
        if !on {
            return;
        }
    }
}

fn tell(console: &Console, source: &dyn Fn(bool) -> Option<Status>, between_lines: Duration) {
    loop {
        std::thread::sleep(between_lines);
        if console.lock().ended {
            return;
        }
        if let Some(status) = source(true).filter(Status::is_busy) {
            console.tell(&status);
        }
    }
}

/// What is known only by looking several times.
#[derive(Default)]
struct Pace {
    /// When how many steps had ended.
    ended: VecDeque<(Instant, usize)>,
    estimated: Option<Instant>,
    /// When the build will be done.
    end: Option<Instant>,
}

impl Pace {
    /// Whether it is time to ask for the time left.
    fn wants_estimate(&self) -> bool {
        self.estimated.is_none_or(|at| at.elapsed() > BETWEEN_ESTIMATES)
    }

    fn complete(&mut self, status: &mut Status) {
        let now = Instant::now();
        self.ended.push_back((now, status.done));
        while self.ended.front().is_some_and(|(at, _)| now.duration_since(*at) > RECENT) {
            self.ended.pop_front();
        }
        if let Some((since, before)) = self.ended.front() {
            let passed = now.duration_since(*since).as_secs_f64();
            let steps = status.done.saturating_sub(*before);
            status.rate = (passed > 1.0 && steps > 0).then(|| steps as f64 / passed);
        }
        if self.wants_estimate() {
            self.estimated = Some(now);
            self.end = status.left.map(|left| now + left);
        }
        status.left = self.end.map(|end| end.saturating_duration_since(now));
    }
}

/// Where a stop at the terminal is told to the thread; -1: nowhere.
static TOLD: AtomicI32 = AtomicI32::new(-1);

extern "C" fn on_stop(_: libc::c_int) {
    let one = 1u64;
    // SAFETY: write may be called in a handler; the descriptor is open as long as it stands there.
    unsafe { libc::write(TOLD.load(Ordering::SeqCst), (&raw const one).cast(), 8) };
}

/// Ctrl-Z, which is to find a terminal that is whole.
struct Stops(i32);

impl Stops {
    /// Takes stops over, where they are not ignored.
    fn watch() -> Self {
        // SAFETY: a new descriptor, which is never closed; a handler that only writes to it.
        unsafe {
            let event = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
            let mut before: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGTSTP, std::ptr::null(), &raw mut before);
            if event >= 0 && before.sa_sigaction == libc::SIG_DFL {
                TOLD.store(event, Ordering::SeqCst);
                take_stops();
            }
            Self(event)
        }
    }

    /// Waits for a stop, but no longer than this.
    fn wait(&self, limit: Duration) -> bool {
        let mut poll = libc::pollfd { fd: self.0, events: libc::POLLIN, revents: 0 };
        let mut count = 0u64;
        // SAFETY: one valid element, and eight bytes.
        unsafe {
            libc::poll(&raw mut poll, 1, limit.as_millis() as i32) > 0
                && libc::read(self.0, (&raw mut count).cast(), 8) == 8
        }
    }
}

fn take_stops() {
    // SAFETY: the handler is one, and calls what a handler may.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_stop as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGTSTP, &raw const action, std::ptr::null_mut());
    }
}

/// From now on, Ctrl-Z stops this process without a word.
pub fn forget_stops() {
    if TOLD.load(Ordering::SeqCst) >= 0 {
        // SAFETY: a plain call.
        unsafe { libc::signal(libc::SIGTSTP, libc::SIG_DFL) };
    }
}

/// Stops this process; `again` if later stops are to be told as well.
pub fn stop_now(again: bool) {
    forget_stops();
    // SAFETY: plain; returns when the process goes on. To this thread, so that it does not return before.
    unsafe { libc::raise(libc::SIGTSTP) };
    if again {
        take_stops();
    }
}

/// The last line of a build that went well.
pub fn summary(steps: usize, cached: usize, time: Duration, dollars: Option<f64>) -> String {
    let of_cache = match cached {
        0 => String::new(),
        _ if cached == steps => ", all from the cache".to_owned(),
        _ => format!(", {cached} from the cache"),
    };
    let cost = dollars.map_or_else(String::new, |dollars| format!(", about ${dollars:.4}"));
    format!("{steps} {}{of_cache}, in {}{cost}", if steps == 1 { "step" } else { "steps" }, took(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_came_to() {
        let time = Duration::from_millis(4230);
        assert_eq!(summary(1, 0, time, None), "1 step, in 4.2 s");
        assert_eq!(summary(38, 30, time, Some(0.01)), "38 steps, 30 from the cache, in 4.2 s, about $0.0100");
        assert_eq!(summary(38, 38, Duration::from_secs(75), None), "38 steps, all from the cache, in 1:15");
    }
}

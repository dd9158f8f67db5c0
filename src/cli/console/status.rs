//! How far a build is, in words: the lines of the block at a terminal's bottom, and the one line for all else. Pure functions of
//! a state and a width.

use std::sync::Arc;
use std::time::Duration;

use super::width::{columns, printable, shorten};
use crate::size;

/// How far a build is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Since when it runs.
    pub elapsed: Duration,
    /// The build command still runs, so there may be more steps than are known.
    pub inferring: bool,
    /// The steps that are known.
    pub inferred: usize,
    /// Those that have ended, in whatever way.
    pub done: usize,
    /// Those of them that came from the cache.
    pub cached: usize,
    /// How many failed.
    pub failed: u64,
    /// How many each engine has.
    pub running: Vec<(Arc<str>, usize)>,
    /// The one that has run for the longest time.
    pub oldest: Option<Oldest>,
    /// How many ended per second of late.
    pub rate: Option<f64>,
    /// How long it will still take.
    pub left: Option<Duration>,
    /// What engines far away came to, if there are any.
    pub far: Option<Far>,
}

/// A step that runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Oldest {
    /// What kind of step it is, and what it makes.
    pub kind: Arc<str>,
    /// What it makes, as a person in the build's directory calls it.
    pub label: String,
    /// Where it runs.
    pub engine: Arc<str>,
    /// For how long.
    pub age: Duration,
}

/// What engines far away came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Far {
    /// Bytes that went there.
    pub up: u64,
    /// Bytes that came from there.
    pub down: u64,
    /// US dollars.
    pub dollars: f64,
}

/// A part of a line, and whether it is bad news.
type Field = (String, bool);

const INDENT: &str = "    ";

impl Status {
    fn running(&self) -> usize {
        self.running.iter().map(|(_, count)| count).sum()
    }

    fn waiting(&self) -> usize {
        self.inferred.saturating_sub(self.done + self.running())
    }

    /// Whether there is anything to wait for.
    pub fn is_busy(&self) -> bool {
        self.done < self.inferred
    }

    /// How many lines [`Status::lines`] gives.
    pub fn height(&self) -> usize {
        if self.running.len() > 1 || self.far.is_some() { 4 } else { 3 }
    }

    /// The block, each line in no more than `width` columns; what says least goes first where that is not enough.
    pub fn lines(&self, width: usize, colour: bool) -> Vec<String> {
        let plain = |text: String| (text, false);
        let done = if self.inferring {
            format!("{} done of {} inferred", self.done, self.inferred)
        } else {
            format!("{} of {} done", self.done, self.inferred)
        };
        let first = [
            Some(plain(clock(self.elapsed))),
            Some(plain(done)),
            self.left(),
            self.rate.map(|rate| plain(format!("{rate:.1}/s"))),
        ];
        let title = if colour { "\x1b[1mgg\x1b[m  " } else { "gg  " };
        let mut lines = vec![
            title.to_owned() + &fit(first.into_iter().flatten(), width.saturating_sub(INDENT.len()), colour),
            indented(self.counts().into_iter(), width, colour),
            self.oldest.as_ref().map_or_else(String::new, |oldest| self.oldest_line(oldest, width)),
        ];
        if self.height() > lines.len() {
            let far = self.far.iter().flat_map(|far| {
                [
                    format!("${:.3}", far.dollars),
                    format!("{} up", size::show(far.up)),
                    format!("{} down", size::show(far.down)),
                ]
            });
            let engines = self.running.iter().map(|(name, count)| format!("{name} {count}"));
            lines.push(indented(engines.chain(far).map(plain), width, colour));
        }
        lines
    }

    /// The same in one line, for a log.
    pub fn plain(&self) -> String {
        let counts: Vec<String> = self.counts().into_iter().chain(self.left()).map(|(text, _)| text).collect();
        format!("{} of {} steps done after {}, {}", self.done, self.inferred, clock(self.elapsed), counts.join(", "))
    }

    /// How long it takes; what is as good as over is not told.
    fn left(&self) -> Option<Field> {
        let left = self.left.filter(|left| left.as_secs() > 0)?;
        Some((format!("about {} left", clock(left)), false))
    }

    fn counts(&self) -> Vec<Field> {
        let mut counts =
            vec![(format!("{} running", self.running()), false), (format!("{} waiting", self.waiting()), false)];
        if self.failed > 0 {
            counts.push((format!("{} failed", self.failed), true));
        }
        counts.push((format!("{} from cache", self.cached), false));
        counts
    }

    fn oldest_line(&self, oldest: &Oldest, width: usize) -> String {
        let before = format!("{INDENT}oldest: {} ", oldest.kind);
        let place = if self.running.len() > 1 { format!(" on {}", oldest.engine) } else { String::new() };
        let after = format!("  {}{place}", duration(oldest.age));
        let space = width.saturating_sub(columns(&before) + columns(&after));
        let label = printable(&oldest.label);
        if space < 8 && columns(&label) > space {
            return indented([(format!("oldest: {}", oldest.kind), false)].into_iter(), width, false);
        }
        format!("{before}{}{after}", shorten(&label, space))
    }
}

fn indented(fields: impl Iterator<Item = Field>, width: usize, colour: bool) -> String {
    INDENT.to_owned() + &fit(fields, width.saturating_sub(INDENT.len()), colour)
}

/// As many of the fields as there is space for, from the first on.
fn fit(fields: impl Iterator<Item = Field>, width: usize, colour: bool) -> String {
    let mut line = String::new();
    let mut used = 0;
    for (text, bad) in fields {
        let gap = if used > 0 { "  " } else { "" };
        used += gap.len() + columns(&text);
        if used > width {
            break;
        }
        line.push_str(gap);
        if bad && colour {
            line.push_str(&format!("\x1b[1;31m{text}\x1b[m"));
        } else {
            line.push_str(&text);
        }
    }
    line
}

/// A time as a clock shows it.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// How long something took: tenths of a second where there are few.
pub fn took(time: Duration) -> String {
    if time.as_secs() >= 60 { clock(time) } else { format!("{:.1} s", time.as_secs_f64()) }
}

/// A time in words.
fn duration(time: Duration) -> String {
    if time.as_secs() >= 60 { clock(time) } else { format!("{} s", time.as_secs()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> Status {
        Status {
            elapsed: Duration::from_secs(42),
            inferring: true,
            inferred: 1204,
            done: 412,
            cached: 118,
            failed: 0,
            running: vec![("local".into(), 8)],
            oldest: Some(Oldest {
                kind: "compile".into(),
                label: "build/src/server/protocol/handlers/cluster_messages.o".into(),
                engine: "local".into(),
                age: Duration::from_secs(14),
            }),
            rate: Some(9.81),
            left: None,
            far: None,
        }
    }

    fn far() -> Status {
        Status {
            elapsed: Duration::from_secs(3730),
            inferring: false,
            failed: 2,
            running: vec![("lambda".into(), 100), ("local".into(), 2)],
            left: Some(Duration::from_secs(90)),
            far: Some(Far { up: 12_897_485, down: 4_299_161, dollars: 0.0134 }),
            ..local()
        }
    }

    #[track_caller]
    fn assert_shown(status: &Status, width: usize, want: &str) {
        let lines = status.lines(width, false);
        assert_eq!(lines.len(), status.height());
        assert!(lines.iter().all(|line| columns(line) <= width), "{lines:?}");
        assert_eq!(lines.join("\n"), want.strip_prefix('\n').unwrap());
        // Colours take no columns.
        let strip = |line: &String| line.replace("\x1b[1;31m", "").replace("\x1b[1m", "").replace("\x1b[m", "");
        assert_eq!(status.lines(width, true).iter().map(strip).collect::<Vec<_>>(), lines);
    }

    #[test]
    fn at_60_columns() {
        assert_shown(
            &local(),
            60,
            "
gg  0:42  412 done of 1204 inferred  9.8/s
    8 running  784 waiting  118 from cache
    oldest: compile build/src/...rs/cluster_messages.o  14 s",
        );
        assert_shown(
            &far(),
            60,
            "
gg  1:02:10  412 of 1204 done  about 1:30 left  9.8/s
    102 running  690 waiting  2 failed  118 from cache
    oldest: compile build/s...ster_messages.o  14 s on local
    lambda 100  local 2  $0.013  12.3 MiB up  4.1 MiB down",
        );
    }

    #[test]
    fn at_80_columns() {
        assert_shown(
            &far(),
            80,
            "
gg  1:02:10  412 of 1204 done  about 1:30 left  9.8/s
    102 running  690 waiting  2 failed  118 from cache
    oldest: compile build/src/serv.../handlers/cluster_messages.o  14 s on local
    lambda 100  local 2  $0.013  12.3 MiB up  4.1 MiB down",
        );
    }

    #[test]
    fn at_200_columns() {
        assert_shown(
            &local(),
            200,
            "
gg  0:42  412 done of 1204 inferred  9.8/s
    8 running  784 waiting  118 from cache
    oldest: compile build/src/server/protocol/handlers/cluster_messages.o  14 s",
        );
    }

    #[test]
    fn at_almost_nothing() {
        assert_shown(
            &far(),
            20,
            "
gg  1:02:10
    102 running
    oldest: compile
    lambda 100",
        );
        (0..40).for_each(|width| assert!(far().lines(width.max(6), false).iter().all(|l| columns(l) <= width.max(6))));
    }

    #[test]
    fn without_a_terminal() {
        assert_eq!(
            far().plain(),
            "412 of 1204 steps done after 1:02:10, 102 running, 690 waiting, 2 failed, 118 from cache, about 1:30 left"
        );
        assert_eq!(local().plain(), "412 of 1204 steps done after 0:42, 8 running, 784 waiting, 118 from cache");
    }

    #[test]
    fn bad_news_is_red() {
        assert!(far().lines(80, true)[1].contains("\x1b[1;31m2 failed\x1b[m"));
        assert!(!far().lines(80, false).concat().contains('\x1b'));
    }
}

//! How long things took before: the weights of the critical path.

use std::collections::HashMap;
use std::time::Duration;

/// Past run times, by kind of step and by the step itself.
///
/// Kept in memory; who wants it to outlive the process stores [`History::iter`] and collects it again.
#[derive(Clone, Debug, Default)]
pub struct History {
    kinds: HashMap<String, Kind>,
}

#[derive(Clone, Debug, Default)]
struct Kind {
    usual: Option<Duration>,
    steps: HashMap<String, Duration>,
}

/// What a step of a kind nothing is known about is taken to last.
const UNKNOWN: Duration = Duration::from_secs(1);

/// The newest run counts for one part in this many: a machine that was busy once is soon forgiven.
const SMOOTHING: u32 = 3;

fn blend(old: Duration, new: Duration, parts: u32) -> Duration {
    (old * (parts - 1) + new) / parts
}

impl History {
    /// Nothing known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says what a step of this kind lasts as long as none has been seen.
    pub fn usual(&mut self, kind: &str, time: Duration) {
        self.kinds.entry(kind.to_owned()).or_default().usual.get_or_insert(time);
    }

    /// Takes note of one run.
    pub fn record(&mut self, kind: &str, label: &str, time: Duration) {
        let kind = self.kinds.entry(kind.to_owned()).or_default();
        kind.usual = Some(kind.usual.map_or(time, |old| blend(old, time, 16)));
        kind.steps.entry(label.to_owned()).and_modify(|old| *old = blend(*old, time, SMOOTHING)).or_insert(time);
    }

    /// How long this very step ran before, if it did.
    pub fn seen(&self, kind: &str, label: &str) -> Option<Duration> {
        self.kinds.get(kind)?.steps.get(label).copied()
    }

    /// How long this step runs as far as anything is known: as it did before, else as its kind does.
    pub fn known(&self, kind: &str, label: &str) -> Option<Duration> {
        self.kinds.get(kind).and_then(|kind| kind.steps.get(label).copied().or(kind.usual))
    }

    /// How long this step is expected to run: as it did before, else as its kind does, else one second.
    pub fn expected(&self, kind: &str, label: &str) -> Duration {
        self.known(kind, label).unwrap_or(UNKNOWN)
    }

    /// What is known of single steps: kind, label, time; in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, Duration)> {
        self.kinds.iter().flat_map(|(kind, known)| {
            known.steps.iter().map(move |(label, &time)| (kind.as_str(), label.as_str(), time))
        })
    }
}

impl<K: AsRef<str>, L: AsRef<str>> FromIterator<(K, L, Duration)> for History {
    fn from_iter<I: IntoIterator<Item = (K, L, Duration)>>(steps: I) -> Self {
        let mut history = Self::new();
        for (kind, label, time) in steps {
            history.record(kind.as_ref(), label.as_ref(), time);
        }
        history
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_then_its_kind_then_a_second() {
        let ms = Duration::from_millis;
        let mut history = History::new();
        assert_eq!(history.expected("compile", "a.o"), UNKNOWN);
        assert_eq!(history.seen("compile", "a.o"), None);
        history.usual("compile", ms(300));
        assert_eq!(history.expected("compile", "a.o"), ms(300));
        history.record("compile", "a.o", ms(900));
        history.record("compile", "a.o", ms(600));
        assert_eq!(history.expected("compile", "a.o"), ms(800));
        assert_eq!([history.seen("compile", "a.o"), history.seen("compile", "b.o")], [Some(ms(800)), None]);
        let other = history.expected("compile", "b.o");
        assert!(ms(300) < other && other < ms(600), "{other:?}");
    }

    #[test]
    fn survives_being_listed() {
        let mut history = History::new();
        history.record("link", "a\nb", Duration::from_millis(7));
        let copy: History = history.iter().collect();
        assert_eq!(copy.expected("link", "a\nb"), Duration::from_millis(7));
    }
}

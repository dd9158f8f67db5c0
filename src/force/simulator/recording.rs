//! A recorded graph: what each step of a build needed, and how long it took.
//!
//! # The format
//!
//! Text, in UTF-8. The first line is `gg-recording 1`. Each further line is one step, in nine fields with a tab between any two:
//!
//! | field | holds |
//! |---|---|
//! | id | any word without a comma; each step has another |
//! | kind | the kind of step: `compile`, `archive`, `link`, ... |
//! | wall_us | how long its program ran, microseconds |
//! | cpu_us | the CPU time of its program and of those that this started, microseconds |
//! | input_bytes | bytes of the files among its inputs that are named one by one: sources, and headers of the project; neither what other steps make nor directories of the system, which count as the toolchain's |
//! | new_bytes | those of them that no earlier line has |
//! | output_bytes | bytes of all its outputs |
//! | needs | the ids of the steps whose outputs it needs, with commas between them; `-` for none |
//! | label | what to show a person, to the end of the line |
//!
//! Lines may be in any order. Empty lines, and those that begin with `#`, mean nothing. In `kind` and `label`, `\t`, `\n`,
//! `\r` and `\\` stand for a tab, a line feed, a carriage return and a backslash.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// The first line.
const HEADER: &str = "gg-recording 1";
/// What a person finds below it.
const FIELDS: &str = "# id\tkind\twall_us\tcpu_us\tinput_bytes\tnew_bytes\toutput_bytes\tneeds\tlabel";
/// The longest time that a step may have taken, microseconds: eleven days.
const LONGEST_US: u64 = 1_000_000_000_000;
/// The most bytes of one step.
const LARGEST: u64 = 1 << 50;

/// One step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedStep {
    /// The kind of step.
    pub kind: String,
    /// What to show a person.
    pub label: String,
    /// How long its program ran, microseconds.
    pub wall_us: u64,
    /// The CPU time of its program, microseconds.
    pub cpu_us: u64,
    /// Bytes of the files among its inputs that no step makes, without directories of the system.
    pub input_bytes: u64,
    /// Those of them that no earlier step has.
    pub new_bytes: u64,
    /// Bytes of all its outputs.
    pub output_bytes: u64,
    /// The steps whose outputs it needs: their places in [`Recording::steps`], which are below its own.
    pub needs: Vec<u32>,
}

impl RecordedStep {
    /// How long it computes on one processor of the machine that it was recorded on: its CPU time, since its wall time also
    /// counts what others did to that machine. Where no CPU time is known, its wall time.
    pub fn work(&self) -> Duration {
        Duration::from_micros(if self.cpu_us > 0 { self.cpu_us } else { self.wall_us })
    }
}

/// The steps of a build, each after all that it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    steps: Vec<RecordedStep>,
}

/// Why a text is no recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct RecordingError {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The first line is another.
    #[error("this is no recorded graph, which begins with `{HEADER}`; `gg graph --record FILE` writes one")]
    Header,
    /// Too few fields.
    #[error("there are {0} fields with a tab between them, not 9")]
    Fields(usize),
    /// A field that is no number, or too large a number.
    #[error("`{field}` is {text:?}, not a whole number of at most {most}")]
    Number {
        /// Which.
        field: &'static str,
        /// What it is.
        text: String,
        /// What it may be.
        most: u64,
    },
    /// An id that is empty or holds a comma.
    #[error("{0:?} is no id: a word without a comma, but not `-`")]
    Id(String),
    /// Two steps with one id.
    #[error("the id {0:?} is that of another step, on line {1}")]
    Twice(String, usize),
    /// An id that is no step's.
    #[error("it needs {0:?}, which is no step's id")]
    Unknown(String),
    /// A step that waits for itself.
    #[error("the step waits for itself, by way of what it needs")]
    Cycle,
    /// More steps than there may be.
    #[error("there are too many steps")]
    TooMany,
}

/// A line that has been read, before what it needs has been looked up.
struct Line<'a> {
    number: usize,
    needs: &'a str,
    step: RecordedStep,
}

impl Recording {
    /// These steps, whose `needs` are places in `steps`, in any order.
    ///
    /// # Errors
    /// The place of a step that waits for itself, or needs what is not there.
    pub fn new(steps: Vec<RecordedStep>) -> Result<Self, usize> {
        let strange = steps.iter().position(|step| step.needs.iter().any(|&need| need as usize >= steps.len()));
        strange.map_or_else(|| sorted(steps), Err)
    }

    /// The steps, each after all that it needs.
    pub fn steps(&self) -> &[RecordedStep] {
        &self.steps
    }

    /// Reads a recording.
    ///
    /// # Errors
    /// [`RecordingError`] with the number of the line.
    pub fn parse(text: &str) -> Result<Self, RecordingError> {
        let at = |line: usize, problem| RecordingError { line, problem };
        let mut lines = (1..).zip(text.lines());
        if lines.next().is_none_or(|(_, line)| line.trim_end() != HEADER) {
            return Err(at(1, Problem::Header));
        }
        let mut ids: HashMap<&str, u32> = HashMap::new();
        let mut read: Vec<Line> = Vec::new();
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
            let (id, line) = parse_line(number, line).map_err(|problem| at(number, problem))?;
            let index = u32::try_from(read.len()).map_err(|_| at(number, Problem::TooMany))?;
            if let Some(other) = ids.insert(id, index) {
                return Err(at(number, Problem::Twice(id.to_owned(), read[other as usize].number)));
            }
            read.push(line);
        }
        for Line { number, needs, step } in read.iter_mut().filter(|line| line.needs != "-") {
            let found = needs
                .split(',')
                .map(|id| ids.get(id).copied().ok_or_else(|| at(*number, Problem::Unknown(id.to_owned()))));
            step.needs = found.collect::<Result<Vec<u32>, _>>()?;
            step.needs.sort_unstable();
            step.needs.dedup();
        }
        let numbers: Vec<usize> = read.iter().map(|line| line.number).collect();
        let steps = read.into_iter().map(|line| line.step).collect();
        Self::new(steps).map_err(|step| at(numbers[step], Problem::Cycle))
    }
}

fn parse_line(number: usize, line: &str) -> Result<(&str, Line<'_>), Problem> {
    let fields: Vec<&str> = line.splitn(9, '\t').collect();
    let &[id, kind, wall, cpu, input, new, output, needs, label] = &fields[..] else {
        return Err(Problem::Fields(fields.len()));
    };
    if id.is_empty() || id == "-" || id.contains(',') || id.contains(char::is_whitespace) {
        return Err(Problem::Id(id.to_owned()));
    }
    let count = |field, text: &str, most| {
        let number = text.parse().ok().filter(|number| *number <= most);
        number.ok_or_else(|| Problem::Number { field, text: text.to_owned(), most })
    };
    let step = RecordedStep {
        kind: unescape(kind),
        label: unescape(label),
        wall_us: count("wall_us", wall, LONGEST_US)?,
        cpu_us: count("cpu_us", cpu, LONGEST_US)?,
        input_bytes: count("input_bytes", input, LARGEST)?,
        new_bytes: count("new_bytes", new, LARGEST)?,
        output_bytes: count("output_bytes", output, LARGEST)?,
        needs: Vec::new(),
    };
    Ok((id, Line { number, needs, step }))
}

/// The steps in an order in which each comes after all that it needs, and otherwise in theirs; or one that waits for itself.
fn sorted(steps: Vec<RecordedStep>) -> Result<Recording, usize> {
    const NEW: u8 = 0;
    const OPEN: u8 = 1;
    const DONE: u8 = 2;
    let mut state = vec![NEW; steps.len()];
    let mut order: Vec<u32> = Vec::with_capacity(steps.len());
    let mut stack: Vec<(u32, usize)> = Vec::new();
    for root in 0..steps.len() as u32 {
        if state[root as usize] == NEW {
            state[root as usize] = OPEN;
            stack.push((root, 0));
        }
        while let Some((step, seen)) = stack.last_mut() {
            let step_index = *step as usize;
            if let Some(&need) = steps[step_index].needs.get(*seen) {
                *seen += 1;
                match state[need as usize] {
                    NEW => {
                        state[need as usize] = OPEN;
                        stack.push((need, 0));
                    }
                    OPEN => return Err(step_index),
                    _ => {}
                }
            } else {
                state[step_index] = DONE;
                order.push(*step);
                stack.pop();
            }
        }
    }
    let mut place = vec![0u32; steps.len()];
    (0..).zip(&order).for_each(|(new, &old)| place[old as usize] = new);
    let mut steps: Vec<Option<RecordedStep>> = steps.into_iter().map(Some).collect();
    let moved = order.iter().filter_map(|&old| {
        let mut step = steps[old as usize].take()?;
        step.needs.iter_mut().for_each(|need| *need = place[*need as usize]);
        step.needs.sort_unstable();
        Some(step)
    });
    Ok(Recording { steps: moved.collect() })
}

/// What [`Recording::parse`] reads.
impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}\n{FIELDS}")?;
        for (id, step) in self.steps.iter().enumerate() {
            let RecordedStep { wall_us, cpu_us, input_bytes, new_bytes, output_bytes, .. } = step;
            write!(
                f,
                "{id}\t{}\t{wall_us}\t{cpu_us}\t{input_bytes}\t{new_bytes}\t{output_bytes}\t",
                escape(&step.kind)
            )?;
            match step.needs.split_first() {
                None => f.write_str("-")?,
                Some((first, rest)) => {
                    write!(f, "{first}")?;
                    rest.iter().try_for_each(|need| write!(f, ",{need}"))?;
                }
            }
            writeln!(f, "\t{}", escape(&step.label))?;
        }
        Ok(())
    }
}

fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['\t', '\n', '\r', '\\']) {
        return text.into();
    }
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r").into()
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (char, if char == '\\' { chars.clone().next() } else { None }) {
            (_, Some('t')) => out.push('\t'),
            (_, Some('n')) => out.push('\n'),
            (_, Some('r')) => out.push('\r'),
            (_, Some('\\')) => out.push('\\'),
            // A backslash before anything else is one.
            _ => {
                out.push(char);
                continue;
            }
        }
        chars.next();
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(lines: &str) -> (usize, Problem) {
        let error = Recording::parse(&format!("{HEADER}\n{lines}")).unwrap_err();
        (error.line, error.problem)
    }

    #[test]
    fn steps_in_any_order() {
        let text = "gg-recording 1\n# a remark\n\nlink\tlink\t9\t0\t0\t0\t7\ta,b,a\tprog\na\tcompile\t5\t4\t3\t2\t1\t-\ta.o\nb\tcompile\t1\t1\t1\t1\t1\t-\tb\\to\ty\n";
        let recording = Recording::parse(text).unwrap();
        let [a, b, link] = recording.steps() else { panic!("{recording:?}") };
        let given = (a.wall_us, a.cpu_us, a.input_bytes, a.new_bytes, a.output_bytes);
        assert_eq!((a.label.as_str(), given), ("a.o", (5, 4, 3, 2, 1)));
        // What follows the eighth tab is the label, whatever it holds.
        assert_eq!(b.label, "b\to\ty");
        assert_eq!((link.kind.as_str(), &link.needs[..]), ("link", &[0, 1][..]));
        assert_eq!([a.work(), link.work()], [4, 9].map(Duration::from_micros));
    }

    #[test]
    fn what_is_wrong_has_a_line() {
        let step = |id: &str, needs: &str| format!("{id}\tk\t1\t1\t1\t1\t1\t{needs}\tl\n");
        assert_eq!(Recording::parse("").unwrap_err().line, 1);
        assert_eq!(Recording::parse("gg-recording 2\n").unwrap_err().problem, Problem::Header);
        assert_eq!(problem("#\na\tk\t1\n"), (3, Problem::Fields(3)));
        let number = Problem::Number { field: "cpu_us", text: "1e3".into(), most: LONGEST_US };
        assert_eq!(problem("a\tk\t1\t1e3\t1\t1\t1\t-\tl\n"), (2, number));
        assert!(matches!(problem(&format!("a\tk\t{}\t1\t1\t1\t1\t-\tl\n", u64::MAX)).1, Problem::Number { .. }));
        assert_eq!(problem(&step("a,b", "-")), (2, Problem::Id("a,b".into())));
        assert_eq!(problem(&step("-", "-")), (2, Problem::Id("-".into())));
        assert_eq!(problem(&(step("a", "-") + &step("a", "-"))), (3, Problem::Twice("a".into(), 2)));
        assert_eq!(problem(&step("a", "b")), (2, Problem::Unknown("b".into())));
        assert_eq!(problem(&step("a", "")), (2, Problem::Unknown(String::new())));
        assert_eq!(problem(&step("a", "a")), (2, Problem::Cycle));
        let (line, cycle) = problem(&(step("a", "-") + &step("b", "a,c") + &step("c", "b")));
        assert!(line > 2 && cycle == Problem::Cycle, "{line}");
        let text = RecordingError { line: 4, problem: Problem::Unknown("x".into()) }.to_string();
        assert_eq!(text, "line 4: it needs \"x\", which is no step's id");
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let mut text = format!("{HEADER}\n");
        (0..200_000).for_each(|i| text.push_str(&format!("{i}\tk\t1\t1\t0\t0\t0\t{}\tl\n", i + 1)));
        text.push_str("200000\tk\t1\t1\t0\t0\t0\t-\tl\n");
        assert!(Recording::parse(&text).unwrap().steps()[0].needs.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(steps in proptest::collection::vec(
            ("(?s).{0,9}", "(?s).{0,9}", 0..=LONGEST_US, 0..=LARGEST, proptest::collection::vec(any::<proptest::sample::Index>(), 0..4)), 0..20)
        ) {
            let steps = steps.into_iter().enumerate().map(|(at, (kind, label, time, bytes, needs))| {
                let mut needs: Vec<u32> =
                    needs.iter().filter(|_| at > 0).map(|need| need.index(at) as u32).collect();
                needs.sort_unstable();
                needs.dedup();
                RecordedStep {
                    kind, label, wall_us: time, cpu_us: time / 2, input_bytes: bytes, new_bytes: bytes / 2,
                    output_bytes: bytes / 3, needs,
                }
            });
            let recording = Recording::new(steps.collect()).unwrap();
            prop_assert_eq!(Recording::parse(&recording.to_string()).unwrap(), recording);
        }

        #[test]
        fn no_text_is_too_strange(text in ".*", lines in "(a|b|-|,|\t|\n|1|#|\\\\){0,60}") {
            let _ = Recording::parse(&text);
            if let Ok(recording) = Recording::parse(&format!("{HEADER}\n{lines}")) {
                for (at, step) in (0..).zip(recording.steps()) {
                    prop_assert!(step.needs.iter().all(|&need| need < at));
                }
            }
        }
    }
}

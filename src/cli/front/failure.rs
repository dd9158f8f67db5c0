//! What went wrong with a thunk, in words that name its program and its input.

use std::collections::BTreeMap;
use std::sync::Arc;

use gg_force::{Cause, ThunkFailure};
use gg_ir::{AbsPath, Input, Made, Name, Thunk};
use gg_worker::{Status, missing_library};

use super::stated::NAMED;

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The thunk's own program's.
    Program,
    /// Another thunk's program's, whose output this one needs.
    Dependency,
    /// gg's, the machine's or the service's.
    Infrastructure,
    /// Nobody's.
    Cancelled,
}

/// A thunk that has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Whose fault it is.
    pub kind: FailureKind,
    /// The thunk that failed, which may be one that the wanted one needs.
    pub thunk: Name,
    /// What happened, to which program, on which input, in one paragraph.
    pub message: String,
    /// What a person calls it.
    pub label: String,
    /// The command.
    pub command: Vec<String>,
    /// The paths of what it works on, ten at most.
    pub inputs: Vec<String>,
    /// The program's exit status, if it came to that.
    pub status: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Whether it was ended since the time was over that its thunk allows.
    pub timed_out: bool,
    /// Outputs that it did not write.
    pub missing: Vec<String>,
    /// Outputs that it wrote all the same, by their tags.
    pub outputs: BTreeMap<String, Made>,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

/// What was said of a thunk that is no part of it.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// What a person calls it.
    pub label: Option<String>,
    /// See [`Stated::inputs`](super::Stated::inputs).
    pub inputs: Arc<[String]>,
}

impl Failed {
    /// What is to be said of a failure; `thunk` is the one that failed, where it can be read.
    /// `label` is what a person calls it, `inputs` are the paths of what it works on, where that was said.
    pub fn of(
        failure: &ThunkFailure,
        thunk: Option<&Thunk>,
        label: Option<String>,
        inputs: Option<Arc<[String]>>,
        dependency: bool,
    ) -> Self {
        let command: Vec<String> = thunk.map_or_else(Vec::new, |thunk| {
            thunk.function.args.iter().map(|arg| arg.to_string_lossy().into()).collect()
        });
        let inputs = inputs.map_or_else(|| thunk.map_or_else(Vec::new, names), |inputs| inputs.to_vec());
        let mut out = Self {
            kind: FailureKind::Infrastructure,
            thunk: failure.name,
            message: String::new(),
            label: label.unwrap_or_else(|| shortened(&command.join(" "))),
            command,
            inputs,
            status: None,
            signal: None,
            timed_out: false,
            missing: Vec::new(),
            outputs: BTreeMap::new(),
            stdout: Vec::new(),
            stderr: Vec::new(),
        };
        let mut what = failure.cause.to_string();
        match &failure.cause {
            Cause::Program(program) => {
                out.kind = FailureKind::Program;
                match program.status {
                    Status::Exited(status) => out.status = Some(status),
                    Status::Signalled(signal) => out.signal = Some(signal),
                    Status::OverTime => out.timed_out = true,
                }
                out.outputs = program.outputs.iter().map(|(tag, made)| (tag.to_string(), made.clone())).collect();
                out.missing = program.missing_outputs.iter().map(ToString::to_string).collect();
                (out.stdout, out.stderr) = (program.stdout.clone(), program.stderr.clone());
                if let Some(line) = last_line(&program.stderr) {
                    what = format!("{what}: {line}");
                }
                if let Some(library) = missing_library(&program.stderr) {
                    what = format!(
                        "{what} (the sandbox holds the thunk's inputs and nothing else: {library} is none of them)"
                    );
                }
            }
            Cause::Breach(_) => out.kind = FailureKind::Program,
            Cause::Infrastructure(_) | Cause::Dependency(_) => {}
            Cause::Cancelled => out.kind = FailureKind::Cancelled,
        }
        if dependency && out.kind == FailureKind::Program {
            out.kind = FailureKind::Dependency;
            // Thousands may need it, and each of them tells of it.
            out.stdout = tail(&out.stdout);
            out.stderr = tail(&out.stderr);
        }
        let program = thunk.and_then(|thunk| Some(thunk.function.executable.as_path().file_name()?.to_string_lossy()));
        let on = match out.inputs.first() {
            Some(first) if !out.label.contains(first.as_str()) => format!(" on {first}"),
            _ => String::new(),
        };
        let program = program.unwrap_or_default();
        // A thunk that cannot be read has neither.
        let head = if out.label.is_empty() { String::new() } else { format!("{}: {program}{on}: ", out.label) };
        out.message = format!("{head}{what} (thunk {})", failure.name);
        out
    }
}

impl Failed {
    /// The exit status of a command that failed so: its own, as a shell tells it, 124 where its time was over, or 2 where it is not
    /// the command's doing.
    pub fn exit_status(&self) -> i32 {
        match (self.status, self.signal) {
            (Some(status), _) if status != 0 => status,
            (_, Some(signal)) => 128 + signal,
            _ if self.timed_out => Status::OverTime.code(),
            _ => 2,
        }
    }
}

/// What the thunk works on: its inputs, but for the root with its program, links and streams.
fn names(thunk: &Thunk) -> Vec<String> {
    let work = |(path, input): &(&AbsPath, &Input)| {
        **path != AbsPath::root() && !Thunk::is_stream(path) && matches!(input, Input::File { .. } | Input::Tree(_))
    };
    let inputs = thunk.inputs.iter().filter(work).map(|(path, _)| path);
    let own = inputs.filter(|path| path.as_path() != thunk.function.executable.as_path());
    own.take(NAMED).map(ToString::to_string).collect()
}

/// The end of what a program has written, from the beginning of a line if there is one.
fn tail(text: &[u8]) -> Vec<u8> {
    /// As much is told of it, in bytes.
    const TOLD: usize = 4096;
    let Some(cut) = text.len().checked_sub(TOLD) else { return text.to_vec() };
    let line = text[cut..].iter().position(|&byte| byte == b'\n').map_or(cut, |at| cut + at + 1);
    text[if line == text.len() { cut } else { line }..].to_vec()
}

/// The last line that says anything.
fn last_line(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    Some(shortened(line))
}

fn shortened(text: &str) -> String {
    /// Characters of a line that is shown.
    const LONGEST: usize = 200;
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_told() {
        assert_eq!(tail(b"short\n"), b"short\n");
        let long = [b"x".repeat(5000), b"\nlast\n".to_vec()].concat();
        assert_eq!(tail(&long), b"last\n");
        assert_eq!(tail(&b"x".repeat(5000)).len(), 4096);
    }

    #[test]
    fn the_last_line_is_told() {
        assert_eq!(last_line(b"a\nb: what\n\n").as_deref(), Some("b: what"));
        assert_eq!(last_line(b" \n"), None);
        assert_eq!(last_line("é".repeat(300).as_bytes()).unwrap().chars().count(), 201);
    }
}

//! What is known of a step while the build runs, in numbers.

use std::time::Duration;

use gg_force::{Attempt, AttemptEnd};
use gg_ir::Name;

use super::us;
use crate::report::record::{AttemptRecord, End, Served, StepRecord};
use crate::report::texts::Text;

/// A step in numbers.
pub(super) struct Draft {
    pub(super) thunk: Name,
    pub(super) kind: &'static str,
    pub(super) needs: Box<[u32]>,
    pub(super) at_once: Option<&'static str>,
    pub(super) served: Served,
    pub(super) inferred: Duration,
    pub(super) ready: Option<Duration>,
    pub(super) ended: Option<Duration>,
    pub(super) wall_us: u64,
    pub(super) cpu_us: u64,
    pub(super) peak_kib: u64,
    pub(super) output_bytes: u64,
    pub(super) log: Box<[Attempt]>,
    pub(super) failure: Option<Box<Failure>>,
}

pub(super) struct Failure {
    pub(super) status: Option<i32>,
    pub(super) why: String,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Draft {
    /// The record of the step, with its words.
    pub(super) fn finish(self, text: Text) -> StepRecord {
        let Text { tool, label, outputs, directory, command } = text;
        let program = matches!(self.served, Served::Executed | Served::Cached).then_some(0);
        let (status, failure, stdout, stderr) = match self.failure.map(|failure| *failure) {
            None => (program, None, None, None),
            Some(Failure { status, why, stdout, stderr }) => {
                let text = |bytes: Vec<u8>| (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned());
                (status, Some(why), text(stdout), text(stderr))
            }
        };
        let mut attempts: Vec<AttemptRecord> = self.log.iter().map(AttemptRecord::from).collect();
        attempts.sort_by_key(|attempt| attempt.ended_us);
        let mut step = StepRecord {
            thunk: self.thunk.to_string(),
            kind: self.kind.to_owned(),
            tool,
            label,
            outputs,
            directory,
            command,
            needs: self.needs.into(),
            served: self.served,
            engine: None,
            status,
            failure,
            stdout,
            stderr,
            at_once: self.at_once.map(str::to_owned),
            inferred_us: us(self.inferred),
            ready_us: self.ready.map(us),
            ended_us: self.ended.map(us),
            wall_us: self.wall_us,
            cpu_us: self.cpu_us,
            peak_kib: self.peak_kib,
            output_bytes: self.output_bytes,
            attempts,
        };
        if matches!(step.served, Served::Executed | Served::Failed) {
            step.engine = step.decisive().or(step.attempts.last()).map(|attempt| attempt.engine.clone());
        }
        step
    }
}

impl From<&Attempt> for AttemptRecord {
    fn from(attempt: &Attempt) -> Self {
        let phases = &attempt.phases;
        Self {
            engine: attempt.engine.to_string(),
            worker: attempt.worker,
            sent_us: us(attempt.sent),
            ended_us: us(attempt.ended),
            upload_us: us(phases.upload),
            queue_us: us(phases.queue),
            fetch_us: us(phases.fetch),
            prepare_us: us(phases.prepare),
            run_us: us(phases.run),
            store_us: us(phases.store),
            end: match attempt.end {
                AttemptEnd::Done => End::Done,
                AttemptEnd::Failed => End::Failed,
                AttemptEnd::Beaten => End::Beaten,
                AttemptEnd::Lost => End::Lost,
                AttemptEnd::Broken => End::Broken,
                AttemptEnd::Declined => End::Declined,
                AttemptEnd::Cancelled => End::Cancelled,
            },
            trouble: attempt.trouble.as_deref().map(str::to_owned),
            duplicate: attempt.duplicate,
            cold: attempt.cold,
            bytes_up: attempt.bytes_up,
            bytes_down: attempt.bytes_down,
        }
    }
}

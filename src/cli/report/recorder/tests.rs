use std::collections::BTreeMap;
use std::sync::LazyLock;

use gg_force::{Attempt, AttemptEnd, Phases, ThunkFailure};
use gg_ir::{Cost, Kind, Made, Reduction, Tag};

use super::*;
use crate::report::record::{Record, VERSION};
use crate::report::{Runs, file};

fn name(number: u32) -> Name {
    Name::of(Kind::Thunk, &number.to_le_bytes())
}

/// What a source holds.
static SOURCE: LazyLock<Name> = LazyLock::new(|| Name::of_value(b"int source;"));

fn entry(number: u32) -> Entry<'static> {
    let output = format!("/project/src/module{}/file{number}.o", number / 20);
    Entry {
        thunk: name(number),
        kind: "compile",
        tool: "gcc".into(),
        label: output.clone(),
        outputs: vec![output.clone(), output.replace(".o", ".d")],
        directory: Path::new("/project"),
        command: format!("gcc {} -c -o {output}", "-I/project/include -DSOME_MACRO=1 -Wall -Wextra -O2 ".repeat(20)),
        reads: vec![Read::File(Path::new("/project/source.c"), &SOURCE)],
        at_once: None,
    }
}

fn done(number: u32, result: gg_force::Outcome, log: Vec<Attempt>) -> Finished {
    let second = Duration::from_secs(1);
    Finished {
        name: name(number),
        kind: "compile".into(),
        label: "".into(),
        result,
        served: gg_force::Served::Executed { engine: "local".into() },
        attempts: 1,
        queued: second,
        ran: second,
        ready: Some(second),
        ended: second * 3,
        log,
        again: false,
    }
}

fn attempt(end: AttemptEnd) -> Attempt {
    let phases = Phases { run: Duration::from_millis(700), ..Phases::default() };
    let (sent, ended) = (Duration::from_secs(1), Duration::from_secs(2));
    Attempt { engine: "local".into(), worker: Some(1), sent, ended, phases, end, ..Attempt::default() }
}

#[test]
fn fifty_thousand_steps() {
    const STEPS: u32 = 50_000;
    let recorder = Recorder::new(Instant::now());
    for number in 0..STEPS {
        // By what has not been made yet, and by what has.
        let needed = number.checked_sub(7).map(|number| (name(number), entry(number).label));
        let mut entry = entry(number);
        if let Some((thunk, label)) = &needed {
            let read =
                if number.is_multiple_of(2) { Read::Output(thunk) } else { Read::File(Path::new(label), &SOURCE) };
            entry.reads.push(read);
        }
        recorder.enter(entry);
    }
    recorder.enter(entry(5));
    for number in 0..STEPS {
        let reduction = Reduction {
            thunk: name(number),
            outputs: BTreeMap::new(),
            undeclared: BTreeMap::new(),
            stdout: vec![],
            stderr: vec![],
            cost: Cost { wall_us: 9, cpu_us: 8, peak_kib: 7 },
        };
        recorder.finished(&done(number, Ok(reduction.into()), vec![attempt(AttemptEnd::Done)]));
    }
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::of(dir.path(), Path::new("/project"));
    let head = Record { version: VERSION, ..Record::default() };
    let number = runs.save(&head, recorder.take_steps()).unwrap();
    let steps = runs.load(number).unwrap().steps;
    assert_eq!(steps.len(), STEPS as usize);
    for (number, step) in (0..STEPS).zip(&steps) {
        let want = entry(number);
        assert_eq!((&step.label, &step.command, &step.outputs), (&want.label, &want.command, &want.outputs));
        assert_eq!(step.needs, number.checked_sub(7).into_iter().collect::<Vec<_>>());
        assert_eq!((step.served, step.took_us(), step.peak_kib), (Served::Executed, 700_000, 7));
    }
}

#[test]
fn what_was_moved_when_it_was_real() {
    let recorder = Recorder::new(Instant::now());
    let made = |content: &[u8]| Made { object: Reference::Value(Name::of_value(content)), mode: 0o644 };
    let outputs = [("o", made(b"object")), ("d", made(b""))];
    let reduction = Reduction {
        thunk: name(0),
        outputs: outputs.into_iter().map(|(tag, made)| (Tag::new(tag).unwrap(), made)).collect(),
        undeclared: BTreeMap::new(),
        stdout: vec![],
        stderr: vec![],
        cost: Cost::default(),
    };
    recorder.enter(entry(0));
    recorder.finished(&done(0, Ok(reduction.into()), vec![attempt(AttemptEnd::Done)]));
    let read = |number: u32, content: &[u8]| {
        let value = Name::of_value(content);
        recorder.enter(Entry { reads: vec![Read::File(Path::new("/project/moved"), &value)], ..entry(number) });
    };
    read(1, b"object");
    read(2, b"");
    read(3, b"something else");
    let needs: Vec<Vec<u32>> = recorder.take_steps().map(|step| step.needs).collect();
    assert_eq!(needs, [vec![], vec![0], vec![], vec![]]);
}

#[test]
fn failures_are_kept_whole_as_far_as_there_is_room() {
    let recorder = Recorder::new(Instant::now());
    let failed = |stderr: usize| {
        let program = gg_force::Failure {
            status: gg_force::Status::Signalled(11),
            stdout: b"o\xff".to_vec(),
            stderr: vec![b'e'; stderr],
            cost: Cost::default(),
            missing_outputs: vec![],
            outputs: BTreeMap::new(),
            undeclared: BTreeMap::new(),
        };
        Err(ThunkFailure { name: name(0), cause: Cause::Program(Box::new(program)) }.into())
    };
    let count = (ALL_OUTPUT / LONGEST_OUTPUT) as u32 + 2;
    for number in 0..count {
        recorder.enter(entry(number));
        let log = vec![attempt(AttemptEnd::Beaten), attempt(AttemptEnd::Failed)];
        recorder.finished(&done(number, failed(LONGEST_OUTPUT + 1), log));
    }
    let cancelled = Err(ThunkFailure { name: name(0), cause: Cause::Cancelled }.into());
    recorder.enter(entry(count));
    recorder.finished(&done(count, cancelled, vec![]));
    recorder.enter(entry(count + 1));
    recorder.enter_known(&name(count + 1), 3);
    recorder.enter(entry(count + 2));
    let mut written = Vec::new();
    file::write(&Record { version: VERSION, ..Record::default() }, recorder.take_steps(), &mut written).unwrap();
    let steps = file::read(&written[..]).unwrap().steps;
    let first = &steps[0];
    assert_eq!((first.served, first.status, first.stdout.as_deref()), (Served::Failed, Some(139), Some("o\u{fffd}")));
    assert_eq!(first.failure.as_deref(), Some("killed by signal 11"));
    assert_eq!(first.engine.as_deref(), Some("local"));
    let kept = |step: &StepRecord| step.stderr.as_ref().map_or(0, String::len);
    assert_eq!(kept(first), LONGEST_OUTPUT + CUT.len());
    assert!(steps.iter().map(kept).sum::<usize>() <= ALL_OUTPUT + LONGEST_OUTPUT);
    let last = &steps[count as usize..];
    let served: Vec<Served> = last.iter().map(|step| step.served).collect();
    assert_eq!(served, [Served::NotRun, Served::Cached, Served::Pending]);
    assert_eq!((last[1].status, last[2].status, last[2].ended_us), (Some(3), None, None));
}

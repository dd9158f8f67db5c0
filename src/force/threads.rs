//! The coordinator with its threads, on imagined engines and in imagined time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gg_ir::{Kind, Name, Reduction, Reference, Thunk};

use crate::clock::{Clock, RealClock, VirtualClock};
use crate::coordinator::{Config, Coordinator};
use crate::engine::{Engine, EngineResult, Work};
use crate::failure::Cause;
use crate::history::History;
use crate::ids::ThunkId;
use crate::ledger::{Ledger, LedgerError};
use crate::observer::{Finished, NoObserver, Observer, Served};
use crate::policy::Policy;
use crate::world::{exit, made, product, request, succeed, thunk};

#[derive(Default)]
struct Memory {
    thunks: Mutex<HashMap<Name, Arc<Thunk>>>,
    reductions: Mutex<HashMap<Name, Reduction>>,
}

impl Ledger for Memory {
    fn read_thunk(&self, name: &Name) -> Result<Arc<Thunk>, LedgerError> {
        self.thunks.lock().unwrap().get(name).cloned().ok_or(LedgerError::Missing(*name))
    }

    fn reduction(&self, thunk: &Name) -> Result<Option<Reduction>, LedgerError> {
        Ok(self.reductions.lock().unwrap().get(thunk).cloned())
    }

    fn record(&self, reduction: &Reduction) -> Result<(), LedgerError> {
        self.reductions.lock().unwrap().insert(reduction.thunk, reduction.clone());
        Ok(())
    }

    fn read(&self, value: &Name) -> Result<Vec<u8>, LedgerError> {
        Err(LedgerError::Missing(*value))
    }

    fn begins(&self, value: &Name, _: &[u8]) -> Result<bool, LedgerError> {
        Err(LedgerError::Missing(*value))
    }

    fn put(&self, kind: Kind, bytes: &[u8]) -> Result<Name, LedgerError> {
        Ok(Name::of(kind, bytes))
    }

    fn forget(&self, thunk: &Name) {
        self.reductions.lock().unwrap().remove(thunk);
    }
}

type Answer = Box<dyn Fn(&Work) -> (Duration, Option<EngineResult>) + Send + Sync>;

/// Answers after some imagined time; never, where there is no answer.
struct Imagined {
    clock: Arc<VirtualClock>,
    capacity: usize,
    answer: Answer,
}

impl Engine for Imagined {
    fn name(&self) -> &str {
        "imagined"
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn start(&self, work: Work, done: Box<dyn FnOnce(EngineResult) + Send>) {
        let (time, result) = (self.answer)(&work);
        if let Some(result) = result {
            self.clock.after(time, move || done(result));
        }
    }

    fn cancel(&self, _: ThunkId) {}

    fn stop(&self) {}
}

/// Notes labels in order.
#[derive(Default)]
struct Notes(Mutex<Vec<(String, bool)>>, AtomicUsize);

impl Observer for Notes {
    fn finished(&self, done: &Finished) {
        // Slow, so that whoever does not wait for it is found out.
        std::thread::sleep(Duration::from_millis(2));
        self.0.lock().unwrap().push((done.label.to_string(), done.served == Served::FromCache));
    }

    fn notice(&self, _: &str) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

fn config(store: &Arc<Memory>, capacity: usize, answer: Answer) -> Config {
    let clock = Arc::new(VirtualClock::new());
    Config {
        store: store.clone(),
        engines: vec![Arc::new(Imagined { clock: clock.clone(), capacity, answer })],
        clock,
        policy: Policy::default(),
        history: History::new(),
        observer: Arc::new(NoObserver),
        keep_going: true,
        on_failure: None,
        resupply: None,
    }
}

fn good() -> Answer {
    Box::new(|work| (succeed(work).0, Some(succeed(work).1)))
}

#[test]
fn waiting_and_being_told() {
    let store = Arc::new(Memory::default());
    let told = Arc::new(Notes::default());
    for cached in [false, true] {
        let coordinator = Coordinator::start(Config { observer: told.clone(), ..config(&store, 2, good()) }).unwrap();
        let a = thunk("a", &[]);
        let b = thunk("b", &[a.name()]);
        coordinator.add(request(&a));
        coordinator.add(request(&b));
        let outcome = coordinator.wait(&b.name()).unwrap();
        assert_eq!(outcome.outputs[&crate::world::tag()].object, Reference::Value(product(&b)));
        let summary = coordinator.wait_all();
        assert_eq!((summary.executed, summary.cached), if cached { (0, 2) } else { (2, 0) });
        let told = std::mem::take(&mut *told.0.lock().unwrap());
        assert_eq!(told, [("a".to_owned(), cached), ("b".to_owned(), cached)]);
        assert_eq!(coordinator.history().iter().count(), if cached { 0 } else { 2 });
    }
}

#[test]
fn many_threads_wait_for_one_thunk() {
    let store = Arc::new(Memory::default());
    let a = thunk("a", &[]);
    store.thunks.lock().unwrap().insert(a.name(), a.clone());
    let coordinator = Coordinator::start(config(&store, 1, good())).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert!(coordinator.wait(&a.name()).is_ok()));
        }
    });
    assert_eq!(coordinator.wait_all().runs, 1);
}

#[test]
fn an_engine_that_never_answers_is_cancelled_in_time() {
    let store = Arc::new(Memory::default());
    let coordinator = Coordinator::start(Config {
        clock: Arc::new(RealClock::new()),
        ..config(&store, 1, Box::new(|_| (Duration::ZERO, None)))
    });
    // Dropping the callback counts as a failure of the engine, and each is tried a few times.
    let coordinator = coordinator.unwrap();
    let a = thunk("a", &[]);
    coordinator.add(request(&a));
    let begin = Instant::now();
    coordinator.cancel_all();
    let failure = coordinator.wait(&a.name()).unwrap_err();
    assert_eq!(failure.cause, Cause::Cancelled);
    assert!(begin.elapsed() < Duration::from_millis(1500));
}

#[test]
fn a_dropped_callback_is_a_failure_of_the_engine() {
    let store = Arc::new(Memory::default());
    let told = Arc::new(Notes::default());
    let answer: Answer = Box::new(|_| (Duration::ZERO, None));
    let coordinator = Coordinator::start(Config { observer: told.clone(), ..config(&store, 1, answer) }).unwrap();
    let a = thunk("a", &[]);
    coordinator.add(request(&a));
    assert!(matches!(&coordinator.wait(&a.name()).unwrap_err().cause, Cause::Infrastructure(_)));
    assert_eq!(coordinator.wait_all().runs, 4);
    assert_eq!(told.1.load(Ordering::Relaxed), 3);
}

#[test]
fn the_caller_is_asked_and_may_panic() {
    let store = Arc::new(Memory::default());
    let wide = thunk("wide", &[]);
    for panics in [false, true] {
        let (wide, narrow) = (wide.clone(), thunk("narrow", &[]));
        let answer: Answer = Box::new(|work| {
            let fails = work.thunk.function.args[0] == "narrow";
            (Duration::ZERO, Some(if fails { exit(1) } else { succeed(work).1 }))
        });
        let on_failure = move |_: &Name, _: &gg_worker::Failure| {
            assert!(!panics, "this panic is part of the test");
            Some(wide.clone())
        };
        let coordinator =
            Coordinator::start(Config { on_failure: Some(Arc::new(on_failure)), ..config(&store, 1, answer) }).unwrap();
        coordinator.add(request(&narrow));
        assert_eq!(coordinator.wait(&narrow.name()).is_err(), panics);
    }
}

#[test]
fn an_observer_may_call_the_coordinator() {
    struct Caller(Mutex<Option<Arc<Coordinator>>>);
    impl Observer for Caller {
        fn finished(&self, done: &Finished) {
            let coordinator = self.0.lock().unwrap().clone().unwrap();
            if &*done.label == "a" {
                let object = *done.result.as_ref().unwrap().outputs[&crate::world::tag()].object.name();
                assert!(coordinator.redo(&done.name, &object).is_ok());
                coordinator.add(request(&thunk("late", &[])));
            }
        }
    }
    let store = Arc::new(Memory::default());
    let caller = Arc::new(Caller(Mutex::new(None)));
    let coordinator =
        Arc::new(Coordinator::start(Config { observer: caller.clone(), ..config(&store, 1, good()) }).unwrap());
    *caller.0.lock().unwrap() = Some(coordinator.clone());
    coordinator.add(request(&thunk("a", &[])));
    let summary = coordinator.wait_all();
    assert_eq!((summary.runs, summary.executed), (3, 2));
    *caller.0.lock().unwrap() = None;
}

#[test]
fn what_is_not_begun_after_a_failure_ends_as_cancelled() {
    let store = Arc::new(Memory::default());
    let answer: Answer = Box::new(|work| {
        let result = if &*work.label == "bad" { exit(1) } else { succeed(work).1 };
        (Duration::from_secs(1), Some(result))
    });
    let coordinator = Coordinator::start(Config { keep_going: false, ..config(&store, 1, answer) }).unwrap();
    let (bad, other) = (thunk("bad", &[]), thunk("other", &[]));
    coordinator.add(request(&bad));
    assert!(coordinator.wait(&bad.name()).is_err());
    coordinator.add(request(&other));
    let summary = coordinator.wait_all();
    assert_eq!((summary.failed, summary.cancelled, summary.failures.len()), (1, 1, 1));
    assert_eq!(coordinator.wait(&other.name()).unwrap_err().cause, Cause::Cancelled);
}

#[test]
fn further_thunks_are_read_from_the_store() {
    let store = Arc::new(Memory::default());
    let further = thunk("further", &[]);
    store.thunks.lock().unwrap().insert(further.name(), further.clone());
    let points_to = Reference::Output(further.name(), crate::world::tag());
    let answer: Answer = Box::new(move |work| {
        let first = work.thunk.function.args[0] == "first";
        let done = if first { EngineResult::Done(made(work.name, points_to.clone())) } else { succeed(work).1 };
        (Duration::from_secs(1), Some(done))
    });
    let coordinator = Coordinator::start(config(&store, 1, answer)).unwrap();
    let first = thunk("first", &[]);
    coordinator.add(request(&first));
    let reduction = coordinator.wait(&first.name()).unwrap();
    assert_eq!(reduction.outputs[&crate::world::tag()].object, Reference::Value(product(&further)));
}

#[test]
fn twenty_thousand_thunks_through_the_threads() {
    let store = Arc::new(Memory::default());
    let clock = Arc::new(VirtualClock::new());
    clock.hold(true);
    let engine = Imagined { clock: clock.clone(), capacity: 2_000, answer: good() };
    let coordinator = Coordinator::start(Config {
        engines: vec![Arc::new(engine)],
        clock: clock.clone(),
        ..config(&store, 1, good())
    })
    .unwrap();
    for library in 0..200 {
        let objects: Vec<_> = (0..99).map(|i| thunk(&format!("compile{library}-{i}"), &[])).collect();
        objects.iter().for_each(|object| coordinator.add(request(object)));
        let names: Vec<Name> = objects.iter().map(|object| object.name()).collect();
        coordinator.add(request(&thunk(&format!("archive{library}"), &names)));
    }
    clock.hold(false);
    let summary = coordinator.wait_all();
    assert_eq!(summary.executed, 20_000);
    // Ten rounds, and the archives of the last one.
    assert_eq!(clock.now(), Duration::from_secs(11));
}

//! The plan in an imagined world.

use std::collections::HashMap;
use std::time::Duration;

use gg_ir::{Name, Reference};
use gg_worker::Status;

use crate::engine::EngineResult;
use crate::failure::Cause;
use crate::observer::Served;
use crate::plan::Event;
use crate::world::{World, exit, made, product, request, succeed, tag, thunk};

pub fn cause(world: &World, name: &Name) -> Cause {
    world.outcome(name).unwrap_err().cause.clone()
}

fn broken() -> EngineResult {
    EngineResult::Broken { text: "it died".into(), again: true }
}

/// Answers by label for the first so many runs, then succeeds.
pub fn script(world: &mut World, label: &'static str, answers: Vec<EngineResult>) {
    let mut answers = answers.into_iter();
    world.behaviour = Box::new(move |work, _| {
        let answer = if &*work.label == label { answers.next() } else { None };
        answer.map_or_else(|| succeed(work), |answer| (Duration::from_secs(1), answer))
    });
}

#[test]
fn dependencies_first_and_each_once() {
    let mut world = World::new(&[4]);
    let a = world.step("a", &[]);
    let b = world.step("b", &[a]);
    let c = world.step("c", &[a, b]);
    world.step("a", &[]);
    world.run();
    assert_eq!(world.labels(), ["a", "b", "c"]);
    assert!(world.outcome(&c).is_ok());
    assert_eq!(world.plan.progress().done, 3);
    assert_eq!(world.now, Duration::from_secs(3));
}

#[test]
fn the_cache_answers_without_an_engine() {
    let mut world = World::new(&[4]);
    let a = world.step("a", &[]);
    let b = world.step("b", &[a]);
    world.run();
    let mut again = World::new(&[4]);
    again.cache = world.cache;
    // The description is not even looked for.
    again.plan.wait(Duration::ZERO, b);
    again.run();
    assert_eq!(again.labels(), Vec::<&str>::new());
    assert_eq!(again.settled[0].served, Served::FromCache);
    assert_eq!(again.plan.progress().cached, 1);
}

#[test]
fn a_thunk_is_read_with_all_below_it() {
    let mut world = World::new(&[4]);
    let a = thunk("a", &[]);
    let b = thunk("b", &[a.name()]);
    world.thunks.extend([(a.name(), a.clone()), (b.name(), b.clone())]);
    world.plan.wait(Duration::ZERO, b.name());
    world.run();
    assert_eq!(world.labels(), ["/out/a", "/out/b"]);
    let mut world = World::new(&[4]);
    world.thunks.insert(b.name(), b.clone());
    world.plan.wait(Duration::ZERO, b.name());
    world.run();
    assert_eq!(cause(&world, &b.name()), Cause::Dependency(a.name()));
    assert!(matches!(cause(&world, &a.name()), Cause::Infrastructure(_)));
}

#[test]
fn the_same_inputs_from_another_dependency_are_a_hit() {
    let mut world = World::new(&[4]);
    let before = thunk("a", &[]);
    world.add(&before);
    world.step("b", &[before.name()]);
    world.run();
    // Another thunk that makes the same bytes: its source has a new comment.
    let after = {
        let mut changed = gg_ir::Thunk::clone(&before);
        changed.function.umask = 0;
        std::sync::Arc::new(changed)
    };
    let mut again = World::new(&[4]);
    again.cache = world.cache;
    again.add(&after);
    let b = again.step("b", &[after.name()]);
    again.run();
    assert_eq!(again.labels(), ["a"]);
    assert!(again.cache.contains_key(&b));
}

#[test]
fn what_depends_on_a_volatile_thunk_is_not_found_by_its_name() {
    let build = |cache: HashMap<_, _>, day: &'static str| {
        let mut world = World::new(&[4]);
        world.cache = cache;
        world.behaviour = Box::new(move |work, engine| {
            let _ = engine;
            let text = format!("{} {day} {:?}", work.label, work.resolved.values());
            (
                Duration::from_secs(1),
                EngineResult::Done(made(work.name, Reference::Value(Name::of_value(text.as_bytes())))),
            )
        });
        let date = thunk("date", &[]);
        world.plan.handle(world.now, Event::Add(crate::Request { volatile: true, ..request(&date) }));
        let link = world.step("link", &[date.name()]);
        let strip = world.step("strip", &[link]);
        world.run();
        (world, strip)
    };
    let (monday, strip) = build(HashMap::new(), "monday");
    let (tuesday, _) = build(monday.cache.clone(), "tuesday");
    assert_eq!(tuesday.labels(), ["date", "link", "strip"]);
    assert_ne!(monday.outcome(&strip).unwrap().outputs, tuesday.outcome(&strip).unwrap().outputs);
    // The same date as before: only the volatile thunk itself runs.
    let (still, _) = build(tuesday.cache, "tuesday");
    assert_eq!(still.labels(), ["date"]);
}

#[test]
fn a_hit_ends_after_its_dependencies() {
    let mut world = World::new(&[4]);
    let a = thunk("a", &[]);
    let b = thunk("b", &[a.name()]);
    world.cache.insert(b.name(), made(b.name(), Reference::Value(product(&b))));
    world.add(&a);
    world.add(&b);
    world.run();
    let order: Vec<_> = world.reported.iter().map(|done| &*done.label).collect();
    assert_eq!(order, ["a", "b"]);
    assert_eq!(world.labels(), ["a"]);
}

#[test]
fn reductions_to_further_thunks_are_followed() {
    let mut world = World::new(&[4]);
    let end = thunk("end", &[]);
    let middle = thunk("middle", &[]);
    world.thunks.extend([(end.name(), end.clone()), (middle.name(), middle.clone())]);
    let (to_middle, to_end) = (Reference::Output(middle.name(), tag()), Reference::Output(end.name(), tag()));
    world.behaviour = Box::new(move |work, _| match work.thunk.function.args[0].to_str() {
        Some("start") => (Duration::from_secs(1), EngineResult::Done(made(work.name, to_middle.clone()))),
        Some("middle") => (Duration::from_secs(1), EngineResult::Done(made(work.name, to_end.clone()))),
        _ => succeed(work),
    });
    let start = world.step("start", &[]);
    let user = world.step("user", &[start]);
    world.run();
    assert_eq!(world.outcome(&start).unwrap().outputs[&tag()].object, Reference::Value(product(&end)));
    assert!(world.outcome(&user).is_ok());
    assert_eq!(world.cache[&start].outputs[&tag()].object, Reference::Value(product(&end)));
}

#[test]
fn a_reduction_to_what_depends_on_it_is_an_error() {
    let mut world = World::new(&[4]);
    let start = thunk("start", &[]);
    let after = thunk("after", &[start.name()]);
    world.thunks.insert(after.name(), after.clone());
    let to_after = Reference::Output(after.name(), tag());
    world.behaviour =
        Box::new(move |work, _| (Duration::from_secs(1), EngineResult::Done(made(work.name, to_after.clone()))));
    world.add(&start);
    world.run();
    assert!(matches!(cause(&world, &after.name()), Cause::Infrastructure(_)));
    assert_eq!(cause(&world, &start.name()), Cause::Dependency(after.name()));
    assert!(world.plan.idle());
}

#[test]
fn a_failure_is_confirmed_then_fails_all_above_at_once() {
    let mut world = World::new(&[1]);
    script(&mut world, "a", vec![exit(1), exit(2)]);
    let a = world.step("a", &[]);
    let b = world.step("b", &[a]);
    let c = world.step("c", &[b]);
    let d = world.step("d", &[]);
    world.run();
    assert_eq!(world.labels(), ["a", "a", "d"]);
    assert!(matches!(cause(&world, &a), Cause::Program(failure) if failure.status == Status::Exited(2)));
    assert_eq!([cause(&world, &b), cause(&world, &c)], [Cause::Dependency(a), Cause::Dependency(a)]);
    assert!(world.outcome(&d).is_ok());
    assert_eq!(world.plan.summary().failures.len(), 1);
    // Failures are known within the process, and in no other.
    world.step("a", &[]);
    world.run();
    assert_eq!(world.labels().len(), 3);
    assert_eq!(world.reported.iter().filter(|done| done.name == a).count(), 2);
    assert!(!world.cache.contains_key(&a));
}

#[test]
fn a_failure_that_does_not_recur_is_told_and_forgotten() {
    let mut world = World::new(&[1]);
    script(&mut world, "a", vec![exit(1)]);
    let a = world.step("a", &[]);
    world.run();
    assert!(world.outcome(&a).is_ok());
    assert_eq!(world.notices.len(), 1, "{:?}", world.notices);
    assert_eq!(world.settled[0].attempts, 2);
}

#[test]
fn a_probe_is_run_again_only_after_a_signal() {
    for (first, runs) in [(exit(1), 1), (exit(137), 2)] {
        let mut world = World::with(&[1], |setup| setup.keep_going = false);
        script(&mut world, "probe", vec![first, exit(1)]);
        let probe = thunk("probe", &[]);
        world.plan.handle(world.now, Event::Add(crate::Request { eager: true, ..request(&probe) }));
        let other = world.step("other", &[]);
        world.run();
        assert_eq!(world.labels().iter().filter(|&&label| label == "probe").count(), runs);
        assert!(matches!(cause(&world, &probe.name()), Cause::Program(failure) if failure.status == Status::Exited(1)));
        assert!(world.outcome(&other).is_ok());
        assert!(world.plan.summary().failures.is_empty());
    }
}

#[test]
fn a_replacement_stands_in() {
    let mut world = World::with(&[1], |setup| setup.consults = true);
    script(&mut world, "narrow", vec![exit(1), exit(1)]);
    let wide = thunk("wide", &[]);
    world.replacement = Some(wide.clone());
    let narrow = world.step("narrow", &[]);
    let user = world.step("user", &[narrow]);
    world.run();
    // The replacement has the label of the step it stands in for; so it fails once, and is confirmed.
    assert_eq!(world.labels(), ["narrow", "narrow", "narrow", "user"]);
    let reduction = world.outcome(&narrow).unwrap();
    assert_eq!((reduction.thunk, reduction.outputs[&tag()].object.name()), (narrow, &product(&wide)));
    assert!(world.outcome(&user).is_ok());
    assert!(!world.cache.contains_key(&narrow) && world.cache.contains_key(&wide.name()));
    assert!(world.reported.iter().all(|done| done.name != wide.name()));
    assert_eq!(world.reported[0].attempts, 3);
}

#[test]
fn a_replacement_that_fails_fails_the_step_itself() {
    let mut world = World::with(&[1], |setup| setup.consults = true);
    script(&mut world, "narrow", vec![exit(1), exit(3), exit(4)]);
    world.replacement = Some(thunk("wide", &[]));
    let narrow = world.step("narrow", &[]);
    world.run();
    assert!(matches!(cause(&world, &narrow), Cause::Program(failure) if failure.status == Status::Exited(4)));
    assert_eq!(world.plan.summary().failures.len(), 1);
    assert_eq!(world.reported.len(), 1);
}

#[test]
fn an_engine_is_asked_again_then_the_next() {
    let mut world = World::with(&[2, 2], |setup| setup.policy.retries = 2);
    world.behaviour =
        Box::new(|work, engine| if engine == 0 { (Duration::from_secs(1), broken()) } else { succeed(work) });
    let a = world.step("a", &[]);
    world.run();
    assert_eq!(world.started.iter().map(|(_, engine)| *engine).collect::<Vec<_>>(), [0, 0, 0, 1]);
    assert_eq!(world.now, Duration::from_millis(4000 + 100 + 200));
    assert!(world.outcome(&a).is_ok());

    world.behaviour = Box::new(|_, _| (Duration::from_secs(1), broken()));
    let b = world.step("b", &[]);
    world.run();
    // All that was tried is told.
    let text = "engine 'e0' failed 3 times: it died; then engine 'e1' failed 3 times: it died";
    assert!(matches!(cause(&world, &b), Cause::Infrastructure(told) if told.starts_with(text)));
    assert_eq!(world.started.len(), 4 + 6);
}

#[test]
fn a_lost_object_is_made_again() {
    let mut world = World::new(&[4]);
    let a = thunk("a", &[]);
    let lost = product(&a);
    world.cache.insert(a.name(), made(a.name(), Reference::Value(lost)));
    script(&mut world, "b", vec![EngineResult::Corrupt(lost)]);
    world.add(&a);
    let b = world.step("b", &[a.name()]);
    world.run();
    assert_eq!(world.labels(), ["b", "a", "b"]);
    assert!(world.outcome(&b).is_ok());
    assert!(world.forgotten.contains(&a.name()) && world.cache.contains_key(&a.name()));
    assert_eq!(world.reported.len(), 2);

    let mut world = World::new(&[4]);
    let always = EngineResult::Missing(lost);
    script(&mut world, "b", vec![always; 99]);
    world.add(&a);
    let b = world.step("b", &[a.name()]);
    world.run();
    assert!(matches!(cause(&world, &b), Cause::Infrastructure(_)));
    assert!(world.labels().len() < 12);
}

#[test]
fn a_lost_source_is_brought_back_by_the_caller() {
    let source = Name::of_value(b"int x;\n");
    for (supplies, ends) in [(true, true), (false, false)] {
        let mut world = World::with(&[4], |setup| setup.resupplies = true);
        world.supplies = supplies;
        script(&mut world, "a", vec![EngineResult::Missing(source)]);
        let a = world.step("a", &[]);
        world.run();
        assert_eq!(world.outcome(&a).is_ok(), ends);
    }
}

#[test]
fn as_many_objects_as_were_lost_are_brought_back() {
    let mut world = World::with(&[4], |setup| setup.resupplies = true);
    world.supplies = true;
    let lost = (0..40u8).map(|at| EngineResult::Missing(Name::of_value(&[at])));
    script(&mut world, "a", lost.collect());
    let a = world.step("a", &[]);
    world.run();
    assert!(world.outcome(&a).is_ok());
}

#[test]
fn an_observer_may_ask_for_a_lost_output() {
    let mut world = World::new(&[1]);
    let a = world.step("a", &[]);
    world.run();
    let object = *world.outcome(&a).unwrap().outputs[&tag()].object.name();
    assert_eq!(world.plan.redo(world.now, &a, &object), a);
    world.run();
    assert_eq!(world.labels(), ["a", "a"]);
    assert!(world.plan.idle());
    assert_eq!(world.plan.progress().done, 1);
}

#[test]
fn after_a_failure_only_what_is_waited_for_runs() {
    let mut world = World::with(&[1], |setup| setup.keep_going = false);
    script(&mut world, "bad", vec![exit(1), exit(1)]);
    world.step("bad", &[]);
    let base = world.step("base", &[]);
    let wanted = world.step("wanted", &[base]);
    let other = world.step("other", &[]);
    while world.tick() {}
    assert_eq!(world.labels(), ["base", "bad", "bad"]);
    world.plan.wait(world.now, wanted);
    while world.tick() {}
    assert!(world.outcome(&wanted).is_ok());
    assert!(world.plan.halted() && !world.plan.idle());
    world.plan.end_the_rest();
    world.turn();
    assert_eq!(cause(&world, &other), Cause::Cancelled);
    assert!(world.plan.idle());
}

#[test]
fn cancelling_ends_everything_at_once() {
    let mut world = World::new(&[1]);
    let a = world.step("a", &[]);
    let b = world.step("b", &[a]);
    world.turn();
    world.plan.handle(world.now, Event::CancelAll);
    world.turn();
    assert_eq!([cause(&world, &a), cause(&world, &b)], [Cause::Cancelled, Cause::Cancelled]);
    assert_eq!((world.plan.idle(), world.plan.running()), (true, 1));
    let late = world.step("late", &[]);
    world.run();
    assert_eq!(cause(&world, &late), Cause::Cancelled);
    assert_eq!((world.labels(), world.plan.running()), (vec!["a"], 0));
}

#[test]
fn the_critical_path_goes_first() {
    // Fifteen steps of a second on two workers, so eight seconds at best: ten that stand alone and a chain of five. In
    // order of arrival the chain would begin when the others are done, and ten seconds pass.
    let build = |chain_first: bool| {
        let mut world = World::new(&[2]);
        let singles = |world: &mut World| {
            for i in 0..10 {
                world.step(&format!("single{i}"), &[]);
            }
        };
        let chain = |world: &mut World| {
            let mut last = Vec::new();
            for i in 0..5 {
                last = vec![world.step(&format!("chain{i}"), &last)];
            }
        };
        if chain_first {
            chain(&mut world);
            singles(&mut world);
        } else {
            singles(&mut world);
            chain(&mut world);
        }
        world.run();
        world.now
    };
    assert_eq!(build(false), build(true));
    assert_eq!(build(false), Duration::from_secs(8));
}

#[test]
fn equals_go_in_order_and_what_is_waited_for_goes_first() {
    let mut world = World::new(&[1]);
    let names: Vec<Name> = (0..4).map(|i| world.step(&format!("{i}"), &[])).collect();
    world.turn();
    world.plan.wait(world.now, names[3]);
    world.run();
    assert_eq!(world.labels(), ["0", "3", "1", "2"]);
}

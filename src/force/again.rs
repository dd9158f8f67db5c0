//! Scenarios of what is given up, made anew or asked for again, in an imagined world.

use std::time::Duration;

use gg_ir::{Name, Reference};
use gg_worker::Status;

use crate::engine::EngineResult;
use crate::failure::Cause;
use crate::plan::Event;
use crate::scenarios::{cause, script};
use crate::world::{World, exit, made, request, succeed, thunk};

/// Takes back that these were asked for.
fn withdraw(world: &mut World, names: &[Name]) {
    world.plan.handle(world.now, Event::Withdraw(names.to_vec()));
}

fn is_given_up(world: &World, name: &Name) -> bool {
    world.plan.graph[world.plan.graph.find(name).unwrap()].given_up
}

#[test]
fn what_nobody_wants_any_more_is_given_up() {
    let mut world = World::new(&[1]);
    let a = thunk("a", &[]);
    let b = thunk("b", &[a.name()]);
    let c = thunk("c", &[a.name()]);
    for thunk in [&a, &b, &c] {
        world.thunks.insert(thunk.name(), thunk.clone());
    }
    // Only `b` and `c` are asked for; `a` is there for their sake.
    world.add(&b);
    world.add(&c);
    world.turn();
    assert_eq!(world.labels().len(), 1, "a runs");
    withdraw(&mut world, &[b.name()]);
    assert_eq!(world.plan.progress().running, 1, "c needs it still");
    withdraw(&mut world, &[c.name(), c.name()]);
    world.run();
    for name in [a.name(), b.name(), c.name()] {
        assert!(is_given_up(&world, &name));
    }
    assert!(world.plan.idle());
    assert_eq!(world.labels().len(), 1);
    // Nobody waits for that, and whoever asks anew must not take it for the answer.
    assert!(world.settled.is_empty());
}

#[test]
fn what_was_given_up_is_taken_up_again() {
    let mut world = World::new(&[2]);
    let a = world.step("a", &[]);
    let b = world.step("b", &[a]);
    let other = world.step("other", &[]);
    world.turn();
    withdraw(&mut world, &[a, b]);
    world.turn();
    assert!(is_given_up(&world, &b));
    // The engine has not let go of the first execution, which counts for nothing, when it is asked for again.
    world.step("b", &[a]);
    world.run();
    assert_eq!(world.labels(), ["a", "other", "a", "b"]);
    for name in [a, b, other] {
        assert!(world.outcome(&name).is_ok());
    }
    assert_eq!((world.plan.progress().done, world.plan.progress().failed), (3, 0));
    assert!(world.plan.idle());
    // What has a result keeps it.
    withdraw(&mut world, &[b]);
    assert!(world.outcome(&b).is_ok());
}

#[test]
fn what_was_given_up_may_be_needed_by_something_new() {
    let mut world = World::new(&[1]);
    let a = world.step("a", &[]);
    withdraw(&mut world, &[a]);
    world.run();
    let b = world.step("b", &[a]);
    world.run();
    assert!(world.outcome(&b).is_ok());
    assert_eq!(world.labels(), ["a", "b"]);
}

#[test]
fn what_somebody_waits_for_is_not_given_up() {
    let mut world = World::new(&[1]);
    let a = world.step("a", &[]);
    assert!(world.plan.wait(world.now, a).is_none());
    withdraw(&mut world, &[a]);
    world.run();
    assert!(world.outcome(&a).is_ok());
}

#[test]
fn thousands_that_need_one_are_given_up_quickly() {
    let mut world = World::new(&[1]);
    let a = world.step("a", &[]);
    let users: Vec<Name> = (0..50_000).map(|n| world.step(&format!("user{n}"), &[a])).collect();
    let begun = std::time::Instant::now();
    withdraw(&mut world, &[&users[..], &[a]].concat());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    world.run();
    assert!(world.plan.idle() && is_given_up(&world, &a));
}

/// What a thunk of this label writes differs from run to run.
fn unsteady(world: &mut World, label: &'static str) {
    let mut runs = 0u8;
    world.behaviour = Box::new(move |work, _| {
        if &*work.label != label {
            return succeed(work);
        }
        runs += 1;
        let value = Reference::Value(Name::of_value(&[runs]));
        (Duration::from_secs(1), EngineResult::Done(made(work.name, value)))
    });
}

#[test]
fn a_result_is_not_kept_for_inputs_that_it_was_not_made_from() {
    let mut world = World::new(&[2]);
    unsteady(&mut world, "a");
    let a = world.step("a", &[]);
    world.run();
    // `b` was looked up with what `a` made first, which is lost before it runs.
    let lost = Name::of_value(&[1]);
    let thunk = thunk("b", &[a]);
    let mut steady = std::mem::replace(&mut world.behaviour, Box::new(|work, _| succeed(work)));
    let mut seen = Vec::new();
    let (told, heard) = std::sync::mpsc::channel();
    world.behaviour = Box::new(move |work, engine| {
        if &*work.label != "b" {
            return steady(work, engine);
        }
        seen.push(work.resolved.clone());
        told.send(work.resolved.values().next().copied().unwrap()).unwrap();
        if seen.len() == 1 { (Duration::from_secs(1), EngineResult::Missing(lost)) } else { succeed(work) }
    });
    let b = world.add(&thunk);
    world.run();
    assert!(world.outcome(&b).is_ok());
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [lost, Name::of_value(&[2])]);
    let key =
        |value: &Name| Name::of(gg_ir::Kind::Thunk, format!("{:?} {:?}", thunk.function.args, [value]).as_bytes());
    assert!(!world.cache.contains_key(&key(&lost)), "made from another value");
}

#[test]
fn what_failed_is_tried_anew_for_whoever_says_so() {
    let mut world = World::new(&[1]);
    script(&mut world, "a", vec![EngineResult::Declined { text: "no".into() }; 1]);
    let b_thunk = |a: Name| thunk("b", &[a]);
    let a = world.step("a", &[]);
    let b = world.add(&b_thunk(a));
    world.run();
    assert!(matches!(cause(&world, &a), Cause::Infrastructure(_)));
    assert_eq!(cause(&world, &b), Cause::Dependency(a));
    // A build is not asked again within one run; a session that lasts may be.
    world.add(&b_thunk(a));
    world.run();
    assert_eq!(cause(&world, &b), Cause::Dependency(a));
    world.plan.handle(world.now, Event::Add(crate::Request { anew: true, ..request(&b_thunk(a)) }));
    world.run();
    assert!(world.outcome(&b).is_ok());
    assert_eq!(world.plan.progress().failed, 0);
}

#[test]
fn a_program_that_took_too_long_is_not_run_again() {
    let mut world = World::new(&[1]);
    let over = || match exit(1) {
        EngineResult::Failed(failure) => {
            EngineResult::Failed(gg_worker::Failure { status: Status::OverTime, ..failure })
        }
        other => other,
    };
    script(&mut world, "a", vec![over(), over()]);
    let a = world.step("a", &[]);
    world.run();
    assert!(matches!(cause(&world, &a), Cause::Program(_)));
    assert_eq!(world.labels(), ["a"]);
}

#[test]
fn what_is_volatile_is_made_anew_for_whoever_says_so() {
    let mut world = World::new(&[2]);
    unsteady(&mut world, "now");
    let now = thunk("now", &[]);
    let dated = thunk("dated", &[now.name()]);
    let ask = |world: &mut World, thunk: &std::sync::Arc<gg_ir::Thunk>, volatile: bool| {
        world.plan.handle(world.now, Event::Add(crate::Request { anew: true, volatile, ..request(thunk) }));
        world.run();
    };
    ask(&mut world, &now, true);
    let first = world.outcome(&now.name()).unwrap();
    ask(&mut world, &now, true);
    assert_ne!(world.outcome(&now.name()).unwrap(), first);
    // Also for what needs it, which then is not taken from before.
    ask(&mut world, &dated, false);
    ask(&mut world, &dated, false);
    assert_eq!(world.labels(), ["now", "now", "dated", "now", "dated"]);
    assert_eq!(world.plan.progress().done + world.plan.progress().cached, world.plan.progress().total);
}

//! The plan when everything goes wrong at random, and when there is very much of everything.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gg_ir::{Name, Reference, Thunk};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::engine::EngineResult;
use crate::failure::Cause;
use crate::plan::Event;
use crate::policy::Policy;
use crate::request::Request;
use crate::world::{World, exit, made, product, request, succeed, thunk};

#[derive(Clone, Debug)]
struct Step {
    dependencies: Vec<Index>,
    volatile: bool,
    eager: bool,
    cached: bool,
    /// Not asked for: known to the store only, and evaluated if another needs it.
    silent: bool,
    /// What the world does between the step before and this one.
    before: Before,
}

#[derive(Clone, Debug)]
enum Before {
    Nothing,
    Ticks(u8),
    Wait(Index),
    Redo(Index),
    Again(Index),
    Withdraw(Vec<Index>),
}

#[derive(Clone, Debug)]
struct Story {
    steps: Vec<Step>,
    /// What engines do, in turn.
    luck: Vec<(u8, u8, Index)>,
    capacity: Vec<usize>,
    keep_going: bool,
    consults: bool,
    supplies: bool,
    replaced: bool,
    cancel: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let before = prop_oneof![
        4 => Just(Before::Nothing),
        4 => (0u8..9).prop_map(Before::Ticks),
        1 => any::<Index>().prop_map(Before::Wait),
        1 => any::<Index>().prop_map(Before::Redo),
        1 => any::<Index>().prop_map(Before::Again),
        1 => prop::collection::vec(any::<Index>(), 1..5).prop_map(Before::Withdraw),
    ];
    let rarely = || prop::bool::weighted(0.15);
    (prop::collection::vec(any::<Index>(), 0..4), rarely(), rarely(), rarely(), rarely(), before).prop_map(
        |(dependencies, volatile, eager, cached, silent, before)| Step {
            dependencies,
            volatile,
            eager,
            cached,
            silent,
            before,
        },
    )
}

fn story() -> impl Strategy<Value = Story> {
    (
        prop::collection::vec(step(), 1..40),
        prop::collection::vec(any::<(u8, u8, Index)>(), 1..60),
        prop::collection::vec(1usize..4, 1..4),
        any::<[bool; 4]>(),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(steps, luck, capacity, [keep_going, consults, supplies, replaced], cancel)| Story {
            steps,
            luck,
            capacity,
            keep_going,
            consults,
            supplies,
            replaced,
            cancel,
        })
}

fn play(story: &Story) -> Result<(), TestCaseError> {
    let mut thunks: Vec<Arc<Thunk>> = Vec::new();
    for (i, step) in story.steps.iter().enumerate() {
        let mut needs: Vec<Name> =
            step.dependencies.iter().filter(|_| i > 0).map(|d| thunks[d.index(i)].name()).collect();
        needs.dedup();
        thunks.push(thunk(&format!("step{i}"), &needs));
    }
    let mut world = World::with(&story.capacity, |setup| {
        setup.keep_going = story.keep_going;
        setup.consults = story.consults;
        setup.resupplies = true;
    });
    world.supplies = story.supplies;
    world.replacement = story.replaced.then(|| thunk("replacement", &[]));
    let products: Vec<Name> = thunks.iter().map(|thunk| product(thunk)).collect();
    let (mut luck, source) = (story.luck.clone().into_iter().cycle(), Name::of_value(b"a source"));
    world.behaviour = Box::new(move |work, _| {
        let Some((chance, time, which)) = luck.next() else { return succeed(work) };
        let result = match chance {
            0..20 => exit(1),
            20..30 => exit(137),
            30..50 => EngineResult::Broken { text: "it died".into(), again: chance != 30 },
            50..65 => EngineResult::Corrupt(products[which.index(products.len())]),
            65..70 => EngineResult::Missing(source),
            70..72 => EngineResult::Cancelled,
            _ => succeed(work).1,
        };
        (Duration::from_millis(time.into()), result)
    });
    let mut asked: Vec<Name> = Vec::new();
    for (i, (step, thunk)) in story.steps.iter().zip(&thunks).enumerate() {
        let earlier = |which: &Index| thunks[which.index(i.max(1))].name();
        match &step.before {
            Before::Nothing => {}
            Before::Ticks(count) => {
                for _ in 0..*count {
                    world.tick();
                }
            }
            _ if i == 0 => {}
            Before::Wait(which) => drop(world.plan.wait(world.now, earlier(which))),
            Before::Redo(which) => {
                let object = product(&thunks[which.index(i)]);
                world.plan.redo(world.now, &earlier(which), &object);
            }
            Before::Again(which) => {
                world.add(&thunks[which.index(i)]);
            }
            Before::Withdraw(which) => {
                let names: Vec<Name> = which.iter().map(earlier).collect();
                // Nobody is told of what is given up.
                asked.retain(|name| !names.contains(name));
                world.plan.handle(world.now, Event::Withdraw(names));
            }
        }
        world.thunks.insert(thunk.name(), thunk.clone());
        if step.cached {
            world.cache.insert(thunk.name(), made(thunk.name(), Reference::Value(product(thunk))));
        }
        if !step.silent {
            let request = Request { volatile: step.volatile, eager: step.eager, ..request(thunk) };
            asked.push(request.name);
            world.plan.handle(world.now, Event::Add(request));
        }
    }
    if story.cancel {
        world.plan.handle(world.now, Event::CancelAll);
    }
    world.run();
    if !world.plan.idle() {
        prop_assert!(!story.keep_going && world.plan.halted(), "it hangs");
        world.plan.end_the_rest();
        world.run();
    }
    prop_assert!(world.plan.idle());
    prop_assert_eq!(world.plan.running(), 0);
    check(story, &world, &thunks, &asked)
}

fn check(story: &Story, world: &World, thunks: &[Arc<Thunk>], asked: &[Name]) -> Result<(), TestCaseError> {
    let mut first: HashMap<Name, usize> = HashMap::new();
    for (at, done) in world.reported.iter().enumerate() {
        first.entry(done.name).or_insert(at);
    }
    for name in asked {
        prop_assert!(first.contains_key(name), "{} was not reported", name);
    }
    for thunk in thunks {
        // One that the cache knew by its name alone was never read, so nobody knows what it needs.
        let Some(at) = first.get(&thunk.name()).filter(|_| asked.contains(&thunk.name())) else { continue };
        let failed = world.reported[*at].result.is_err();
        for dependency in thunk.dependencies() {
            if let Some(before) = first.get(dependency).filter(|_| asked.contains(dependency)) {
                prop_assert!(before < at || failed, "{} was reported before what it needs", world.reported[*at].label);
            }
        }
        if let Err(failure) = &world.reported[*at].result
            && let Cause::Dependency(root) = &failure.cause
        {
            let root = world.settled.iter().find(|done| done.name == *root && done.result.is_err());
            prop_assert!(root.is_some(), "the dependency that failed is not known to have failed");
        }
    }
    let policy = Policy::default();
    let given_up = story.steps.iter().filter(|step| matches!(step.before, Before::Withdraw(_))).count() as u32;
    let life = story.capacity.len() as u32 * (1 + policy.retries) + 2 + policy.repairs;
    let mut runs: HashMap<&str, u32> = HashMap::new();
    world.started.iter().for_each(|(label, _)| *runs.entry(label).or_default() += 1);
    for (label, runs) in runs {
        // A replacement goes by the label of what it replaces.
        let thunks = 1 + u32::from(story.replaced) * story.steps.len() as u32;
        prop_assert!(
            runs <= thunks * life * (1 + policy.repairs) * (1 + given_up),
            "{} was started {} times",
            label,
            runs
        );
    }
    let progress = world.plan.progress();
    prop_assert_eq!(progress.done + progress.cached + progress.failed, progress.total);
    prop_assert_eq!((progress.ready, progress.running), (0, 0));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn everything_ends_whatever_happens(story in story()) {
        play(&story)?;
    }
}

#[test]
fn a_hundred_thousand_thunks_on_ten_thousand_workers() {
    let cpu = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
    };
    // Libraries of 99 compiles of 20 to 40 s each and an archive of 1 s; ten of them for each program.
    let mut world = World::new(&[10_000]);
    world.behaviour = Box::new(|work, _| {
        let number = work.label.bytes().fold(7u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        let seconds = if work.label.starts_with("compile") { 20 + number % 20 } else { 1 };
        (Duration::from_secs(seconds), succeed(work).1)
    });
    let before = cpu();
    let mut archives = Vec::new();
    let mut compiles = 0;
    for library in 0..1_000 {
        let objects: Vec<Name> = (0..99).map(|i| world.step(&format!("compile{}", library * 99 + i), &[])).collect();
        compiles += objects.len();
        archives.push(world.step(&format!("archive{library}"), &objects));
        if archives.len() == 10 {
            world.step(&format!("program{library}"), &archives);
            archives.clear();
        }
    }
    world.run();
    let spent = cpu() - before;
    println!("{:?} of CPU time, {:?} of imagined time", spent, world.now);
    assert_eq!(world.plan.progress().done, compiles + 1_000 + 100);
    // Ten rounds of half a minute; what comes after the last one adds a little.
    assert!(world.now < Duration::from_secs(340), "{:?}", world.now);
    assert!(spent < Duration::from_secs(20), "{spent:?}");
}

//! Scenarios of graphs that programs write, in an imagined world.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gg_ir::{AbsPath, Made, Name, Output, Reference, Tag, Thunk};

use crate::engine::EngineResult;
use crate::failure::Cause;
use crate::world::{World, made, tag, thunk};

/// A thunk that may write a graph.
fn dynamic(label: &str) -> Arc<Thunk> {
    let mut thunk = Thunk::clone(&thunk(label, &[]));
    thunk.outputs.insert(tag(), Output { dynamic: true, ..Output::at(AbsPath::new("/out").unwrap()) });
    thunk.strict = true;
    Arc::new(thunk)
}

/// What a program writes for this label: a plain result, or the JSON of a graph.
enum Wrote {
    Plain,
    Graph(String),
}

/// A world in which programs write this; `text` is also the content of what they write.
fn world(write: impl Fn(&str) -> Wrote + 'static) -> World {
    let mut world = World::with(&[4], |_| {});
    // Content is looked up by name, so all that may be written has to be known beforehand: by label.
    let write = Arc::new(write);
    for label in (0..=10_100).map(|n| n.to_string()) {
        if let Wrote::Graph(json) = write(&label) {
            let content = format!("gg-graph 1\n{json}").into_bytes();
            world.graphs.insert(Name::of_value(&content), content);
        }
    }
    let plain = |label: &str| format!("plain {label}").into_bytes();
    for label in (0..=10_100).map(|n| n.to_string()) {
        world.graphs.insert(Name::of_value(&plain(&label)), plain(&label));
    }
    world.behaviour = Box::new(move |work, _| {
        let label = work.thunk.function.args[0].to_str().unwrap().to_owned();
        let content = match write(&label) {
            Wrote::Plain => plain(&label),
            Wrote::Graph(json) => format!("gg-graph 1\n{json}").into_bytes(),
        };
        let value = Reference::Value(Name::of_value(&content));
        (Duration::from_secs(1), EngineResult::Done(made(work.name, value)))
    });
    world
}

fn countdown(label: &str) -> Wrote {
    match label.parse::<u32>() {
        Ok(0) | Err(_) => Wrote::Plain,
        Ok(n) => Wrote::Graph(format!(
            r#"{{"thunks": {{"less": {{"inherit": true, "args": ["{}"]}}}}, "output": {{"thunk": "less"}}}}"#,
            n - 1
        )),
    }
}

fn value_of(world: &World, name: &Name) -> Reference {
    world.outcome(name).unwrap().outputs[&tag()].object.clone()
}

#[test]
fn what_a_program_states_is_forced_in_its_place() {
    let mut world = world(countdown);
    let name = world.add(&dynamic("3"));
    world.run();
    assert_eq!(value_of(&world, &name), Reference::Value(Name::of_value(b"plain 0")));
    assert_eq!(world.labels(), ["3", "2", "1", "0"]);
    let held = world.cache[&name].outputs[&tag()].object.clone();
    assert!(held.thunk().is_none(), "the whole answer is kept: {held:?}");
}

#[test]
fn what_is_known_is_not_run_again() {
    let mut first = world(countdown);
    first.add(&dynamic("5"));
    first.run();
    let mut second = world(countdown);
    (second.cache, second.thunks) = (first.cache.clone(), first.thunks.clone());
    let name = second.add(&dynamic("7"));
    second.run();
    assert_eq!(second.labels(), ["7", "6"]);
    assert_eq!(value_of(&second, &name), Reference::Value(Name::of_value(b"plain 0")));
}

#[test]
fn two_that_state_the_same_share_it() {
    let mut world = world(|label| match label {
        "0" => Wrote::Plain,
        n => {
            let n: u32 = n.parse().unwrap();
            let (one, two) = (n - 1, n.saturating_sub(2));
            Wrote::Graph(format!(
                r#"{{"thunks": {{"a": {{"inherit": true, "args": ["{one}"]}},
                    "b": {{"inherit": true, "args": ["{two}"], "inputs": {{"/in": {{"thunk": "a"}}}}}},
                    "never": {{"inherit": true, "args": ["10000"]}}}},
                   "output": {{"thunk": "b", "output": "o"}}}}"#
            ))
        }
    });
    let name = world.add(&dynamic("1"));
    world.run();
    assert_eq!(value_of(&world, &name), Reference::Value(Name::of_value(b"plain 0")));
    // "0" alone, and "0" with an input; nobody needs "never".
    assert_eq!(world.labels(), ["1", "0", "0"]);
}

#[test]
fn a_graph_that_is_none_names_what_is_wrong() {
    for (json, what) in [
        ("{", "EOF while parsing an object at line 1 column 1"),
        (r#"{"output": {"text": "x"}, "thunk": {}}"#, "unknown field `thunk`"),
        (r#"{"output": {"thunk": "a"}}"#, "output: thunk: there is no thunk called \"a\" in the graph"),
        (r#"{"output": {"directory": true}}"#, "output: it has to be a file"),
        (r#"{"output": {}}"#, "output: it does not say where it is from"),
        (r#"{"output": {"text": "a", "made": "b"}}"#, "it is from text and from made"),
        (r#"{"output": {"file": "/etc/passwd"}}"#, "file: what runs in a sandbox cannot name that"),
        (r#"{"output": {"input": "/x"}}"#, "has no input at /x"),
        (r#"{"thunks": {"a": {"args": ["x"]}}, "output": {"thunk": "a"}}"#, "thunks: a: it has no executable"),
        (
            r#"{"thunks": {"a": {"inherit": true, "inputs": {"/b": {"thunk": "b"}}},
                           "b": {"inherit": true, "inputs": {"/a": {"thunk": "a"}}}}, "output": {"thunk": "a"}}"#,
            "use each other in a circle: a, b",
        ),
        (
            r#"{"thunks": {"a": {"inherit": true}, "a": {"inherit": true}}, "output": {"thunk": "a"}}"#,
            "a is stated twice",
        ),
        (
            r#"{"thunks": {"a": {"inherit": true, "inputs": {"b": {"text": ""}}}}, "output": {"thunk": "a"}}"#,
            "thunks: a: inputs: b: \"b\" is not an absolute path",
        ),
    ] {
        let mut world = world(move |_| Wrote::Graph(json.to_owned()));
        let name = world.add(&dynamic("1"));
        world.run();
        let failure = world.outcome(&name).unwrap_err();
        let Cause::Breach(text) = &failure.cause else { panic!("{failure}") };
        assert!(text.starts_with("its output 'o' is a malformed graph: ") && text.contains(what), "{json}: {text}");
        assert_eq!(world.labels(), ["1"], "what is the program's fault each time is not tried again");
    }
}

#[test]
fn one_that_never_ends_is_stopped() {
    let mut deep = world(|label| {
        Wrote::Graph(format!(
            r#"{{"thunks": {{"more": {{"inherit": true, "args": ["{}"]}}}}, "output": {{"thunk": "more"}}}}"#,
            label.parse::<u32>().unwrap() + 1
        ))
    });
    let name = deep.add(&dynamic("0"));
    deep.run();
    let failures = deep.plan.summary().failures.clone();
    assert_eq!(failures.len(), 1);
    let text = failures[0].to_string();
    assert!(text.contains("states a graph 10000 levels deep in others, which is the limit"), "{text}");
    let root = deep.outcome(&name).unwrap_err();
    assert_eq!(root.cause, Cause::Dependency(failures[0].name));
}

#[test]
fn so_many_at_once_are_too_many() {
    let mut many = String::from(r#"{"output": {"text": ""}, "thunks": {"#);
    for number in 0..=gg_recipe::MOST_THUNKS {
        many += &format!(r#"{}"{number}": {{}}"#, if number == 0 { "" } else { "," });
    }
    many += "}}";
    let mut wide = world(|_| Wrote::Plain);
    let content = format!("gg-graph 1\n{many}").into_bytes();
    let value = Name::of_value(&content);
    wide.graphs.insert(value, content);
    wide.behaviour =
        Box::new(move |work, _| (Duration::from_secs(1), EngineResult::Done(made(work.name, Reference::Value(value)))));
    let name = wide.add(&dynamic("1"));
    wide.run();
    let text = wide.outcome(&name).unwrap_err().to_string();
    assert!(text.contains("more than 100000 thunks in one graph"), "{text}");
}

#[test]
fn what_runs_wild_over_many_graphs_is_stopped() {
    let mut world = world(countdown);
    world.plan.setup.policy.sprouts = 3;
    world.add(&dynamic("5"));
    world.run();
    let text = world.plan.summary().failures[0].to_string();
    assert!(text.contains("states one thunk more than 3 in this run"), "{text}");
}

#[test]
fn a_strict_thunk_may_write_its_outputs_only() {
    for strict in [true, false] {
        let mut stated = Thunk::clone(&thunk("a", &[]));
        stated.strict = strict;
        let mut world = World::new(&[1]);
        world.behaviour = Box::new(|work, _| {
            let mut reduction = made(work.name, Reference::Value(Name::of_value(b"x")));
            let side = Made { object: Reference::Value(Name::of_value(b"y")), mode: 0o644 };
            let paths = ["/w/a", "/w/b", "/w/c", "/w/d", "/w/e"].map(|path| AbsPath::new(path).unwrap());
            reduction.undeclared = paths.into_iter().map(|path| (path, side.clone())).collect::<BTreeMap<_, _>>();
            (Duration::from_secs(1), EngineResult::Done(reduction))
        });
        let name = world.add(&Arc::new(stated));
        world.run();
        match world.outcome(&name) {
            Ok(_) => assert!(!strict),
            Err(failure) => {
                let text = failure.to_string();
                assert!(strict && text.contains("it wrote /w/a, /w/b, /w/c, and 2 more: no outputs"), "{text}");
            }
        }
    }
}

#[test]
fn outputs_that_are_not_declared_dynamic_are_what_they_are() {
    let content = b"gg-graph 1\n{}".to_vec();
    let mut plain = Thunk::clone(&dynamic("1"));
    plain.outputs.insert(Tag::new("o").unwrap(), Output::at(AbsPath::new("/out").unwrap()));
    let mut world = world(|_| Wrote::Graph("{}".to_owned()));
    let name = world.add(&Arc::new(plain));
    world.run();
    assert_eq!(value_of(&world, &name), Reference::Value(Name::of_value(&content)));
}

#[test]
fn what_a_program_calls_a_thunk_is_told() {
    let mut world = world(|label| {
        match label {
        "1" => Wrote::Graph(
            r#"{"thunks": {"a": {"inherit": true, "args": ["0"], "label": "the last step"}}, "output": {"thunk": "a"}}"#
                .to_owned(),
        ),
        _ => Wrote::Plain,
    }
    });
    world.add(&dynamic("1"));
    world.run();
    assert_eq!(world.labels(), ["1", "the last step"]);
}

//! Runs every thunk of a store once more in one kind of sandbox, compares what it gives with what is recorded, and prints each
//! difference and the CPU time that the programs took.
//!
//! `cargo run --release -p gg-worker --features relocated --example replay STORE [namespace|relocated [PROCESSES]]`
//!
//! `replay STORE copy OTHER` copies thunks and reductions, with all that they need, into another store, so that it can be used
//! where none of this machine's files are to be seen (chroot, another machine).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gg_ir::{Entry, Input, Name, Reduction, Reference, Thunk};
use gg_store::Store;
use gg_worker::{Cancel, Job, Outcome, Pool, PoolConfig, SandboxChoice, WorkerError};

type Any<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// The thunks whose reductions are recorded.
fn recorded(store: &Path, opened: &Store) -> Any<Vec<Name>> {
    let mut names = Vec::new();
    for shard in std::fs::read_dir(store.join("reductions"))? {
        for record in std::fs::read_dir(shard?.path())? {
            let name = record?.file_name();
            names.extend(name.to_str().and_then(|name| name.parse::<Name>().ok()));
        }
    }
    // A reduction may be recorded under a name that stands for several spellings of a thunk, and is none itself.
    names.retain(|name| opened.read_thunk(name).is_ok());
    names.sort();
    Ok(names)
}

/// The values that a thunk's inputs are, for those that are outputs of other thunks.
fn resolve(store: &Store, thunk: &Thunk) -> Any<BTreeMap<Reference, Name>> {
    let mut out = BTreeMap::new();
    for input in thunk.inputs.values() {
        let Input::File { object, .. } = input else { continue };
        let mut at = object.clone();
        while let Reference::Output(name, tag) = &at {
            let reduction = store.reduction(name)?.ok_or("an input has no reduction")?;
            at = reduction.outputs.get(tag).ok_or("an input has no such output")?.object.clone();
        }
        out.insert(object.clone(), *at.name());
    }
    Ok(out)
}

/// Copies a value, and what it lists if it is a tree.
fn copy_value(from: &Store, to: &Store, name: &Name, tree: bool) -> Any {
    if to.contains(name) {
        return Ok(());
    }
    if !tree {
        let copied = to.put(name.kind(), &from.read(name)?)?;
        return if copied == *name { Ok(()) } else { Err("a value is not what its name says".into()) };
    }
    let listed = from.read_tree(name)?;
    for (_, entry) in listed.entries() {
        match entry {
            Entry::File { content, .. } => copy_value(from, to, content, false)?,
            Entry::Tree(below) => copy_value(from, to, below, true)?,
            Entry::Symlink(_) => {}
        }
    }
    to.put_tree(&listed)?;
    Ok(())
}

fn copy(dir: &Path, from: &Store, to: &Store) -> Any {
    for name in recorded(dir, from)? {
        let thunk = from.read_thunk(&name)?;
        for input in thunk.inputs.values() {
            match input {
                Input::Tree(tree) => copy_value(from, to, tree, true)?,
                Input::File { object: Reference::Value(value), .. } => copy_value(from, to, value, false)?,
                _ => {}
            }
        }
        to.put_thunk(&thunk)?;
        let Some(reduction) = from.reduction(&name)? else { continue };
        for made in reduction.outputs.values().chain(reduction.undeclared.values()) {
            copy_value(from, to, made.object.name(), false)?;
        }
        to.record(&reduction)?;
    }
    Ok(())
}

/// What is different, for people.
fn differences(was: &Reduction, is: &Reduction) -> Vec<String> {
    let mut out = Vec::new();
    for (tag, made) in &was.outputs {
        if is.outputs.get(tag) != Some(made) {
            out.push(format!("output {tag:?}: {made:?}, now {:?}", is.outputs.get(tag)));
        }
    }
    if was.outputs.len() != is.outputs.len() {
        out.push(format!("{} outputs, now {}", was.outputs.len(), is.outputs.len()));
    }
    if was.undeclared != is.undeclared {
        out.push(format!("undeclared: {:?}, now {:?}", was.undeclared, is.undeclared));
    }
    for (what, was, is) in [("stdout", &was.stdout, &is.stdout), ("stderr", &was.stderr, &is.stderr)] {
        if was != is {
            out.push(format!("{what}: {}\nnow: {}", String::from_utf8_lossy(was), String::from_utf8_lossy(is)));
        }
    }
    out
}

fn main() -> Any {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == "__worker") {
        gg_worker::worker_main(gg_worker::SOCKET_FD);
    }
    let dir = Path::new(arguments.first().ok_or("which store?")?);
    let sandbox = match arguments.get(1).map(String::as_str) {
        None | Some("relocated") => SandboxChoice::Relocated,
        Some("namespace") => SandboxChoice::Namespace,
        Some("copy") => {
            let other = arguments.get(2).ok_or("into which store?")?;
            return copy(dir, &Store::open(dir)?, &Store::open(Path::new(other))?);
        }
        Some(other) => return Err(format!("no kind of sandbox: {other}").into()),
    };
    let processes = arguments.get(2).map_or(Ok(1), |text| text.parse::<usize>())?;
    let store = Arc::new(Store::open(dir)?);
    let scratch = dir.join("scratch");
    let pool = Pool::start(PoolConfig {
        store: store.clone(),
        processes,
        scratch,
        worker_command: vec![std::env::current_exe()?.into(), "__worker".into()],
        memory_limit: None,
        sandbox,
    })?;
    let (names, cancel) = (recorded(dir, &store)?, Cancel::new()?);
    let (next, same, programs) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let told = Mutex::new(Vec::new());
    let one = |name: &Name| -> Any<Vec<String>> {
        let (thunk, Some(was)) = (store.read_thunk(name)?, store.reduction(name)?) else {
            return Err("its reduction is gone".into());
        };
        let job = Job {
            thunk: name,
            description: &thunk,
            resolved: resolve(&store, &thunk)?,
            timeout: Duration::from_secs(300),
            terminal: false,
        };
        match pool.run(&job, &cancel) {
            Ok(Outcome::Done(is)) => {
                programs.fetch_add(is.cost.cpu_us as usize, Ordering::Relaxed);
                Ok(differences(&was, &is))
            }
            Ok(Outcome::Failed(failure)) => {
                Ok(vec![format!("failed: {:?}\n{}", failure.status, String::from_utf8_lossy(&failure.stderr))])
            }
            Err(WorkerError::Unfit { reason }) => Ok(vec![format!("unfit: {reason}")]),
            Err(error) => Err(error.into()),
        }
    };
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..processes {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let different = one(name).unwrap_or_else(|error| vec![error.to_string()]);
                    if different.is_empty() {
                        same.fetch_add(1, Ordering::Relaxed);
                    } else if let Ok(mut told) = told.lock() {
                        told.push((name, different));
                    }
                }
            });
        }
    });
    let wall = began.elapsed();
    for (name, different) in told.into_inner().map_err(|_| "a thread panicked")? {
        let args = store.read_thunk(name).map(|thunk| thunk.function.args.clone()).unwrap_or_default();
        println!("{name}: {args:?}");
        different.iter().for_each(|line| println!("    {line}"));
    }
    println!(
        "{sandbox:?}: {} of {} thunks as recorded; {:.2} s, programs {:.2} s of CPU",
        same.into_inner(),
        names.len(),
        wall.as_secs_f64(),
        programs.into_inner() as f64 / 1e6
    );
    Ok(())
}

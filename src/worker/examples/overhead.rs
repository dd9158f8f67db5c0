//! What a sandbox costs: runs a trivial program many times, with a toolchain of some 40 files and 30 small project files,
//! and prints wall and CPU time per thunk.
//!
//! `cargo run --release -p gg-worker --example overhead [--json] [THUNKS [PROCESSES [INPUTS]]]`
//!
//! The same program started as often by fork and exec, and nothing else, is what it is compared with.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gg_ir::{AbsPath, Entry, Function, Input, Kind, Name, Output, Reference, Tag, Thunk, Tree};
use gg_store::Store;
use gg_worker::{Cancel, Job, Outcome, Pool, PoolConfig, SandboxChoice};

type Any<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// The files of the host that make up the toolchain: directory, and names in it.
fn toolchain(store: &Store) -> Any<Name> {
    let mut usr = Tree::new();
    for (directory, part, wanted) in
        [("/usr/bin", "bin", 15), ("/usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", 25)]
    {
        let mut tree = Tree::new();
        let mut names = vec!["true".to_owned(), "libc.so.6".to_owned()];
        let listed = std::fs::read_dir(directory)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        names.extend(listed.take(2 * wanted));
        for name in names {
            let path = Path::new(directory).join(&name);
            let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
            if meta.is_file() && tree.entries().len() < wanted {
                let (content, stamp) = store.hash(&path)?;
                store.note_origin(&content, &path, &stamp)?;
                tree.insert(name, Entry::File { content, mode: meta.permissions().mode() & 0o7777 });
            }
        }
        let loader = Path::new("/lib64/ld-linux-x86-64.so.2").canonicalize()?;
        if part.starts_with("lib") {
            let (content, stamp) = store.hash(&loader)?;
            store.note_origin(&content, &loader, &stamp)?;
            tree.insert("ld-linux-x86-64.so.2", Entry::File { content, mode: 0o755 });
        }
        let mut entry = Entry::Tree(store.put_tree(&tree)?);
        for name in part.rsplit('/').take(part.split('/').count() - 1) {
            let mut above = Tree::new();
            above.insert(name, entry);
            entry = Entry::Tree(store.put_tree(&above)?);
        }
        usr.insert(part.split('/').next().unwrap_or(part), entry);
    }
    let mut lib64 = Tree::new();
    lib64.insert("ld-linux-x86-64.so.2", Entry::Symlink("../usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2".into()));
    let mut top = Tree::new();
    top.insert("usr", Entry::Tree(store.put_tree(&usr)?));
    top.insert("lib64", Entry::Tree(store.put_tree(&lib64)?));
    top.insert("lib", Entry::Symlink("usr/lib".into()));
    Ok(store.put_tree(&top)?)
}

fn thunk(store: &Store, toolchain: Name, files: usize) -> Any<Thunk> {
    let mut inputs = BTreeMap::from([(AbsPath::root(), Input::Tree(toolchain))]);
    for number in 0..files {
        let content = format!("/* header {number} */\n").repeat(200 + 10 * (number % 30));
        let name = store.put(Kind::Value, content.as_bytes())?;
        let path = AbsPath::new(format!("/home/user/project/src/part{}/h{number}.h", number % 4))?;
        inputs.insert(path, Input::File { object: Reference::Value(name), mode: 0o644 });
    }
    let function = Function {
        executable: AbsPath::new("/usr/bin/true")?,
        args: vec!["true".into()],
        env: [("PATH".into(), "/usr/bin".into())].into(),
        cwd: AbsPath::new("/home/user/project/src")?,
        umask: 0o22,
    };
    let output = Output { path: AbsPath::new("/home/user/project/src/out.o")?, optional: true, dynamic: false };
    Ok(Thunk {
        function,
        inputs,
        outputs: [(Tag::new("o")?, output)].into(),
        timeout: None,
        volatile: false,
        strict: false,
    })
}

/// User and system time of this process and of the children that it has waited for.
fn cpu() -> Duration {
    let of = |who| unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(who, &raw mut usage);
        let us = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
        us(usage.ru_utime) + us(usage.ru_stime)
    };
    Duration::from_micros(of(libc::RUSAGE_SELF) + of(libc::RUSAGE_CHILDREN))
}

/// CPU time of so many starts of the program without any sandbox, from a process as large as this one.
fn plain(times: usize) -> Any<Duration> {
    let before = cpu();
    for _ in 0..times {
        let status = std::process::Command::new("/usr/bin/true").env_clear().env("PATH", "/usr/bin").status()?;
        if !status.success() {
            return Err("true is not true here".into());
        }
    }
    Ok(cpu() - before)
}

fn main() -> Any {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == "__worker") {
        gg_worker::worker_main(gg_worker::SOCKET_FD);
    }
    let json = arguments.first().is_some_and(|argument| argument == "--json");
    if json {
        arguments.remove(0);
    }
    let number = |place: usize, otherwise| arguments.get(place).map_or(Ok(otherwise), |text| text.parse::<usize>());
    let (thunks, processes, files) = (number(0, 2000)?, number(1, 2)?, number(2, 30)?);
    let dir = std::env::temp_dir().join(format!("gg-overhead-{}", std::process::id()));
    let store = Arc::new(Store::open(&dir.join("store"))?);
    let thunk = thunk(&store, toolchain(&store)?, files)?;
    let pool = Pool::start(PoolConfig {
        store: store.clone(),
        processes,
        scratch: dir.join("scratch"),
        worker_command: vec![std::env::current_exe()?.into(), "__worker".into()],
        memory_limit: None,
        sandbox: SandboxChoice::Auto,
    })?;
    let sandbox = format!("{:?}", pool.kind());
    let (name, cancel) = (thunk.name(), Cancel::new()?);
    let run = || {
        let job = Job {
            thunk: &name,
            description: &thunk,
            resolved: BTreeMap::new(),
            timeout: Duration::from_secs(10),
            terminal: false,
        };
        match pool.run(&job, &cancel) {
            Ok(Outcome::Done(reduction)) => reduction.cost,
            other => panic!("{other:?}"),
        }
    };
    run();
    let (began, used, left) = (Instant::now(), cpu(), AtomicUsize::new(thunks));
    let program = std::sync::Mutex::new((0, 0));
    std::thread::scope(|scope| {
        for _ in 0..processes {
            scope.spawn(|| {
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                    let cost = run();
                    if let Ok(mut program) = program.lock() {
                        program.0 += cost.wall_us;
                        program.1 += cost.cpu_us;
                    }
                }
            });
        }
    });
    let wall = began.elapsed();
    pool.shutdown();
    let used = cpu() - used;
    let each = |time: Duration| time.as_secs_f64() * 1000.0 / thunks as f64;
    let (program_wall, program_cpu) = *program.lock().map_err(|_| "a thread panicked")?;
    std::fs::remove_dir_all(dir)?;
    let plain = plain(thunks)?;
    let (each, plain) = (each(used), each(plain));
    let walls = wall.as_secs_f64() * 1000.0 / thunks as f64;
    if json {
        let label =
            format!("a trivial thunk in the sandbox, {files} inputs and a toolchain, beyond fork and exec: CPU");
        let beside = format!("at most 2; {each:.3} ms a thunk, {plain:.3} ms a fork and exec; sandbox: {sandbox}");
        println!(r#"[{{"label":"{label}","figure":{:.4},"unit":"ms","beside":"{beside}"}}]"#, each - plain);
        return Ok(());
    }
    println!("{thunks} thunks with {files} inputs on {processes} worker processes, sandbox: {sandbox}");
    println!("per thunk: {walls:.2} ms of wall, {each:.2} ms of CPU in all; fork and exec alone: {plain:.2} ms");
    println!(
        "the program itself: {:.2} ms of wall, {:.2} ms of CPU",
        program_wall as f64 / 1000.0 / thunks as f64,
        program_cpu as f64 / 1000.0 / thunks as f64
    );
    Ok(())
}

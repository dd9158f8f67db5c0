//! The coordinator on the local engine: real tools in real sandboxes.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsString, c_char, c_int};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gg_force::{
    Cause, Config, Coordinator, History, LocalEngine, LocalOptions, NoObserver, Outcome, Policy, RealClock, Request,
    Status,
};
use gg_ir::{AbsPath, Function, Input, Kind, Name, Output, Reference, Tag, Thunk};
use gg_store::Store;
use gg_worker::{Pool, PoolConfig, SandboxChoice};

/// Worker processes are this test executable: before `main` and its threads, an argument turns it into one.
#[used]
#[unsafe(link_section = ".init_array")]
static BECOME_WORKER: extern "C" fn(c_int, *const *const c_char, *const *const c_char) = become_worker;

extern "C" fn become_worker(argc: c_int, argv: *const *const c_char, _: *const *const c_char) {
    // SAFETY: the loader passes the argument vector of the process, which holds `argc` strings.
    if argc == 2 && unsafe { CStr::from_ptr(*argv.add(1)) } == c"__worker" {
        gg_worker::worker_main(gg_worker::SOCKET_FD);
    }
}

fn tag() -> Tag {
    Tag::new("o").unwrap()
}

fn path(text: impl AsRef<std::ffi::OsStr>) -> AbsPath {
    AbsPath::new(text).unwrap()
}

struct Bench {
    dir: tempfile::TempDir,
    store: Arc<Store>,
    coordinator: Coordinator,
}

impl Bench {
    fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }

    fn at(dir: tempfile::TempDir) -> Self {
        let store = Arc::new(Store::open(&dir.path().join("store")).unwrap());
        let pool = Pool::start(PoolConfig {
            store: store.clone(),
            processes: 2,
            scratch: dir.path().join("scratch"),
            worker_command: vec![std::env::current_exe().unwrap().into(), "__worker".into()],
            memory_limit: None,
            sandbox: SandboxChoice::Namespace,
        })
        .unwrap();
        let options = LocalOptions { jobs: 2, timeout: Duration::from_secs(60), terminal: false, reserve: false };
        let coordinator = Coordinator::start(Config {
            store: store.clone(),
            engines: vec![Arc::new(LocalEngine::new(Arc::new(pool), options).unwrap())],
            clock: Arc::new(RealClock::new()),
            policy: Policy::default(),
            history: History::new(),
            observer: Arc::new(NoObserver),
            keep_going: true,
            on_failure: None,
            resupply: None,
        })
        .unwrap();
        Self { dir, store, coordinator }
    }

    /// A thunk with these programs and their libraries among its inputs, which writes `/p/OUTPUT`.
    fn thunk(&self, programs: &[&str], args: &[&str], inputs: &[(&str, Reference)], output: &str) -> Thunk {
        let mut visible = BTreeMap::new();
        for file in programs.iter().flat_map(|program| with_libraries(program)) {
            let (name, _) = self.store.import(&file).unwrap();
            let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777;
            visible.insert(path(&file), Input::File { object: Reference::Value(name), mode });
        }
        for (name, object) in inputs {
            visible.insert(path(format!("/p/{name}")), Input::File { object: object.clone(), mode: 0o644 });
        }
        Thunk {
            function: Function {
                executable: path(programs[0]),
                args: args.iter().map(OsString::from).collect(),
                env: [("PATH".into(), "/usr/bin:/bin".into())].into(),
                cwd: path("/p"),
                umask: 0o22,
            },
            inputs: visible,
            outputs: [(tag(), Output { path: path(format!("/p/{output}")), optional: false, dynamic: false })].into(),
            timeout: None,
            volatile: false,
            strict: false,
        }
    }

    fn script(&self, text: &str, inputs: &[(&str, Reference)]) -> Thunk {
        self.thunk(&["/bin/sh", "/bin/cat", "/bin/sleep"], &["sh", "-c", text], inputs, "out")
    }

    fn value(&self, bytes: &[u8]) -> Reference {
        Reference::Value(self.store.put(Kind::Value, bytes).unwrap())
    }

    fn add(&self, thunk: &Thunk, label: &str) -> Name {
        let name = self.store.put_thunk(thunk).unwrap();
        self.coordinator.add(Request {
            name,
            thunk: Some(Arc::new(thunk.clone())),
            kind: "test".into(),
            label: label.into(),
            volatile: false,
            eager: false,
            anew: false,
        });
        name
    }

    fn bytes(&self, outcome: &Outcome) -> Vec<u8> {
        self.store.read(outcome.as_ref().unwrap().outputs[&tag()].object.name()).unwrap()
    }
}

/// A program, under the path given, and the files that the loader opens for it.
fn with_libraries(program: &str) -> Vec<PathBuf> {
    let listed = Command::new("ldd").arg(program).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let libraries = listed.split_ascii_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from);
    std::iter::once(PathBuf::from(program)).chain(libraries).collect()
}

fn output_of(name: Name) -> Reference {
    Reference::Output(name, tag())
}

#[test]
fn a_compile_and_a_link_give_what_they_give_outside() {
    let prog = |name: &str| {
        let said = Command::new("gcc").arg(format!("-print-prog-name={name}")).output().unwrap();
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    };
    let cc1 = prog("cc1");
    let source = b"int answer(void) { return 42; }\n";
    let compile_args = ["gcc", "-O2", "-ffreestanding", "-c", "a.c", "-o", "a.o"];
    let link_args = ["ld", "-r", "a.o", "-o", "all.o"];

    let bench = Bench::new();
    let compile =
        bench.thunk(&["/usr/bin/gcc", &cc1, "/usr/bin/as"], &compile_args, &[("a.c", bench.value(source))], "a.o");
    let object = bench.add(&compile, "a.o");
    let link = bench.thunk(&["/usr/bin/ld"], &link_args, &[("a.o", output_of(object))], "all.o");
    let linked = bench.add(&link, "all.o");
    let bytes = bench.bytes(&bench.coordinator.wait(&linked));
    let summary = bench.coordinator.wait_all();
    assert_eq!((summary.executed, summary.cached, summary.failed), (2, 0, 0));

    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("a.c"), source).unwrap();
    for args in [&compile_args[..], &link_args[..]] {
        assert!(Command::new(args[0]).args(&args[1..]).current_dir(outside.path()).status().unwrap().success());
    }
    assert!(bytes == std::fs::read(outside.path().join("all.o")).unwrap(), "the linked objects differ");

    // Another process finds it by its name alone.
    let Bench { dir, coordinator, .. } = bench;
    drop(coordinator);
    let again = Bench::at(dir);
    assert!(again.bytes(&again.coordinator.wait(&linked)) == bytes);
    assert_eq!(again.coordinator.wait_all().runs, 0);
}

#[test]
fn a_failure_keeps_what_the_program_said() {
    let bench = Bench::new();
    let fails = bench.add(&bench.script("echo oops >&2; exit 3", &[]), "fails");
    let killed = bench.add(&bench.script("kill -9 $$", &[]), "killed");
    let after = bench.add(&bench.script("cat in > out", &[("in", output_of(fails))]), "after");
    let cause = |name: &Name| bench.coordinator.wait(name).unwrap_err().cause.clone();
    match cause(&fails) {
        Cause::Program(failure) => {
            assert_eq!((failure.status, &failure.stderr[..]), (Status::Exited(3), &b"oops\n"[..]));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(cause(&killed), Cause::Program(failure) if failure.status == Status::Signalled(9)));
    assert_eq!(cause(&after), Cause::Dependency(fails));
    // Each was confirmed by a second run.
    assert_eq!(bench.coordinator.wait_all().runs, 4);
}

#[test]
fn a_damaged_object_is_made_again() {
    let bench = Bench::new();
    let first = bench.add(&bench.script("echo made > out", &[]), "first");
    let made = bench.coordinator.wait(&first).unwrap();
    let object = *made.outputs[&tag()].object.name();
    bench.coordinator.wait_all();
    let file = bench.store.file(&object).unwrap();
    let Bench { dir, store, coordinator } = bench;
    drop((coordinator, store));
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(&file, b"MADE\n").unwrap();

    let bench = Bench::at(dir);
    let first = bench.add(&bench.script("echo made > out", &[]), "first");
    let second = bench.add(&bench.script("cat in in > out", &[("in", output_of(first))]), "second");
    assert_eq!(bench.bytes(&bench.coordinator.wait(&second)), b"made\nmade\n");
    assert_eq!(bench.coordinator.wait_all().failed, 0);
}

#[test]
fn cancelling_kills_what_runs() {
    let bench = Bench::new();
    let loops: Vec<Name> = (0..4).map(|i| bench.add(&bench.script(&format!("sleep 10{i}"), &[]), "loop")).collect();
    while bench.coordinator.progress().running < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(100));
    let begin = Instant::now();
    bench.coordinator.cancel_all();
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(bench.coordinator.progress().running, 0);
    for name in loops {
        assert_eq!(bench.coordinator.wait(&name).unwrap_err().cause, Cause::Cancelled);
    }
}

#[test]
fn an_optional_output_that_was_not_written_is_not_there() {
    let bench = Bench::new();
    let mut first = bench.script("echo made > out", &[]);
    let extra = Tag::new("extra").unwrap();
    first.outputs.insert(extra.clone(), Output { path: path("/p/extra"), optional: true, dynamic: false });
    let first = bench.add(&first, "first");
    let inputs = [("in", output_of(first)), ("extra", Reference::Output(first, extra))];
    let second = bench.add(&bench.script("[ -e extra ] || cat in > out", &inputs), "second");
    assert_eq!(bench.bytes(&bench.coordinator.wait(&second)), b"made\n");
}

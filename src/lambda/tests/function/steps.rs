//! Real steps.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use gg_ir::{Name, Reference};
use gg_worker::wire::JobResult;

use crate::support::*;

/// What gcc says when asked for a program or file of its own.
fn gcc_says(question: &str) -> String {
    let said = Command::new("gcc").arg(question).output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

struct Gcc {
    tree: Name,
    include: Name,
    own: Name,
    own_at: String,
    libraries: Vec<String>,
}

static GCC: LazyLock<Gcc> = LazyLock::new(|| {
    let store = &WORLD.store;
    let mut programs = vec!["/usr/bin/gcc".to_owned(), "/usr/bin/as".to_owned(), "/usr/bin/ld".to_owned()];
    programs.extend(["cc1", "collect2"].map(|name| gcc_says(&format!("-print-prog-name={name}"))));
    let tree = toolchain(store, &programs.iter().map(String::as_str).collect::<Vec<_>>());
    let include = store.snapshot(Path::new("/usr/include")).unwrap();
    let own = gcc_says("-print-file-name=include");
    let own = Path::new(&own).parent().unwrap().canonicalize().unwrap();
    let names = "Scrt1.o crti.o libgcc_s.so.1 crtn.o libc.so libc.so.6 libc_nonshared.a ld-linux-x86-64.so.2";
    let libraries = names.split(' ').map(|name| {
        let said = gcc_says(&format!("-print-file-name={name}"));
        let directory = Path::new(&said).parent().unwrap().canonicalize().unwrap();
        directory.join(name).to_str().unwrap().to_owned()
    });
    Gcc {
        tree,
        include,
        own: store.snapshot(&own).unwrap(),
        own_at: own.to_str().unwrap().to_owned(),
        libraries: libraries.collect(),
    }
});

impl Gcc {
    fn step(&self, args: &[&str]) -> Step {
        let step = Step::new("/usr/bin/gcc", args).env("PATH", "/usr/bin").tree("/", self.tree);
        step.tree("/usr/include", self.include).tree(&self.own_at, self.own)
    }
}

fn done(result: &JobResult) -> &gg_ir::Reduction {
    match result {
        JobResult::Done { reduction } => reduction,
        other => panic!("{other:?}"),
    }
}

const MAIN: &str = "#include <stdio.h>\n#include \"a.h\"\nint main(void) { printf(\"%d\\n\", A); return 0; }\n";

#[test]
fn a_compile_and_its_link_are_one_request_and_give_the_same_bytes() {
    let outside = tempfile::tempdir().unwrap();
    let at = |name: &str| outside.path().join(name);
    let args = ["gcc", "-g", "-O2", "-MD", "-c", "main.c", "-o", "main.o"];
    let (main, header) = ((at("main.c"), MAIN), (at("a.h"), "#define A 42\n"));
    let compile = GCC.step(&args).cwd(outside.path()).file(&main.0, main.1).file(&header.0, header.1);
    let compile = compile.output("o", at("main.o")).output("d", at("main.d"));
    let mut link = GCC.step(&["gcc", "main.o", "-o", "main"]).cwd(outside.path());
    link = link.object(at("main.o"), compile.made("o"), 0o644).output("out", at("main"));
    for library in &GCC.libraries {
        link = link.file(library, std::fs::read(std::fs::canonicalize(library).unwrap()).unwrap());
    }

    let door = Door::new(&["--workers", "1"]);
    let sources = [main, header].map(|(_, text)| Name::of_value(text.as_bytes()));
    let response = door.ask(&WORLD.request(&[&compile, &link], &sources));
    let (compiled, linked) = (done(&response.results[0]), done(&response.results[1]));
    assert_eq!((compiled.thunk, linked.thunk), (compile.name(), link.name()));
    let object = WORLD.bytes(&response, compiled.outputs[&tag("o")].object.name());
    let program = WORLD.bytes(&response, linked.outputs[&tag("out")].object.name());

    std::fs::write(at("main.c"), MAIN).unwrap();
    std::fs::write(at("a.h"), "#define A 42\n").unwrap();
    let here = |args: &[&str]| {
        assert!(Command::new("gcc").args(&args[1..]).current_dir(outside.path()).status().unwrap().success())
    };
    here(&args);
    here(&["gcc", "main.o", "-o", "main"]);
    assert!(object == std::fs::read(at("main.o")).unwrap(), "the objects differ");
    assert!(program == std::fs::read(at("main")).unwrap(), "the programs differ");
    let depends = WORLD.bytes(&response, compiled.outputs[&tag("d")].object.name());
    assert_eq!(depends, std::fs::read(at("main.d")).unwrap());

    let report = &response.report;
    assert!(report.cold && report.runs == 1 && report.sandbox == "relocated", "{report:?}");
    assert!(report.requests > 0 && report.bytes_down > 1 << 20 && report.peak_kib > 1000, "{report:?}");
    let phases = report.phases;
    assert!(phases.fetch > 0 && phases.run > 0 && phases.total >= phases.run, "{phases:?}");
    assert_eq!(report.memory_mib, 2048);

    // Warm, with other source: nothing is asked of the store at all.
    let other = "int f(void) { return 7; }\n";
    let again = GCC.step(&["gcc", "-c", "f.c"]).file("/p/f.c", other).output("o", "/p/f.o");
    let warm = door.ask(&WORLD.request(&[&again], &[Name::of_value(other.as_bytes())]));
    done(&warm.results[0]);
    assert!(!warm.report.cold && warm.report.worker == report.worker);
    assert_eq!((warm.report.requests, warm.report.bytes_down, warm.report.bytes_up), (0, 0, 0));
}

#[test]
fn a_compile_error_is_the_programs_own() {
    let door = Door::new(&["--workers", "1"]);
    let step = GCC.step(&["gcc", "-c", "a.c"]).file("/p/a.c", "#include \"missing.h\"\n").output("o", "/p/a.o");
    let (JobResult::Failed { failure }, _) = door.run(&step) else { panic!() };
    assert_eq!((failure.status.code(), &failure.missing_outputs[..]), (1, &[tag("o")][..]));
    let text = String::from_utf8(failure.stderr).unwrap();
    assert!(text.contains("missing.h: No such file or directory"), "{text}");
}

#[test]
fn what_needs_a_failed_step_is_not_run() {
    let door = Door::new(&["--workers", "1"]);
    let first = WORLD.script("echo bad >&2; exit 3").output("o", "/p/o");
    let second = WORLD.script("cat o > q").object("/p/o", first.made("o"), 0o644).output("q", "/p/q");
    let third = WORLD.script("echo well > r").output("r", "/p/r");
    let response = door.ask(&WORLD.request(&[&first, &second, &third], &[]));
    assert!(matches!(response.results[0], JobResult::Failed { .. }));
    assert!(matches!(response.results[1], JobResult::NotRun { .. }));
    let made = &done(&response.results[2]).outputs[&tag("r")];
    assert_eq!(WORLD.bytes(&response, made.object.name()), b"well\n");
}

#[test]
fn an_optional_output_that_was_not_written_is_no_input() {
    let door = Door::new(&["--workers", "1"]);
    let mut first = WORLD.script("true");
    let output = gg_ir::Output { path: path("/p/o"), optional: true, dynamic: false };
    first.thunk.outputs.insert(tag("o"), output);
    let second = WORLD.script("test ! -e o && echo none > q").object("/p/o", first.made("o"), 0o644);
    let second = second.output("q", "/p/q");
    let response = door.ask(&WORLD.request(&[&first, &second], &[]));
    done(&response.results[1]);
}

#[test]
fn an_input_that_nobody_makes_is_told() {
    let door = Door::new(&["--workers", "1"]);
    let elsewhere = WORLD.script("echo elsewhere").output("o", "/p/o");
    let step = WORLD.script("cat o").object("/p/o", elsewhere.made("o"), 0o644);
    let (JobResult::Broken { text, again: false }, _) = door.run(&step) else { panic!() };
    assert!(text.contains("has not been computed"), "{text}");
    // A thunk cannot be after itself, nor after a later one.
    let (JobResult::Broken { .. }, _) = door.run(&step.clone().object("/p/x", step.made("o"), 0o644)) else { panic!() };
}

#[test]
fn large_outputs_go_through_the_store() {
    let door = Door::new(&["--workers", "1"]);
    let step = WORLD.script("head -c 9000000 /dev/urandom > large; echo small > small");
    let step = step.output("large", "/p/large").output("small", "/p/small");
    let (result, response) = door.run(&step);
    let made = |name: &str| done(&result).outputs[&tag(name)].object.clone();
    let (Reference::Value(large), Reference::Value(small)) = (made("large"), made("small")) else { panic!() };
    assert_eq!(response.stored, [large]);
    assert_eq!(WORLD.bytes(&response, &large).len(), 9_000_000);
    assert_eq!(WORLD.bytes(&response, &small), b"small\n");
    assert!(response.inline.len() < 1000 && response.report.bytes_up >= 9_000_000, "{:?}", response.report);

    // Where that is asked for, those that are in the answer as well.
    let step = WORLD.script("echo 1 > a; echo 12345 > b").output("a", "/p/a").output("b", "/p/b");
    let mut request = WORLD.request(&[&step], &[]);
    request.store_from = Some(6);
    let response = door.ask(&request);
    let outputs = &done(&response.results[0]).outputs;
    let [a, b] = ["a", "b"].map(|name| *outputs[&tag(name)].object.name());
    assert_eq!(response.stored, [b]);
    assert_eq!((WORLD.bytes(&response, &a), WORLD.bytes(&response, &b)), (b"1\n".to_vec(), b"12345\n".to_vec()));
    let inline = response.inline.len();
    request.inline_limit = 0;
    assert!(door.ask(&request).inline.len() < inline);

    // Without room in the answer, all of it does.
    let mut request = WORLD.request(&[&WORLD.script("echo one > one").output("one", "/p/one")], &[]);
    request.inline_limit = 0;
    let response = door.ask(&request);
    let made = done(&response.results[0]).outputs[&tag("one")].object.clone();
    assert_eq!(response.stored, [*made.name()]);
}

#[test]
fn an_answer_is_never_too_long() {
    let door = Door::new(&["--workers", "1"]);
    // Text that base64 makes longer than an answer may be.
    let step = WORLD.script("head -c 7000000 /dev/urandom >&2; head -c 4000000 /dev/urandom > o").output("o", "/p/o");
    let mut request = WORLD.request(&[&step], &[]);
    request.inline_limit = u64::MAX;
    let response = door.ask(&request);
    let JobResult::Elsewhere { name } = response.results[0] else { panic!("{:?}", response.results) };
    let result = JobResult::decode(&WORLD.bytes(&response, &name)).unwrap();
    assert_eq!(done(&result).stderr.len(), 7_000_000);
    let made = done(&result).outputs[&tag("o")].object.clone();
    assert_eq!(WORLD.bytes(&response, made.name()).len(), 4_000_000);
}

#[test]
fn reductions_are_recorded_after_their_outputs() {
    let door = Door::new(&["--workers", "1"]);
    let step = WORLD.script("echo recorded > o").output("o", "/p/o");
    let mut request = WORLD.request(&[&step, &WORLD.script("exit 1")], &[]);
    request.record = true;
    let response = door.ask(&request);
    let reduction = WORLD.runtime.block_on(WORLD.remote.reduction(&step.name())).unwrap().unwrap();
    assert_eq!(&reduction, done(&response.results[0]));
    let name = *reduction.outputs[&tag("o")].object.name();
    assert!(WORLD.runtime.block_on(WORLD.remote.has_object(&name)).unwrap());
    let failed = WORLD.script("exit 1").name();
    assert_eq!(WORLD.runtime.block_on(WORLD.remote.reduction(&failed)).unwrap(), None);
}

#[test]
fn jobs_that_do_not_need_one_another_run_side_by_side() {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return;
    }
    let door = Door::new(&["--workers", "1"]);
    door.run(&WORLD.script("true"));
    let steps = [1, 2].map(|number| WORLD.script(&format!("sleep 2; echo {number}")));
    let response = door.ask(&WORLD.request(&[&steps[0], &steps[1]], &[]));
    response.results.iter().for_each(|result| assert!(matches!(result, JobResult::Done { .. })));
    assert!(
        response.report.phases.run >= 4_000_000 && response.report.phases.total < 3_800_000,
        "{:?}",
        response.report
    );
}

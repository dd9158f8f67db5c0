//! `gg log` shows again what a step wrote.

use crate::project::Project;
use crate::screen::Screen;

fn project() -> Project {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: warns.o app\napp: good.o sub/bad.o\n\t$(CC) $^ -o $@\n%.o: %.c\n\t$(CC) -Wall -c $< -o $@\n",
        )
        .write("warns.c", "int f(void) { int unused; return 0; }\n")
        .write("good.c", "int main(void) { return 0; }\n")
        .write("sub/bad.c", "int f(void) { return undeclared_thing; }\n");
    project
}

#[test]
fn by_file_by_source_and_by_name() {
    let project = project();
    assert_eq!(project.gg_make(&["-k"]).status, 2);
    let told = project.gg(&["log", "warns.o"]).ok();
    assert!(
        told.stderr.starts_with("gg: warns.o (compile): exit status 0, on this machine, in run 1 ("),
        "{}",
        told.stderr
    );
    let command = format!("\n    cd {} && cc -Wall -c warns.c -o warns.o\n", project.root().display());
    assert!(told.stderr.contains(&command) && told.stderr.contains("unused variable"), "{}", told.stderr);
    let after_head = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    let report = project.report();
    let steps = report["steps"].as_array().unwrap();
    let warns = steps.iter().find(|step| step["label"].as_str().unwrap().ends_with("warns.o")).unwrap();
    for other in ["./sub/../warns.o", "warns.c", warns["thunk"].as_str().unwrap()] {
        assert_eq!(after_head(&project.gg(&["log", other]).ok().stderr), after_head(&told.stderr), "{other}");
    }
    let quiet = project.gg(&["log", "good.o"]).ok();
    assert!(quiet.stderr.ends_with("\ngg: it wrote nothing\n"), "{}", quiet.stderr);
    // From another directory, and when it has come from the cache.
    project.sh("rm -f warns.o").ok();
    project.gg_make(&["warns.o"]).ok();
    let file = project.path("warns.o");
    let elsewhere =
        crate::project::run(project.command(env!("CARGO_BIN_EXE_gg")).current_dir("/").arg("log").arg(&file)).ok();
    assert!(
        elsewhere.stderr.contains("from the cache, in run 2") && elsewhere.stderr.contains("unused variable"),
        "{}",
        elsewhere.stderr
    );
}

#[test]
fn what_failed_in_the_last_build() {
    let project = project();
    assert_eq!(project.gg_make(&["-k"]).status, 2);
    for args in [&["log"][..], &["log", "sub/bad.o"], &["log", "sub/bad.c"]] {
        let told = project.gg(args).ok();
        assert!(
            told.stderr.contains("gg: sub/bad.o (compile): failed: exit status 1, on this machine"),
            "{}",
            told.stderr
        );
        assert_eq!(told.stderr.matches("undeclared (first use").count(), 1, "{}", told.stderr);
        assert!(!told.stderr.contains("warns.o"), "{}", told.stderr);
    }
    let app = project.gg(&["log", "app"]).ok();
    assert!(app.stderr.contains("app (link): not run, in run 1 ("), "{}", app.stderr);
    project.write("sub/bad.c", "int f(void) { return 0; }\n");
    project.gg_make(&["-k"]).ok();
    let told = project.gg(&["log"]).ok();
    assert!(told.stderr.starts_with("gg: no step failed in run 2 ("), "{}", told.stderr);
}

#[test]
fn what_gg_force_computed() {
    let project = project();
    project.gg(&["infer", "--", "make"]).ok();
    let waits = project.gg(&["log", "sub/bad.o"]).ok();
    assert!(waits.stderr.contains("not run yet"), "{}", waits.stderr);
    assert_eq!(project.gg(&["force"]).status, 2);
    for file in ["sub/bad.o", "sub/bad.c"] {
        let told = project.gg(&["log", file]).ok();
        assert!(told.stderr.contains("gg: sub/bad.o (compile): failed: exit status 1"), "{}", told.stderr);
        assert!(told.stderr.contains("undeclared (first use"), "{}", told.stderr);
    }
    assert!(project.gg(&["log", "warns.o"]).ok().stderr.contains("unused variable"));
}

#[test]
fn a_probe_that_failed_and_is_remembered() {
    let project = Project::new();
    project
        .write("Makefile", "all:\n\t$(CC) -c conftest.c -o conftest.o || true\n")
        .write("conftest.c", "int f(void) { return undeclared_thing; }\n");
    for run in [1, 2] {
        project.gg_make(&[]).ok();
        let none = project.gg(&["log"]).ok();
        assert!(
            none.stderr.starts_with(&format!("gg: no step failed in run {run} (")),
            "an answer is no failure: {}",
            none.stderr
        );
        let told = project.gg(&["log", "conftest.o"]).ok();
        assert!(told.stderr.contains("undeclared (first use"), "{}", told.stderr);
    }
}

#[test]
fn what_there_is_no_log_of() {
    let project = project();
    let error = |args: &[&str]| {
        let ran = project.gg(args);
        assert_eq!((ran.status, &*ran.stdout), (2, ""), "{}", ran.stderr);
        ran.stderr
    };
    assert!(error(&["log", "warns.o"]).contains("there is no record of a build yet"));
    assert!(error(&["log"]).contains("there is no report yet"));
    project.write(
        "Makefile",
        "all:\n\t$(CC) -c good.c -o one.o\n\t$(CC) -c good.c -o two.o\n\t$(CC) -no-such-option -c warns.c 2>/dev/null || true\n",
    );
    project.gg_make(&[]).ok();
    assert!(error(&["log", "Makefile"]).contains("Makefile is made by no step whose record is kept"));
    assert!(error(&["log", "good.c"]).contains("good.c is used by 2 steps; name what one of them makes: one.o, two.o"));
    let here = error(&["log", "warns.c"]);
    assert!(here.contains("ran here and now") && here.contains("cc -no-such-option -c warns.c"), "{here}");
}

#[test]
fn colours_are_for_terminals() {
    let project = project();
    let size = (40, 200);
    assert_eq!(Screen::start(project.gg_make_command(&["sub/bad.o"]), size).end().code(), Some(2));
    let log = || {
        let mut command = project.command(env!("CARGO_BIN_EXE_gg"));
        command.args(["log", "sub/bad.o"]);
        command
    };
    let mut screen = Screen::start(log(), size);
    assert!(screen.end().success());
    let text = "error: ";
    assert!(
        screen.text().contains(text) && screen.said().contains("\x1b[Kerror: "),
        "the compiler's colours are lost: {}",
        screen.said()
    );
    assert!(screen.said().starts_with("\x1b[1;31mgg: sub/bad.o (compile): failed"), "{}", screen.said());
    let plain = crate::project::run(&mut log()).ok().stderr;
    assert!(plain.contains(text) && !plain.contains('\x1b'), "{plain}");
}

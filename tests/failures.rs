//! A failing step is shown once and whole, and leaves nothing that is believed.

use crate::project::Project;

fn broken(project: &Project) {
    project
        .write(
            "Makefile",
            "all: app other\napp: good.o bad.o\n\t$(CC) $^ -o $@\nother: good.o\n\t$(CC) good.o -o other\n",
        )
        .write("good.c", "int main(void) { return 0; }\n")
        .write("bad.c", "int f(void) { return undeclared_thing; }\n");
}

#[test]
fn the_compilers_text_once() {
    let project = Project::new();
    broken(&project);
    let ran = project.gg_make(&[]);
    assert_eq!(ran.status, 2);
    assert_eq!(
        ran.stderr.matches("'undeclared_thing' undeclared").count()
            + ran.stderr.matches("‘undeclared_thing’ undeclared").count(),
        1,
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("bad.o") && ran.stderr.contains("cc    -c -o bad.o bad.c")
            || ran.stderr.contains("cc -c -o bad.o bad.c"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains(&*project.root().to_string_lossy()), "the directory is named: {}", ran.stderr);
    for gone in ["bad.o", "app"] {
        assert!(!project.path(gone).exists(), "{gone} is left behind");
    }
    // Mended, it builds.
    project.write("bad.c", "int f(void) { return 0; }\n");
    project.gg_make(&[]).ok();
    assert!(project.path("app").exists());
}

#[test]
fn computed_later_it_is_told_as_well() {
    let project = Project::new();
    broken(&project);
    project.gg(&["infer", "--", "make", "app"]).ok();
    let ran = project.gg(&["force", "app"]);
    assert_eq!(ran.status, 2);
    let root = project.root();
    let command =
        format!("gg: failed: bad.o (from bad.c): exit status 1\n    cd {} && cc -c -o bad.o bad.c\n", root.display());
    assert!(ran.stderr.starts_with(&command), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("undeclared (first use").count(), 1, "{}", ran.stderr);
    let end = "gg: not made: app, since bad.o failed\n\
               gg: 1 step failed, and 1 more was not run because of it; to see it again: gg log bad.o\n";
    assert!(ran.stderr.ends_with(end), "{}", ran.stderr);
}

#[test]
fn quiet_and_verbose() {
    let project = Project::new();
    broken(&project);
    project.write(
        "here.mk",
        "all: good.o\n\t$(CC) -no-such-option -c good.c 2>/dev/null || true\ngood.o: good.c\n\t$(CC) -c good.c\n",
    );
    let said = |options: &[&str]| {
        project.sh("rm -f *.o").ok();
        project.gg(&[&["build"], options, &["--", "make", "-f", "here.mk"]].concat()).ok().stderr
    };
    assert_eq!(said(&[]), "");
    assert_eq!(said(&["-q"]), "");
    let verbose = said(&["-v"]);
    assert!(verbose.contains("gg: run here: cc -no-such-option -c good.c (option"), "{verbose}");
    assert!(verbose.contains("\ngg: 1 step, all from the cache, in "), "{verbose}");
    let failed = crate::project::run(project.gg_make_command(&[]).env("GG_OUTPUT", "quiet"));
    assert!(
        failed.stderr.contains("undeclared (first use") && failed.stderr.contains("1 step failed"),
        "{}",
        failed.stderr
    );
}

#[test]
fn keep_going_makes_the_rest() {
    let project = Project::new();
    broken(&project);
    let ran = project.gg_make(&["-k"]);
    assert_eq!(ran.status, 2);
    assert!(project.path("other").exists());
    assert!(!project.path("app").exists());
    assert!(project.sh("./other").status == 0);
}

#[test]
fn a_missing_compiler_and_a_missing_make() {
    let project = Project::new();
    project.write("Makefile", "a.o: a.c\n\tno-such-cc-1 -c a.c\n").write("a.c", "int a;\n");
    let ran = project.gg_make(&[]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("no-such-cc-1"), "{}", ran.stderr);
    let ran = crate::project::run(project.gg_make_command(&[]).env("PATH", "/nowhere"));
    assert_eq!(ran.status, 127);
    assert!(ran.stderr.contains("cannot start make"), "{}", ran.stderr);
}

#[test]
fn a_missing_source_and_a_missing_header() {
    let project = Project::new();
    project.write("Makefile", "all:\n\t$(CC) -c none.c\n").write("b.c", "#include \"none.h\"\n");
    let ran = project.gg_make(&[]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("none.c: No such file"), "{}", ran.stderr);
    project.write("Makefile", "all:\n\t$(CC) -c b.c\n");
    let ran = project.gg_make(&[]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("none.h: No such file"), "{}", ran.stderr);
    assert!(!project.path("b.o").exists());
}

#[test]
fn a_store_that_cannot_be_used_does_not_keep_from_building() {
    let project = Project::new();
    broken(&project);
    std::fs::write(project.store(), "a file").unwrap();
    let ran = project.gg_make(&["other"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("building without gg"), "{}", ran.stderr);
    assert!(project.path("other").exists());
}

#[test]
fn a_step_that_failed_as_a_probe_fails_again_as_a_step() {
    let project = Project::new();
    project
        .write("Makefile", "x.o: x.c\n\t$(CC) -c x.c -o x.o >/dev/null 2>&1 || $(CC) -c x.c -o x.o\n")
        .write("x.c", "int f(void) { return undeclared_thing; }\n");
    let ran = project.gg_make(&[]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("undeclared_thing"), "{}", ran.stderr);
    assert!(!project.path("x.o").exists());
}

#[test]
fn what_is_changed_in_place_survives_a_failure() {
    let project = Project::new();
    project
        .write("Makefile", "all:\n\tar rcs vendor.a bad.o\nall: bad.o\nbad.o: bad.c\n\t$(CC) -c bad.c\nold.o: old.c\n\t$(CC) -c old.c\n")
        .write("old.c", "int old;\n")
        .write("bad.c", "int f(void) { return undeclared_thing; }\n");
    project.make(&["old.o"]).ok();
    project.sh("ar rcs vendor.a old.o").ok();
    let before = project.read("vendor.a");
    assert_eq!(project.gg_make(&[]).status, 2);
    assert_eq!(project.read("vendor.a"), before);
}

#[test]
fn quiet_probes_have_their_answer_even_when_gg_is_quiet_too() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all:\n\tif $(CC) -c bad.c -o bad.o >/dev/null 2>&1; then echo yes; else echo no; fi > answer\n",
        )
        .write("bad.c", "nonsense\n");
    let null = || std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
    let status = project.gg_make_command(&[]).stdout(null()).stderr(null()).status().unwrap();
    assert_eq!((status.code(), project.read("answer")), (Some(0), b"no\n".to_vec()));
}

#[test]
fn a_store_behind_a_link_and_a_very_long_path() {
    let project = Project::new();
    broken(&project);
    let long = "d".repeat(120);
    project.sh(&format!("mkdir -p ../real/{long} && ln -s real ../link")).ok();
    let store = project.root().join("../link").join(long);
    let ran = crate::project::run(project.gg_make_command(&["other"]).env("GG_DIR", &store)).ok();
    assert!(!ran.stderr.contains("without gg"), "{}", ran.stderr);
    let report =
        crate::project::run(project.command(env!("CARGO_BIN_EXE_gg")).args(["report"]).env("GG_DIR", &store)).ok();
    assert!(report.stdout.contains("compile"), "{}", report.stdout);
}

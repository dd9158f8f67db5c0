//! `gg why` says why a step was executed, where, and where its time went.

use crate::project::Project;

fn project() -> Project {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "CFLAGS = -O1\napp: main.o libu.a\n\t$(CC) $^ -o $@\nlibu.a: u.o\n\tar rcs $@ $^\n\
             %.o: %.c\n\t$(CC) $(CFLAGS) -c $< -o $@\nmain.o u.o: u.h\n",
        )
        .write("main.c", "#include \"u.h\"\nint main(void) { return u() - U; }\n")
        .write("u.c", "#include \"u.h\"\nint u(void) { return U; }\n")
        .write("u.h", "#define U 1\n");
    project
}

fn why(project: &Project, file: &str) -> String {
    project.gg(&["why", file]).ok().stdout
}

#[track_caller]
fn says(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "{line:?} is missing in:\n{text}");
    }
}

#[test]
fn for_the_first_time_and_then_from_the_cache() {
    let project = project();
    project.gg_make(&[]).ok();
    let first = why(&project, "app");
    says(
        &first,
        &[
            "app (link, exit status 0, on this machine)\n",
            "It was executed in run 1 (",
            ", since it was never built here before.\n",
            "It ran on this machine, the only engine of that build.\n",
            "From its call to its end it took ",
            "until all that it needs was there; ",
            "  for its program\n",
        ],
    );
    project.sh("rm -f *.o *.a app").ok();
    project.gg_make(&[]).ok();
    says(
        &why(&project, "app"),
        &["came from the cache in run 2 (", "run 1 (", "When it was executed, its program ran for "],
    );
    says(&why(&project, "main.o"), &["This very step was executed in run 1 (", "), on this machine.\n"]);
}

#[test]
fn a_change_is_followed_to_what_a_person_did() {
    let project = project();
    project.gg_make(&[]).ok();
    project.write("u.h", "#define U 2\n");
    project.gg_make(&[]).ok();
    says(&why(&project, "main.o"), &[", since after run 1 (", "\n    u.h changed\n", "\nIn run 1 ("]);
    says(
        &why(&project, "app"),
        &[
            "\n    libu.a changed, since for its step (archive):\n        u.o changed, since for its step (compile):\n            u.h changed\n",
            "\n    main.o changed, since for its step (compile):\n        u.h changed\n",
            "\nWhat it comes down to: u.h.\n",
        ],
    );
    project
        .write("more.h", "#define MORE 1\n")
        .write("u.c", "#include \"u.h\"\n#include \"more.h\"\nint u(void) { return U * MORE; }\n");
    project.gg_make(&[]).ok();
    says(&why(&project, "u.c"), &["u.o (compile", "\n    more.h is read, and was not\n", "\n    u.c changed\n"]);
}

#[test]
fn the_call_is_another_one() {
    let project = project();
    project.gg_make(&[]).ok();
    project.sh("rm -f *.o").ok();
    project.gg_make(&["CFLAGS=-O2 -DX"]).ok();
    let text = why(&project, "u.o");
    says(&text, &["\n    among the arguments there is -O2 -DX where there was -O1\n"]);
    assert!(!text.contains("u.h changed"), "{text}");
    project.sh("rm -f *.o").ok();
    crate::project::run(project.gg_make_command(&["CFLAGS=-O2 -DX"]).env("SOURCE_DATE_EPOCH", "7")).ok();
    says(&why(&project, "u.o"), &["\n    the variable SOURCE_DATE_EPOCH is new: \"7\"\n"]);
}

#[test]
fn nothing_has_changed() {
    let project = Project::new();
    project
        .write("Makefile", "%.o: %.c\n\t$(CC) -c $< -o $@\n")
        .write("when.c", "const char *when = __DATE__ __TIME__;\n")
        .write("bad.c", "nonsense\n")
        .write("plain.c", "int plain;\n");
    for _ in 0..2 {
        project.sh("rm -f *.o").ok();
        project.gg_make(&["-k", "when.o", "bad.o", "plain.o"]);
    }
    says(&why(&project, "when.o"), &["so that each build makes it anew.\n"]);
    says(
        &why(&project, "bad.o"),
        &["bad.o (compile, failed: exit status 1", "nothing has changed since run 1 (", ", where it failed;"],
    );
    says(&why(&project, "plain.o"), &["came from the cache"]);
    project.gg(&["gc", "--max-size", "0"]).ok();
    project.sh("rm -f *.o").ok();
    project.gg_make(&["plain.o"]).ok();
    says(&why(&project, "plain.o"), &["It was executed in run 3 (", "its result was deleted since (gg gc)"]);
}

#[test]
fn what_was_not_run() {
    let project = project();
    project.write("u.c", "nonsense\n");
    assert_eq!(project.gg_make(&["-k"]).status, 2);
    says(&why(&project, "app"), &["It was not run in run 1 (", ", since u.o failed; gg log shows how.\n"]);
}

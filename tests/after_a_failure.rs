//! What make goes on to call after a step has failed that it took for done: with make alone that would not have been reached, and no
//! tool complains of the file that is missing.

use crate::project::Project;

/// Nothing in the recipe is called before `bad.o` is gone for good.
const GONE: &str = "while test -e bad.o; do sleep 0.02; done";

fn project(makefile: &str) -> Project {
    let project = Project::new();
    project
        .write("Makefile", makefile.replace("GONE", GONE))
        .write("good.c", "int main(void) { return 0; }\n")
        .write("bad.c", "int f(void) { return undeclared_thing; }\n");
    project
}

/// Builds, and panics if anything but the compiler complains of anything but `bad.c`, or anything runs outside of the graph.
#[track_caller]
fn fails_once(project: &Project, args: &[&str]) -> String {
    let ran = project.gg_make(args);
    assert_eq!(ran.status, 2, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("undeclared (first use").count(), 1, "{}", ran.stderr);
    for complaint in ["cannot find", "No such file", "cannot stat", "ld:", "ar:"] {
        assert!(!ran.stderr.contains(complaint), "{complaint}: {}", ran.stderr);
    }
    assert_eq!(project.ran_here(), [] as [String; 0]);
    assert!(!project.path("app").exists());
    ran.stderr
}

#[test]
fn a_link() {
    let project = project("app: bad.o good.o\n\t@GONE\n\t$(CC) bad.o good.o -o app\n%.o: %.c\n\t$(CC) -c $< -o $@\n");
    for args in [&[][..], &["-k"]] {
        let said = fails_once(&project, args);
        assert!(said.contains("gg: not started, since bad.o could not be made\n"), "{said}");
        let end = "gg: 1 step failed, and 1 more was not run because of it; to see it again: gg log bad.o\n";
        assert!(said.ends_with(end), "{said}");
    }
    // Mended, it is linked; and where nothing of gg's failed, a file that is missing is the linker's to miss.
    let makefile = String::from_utf8(project.read("Makefile")).unwrap();
    project.write("bad.c", "int f(void) { return 0; }\n").write("Makefile", makefile.replace(GONE, "true"));
    project.gg_make(&[]).ok();
    assert!(project.path("app").exists());
    project.write("Makefile", "app:\n\t$(CC) none.o good.o -o app2\n");
    let ran = project.gg_make(&["-B"]);
    assert!(ran.status == 2 && ran.stderr.contains("none.o: No such file"), "{}", ran.stderr);
}

#[test]
fn an_archive_and_a_linker_with_options_that_nobody_knows() {
    let project = project(
        "all: archive odd\nbad.o: bad.c\n\t$(CC) -c $< -o $@\n\t@GONE\n\
         archive: bad.o\n\tar rcs libx.a bad.o\nodd: bad.o\n\t$(CC) -Wl,--no-such-option bad.o -o app\n",
    );
    let said = fails_once(&project, &["-k"]);
    assert_eq!(said.matches("gg: not started, since bad.o could not be made\n").count(), 2, "{said}");
}

#[test]
fn a_link_whose_words_are_read() {
    let project = project(
        "app: bad.o\n\t@GONE\n\t$(CC) bad.o -o app 2>&1 | cat >said; test -e app\nbad.o: bad.c\n\t$(CC) -c $< -o $@\n",
    );
    fails_once(&project, &[]);
    assert_eq!(String::from_utf8_lossy(&project.read("said")), "gg: not started, since bad.o could not be made\n");
}

#[test]
fn an_object_that_was_moved_before_its_step_failed() {
    let project = project(
        "app: good.o\n\t$(CC) -c bad.c -o new.o && mv new.o bad.o\n\t@GONE\n\t$(CC) bad.o good.o -o app\n\
         good.o: good.c\n\t$(CC) -c $< -o $@\n",
    );
    // It takes the compiler a while, so that it fails when the object has been moved: it is `mv` that would complain.
    let many = "#define TEN(x) x x x x x x x x x x\nTEN(TEN(TEN(TEN(TEN(TEN(;))))))\n";
    project.write("bad.c", format!("{many}int f(void) {{ return undeclared_thing; }}\n"));
    fails_once(&project, &[]);
}

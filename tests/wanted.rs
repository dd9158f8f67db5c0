//! What is computed, and what stays: `--want`.

use crate::project::Project;

/// Two programs from a library, and a generated file.
fn project() -> Project {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: one two list\n\
             one: one.o libcommon.a\n\t$(CC) one.o -L. -lcommon -o .one && mv .one $@\n\
             two: two.o libcommon.a\n\t$(CC) two.o -L. -lcommon -o $@\n\
             libcommon.a: common.o\n\t$(AR) rcs $@ common.o\n\
             alone.o: alone.c\n\t$(CC) -c alone.c\n\
             list: alone.o\n\tls *.o | sort >$@\n",
        )
        .write("one.c", "int common(void); int main(void) { return common(); }\n")
        .write("two.c", "int common(void); int main(void) { return common() + 1; }\n")
        .write("common.c", "int common(void) { return 0; }\n")
        .write("alone.c", "int alone;\n");
    project
}

#[test]
fn programs_are_made_and_the_rest_stays() {
    let project = project();
    project.make(&[]).ok();
    let want = project.manifest();
    project.sh("rm -f one two list *.o *.a").ok();
    project.gg(&["build", "--want", "programs", "--", "make", "-j2"]).ok();
    project.sh("./one && ! ./two").ok();
    for name in ["one.o", "two.o", "common.o", "libcommon.a", "alone.o"] {
        assert!(project.is_placeholder(name), "{name}");
    }
    assert_eq!(project.served().get("pending"), Some(&1), "nobody needs alone.o: {:?}", project.served());
    // What is up to date stays so, for make and for another of this kind, which opens what it needs.
    project.make(&["-q"]).ok();
    project.sh("rm two").ok();
    project.gg(&["build", "--want", "two", "--", "make"]).ok();
    assert_eq!(project.executed(), Vec::<String>::new());
    assert!(project.is_placeholder("one.o") && !project.is_placeholder("two"));
    project.gg(&["force"]).ok();
    crate::project::assert_same(&want, &project.manifest());
}

#[test]
fn the_next_build_makes_all_of_it() {
    let project = project();
    project.make(&[]).ok();
    let want = project.manifest();
    project.sh("rm -f one two list *.o *.a").ok();
    project.gg(&["build", "--want", "libcommon.a", "--", "make"]).ok();
    assert!(!project.is_placeholder("libcommon.a") && project.is_placeholder("one") && project.is_placeholder("two.o"));
    project.gg_make(&[]).ok();
    crate::project::assert_same(&want, &project.manifest());
}

#[test]
fn plain_tools_say_what_to_do() {
    let project = project();
    project.gg(&["infer", "--", "make"]).ok();
    project.sh("rm one").ok();
    let link = project.make(&["one"]);
    assert!(link.status != 0 && link.stderr.contains("gg force"), "{}", link.stderr);
    let run = project.sh("./two");
    assert_ne!(run.status, 0);
    let included = project.sh("echo 'include two' >other.mk && make -f other.mk");
    assert_ne!(included.status, 0);
}

//! Tools that are called by their paths, past the stand-ins that lead PATH.

use crate::project::Project;

/// Builds an application with tools by absolute path, by a wrapper script, and by a relative path.
fn project() -> Project {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: app rel.o\n\
             app: main.o wrapped.o libpart.a\n\t/usr/bin/cc main.o wrapped.o -L. -lpart -o app\n\
             libpart.a: part.o\n\t/usr/bin/ar qc $@ part.o && /usr/bin/ranlib $@\n\
             main.o part.o: %.o: %.c\n\t/usr/bin/cc -O2 -g -c $< -o $@\n\
             wrapped.o: wrapped.c\n\t./tools/wrapper -O2 -c $< -o $@\n\
             rel.o: part.c\n\ttools/gcc -O2 -c $< -o $@\n",
        )
        .write("main.c", "int part(void), wrapped(void);\nint main(void) { return part() + wrapped(); }\n")
        .write("part.c", "int part(void) { return 0; }\n")
        .write("wrapped.c", "int wrapped(void) { return 0; }\n")
        .write("tools/wrapper", "#!/bin/sh\nexec /usr/bin/gcc -DWRAPPED \"$@\"\n");
    project.sh("chmod +x tools/wrapper && ln -s /usr/bin/gcc tools/gcc && sleep 1.1").ok();
    project
}

#[test]
fn all_of_them_are_steps() {
    let project = project();
    project.same_as_make(&["-j2"]).ok();
    let executed = project.executed();
    assert_eq!(project.ran_here(), Vec::<String>::new());
    for label in ["app", "libpart.a", "main.o", "part.o", "rel.o", "wrapped.o"] {
        assert!(executed.iter().any(|step| step.ends_with(label)), "{label}: {executed:?}");
    }
    let report = project.report();
    assert_eq!(report["bypassed"].as_object().unwrap().len(), 0, "{}", report["bypassed"]);
    // And from the cache, the tree being new.
    project.sh("rm -f app *.o *.a").ok();
    project.gg_make(&["-j2"]).ok();
    assert_eq!(project.served().get("executed"), None);
}

#[test]
fn a_tool_that_runs_here_starts_its_own() {
    let project = Project::new();
    // A query runs here; a link with LTO there starts compilers by their paths.
    project
        .write("Makefile", "all: version app\nversion:\n\t/usr/bin/gcc --help=common >$@\napp: main.c\n\t/usr/bin/gcc -O2 -flto -save-temps=cwd main.c -o app\n")
        .write("main.c", "int main(void) { return 0; }\n");
    project.same_as_make(&[]).ok();
    assert!(project.ran_here().iter().any(|call| call.starts_with("/usr/bin/gcc --help")), "{:?}", project.ran_here());
}

#[test]
fn what_the_build_has_made_is_no_tool() {
    let project = Project::new();
    project
        .write("Makefile", "all: out\nstrip: strip.c\n\tcc strip.c -o strip\nout: strip\n\t./strip >out\n")
        .write("strip.c", "#include <stdio.h>\nint main(void) { puts(\"not the tool\"); return 0; }\n");
    project.same_as_make(&[]).ok();
    assert_eq!(project.read("out"), b"not the tool\n");
}

#[test]
fn nobody_finds_paths_of_gg() {
    let project = Project::new();
    // As CMake and configure do: find the compiler on PATH, and write down where it is.
    project
        .write(
            "Makefile",
            "all: config\n\t$$(cat config) -c a.c\nconfig:\n\tcommand -v gcc >$@; echo \"$$PATH\" >path\n",
        )
        .write("a.c", "int a;\n");
    project.same_as_make(&[]).ok();
    assert_eq!(project.executed(), ["a.o"]);
    let nowhere = project.sh("! grep -r sessions .").ok();
    assert_eq!(nowhere.stdout, "");
}

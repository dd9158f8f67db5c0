//! What no model describes runs here, on real files.

use crate::project::Project;

#[test]
fn an_unknown_option_is_no_guess() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: a.o\n\t$(CC) --no-such-option a.o -o app || echo refused > refused\na.o: a.c\n\t$(CC) -c a.c\n",
        )
        .write("a.c", "int main(void) { return 0; }\n");
    project.same_as_make(&[]);
    assert!(project.ran_here().iter().any(|line| line.contains("--no-such-option")), "{:?}", project.ran_here());
}

#[test]
fn wrapper_scripts_and_output_to_a_device() {
    let project = Project::new();
    project
        .write("bin/mycc", "#!/bin/sh\nexec gcc -DWRAPPED \"$@\"\n")
        .write(
            "Makefile",
            "all:\n\t./bin/mycc -c a.c\n\t$(CC) -c a.c -o /dev/null\n\t$(CC) -x c -c /dev/null -o null.o\n",
        )
        .write("a.c", "#ifdef WRAPPED\nint wrapped;\n#endif\n");
    project.sh("chmod +x bin/mycc").ok();
    project.same_as_make(&[]);
}

#[test]
fn configure_probes_have_their_answer_at_once() {
    let project = Project::new();
    project
        .write(
            "configure",
            "#!/bin/sh\nprobe() { echo \"$2\" > conftest.c; if gcc -o conftest conftest.c $3 >/dev/null 2>&1; then echo \"#define HAVE_$1 1\"; else echo \"#define HAVE_$1 0\"; fi >> config.h; rm -f conftest*; }\n\
             rm -f config.h\nprobe MAIN 'int main(void) { return 0; }'\nprobe NONSENSE 'int main(void) { nonsense }'\nprobe M 'double sqrt(double); int main(int c, char **v) { return (int)sqrt(c); }' -lm\nprobe NOLIB 'int main(void) { return 0; }' -lno_such_library\n",
        )
        .write("Makefile", "all: config.h\n\t$(CC) -c a.c\nconfig.h:\n\tsh ./configure\n")
        .write("a.c", "#include \"config.h\"\nint a = HAVE_MAIN;\n");
    project.same_as_make(&[]);
    assert_eq!(
        String::from_utf8(project.read("config.h")).unwrap().replace("#define HAVE_", ""),
        "MAIN 1\nNONSENSE 0\nM 1\nNOLIB 0\n"
    );
}

#[test]
fn a_wrapper_that_finds_its_compiler_on_path() {
    let project = Project::new();
    // As ccache does: called as gcc, it looks for the next gcc on PATH that is not itself.
    project
        .write(
            "wrappers/ccache",
            "#!/bin/sh\nname=$(basename \"$0\")\nself=$(dirname \"$0\")\nIFS=:\nfor d in $PATH; do [ \"$d\" = \"$self\" ] || [ ! -x \"$d/$name\" ] || { unset IFS; exec \"$d/$name\" -DWRAPPED \"$@\"; }; done\n",
        )
        .write("Makefile", "a.o: a.c\n\tgcc -c a.c\n")
        .write("a.c", "#ifdef WRAPPED\nint wrapped;\n#endif\n");
    project.sh("chmod +x wrappers/ccache && ln -s ccache wrappers/gcc").ok();
    let path = format!("{}:{}", project.path("wrappers").display(), std::env::var("PATH").unwrap());
    let ran = crate::project::run(project.gg_make_command(&[]).env("PATH", path)).ok();
    assert_eq!(project.sh("nm a.o").ok().stdout.split_whitespace().last(), Some("wrapped"), "{}", ran.stderr);
    assert_eq!(project.executed(), ["a.o"], "{:?}", project.ran_here());
}

#[test]
fn a_compiler_past_the_stand_ins_keeps_its_own_tools() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "CC = /usr/bin/gcc\nall: app libb.so\napp: a.o\n\t$(CC) a.o -o $@\nlibb.so: b.o\n\t$(CC) -shared b.o -o $@\n\
             %.o: %.c\n\t$(CC) -fPIC -c $< -o $@\n",
        )
        .write("a.c", "int main(void) { return 0; }\n")
        .write("b.c", "int b;\n");
    project.make(&["-j2"]).ok();
    let want = project.manifest();
    project.sh("rm -f app *.so *.o").ok();
    // Nothing leads to stand-ins there but PATH.
    crate::project::run(project.gg_make_command(&["-j2"]).env("GG_LAZY", "0")).ok();
    crate::project::assert_same(&want, &project.manifest());
    // Nothing of a compiler's temporary files becomes a step.
    assert_eq!(project.served().len(), 0, "{:?}", project.served());
    let here = project.ran_here();
    assert!(here.iter().all(|line| line.ends_with("is part of a compiler that runs here")), "{here:?}");
}

//! What a person does by mistake ends as it does with make: said, and at once.

use crate::project::{Project, run};

#[test]
fn a_compile_into_its_own_source_fails_and_the_source_stays() {
    let project = Project::new();
    let source = "int f(void) { return 1; }\n";
    project.write("foo.c", source).write("Makefile", "all:\n\t$(CC) -c foo.c -o foo.c\n");
    let plain = project.make(&[]);
    let ran = project.gg_make(&[]);
    assert_eq!((plain.status, ran.status), (2, 2), "{}", ran.stderr);
    let text = "is the same as output file";
    assert!(plain.stderr.contains(text) && ran.stderr.contains(text), "{}", ran.stderr);
    assert_eq!(project.read("foo.c"), source.as_bytes());
}

#[test]
fn a_source_that_is_mended_too_late_does_not_hide_the_failure() {
    let project = Project::new();
    project.write(
        "Makefile",
        "all:\n\techo 'int f(void) { return none; }' > t.c; $(CC) -c t.c -o a.o; \
         echo 'int f(void) { return 1; }' > t.c; $(CC) -c t.c -o b.o\n",
    );
    let ran = project.gg_make(&[]);
    assert_eq!(ran.status, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("none") && !project.path("a.o").exists(), "{}", ran.stderr);
}

#[test]
fn a_header_that_changes_under_another_of_its_names_is_seen() {
    for lazy in ["1", "0"] {
        let project = Project::new();
        project
            .write("inc/config.h", "#define X 1\n")
            .write("a.c", "#include \"config.h\"\nint a = X;\n")
            .write("b.c", "#include \"config.h\"\nint b = X;\n")
            .write("main.c", "extern int a, b; int main(void) { return 10 * a + b; }\n")
            .write(
                "Makefile",
                "app:\n\tmkdir -p gen; sleep 0.2; $(CC) -Iinc -c a.c; $(CC) -Iinc -c a.c -o a2.o\n\
                 \tln inc/config.h gen/c.h; echo '#define X 2' > gen/c.h\n\
                 \t$(CC) -Iinc -c b.c; $(CC) -c main.c; $(CC) main.o a.o b.o -o app\n",
            );
        let mut command = project.gg_make_command(&[]);
        run(command.env("GG_LAZY", lazy)).ok();
        assert_eq!(project.sh("./app").status, 12, "GG_LAZY={lazy}");
    }
}

//! What a header's change, appearance or disappearance does.

use crate::project::{Project, run};

fn two(project: &Project) {
    project
        .write(
            "Makefile",
            "all: a b\na: a.o\n\t$(CC) a.o -o a\nb: b.o\n\t$(CC) b.o -o b\n%.o: %.c FORCE\n\t$(CC) -Ifirst -Isecond -c $< -o $@\nFORCE:\n",
        )
        .write("second/x.h", "#define X 0\n")
        .write("first/keep", "")
        .write("a.c", "#include \"x.h\"\n#if __has_include(\"late.h\")\n#include \"late.h\"\n#else\n#define LATE 0\n#endif\nint main(void) { return X + LATE; }\n")
        .write("b.c", "int main(void) { return 0; }\n");
}

#[test]
fn a_changed_header_rebuilds_what_uses_it() {
    let project = Project::new();
    two(&project);
    project.same_as_make(&[]);
    project.write("second/x.h", "#define X 3\n");
    project.same_as_make(&[]);
    assert_eq!(project.executed(), ["a", "a.o"]);
    assert_eq!(project.sh("./a").status, 3);
}

#[test]
fn a_comment_in_a_header_stops_at_the_object() {
    let project = Project::new();
    two(&project);
    project.gg_make(&[]).ok();
    project.write("second/x.h", "#define X 0 /* as before */\n");
    project.gg_make(&[]).ok();
    assert_eq!(project.executed(), ["a.o"], "the object is the same, and so the program is not linked again");
}

#[test]
fn a_new_header_that_shadows_another_is_seen() {
    let project = Project::new();
    two(&project);
    project.gg_make(&[]).ok();
    project.write("first/x.h", "#define X 5\n");
    project.same_as_make(&[]);
    assert_eq!(project.sh("./a").status, 5);
}

#[test]
fn a_header_that_has_include_asks_for_is_seen() {
    let project = Project::new();
    two(&project);
    project.gg_make(&[]).ok();
    project.write("first/late.h", "#define LATE 7\n");
    project.same_as_make(&[]);
    assert_eq!(project.sh("./a").status, 7);
}

#[test]
fn touching_a_header_runs_no_compiler() {
    let project = Project::new();
    two(&project);
    project.gg_make(&[]).ok();
    project.sh("touch second/x.h").ok();
    project.gg_make(&[]).ok();
    assert_eq!(project.executed(), [] as [String; 0]);
}

#[test]
fn computed_includes() {
    let project = Project::new();
    project
        .write("Makefile", "all:\n\t$(CC) -c -DWHICH='\"one.h\"' a.c -o a.o\n\t$(CC) -c b.c -o b.o\n")
        .write("one.h", "int one;\n")
        .write("two.h", "int two;\n")
        .write("a.c", "#include WHICH\n")
        .write("b.c", "#define STR_(x) #x\n#define STR(x) STR_(x)\n#define NAME two\n#include STR(NAME.h)\n");
    project.same_as_make(&[]);
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

//! Whatever opens a placeholder gets the real file, and moving one is not opening it.

use crate::project::Project;

#[test]
fn products_are_run_copied_linked_and_read() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: app\n\t./app > ran\n\tcp app copy\n\tln app hard\n\tmv copy moved\n\tcmp app moved\n\
             \tnm app | grep -c main > symbols\n\tsed -n 1p main.d > first\n\tdd if=app of=dd bs=1 count=4 2>/dev/null\n\
             \tls -l app | awk '{print $$5}' > size\n\tstat -c %s app >> size\n\
             app: main.o\n\t$(CC) main.o -o app\n\
             main.o: main.c\n\t$(CC) -MD -MF main.tmp -c main.c -o main.o\n\tmv main.tmp main.d\n",
        )
        .write("main.c", "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n");
    project.same_as_make(&[]);
    assert_eq!(project.read("ran"), b"hello\n");
    assert_eq!(project.report()["lazy"], true);
}

#[test]
fn a_static_program_reads_a_placeholder() {
    let project = Project::new();
    project
        .write("Makefile", "all: reader a.o\n\t./reader a.o > sum\nreader: reader.c\n\t$(CC) -static -o $@ $<\na.o: a.c\n\t$(CC) -c a.c\n")
        .write("a.c", "int a = 1;\n")
        .write(
            "reader.c",
            "#include <stdio.h>\nint main(int n, char **v) { FILE *f = fopen(v[1], \"r\"); int c, s = 0; while ((c = getc(f)) != EOF) s += c; printf(\"%d\\n\", s); return !f; }\n",
        );
    project.same_as_make(&[]);
}

#[test]
fn the_fallback_without_laziness_gives_the_same() {
    let project = Project::new();
    crate::same_tree::small(&project);
    let lazy = {
        project.gg_make(&["-j2"]).ok();
        project.manifest()
    };
    project.gg_make(&["clean"]).ok();
    let ran = crate::project::run(project.gg_make_command(&["-j2"]).env("GG_LAZY", "0")).ok();
    assert!(ran.stderr.contains("unused variable"), "{}", ran.stderr);
    crate::project::assert_same(&lazy, &project.manifest());
    assert_eq!(project.report()["lazy"], false);
}

#[test]
fn copies_of_placeholders_are_placeholders() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: app lib.o\n\
             \tcp app copy; cp app lib.o dir; cp -p lib.o kept.o; cp lib.o old.o; cp app link; install -m 640 app installed\n\
             \tinstall -D app new/dir/app; install -t dir2 app lib.o; mkdir -p bin && install -s app bin/stripped; cp -l lib.o hard.o\n\
             \tcat lib.o old.o | cksum >sum; cp missing . 2>errors || cp app app 2>>errors || true; sh -c 'cp copy \"$$0\"; ./copy2' copy2\n\
             app: lib.o\n\t$(CC) lib.o -o app\nlib.o: lib.c\n\t$(CC) -c lib.c -o lib.o\n",
        )
        .write("lib.c", "int main(void) { return 0; }\n")
        .write("dir/.keep", "")
        .write("dir2/.keep", "")
        .write("old.o", "what was there")
        .write("behind", "a link leads here");
    project.sh("chmod 600 old.o; ln -s behind link; touch -d 2020-01-01 lib.c").ok();
    project.same_as_make(&[]).ok();
    assert_eq!(project.ran_here(), Vec::<String>::new());
    project.sh("./copy && dir/app && test ! -x installed").ok();

    // Nobody has waited for them.
    project.sh("rm -rf app lib.o copy* kept.o installed").ok();
    project.write("Makefile2", "all: lib.o\n\tcp lib.o copy.o; install -m 640 lib.o installed; cp copy.o copy2.o\nlib.o: lib.c\n\t$(CC) -c lib.c -o lib.o\n");
    project.gg(&["infer", "--", "make", "-f", "Makefile2"]).ok();
    for name in ["lib.o", "copy.o", "copy2.o", "installed"] {
        assert!(project.is_placeholder(name), "{name}");
    }
    project.gg(&["force"]).ok();
    project
        .sh("cmp lib.o copy.o && cmp lib.o copy2.o && cmp lib.o installed && test $(stat -c %a installed) = 640")
        .ok();
}

#[test]
fn hard_links_of_placeholders_are_placeholders() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: a.o\n\tln a.o b.o; mkdir -p d; ln a.o d/c.o; rm -f e.o; ln b.o e.o || ln -s b.o e.o; ln -f d/c.o old.o\n\
             \tstat -c %h a.o > count\na.o: a.c\n\t$(CC) -c a.c -o a.o\n",
        )
        .write("a.c", "int a;\n")
        .write("old.o", "what was there");
    project.same_as_make(&[]).ok();
    let one_file = "test $(stat -c %i a.o b.o d/c.o e.o old.o | sort -u | wc -l) = 1";
    project.sh(one_file).ok();
    // Nobody has waited for them, and a later gg makes one file of them, too.
    project.sh("rm -rf a.o b.o d e.o old.o count").ok();
    project.write("a.c", "int a = 2;\n");
    project.gg(&["infer", "--", "make"]).ok();
    assert!(project.executed().is_empty(), "{:?}", project.executed());
    project.sh(&format!("test $(cat count) = 5 && {one_file}")).ok();
    project.gg(&["force"]).ok();
    project.sh(&format!("nm b.o | grep -q ' D a' && {one_file}")).ok();
}

#[test]
fn a_build_whose_output_nobody_wants_is_lazy_all_the_same() {
    let project = Project::new();
    project.write("Makefile", "all: a.o\na.o: a.c\n\t$(CC) -c a.c\n").write("a.c", "int a;\n");
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
    // What goes through a pipe is read by a program.
    let errors = std::fs::File::create(project.root().join("errors")).unwrap();
    assert!(project.gg_make_command(&[]).stdout(null).stderr(errors).status().unwrap().success());
    let step = &project.report()["steps"][0];
    assert_eq!((&step["kind"], &step["at_once"]), (&"compile".into(), &serde_json::Value::Null));
}

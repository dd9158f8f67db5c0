//! Who links with a shared library that is not linked yet does not wait for it: its own link says what it needs.

use std::fs;

use crate::project::{Project, assert_same};

/// `app` needs liba, that needs libb, that needs libc2; only liba is named in the link of `app`.
fn chain(project: &Project) {
    project
        .write(
            "Makefile",
            "all: app moved later\n\
             c/libc2.so.1.0: c.o\n\
             \tmkdir -p c && $(CC) -shared -Wl,-soname,libc2.so.1 c.o -o $@\n\
             \tcd c && ln -sf libc2.so.1.0 libc2.so.1 && ln -sf libc2.so.1 libc2.so\n\
             b/libb.so.1.0: b.o c/libc2.so.1.0\n\
             \tmkdir -p b && $(CC) -shared -Wl,-soname,libb.so.1 -Wl,-rpath,'$$ORIGIN/../c' b.o -Lc -lc2 -o $@\n\
             \tcd b && ln -sf libb.so.1.0 libb.so.1 && ln -sf libb.so.1 libb.so\n\
             \tstrip --strip-unneeded b/libb.so.1.0\n\
             a/liba.so: a.o b/libb.so.1.0\n\
             \tmkdir -p a && $(CC) -shared a.o b/libb.so -o $@\n\
             app: main.o a/liba.so\n\
             \t$(CC) main.o a/liba.so -Wl,-rpath-link,b -o $@\n\
             moved: main.o a/liba.so\n\
             \tmkdir -p lib && cp a/liba.so lib/libcopy.so && cp b/libb.so.1.0 lib/renamed && mv lib/renamed lib/libb.so.1\n\
             \tln c/libc2.so.1.0 lib/libc2.so.1\n\
             \t$(CC) main.o -Llib -lcopy -Wl,-rpath,'$$ORIGIN' -o $@\n\
             later: main.o thin.a a/liba.so\n\
             \t$(CC) main.o thin.a -La -la -Wl,-rpath-link,b:c -o $@\n\
             thin.a: extra.o\n\
             \tmkdir -p sub && ar rcT sub/inner.a extra.o && ar rcT thin.a sub/inner.a && ranlib thin.a\n\
             ahead: thin.a a/liba.so main.o\n\
             clean:\n\trm -rf a b c lib sub *.o *.a app moved later\n",
        )
        .write("main.c", "int a(void); int extra(void) __attribute__((weak)); int main(void) { return a() - 3 + (extra ? extra() - 4 : 0); }\n")
        .write("extra.c", "int extra(void) { return 4; }\n")
        .write("a.c", "int b(void); int a(void) { return b() + 1; }\n")
        .write("b.c", "int c(void); int b(void) { return c() + 1; }\n")
        .write("c.c", "int c(void) { return 1; }\n");
}

#[test]
fn nothing_is_computed_while_a_chain_of_libraries_is_inferred() {
    let project = Project::new();
    chain(&project);
    project.make(&[]).ok();
    let want = project.manifest();
    project.make(&["clean"]).ok();

    project.gg(&["infer", "--", "make"]).ok();
    assert_eq!((project.executed(), project.ran_here()), (vec![], vec![]));
    for name in ["a/liba.so", "b/libb.so.1.0", "lib/libc2.so.1", "thin.a", "app", "moved", "later"] {
        assert!(project.is_placeholder(name), "{name}");
    }
    project.gg(&["force"]).ok();
    assert_same(&want, &project.manifest());

    // What an earlier build left does as well.
    project.make(&["clean"]).ok();
    project.sh("for i in a b c main extra; do echo '/* changed */' >> $i.c; done").ok();
    project.make(&[]).ok();
    let want = project.manifest();
    project.make(&["clean"]).ok();
    for target in ["ahead", "all"] {
        project.gg(&["infer", "--", "make", target]).ok();
        assert_eq!((project.executed(), project.ran_here()), (vec![], vec![]), "{target}");
    }
    project.gg(&["force", "later"]).ok();
    assert!(project.is_placeholder("app"), "only what was asked for");
    project.gg(&["force"]).ok();
    assert_same(&want, &project.manifest());
    project.sh("LD_LIBRARY_PATH=a:b:c ./later").ok();
}

#[test]
fn a_chain_of_libraries_is_built_as_by_make() {
    let project = Project::new();
    chain(&project);
    project.same_as_make(&["-j2"]).ok();
    assert_eq!(project.ran_here(), Vec::<String>::new());
}

/// What linkers said, in order.
fn linker_lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.contains("/ld: ") || line.contains("collect2: ")).collect()
}

#[test]
fn a_library_that_is_missing_is_reported_as_by_make() {
    let project = Project::new();
    chain(&project);
    project.sh("sed -i 's/-Wl,-rpath-link,b //' Makefile").ok();
    let plain = project.make(&["app"]);
    assert_eq!(plain.status, 2);
    let want = linker_lines(&plain.stderr);
    assert!(want[0].contains("libb.so.1, needed by a/liba.so, not found"), "{want:?}");
    project.make(&["clean"]).ok();
    project.gg(&["infer", "--", "make", "app"]).ok();
    assert_eq!(project.executed(), Vec::<String>::new());
    let ran = project.gg(&["force"]);
    assert_ne!(ran.status, 0);
    assert_eq!(linker_lines(&ran.stderr), want, "{}", ran.stderr);

    // One that the call itself names.
    project.make(&["clean"]).ok();
    project.sh("sed -i 's/-lc2/-lnone/' Makefile").ok();
    let plain = project.make(&["app"]);
    project.make(&["clean"]).ok();
    let ran = project.gg_make(&["app"]);
    assert_eq!(ran.status, 2);
    assert_eq!(linker_lines(&ran.stderr), linker_lines(&plain.stderr));
}

/// Takes what is written down of a placeholder out of the store, as damage to a pack does: its record in the index is wiped
/// out.
fn lose_outline(project: &Project, file: &str) {
    let outline = gg_ir::Placeholder::parse(&project.read(file)).unwrap().outline.unwrap();
    let mut wiped = 0;
    for entry in fs::read_dir(project.store().join("packs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "index") {
            let mut index = fs::read(&path).unwrap();
            for record in index.chunks_exact_mut(52).filter(|record| record.starts_with(outline.digest())) {
                record.fill(0);
                wiped += 1;
            }
            fs::write(&path, index).unwrap();
        }
    }
    assert_eq!(wiped, 1);
}

#[test]
fn without_what_was_written_down_the_library_is_computed() {
    let project = Project::new();
    chain(&project);
    project.make(&["app"]).ok();
    let want = project.manifest();
    project.make(&["clean"]).ok();
    project.gg(&["infer", "--", "make", "a/liba.so"]).ok();
    assert_eq!(project.executed(), Vec::<String>::new());
    lose_outline(&project, "a/liba.so");
    project.gg(&["infer", "--", "make", "app"]).ok();
    assert!(!project.is_placeholder("a/liba.so") && project.is_placeholder("app"));
    project.gg(&["force"]).ok();
    assert_same(&want, &project.manifest());
}

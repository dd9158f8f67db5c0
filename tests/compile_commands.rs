//! The compilation database.

use crate::project::Project;

#[test]
fn what_was_compiled_and_how() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: a.o app sub/c.o\n\
             a.o: a.c\n\t$(CC) -DNAME='\"a b\"' -c a.c\n\
             app: main.c b.c\n\t/usr/bin/cc main.c b.c -o app\n\
             sub/c.o: sub/c.cc\n\tcd sub && g++ -fsyntax-only c.cc && g++ -c c.cc\n\
             conftest:\n\techo 'int main;' >conftest.c; $(CC) conftest.c -o conftest; $(CC) -E a.c >/dev/null\n",
        )
        .write("a.c", "const char *a = NAME;\n")
        .write("b.c", "int b;\n")
        .write("main.c", "int main(void) { return 0; }\n")
        .write("sub/c.cc", "int c;\n");
    let commands = |project: &Project| -> Vec<(String, String, Vec<String>, String)> {
        let text =
            |value: &serde_json::Value| value.as_str().unwrap().replace(&format!("{}", project.root().display()), ".");
        let read: serde_json::Value = serde_json::from_slice(&project.read("db.json")).unwrap();
        let all = read.as_array().unwrap().iter();
        all.map(|it| {
            let arguments = it["arguments"].as_array().unwrap().iter().map(text).collect();
            (text(&it["file"]), text(&it["directory"]), arguments, text(&it["output"]))
        })
        .collect()
    };
    project.gg(&["build", "--compile-commands", "db.json", "--", "make", "-j2", "all", "conftest"]).ok();
    let all = commands(&project);
    let files: Vec<_> = all.iter().map(|(file, ..)| file.as_str()).collect();
    assert_eq!(files, ["a.c", "b.c", "main.c", "c.cc"], "{all:?}");
    assert_eq!(all[0].2, ["/usr/bin/cc", "-DNAME=\"a b\"", "-c", "a.c"]);
    assert_eq!(all.iter().map(|it| it.3.as_str()).collect::<Vec<_>>(), ["./a.o", "./app", "./app", "./sub/c.o"]);
    assert_eq!(all[3].1, "./sub");
    // A build that has less to do keeps the rest, but not what is gone.
    project.sh("rm b.c && touch a.c && sed -i 's/ b.c//' Makefile").ok();
    project.gg(&["build", "--compile-commands", "db.json", "--", "make"]).ok();
    assert_eq!(commands(&project).iter().map(|it| it.0.as_str()).collect::<Vec<_>>(), ["a.c", "main.c", "c.cc"]);
    let refused = project.gg(&["build", "--compile-commands", "a.c", "--", "make"]);
    assert!(refused.status == 2 && refused.stderr.contains("no compilation database"), "{}", refused.stderr);
}

//! `gg graph`: what files come from.

use crate::browser::Browser;
use crate::project::Project;

/// A library of two objects, and a program that is linked with it.
fn library() -> Project {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: app other.o\napp: main.o l.a\n\t$(CC) -o $@ main.o l.a\n\
             l.a: a.o b.o\n\trm -f $@\n\t$(AR) rcs $@ a.o b.o\n%.o: %.c\n\t$(CC) -c -o $@ $<\n",
        )
        .write("main.c", "int a(void);\nint main(void) { return a(); }\n")
        .write("a.c", "int b(void);\nint a(void) { return b(); }\n")
        .write("b.c", "int b(void) { return 0; }\n")
        .write("other.c", "int other;\n");
    project
}

/// What is shown, without the steps' names: `kind file`, and `<- file` for what it needs.
fn shown(project: &Project, args: &[&str]) -> Vec<String> {
    let text = project.gg(&[&["graph"], args].concat()).ok().stdout;
    let plain = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["<-", _, label] => format!("<- {label}"),
            _ => format!("{} {}{}", words[1], words[2], if line.contains("earlier build") { " (earlier)" } else { "" }),
        }
    };
    text.lines().map(plain).collect()
}

#[test]
fn what_a_file_comes_from() {
    let project = library();
    project.gg_make(&[]).ok();
    let app = [
        "compile main.o",
        "compile a.o",
        "compile b.o",
        "archive l.a",
        "<- a.o",
        "<- b.o",
        "link app",
        "<- main.o",
        "<- l.a",
    ];
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    assert_eq!(sorted(shown(&project, &["app"])), sorted(app.map(str::to_owned).to_vec()));
    assert_eq!(sorted(shown(&project, &["./l.a"])), ["<- a.o", "<- b.o", "archive l.a", "compile a.o", "compile b.o"]);
    assert!(shown(&project, &[]).contains(&"compile other.o".to_owned()));
    // What is left out is passed through.
    let gcc = shown(&project, &["app", "--kind", "compile", "--kind", "link"]);
    assert_eq!(
        sorted(gcc),
        ["<- a.o", "<- b.o", "<- main.o", "compile a.o", "compile b.o", "compile main.o", "link app"]
    );
    assert_eq!(
        sorted(shown(&project, &["app", "--depth", "1"])),
        ["<- l.a", "<- main.o", "archive l.a", "compile main.o", "link app"]
    );
    assert_eq!(shown(&project, &["--tool", "ar"]), ["archive l.a"]);
    let none = project.gg(&["graph", "main.c"]);
    assert!(none.status == 2 && none.stderr.contains("makes main.c"), "{none:?}");
    let none = project.gg(&["graph", "--tool", "ld.bfd"]);
    assert!(none.status == 2 && none.stderr.contains("no such step"), "{none:?}");
}

#[test]
fn steps_of_earlier_builds_belong_to_it() {
    let project = library();
    project.gg_make(&[]).ok();
    project.write("main.c", "int a(void);\nint main(void) { return a() + 1 - 1; }\n").gg_make(&[]).ok();
    let lines = shown(&project, &["app"]);
    assert!(lines.contains(&"link app".to_owned()) && lines.contains(&"compile a.o (earlier)".to_owned()), "{lines:?}");
    assert!(!shown(&project, &[]).iter().any(|line| line.contains("a.o")));
    // An object that gg did not make comes from no step.
    project.sh("cc -O2 -c a.c && ar rcs l.a a.o && rm app").ok();
    project.gg_make(&["app"]).ok();
    assert!(!shown(&project, &["app"]).iter().any(|line| line.starts_with("archive")));
}

#[test]
fn a_picture_and_a_page() {
    let project = library();
    project.gg_make(&[]).ok();
    let said = project.gg(&["graph", "app", "--svg=app.svg"]).ok().stdout;
    assert!(said.starts_with("app.svg: 5 steps"), "{said}");
    let svg = String::from_utf8(project.read("app.svg")).unwrap();
    assert_eq!((svg.matches("class=\"node").count(), svg.matches("class=\"edge\"").count()), (5, 4), "{svg}");
    assert!(!svg.contains("http") || svg.matches("http").count() == 1, "only the name space: {svg}");
    // A file that is named after --svg is a file that is asked for, and is not written to.
    project.gg(&["graph", "--html", "app"]).ok();
    assert!(project.read("app").starts_with(b"\x7fELF"));

    let mut browser = Browser::open(&project.path("gg-graph.html"));
    browser.evaluate("document.querySelector('.link').dispatchEvent(new MouseEvent('click', {bubbles: true}))");
    let about = browser.evaluate("document.getElementById('about').textContent");
    let about = about.as_str().unwrap();
    assert!(about.contains("-o app main.o l.a") && about.contains("comes from 4 of the steps"), "{about}");
    browser.evaluate("document.getElementById('search').focus()");
    browser.write("a.o");
    assert_eq!(browser.evaluate("document.querySelectorAll('.found').length"), 2);
    assert_eq!(browser.problems(), [""; 0]);
}

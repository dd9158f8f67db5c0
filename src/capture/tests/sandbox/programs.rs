//! ELF programs, and the libraries that they find in all the ways there are.

use std::path::Path;

use gg_capture::{Need, Note};
use gg_worker::SandboxChoice;

use crate::support::{Bench, below, is_relocated};

const LIBRARY: &str = "int answer(void) { return 42; }\n";
const PROGRAM: &str = r#"
#include <stdio.h>
int answer(void);
int main(void) { printf("%d\n", answer()); return 0; }
"#;

/// A bench with `main.c` and a shared library `lib/libanswer.so`.
fn linked() -> Bench {
    let bench = Bench::new();
    bench.file("answer.c", LIBRARY);
    bench.file("main.c", PROGRAM);
    std::fs::create_dir_all(bench.root.join("lib")).unwrap();
    std::fs::create_dir_all(bench.root.join("bin")).unwrap();
    bench.here("gcc -shared -fPIC -o lib/libanswer.so answer.c");
    bench
}

#[test]
fn a_program_of_the_system() {
    let bench = Bench::new();
    let (captured, said) = bench.run(&bench.request(&["true"]));
    assert_eq!(said, "");
    assert_eq!(captured.executable.as_path(), Path::new("/usr/bin/true"));
    assert_eq!(captured.args, ["true"]);
    assert_eq!(bench.says(&["/bin/echo", "a b"]), "a b\n");
}

#[test]
fn a_library_beside_the_program() {
    let bench = linked();
    bench.here("gcc main.c -o bin/main -Llib -lanswer -Wl,-rpath,$ORIGIN/../lib");
    assert_eq!(bench.says(&["bin/main"]), "42\n");
    // The loader goes by where the program is, not by the link that leads to it.
    bench.link("linked", "bin/main");
    let (captured, said) = bench.run(&bench.request(&["./linked"]));
    assert_eq!(said, "42\n");
    assert_eq!(below(&captured, &bench.root), ["bin/main file", "lib/libanswer.so file", "linked -> bin/main"]);
}

#[test]
fn a_library_at_an_absolute_path_of_the_program() {
    if is_relocated() {
        return;
    }
    let bench = linked();
    bench.here(&format!(
        "gcc main.c -o main -Llib -lanswer -Wl,--disable-new-dtags,-rpath,{}/lib",
        bench.root.display()
    ));
    assert_eq!(bench.says(&["./main"]), "42\n");
}

#[test]
fn a_library_where_the_environment_says() {
    let bench = linked();
    bench.here("gcc main.c -o main -Llib -lanswer");
    let mut request = bench.request(&["./main"]);
    request.env.insert("LD_LIBRARY_PATH".into(), "/nowhere:lib".into());
    let (captured, said) = bench.run(&request);
    assert_eq!(said, "42\n");
    let expected = bench.root.join("lib");
    assert_eq!(captured.env.get("LD_LIBRARY_PATH".as_ref() as &std::ffi::OsStr), Some(&expected.into()));
}

#[test]
fn a_static_program() {
    if is_relocated() {
        return;
    }
    let bench = linked();
    bench.here("gcc -static main.c answer.c -o main");
    let (captured, said) = bench.run(&bench.request(&["./main"]));
    assert_eq!(said, "42\n");
    assert_eq!(below(&captured, &bench.root), ["main file"]);
    assert!(!captured.needs.keys().any(|path| path.as_path().to_string_lossy().contains("libc.so")));
}

#[test]
fn builds_of_a_library_for_other_processors_come_along() {
    let bench = linked();
    bench.here("mkdir -p lib/glibc-hwcaps/x86-64-v4 lib/glibc-hwcaps/x86-64-v2");
    bench.here("cp lib/libanswer.so lib/glibc-hwcaps/x86-64-v4/libanswer.so");
    bench.here("cp lib/libanswer.so lib/glibc-hwcaps/x86-64-v2/libanswer.so");
    bench.here("gcc main.c -o bin/main -Llib -lanswer -Wl,-rpath,$ORIGIN/../lib");
    let (captured, said) = bench.run(&bench.request(&["bin/main"]));
    assert_eq!(said, "42\n");
    let libraries: Vec<String> =
        below(&captured, &bench.root.join("lib")).into_iter().filter(|it| it.ends_with("file")).collect();
    let expected =
        ["glibc-hwcaps/x86-64-v2/libanswer.so file", "glibc-hwcaps/x86-64-v4/libanswer.so file", "libanswer.so file"];
    assert_eq!(libraries, expected);
}

#[test]
fn a_plugin_that_is_named() {
    let bench = linked();
    let text = r#"
#include <dlfcn.h>
#include <stdio.h>
int main(void) {
    void *library = dlopen("plugins/libplugin.so", RTLD_NOW);
    if (!library) { puts(dlerror()); return 1; }
    printf("%d\n", ((int (*)(void))dlsym(library, "twice"))());
    return 0;
}
"#;
    bench.file("load.c", text);
    bench.file("twice.c", "int answer(void); int twice(void) { return 2 * answer(); }\n");
    std::fs::create_dir(bench.root.join("plugins")).unwrap();
    bench.here("gcc -shared -fPIC -o plugins/libplugin.so twice.c -Llib -lanswer -Wl,-rpath,$ORIGIN/../lib");
    bench.here("gcc load.c -o load");
    for also in ["plugins", "plugins/libplugin.so"] {
        let mut request = bench.request(&["./load"]);
        request.also.push(also.into());
        assert_eq!(bench.run(&request).1, "84\n", "{also}");
    }
}

#[test]
fn the_locale_that_the_environment_names() {
    let bench = Bench::new();
    let (captured, _) = bench.run(&bench.request(&["true"]));
    let plain = Path::new("/usr/lib/locale/C.utf8");
    let taken = captured.needs.iter().any(|(path, need)| path.as_path() == plain && matches!(need, Need::Tree(_)));
    assert_eq!(taken, plain.is_dir());
}

#[test]
fn ffmpeg_if_it_is_here() {
    if !Path::new("/usr/bin/ffmpeg").exists() {
        return;
    }
    let words =
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=duration=1:size=64x64:rate=5", "-f", "md5", "-"];
    for sandbox in [SandboxChoice::Namespace, SandboxChoice::Relocated] {
        assert!(Bench::with(sandbox).says(&words).starts_with("MD5="), "{sandbox:?}");
    }
}

#[test]
fn the_answer_is_the_same_each_time() {
    let bench = linked();
    bench.here("gcc main.c -o bin/main -Llib -lanswer -Wl,-rpath,$ORIGIN/../lib");
    let request = bench.request(&["bin/main"]);
    assert_eq!(gg_capture::capture(&request).unwrap(), gg_capture::capture(&request).unwrap());
}

#[test]
fn a_program_that_is_named_is_found_where_others_look() {
    let bench = Bench::new();
    bench.file("m.c", "#include <stdlib.h>\nint main(void) { return system(\"echo from a shell\"); }");
    bench.here("cc m.c -o m");
    let mut request = bench.request(&["./m"]);
    request.programs = vec!["sh".into()];
    assert_eq!(bench.run(&request).1, "from a shell\n");
}

#[test]
fn a_library_path_that_changes_nothing_is_not_told() {
    let bench = linked();
    bench.here("gcc main.c -o bin/main -Llib -lanswer -Wl,-rpath,$ORIGIN/../lib");
    let mut request = bench.request(&["bin/main"]);
    let without = gg_capture::capture(&request).unwrap();
    let c_library = without.needs.keys().find(|path| path.as_path().ends_with("libc.so.6")).unwrap().as_path();
    let list = format!("{}:lib:/none", c_library.parent().unwrap().display());
    request.env.insert("LD_LIBRARY_PATH".into(), list.into());
    let captured = gg_capture::capture(&request).unwrap();
    assert_eq!((&captured.needs, &captured.env), (&without.needs, &without.env));
}

#[test]
fn links_out_of_a_directory_are_followed_to_what_is_small() {
    let bench = Bench::new();
    bench.file("small/a", "a\n");
    bench.file("large/a", "a\n");
    for name in ["small", "large"] {
        bench.link(&format!("data/{name}"), format!("../{name}"));
    }
    let large = std::fs::File::create(bench.root.join("large/b")).unwrap();
    large.set_len(1 << 30).unwrap();
    bench.link("data/file", "../large/a");
    bench.link("data/above", "..");
    bench.link("data/all", "/");
    let mut request = bench.request(&["cat", "data/small/a", "data/file"]);
    request.also.push("data".into());
    let (captured, said) = bench.run(&request);
    assert_eq!(said, "a\na\n");
    assert_eq!(below(&captured, &bench.root), ["data tree", "large/a file", "small tree"]);
    let noted =
        |name: &str, target: &Path| Note::LinkOut { link: bench.root.join("data").join(name), target: target.into() };
    let root = &bench.root;
    let expected = [noted("above", root), noted("all", Path::new("/")), noted("large", &root.join("large"))];
    assert_eq!(captured.notes, expected);
}

//! What cannot be captured, and what is said of it.

use crate::support::Bench;

#[test]
fn a_library_that_is_nowhere() {
    let bench = Bench::new();
    bench.file("f.c", "int f(void) { return 0; }\n");
    bench.file("main.c", "int f(void);\nint main(void) { return f(); }\n");
    bench.here("gcc -shared -fPIC -o libgone.so f.c");
    bench.here("gcc main.c -o main -L. -lgone");
    bench.here("rm libgone.so");
    let said = bench.error(&bench.request(&["./main"]));
    let expected = "\"./main\" needs the shared library libgone.so, which the loader does not find: install the package that \
        has it, or set LD_LIBRARY_PATH to its directory";
    assert_eq!(said, expected);
    // The same where a script leads to it.
    bench.script("s", format!("#!{}/main\n", bench.root.display()));
    let said = bench.error(&bench.request(&["./s"]));
    assert_eq!(said, format!("\"./s\" is run by \"./main\", which its first line names: {expected}"));
}

#[test]
fn programs_that_are_not_there() {
    let bench = Bench::new();
    let mut request = bench.request(&["no-such-tool"]);
    let said = bench.error(&request);
    assert_eq!(
        said,
        "there is no program \"no-such-tool\" in PATH (/usr/local/bin:/usr/bin:/bin): install it, correct PATH, or name the \
         program by its path"
    );
    request = bench.request(&["./none"]);
    assert_eq!(bench.error(&request), "\"./none\" does not exist: correct the path, or make the file first");
    request = bench.request(&["true"]);
    request.programs.push("no-such-tool".into());
    assert_eq!(bench.error(&request), said);
}

#[test]
fn files_that_are_no_programs() {
    let bench = Bench::new();
    bench.file("plain", "#!/bin/sh\n");
    bench.script("text", "echo hello\n");
    bench.script("empty", "");
    bench.script("crlf", "#!/bin/sh\r\necho\r\n");
    bench.script("lost", "#!/no/such/interpreter\n");
    bench.script("lost-env", "#!/usr/bin/env no-such-tool\n");
    for (name, expected) in [
        ("plain", "is not executable: run `chmod +x` on it"),
        ("text", "is neither a program nor a script"),
        ("empty", "is neither a program nor a script"),
        ("crlf", "the first line of the script \"./crlf\" ends with a carriage return"),
        (
            "lost",
            "\"./lost\" is run by \"/no/such/interpreter\", which its first line names: \"/no/such/interpreter\" does not",
        ),
        ("lost-env", "\"./lost-env\" is run by \"no-such-tool\", which its first line names: there is no program"),
    ] {
        let said = bench.error(&bench.request(&[&format!("./{name}")]));
        assert!(said.contains(expected), "{name}: {said}");
    }
}

#[test]
fn a_script_that_runs_itself() {
    let bench = Bench::new();
    bench.script("loop", format!("#!{}/loop\n", bench.root.display()));
    let said = bench.error(&bench.request(&["./loop"]));
    assert!(said.contains("more often than Linux follows"), "{said}");
}

#[test]
fn a_program_for_another_processor() {
    let bench = Bench::new();
    // An ELF header and nothing else: 64 bits, little endian, an executable for SPARC V9.
    let mut header = vec![0u8; 64];
    header[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    (header[16], header[18], header[20], header[52]) = (2, 43, 1, 64);
    bench.script("foreign", &header);
    let said = bench.error(&bench.request(&["./foreign"]));
    let expected = format!(
        "\"./foreign\" is a program for a processor with the ELF number 43, and this machine is {}: use one that is made for \
         this machine",
        std::env::consts::ARCH
    );
    assert_eq!(said, expected);
}

#[test]
fn a_loader_that_is_not_here() {
    let bench = Bench::new();
    bench.file("main.c", "int main(void) { return 0; }\n");
    bench.here("gcc main.c -o main -Wl,--dynamic-linker=/lib/ld-none.so.1");
    let said = bench.error(&bench.request(&["./main"]));
    assert_eq!(
        said,
        "\"./main\" is started by the loader \"/lib/ld-none.so.1\", which is not here: install the C library that it was linked \
         with"
    );
}

#[test]
fn packages_without_python() {
    let bench = Bench::new();
    let mut request = bench.request(&["true"]);
    request.packages.push("numpy".into());
    assert!(bench.error(&request).contains("none of the programs is one: leave out `numpy`"));
    request = bench.request(&["/usr/bin/python3", "-c", "pass"]);
    request.packages.push("no_such_package".into());
    let said = bench.error(&request);
    assert!(said.starts_with("there is no Python package \"no_such_package\" for \"/usr/bin/python3\""), "{said}");
    request = bench.request(&["/usr/bin/python3", "-m", "no_such_module"]);
    assert!(bench.error(&request).contains("no module \"no_such_module\""));
    request = bench.request(&["/usr/bin/python3", "no-such-script.py"]);
    assert_eq!(
        bench.error(&request),
        "\"./no-such-script.py\" does not exist: correct the path, or make the file first"
    );
}

#[test]
fn everything() {
    let bench = Bench::new();
    let mut request = bench.request(&["true"]);
    request.also.push("/".into());
    assert!(bench.error(&request).contains("name the files and directories"));
}

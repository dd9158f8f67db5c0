//! Scripts, and who runs them.

use crate::support::{Bench, below};

#[test]
fn a_shell_script_with_the_programs_that_it_starts() {
    let bench = Bench::new();
    bench.script("count", "#!/bin/bash -e\nseq \"$1\" | wc -l\n");
    let mut request = bench.request(&["./count", "7"]);
    request.programs = ["seq".into(), "wc".into()].into();
    let (captured, said) = bench.run(&request);
    assert_eq!(said, "7\n");
    assert_eq!(below(&captured, &bench.root), ["count file"]);
    assert_eq!(captured.args, ["./count", "7"]);
}

#[test]
fn sh_is_there_with_its_links() {
    let bench = Bench::new();
    assert_eq!(bench.says(&["sh", "-c", "echo hello"]), "hello\n");
}

#[test]
fn a_script_that_env_finds_an_interpreter_for() {
    let bench = Bench::new();
    bench.script("plain", "#!/usr/bin/env bash\necho \"$BASH\" \"$@\"\n");
    assert_eq!(bench.says(&["./plain", "a b"]), "/usr/bin/bash a b\n");
    bench.script("split", "#!/usr/bin/env -S GREETING=hello bash -u\necho $GREETING $0\n");
    assert_eq!(bench.says(&["./split"]), format!("hello {}/split\n", bench.root.display()));
}

#[test]
fn scripts_that_are_run_by_scripts() {
    let bench = Bench::new();
    bench.script("inner", "#!/bin/sh\necho inner \"$1\"\n. \"$1\"\n");
    bench.script("outer", format!("#!{}/inner\necho outer\n", bench.root.display()));
    // A script is told where it is, however it was asked for.
    assert_eq!(bench.says(&["./outer"]), format!("inner {}/outer\nouter\n", bench.root.display()));
}

#[test]
fn a_script_by_its_name_in_path() {
    let bench = Bench::new();
    bench.script("tools/hello", "#!/bin/sh\necho hello\n");
    let mut request = bench.request(&["hello"]);
    request.env.insert("PATH".into(), format!("{}/tools:/usr/bin", bench.root.display()).into());
    let (captured, said) = bench.run(&request);
    assert_eq!(said, "hello\n");
    // Only what matters of it.
    assert_eq!(captured.env["PATH".as_ref() as &std::ffi::OsStr], bench.root.join("tools").into_os_string());
}

#[test]
fn perl_with_its_modules() {
    let bench = Bench::new();
    assert_eq!(bench.says(&["perl", "-e", "use List::Util 'sum'; print sum(1, 2, 3), qq(\\n)"]), "6\n");
    bench.script("s.pl", "#!/usr/bin/env perl\nuse strict;\nuse POSIX;\nprint floor(2.5), qq(\\n);\n");
    assert_eq!(bench.says(&["./s.pl"]), "2\n");
}

#[test]
fn perl_with_modules_where_the_environment_says() {
    let bench = Bench::new();
    bench.file("more/Mine.pm", "package Mine;\nsub name { 'mine' }\n1;\n");
    let mut request = bench.request(&["perl", "-e", "use Mine; print Mine::name(), qq(\\n)"]);
    for list in ["more:none".to_owned(), bench.root.join("more").display().to_string()] {
        request.env.insert("PERL5LIB".into(), list.into());
        assert_eq!(bench.run(&request).1, "mine\n");
    }
}

#[test]
fn programs_that_are_only_guessed() {
    let bench = Bench::new();
    bench.script("broken", "#!/no/such/interpreter\n");
    let mut request = bench.request(&["sh", "-c", "echo 1 | cat"]);
    let without = gg_capture::capture(&request).unwrap();
    request.guessed = vec!["./broken".into(), "no-such-program".into()];
    let captured = gg_capture::capture(&request).unwrap();
    assert_eq!((&captured.needs, &captured.env), (&without.needs, &without.env));
    request.guessed.push("cat".into());
    assert_eq!(bench.run(&request).1, "1\n");
}

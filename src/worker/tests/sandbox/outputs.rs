//! What a program wrote comes back, whole and nothing else.

use std::collections::BTreeMap;

use gg_ir::{Input, Name};

use crate::support::*;

#[test]
fn outputs_with_their_modes() {
    let bench = Bench::new();
    let script = "echo a > a; echo b > sub/b; chmod 750 sub/b; : > 'empty one'; chmod 0 secret 2>/dev/null; :";
    let step = bench
        .script(script)
        .output("a", "/p/a")
        .output("b", "/p/sub/b")
        .output("e", "/p/empty one")
        .optional("never", "/p/never");
    let reduction = step.done();
    let modes: BTreeMap<&str, u32> = reduction.outputs.iter().map(|(tag, made)| (tag.as_str(), made.mode)).collect();
    assert_eq!(modes, [("a", 0o644), ("b", 0o750), ("e", 0o644)].into());
    assert_eq!(step.bytes(&reduction.outputs[&tag("b")]), b"b\n");
    assert!(reduction.undeclared.is_empty(), "{:?}", reduction.undeclared);
}

#[test]
fn a_missing_output_is_a_failure() {
    let bench = Bench::new();
    let failure = bench.script("echo x > a; mkdir d; mkfifo f").output("a", "/p/a").output("d", "/p/d");
    let failure = failure.output("f", "/p/f").output("n", "/p/n").failed();
    assert!(failure.status.success());
    assert_eq!(failure.missing_outputs, [tag("d"), tag("f"), tag("n")]);
    assert!(failure.outputs.contains_key(&tag("a")));
}

#[test]
fn what_was_not_declared_is_told() {
    let bench = Bench::new();
    let script = "echo d > dump; mkdir -p new/deep; echo n > new/deep/n; echo t > /tmp/t; mkdir /tmp/d; echo t > /tmp/d/t; \
        echo more >> changed; chmod 755 mode; cat same > /dev/null; cp same again; cat again > same; echo x > sub/x; \
        mv moved elsewhere; ln -s same link; : > out";
    let step = bench
        .script(script)
        .file("/p/changed", "text\n")
        .file("/p/mode", "m")
        .file("/p/same", "same")
        .file("/p/moved", "moved")
        .file("/p/sub/there", "x")
        .output("out", "/p/out");
    let reduction = step.done();
    let told: Vec<(&str, u32, Vec<u8>)> = reduction
        .undeclared
        .iter()
        .map(|(path, made)| (path.as_path().to_str().unwrap(), made.mode, step.bytes(made)))
        .collect();
    let told: Vec<(&str, u32, &[u8])> = told.iter().map(|(path, mode, bytes)| (*path, *mode, &bytes[..])).collect();
    assert_eq!(
        told,
        [
            ("/p/again", 0o644, &b"same"[..]),
            ("/p/changed", 0o644, b"text\nmore\n"),
            ("/p/dump", 0o644, b"d\n"),
            ("/p/elsewhere", 0o644, b"moved"),
            ("/p/mode", 0o755, b"m"),
            ("/p/new/deep/n", 0o644, b"n\n"),
            ("/p/sub/x", 0o644, b"x\n"),
        ]
    );
}

#[test]
fn a_project_below_tmp_is_a_project() {
    let bench = Bench::new();
    let step = bench
        .script("echo a > side; echo b > /tmp/scratch; echo c > $TMPDIR/c; echo o > o")
        .cwd("/tmp/build dir/p")
        .env("TMPDIR", "/tmp/mine")
        .output("o", "/tmp/build dir/p/o");
    let told = step.done().undeclared;
    assert_eq!(told.keys().map(|path| path.as_path().to_str().unwrap()).collect::<Vec<_>>(), ["/tmp/build dir/p/side"]);
}

#[test]
fn where_the_program_works_nothing_is_temporary() {
    let bench = Bench::new();
    let told = |step: Step<'_>| step.done().undeclared.keys().map(ToString::to_string).collect::<Vec<_>>();
    let script = "echo a > a; mkdir d; echo b > d/b; echo c > /tmp/c";
    assert_eq!(told(bench.script(script).env("TMPDIR", "/p")), ["/p/a", "/p/d/b"]);
    assert_eq!(told(bench.script("echo a > a; mkdir d; echo b > d/b").cwd("/tmp")), ["/tmp/a", "/tmp/d/b"]);
    let step = bench.script("echo o > /tmp/o; echo p > /tmp/p").output("o", "/tmp/o");
    assert_eq!(told(step), ["/tmp/p"]);
    // One that holds inputs: what lies beside them.
    let step = bench.script("echo p > /tmp/work/p; echo q > /tmp/q").file("/tmp/work/in", "");
    assert_eq!(told(step), ["/tmp/work/p"]);
}

#[test]
fn nothing_of_the_system_comes_back() {
    let bench = Bench::new();
    let script = "echo x > /dev/null; ls /proc /dev > /tmp/l; cat /bin/sh > /dev/null; ls -lR / > /tmp/m 2>&1; \
        for f in /bin/sh /usr/bin/cat /dev/new /proc/new; do { echo x >> $f; } 2>/dev/null && echo wrote $f >&2; done; :";
    let reduction = bench.script(script).done();
    assert_eq!(String::from_utf8_lossy(&reduction.stderr), "");
    assert_eq!(reduction.undeclared, BTreeMap::new());
}

#[test]
fn links_do_not_lead_out() {
    let bench = Bench::new();
    // The host has all of these; inside they lead nowhere, or to something of the sandbox's own.
    let script = "ln -s /etc/passwd o; ln -s /etc d; ln -s /proc/1/root/etc/passwd e; ln -s /proc/self/environ f; \
        ln -s ../../../../etc/hostname g; ln -s real h; echo real > real; ln -s /dev/zero z";
    let step = bench
        .script(script)
        .output("o", "/p/o")
        .output("d", "/p/d/passwd")
        .output("e", "/p/e")
        .output("f", "/p/f")
        .output("g", "/p/g")
        .output("h", "/p/h")
        .output("z", "/p/z");
    // `d` is made as a directory for its output; take it away first.
    let mut step = step;
    step.thunk.function.args[2] = format!("rm -r d; {script}").into();
    let failure = step.failed();
    assert_eq!(failure.missing_outputs, ["d", "e", "f", "g", "o", "z"].map(tag));
    assert_eq!(step.bytes(&failure.outputs[&tag("h")]), b"real\n");

    // Nor do those among the inputs: the place is the sandbox's own.
    let step = bench
        .script("echo mine > out/passwd")
        .input("/p/out", Input::Symlink("/etc".into()))
        .output("o", "/p/out/passwd");
    let reduction = step.done();
    assert_eq!(step.bytes(&reduction.outputs[&tag("o")]), b"mine\n");
    assert!(reduction.undeclared.is_empty());
}

#[test]
fn an_input_is_changed_in_place_where_it_is_an_output() {
    let bench = Bench::new();
    for size in [5usize, 100_000, 3_000_000] {
        let step = bench
            .script("echo more >> lib; [ $(stat -c %Y lib) != 0 ]")
            .file_mode("/p/lib", "x".repeat(size), 0o664)
            .output("lib", "/p/lib");
        let reduction = step.done();
        let made = &reduction.outputs[&tag("lib")];
        assert_eq!((made.mode, made.object.name().length()), (0o664, size as u64 + 5));
        assert!(reduction.undeclared.is_empty());
    }
}

#[test]
fn large_outputs_and_much_text() {
    let bench = Bench::new();
    let script = "head -c 200000000 /dev/zero > big; head -c 1000000 /dev/zero; head -c 1500000 /dev/zero >&2";
    let step = bench.script(script).output("big", "/p/big");
    let reduction = step.done();
    assert_eq!(reduction.outputs[&tag("big")].object.name().length(), 200_000_000);
    assert_eq!((reduction.stdout.len(), reduction.stderr.len()), (1_000_000, 1_500_000));
    assert!(step.bytes(&reduction.outputs[&tag("big")]).iter().all(|&byte| byte == 0));
}

#[test]
fn endless_text_is_cut() {
    let bench = Bench::new();
    let reduction = bench.script("head -c 100000000 /dev/zero; echo fine >&2").done();
    let end = String::from_utf8_lossy(&reduction.stdout[64 << 20..]);
    assert!(end.contains("64 MiB") && end.len() < 200, "{end}");
    assert_eq!(reduction.stderr, b"fine\n");
}

#[test]
fn thousands_of_files_come_back() {
    let bench = Bench::new();
    let script = "n=0; while [ $n -lt 2500 ]; do echo $n > f$n; n=$((n+1)); done";
    assert_eq!(bench.script(script).output("o", "/p/f7").done().undeclared.len(), 2499);
}

#[test]
fn hard_links_are_files_of_their_own() {
    let bench = Bench::new();
    let step = bench.script("echo x > o; ln o p; echo y > q; ln q r").output("o", "/p/o");
    let told = step.done().undeclared;
    assert_eq!(told.keys().map(|path| path.to_string()).collect::<Vec<_>>(), ["/p/p", "/p/q", "/p/r"]);
}

#[test]
fn inputs_of_every_size_that_stay_as_they_are_are_not_told() {
    let bench = Bench::new();
    // Up to 64 KiB files are written from the request; up to 1 MiB they are copied, unless they have the permission bits of the
    // store's own (0444); the others are mounted, and cannot be written to.
    let same = "for f in small*; do ln $f l; rm l; cp $f c; cat c > $f; rm c; done";
    for script in ["cat small* large* > all; rm all", same] {
        let mut step = bench.script(script);
        for (name, size) in
            [("small0", 0), ("small1", 5), ("small2", 70_000), ("small3", 1_000_000), ("large", 1_100_000)]
        {
            for mode in [0o644, 0o755] {
                step = step.file_mode(format!("/p/{name}-{mode:o}"), "x".repeat(size), mode);
            }
            step = step.file_mode(format!("/p/large-{name}"), "x".repeat(size), 0o444);
        }
        for _ in 0..3 {
            assert_eq!(step.done().undeclared, BTreeMap::new(), "{script}");
        }
    }
}

#[test]
fn an_input_that_changes_is_told_at_every_size() {
    let bench = Bench::new();
    // The same length, and the time of modification put back: as `sed -i` with `touch -r` would.
    let script = "cp -p f f.before; cat other > f; touch -r f.before f; rm f.before";
    for size in [5usize, 70_000, 1_000_000] {
        let step = bench.script(script).file("/p/f", "x".repeat(size)).file("/p/other", "y".repeat(size));
        let told = step.done().undeclared;
        let told: Vec<_> = told.iter().map(|(path, made)| (path.to_string(), *made.object.name())).collect();
        assert_eq!(told, [("/p/f".to_owned(), Name::of_value("y".repeat(size).as_bytes()))], "{size}");
    }
}

//! A program sees its inputs and nothing else.

use std::path::Path;

use gg_ir::{Input, Kind, Reference};
use gg_worker::{SandboxChoice, SandboxKind, WorkerError};

use crate::support::*;

#[test]
fn nothing_but_inputs_is_there() {
    let bench = Bench::new();
    let kind = if std::env::var_os(RELOCATED).is_some() { SandboxKind::Relocated } else { SandboxKind::Namespace };
    assert_eq!(bench.pool.kind(), (kind, None));
    let step = bench.script("ls -A /; echo; ls -A /p; echo; ls /dev; cat /etc/passwd; :").file("/p/a", "x");
    let reduction = step.done();
    assert_eq!(
        String::from_utf8(reduction.stdout).unwrap(),
        "bin\ndev\nlib\nlib64\np\nproc\ntmp\nusr\n\na\n\nfd\nfull\nnull\nrandom\nstderr\nstdin\nstdout\nurandom\nzero\n"
    );
    assert!(String::from_utf8_lossy(&reduction.stderr).contains("No such file"));
    assert!(reduction.undeclared.is_empty());
}

#[test]
fn toolchain_and_large_inputs_are_read_only() {
    let bench = Bench::new();
    let script = "for f in /usr/bin/cat /p/big /usr/new; do (: >> $f) 2>&1; done; stat -c %a:%s /p/big";
    let step = bench.script(script).file_mode("/p/big", vec![1; 2_000_000], 0o640);
    let text = step.says();
    assert_eq!(text.matches("Read-only file system").count(), 3, "{text}");
    assert!(text.ends_with("640:2000000\n"), "{text}");
}

#[test]
fn there_is_no_network() {
    let bench = Bench::new();
    let script = "grep -c : /proc/net/dev; (: < /dev/tcp/127.0.0.1/1) 2>&1";
    let mut step = bench.script("");
    step.thunk.function.executable = path("/usr/bin/bash");
    step.thunk.function.args = ["bash", "-c", script].map(Into::into).to_vec();
    let text = String::from_utf8(step.failed().stdout).unwrap();
    // Only the loopback, and that is down.
    assert!(text.starts_with("1\n") && text.contains("Network is unreachable"), "{text}");
}

#[test]
fn the_user_stays_but_has_no_rights() {
    let bench = Bench::new();
    let script = "id -u; id -g; grep -E '^(CapEff|CapPrm|CapInh|CapAmb|NoNewPrivs)' /proc/self/status; umask; \
        echo $$ | { read n; [ $n -lt 10 ] && echo few; }; mknod /p/d b 8 0 2>/dev/null || echo no device";
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let keeps = if uid == 0 { "000000000000001f" } else { "0000000000000000" };
    let expected = format!(
        "{uid}\n{gid}\nCapInh:\t0000000000000000\nCapPrm:\t{keeps}\nCapEff:\t{keeps}\nCapAmb:\t0000000000000000\n\
         NoNewPrivs:\t1\n0027\nfew\nno device\n"
    );
    let mut step = bench.script(script);
    step.thunk.function.umask = 0o27;
    assert_eq!(step.says(), expected);
}

#[test]
fn other_processes_and_descriptors_are_out_of_reach() {
    let bench = Bench::new();
    let text = bench.script("ls /proc/$$/fd; ls /proc | grep -c '^[0-9]'; kill -9 1 2>&1; echo alive").says();
    let lines: Vec<&str> = text.lines().collect();
    // Three streams; the first process, the shell, and the two of the pipe.
    assert_eq!(lines[..3], ["0", "1", "2"], "{text}");
    assert!(lines[3].parse::<u32>().unwrap() <= 4, "{text}");
    assert_eq!(lines.last(), Some(&"alive"));
}

#[test]
fn one_run_leaves_nothing_for_the_next() {
    let bench = Bench::with(1, SandboxChoice::Namespace);
    bench.script("echo x > /tmp/left; echo y > /p/left; mkdir /q").done();
    assert_eq!(bench.script("ls -A /tmp /p; ls -d /q 2>/dev/null; :").says(), "/p:\n\n/tmp:\n");
}

#[test]
fn names_are_bytes() {
    let bench = Bench::new();
    let odd = raw(b"/p/a b\n\xff\xfe'$(x)");
    let inside = Path::new(odd).join("f \t\n");
    let deep = format!("/p{}", "/directory with spaces".repeat(60));
    let script = "for d in ./*; do cat \"$d\"/* > \"$d/out \n\"; done; pwd > deep";
    let mut step = bench.script(script).file(&inside, "text").output("o", Path::new(odd).join("out \n"));
    let reduction = step.done();
    assert_eq!(step.bytes(&reduction.outputs[&tag("o")]), b"text");
    assert_eq!(reduction.undeclared.len(), 1);

    step = bench.script("pwd").cwd(&deep);
    assert_eq!(step.says(), format!("{deep}\n"));
    step = bench.script("pwd").cwd(odd).env("ODD", "a\nb=c");
    assert_eq!(step.done().stdout, [odd.as_encoded_bytes(), b"\n"].concat());
}

#[test]
fn longer_paths_win_and_links_are_followed() {
    let bench = Bench::new();
    // /lib is a link to usr/lib, and the tree has a usr/bin of its own.
    let step = bench
        .script("cat /usr/lib/extra/x /lib/extra/x /usr/bin/mine; ls /usr/bin/cat; cat /p/link")
        .file("/lib/extra/x", "extra\n")
        .file("/usr/bin/mine", "mine\n")
        .input("/p/link", Input::Symlink("../usr/bin/mine".into()))
        .input("/p/empty", Input::Directory);
    assert_eq!(step.says(), "extra\nextra\nmine\n/usr/bin/cat\nmine\n");

    let clash = bench.script(":").file("/p/f", "").file("/p/f/g", "");
    assert!(matches!(clash.error(), WorkerError::Conflict { path, .. } if path == self::path("/p/f/g")));
    let mut round = bench.script(":").input("/p/l", Input::Symlink("l".into())).file("/p/l/g", "");
    assert!(matches!(round.error(), WorkerError::Conflict { .. }));
    round = bench.script(":").input("/p/f", Input::Tree(gg_ir::Name::of_value(b"no such tree")));
    assert!(matches!(round.error(), WorkerError::Missing(_)));
}

#[test]
fn inputs_that_are_outputs_of_thunks_are_given_by_value() {
    let bench = Bench::new();
    let thunk = gg_ir::Name::of(Kind::Thunk, b"t");
    let reference = Reference::Output(thunk, tag("o"));
    let mut step =
        bench.script("cat f; stat -c %a f").input("/p/f", Input::File { object: reference.clone(), mode: 0o600 });
    assert!(matches!(step.error(), WorkerError::Unresolved(missing) if missing == reference));
    let value = bench.store.put(Kind::Value, b"value\n").unwrap();
    step.resolved.insert(reference, value);
    assert_eq!(step.says(), "value\n600\n");
}

#[test]
fn missing_and_damaged_inputs_are_told_apart() {
    let bench = Bench::new();
    for size in [10, 3_000_000] {
        let content = vec![7u8; size];
        let name = gg_ir::Name::of_value(&content);
        let step = bench.script("cat f").input("/p/f", Input::File { object: Reference::Value(name), mode: 0o644 });
        assert!(matches!(step.error(), WorkerError::Missing(missing) if missing == name));
        bench.store.put(Kind::Value, &content).unwrap();
        // Another process's view: the one that wrote it has no reason to doubt it.
        let other = Bench::new();
        let place = bench.store.file(&name).unwrap();
        let relative = place.strip_prefix(bench.store.dir()).unwrap();
        let damaged = other.store.dir().join(relative);
        std::fs::create_dir_all(damaged.parent().unwrap()).unwrap();
        std::fs::write(&damaged, vec![8u8; size]).unwrap();
        let step = other.script("cat f").input("/p/f", Input::File { object: Reference::Value(name), mode: 0o644 });
        assert!(matches!(step.error(), WorkerError::Corrupt(bad) if bad == name));
    }
}

/// Root runs these tests once more as a user without any rights.
#[test]
fn all_the_same_for_a_user_who_is_not_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("tests");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let nobody = rustix::process::Uid::from_raw(65534);
    rustix::fs::chown(dir.path(), Some(nobody), None).unwrap();
    let run = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["--test-threads=2", "isolation::", "outputs::", "compile::", "ends::the_deadline", "ends::standard"])
        .env("TMPDIR", dir.path())
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}

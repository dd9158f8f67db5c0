//! How `gg run` and its kin behave among other programs: streams, signals, what fails and what does not.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::project::{Project, run};
use crate::screen::Screen;

fn gg(project: &Project, args: &[&str]) -> Command {
    let mut command = project.command(env!("CARGO_BIN_EXE_gg"));
    command.args(args);
    command
}

#[test]
fn what_is_written_is_passed_on_byte_for_byte() {
    let project = Project::new();
    // What a console would take out of a compiler's messages.
    let text = "\x1b[1mbold\x1b[m\x1b]8;;x\x07\0\u{ff}";
    project.write("t", text);
    let said = gg(&project, &["run", "-i", "t", "--", "cat", "t"]).output().unwrap();
    assert_eq!(said.stdout, text.as_bytes());
    let said = gg(&project, &["parallel", "--", "cat", "{}", ":::", "t", "t"]).output().unwrap();
    assert_eq!(said.stdout, [text.as_bytes(), text.as_bytes()].concat());
}

#[test]
fn a_command_finds_no_terminal_wherever_it_is_called() {
    let project = Project::new();
    let mut screen =
        Screen::start(gg(&project, &["run", "--", "sh", "-c", "test -t 1 && echo on one || echo 'on none'"]), (9, 80));
    assert!(screen.end().success());
    assert_eq!(screen.text(), "on none");
}

#[test]
fn a_disk_that_is_full_is_told_of() {
    let project = Project::new();
    for args in [
        &["run", "--", "echo", "hello"][..],
        &["parallel", "--", "echo", ":::", "a"],
        &["thunk", "create", "--", "true"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let said = gg(&project, args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains("cannot write to standard output"), "{args:?}: {text}");
        // A reader that has gone away is no failure.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert!(gg(&project, args).stdout(writer).status().unwrap().success(), "{args:?}");
    }
}

#[test]
fn it_dies_of_a_signal_and_says_nothing() {
    let project = Project::new();
    for args in
        [&["run", "--volatile", "--", "sleep", "60"][..], &["parallel", "--volatile", "--", "sleep", ":::", "60", "61"]]
    {
        let mut command = gg(&project, args);
        // SAFETY: a plain call.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGTERM, libc::SIG_DFL);
                Ok(())
            })
        };
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while !sleeps(child.id()) {
            assert!(begun.elapsed() < Duration::from_secs(30));
            std::thread::sleep(Duration::from_millis(20));
        }
        // SAFETY: a plain call.
        unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.signal(), Some(libc::SIGTERM), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{args:?}");
    }
}

/// Whether a program called sleep runs below this process.
fn sleeps(above: u32) -> bool {
    let found = Command::new("pgrep").args(["-P", &above.to_string()]).output().unwrap();
    let below = String::from_utf8_lossy(&found.stdout).into_owned();
    below
        .lines()
        .filter_map(|line| line.parse().ok())
        .any(|pid: u32| fs::read(format!("/proc/{pid}/comm")).is_ok_and(|name| name == b"sleep\n") || sleeps(pid))
}

#[test]
fn a_program_that_fails_is_run_once() {
    let project = Project::new();
    // By its own will, as a shell tells of a signal, and since its time is over.
    let script = "test {} = 60 && sleep 60; exit {}";
    let ran = project.gg(&["parallel", "--timeout", "1", "--", "sh", "-c", script, ":::", "3", "140", "60"]);
    assert_eq!(ran.status, 1);
    let record = project.report();
    let steps = record["steps"].as_array().unwrap();
    let mut tries: Vec<_> =
        steps.iter().map(|it| (it["status"].as_i64(), it["attempts"].as_array().unwrap().len())).collect();
    tries.sort();
    assert_eq!(tries, [(Some(3), 1), (Some(124), 1), (Some(140), 1)]);
}

#[test]
fn what_could_not_be_begun_was_not_killed() {
    let project = Project::new();
    let ran = project.gg(&["parallel", "-o", "same", "--", "true", ":::", "a", "b"]);
    assert_eq!(ran.status, 2);
    assert_eq!(project.gg(&["force", "no-such-file"]).status, 2);
    let told = project.gg(&["report"]);
    assert!(!(told.stdout + &told.stderr).contains("killed"));
}

#[test]
fn nothing_more_is_begun_after_a_failure_if_that_is_said() {
    let project = Project::new();
    let items = ["0", "1", "7", "8", "9", "10", "11"];
    let script = "test {} != 1 && echo {}";
    let ran =
        project.gg(&[&["parallel", "-e", "local:1", "--halt", "--", "sh", "-c", script, ":::"], &items[..]].concat());
    assert_eq!((ran.status, ran.stdout.as_str()), (1, "0\n"), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("exit status 1").count(), 1, "{}", ran.stderr);
    assert!(!ran.stderr.contains("cancelled"), "{}", ran.stderr);
}

#[test]
fn an_item_that_cannot_be_is_that_items_failure() {
    let project = Project::new();
    project.write("a", "a").write("c", "c").write("b.o/x", "");
    let ran = project.gg(&["parallel", "-i", "{}", "-o", "{}.o", "--", "cp", "{}", "{}.o", ":::", "a", "missing", "c"]);
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("missing") && ran.stderr.contains("gg: 1 of 3 failed"), "{}", ran.stderr);
    assert_eq!(project.read("c.o"), b"c");
    // So is an output for which there is no room.
    project.write("b", "b");
    let ran = project.gg(&["parallel", "-i", "{}", "-o", "{}.o", "--", "cp", "{}", "{}.o", ":::", "b", "c"]);
    assert!(ran.status == 1 && ran.stderr.contains("gg: 1 of 2 failed"), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("b.o").count(), 1, "{}", ran.stderr);
}

#[test]
fn a_device_stays_what_it_is() {
    let project = Project::new();
    project.sh("mkfifo pipe").ok();
    let ran = project.gg(&["run", "-o", "pipe", "--", "sh", "-c", "echo >pipe"]);
    assert!(ran.status == 2 && ran.stderr.contains("a device, a pipe or a socket is there"), "{}", ran.stderr);
    assert!(project.sh("test -p pipe").status == 0);
}

#[test]
fn without_a_sandbox_nothing_is_run_that_somebody_states() {
    let project = Project::new();
    let ran = run(project.command(env!("CARGO_BIN_EXE_gg")).env("GG_SANDBOX", "plain").args(["run", "--", "true"]));
    assert!(ran.status == 2 && ran.stderr.contains("lets gg make no sandboxes"), "{}", ran.stderr);
}

#[test]
fn more_than_is_kept_of_a_stream_is_a_failure() {
    let project = Project::new();
    let ran = project.gg(&["run", "--", "head", "-c", "70000000", "/dev/zero"]);
    assert!(ran.status == 2 && ran.stderr.contains("more than 64 MiB to standard output"), "{}", ran.stderr);
}

#[test]
fn outputs_have_the_mode_that_the_caller_gives_new_files() {
    let project = Project::new();
    let gg = env!("CARGO_BIN_EXE_gg");
    project.sh(&format!("umask 077 && {gg} run -o private -- sh -c 'echo >private'")).ok();
    project.sh(&format!("umask 002 && {gg} run -o shared -- sh -c 'echo >shared'")).ok();
    assert_eq!(project.sh("stat -c %a private shared").ok().stdout, "600\n664\n");
}

#[test]
fn a_path_through_a_link_and_up_is_what_it_is_to_the_kernel() {
    let project = Project::new();
    project.write("far/sub/f", "the right one\n").write("f", "the wrong one\n");
    project.sh("ln -s far/sub link").ok();
    let ran = project.gg(&["run", "-i", "link/../sub/f", "--", "cat", "far/sub/f"]).ok();
    assert_eq!(ran.stdout, "the right one\n");
}

//! Builds that are interrupted or killed, and what the next one makes of it.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::project::{Project, assert_same};

/// Files to compile, an archive, and a text that a shell writes line by line and whose failure is ignored: cut short, it
/// would pass for finished.
const FILES: usize = 12;

fn slow(project: &Project) {
    let mut makefile = String::from("all: libf.a text\nOBJECTS =");
    for n in 0..FILES {
        makefile += &format!(" f{n}.o");
        project.write(
            format!("f{n}.cc"),
            format!("#include <map>\n#include <string>\nint f{n}(std::string const& s) {{ std::map<std::string, int> m; m[s] = {n}; return m.size(); }}\n"),
        );
    }
    makefile += "\nlibf.a: $(OBJECTS)\n\trm -f $@\n\tar cr $@ $(OBJECTS)\n%.o: %.cc\n\t$(CXX) -MMD -c $< -o $@\n";
    makefile += "text: Makefile\n\tfor i in 1 2 3 4 5 6 7 8 9 10 11 12; do sed -n 1,3p Makefile; sleep 0.1; done > $@ 2>/dev/null || true\n";
    makefile += "clean:\n\trm -f *.o *.d *.a text\n-include *.d\n";
    project.write("Makefile", makefile);
}

/// Programs of the build, by name: those that work in its tree.
fn processes_below(project: &Project) -> Vec<String> {
    let root = project.root();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(cwd) = std::fs::read_link(entry.path().join("cwd")) else { continue };
        if cwd.starts_with(&root) {
            found.push(std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default());
        }
    }
    found
}

fn start(project: &Project) -> Child {
    // A group of its own, as a shell makes it.
    let mut command = project.gg_make_command(&["-j4"]);
    // gg takes no notice of a signal that was ignored when it began: nohup does that, and a shell in the background.
    // SAFETY: system calls.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
    command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits for something to happen in a build that must not end before.
#[track_caller]
fn until<T>(build: &mut Child, mut happened: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(result) = happened() {
            return result;
        }
        assert!(build.try_wait().unwrap().is_none(), "the build ended before that");
        assert!(begun.elapsed() < Duration::from_secs(120), "it does not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How many objects are there and no placeholders.
fn compiled(project: &Project) -> usize {
    let real =
        |n: &usize| std::fs::read(project.path(format!("f{n}.o"))).is_ok_and(|file| file.starts_with(b"\x7fELF"));
    (0..FILES).filter(real).count()
}

fn send(pid: i32, signal: i32) {
    // SAFETY: plain numbers.
    unsafe { libc::kill(pid, signal) };
}

#[track_caller]
fn assert_nothing_half_done(project: &Project) {
    for (path, (_, _, content)) in project.manifest() {
        assert!(gg_ir::Placeholder::parse(&content).is_none(), "{} is a placeholder", path.display());
        assert!(!path.to_string_lossy().contains(".gg."), "{} is left over", path.display());
    }
    for name in ["text", "inner"] {
        assert!(!project.path(name).exists(), "{name} is cut short");
    }
}

#[test]
fn signals_end_everything_within_a_second() {
    let project = Project::new();
    slow(&project);
    let makefile = project.read("Makefile");
    project.write(
        "more.mk",
        "all: sleeper stubborn inner\ninner:\n\tfor i in 1 2 3 4 5 6 7 8 9; do echo $$i; sleep 10; done > $@\nsleeper:\n\tsleep 100\nstubborn:\n\ttrap '' INT TERM HUP; sleep 100; sleep 100\n",
    );
    let nested = [b"all: nested\nnested:\n\t$(MAKE) -f more.mk -j2\n".as_slice(), &makefile].concat();
    for (signal, everyone) in [(libc::SIGINT, true), (libc::SIGTERM, false), (libc::SIGHUP, false)] {
        project.write("Makefile", &nested);
        let mut build = start(&project);
        until(&mut build, || {
            let sleeping = processes_below(&project).iter().filter(|name| name.trim_end() == "sleep").count();
            let text = std::fs::metadata(project.path("text")).is_ok_and(|info| info.len() > 0);
            (sleeping >= 3 && text && compiled(&project) > 0).then_some(())
        });
        let (pid, begun) = (build.id() as i32, Instant::now());
        // At a terminal, the signal goes to the whole process group.
        send(if everyone { -pid } else { pid }, signal);
        let status = build.wait().unwrap();
        // A second, and what a busy machine adds.
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!(status.signal(), Some(signal), "{status}");
        until_nothing_runs(&project);
        assert_nothing_half_done(&project);
        project.write("Makefile", &makefile);
        project.make(&["clean"]).ok();
        project.gg(&["clean", "--force"]);
    }
    project.same_as_make(&["-j4"]);
}

#[track_caller]
fn until_nothing_runs(project: &Project) {
    let begun = Instant::now();
    while !processes_below(project).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?} still run", processes_below(project));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn kill_9_at_any_moment() {
    let project = Project::new();
    slow(&project);
    project.make(&["-j4"]).ok();
    let want = project.manifest();
    for (objects, victim) in
        [(0, "gg-make"), (1, "worker"), (2, "cc1plus"), (3, "gg-make"), (5, "gg-make"), (6, "cc1plus"), (7, "worker")]
    {
        project.make(&["clean"]).ok();
        project.gg(&["clean", "--force"]);
        let mut build = start(&project);
        let pid = build.id() as i32;
        let target = until(&mut build, || {
            if compiled(&project) < objects {
                return None;
            }
            let below = gg_watch::descendants(pid).unwrap();
            let file = |pid: i32, name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            match victim {
                "gg-make" => Some(pid),
                "worker" => below.into_iter().find(|pid| file(*pid, "cmdline").ends_with(b"\0__worker\0")),
                name => below.into_iter().find(|pid| file(*pid, "comm").trim_ascii() == name.as_bytes()),
            }
        });
        send(target, libc::SIGKILL);
        let _ = build.wait().unwrap();
        let ran = project.gg_make(&["-j4"]);
        assert_eq!(ran.status, 0, "after kill -9 of {victim}: {}{}", ran.stdout, ran.stderr);
        assert_same(&want, &project.manifest());
    }
}

#[test]
fn a_build_whose_gg_was_killed_ends_in_order() {
    let project = Project::new();
    slow(&project);
    project.make(&["-j4"]).ok();
    let want = project.manifest();
    project.make(&["clean"]).ok();
    let mut build = start(&project);
    until(&mut build, || std::fs::metadata(project.path("text")).is_ok_and(|info| info.len() > 0).then_some(()));
    send(build.id() as i32, libc::SIGKILL);
    let _ = build.wait().unwrap();
    // What was cut short is gone, so that make makes it again, and placeholders become files.
    until_nothing_runs(&project);
    assert!(!project.path("text").exists(), "a text that was cut short is left");
    project.gg_make(&["-j4"]).ok();
    assert_same(&want, &project.manifest());
    assert_eq!(std::fs::read_dir(project.store().join("sessions")).unwrap().count(), 0);
}

#[test]
fn what_a_recovery_that_was_killed_left() {
    let project = Project::new();
    slow(&project);
    project.make(&["-j4"]).ok();
    let want = project.manifest();
    project.make(&["clean"]).ok();
    for _ in 0..3 {
        let mut build = start(&project);
        let before = compiled(&project);
        until(&mut build, || (compiled(&project) > before).then_some(()));
        send(build.id() as i32, libc::SIGKILL);
        let _ = build.wait().unwrap();
    }
    project.gg_make(&["-j4"]).ok();
    assert_same(&want, &project.manifest());
    assert_eq!(std::fs::read_dir(project.store().join("sessions")).unwrap().count(), 0);
}

#[test]
fn without_its_keeper_a_build_goes_on() {
    let project = Project::new();
    slow(&project);
    project.make(&["-j4"]).ok();
    let want = project.manifest();
    project.make(&["clean"]).ok();
    let told = std::fs::File::create(project.store().with_file_name("told")).unwrap();
    let mut command = project.gg_make_command(&["-j4"]);
    let mut build = command.process_group(0).stdout(told.try_clone().unwrap()).stderr(told).spawn().unwrap();
    let pid = build.id() as i32;
    let keeper = until(&mut build, || {
        let name = |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let below = gg_watch::descendants(pid).unwrap();
        below.into_iter().find(|pid| name(pid).trim_end() == "gg-keeper").filter(|_| project.path("text").exists())
    });
    send(keeper, libc::SIGKILL);
    let status = build.wait().unwrap();
    assert!(status.success(), "{}", std::fs::read_to_string(project.store().with_file_name("told")).unwrap());
    assert_same(&want, &project.manifest());
}

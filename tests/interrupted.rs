//! Builds that are interrupted or killed, and what the next one makes of it.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::project::{Project, assert_same};

/// Thirty files that take a while.
fn slow(project: &Project) {
    let mut makefile = String::from("OBJECTS = ");
    for n in 0..30 {
        makefile += &format!("f{n}.o ");
        project.write(
            format!("f{n}.cc"),
            format!("#include <map>\n#include <string>\n#include <regex>\nint f{n}(std::string const& s) {{ std::map<std::string, int> m; m[s] = {n}; return std::regex_match(s, std::regex(\"a{n}\")) + m.size(); }}\n"),
        );
    }
    makefile += "\nlibf.a: $(OBJECTS)\n\trm -f $@\n\tar cr $@ $(OBJECTS)\n%.o: %.cc\n\t$(CXX) -MMD -c $< -o $@\nclean:\n\trm -f *.o *.d *.a\n-include *.d\n";
    project.write("Makefile", makefile);
}

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

#[test]
fn ctrl_c_ends_everything_within_a_second() {
    let project = Project::new();
    slow(&project);
    let mut command = project.gg_make_command(&["-j4"]);
    // As at a terminal, where the signal goes to the whole process group.
    let mut child = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(child.try_wait().unwrap().is_none(), "the build ended too soon to be interrupted");
    let began = Instant::now();
    // SAFETY: plain kill of the group just made.
    unsafe { libc::kill(-(child.id() as i32), libc::SIGINT) };
    let status = child.wait().unwrap();
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    assert_eq!(status.signal(), Some(libc::SIGINT), "{status}");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(processes_below(&project), [] as [String; 0]);
    for (path, (_, _, content)) in project.manifest() {
        assert!(!content.starts_with(b"gg-placeholder"), "{} is a placeholder", path.display());
        assert!(!path.to_string_lossy().contains(".gg."), "{} is left over", path.display());
    }
    project.gg_make(&["-j4"]).ok();
    let got = project.manifest();
    project.make(&["clean"]).ok();
    project.make(&["-j4"]).ok();
    assert_same(&project.manifest(), &got);
}

#[test]
fn kill_9_at_any_moment() {
    let project = Project::new();
    slow(&project);
    project.make(&["-j4"]).ok();
    let want = project.manifest();
    for (round, victim) in ["gg-make", "worker", "cc1plus", "gg-make", "worker", "cc1plus"].iter().enumerate() {
        project.make(&["clean"]).ok();
        project.gg(&["clean", "--force"]);
        let mut command = project.gg_make_command(&["-j4"]);
        let mut child = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(300 + 450 * round as u64));
        match *victim {
            "gg-make" => child.kill().unwrap(),
            "worker" => drop(project.sh(&format!("pkill -9 -P {} -f __worker", child.id()))),
            name => {
                // The compilers of this build alone: in a sandbox, below its workers.
                let script = format!(
                    "for w in $(pgrep -P {}); do for i in $(pgrep -P $w); do for g in $(pgrep -P $i); do pkill -9 -P $g {name}; done; done; done",
                    child.id()
                );
                drop(project.sh(&script));
            }
        }
        let _ = child.wait().unwrap();
        let ran = project.gg_make(&["-j4"]);
        assert_eq!(ran.status, 0, "after kill -9 of {victim}: {}{}", ran.stdout, ran.stderr);
        assert_same(&want, &project.manifest());
    }
}

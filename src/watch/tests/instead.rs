//! Programs that are executed in place of others.
#![cfg(target_os = "linux")]

mod common;

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;

use common::Build;

/// Two programs; whoever executes `one` gets `other`, whose name is longer than anything that `one` leaves room for.
fn build() -> Build {
    let build = Build::new();
    let say = |what: &str| {
        format!(
            "#include <stdio.h>\n#include <sys/auxv.h>\nint main(int n, char **a) {{ (void)n; printf(\"{what} %s %s %s\\n\", a[0], a[1], \
             (char *)getauxval(AT_EXECFN)); return 0; }}\n"
        )
    };
    build.compile("one", &say("one"), &[]);
    let other = format!("other-{}", "x".repeat(200));
    build.compile(&other, &say("other"), &[]);
    let other = CString::new(build.path(&other).into_os_string().into_vec()).unwrap();
    build.known.instead.lock().unwrap().insert(build.path("one"), other);
    build
}

fn expected(build: &Build, name: &str) -> String {
    let other = build.known.instead.lock().unwrap()[&build.path("one")].clone();
    format!("other {name} x {}\n", other.to_str().unwrap())
}

#[test]
fn whoever_executes_it() {
    let build = build();
    let one = build.path("one").display().to_string();
    assert_eq!(build.sh(&format!("{one} x")), expected(&build, &one));
    // By a relative path, as the last thing a shell does, through env, and by python, which spawns with vfork.
    assert_eq!(build.sh("exec ./one x"), expected(&build, "./one"));
    assert_eq!(build.sh(&format!("env {one} x")), expected(&build, &one));
    let python = format!("python3 -c 'import subprocess; subprocess.run([\"{one}\", \"x\"])'");
    assert_eq!(build.sh(&python), expected(&build, &one));
    // What is executed is what is told of.
    let programs = build.known.programs.lock().unwrap();
    assert!(!programs.contains(&build.path("one")) && programs.iter().any(|path| path.starts_with(&build.root)));
}

#[test]
fn the_caller_keeps_its_own_strings() {
    let build = build();
    // With vfork, parent and child share them.
    let source = r#"
        #define _GNU_SOURCE
        #include <spawn.h>
        #include <stdio.h>
        #include <string.h>
        #include <sys/wait.h>
        #include <unistd.h>
        extern char **environ;
        int main(int n, char **a) {
            (void)n;
            char path[500];
            strcpy(path, a[1]);
            char *args[] = { path, "x", 0 };
            for (int i = 0; i < 3; i++) {
                pid_t pid;
                int status;
                if (posix_spawn(&pid, path, 0, 0, args, environ)) return 1;
                waitpid(pid, &status, 0);
                if (status || strcmp(path, a[1])) return 2;
                pid = vfork();
                if (!pid) { execv(path, args); _exit(9); }
                waitpid(pid, &status, 0);
                if (status || strcmp(path, a[1])) return 3;
            }
            return 0;
        }"#;
    build.compile("spawn", source, &[]);
    let one = build.path("one").display().to_string();
    assert_eq!(build.sh(&format!("./spawn {one}")), expected(&build, &one).repeat(6));
}

#[test]
fn while_signals_arrive() {
    let build = build();
    let one = build.path("one").display().to_string();
    // Children that a signal with a handler reaches while they execute something.
    let source = r#"
        #include <errno.h>
        #include <signal.h>
        #include <stdlib.h>
        #include <sys/time.h>
        #include <sys/wait.h>
        #include <unistd.h>
        static volatile int sink;
        static void deep(int s) { char room[2000]; for (int i = 0; i < 2000; i++) room[i] = (char)s; sink = room[s]; }
        int main(int n, char **a) {
            (void)n;
            struct sigaction action = { .sa_handler = deep, .sa_flags = SA_RESTART };
            sigaction(SIGALRM, &action, 0);
            for (int i = 0; i < 400; i++) {
                pid_t pid = fork();
                if (!pid) {
                    struct itimerval once = { { 0, 0 }, { 0, 1 + i } };
                    setitimer(ITIMER_REAL, &once, 0);
                    execl(a[1], a[1], "x", (char *)0);
                    _exit(100 + errno);
                }
                int status;
                waitpid(pid, &status, 0);
                // It ran, or the signal came when nobody handled it any more.
                if (status && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)) return 1 + (status >> 8);
            }
            return 0;
        }"#;
    build.compile("alarmed", source, &[]);
    let text = build.sh(&format!("./alarmed {one}"));
    assert!(text.lines().all(|line| line.starts_with("other ")), "{text}");
}

#[test]
fn from_many_threads_at_once() {
    let build = build();
    let one = build.path("one").display().to_string();
    let script = format!("for i in $(seq 40); do {one} x & done; wait");
    assert_eq!(build.sh(&script), expected(&build, &one).repeat(40));
}

#[test]
fn under_a_tracer_the_program_itself_is_executed() {
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        return;
    }
    let build = build();
    let one = build.path("one").display().to_string();
    assert_eq!(build.sh(&format!("strace -f -o log {one} x")), format!("one {one} x {one}\n"));
}

#[test]
fn with_another_view_of_the_files_the_program_itself_is_executed() {
    let build = build();
    let one = build.path("one").display().to_string();
    let script = format!("unshare -Urm sh -c 'mount -t tmpfs none /mnt && {one} x'");
    assert_eq!(build.sh(&script), format!("one {one} x {one}\n"));
}

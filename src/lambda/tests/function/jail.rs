//! What workers are shut in.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::*;

/// A worker that only looks around.
const PROBE: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
static void try(const char *what, int result) { printf("%s: %s\n", what, result < 0 ? strerror(errno) : "yes"); }
int main(void) {
    struct rlimit limit;
    printf("user %s\n", getuid() && getgid() && geteuid() ? "ordinary" : "root");
    try("gcc", access("/usr/bin/gcc", F_OK));
    try("headers", access("/usr/include/stdio.h", F_OK));
    try("libc", access("/lib64/ld-linux-x86-64.so.2", F_OK));
    try("home", access("/root", F_OK));
    try("write /", open("/x", O_CREAT | O_WRONLY, 0600));
    try("write /var/task", open("/var/task/x", O_CREAT | O_WRONLY, 0600));
    try("write /tmp", open("/tmp/x", O_CREAT | O_WRONLY, 0600));
    try("run from /tmp", mkdir("/tmp/d", 0700));
    try("null", open("/dev/null", O_RDWR));
    try("resolv.conf", access("/etc/resolv.conf", R_OK));
    try("unshare user", unshare(CLONE_NEWUSER));
    try("unshare mount", unshare(CLONE_NEWNS));
    try("clone3", (int)syscall(SYS_clone3, (void *)0, 0));
    try("setuid 0", setuid(0));
    printf("no new privileges: %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    getrlimit(RLIMIT_NOFILE, &limit);
    printf("files: %d\n", (int)limit.rlim_max);
    printf("secret: %s\n", getenv("AWS_SECRET_ACCESS_KEY") ? "yes" : "no");
    printf("other: %s\n", getenv("GG_TEST_OTHER") ? "yes" : "no");
    printf("memory: %s\n", getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"));
    return 7;
}
"#;

fn probe(dir: &tempfile::TempDir) -> PathBuf {
    fs::write(dir.path().join("probe.c"), PROBE).unwrap();
    let status = Command::new("gcc").args(["-static", "-w", "probe.c", "-o", "probe"]).current_dir(dir.path()).status();
    assert!(status.unwrap().success());
    dir.path().join("probe")
}

#[test]
fn a_worker_finds_what_a_function_finds() {
    let dir = tempfile::tempdir().unwrap();
    let probe = probe(&dir);
    let door = Door::with_worker(&probe, &["--workers", "1"]);
    let answer = door.invoke(b"{}").unwrap();
    assert_eq!((answer.status, answer.header("x-amz-function-error")), (200, "Unhandled"));
    assert!(answer.json()["errorMessage"].as_str().unwrap().ends_with("exit status 7"), "{:?}", answer.json());
    let said = door.said();
    let expected = "user ordinary\n\
        gcc: No such file or directory\n\
        headers: No such file or directory\n\
        libc: No such file or directory\n\
        home: No such file or directory\n\
        write /: Read-only file system\n\
        write /var/task: Read-only file system\n\
        write /tmp: yes\n\
        run from /tmp: yes\n\
        null: yes\n\
        resolv.conf: yes\n\
        unshare user: Operation not permitted\n\
        unshare mount: Operation not permitted\n\
        clone3: Function not implemented\n\
        setuid 0: Operation not permitted\n\
        no new privileges: 1\n\
        files: 1024\n\
        secret: no\n\
        other: no\n\
        memory: 2048\n";
    assert_eq!(said, expected);
    let open = Door::with_worker(&probe, &["--workers", "1", "--namespaces"]);
    open.invoke(b"{}").unwrap();
    assert!(open.said().contains("unshare user: yes"), "{}", open.said());
}

#[test]
fn namespaces_are_used_where_they_are_let_through() {
    let door = Door::new(&["--workers", "1", "--namespaces"]);
    let (_, response) = door.run(&WORLD.script("true"));
    assert!(["namespace", "relocated"].contains(&response.report.sandbox.as_str()));
    let (_, response) = Door::new(&["--workers", "1"]).run(&WORLD.script("true"));
    assert_eq!(response.report.sandbox, "relocated");
}

#[test]
fn a_dynamic_program_is_no_worker() {
    let door = Door::with_worker(std::path::Path::new("/bin/true"), &["--workers", "1"]);
    let answer = door.invoke(b"{}").unwrap();
    assert_eq!(answer.header("x-amz-function-error"), "Unhandled");
    assert!(door.said().contains("no static program"), "{}", door.said());
}

/// The processes below one.
fn below(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    let own: String = texts.chain([text]).collect::<Vec<_>>().join(" ");
    let children: Vec<u32> = own.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    children.iter().flat_map(|&child| [vec![child], below(child)].concat()).collect()
}

#[test]
fn killed_the_front_door_leaves_nothing() {
    let door = Door::new(&["--workers", "2"]);
    door.run(&WORLD.script("true"));
    let body = WORLD.request(&[&WORLD.script("sleep 98770")], &[]).encode();
    let (address, sent) = (door.address.clone(), Instant::now());
    let asking =
        std::thread::spawn(move || std::panic::catch_unwind(|| http(&address, "POST", INVOKE, &[], &body)).is_ok());
    let sleeping = || {
        fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            line.starts_with(b"/") && line.windows(5).any(|part| part == b"98770")
        })
    };
    while !sleeping() {
        assert!(sent.elapsed() < Duration::from_secs(20), "the step does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let all = below(door.pid());
    assert!(all.len() >= 4, "{all:?}");
    drop(door);
    let began = Instant::now();
    let lives = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    while all.iter().any(lives) {
        assert!(began.elapsed() < Duration::from_secs(5), "{all:?} live on");
        std::thread::sleep(Duration::from_millis(20));
    }
    asking.join().unwrap();
}

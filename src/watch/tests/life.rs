//! Many processes, strange processes, and the end of processes.

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::{Build, Product, eventually};
use gg_watch::{Guard, Unsupported, WatchError, spawn, supported};

#[test]
fn this_machine_can() {
    supported().unwrap();
    supported().unwrap();
}

#[test]
fn fifty_wait_at_once() {
    let build = Build::new();
    let slow = Product { delay: Duration::from_millis(1000), ..Product::of("x") };
    (0..50).for_each(|i| build.placeholder(&format!("p{i}"), slow.clone()));
    let begin = Instant::now();
    let text = build.sh("for i in $(seq 0 49); do cat p$i & done; cat /dev/null; echo not held >&2; wait");
    assert_eq!(text.matches('x').count(), 50);
    assert!(build.known.most.load(Ordering::SeqCst) > 40);
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
}

#[test]
fn many_may_want_one_file() {
    let build = Build::new();
    build.placeholder("p", Product { delay: Duration::from_millis(100), ..Product::of("x") });
    assert_eq!(build.sh("for i in $(seq 20); do cat p & done; wait"), "x".repeat(20));
}

#[test]
fn a_killed_process_harms_nobody() {
    let build = Build::new();
    build.placeholder("slow", Product { delay: Duration::from_secs(2), ..Product::of("slow") });
    build.placeholder("x", Product::of("real"));
    let script = "exec 2>/dev/null; cat slow & sleep 0.2; kill -9 $!; wait $!; echo $?; timeout -s INT 0.2 cat slow; echo $?; cat x";
    let begin = Instant::now();
    assert_eq!(build.sh(script), "137\n124\nreal");
    // The supervisor ended at once as well; what it was producing comes to its own end.
    assert!(begin.elapsed() < Duration::from_millis(1800), "{:?}", begin.elapsed());
    eventually("the file is produced all the same", || build.read("slow") == "slow");
}

#[test]
fn signals_that_do_not_kill_do_not_restart_the_call() {
    let build = Build::new();
    let source = r#"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>
static volatile int ticks;
static void tick(int s) { ticks++; }
int main(void) {
  struct itimerval often = {{0, 2000}, {0, 2000}};
  struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, 0);
  setitimer(ITIMER_REAL, &often, 0);
  int f = open("slow", O_RDONLY);
  char text[9] = {0};
  if (f < 0 || read(f, text, 8) < 0) return 1;
  return puts(text) < 0;
}"#;
    build.compile("ticker", source, &[]);
    build.placeholder("slow", Product { delay: Duration::from_millis(300), ..Product::of("slow") });
    assert_eq!(build.sh("./ticker"), "slow\n");
    assert!(build.produced().len() < 5, "{:?}", build.produced());
}

#[test]
fn threads_of_one_process_wait_apart() {
    let build = Build::new();
    let source = r#"
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void *reader(void *name) {
  char text[9] = {0};
  int f = open(name, O_RDONLY);
  if (f < 0 || read(f, text, 8) != 4 || strcmp(text, "real")) _exit(1);
  return 0;
}
int main(void) {
  pthread_t t[10];
  char name[10][8];
  for (int i = 0; i < 10; i++) { name[i][0] = 'p'; name[i][1] = '0' + i; name[i][2] = 0; pthread_create(t + i, 0, reader, name[i]); }
  for (int i = 0; i < 10; i++) pthread_join(t[i], 0);
}"#;
    build.compile("threads", source, &["-pthread"]);
    (0..10).for_each(|i| {
        build.placeholder(&format!("p{i}"), Product { delay: Duration::from_millis(300), ..Product::of("real") });
    });
    build.sh("./threads");
    assert!(build.known.most.load(Ordering::SeqCst) > 5);
}

#[test]
fn namespaces_and_other_roots() {
    let build = Build::new();
    if !Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|s| s.success()) {
        return eprintln!("no user namespaces here");
    }
    build.compile("reader", READER, &["-static"]);
    for name in ["a", "b", "sub/c", "sub/d", "sub/e", "sub/f"] {
        build.placeholder(name, Product::of("real"));
    }
    fs::copy(build.path("reader"), build.path("sub/reader")).unwrap();
    assert_eq!(build.sh("unshare -r cat a"), "real");
    assert_eq!(build.sh("unshare -rmpf --mount-proc cat \"$PWD\"/b"), "real");
    // Absolute paths and absolute links mean something else under another root.
    build.sh("ln -s /d sub/link");
    assert_eq!(build.sh("unshare -r chroot sub /reader /c"), "real");
    assert_eq!(build.sh("unshare -r chroot sub /reader link"), "real");
    // A mount that only this process sees.
    build.sh("mkdir other");
    assert_eq!(build.sh("unshare -rm sh -c 'mount --bind sub other && cat other/e'"), "real");
    assert_eq!(build.sh("unshare -rm sh -c 'mount --bind sub other && chroot other /reader ../f'"), "real");
    assert_eq!(build.produced().len(), 6);
}

const READER: &str = r#"
#include <fcntl.h>
#include <unistd.h>
int main(int c, char **v) { char b[99]; int f = open(v[1], O_RDONLY); if (f < 0) return 1;
  ssize_t n = read(f, b, sizeof b); return write(1, b, n) != n; }
"#;

#[test]
fn a_parallel_make_behaves_the_same() {
    let build = Build::new();
    let makefile = "\
OBJ := $(patsubst %,%.o,$(shell seq 20))
prog: main.o lib.a
\t$(CC) -o $@ $^
lib.a: $(OBJ)
\trm -f $@ && ar rcsD $@ $^
%.o: %.c all.h
\t$(CC) -O1 -c $< -o $@
clean:
\trm -f *.o *.a prog
";
    build.write("Makefile", makefile);
    build.write("all.h", "#include <stdio.h>\n");
    build.write(
        "main.c",
        "#include \"all.h\"\nint f20(void); int main(void) { return printf(\"%d\\n\", f20()) < 0; }\n",
    );
    for i in 1..=20 {
        build.write(&format!("{i}.c"), format!("#include \"all.h\"\nint f{i}(void) {{ return {i}; }}\n"));
    }
    let tree = || {
        let mut files: Vec<_> = fs::read_dir(&build.root).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|p| (p.clone(), fs::read(&p).unwrap())).collect::<Vec<_>>()
    };
    let plain = Command::new("make").arg("-j4").current_dir(&build.root).output().unwrap();
    assert!(plain.status.success());
    let expected = tree();
    build.sh("make clean && make -j4 && test $(./prog) = 20");
    assert!(tree() == expected, "another tree");
}

#[test]
fn what_outlives_the_command_is_still_served() {
    let build = Build::new();
    build.placeholder("x", Product::of("real"));
    build.placeholder("y", Product::of("real"));
    let script =
        "setsid sh -c 'while [ ! -e go ]; do sleep 0.02; done; cat x >out; cat y >out2; : >end' >/dev/null 2>&1 &";
    let (child, watch) = build.start(Command::new("sh").args(["-c", script]));
    assert!(child.wait_with_output().unwrap().status.success());
    assert!(!watch.wait_for(Duration::from_millis(50)), "one is left");
    drop(watch);
    build.write("go", "");
    eventually("the daemon ends", || build.path("end").exists());
    assert_eq!(build.read("out"), "not yet", "nobody was asked");
    assert_eq!(build.read("out2"), "not yet");
}

#[test]
fn the_exit_status_is_the_commands() {
    let build = Build::new();
    assert_eq!(build.output(Command::new("sh").args(["-c", "exit 7"])).status.code(), Some(7));
    assert_eq!(build.output(Command::new("sh").args(["-c", "kill -15 $$"])).status.signal(), Some(15));
}

#[test]
fn a_command_that_is_not_there() {
    let build = Build::new();
    let guard = || Arc::clone(&build.known) as Arc<dyn Guard>;
    let Err(WatchError::Command { program, source }) = spawn(&mut Command::new("/no/such"), guard()) else { panic!() };
    assert_eq!((program.to_str(), source.raw_os_error()), (Some("/no/such"), Some(libc::ENOENT)));
    let mut command = Command::new("true");
    let result = spawn(command.current_dir("/no/such"), guard());
    assert!(matches!(result, Err(WatchError::Command { .. })));
}

#[test]
fn a_command_can_be_used_again() {
    let build = Build::new();
    build.placeholder("x", Product::of("real"));
    let mut command = Command::new("cat");
    command.arg("x");
    assert_eq!(build.output(&mut command).stdout, b"real");
    assert_eq!(command.output().unwrap().stdout, b"real");
    assert_eq!(build.output(&mut command).stdout, b"real");
}

#[test]
fn a_panicking_guard_makes_the_call_fail() {
    struct Broken;
    impl Guard for Broken {
        fn concerns(&self, _: gg_watch::FileId) -> bool {
            true
        }
        fn produce(&self, _: &std::path::Path, _: gg_watch::FileId, _: gg_watch::Access) -> Result<(), i32> {
            panic!("a test of panics");
        }
        fn renamed(&self, _: &std::path::Path, _: &std::path::Path) {}
        fn executed(&self, _: &std::path::Path) {}
    }
    let Err(WatchError::Command { source, .. }) = spawn(&mut Command::new("/bin/true"), Arc::new(Broken)) else {
        panic!()
    };
    assert_eq!(source.raw_os_error(), Some(libc::EIO));
}

/// Started by the next test, under watch.
#[test]
fn inner() {
    if std::env::var_os("GG_WATCH_TEST_INNER").is_none() {
        return;
    }
    assert_eq!(supported(), Err(Unsupported::Taken));
    struct Nobody;
    impl Guard for Nobody {
        fn concerns(&self, _: gg_watch::FileId) -> bool {
            false
        }
        fn produce(&self, _: &std::path::Path, _: gg_watch::FileId, _: gg_watch::Access) -> Result<(), i32> {
            Ok(())
        }
        fn renamed(&self, _: &std::path::Path, _: &std::path::Path) {}
        fn executed(&self, _: &std::path::Path) {}
    }
    let result = spawn(&mut Command::new("true"), Arc::new(Nobody));
    assert!(matches!(result, Err(WatchError::Filter(e)) if e.raw_os_error() == Some(libc::EBUSY)));
    println!("inner was here");
}

#[test]
fn a_watch_within_a_watch_is_refused() {
    let build = Build::new();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "inner", "--nocapture"]).env("GG_WATCH_TEST_INNER", "1");
    let output = build.output(&mut command);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("inner was here"), "{text}");
}

#[test]
fn io_uring_is_refused() {
    let build = Build::new();
    let source = "#define _GNU_SOURCE\n#include <errno.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n\
                  int main(void) { return !(syscall(SYS_io_uring_setup, 1, 0) < 0 && errno == ENOSYS); }";
    build.compile("ring", source, &[]);
    build.sh("./ring");
}

#[test]
fn without_privileges() {
    // SAFETY: a plain system call.
    if unsafe { libc::geteuid() } != 0 {
        return; // Then all the other tests are about that.
    }
    let build = Build::new();
    build.placeholder("x", Product::of("real"));
    // What needs no privilege in this process, root in all tests here, is the filter: the child has none.
    let mut command = Command::new("sh");
    command.args(["-c", "cat x; grep NoNewPrivs /proc/self/status"]);
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    fs::set_permissions(&build.root, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = build.output(command.stdin(Stdio::null()));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "realNoNewPrivs:\t1\n");
    let plain = build.sh("grep NoNewPrivs /proc/self/status");
    assert_eq!(plain, "NoNewPrivs:\t0\n");
}

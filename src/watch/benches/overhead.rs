//! What the watch costs: makes of many tiny compiles and shell loops, plain and watched, in turns.
//!
//! `cargo bench -p gg-watch`. CPU seconds are those of the build and, when watched, of the supervisor too.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use gg_watch::{Access, FileId, Guard, spawn};

/// Knows ten thousand placeholders, none of which is in the tree.
struct Table(std::collections::HashSet<FileId>);

impl Guard for Table {
    fn concerns(&self, file: FileId) -> bool {
        self.0.contains(&file)
    }

    fn produce(&self, _: &Path, _: FileId, _: Access) -> Result<(), i32> {
        Ok(())
    }

    fn renamed(&self, _: &Path, _: &Path) {}

    fn executed(&self, _: &Path) {}
}

fn cpu(who: i32) -> f64 {
    // SAFETY: plain integers, valid for writes.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(who, &raw mut usage);
        usage
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// CPU and wall-clock seconds, and trapped calls.
fn run(dir: &Path, script: &str, watched: bool) -> (f64, f64, u64) {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(dir).stdout(Stdio::null());
    // Set by `cargo bench`; each program would look for each library in several directories.
    command.env_remove("LD_LIBRARY_PATH");
    let (begin, before) = (Instant::now(), cpu(libc::RUSAGE_CHILDREN) + cpu(libc::RUSAGE_SELF));
    let trapped = if watched {
        let guard = Table((0..10_000).map(|inode| FileId { device: 1 << 40, inode }).collect());
        let (mut child, watch) = spawn(&mut command, Arc::new(guard)).expect("watched");
        assert!(child.wait().expect("waited").success());
        watch.wait();
        watch.counts().trapped
    } else {
        assert!(command.status().expect("started").success());
        0
    };
    let after = cpu(libc::RUSAGE_CHILDREN) + cpu(libc::RUSAGE_SELF);
    (after - before, begin.elapsed().as_secs_f64(), trapped)
}

fn main() {
    let dir = tempfile::tempdir().expect("a directory");
    for i in 0..200 {
        fs::write(dir.path().join(format!("{i}.c")), format!("int f{i}(void) {{ return {i}; }}\n")).expect("written");
        fs::write(dir.path().join(format!("s{i}.c")), format!("#include <stdio.h>\n#include <stdlib.h>\nint f{i};\n"))
            .expect("written");
    }
    let makefile = "tiny: $(patsubst %,%.o,$(shell seq 0 199))\nstdio: $(patsubst %,s%.o,$(shell seq 0 199))\n";
    fs::write(dir.path().join("Makefile"), makefile).expect("written");
    let rounds = std::env::var("ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    for (name, script) in [
        ("200 tiny compiles", "rm -f *.o; make -s -j2 tiny CFLAGS=-O0"),
        ("200 with stdio.h", "rm -f *.o; make -s -j2 stdio CFLAGS=-O0"),
        ("500 x /bin/true", "for i in $(seq 500); do /bin/true; done"),
    ] {
        let (mut plain, mut watched, mut calls) = ((0.0, 0.0), (0.0, 0.0), 0);
        run(dir.path(), script, false);
        for _ in 0..rounds {
            let (cpu, wall, _) = run(dir.path(), script, false);
            plain = (plain.0 + cpu, plain.1 + wall);
            let (cpu, wall, trapped) = run(dir.path(), script, true);
            watched = (watched.0 + cpu, watched.1 + wall);
            calls += trapped;
        }
        let each = (watched.0 - plain.0) / calls as f64 * 1e6;
        println!(
            "{name:20} cpu {:.3} -> {:.3} s ({:+.1} %)  wall {:.3} -> {:.3} s ({:+.1} %)  {} calls, {each:.1} us each",
            plain.0 / rounds as f64,
            watched.0 / rounds as f64,
            (watched.0 / plain.0 - 1.0) * 100.0,
            plain.1 / rounds as f64,
            watched.1 / rounds as f64,
            (watched.1 / plain.1 - 1.0) * 100.0,
            calls / rounds,
        );
    }
}

//! The relocated sandbox: the same bytes as from namespaces, also where there is nothing of the host's; and what it refuses.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use gg_ir::{AbsPath, Entry, Function, Input, Kind, Name, Output, Reduction, Reference, Thunk};
use gg_store::Store;
use gg_worker::{Cancel, Job, Outcome, Pool, PoolConfig, SandboxChoice, SandboxKind, WorkerError};

use crate::support::*;

const MAIN_C: &str = "#include <stdio.h>\n#include \"inc/a.h\"\nint f(int);\nstatic int unused;\n\
    const char *where = __FILE__, *when = __TIMESTAMP__;\n#if __has_include(\"inc/missing.h\")\n#error\n#endif\n\
    int main(void) { printf(\"%d %s\\n\", f(A), where); return 0; }\n";
const F_C: &str = "int f(int x) { return x > 3 ? x * 2 : x; }\n";
const HELLO_CC: &str = "#include <iostream>\n#include <map>\n#include <string>\n\
    int main() { std::map<std::string, int> m; m[\"a\"] = 1; std::cout << m[\"a\"] << std::endl; }\n";
const START_S: &str = "#define N 3\n.globl g\ng: mov $N, %eax\nret\n.section .note.GNU-stack,\"\",@progbits\n";
const NASM: &str = "%include \"inc/n.inc\"\nglobal h\nh: mov eax, K\n ret\n";
const BROKEN_C: &str = "#include \"inc/a.h\"\nint main(void) { return undeclared(1) + ; }\n";

/// Scripts that `sh` runs; everything that they write in `/w/p` is compared, and what they say.
const SCRIPTS: &[&str] = &[
    "gcc -c main.c",
    "gcc -g -O2 -MD -MP -c main.c -o o/main.o",
    "gcc -Wall -Wextra -c main.c f.c",
    "cc -g3 -c /w/p/main.c -o x.o",
    "gcc -c ../p/inc/../main.c",
    "gcc -E main.c -o main.i; gcc -S main.c; gcc -E -dM inc/a.h -o macros",
    "gcc -save-temps -g -c main.c",
    "gcc -gsplit-dwarf -g -c main.c -o main.o",
    "gcc -frandom-seed=1 --coverage -c f.c && gcc -frandom-seed=2 -fprofile-generate -c main.c -o p.o",
    "gcc -frecord-gcc-switches -fstack-usage -fdump-tree-optimized -c f.c",
    "gcc -fdiagnostics-color=always -c broken.c",
    "gcc -c broken.c; echo $?",
    "LC_ALL=C.UTF-8 gcc -c broken.c",
    "gcc -v -c f.c",
    "gcc -c missing.c; gcc -c main.c -Inowhere -isystem /nowhere -o /nowhere/x.o",
    "gcc -H -M main.c; gcc -MM -MG -MF m.d main.c",
    "gcc -print-search-dirs; gcc -print-file-name=crt1.o; gcc -print-prog-name=cc1",
    "gcc @r.rsp",
    "gcc -x assembler-with-cpp -c start.S -o s.o; gcc -g -c start.S",
    "as -a=list -o as.o plain.s",
    "nasm -f elf64 -g n.asm -l n.lst -o n.o",
    "gcc main.c f.c -o main && ./main",
    "gcc -c main.c f.c && gcc -Wl,-Map,main.map -Wl,--build-id main.o f.o -o main",
    "gcc -static main.c f.c -o main",
    "gcc -shared -fPIC f.c -o libf.so && gcc main.c -L. -lf -Wl,-rpath,'$ORIGIN' -o main && ./main",
    "gcc -c f.c && ar rcs libf.a f.o && ranlib libf.a && ar t libf.a && gcc main.c libf.a -o main -Wl,--trace",
    "gcc main.c -o main; ld -r -o r.o main.o; nm nothing.o",
    "gcc -g -c f.c && objcopy --only-keep-debug f.o f.dbg && strip -g f.o -o f.s && strip f.o",
    "gcc -O2 -flto main.c f.c -o main && ./main",
    "gcc -frandom-seed=1 -O2 -flto -c main.c f.c; gcc -O2 -frandom-seed=1 -flto=2 -flto-partition=1to1 -save-temps main.o f.o -o main",
    "gcc -fuse-ld=gold main.c f.c -o main; gcc -c main.c f.c; gcc -fuse-ld=lld main.o f.o -o main2 -Wl,-Map,m2.map; ./main2",
    "gcc -c main.c f.c && mold -run true; gcc -B/usr/libexec/mold main.c f.c -o main",
    "gcc -O2 -ffile-prefix-map=/w=. -g -c main.c",
    "g++ -c hello.cc && g++ -O2 -g hello.cc -o hello && ./hello",
    "g++ -std=c++20 -frandom-seed=1 -MD -flto -c hello.cc",
    "clang -c main.c; clang -g -MD -O2 -c f.c -o cf.o; clang -c broken.c",
    "clang -flto=thin -c f.c -o thin.o; clang -v -c f.c; clang main.c f.c -o main && ./main",
    "make -j2 -f mk all; cat log",
    "pwd; cd inc; pwd; cd ..; pwd -P; readlink -f inc/../main.c; readlink l abs; cat l abs; ls -l abs | sed 's/.*abs/abs/'; realpath /bin/sh",
    "ls -a / /usr/include/linux /w/p; ls -d /etc/passwd /usr/share /root /home /w/p/../../../..; cat /etc/hostname",
    "env | sort; echo $0; cat /proc/self/comm; readlink /proc/self/exe; set | grep -i gg_ ; tr '\\0' '\\n' < /proc/self/cmdline | tail -1",
    "echo x > /usr/include/new; echo x >> /usr/include/stdio.h; mkdir /usr/include/d; rm /usr/include/stdio.h; mv /usr/include/stdio.h .; \
     chmod 777 /usr/include/stdio.h; ln -s x /usr/include/l; touch /usr/include/stdio.h; echo > /dev/null; echo x > /dev/new",
    "echo '#!/bin/sh -e' > s; echo 'echo $0 $1; false; echo no' >> s; chmod +x s; ./s arg; echo $?; echo 'echo plain $1' > t; chmod +x t; ./t 1; \
     PATH=.:$PATH s 2; /w/p/s 3; ./missing; echo $?; ./main.c; echo $?; /w; echo $?",
    "mkdir a; echo 1 > a/f; cp -r a b; mv b c; ln c/f hard; ln -s ../c/f a/soft; cat a/soft hard; rm -r c; find . -newer r.rsp -type f | sort; \
     rmdir a; stat -c '%F %a' a; stat -c '%F %a %s' main.c l abs; test -w main.c && echo w; test -x main.c || echo nx; stat -c %Y main.c",
    "mktemp -d > /dev/null; mktemp > n; test -f $(cat n) && echo made; rm n; cd /tmp && pwd && ls -a | wc -l",
    "cat main.c/; cat main.c/x; cat main.c/../f.c; cat nothing/../f.c; cat inc//.././/f.c; ls inc/a.h/.; cat ''",
    "cat < main.c > copy; sh -c 'exec cat' < copy > copy2; cmp copy copy2 && (echo sub; exec ls copy); x=$(ls copy*); echo \"$x\"",
];

fn gcc_says(question: &str) -> PathBuf {
    let said = Command::new("gcc").arg(question).output().unwrap();
    PathBuf::from(OsStr::from_bytes(said.stdout.trim_ascii()))
}

/// Everything that the scripts use, as far as this machine has it.
fn tools() -> Vec<String> {
    let mut tools: Vec<String> = SHELL.iter().map(|&path| path.to_owned()).collect();
    let names = "gcc cc g++ as ld ld.bfd ld.gold ld.lld mold ar ranlib nm strip objcopy nasm clang make sort sed tr readlink \
        realpath cmp mktemp rmdir test pwd touch tail wc true false";
    tools.extend(names.split_ascii_whitespace().map(|name| format!("/usr/bin/{name}")));
    for name in ["cc1", "cc1plus", "collect2", "lto1", "lto-wrapper", "liblto_plugin.so"] {
        let said = gcc_says(&format!("-print-prog-name={name}"));
        let said = if said.is_absolute() { said } else { gcc_says(&format!("-print-file-name={name}")) };
        tools.push(said.to_str().unwrap().to_owned());
    }
    tools.extend(["/usr/libexec/mold/ld", "/usr/lib/clang/14"].map(str::to_owned));
    tools.retain(|path| Path::new(path).is_file());
    tools.sort();
    tools.dedup();
    tools
}

struct Tools {
    inputs: Vec<(AbsPath, Input)>,
}

impl Tools {
    fn new(store: &Store) -> Self {
        let tools = tools();
        let tree = toolchain(store, &tools.iter().map(String::as_str).collect::<Vec<_>>());
        let mut inputs = vec![(AbsPath::root(), Input::Tree(tree))];
        let own = gcc_says("-print-file-name=include").canonicalize().unwrap();
        let mut trees = vec![PathBuf::from("/usr/include"), own.clone()];
        if let Ok(found) = Command::new("clang").arg("-print-resource-dir").output() {
            trees.push(PathBuf::from(OsStr::from_bytes(found.stdout.trim_ascii())).join("include"));
        }
        trees.push("/usr/lib/locale/C.utf8".into());
        for directory in trees.iter().filter(|path| path.is_dir()) {
            let directory = directory.canonicalize().unwrap();
            inputs.push((path(&directory), Input::Tree(store.snapshot(&directory).unwrap())));
        }
        let files = "Scrt1.o crt1.o crti.o crtn.o crtbegin.o crtbeginS.o crtbeginT.o crtend.o crtendS.o libgcc.a libgcc_eh.a libgcov.a \
            libgcc_s.so libgcc_s.so.1 libc.so libc.so.6 libc.a libc_nonshared.a libm.so libm.so.6 libm.a libmvec.so.1 libmvec.a libstdc++.so \
            libstdc++.a ld-linux-x86-64.so.2";
        for name in files.split_ascii_whitespace() {
            let said = gcc_says(&format!("-print-file-name={name}"));
            let Ok(real) = said.canonicalize() else { continue };
            // By its one spelling: gcc says it with "..".
            let place = said.parent().unwrap().canonicalize().unwrap().join(name);
            let value = store.put(Kind::Value, &fs::read(real).unwrap()).unwrap();
            inputs.push((path(place), Input::File { object: Reference::Value(value), mode: 0o644 }));
        }
        Self { inputs }
    }

    fn thunk(&self, store: &Store, script: &str) -> Thunk {
        let env = [("PATH", "/usr/bin:/bin"), ("LANG", "C"), ("ODD", "a b")];
        let function = Function {
            executable: path("/bin/sh"),
            args: ["sh", "-c", script].map(Into::into).to_vec(),
            env: env.map(|(name, value)| (name.into(), value.into())).into(),
            cwd: path("/w/p"),
            umask: 0o22,
        };
        let mut inputs: std::collections::BTreeMap<_, _> = self.inputs.iter().cloned().collect();
        let makefile = "all: f.o main.o\n\t$(CC) -o main $^\n\t./main > log\n%.o: %.c\n\t$(CC) -c $< -o $@\nV := $(shell pwd)\n$(info $V $(wildcard *.c))\n";
        for (name, content) in [
            ("main.c", MAIN_C),
            ("f.c", F_C),
            ("hello.cc", HELLO_CC),
            ("start.S", START_S),
            ("plain.s", ".globl p\np: ret\n"),
            ("n.asm", NASM),
            ("broken.c", BROKEN_C),
            ("inc/a.h", "#pragma once\n#define A 42\n"),
            ("inc/n.inc", "%define K 7\n"),
            ("r.rsp", "-O1 -c\nmain.c -o 'r.o'\n"),
            ("mk", makefile),
        ] {
            let value = store.put(Kind::Value, content.as_bytes()).unwrap();
            let file = Input::File { object: Reference::Value(value), mode: 0o644 };
            inputs.insert(path(format!("/w/p/{name}")), file);
        }
        inputs.insert(path("/w/p/o"), Input::Directory);
        inputs.insert(path("/w/p/l"), Input::Symlink("inc/a.h".into()));
        inputs.insert(path("/w/p/abs"), Input::Symlink("/w/p/inc/a.h".into()));
        let never = Output { path: path("/w/p/never"), optional: true, dynamic: false };
        Thunk {
            function,
            inputs,
            outputs: [(tag("never"), never)].into(),
            timeout: None,
            volatile: false,
            strict: false,
        }
    }
}

/// A run that may fail, as a reduction: all of it that can be compared.
fn run(pool: &Pool, thunk: &Thunk) -> Result<(Reduction, i32), WorkerError> {
    let name = thunk.name();
    let job = Job {
        thunk: &name,
        description: thunk,
        resolved: Default::default(),
        timeout: Duration::from_secs(120),
        terminal: false,
    };
    Ok(match pool.run(&job, &Cancel::new().unwrap())? {
        Outcome::Done(reduction) => (reduction, 0),
        Outcome::Failed(failure) => {
            let code = failure.status.code();
            let (outputs, undeclared, cost) = (failure.outputs, failure.undeclared, failure.cost);
            (Reduction { thunk: name, outputs, undeclared, stdout: failure.stdout, stderr: failure.stderr, cost }, code)
        }
    })
}

/// What differs, for people; temporary names are no difference.
fn difference(script: &str, was: &(Reduction, i32), is: &(Reduction, i32)) -> Option<String> {
    let plain = |text: &[u8]| {
        let mut out = String::new();
        for part in String::from_utf8_lossy(text).split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
            let stem = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            // cc and six letters; make's process number.
            out.push_str(if stem.len() == 8 && stem.starts_with("cc") { "ccXXXXXX" } else { part });
        }
        out
    };
    let mut out = String::new();
    for (what, was, is) in [("stdout", &was.0.stdout, &is.0.stdout), ("stderr", &was.0.stderr, &is.0.stderr)] {
        if plain(was) != plain(is) {
            out += &format!("{what}:\n{}\nnow:\n{}\n", String::from_utf8_lossy(was), String::from_utf8_lossy(is));
        }
    }
    if was.1 != is.1 {
        out += &format!("status {}, now {}\n", was.1, is.1);
    }
    let paths: std::collections::BTreeSet<_> = was.0.undeclared.keys().chain(is.0.undeclared.keys()).collect();
    for path in paths {
        let (was, is) = (was.0.undeclared.get(path), is.0.undeclared.get(path));
        if was != is {
            out += &format!("{path}: {was:?}, now {is:?}\n");
        }
    }
    (!out.is_empty()).then(|| format!("== {script}\n{out}"))
}

#[test]
fn the_same_bytes_as_in_namespaces() {
    let namespace = Bench::with(1, SandboxChoice::Namespace);
    let tools = Tools::new(&namespace.store);
    let relocated = Pool::start(PoolConfig {
        store: namespace.store.clone(),
        processes: 1,
        scratch: namespace.store.dir().join("relocated"),
        worker_command: worker_command(),
        memory_limit: None,
        sandbox: SandboxChoice::Relocated,
    })
    .unwrap();
    assert_eq!(relocated.kind(), (SandboxKind::Relocated, None));
    let mut told = Vec::new();
    for script in SCRIPTS {
        let thunk = tools.thunk(&namespace.store, script);
        let was = run(&namespace.pool, &thunk).unwrap();
        match run(&relocated, &thunk) {
            Ok(is) => told.extend(difference(script, &was, &is)),
            Err(error) => told.push(format!("== {script}\n{error}")),
        }
    }
    assert!(told.is_empty(), "{} of {} differ\n{}", told.len(), SCRIPTS.len(), told.join("\n"));
}

#[test]
fn what_the_shim_cannot_reach_is_said_and_never_believed() {
    let bench = Bench::with(1, SandboxChoice::Relocated);
    let outside = tempfile::tempdir().unwrap();
    let source = outside.path().join("s.c");
    let program = outside.path().join("s");
    fs::write(&source, "#include <unistd.h>\nint main(void) { return access(\"/etc/passwd\", 0) ? 0 : 3; }\n").unwrap();
    assert!(Command::new("gcc").arg("-static").arg(&source).arg("-o").arg(&program).status().unwrap().success());
    let program = fs::read(&program).unwrap();
    let unfit = |step: Step<'_>, what: &str| match step.error() {
        WorkerError::Unfit { reason } => assert!(reason.contains(what), "{reason}"),
        other => panic!("{other}"),
    };
    let mut step = bench.script("").file_mode("/p/static", &program, 0o755);
    step.thunk.function.executable = path("/p/static");
    unfit(step, "/p/static is statically linked");
    // A child of it, whatever its parent makes of that.
    let step = bench.script("./static || :; echo done > o").file_mode("/p/static", &program, 0o755);
    unfit(step.output("o", "/p/o"), "/p/static is statically linked");
    unfit(bench.script("LD_PRELOAD=/p/x.so cat /dev/null; :"), "LD_PRELOAD");
    // A loader or a library that is not there.
    let mut step = bench.script("true");
    step.thunk.inputs.remove(&AbsPath::root());
    let cat = fs::read("/usr/bin/cat").unwrap();
    let mut step = step.file_mode("/p/cat", &cat, 0o755);
    step.thunk.function.executable = path("/p/cat");
    assert!(
        matches!(step.error(), WorkerError::CannotStart { source, .. } if source.raw_os_error() == Some(libc::ENOENT))
    );
    let loader = fs::read("/lib64/ld-linux-x86-64.so.2").unwrap();
    let step = step.file_mode("/lib64/ld-linux-x86-64.so.2", loader, 0o755);
    unfit(step, "librar");
    assert_eq!(bench.script("echo fine").says(), "fine\n");
}

/// The behaviours of the namespace sandbox, as far as they can hold: processes are the machine's, and so is the network.
#[test]
fn all_the_same_as_with_namespaces() {
    if std::env::var_os(RELOCATED).is_some() {
        return;
    }
    let skipped = ["there_is_no_network", "the_user_stays", "other_processes", "not_root", "a_coordinator"];
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--test-threads=2", "isolation::", "outputs::", "ends::", "compile::"])
        .args(skipped.iter().flat_map(|name| ["--skip", name]))
        .env(RELOCATED, "1")
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}

/// Messages and characters of another language, from the archive whose path the C library has built in.
#[test]
fn locales_come_out_of_an_archive() {
    let bench = Bench::with(1, SandboxChoice::Namespace);
    let tools = Tools::new(&bench.store);
    let made = tempfile::tempdir().unwrap();
    let directory = made.path().join("usr/lib/locale");
    fs::create_dir_all(&directory).unwrap();
    // The one locale that every system has, under another name.
    let named = made.path().join("xx_YY.utf8");
    assert!(Command::new("cp").arg("-r").arg("/usr/lib/locale/C.utf8").arg(&named).status().unwrap().success());
    let add = Command::new("localedef").arg("--prefix").arg(made.path()).arg("--add-to-archive").arg(&named).output();
    assert!(add.unwrap().status.success());
    let archive = fs::read(directory.join("locale-archive")).unwrap();
    let value = bench.store.put(Kind::Value, &archive).unwrap();
    let relocated = Pool::start(PoolConfig {
        store: bench.store.clone(),
        processes: 1,
        scratch: bench.store.dir().join("relocated"),
        worker_command: worker_command(),
        memory_limit: None,
        sandbox: SandboxChoice::Relocated,
    })
    .unwrap();
    for (locale, quote) in
        [("xx_YY.UTF-8", "\u{2018}"), ("xx_YY.utf8", "\u{2018}"), ("C.UTF-8", "\u{2018}"), ("zz_ZZ.UTF-8", "'")]
    {
        let script = "gcc -c broken.c; ls inc > l1";
        let mut thunk = tools.thunk(&bench.store, script);
        let file = Input::File { object: Reference::Value(value), mode: 0o644 };
        thunk.inputs.insert(path("/usr/lib/locale/locale-archive"), file);
        thunk.function.env.insert("LC_ALL".into(), locale.into());
        let (was, is) = (run(&bench.pool, &thunk).unwrap(), run(&relocated, &thunk).unwrap());
        assert!(String::from_utf8_lossy(&was.0.stderr).contains(&format!("{quote}undeclared")), "{locale}: {was:?}");
        assert_eq!(difference(script, &was, &is), None, "{locale}");
    }
}

/// What the jail's own run of this test gets.
const JAIL: &str = "GG_TEST_JAIL";

/// An empty, read-only root with `/tmp` alone writable, another user without any rights: as on Lambda. The steps' results are those
/// of the namespace sandbox.
#[test]
fn the_same_bytes_where_there_is_nothing_else() {
    if std::env::var_os(JAIL).is_some() {
        return in_jail();
    }
    let bench = Bench::with(1, SandboxChoice::Namespace);
    let tools = Tools::new(&bench.store);
    let jail = tempfile::tempdir().unwrap();
    let at = |name: &str| jail.path().join(name);
    for name in ["tmp", "dev", "proc", "own"] {
        fs::create_dir(at(name)).unwrap();
    }
    let store = Store::open(&at("tmp/store")).unwrap();
    for script in SCRIPTS {
        let thunk = tools.thunk(&bench.store, script);
        let (reduction, code) = run(&bench.pool, &thunk).unwrap();
        for input in thunk.inputs.values() {
            match input {
                Input::Tree(tree) => copy_value(&bench.store, &store, tree, true),
                Input::File { object, .. } => copy_value(&bench.store, &store, object.name(), false),
                _ => {}
            }
        }
        store.put_thunk(&thunk).unwrap();
        for made in reduction.undeclared.values() {
            copy_value(&bench.store, &store, made.object.name(), false);
        }
        store.record(&reduction).unwrap();
        fs::write(at("tmp").join(thunk.name().to_string()), format!("{code}\n{script}")).unwrap();
    }
    drop(store);
    // This test program, with what it needs itself out of the way of everything else.
    let own = std::env::current_exe().unwrap();
    fs::copy(&own, at("own/tests")).unwrap();
    let listed = Command::new("ldd").arg(&own).output().unwrap();
    let mut start = vec!["/own/tests".to_owned()];
    for library in
        String::from_utf8(listed.stdout).unwrap().split_ascii_whitespace().filter(|word| word.starts_with('/'))
    {
        let name = Path::new(library).file_name().unwrap().to_str().unwrap();
        fs::copy(library, at("own").join(name)).unwrap();
        if name.starts_with("ld-linux") {
            let loader = format!("/own/{name} --inhibit-cache --library-path /own /own/tests");
            start = loader.split(' ').map(str::to_owned).collect();
        }
    }
    let script = "set -e; J=$1; shift; chown -R 65534:65534 $J/tmp; mount --bind $J $J; mount -o remount,bind,ro $J; \
        mount --bind $J/tmp $J/tmp; mount -o remount,bind,rw $J/tmp; mount -t proc proc $J/proc; mount -t tmpfs dev $J/dev; \
        for d in null zero full random urandom; do : > $J/dev/$d; mount --bind /dev/$d $J/dev/$d; done; mount -o remount,ro $J/dev; \
        exec setpriv --no-new-privs chroot --userspec=65534:65534 --groups= $J \"$@\"";
    let mut command = Command::new("unshare");
    // Whoever is not root has one user only, and that one may not be root inside either.
    let root = rustix::process::geteuid().is_root();
    let script =
        if root { script.to_owned() } else { script.replace("chown -R 65534:65534 $J/tmp;", "").replace("65534", "0") };
    let run = command
        .args(if root { &["-m", "-p", "-f"][..] } else { &["-r", "-m", "-p", "-f"] })
        .args(["sh", "-c", &script, "sh"])
        .arg(jail.path())
        .args(&start)
        .args(["--exact", "relocated::the_same_bytes_where_there_is_nothing_else", "--nocapture"])
        .env(JAIL, start.join("\n"))
        .env("TMPDIR", "/tmp")
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("as recorded"), "{said}");
}

fn copy_value(from: &Store, to: &Store, name: &Name, tree: bool) {
    if to.contains(name) {
        return;
    }
    if !tree {
        assert_eq!(to.put(Kind::Value, &from.read(name).unwrap()).unwrap(), *name);
        return;
    }
    let listed = from.read_tree(name).unwrap();
    for (_, entry) in listed.entries() {
        match entry {
            Entry::File { content, .. } => copy_value(from, to, content, false),
            Entry::Tree(below) => copy_value(from, to, below, true),
            Entry::Symlink(_) => {}
        }
    }
    to.put_tree(&listed).unwrap();
}

fn in_jail() {
    assert!(!Path::new("/usr").exists() && fs::write("/new", "").is_err());
    let store = Arc::new(Store::open(Path::new("/tmp/store")).unwrap());
    let mut command: Vec<OsString> = std::env::var(JAIL).unwrap().lines().map(OsString::from).collect();
    command.push("__worker".into());
    let pool = Pool::start(PoolConfig {
        store: store.clone(),
        processes: 1,
        scratch: "/tmp/scratch".into(),
        worker_command: command,
        memory_limit: None,
        sandbox: SandboxChoice::Relocated,
    })
    .unwrap();
    let (mut told, mut count) = (Vec::new(), 0);
    for entry in fs::read_dir("/tmp").unwrap().flatten() {
        let Some(name) = entry.file_name().to_str().and_then(|name| name.parse::<Name>().ok()) else { continue };
        let text = fs::read_to_string(entry.path()).unwrap();
        let (code, script) = text.split_once('\n').unwrap();
        let was = (store.reduction(&name).unwrap().unwrap(), code.parse().unwrap());
        match run(&pool, &store.read_thunk(&name).unwrap()) {
            Ok(is) => told.extend(difference(script, &was, &is)),
            Err(error) => told.push(format!("== {script}\n{error}")),
        }
        count += 1;
    }
    assert!(told.is_empty() && count > 40, "{} of {count} differ\n{}", told.len(), told.join("\n"));
    println!("{count} as recorded");
}

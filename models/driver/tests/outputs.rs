//! The names of outputs: each command line is planned, then run, and what it wrote is compared.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::step;
use crate::driver::testing::Scratch;

/// Command lines, words parted by spaces (`%` is a space within a word), and the kinds of the files besides the first
/// that must be named ahead. What is marked `*` writes more, which only the sandbox can collect.
const ROWS: &[&str] = &[
    // One source.
    "gcc -c m.c",
    "gcc -c m.c -o sub/x.o",
    "gcc -c m.c -osub/x.o",
    "gcc -c m.c --output=sub/x.o",
    "gcc -c sub/../m.c -MD",
    "gcc -S m.c",
    "gcc -S m.c -o sub/x.s -MD",
    "gcc -E m.c -o sub/x.i",
    "gcc -E m.c -o sub/x.i -MD",
    "gcc -c -x c++ m.c -MD",
    "gcc -c .dot.c --coverage",
    "gcc -c a%b.c -o sub/a%b.o -MD",
    "gcc -c a%b.c -MMD -MP",
    "gcc -c t.s",
    "gcc -c t.s -g -gsplit-dwarf",
    "gcc -c u.S -MD",
    "gcc -c m.c -o sub/x.y.o -MD -gsplit-dwarf --coverage -fstack-usage -fcallgraph-info",
    "gcc -c m.c -o sub/x -MD --coverage",
    "gcc -c m.c -o sub/.x.o -MD --coverage",
    "gcc -c m.c -o sub/.o --coverage",
    "gcc -c m.c -gsplit-dwarf -gno-split-dwarf",
    "gcc -S m.c -gsplit-dwarf --coverage",
    "gcc -c m.c -ftest-coverage -fprofile-note=sub/n.gcno",
    "gcc -c m.c -fprofile-generate",
    "gcc -c m.c -flto -MD",
    "gcc -c m.c -aux-info sub/p.txt",
    "gcc -c m.c -time=sub/t.txt",
    "gcc -c m.c -Wa,-adhlns=sub/m.lst",
    // Rules for make.
    "gcc -c m.c -MD -MF sub/f.d -o sub/x.o",
    "gcc -c m.c -Wp,-MD,sub/.f.d -o sub/x.o",
    "gcc -c m.c -Wp,-MMD,sub/f.d,-MT,target",
    "gcc -c m.c -Xpreprocessor -MD -Xpreprocessor sub/f.d",
    "gcc -M m.c -o sub/f.d",
    "gcc -MM m.c -MF sub/f.d",
    "gcc -MM m.c -MF sub/f.d -MT x -MG -MP",
    "gcc -M -MD m.c -MF sub/f.d",
    // Several sources.
    "gcc -c m.c n.cpp",
    "gcc -c m.c n.cpp -MD -gsplit-dwarf --coverage -fstack-usage",
    "gcc -c m.c n.cpp -MD -MF sub/f.d",
    "gcc -S m.c n.cpp -MD",
    // Kept intermediate files.
    "gcc -c m.c n.cpp -save-temps",
    "gcc -c m.c -o sub/x.o -save-temps",
    "gcc -c m.c -o sub/x.o -save-temps=obj",
    "gcc -c m.c -o sub/x.o -save-temps=cwd",
    "gcc -S m.c -o sub/x.s -save-temps=obj",
    "g++ m.c n.cpp -o sub/p -save-temps",
    // Other names: the sandbox collects.
    "* gcc -c m.c -o sub/x.o -dumpbase zz -fstack-usage",
    "* gcc -c m.c -fdump-tree-gimple -o sub/x.o",
    "* gcc -c m.c -O2 -fopt-info-all=sub/opt.txt",
    // Compiled and linked.
    "gcc m.c",
    "gcc m.c -o sub/p",
    "gcc m.c -o sub/p -MD -gsplit-dwarf --coverage",
    "gcc m.c -MD -gsplit-dwarf --coverage",
    "gcc m.c b.c -MD -gsplit-dwarf --coverage -fstack-usage",
    "gcc m.c b.c -o sub/p.exe -MD -gsplit-dwarf --coverage",
    "gcc m.c -o sub/p.x -MD --coverage",
    "gcc m.c -o m -MD --coverage",
    "gcc m.c -lm -o sub/m -MD --coverage",
    "gcc m.c -o m.out -MD --coverage",
    "gcc m.c -shared -fPIC -o sub/m.so -MD --coverage",
    "gcc m.c -r -o sub/m.o -nostdlib",
    "gcc m.c -static -o sub/p",
    "gcc m.c -pie -o sub/p -Wl,-Map,sub/p.map",
    "gcc -flto m.c b.c -o sub/p",
    "gcc m.c -o sub/p -fuse-ld=gold",
    "g++ n.cpp m.c -o sub/p",
    // Headers.
    "gcc h.h",
    "gcc sub/k.h",
    "gcc -x c++-header h.h -o sub/h.h.gch -MD",
    "gcc -c h.h",
    // Clang.
    "clang -c m.c",
    "clang -c m.c -o sub/x.y.o -MMD -gsplit-dwarf -g --coverage -fstack-usage",
    "clang -c m.c -o sub/x -MMD -gsplit-dwarf --coverage",
    "clang -c m.c n.cpp -MMD -gsplit-dwarf -g --coverage -fstack-usage",
    "clang -S m.c -o sub/q.s -MD",
    "clang -E m.c -o sub/q.i -MD",
    "clang -c m.c -o sub/q.o -save-temps",
    "clang -c m.c -o sub/q.o -save-temps=obj -MD",
    "clang -S -emit-llvm m.c",
    "clang -c -emit-llvm m.c -o sub/m.bc -MD",
    "clang -c m.c -flto -MD",
    "clang -c m.c -ftime-trace -o sub/q.o",
    "clang -c m.c -MJ sub/c.json",
    "clang -c m.c --serialize-diagnostics sub/m.dia",
    "clang -c m.c -Wp,-MD,sub/f.d",
    "clang -MM m.c -MF sub/f.d",
    "clang -M m.c -o sub/f.d",
    "clang -c t.s",
    "clang -c u.S -MD",
    "clang m.c",
    "clang m.c b.c -MD -gsplit-dwarf -g --coverage -fstack-usage",
    "clang m.c b.c -o sub/p -MD -gsplit-dwarf -g --coverage -fstack-usage",
    "clang m.c -o sub/p -save-temps=obj -MD",
    "clang m.c -o sub/p -save-temps",
    "clang m.c -o sub/p -fuse-ld=lld",
    "clang++ n.cpp m.c -o sub/p",
];

fn scratch() -> Scratch {
    Scratch::new()
        .with("m.c", "#include \"h.h\"\nint main(void) { return 0; }\n")
        .with("b.c", "int b(void) { return 1; }\n")
        .with("n.cpp", "int n() { return 1; }\n")
        .with("a b.c", "int ab(void) { return 1; }\n")
        .with(".dot.c", "int dot(void) { return 1; }\n")
        .with("t.s", ".data\n.long 1\n")
        .with("u.S", "#include \"h.h\"\n.data\n")
        .with("h.h", "")
        .with("sub/k.h", "")
}

#[test]
fn are_what_the_compilers_write() {
    let mut wrong = Vec::new();
    for row in ROWS {
        let (more, line) = row.strip_prefix("* ").map_or((false, *row), |line| (true, line));
        let words: Vec<String> = line.split(' ').map(|word| word.replace('%', " ")).collect();
        let scratch = scratch();
        let call = scratch.call(&words);
        let before = scratch.files();
        let plan = step(&call);
        scratch.run(&call);
        let written: BTreeSet<PathBuf> = scratch.files().difference(&before).cloned().collect();
        let name = |path: &PathBuf| {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            real.strip_prefix(scratch.path("")).unwrap_or(&real).to_owned()
        };
        let named: BTreeSet<PathBuf> = plan.writes.iter().map(|write| name(&write.path)).collect();
        let sure: BTreeSet<PathBuf> =
            plan.writes.iter().filter(|write| !write.optional).map(|write| name(&write.path)).collect();
        let tags: BTreeSet<&str> = plan.writes.iter().map(|write| write.tag.as_str()).collect();
        if tags.len() != plan.writes.len() {
            wrong.push(format!("{line}: tags repeat: {:?}", plan.writes));
        }
        if !more && !written.is_subset(&named) {
            wrong.push(format!("{line}: not named: {:?}", written.difference(&named).collect::<Vec<_>>()));
        }
        if !sure.is_subset(&written) {
            wrong.push(format!("{line}: not written: {:?}", sure.difference(&written).collect::<Vec<_>>()));
        }
        for write in plan.writes.iter().filter(|write| written.contains(&name(&write.path))) {
            if scratch.is_executable(&name(&write.path)) != write.executable {
                wrong.push(format!("{line}: mode of {:?}", write.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

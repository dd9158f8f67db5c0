//! Options that write files beside the main output.
//!
//! Files that no row predicts (`-fdump-*`) are found after the step by the sandbox, which collects what was written.

use crate::driver::option::Families::{Both, Clang, Gcc};
use crate::driver::option::Meaning::*;
use crate::driver::option::Operand::*;
use crate::driver::option::{Row, Side as S};

pub(super) const ROWS: &[Row] = &[
    ("-gsplit-dwarf", Alone, Side(S::SplitDwarf), Both),
    ("-gsplit-dwarf=", Joined, Side(S::SplitDwarf), Clang),
    ("-gno-split-dwarf", Alone, Side(S::NoSplitDwarf), Both),
    ("--coverage", Alone, Side(S::Coverage), Both),
    ("-coverage", Alone, Side(S::Coverage), Both),
    ("-ftest-coverage", Alone, Side(S::Coverage), Both),
    ("-fprofile-arcs", Alone, Harmless, Both),
    ("-fprofile-note=", Joined, Writes("gcno"), Gcc),
    ("-fprofile-generate", Optional, Harmless, Both),
    ("-fprofile-dir=", Joined, Harmless, Both),
    ("-fstack-usage", Alone, Side(S::StackUsage), Both),
    ("-fcallgraph-info", Alone, Side(S::CallGraph), Gcc),
    ("-fcallgraph-info=", Joined, Side(S::CallGraph), Gcc),
    ("-save-temps", Alone, Side(S::Temporaries), Both),
    ("--save-temps", Alone, Side(S::Temporaries), Both),
    ("-save-temps=obj", Alone, Side(S::Temporaries), Both),
    ("--save-temps=obj", Alone, Side(S::Temporaries), Both),
    ("-save-temps=cwd", Alone, Side(S::TemporariesHere), Both),
    ("--save-temps=cwd", Alone, Side(S::TemporariesHere), Both),
    ("-ftime-trace", Alone, Side(S::TimeTrace), Clang),
    ("-ftime-trace=", Joined, Writes("json"), Clang),
    ("-dumpbase", Separate, Side(S::Names), Gcc),
    ("-dumpbase-ext", Separate, Side(S::Names), Gcc),
    ("-dumpdir", Separate, Side(S::Names), Gcc),
    ("--dumpbase", Separate, Side(S::Names), Gcc),
    ("--dumpbase-ext", Separate, Side(S::Names), Gcc),
    ("--dumpdir", Separate, Side(S::Names), Gcc),
    ("-fdump-", Joined, Harmless, Gcc),
    ("-fopt-info", Optional, Harmless, Gcc),
    ("-fsave-optimization-record", Optional, Harmless, Both),
    ("-foptimization-record-file=", Joined, Writes("opt"), Clang),
    ("-aux-info", Separate, Writes("aux"), Gcc),
    ("-aux-info=", Joined, Writes("aux"), Gcc),
    ("-time=", Joined, Writes("time"), Gcc),
    ("-serialize-diagnostics", Separate, Writes("dia"), Clang),
    ("--serialize-diagnostics", Separate, Writes("dia"), Clang),
    ("-fproc-stat-report", Alone, Harmless, Clang),
    ("-fproc-stat-report=", Joined, Writes("stat"), Clang),
    ("-save-stats", Optional, Harmless, Clang),
    ("-fthin-link-bitcode=", Joined, Writes("thinlink"), Clang),
    ("-dependency-file", Separate, Writes("d"), Clang),
    ("-dependency-dot", Separate, Writes("dot"), Clang),
];

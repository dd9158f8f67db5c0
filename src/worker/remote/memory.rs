//! Telling a lack of memory from a failure of the program's own.
//!
//! The kernel kills a process, and what its parent then says is all that is left of it: compilers' drivers report it and exit
//! with 1. Where this is mistaken, the step is run once more elsewhere, and fails there as it did here.

use crate::{Failure, Status};

/// What drivers, compilers and linkers write when one of them got no memory, or was killed (GCC's gcc.cc, collect2.cc and
/// toplev; LLVM's ErrorHandling; GNU ld's bfd errors).
const SAID: [&[u8]; 7] = [
    b"Killed signal terminated program",
    b"terminated with signal 9 [Killed]",
    b"virtual memory exhausted",
    b"out of memory allocating",
    b"LLVM ERROR: out of memory",
    b"memory exhausted",
    b"unable to execute command: Killed",
];

/// How many processes the kernel has killed for want of memory (proc(5), /proc/vmstat). On a cloud function the kernel is
/// this worker's alone.
pub(super) fn kills() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/vmstat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// Whether a program failed for want of memory, `kills` having been read before it began.
pub(super) fn lacked(failure: &Failure, kills_before: Option<u64>) -> bool {
    let killed = matches!(failure.status, Status::Signalled(libc::SIGKILL) | Status::Exited(137));
    let said = |text: &[u8]| SAID.iter().any(|part| text.windows(part.len()).any(|window| window == *part));
    let counted = || matches!((kills_before, kills()), (Some(before), Some(after)) if after > before);
    !failure.status.success() && (killed || said(&failure.stderr) || counted())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: Status, stderr: &[u8]) -> Failure {
        Failure {
            status,
            stdout: vec![],
            stderr: stderr.to_vec(),
            cost: gg_ir::Cost::default(),
            missing_outputs: vec![],
            outputs: Default::default(),
            undeclared: Default::default(),
        }
    }

    #[test]
    fn what_a_killed_compiler_leaves() {
        let said = b"gcc: fatal error: Killed signal terminated program cc1\ncompilation terminated.\n";
        assert!(lacked(&failure(Status::Exited(1), said), None));
        assert!(lacked(&failure(Status::Signalled(9), b""), None));
        assert!(lacked(&failure(Status::Exited(1), b""), Some(0)) == kills().is_some_and(|kills| kills > 0));
        assert!(!lacked(&failure(Status::Exited(1), b"a.c:1:1: error: expected ';'\n"), None));
        assert!(!lacked(&failure(Status::Exited(0), said), Some(0)));
    }
}

//! Telling a lack of memory, or of room on the disk, from a failure of the program's own.
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

/// What a program writes when the scratch space is full (glibc's text for ENOSPC; programs run in the C locale or say it in
/// English all the same, as compilers do).
const FULL: &[u8] = b"No space left on device";

/// What was lacking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    Memory,
    Room,
}

/// How many processes the kernel has killed for want of memory (proc(5), /proc/vmstat). On a cloud function the kernel is
/// this worker's alone.
pub(super) fn kills() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/vmstat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// What a program that failed lacked, if it did; `kills` was read before it began.
pub(super) fn lacked(failure: &Failure, kills_before: Option<u64>) -> Option<Lack> {
    if failure.status.success() {
        return None;
    }
    let killed = matches!(failure.status, Status::Signalled(libc::SIGKILL) | Status::Exited(137));
    let said = |part: &[u8]| failure.stderr.windows(part.len()).any(|window| window == part);
    let counts = kills_before.zip(kills());
    let counted = counts.is_some_and(|(before, after)| after > before);
    // A program may as well have killed itself.
    let killed = killed && (counted || counts.is_none());
    if said(FULL) {
        return Some(Lack::Room);
    }
    (killed || SAID.iter().any(|part| said(part)) || counted).then_some(Lack::Memory)
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
        assert_eq!(lacked(&failure(Status::Exited(1), said), None), Some(Lack::Memory));
        assert_eq!(lacked(&failure(Status::Signalled(9), b""), None), Some(Lack::Memory));
        let full = b"/usr/bin/ld: final link failed: No space left on device\n";
        assert_eq!(lacked(&failure(Status::Exited(1), full), None), Some(Lack::Room));
        assert_eq!(lacked(&failure(Status::Exited(1), b"a.c:1:1: error: expected ';'\n"), None), None);
        assert_eq!(lacked(&failure(Status::Exited(0), said), Some(0)), None);
        // It has killed itself, or somebody else has.
        assert_eq!(lacked(&failure(Status::Signalled(9), b""), kills()), None);
        // More kills than before, whatever was said.
        let counted = lacked(&failure(Status::Exited(1), b""), Some(0)).is_some();
        assert_eq!(counted, kills().is_some_and(|kills| kills > 0));
    }
}

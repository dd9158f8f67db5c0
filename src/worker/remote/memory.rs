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

/// A program that is killed with so small a part of the memory, one in this many, has not been killed for that.
const SMALL: u64 = 8;

/// What a program that failed lacked, if it did; `kills_before` was read before it began, and the worker has `memory_mib` (0 where that
/// is not known).
pub(super) fn lacked(failure: &Failure, kills_before: Option<u64>, memory_mib: u64) -> Option<Lack> {
    if failure.status.success() {
        return None;
    }
    let killed = matches!(failure.status, Status::Signalled(libc::SIGKILL) | Status::Exited(137));
    let said = |part: &[u8]| failure.stderr.windows(part.len()).any(|window| window == part);
    let counts = kills_before.zip(kills());
    let counted = counts.is_some_and(|(before, after)| after > before);
    // A program may as well have killed itself. Not only the kernel kills for want of memory.
    let is_small = counts.is_some() && failure.cost.peak_kib.saturating_mul(SMALL) < memory_mib << 10;
    let killed = killed && (counted || !is_small);
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
        assert_eq!(lacked(&failure(Status::Exited(1), said), None, 0), Some(Lack::Memory));
        assert_eq!(lacked(&failure(Status::Signalled(9), b""), None, 0), Some(Lack::Memory));
        let full = b"/usr/bin/ld: final link failed: No space left on device\n";
        assert_eq!(lacked(&failure(Status::Exited(1), full), None, 0), Some(Lack::Room));
        assert_eq!(lacked(&failure(Status::Exited(1), b"a.c:1:1: error: expected ';'\n"), None, 0), None);
        assert_eq!(lacked(&failure(Status::Exited(0), said), Some(0), 0), None);
        // It has killed itself, or somebody else has.
        let own = |peak_kib: u64| {
            let cost = gg_ir::Cost { peak_kib, ..gg_ir::Cost::default() };
            lacked(&Failure { cost, ..failure(Status::Signalled(9), b"") }, kills(), 1024)
        };
        assert_eq!(own(3 << 10), kills().map_or(Some(Lack::Memory), |_| None));
        assert_eq!(own(900 << 10), Some(Lack::Memory));
        // More kills than before, whatever was said.
        let counted = lacked(&failure(Status::Exited(1), b""), Some(0), 0).is_some();
        assert_eq!(counted, kills().is_some_and(|kills| kills > 0));
    }
}

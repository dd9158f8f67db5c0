//! How much memory there is.

/// Where the machine does not say: 16 GiB.
const UNKNOWN: u64 = 16 << 30;

/// The most bytes of one sandbox's own files: not all of the memory, so that a runaway output ends in a full sandbox instead of a
/// dead machine.
pub(crate) fn for_sandbox() -> u64 {
    memory().map_or(UNKNOWN, |bytes| bytes / 4 * 3)
}

/// The machine's memory in bytes.
fn memory() -> Option<u64> {
    // SAFETY: plain system call that fills the structure.
    unsafe {
        let mut info = std::mem::zeroed::<libc::sysinfo>();
        (libc::sysinfo(&raw mut info) == 0).then(|| info.totalram as u64 * u64::from(info.mem_unit))
    }
}

//! Which system calls are trapped, by ABI: number, meaning, and the position of each argument.
//!
//! The numbers of the native ABI come from the `libc` crate; those of the 32-bit ABIs from the kernel's
//! `arch/x86/entry/syscalls/syscall_32.tbl` and `arch/arm/tools/syscall.tbl`.

/// A path argument: the position of the directory descriptor, if the call has one, and of the string.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub dir: Option<usize>,
    pub path: usize,
}

/// What a trapped call does. The numbers are positions of arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call {
    Open {
        at: At,
        flags: usize,
    },
    /// `openat2`: the flags are in a structure.
    Open2 {
        at: At,
        how: usize,
    },
    Exec {
        at: At,
        argv: usize,
        flags: Option<usize>,
    },
    Rename {
        from: At,
        to: At,
        flags: Option<usize>,
    },
    Link {
        from: At,
        to: At,
        flags: Option<usize>,
    },
    Truncate {
        at: At,
    },
    Lstat {
        at: At,
    },
    Fstatat {
        at: At,
        flags: usize,
    },
    Statx {
        at: At,
        flags: usize,
        mask: usize,
    },
    /// Gives a process another view of the file system.
    View,
    /// Answered with `ENOSYS` by the filter itself.
    Refuse,
}

/// The calls of one ABI.
pub(crate) struct Abi {
    /// `AUDIT_ARCH_*` of `linux/audit.h`.
    pub arch: u32,
    /// Bytes of a pointer.
    pub pointer: usize,
    /// Numbers from here on belong to another ABI with the same `arch` (x32) and are refused.
    pub end: Option<u32>,
    pub calls: &'static [(u32, Call)],
}

impl Abi {
    /// Whether it is this program's own.
    pub fn is_native(&self) -> bool {
        ABIS.first().is_some_and(|first| first.arch == self.arch)
    }

    /// The ABI and meaning of a trapped call.
    pub fn find(arch: u32, number: u32) -> Option<(&'static Abi, Call)> {
        let abi = ABIS.iter().find(|abi| abi.arch == arch)?;
        let (_, call) = abi.calls.iter().find(|(n, _)| *n == number)?;
        Some((abi, *call))
    }
}

const fn at(dir: usize, path: usize) -> At {
    At { dir: Some(dir), path }
}

const fn path(path: usize) -> At {
    At { dir: None, path }
}

const OPEN: Call = Call::Open { at: path(0), flags: 1 };
const OPENAT: Call = Call::Open { at: at(0, 1), flags: 2 };
const OPENAT2: Call = Call::Open2 { at: at(0, 1), how: 2 };
const EXECVE: Call = Call::Exec { at: path(0), argv: 1, flags: None };
const EXECVEAT: Call = Call::Exec { at: at(0, 1), argv: 2, flags: Some(4) };
const RENAME: Call = Call::Rename { from: path(0), to: path(1), flags: None };
const RENAMEAT: Call = Call::Rename { from: at(0, 1), to: at(2, 3), flags: None };
const RENAMEAT2: Call = Call::Rename { from: at(0, 1), to: at(2, 3), flags: Some(4) };
const LINK: Call = Call::Link { from: path(0), to: path(1), flags: None };
const LINKAT: Call = Call::Link { from: at(0, 1), to: at(2, 3), flags: Some(4) };
const TRUNCATE: Call = Call::Truncate { at: path(0) };
const LSTAT: Call = Call::Lstat { at: path(0) };
const FSTATAT: Call = Call::Fstatat { at: at(0, 1), flags: 3 };
const STATX: Call = Call::Statx { at: at(0, 1), flags: 2, mask: 3 };

const fn native(number: libc::c_long, call: Call) -> (u32, Call) {
    (number as u32, call)
}

/// The most frequent first: the filter looks at them in this order.
const NATIVE: &[(u32, Call)] = &[
    native(libc::SYS_openat, OPENAT),
    native(libc::SYS_newfstatat, FSTATAT),
    #[cfg(target_arch = "x86_64")]
    native(libc::SYS_open, OPEN),
    native(libc::SYS_execve, EXECVE),
    #[cfg(target_arch = "x86_64")]
    native(libc::SYS_lstat, LSTAT),
    native(libc::SYS_statx, STATX),
    native(libc::SYS_openat2, OPENAT2),
    native(libc::SYS_execveat, EXECVEAT),
    #[cfg(target_arch = "x86_64")]
    native(libc::SYS_rename, RENAME),
    native(libc::SYS_renameat, RENAMEAT),
    native(libc::SYS_renameat2, RENAMEAT2),
    #[cfg(target_arch = "x86_64")]
    native(libc::SYS_link, LINK),
    native(libc::SYS_linkat, LINKAT),
    native(libc::SYS_truncate, TRUNCATE),
    native(libc::SYS_chroot, Call::View),
    native(libc::SYS_pivot_root, Call::View),
    native(libc::SYS_mount, Call::View),
    native(libc::SYS_umount2, Call::View),
    native(libc::SYS_move_mount, Call::View),
    native(libc::SYS_setns, Call::View),
    native(libc::SYS_io_uring_setup, Call::Refuse),
];

#[cfg(target_arch = "x86_64")]
const COMPAT: &[(u32, Call)] = &[
    (295, OPENAT),
    (300, FSTATAT),
    (5, OPEN),
    (11, EXECVE),
    (84, LSTAT),
    (107, LSTAT),
    (196, LSTAT),
    (383, STATX),
    (437, OPENAT2),
    (358, EXECVEAT),
    (38, RENAME),
    (302, RENAMEAT),
    (353, RENAMEAT2),
    (9, LINK),
    (303, LINKAT),
    (92, TRUNCATE),
    (193, TRUNCATE),
    (61, Call::View),
    (217, Call::View),
    (21, Call::View),
    (22, Call::View),
    (52, Call::View),
    (429, Call::View),
    (346, Call::View),
    (425, Call::Refuse),
];

#[cfg(target_arch = "aarch64")]
const COMPAT: &[(u32, Call)] = &[
    (322, OPENAT),
    (327, FSTATAT),
    (5, OPEN),
    (11, EXECVE),
    (107, LSTAT),
    (196, LSTAT),
    (397, STATX),
    (437, OPENAT2),
    (387, EXECVEAT),
    (38, RENAME),
    (329, RENAMEAT),
    (382, RENAMEAT2),
    (9, LINK),
    (330, LINKAT),
    (92, TRUNCATE),
    (193, TRUNCATE),
    (61, Call::View),
    (218, Call::View),
    (21, Call::View),
    (52, Call::View),
    (429, Call::View),
    (375, Call::View),
    (425, Call::Refuse),
];

/// Every ABI that is trapped; programs of any other are not.
#[cfg(target_arch = "x86_64")]
pub(crate) static ABIS: &[Abi] = &[
    Abi { arch: 0xc000_003e, pointer: 8, end: Some(0x4000_0000), calls: NATIVE },
    Abi { arch: 0x4000_0003, pointer: 4, end: None, calls: COMPAT },
];

/// Every ABI that is trapped; programs of any other are not.
#[cfg(target_arch = "aarch64")]
pub(crate) static ABIS: &[Abi] = &[
    Abi { arch: 0xc000_00b7, pointer: 8, end: None, calls: NATIVE },
    Abi { arch: 0x4000_0028, pointer: 4, end: None, calls: COMPAT },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_twice_in_an_abi() {
        for abi in ABIS {
            let mut numbers: Vec<u32> = abi.calls.iter().map(|(n, _)| *n).collect();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), abi.calls.len(), "{:#x}", abi.arch);
        }
    }

    /// The 32-bit table against the kernel's own header, where one is installed.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn compat_numbers_are_those_of_the_kernel_header() {
        let Ok(header) = std::fs::read_to_string("/usr/include/x86_64-linux-gnu/asm/unistd_32.h") else { return };
        let number = |name: &str| -> u32 {
            let define = format!("#define __NR_{name} ");
            let line = header.lines().find_map(|l| l.strip_prefix(&define)).expect(name);
            line.trim().parse().expect(name)
        };
        let names = "open openat openat2 execve execveat rename renameat renameat2 link linkat truncate truncate64 \
                     oldlstat lstat lstat64 fstatat64 statx chroot pivot_root mount umount umount2 move_mount setns \
                     io_uring_setup";
        let mut theirs: Vec<u32> = names.split_whitespace().map(number).collect();
        let mut ours: Vec<u32> = COMPAT.iter().map(|(n, _)| *n).collect();
        theirs.sort_unstable();
        ours.sort_unstable();
        assert_eq!(ours, theirs);
    }
}

//! The system calls that a function may not make, as a filter of seccomp(2).

use std::io;

use libc::{sock_filter, sock_fprog};

/// What a filter begins with: `AUDIT_ARCH_*` of the machine (linux/audit.h).
#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// What is refused whatever its arguments.
const REFUSED: [libc::c_long; 8] = [
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_bpf,
    libc::SYS_io_uring_setup,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_setns,
];

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_SET: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

fn line(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

/// Skips so many lines unless the condition holds.
fn unless(code: u16, k: u32, skip: u8) -> sock_filter {
    sock_filter { code, jt: 0, jf: skip, k }
}

/// The filter. Offsets are those of `struct seccomp_data`: the call's number at 0, the architecture at 4, the first
/// argument's lower half at 16 (both machines are little-endian).
fn filter(namespaces: bool) -> Vec<sock_filter> {
    let mut lines = vec![
        line(LOAD, 4),
        // Other architectures' calls have other numbers.
        sock_filter { code: IF_EQUAL, jt: 1, jf: 0, k: ARCH },
        line(RETURN, EPERM),
        line(LOAD, 0),
    ];
    for call in REFUSED {
        lines.extend([unless(IF_EQUAL, call as u32, 1), line(RETURN, EPERM)]);
    }
    if !namespaces {
        // Its flags are in memory, where a filter cannot look; libc does without it.
        lines.extend([unless(IF_EQUAL, libc::SYS_clone3 as u32, 1), line(RETURN, ENOSYS)]);
        for call in [libc::SYS_clone, libc::SYS_unshare] {
            lines.extend([
                unless(IF_EQUAL, call as u32, 4),
                line(LOAD, 16),
                unless(IF_SET, libc::CLONE_NEWUSER as u32, 1),
                line(RETURN, EPERM),
                line(RETURN, ALLOW),
            ]);
        }
    }
    lines.push(line(RETURN, ALLOW));
    lines
}

/// Refuses, for this process and all that come from it, what a function may not do. It must have given up gaining
/// privileges (`PR_SET_NO_NEW_PRIVS`). With `namespaces`, user namespaces are let through.
pub fn install(namespaces: bool) -> io::Result<()> {
    let mut lines = filter(namespaces);
    let program = sock_fprog { len: lines.len() as u16, filter: lines.as_mut_ptr() };
    // SAFETY: the program lives through the call, which copies it.
    match unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

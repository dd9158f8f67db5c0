//! The table of trapped calls as a seccomp BPF program.
//!
//! For each call of the table the program compares the number and, if it matches, runs a short body that looks at the
//! flags and returns. All other numbers are allowed without a look at arguments, which lets the kernel (5.11 and later)
//! remember the answer in a bitmap: they cost nothing.

use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W};
use libc::{SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_USER_NOTIF, sock_filter};

use crate::calls::{ABIS, Abi, Call};

/// Flags with which an open never shows the content that was there. (`O_TMPFILE` contains `O_DIRECTORY`.)
pub(crate) const OPEN_BLIND: i32 = libc::O_PATH | libc::O_DIRECTORY | libc::O_TRUNC;
/// Both together: the file cannot have been there.
pub(crate) const OPEN_NEW: i32 = libc::O_CREAT | libc::O_EXCL;
/// What must be asked for in `statx` to see that a placeholder is not the real file.
const STATX_SIZES: u32 = libc::STATX_SIZE | libc::STATX_BLOCKS;

/// The program; build it before `fork`, it allocates.
pub(crate) fn program() -> Vec<sock_filter> {
    let mut out = vec![load(offset_of_arch())];
    for abi in ABIS {
        let section = section(abi);
        out.push(jump(BPF_JEQ, abi.arch, 1, 0));
        out.push(jump(BPF_JA, section.len() as u32, 0, 0));
        out.extend(section);
    }
    out.push(ret(SECCOMP_RET_ALLOW));
    out
}

fn section(abi: &Abi) -> Vec<sock_filter> {
    let mut out = vec![load(offset_of_number())];
    if let Some(end) = abi.end {
        out.extend([jump(BPF_JGE, end, 0, 1), ret(SECCOMP_RET_ERRNO | libc::ENOSYS as u32)]);
    }
    for (number, call) in abi.calls {
        let body = body(*call);
        out.push(jump(BPF_JEQ, *number, 0, body.len() as u8));
        out.extend(body);
    }
    out.push(ret(SECCOMP_RET_ALLOW));
    out
}

/// What to do once the number matched; ends in a return on every path.
fn body(call: Call) -> Vec<sock_filter> {
    const NOTIFY: u32 = SECCOMP_RET_USER_NOTIF;
    const ALLOW: u32 = SECCOMP_RET_ALLOW;
    match call {
        Call::Open { flags, .. } => vec![
            load(low_word(flags)),
            jump(BPF_JSET, OPEN_BLIND as u32, 2, 0),
            statement(BPF_ALU | BPF_AND | BPF_K, OPEN_NEW as u32),
            jump(BPF_JEQ, OPEN_NEW as u32, 0, 1),
            ret(ALLOW),
            ret(NOTIFY),
        ],
        Call::Fstatat { at, flags } => vec![
            load(low_word(flags)),
            jump(BPF_JSET, libc::AT_EMPTY_PATH as u32, 3, 0),
            jump(BPF_JSET, libc::AT_SYMLINK_NOFOLLOW as u32, 3, 0),
            load(low_word(at.dir.unwrap_or(0))),
            jump(BPF_JEQ, libc::AT_FDCWD as u32, 0, 1),
            ret(ALLOW),
            ret(NOTIFY),
        ],
        Call::Statx { flags, mask, .. } => vec![
            load(low_word(flags)),
            jump(BPF_JSET, libc::AT_EMPTY_PATH as u32, 2, 0),
            load(low_word(mask)),
            jump(BPF_JSET, STATX_SIZES, 1, 0),
            ret(ALLOW),
            ret(NOTIFY),
        ],
        Call::Refuse => vec![ret(SECCOMP_RET_ERRNO | libc::ENOSYS as u32)],
        Call::Open2 { .. }
        | Call::Exec { .. }
        | Call::Rename { .. }
        | Call::Link { .. }
        | Call::Truncate { .. }
        | Call::Lstat { .. }
        | Call::View => vec![ret(NOTIFY)],
    }
}

fn offset_of_number() -> u32 {
    std::mem::offset_of!(libc::seccomp_data, nr) as u32
}

fn offset_of_arch() -> u32 {
    std::mem::offset_of!(libc::seccomp_data, arch) as u32
}

/// Flags and descriptors are ints: the kernel ignores the upper half of their registers, and so must the filter.
/// Both supported machines are little-endian.
fn low_word(argument: usize) -> u32 {
    (std::mem::offset_of!(libc::seccomp_data, args) + 8 * argument) as u32
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn load(offset: u32) -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, offset)
}

fn ret(action: u32) -> sock_filter {
    statement(BPF_RET | BPF_K, action)
}

fn jump(test: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: (BPF_JMP | test | BPF_K) as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel does, for the instructions it uses.
    fn run(arch: u32, number: u32, args: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend(number.to_le_bytes());
        data.extend(arch.to_le_bytes());
        data.extend(0u64.to_le_bytes());
        args.iter().for_each(|a| data.extend(a.to_le_bytes()));
        let program = program();
        let (mut at, mut a) = (0, 0u32);
        loop {
            let i = program[at];
            at += 1;
            let code = u32::from(i.code);
            let mut branch = |yes: bool| at += usize::from(if yes { i.jt } else { i.jf });
            if code == BPF_LD | BPF_W | BPF_ABS {
                let k = i.k as usize;
                a = u32::from_le_bytes(data[k..k + 4].try_into().unwrap());
            } else if code == BPF_RET | BPF_K {
                return i.k;
            } else if code == BPF_ALU | BPF_AND | BPF_K {
                a &= i.k;
            } else if code == BPF_JMP | BPF_JA | BPF_K {
                at += i.k as usize;
            } else if code == BPF_JMP | BPF_JEQ | BPF_K {
                branch(a == i.k);
            } else if code == BPF_JMP | BPF_JGE | BPF_K {
                branch(a >= i.k);
            } else if code == BPF_JMP | BPF_JSET | BPF_K {
                branch(a & i.k != 0);
            } else {
                panic!("instruction {code:#x}");
            }
        }
    }

    fn native(number: libc::c_long, args: [i32; 4]) -> u32 {
        let [a, b, c, d] = args.map(|v| v as i64 as u64);
        run(ABIS[0].arch, number as u32, [a, b, c, d, 0, 0])
    }

    const NOTIFY: u32 = SECCOMP_RET_USER_NOTIF;
    const ALLOW: u32 = SECCOMP_RET_ALLOW;
    const ENOSYS: u32 = SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

    #[test]
    fn opens_that_show_content_are_trapped() {
        let row = [
            (libc::O_RDONLY, NOTIFY),
            (libc::O_RDONLY | libc::O_CLOEXEC, NOTIFY),
            (libc::O_RDWR, NOTIFY),
            (libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND, NOTIFY),
            (libc::O_RDONLY | libc::O_EXCL, NOTIFY),
            (libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC, ALLOW),
            (libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, ALLOW),
            (libc::O_RDONLY | libc::O_DIRECTORY, ALLOW),
            (libc::O_PATH, ALLOW),
            (libc::O_TMPFILE | libc::O_RDWR, ALLOW),
        ];
        for (flags, action) in row {
            assert_eq!(native(libc::SYS_openat, [libc::AT_FDCWD, 0, flags, 0]), action, "{flags:#o}");
            #[cfg(target_arch = "x86_64")]
            assert_eq!(native(libc::SYS_open, [0, flags, 0, 0]), action, "{flags:#o}");
        }
    }

    #[test]
    fn plain_stat_and_fstat_are_not_trapped() {
        let (nofollow, empty) = (libc::AT_SYMLINK_NOFOLLOW, libc::AT_EMPTY_PATH);
        let row = [
            (libc::AT_FDCWD, 0, ALLOW),
            (libc::AT_FDCWD, nofollow, NOTIFY),
            (5, 0, NOTIFY),
            (5, empty, ALLOW),
            (5, empty | nofollow, ALLOW),
        ];
        for (dir, flags, action) in row {
            assert_eq!(native(libc::SYS_newfstatat, [dir, 0, 0, flags]), action, "{dir} {flags:#x}");
        }
        let size = libc::STATX_SIZE as i32;
        assert_eq!(native(libc::SYS_statx, [libc::AT_FDCWD, 0, 0, size]), NOTIFY);
        assert_eq!(native(libc::SYS_statx, [libc::AT_FDCWD, 0, 0, libc::STATX_MODE as i32]), ALLOW);
        assert_eq!(native(libc::SYS_statx, [3, 0, empty, size]), ALLOW);
    }

    #[test]
    fn other_calls() {
        assert_eq!(native(libc::SYS_read, [0; 4]), ALLOW);
        assert_eq!(native(libc::SYS_execve, [0; 4]), NOTIFY);
        assert_eq!(native(libc::SYS_io_uring_setup, [0; 4]), ENOSYS);
        assert_eq!(run(ABIS[1].arch, 5, [0; 6]), NOTIFY);
        assert_eq!(run(ABIS[1].arch, 3, [0; 6]), ALLOW);
        assert_eq!(run(0x1234, libc::SYS_execve as u32, [0; 6]), ALLOW);
        #[cfg(target_arch = "x86_64")]
        assert_eq!(run(ABIS[0].arch, 0x4000_0000 | 2, [0; 6]), ENOSYS);
    }
}

//! What the worker process leaves behind once, at its start: the user's rights over the system, the network, the mounts.
//!
//! See user_namespaces(7), network_namespaces(7), mount_namespaces(7).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};

use super::{Step, StepError, step};

/// Enters user, mount, network and IPC namespaces of its own. The user and group stay what they are.
pub(super) fn enter() -> Step<()> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let own = libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC;
    match unshare(libc::CLONE_NEWUSER | own) {
        Ok(()) => {
            let write = |file: &str, text: &str| {
                fs::write(Path::new("/proc/self").join(file), text).map_err(step(format!("write /proc/self/{file}")))
            };
            // A group map may be written without privilege only when setgroups is given up.
            write("setgroups", "deny")?;
            write("uid_map", &format!("{uid} {uid} 1"))?;
            write("gid_map", &format!("{gid} {gid} 1"))?;
        }
        // Where user namespaces are switched off, root does not need one.
        Err(_) if uid == 0 && unshare(own).is_ok() => {}
        Err(errno) => {
            let advice = "the system does not allow unprivileged user namespaces; see the settings \
                kernel.unprivileged_userns_clone (1), user.max_user_namespaces (not 0), \
                kernel.apparmor_restrict_unprivileged_userns (0), and in a container its seccomp profile";
            return Err(StepError { step: format!("unshare(CLONE_NEWUSER) ({advice})"), errno });
        }
    }
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(step("make the mounts private"))
}

fn unshare(flags: libc::c_int) -> Result<(), i32> {
    // SAFETY: plain system call.
    if unsafe { libc::unshare(flags) } == 0 {
        return Ok(());
    }
    Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

/// Prepares the `/dev` of all this worker's sandboxes in `scratch/dev`.
pub(super) fn make_dev(scratch: &Path) -> Step<()> {
    let dev = scratch.join("dev");
    let shown = dev.display();
    mount("tmpfs", &dev, "tmpfs", MountFlags::NOSUID | MountFlags::NOEXEC, Some(c"mode=0755,size=64k"))
        .map_err(step(format!("mount a tmpfs on {shown}")))?;
    for name in ["null", "zero", "full", "random", "urandom"] {
        let (here, host) = (dev.join(name), Path::new("/dev").join(name));
        fs::write(&here, b"").map_err(step(format!("create {}", here.display())))?;
        mount_bind(&host, &here).map_err(step(format!("bind {}", host.display())))?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, dev.join(name)).map_err(step(format!("link {name} in {shown}")))?;
    }
    set_read_only(&dev, true)
}

/// `struct mount_attr` of mount_setattr(2), Linux 5.12.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Makes a mount and all below it read-only (`deep`), or the mount alone writable again.
pub(super) fn set_read_only(path: impl rustix::path::Arg, deep: bool) -> Step<()> {
    let (set, clear) = if deep { (libc::MOUNT_ATTR_RDONLY, 0) } else { (0, libc::MOUNT_ATTR_RDONLY) };
    let attr = MountAttr { set, clear, propagation: 0, userns_fd: 0 };
    let flags = if deep { libc::AT_RECURSIVE } else { 0 };
    let path = path.into_c_str().map_err(step("name a mount"))?;
    use std::os::fd::AsRawFd;
    // SAFETY: a path and a structure that live through the call, and the structure's size.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            CWD.as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(step("mount_setattr (Linux 5.12 or newer is needed)")(std::io::Error::last_os_error())),
    }
}

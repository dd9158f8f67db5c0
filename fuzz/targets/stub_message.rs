//! What a stub sends: any bytes after the descriptors are a call or are refused.

#![no_main]

#[allow(dead_code)]
#[path = "../../src/cli/session/wire.rs"]
mod wire;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use libfuzzer_sys::fuzz_target;

/// Sends the length of `body` with three descriptors, as a stub does, and then `body`.
fn send(socket: &UnixStream, body: &[u8]) -> Option<()> {
    let null = File::open("/dev/null").ok()?;
    let head = (body.len() as u32).to_le_bytes();
    let fds = [null.as_raw_fd(); 3];
    let mut part = libc::iovec { iov_base: head.as_ptr().cast_mut().cast(), iov_len: head.len() };
    let mut control = [0u64; 8];
    // SAFETY: every pointer outlives the call, and the control buffer has room for three descriptors.
    unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = &mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = libc::CMSG_SPACE(size_of_val(&fds) as u32) as usize;
        let message = libc::CMSG_FIRSTHDR(&header);
        (*message).cmsg_level = libc::SOL_SOCKET;
        (*message).cmsg_type = libc::SCM_RIGHTS;
        (*message).cmsg_len = libc::CMSG_LEN(size_of_val(&fds) as u32) as usize;
        libc::CMSG_DATA(message).cast::<[i32; 3]>().write_unaligned(fds);
        if libc::sendmsg(socket.as_raw_fd(), &header, 0) < 0 {
            return None;
        }
    }
    (&mut &*socket).write_all(body).ok()
}

fuzz_target!(|bytes: &[u8]| {
    // What fits into a socket's buffer, so that one thread can do both sides.
    let bytes = &bytes[..bytes.len().min(16 << 10)];
    let Ok((ours, theirs)) = UnixStream::pair() else { return };
    // The version in front, or nearly nothing would get past it.
    for body in [bytes, &[&1u32.to_le_bytes(), bytes].concat()] {
        if send(&ours, body).is_none() {
            return;
        }
        if let Ok(message) = wire::receive(&theirs) {
            assert!(!message.argv.is_empty() && message.cwd.is_absolute());
        }
    }
});

//! What a stub says and what it is answered.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The version of the messages; the stub is embedded in this program, so it is always the same one.
const PROTOCOL: u32 = 2;

/// Longer messages are not a stub's: Linux limits arguments and environment together to a few MiB.
const MAX_MESSAGE: usize = 64 << 20;

/// A tool call as the stub saw it.
#[derive(Debug)]
pub struct Message {
    /// The file mode creation mask.
    pub umask: u32,
    /// The working directory.
    pub cwd: PathBuf,
    /// The path by which the stub was executed, which may be relative.
    pub executed: PathBuf,
    /// The argument vector, never empty.
    pub argv: Vec<OsString>,
    /// The whole environment.
    pub env: BTreeMap<OsString, OsString>,
    /// Standard input, output and error; `None` for one that the caller had closed.
    pub fds: [Option<OwnedFd>; 3],
    /// The process id of the stub, which stays the tool's when it becomes that.
    pub pid: i32,
    /// What standard input holds, once it has been looked at because the tool would read it.
    pub stdin: OnceLock<Arc<[u8]>>,
}

/// What a stub is told.
#[derive(Debug)]
pub enum Answer<'a> {
    /// Exit with this status.
    Exit(i32),
    /// Become this tool.
    Exec(&'a Path),
    /// Become this tool, and keep the stand-ins on PATH: it is a wrapper that looks for compilers itself.
    ExecWrapper(&'a Path),
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("gg's stub sent {what}"))
}

/// Receives one message with its descriptors.
///
/// # Errors
/// When the connection breaks or the bytes are not a stub's.
pub fn receive(socket: &UnixStream) -> io::Result<Message> {
    let mut head = [0u8; 4];
    let fds = receive_with_descriptors(socket, &mut head)?;
    let length = u32::from_le_bytes(head) as usize;
    if length > MAX_MESSAGE {
        return Err(malformed("a message that is too long"));
    }
    let mut body = vec![0; length];
    (&mut &*socket).read_exact(&mut body)?;
    let mut reader = Fields(&body);
    if reader.number()? != PROTOCOL {
        return Err(malformed("another version's message"));
    }
    let umask = reader.number()?;
    let cwd = PathBuf::from(reader.text()?);
    let executed = PathBuf::from(reader.text()?);
    let argv = (0..reader.number()?).map(|_| reader.text()).collect::<io::Result<Vec<_>>>()?;
    let mut env = BTreeMap::new();
    for _ in 0..reader.number()? {
        let text = reader.text()?;
        let bytes = text.as_bytes();
        // A name may not be empty, so a leading `=` belongs to it.
        if let Some(at) = bytes.iter().skip(1).position(|&b| b == b'=') {
            let (name, value) = (&bytes[..=at], &bytes[at + 2..]);
            env.entry(OsString::from_vec(name.to_vec())).or_insert_with(|| OsString::from_vec(value.to_vec()));
        }
    }
    if argv.is_empty() || !cwd.is_absolute() {
        return Err(malformed("a call without a name or directory"));
    }
    Ok(Message {
        umask,
        cwd,
        executed,
        argv,
        env,
        fds: without_stand_ins(fds)?,
        pid: peer(socket)?,
        stdin: OnceLock::new(),
    })
}

/// Sends the answer.
///
/// # Errors
/// When the stub is gone.
pub fn answer(socket: &UnixStream, answer: &Answer<'_>) -> io::Result<()> {
    let mut bytes = Vec::new();
    match answer {
        Answer::Exit(status) => {
            bytes.push(0);
            bytes.extend_from_slice(&status.to_le_bytes());
        }
        Answer::Exec(tool) | Answer::ExecWrapper(tool) => {
            bytes.push(if matches!(answer, Answer::Exec(_)) { 1 } else { 2 });
            let tool = tool.as_os_str().as_bytes();
            bytes.extend_from_slice(&(tool.len() as u32).to_le_bytes());
            bytes.extend_from_slice(tool);
        }
    }
    (&mut &*socket).write_all(&bytes)
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn number(&mut self) -> io::Result<u32> {
        let (number, rest) = self.0.split_first_chunk::<4>().ok_or_else(|| malformed("a short message"))?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*number))
    }

    fn text(&mut self) -> io::Result<OsString> {
        let length = self.number()? as usize;
        let (text, rest) = self.0.split_at_checked(length).ok_or_else(|| malformed("a short message"))?;
        self.0 = rest;
        Ok(OsString::from_vec(text.to_vec()))
    }
}

fn receive_with_descriptors(socket: &UnixStream, head: &mut [u8; 4]) -> io::Result<[OwnedFd; 3]> {
    let mut control = [MaybeUninit::<u64>::zeroed(); 8];
    let mut part = libc::iovec { iov_base: head.as_mut_ptr().cast(), iov_len: head.len() };
    // SAFETY: an all-zero msghdr is a valid empty one.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control);
    // SAFETY: every pointer in the header outlives the call.
    let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut header, libc::MSG_CMSG_CLOEXEC | libc::MSG_WAITALL) };
    match usize::try_from(got) {
        Err(_) => return Err(io::Error::last_os_error()),
        Ok(n) if n < head.len() => return Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(_) => {}
    }
    let mut fds = Vec::new();
    // SAFETY: the kernel filled the control buffer; CMSG_* walk it within msg_controllen.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(&header);
        while !message.is_null() {
            if (*message).cmsg_level == libc::SOL_SOCKET && (*message).cmsg_type == libc::SCM_RIGHTS {
                let bytes = (*message).cmsg_len - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(message).cast::<RawFd>();
                for at in 0..bytes / size_of::<RawFd>() {
                    fds.push(OwnedFd::from_raw_fd(data.add(at).read_unaligned()));
                }
            }
            message = libc::CMSG_NXTHDR(&header, message);
        }
    }
    fds.try_into().map_err(|_| malformed("no descriptors"))
}

/// A stub puts its socket in place of a descriptor that the caller had closed.
fn without_stand_ins(fds: [OwnedFd; 3]) -> io::Result<[Option<OwnedFd>; 3]> {
    let mut out = [None, None, None];
    for (place, fd) in out.iter_mut().zip(fds) {
        let info = std::fs::File::from(fd);
        let is_socket = {
            use std::os::unix::fs::FileTypeExt;
            info.metadata()?.file_type().is_socket() && is_connected_to_unix_listener(&info)
        };
        *place = (!is_socket).then(|| OwnedFd::from(info));
    }
    Ok(out)
}

fn is_connected_to_unix_listener(file: &std::fs::File) -> bool {
    // SAFETY: a zeroed address is valid; the length says how much the kernel may write.
    unsafe {
        let mut address: libc::sockaddr_un = std::mem::zeroed();
        let mut length = size_of::<libc::sockaddr_un>() as libc::socklen_t;
        let status = libc::getpeername(file.as_raw_fd(), (&raw mut address).cast(), &mut length);
        let path = &address.sun_path;
        let end: &[u8] = b"/socket";
        let text: Vec<u8> = path.iter().take_while(|&&c| c != 0).map(|&c| c as u8).collect();
        status == 0 && address.sun_family == libc::AF_UNIX as u16 && text.ends_with(end)
    }
}

fn peer(socket: &UnixStream) -> io::Result<i32> {
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the length is that of the structure.
    let status = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &mut length,
        )
    };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(credentials.pid) }
}

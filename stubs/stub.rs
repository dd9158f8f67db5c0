//! The program that stands on PATH under a tool's name during a build.
//!
//! It does four things in order and prints nothing, ever:
//!
//! 1. finds the session's socket beside its own executable;
//! 2. sends the call (arguments, directory, environment, umask) and its three standard descriptors;
//! 3. waits for the answer: exit with this status, or become the real tool;
//! 4. when there is no session, or it dies, becomes the real tool as PATH finds it without the stand-ins.
//!
//! gcc looks for its parts beside the path that it was called by, or beside what PATH finds: so the real tool gets an
//! absolute `argv[0]` wherever the stand-ins stay in its sight.
//!
//! It runs for every tool call of a build, so it starts nothing of the standard library's runtime (which also would
//! change how SIGPIPE is handled in the tool) and links statically.

#![no_main]

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::ptr;

/// The version of the messages; the session that unpacked this stub speaks the same one.
const PROTOCOL: u32 = 2;
const ANSWER_EXIT: u8 = 0;
const ANSWER_EXEC: u8 = 1;
/// As [`ANSWER_EXEC`], and the stand-ins stay on PATH (the tool is a wrapper that looks for compilers itself).
const ANSWER_EXEC_WRAPPER: u8 = 2;
/// The session passes over these tools when a call comes out of them.
const WRAPPED: &[u8] = b"GG_WRAPPED=";
/// What a shell says of a command that cannot be found.
const NOT_FOUND: c_int = 127;

#[repr(C)]
struct IoVec {
    base: *const c_void,
    length: usize,
}

#[repr(C)]
struct MessageHeader {
    name: *const c_void,
    name_length: u32,
    parts: *const IoVec,
    part_count: usize,
    control: *const c_void,
    control_length: usize,
    flags: c_int,
}

/// `struct cmsghdr` with room for three descriptors.
#[repr(C)]
struct Descriptors {
    length: usize,
    level: c_int,
    kind: c_int,
    fds: [c_int; 3],
}

const SOL_SOCKET: c_int = 1;
const SCM_RIGHTS: c_int = 1;
const MSG_NOSIGNAL: c_int = 0x4000;
/// The path by which a program was executed (getauxval(3)).
const AT_EXECFN: u64 = 31;

unsafe extern "C" {
    static environ: *const *const c_char;
    fn umask(mask: u32) -> u32;
    fn sendmsg(socket: c_int, message: *const MessageHeader, flags: c_int) -> isize;
    fn execve(path: *const c_char, argv: *const *const c_char, envp: *const *const c_char) -> c_int;
    fn access(path: *const c_char, mode: c_int) -> c_int;
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    fn getauxval(kind: u64) -> u64;
}

/// The entry point that the C library calls.
///
/// # Safety
/// `argv` holds `argc` C strings and a null pointer, as the kernel guarantees.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    let args = unsafe { strings(argv) };
    let env = unsafe { strings(environ) };
    debug_assert_eq!(args.len(), argc as usize);
    let Some(call) = Call::new(args, env) else { return NOT_FOUND };
    match call.ask() {
        Some(Answer::Exit(status)) => status,
        Some(Answer::Exec { tool, wrapper }) => {
            call.become_tool(&tool, wrapper);
            NOT_FOUND
        }
        None => {
            if let Some(tool) = call.find_tool() {
                call.become_tool(&tool, false);
            }
            NOT_FOUND
        }
    }
}

/// Collects a null-terminated array of C strings.
unsafe fn strings(mut at: *const *const c_char) -> Vec<&'static CStr> {
    let mut out = Vec::new();
    unsafe {
        while !at.is_null() && !(*at).is_null() {
            out.push(CStr::from_ptr(*at));
            at = at.add(1);
        }
    }
    out
}

enum Answer {
    Exit(c_int),
    Exec { tool: CString, wrapper: bool },
}

struct Call {
    args: Vec<&'static CStr>,
    env: Vec<&'static CStr>,
    /// The session's directory: the socket is in it, the stand-ins in its `bin`.
    session: PathBuf,
    /// The path by which this program was executed: a stand-in in `bin`, or in a directory of `at` for a tool that was called
    /// past PATH.
    executed: PathBuf,
}

impl Call {
    fn new(args: Vec<&'static CStr>, env: Vec<&'static CStr>) -> Option<Self> {
        let session = std::fs::read_link("/proc/self/exe").ok()?.parent()?.to_path_buf();
        let executed = unsafe { getauxval(AT_EXECFN) } as *const c_char;
        let executed = if executed.is_null() { b"" } else { unsafe { CStr::from_ptr(executed) }.to_bytes() };
        let executed = Path::new(OsStr::from_bytes(executed)).to_path_buf();
        (!args.is_empty()).then_some(Self { args, env, session, executed })
    }

    /// Asks the session; `None` when there is none, or it goes away before it has answered.
    fn ask(&self) -> Option<Answer> {
        let mut socket = self.connect().ok()?;
        self.send(&mut socket).ok()?;
        let mut kind = [0];
        socket.read_exact(&mut kind).ok()?;
        let mut number = [0; 4];
        socket.read_exact(&mut number).ok()?;
        match kind[0] {
            ANSWER_EXIT => Some(Answer::Exit(i32::from_le_bytes(number))),
            ANSWER_EXEC | ANSWER_EXEC_WRAPPER => {
                let mut tool = vec![0; u32::from_le_bytes(number) as usize];
                socket.read_exact(&mut tool).ok()?;
                Some(Answer::Exec { tool: CString::new(tool).ok()?, wrapper: kind[0] == ANSWER_EXEC_WRAPPER })
            }
            _ => None,
        }
    }

    /// Connects to the session's socket, whose path may be longer than a socket's address (108 bytes).
    fn connect(&self) -> std::io::Result<UnixStream> {
        let path = self.session.join("socket");
        if path.as_os_str().len() < 108 {
            return UnixStream::connect(path);
        }
        let directory = std::fs::File::open(&self.session)?;
        UnixStream::connect(format!("/proc/self/fd/{}/socket", directory.as_raw_fd()))
    }

    /// Sends the message: its length, protocol, umask, then directory, the path of execution, arguments and environment, each list with its
    /// count and each text with its length in front, all numbers 32 bits little-endian.
    fn send(&self, socket: &mut UnixStream) -> std::io::Result<()> {
        let mut body = Vec::with_capacity(8192);
        let number = |body: &mut Vec<u8>, n: usize| body.extend_from_slice(&(n as u32).to_le_bytes());
        number(&mut body, 0);
        number(&mut body, PROTOCOL as usize);
        // The mask can only be read by setting it.
        let mask = unsafe { umask(0) };
        unsafe { umask(mask) };
        number(&mut body, mask as usize);
        let cwd = std::env::current_dir()?;
        number(&mut body, cwd.as_os_str().len());
        body.extend_from_slice(cwd.as_os_str().as_bytes());
        number(&mut body, self.executed.as_os_str().len());
        body.extend_from_slice(self.executed.as_os_str().as_bytes());
        for list in [&self.args, &self.env] {
            number(&mut body, list.len());
            for text in list {
                number(&mut body, text.to_bytes().len());
                body.extend_from_slice(text.to_bytes());
            }
        }
        let length = body.len() as u32 - 4;
        body[..4].copy_from_slice(&length.to_le_bytes());

        // A descriptor may be closed (`gcc ... >&-`): send the socket in its place, which the session recognises.
        let fds = [0, 1, 2].map(|fd| if unsafe { fcntl(fd, 1) } < 0 { socket.as_raw_fd() } else { fd });
        let control = Descriptors {
            length: size_of::<usize>() + 2 * size_of::<c_int>() + size_of_val(&fds),
            level: SOL_SOCKET,
            kind: SCM_RIGHTS,
            fds,
        };
        let part = IoVec { base: body.as_ptr().cast(), length: body.len() };
        let message = MessageHeader {
            name: ptr::null(),
            name_length: 0,
            parts: &part,
            part_count: 1,
            control: ptr::from_ref(&control).cast(),
            control_length: size_of::<Descriptors>(),
            flags: 0,
        };
        let sent = unsafe { sendmsg(socket.as_raw_fd(), &message, MSG_NOSIGNAL) };
        let sent = usize::try_from(sent).map_err(|_| std::io::Error::last_os_error())?;
        socket.write_all(&body[sent..])
    }

    /// The value of PATH without the directory of the stand-ins.
    fn path_without_stubs(&self) -> Vec<u8> {
        let stubs = self.session.join("bin");
        let path = self.env.iter().find_map(|text| text.to_bytes().strip_prefix(b"PATH=")).unwrap_or(b"/usr/bin:/bin");
        // By what it is: PATH may spell it otherwise.
        let id = |dir: &Path| std::fs::metadata(dir).map(|info| (info.dev(), info.ino())).ok();
        let own = id(&stubs);
        let is_own = |dir: &Path| dir == stubs || own.is_some() && id(dir) == own;
        let kept: Vec<&[u8]> =
            path.split(|&b| b == b':').filter(|dir| !is_own(Path::new(OsStr::from_bytes(dir)))).collect();
        kept.join(&b':')
    }

    /// The variable that names the wrappers that are running already, with `tool` added.
    fn wrapped(&self, tool: &CStr) -> CString {
        let earlier = self.env.iter().find(|text| text.to_bytes().starts_with(WRAPPED));
        let mut text = earlier.map_or(WRAPPED.to_vec(), |earlier| [earlier.to_bytes(), b":"].concat());
        text.extend_from_slice(tool.to_bytes());
        CString::new(text).unwrap_or_default()
    }

    /// Finds the real tool: the one that was called past PATH, or as PATH without the stand-ins does.
    fn find_tool(&self) -> Option<CString> {
        let beside = self.executed.parent()?;
        if beside.parent() == Some(&self.session.join("at")) {
            let tool = std::fs::read_link(beside.join(".real")).ok()?;
            return CString::new(tool.into_os_string().into_encoded_bytes()).ok();
        }
        let name = Path::new(OsStr::from_bytes(self.args[0].to_bytes())).file_name()?;
        self.path_without_stubs().split(|&b| b == b':').find_map(|dir| {
            let tool = CString::new(Path::new(OsStr::from_bytes(dir)).join(name).into_os_string().into_encoded_bytes());
            tool.ok().filter(|tool| tool.to_bytes().starts_with(b"/") && unsafe { access(tool.as_ptr(), 1) } == 0)
        })
    }

    /// Becomes the real tool; returns only when that fails.
    fn become_tool(&self, tool: &CStr, wrapper: bool) {
        let path = CString::new([b"PATH=", self.path_without_stubs().as_slice()].concat()).unwrap_or_default();
        let mut argv: Vec<*const c_char> = self.args.iter().map(|arg| arg.as_ptr()).collect();
        // Otherwise the caller's own spelling, which tools put in front of their messages.
        if wrapper || self.args[0].to_bytes().contains(&b'/') {
            argv[0] = tool.as_ptr();
        }
        argv.push(ptr::null());
        let mut env: Vec<*const c_char> = self
            .env
            .iter()
            .map(|text| if !wrapper && text.to_bytes().starts_with(b"PATH=") { path.as_ptr() } else { text.as_ptr() })
            .collect();
        // What the wrapper looks for next is not itself.
        let mark = self.wrapped(tool);
        if wrapper {
            env.retain(|text| !unsafe { CStr::from_ptr(*text) }.to_bytes().starts_with(WRAPPED));
            env.push(mark.as_ptr());
        }
        env.push(ptr::null());
        unsafe { execve(tool.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    }
}

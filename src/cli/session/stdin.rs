//! What a call would read from its standard input, looked at before the tool reads it.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gg_models::{Answer, Environment, FileKind, Folder, Glance, State, World};

/// More than this is no source.
const MOST: usize = 16 << 20;

/// How long a pipe's writer may pause. After that the tool itself waits for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a pipe is looked at that still has a writer.
const PERIOD: Duration = Duration::from_millis(5);

/// All that is still to come from a descriptor, without taking it away: from a file, from the null device, and from a pipe
/// that nobody writes to any more and that holds it all. `None` for anything else.
pub fn peek(fd: &OwnedFd) -> Option<Arc<[u8]>> {
    let info = status(fd)?;
    match info.st_mode & libc::S_IFMT {
        libc::S_IFREG => of_file(fd, usize::try_from(info.st_size).ok()?),
        libc::S_IFCHR if info.st_rdev == libc::makedev(1, 3) => Some(Arc::from([])),
        libc::S_IFIFO => of_pipe(fd).ok().flatten(),
        _ => None,
    }
}

/// Takes away what [`peek`] saw, as the tool would have done.
pub fn take(fd: &OwnedFd, content: &[u8]) {
    // SAFETY: plain system calls; the buffer is as long as is said.
    unsafe {
        if libc::lseek(fd.as_raw_fd(), content.len() as libc::off_t, libc::SEEK_CUR) >= 0 {
            return;
        }
        let mut rest = content.len();
        let mut buffer = vec![0u8; rest.min(64 << 10)];
        while rest > 0 {
            let length = rest.min(buffer.len());
            match usize::try_from(libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), length)) {
                Ok(count @ 1..) => rest -= count,
                _ => break,
            }
        }
    }
}

fn status(fd: &OwnedFd) -> Option<libc::stat> {
    let mut info = MaybeUninit::uninit();
    // SAFETY: filled where the call succeeds.
    unsafe { (libc::fstat(fd.as_raw_fd(), info.as_mut_ptr()) == 0).then(|| info.assume_init()) }
}

fn of_file(fd: &OwnedFd, size: usize) -> Option<Arc<[u8]>> {
    // SAFETY: no memory is involved.
    let begin = usize::try_from(unsafe { libc::lseek(fd.as_raw_fd(), 0, libc::SEEK_CUR) }).ok()?;
    let mut content = vec![0u8; size.saturating_sub(begin)];
    if content.len() > MOST {
        return None;
    }
    let mut read = 0;
    while read < content.len() {
        let at = (begin + read) as libc::off_t;
        // SAFETY: the rest of the buffer.
        let got = unsafe { libc::pread(fd.as_raw_fd(), content[read..].as_mut_ptr().cast(), content.len() - read, at) };
        match usize::try_from(got).ok()? {
            0 => break,
            count => read += count,
        }
    }
    content.truncate(read);
    Some(content.into())
}

fn of_pipe(fd: &OwnedFd) -> io::Result<Option<Arc<[u8]>>> {
    // SAFETY: plain system calls.
    let capacity = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETPIPE_SZ) };
    let mut quiet_since = Instant::now();
    let mut before = -1;
    loop {
        // Asked for nothing, the kernel still says that there is no writer left.
        let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: 0, revents: 0 };
        // SAFETY: one structure, which outlives the call.
        if unsafe { libc::poll(&mut poll, 1, PERIOD.as_millis() as libc::c_int) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut held: libc::c_int = 0;
        // SAFETY: fills the integer.
        if unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut held) } < 0 {
            return Err(io::Error::last_os_error());
        }
        if poll.revents & libc::POLLHUP != 0 {
            return copied(fd, held as usize, capacity);
        }
        if held != before {
            (before, quiet_since) = (held, Instant::now());
        }
        // A writer that finds the pipe full waits for the reader.
        if held >= capacity || quiet_since.elapsed() > PATIENCE {
            return Ok(None);
        }
    }
}

/// What a pipe holds, by way of another pipe into which the kernel puts the same.
fn copied(fd: &OwnedFd, length: usize, capacity: libc::c_int) -> io::Result<Option<Arc<[u8]>>> {
    let mut ends: [RawFd; 2] = [0; 2];
    // SAFETY: fills the array; both descriptors are owned from then on.
    let (there, here) = unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) < 0 {
            return Err(io::Error::last_os_error());
        }
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    };
    // SAFETY: plain system calls. One that is refused a larger pipe copies less, which is noticed.
    let count = unsafe {
        libc::fcntl(here.as_raw_fd(), libc::F_SETPIPE_SZ, capacity);
        if length == 0 { 0 } else { libc::tee(fd.as_raw_fd(), here.as_raw_fd(), length, libc::SPLICE_F_NONBLOCK) }
    };
    if usize::try_from(count) != Ok(length) {
        return Ok(None);
    }
    drop(here);
    let mut content = Vec::with_capacity(length);
    io::Read::read_to_end(&mut std::fs::File::from(there), &mut content)?;
    Ok((content.len() == length).then(|| content.into()))
}

/// The machine for a call whose standard input is known: a file of that content in the working directory that no path
/// means, but by which it is known to models.
pub struct WithStdin<'a, W> {
    world: &'a W,
    path: PathBuf,
    content: Arc<[u8]>,
}

impl<'a, W: World> WithStdin<'a, W> {
    /// The machine for a call in `cwd`.
    pub fn new(world: &'a W, cwd: &Path, content: Arc<[u8]>) -> Self {
        Self { world, path: gg_models::stdin_path(cwd), content }
    }

    fn is(&self, path: &Path) -> bool {
        path.as_os_str() == self.path.as_os_str()
    }
}

impl<W: World> World for WithStdin<'_, W> {
    fn has_stdin(&self) -> bool {
        true
    }

    fn kind(&self, path: &Path) -> Option<FileKind> {
        if self.is(path) { Some(FileKind::File) } else { self.world.kind(path) }
    }

    fn glance(&self, path: &Path) -> Glance {
        if self.is(path) { Glance { kind: Some(FileKind::File), ..Glance::default() } } else { self.world.glance(path) }
    }

    fn folder(&self, path: &Path) -> Option<Folder> {
        // Its names may lack the one that is made up.
        let folder = self.world.folder(path)?;
        Some(if self.path.parent() == Some(path) { Folder::default() } else { folder })
    }

    fn steady(&self, path: &Path, state: &State) -> bool {
        self.world.steady(path, state)
    }

    fn read(&self, path: &Path) -> io::Result<Arc<[u8]>> {
        if self.is(path) { Ok(Arc::clone(&self.content)) } else { self.world.read(path) }
    }

    fn head(&self, path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
        if self.is(path) {
            Ok(Some(self.content.get(..limit).unwrap_or(&self.content).to_vec()))
        } else {
            self.world.head(path, limit)
        }
    }

    fn outline(&self, path: &Path) -> Option<Arc<[u8]>> {
        self.world.outline(path)
    }

    fn executable(&self, path: &Path) -> bool {
        self.world.executable(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<std::ffi::OsString>> {
        self.world.list(path)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        if self.is(path) { Ok(path.to_path_buf()) } else { self.world.resolve(path) }
    }

    fn ask(&self, argv: &[std::ffi::OsString], cwd: &Path, env: &Environment) -> io::Result<Answer> {
        self.world.ask(argv, cwd, env)
    }

    fn ask_once(
        &self,
        argv: &[std::ffi::OsString],
        cwd: &Path,
        env: &Environment,
        rests_on: &dyn Fn(&Answer) -> Option<Vec<PathBuf>>,
    ) -> io::Result<Answer> {
        self.world.ask_once(argv, cwd, env, rests_on)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use super::*;

    #[test]
    fn what_is_seen_is_still_there() {
        let (there, mut here) = io::pipe().unwrap();
        here.write_all(b"int a;\n").unwrap();
        drop(here);
        let there = OwnedFd::from(there);
        assert_eq!(peek(&there).as_deref(), Some(&b"int a;\n"[..]));
        let mut text = String::new();
        std::fs::File::from(there).read_to_string(&mut text).unwrap();
        assert_eq!(text, "int a;\n");
    }

    #[test]
    fn a_late_writer_and_one_that_writes_too_much() {
        let (there, mut here) = io::pipe().unwrap();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            here.write_all(b"late").unwrap();
        });
        let there = OwnedFd::from(there);
        let seen = peek(&there).unwrap();
        assert_eq!(&*seen, b"late");
        writer.join().unwrap();
        take(&there, &seen);
        assert_eq!(peek(&there).as_deref(), Some(&b""[..]));

        let (there, mut here) = io::pipe().unwrap();
        let writer = std::thread::spawn(move || here.write_all(&vec![b'x'; 1 << 20]));
        assert_eq!(peek(&OwnedFd::from(there)), None);
        assert!(writer.join().unwrap().is_err());
    }

    #[test]
    fn the_rest_of_a_file() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"line 1\nline 2\n").unwrap();
        file.seek(io::SeekFrom::Start(7)).unwrap();
        let fd = OwnedFd::from(file);
        let seen = peek(&fd).unwrap();
        assert_eq!(&*seen, b"line 2\n");
        take(&fd, &seen);
        assert_eq!(peek(&fd).as_deref(), Some(&b""[..]));
        let null = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        assert_eq!(peek(&null).as_deref(), Some(&b""[..]));
        let zero = OwnedFd::from(std::fs::File::open("/dev/zero").unwrap());
        assert_eq!(peek(&zero), None);
    }
}

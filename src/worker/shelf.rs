//! Small values in memory that the pool shares with its worker processes.
//!
//! Most of what a sandbox holds are headers that a hundred others hold too. Sent with each request, their bytes are copied five
//! times, into fresh memory each time; that was a quarter of what a sandbox cost. On a shelf they lie once, and a request says where.

use std::collections::HashMap;
use std::ffi::c_void;
use std::io;
use std::ops::{Deref, Range};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use gg_ir::Name;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::process::{Resource, getrlimit};

/// What a shelf holds, bytes. Memory is taken only as it is filled.
const SIZE: usize = 64 << 20;

/// A file in memory without a name, mapped for reading (memfd_create(2)).
#[derive(Debug)]
pub(crate) struct Shelf {
    memory: OwnedFd,
    start: *mut c_void,
    size: usize,
}

// SAFETY: the mapping belongs to the shelf and is only read through; what has been handed out is never written again.
unsafe impl Send for Shelf {}
// SAFETY: as above.
unsafe impl Sync for Shelf {}

impl Shelf {
    fn new(size: usize) -> io::Result<Self> {
        // Beyond that limit there is no error, but a signal (setrlimit(2), `RLIMIT_FSIZE`).
        if getrlimit(Resource::Fsize).current.is_some_and(|limit| limit < size as u64) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let memory = rustix::fs::memfd_create("gg-shelf", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&memory, size as u64)?;
        // Its size is the size of the mappings, for good: reading in them can never fail.
        rustix::fs::fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Self::open(memory)
    }

    /// The shelf that another process has sent.
    pub fn open(memory: OwnedFd) -> io::Result<Self> {
        let size = usize::try_from(rustix::fs::fstat(&memory)?.st_size).unwrap_or_default();
        // SAFETY: a new mapping, at no place that anything else uses. The seals keep the file as long as it is.
        let start = unsafe { mmap(std::ptr::null_mut(), size, ProtFlags::READ, MapFlags::SHARED, &memory, 0)? };
        Ok(Self { memory, start, size })
    }

    /// The bytes there, which somebody has put there; `None` beyond the end.
    pub fn get(&self, place: Range<usize>) -> Option<&[u8]> {
        if place.start > place.end || place.end > self.size {
            return None;
        }
        // SAFETY: within the mapping, which lasts as long as this does. Nobody asks for a piece before it is written, and nobody
        // writes it again.
        Some(unsafe { std::slice::from_raw_parts(self.start.cast::<u8>().add(place.start), place.len()) })
    }
}

impl AsFd for Shelf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        // SAFETY: this very mapping, of which no borrow is left. A failure leaves it mapped.
        let _ = unsafe { munmap(self.start, self.size) };
    }
}

/// Bytes on a shelf.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    shelf: Arc<Shelf>,
    place: Range<usize>,
}

impl Piece {
    /// Where on its shelf it lies.
    pub fn place(&self) -> Range<usize> {
        self.place.clone()
    }
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // It was put there.
        self.shelf.get(self.place()).unwrap_or_default()
    }
}

/// The pool's shelf: where the values lie on it that have been asked for. One that is full is left to those who use it.
#[derive(Debug)]
pub(crate) struct Shelves {
    size: usize,
    current: Option<Arc<Shelf>>,
    used: usize,
    places: HashMap<Name, Range<usize>>,
}

impl Default for Shelves {
    fn default() -> Self {
        Self { size: SIZE, current: None, used: 0, places: HashMap::new() }
    }
}

impl Shelves {
    /// The shelf for one request; a request uses no other. `None` where the system gives none.
    pub fn current(&mut self) -> Option<Arc<Shelf>> {
        if self.current.is_none() {
            self.current = Shelf::new(self.size).ok().map(Arc::new);
        }
        self.current.clone()
    }

    /// A value that lies on this shelf.
    pub fn find(&self, shelf: &Arc<Shelf>, name: &Name) -> Option<Piece> {
        let place = self.places.get(name).filter(|_| self.is_current(shelf))?;
        Some(Piece { shelf: Arc::clone(shelf), place: place.clone() })
    }

    /// Puts a value on this shelf; `None` where it is full, or not the current one any more.
    pub fn put(&mut self, shelf: &Arc<Shelf>, name: &Name, bytes: &[u8]) -> Option<Piece> {
        if !self.is_current(shelf) {
            return None;
        }
        // Another request may have been faster.
        if let Some(piece) = self.find(shelf, name) {
            return Some(piece);
        }
        let place = self.used..self.used + bytes.len();
        if place.end > self.size || write(shelf, place.start, bytes).is_err() {
            // The next request begins a new one.
            *self = Self { size: self.size, ..Self::default() };
            return None;
        }
        self.used = place.end;
        self.places.insert(*name, place.clone());
        Some(Piece { shelf: Arc::clone(shelf), place })
    }

    fn is_current(&self, shelf: &Arc<Shelf>) -> bool {
        self.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, shelf))
    }
}

/// Not through the mapping: where the machine has no memory left, this is an error, and that would be a signal.
fn write(shelf: &Shelf, mut at: usize, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::pwrite(&shelf.memory, bytes, at as u64))?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        (at, bytes) = (at + written, &bytes[written..]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(shelves: &mut Shelves, shelf: &Arc<Shelf>, bytes: &[u8]) -> Option<Piece> {
        shelves.put(shelf, &Name::of_value(bytes), bytes)
    }

    #[test]
    fn another_process_reads_what_was_put_there_before_and_after_it_was_sent() {
        let mut shelves = Shelves::default();
        let shelf = shelves.current().unwrap();
        let before = put(&mut shelves, &shelf, b"before").unwrap();
        let there = Shelf::open(shelf.as_fd().try_clone_to_owned().unwrap()).unwrap();
        let after = put(&mut shelves, &shelf, b"after").unwrap();
        assert_eq!((&*before, there.get(before.place())), (&b"before"[..], Some(&b"before"[..])));
        assert_eq!((&*after, there.get(after.place())), (&b"after"[..], Some(&b"after"[..])));
        assert_eq!(put(&mut shelves, &shelf, b"before").unwrap().place(), before.place(), "it lies there once");
        assert!(there.get(SIZE - 1..SIZE).is_some() && there.get(SIZE - 1..SIZE + 1).is_none());
    }

    #[test]
    fn a_full_shelf_stays_as_it_is_and_a_new_one_begins() {
        let mut shelves = Shelves { size: 10, ..Shelves::default() };
        let first = shelves.current().unwrap();
        let piece = put(&mut shelves, &first, b"12345678").unwrap();
        assert!(put(&mut shelves, &first, b"abc").is_none());
        let second = shelves.current().unwrap();
        assert!(
            put(&mut shelves, &first, b"abc").is_none() && shelves.find(&first, &Name::of_value(b"12345678")).is_none()
        );
        assert_eq!(&*put(&mut shelves, &second, b"abc").unwrap(), b"abc");
        assert_eq!(&*piece, b"12345678");
        assert!(shelves.find(&second, &Name::of_value(b"12345678")).is_none());
    }

    #[test]
    fn its_size_is_fixed() {
        let shelf = Shelves::default().current().unwrap();
        assert!(rustix::fs::ftruncate(&shelf.memory, 0).is_err());
        assert!(rustix::fs::ftruncate(&shelf.memory, SIZE as u64 + 1).is_err());
    }
}

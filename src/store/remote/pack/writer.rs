//! Writing packs.

use std::fs::File;
use std::io::{self, Read, Write};

use gg_ir::{Hasher, Kind, Name};
use zstd::stream::raw::CParameter;

use super::{BLOCK, Index, MAGIC, PackId};

/// For sources, which are few and travel far: another tenth smaller than level 3.
pub(in crate::remote) const SMALL_LEVEL: i32 = 9;
/// For toolchains and outputs, where compressing is what takes the time.
pub(in crate::remote) const LARGE_LEVEL: i32 = 3;
/// Larger objects are compressed by several threads. The result does not depend on how many there are.
const THREADED: u64 = 8 << 20;
/// Each thread of zstd holds some times its piece of the input.
const PIECE: u32 = 4 << 20;
const MOST_THREADS: usize = 4;

/// A pack being written, in bounded memory.
pub(in crate::remote) struct Writer<W: Write> {
    out: Sum<W>,
    index: Index,
    level: i32,
    /// The block being filled.
    raw: Vec<u8>,
    names: Vec<Name>,
}

/// A finished pack.
pub(in crate::remote) struct Written<W> {
    pub out: W,
    pub id: PackId,
    pub size: u64,
    pub index: Index,
}

/// Hashes and counts what is written.
struct Sum<W> {
    out: W,
    hasher: Hasher,
    written: u64,
}

impl<W: Write> Write for Sum<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.out.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        self.written += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// One object as one zstd frame.
pub(in crate::remote) fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let level = if bytes.len() as u64 <= BLOCK { SMALL_LEVEL } else { LARGE_LEVEL };
    let mut out = Vec::with_capacity(bytes.len() / 3 + 64);
    frame(&mut out, level, bytes.len() as u64, |to| to.write_all(bytes))?;
    Ok(out)
}

/// As [`compress`], from a file, in bounded memory. The name of what was read.
pub(in crate::remote) fn compress_file(
    file: &mut File,
    kind: Kind,
    size: u64,
    out: &mut impl Write,
) -> io::Result<Name> {
    frame(out, LARGE_LEVEL, size, |to| copy(file, kind, to))
}

fn copy(from: &mut impl Read, kind: Kind, to: &mut dyn Write) -> io::Result<Name> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish(kind)),
            Ok(length) => {
                hasher.update(&buffer[..length]);
                to.write_all(&buffer[..length])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn frame<T>(
    out: &mut dyn Write,
    level: i32,
    size: u64,
    write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
) -> io::Result<T> {
    let mut encoder = zstd::stream::write::Encoder::new(out, level)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(size))?;
    if size > THREADED {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        encoder.multithread(threads as u32)?;
        encoder.set_parameter(CParameter::JobSize(PIECE))?;
    }
    let result = write(&mut encoder)?;
    encoder.finish()?;
    Ok(result)
}

impl<W: Write> Writer<W> {
    pub fn new(out: W, level: i32) -> Self {
        let out = Sum { out, hasher: Hasher::new(), written: 0 };
        Self { out, index: Index::default(), level, raw: Vec::new(), names: Vec::new() }
    }

    /// Adds an object that fits into memory.
    pub fn add(&mut self, name: &Name, bytes: &[u8]) -> io::Result<()> {
        let length = bytes.len() as u64;
        if length > BLOCK {
            return self.alone(name, |to| to.write_all(bytes));
        }
        if self.raw.len() as u64 + length > BLOCK {
            self.flush()?;
        }
        self.raw.extend_from_slice(bytes);
        self.names.push(*name);
        Ok(())
    }

    /// Adds a large object from a file; the name of what was read, which the caller compares.
    pub fn add_file(&mut self, name: &Name, file: &mut File) -> io::Result<Name> {
        let mut found = *name;
        self.alone(name, |to| {
            found = copy(file, name.kind(), to)?;
            Ok(())
        })?;
        Ok(found)
    }

    fn magic(&mut self) -> io::Result<()> {
        if self.out.written == 0 { self.out.write_all(&MAGIC) } else { Ok(()) }
    }

    fn alone(&mut self, name: &Name, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        // Small objects behind it go on in the block that is being filled, which is written later.
        self.magic()?;
        let before = self.out.written;
        frame(&mut self.out, self.level, name.length(), write)?;
        self.index.push(self.out.written - before, &[*name]);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.magic()?;
        if self.names.is_empty() {
            return Ok(());
        }
        let before = self.out.written;
        frame(&mut self.out, self.level, self.raw.len() as u64, |to| to.write_all(&self.raw))?;
        self.index.push(self.out.written - before, &self.names);
        self.raw.clear();
        self.names.clear();
        Ok(())
    }

    /// Writes what is left and the index.
    pub fn finish(mut self) -> io::Result<Written<W>> {
        self.flush()?;
        self.out.write_all(&self.index.seal())?;
        self.out.flush()?;
        let id = PackId(*self.out.hasher.finish(Kind::Value).digest());
        Ok(Written { out: self.out.out, id, size: self.out.written, index: self.index })
    }
}

//! The inventory on disk: a log to which every process appends.
//!
//! A line is written after the store has answered, in one piece, with a checksum: what is torn or damaged is skipped, so
//! at worst something is uploaded again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use gg_ir::Name;
use rustix::fs::{FlockOperation, flock};

use super::known::Known;
use crate::lines::{Fields, Line};
use crate::remote::pack::{Index, PackId};

/// The log is written anew when it has more lines than this, and less than half of them are of use.
const SMALL_LOG: usize = 1000;

/// One thing to note.
#[derive(Clone, Debug)]
pub(super) enum Note {
    /// An object lies by itself.
    Object(Name),
    /// A pack with its length, its index, and the tree that it was made for with all that is below it.
    Pack { id: PackId, size: u64, root: Option<Name>, index: Arc<Index> },
    /// An object does not lie by itself (any more).
    NoObject(Name),
    /// A pack is gone.
    NoPack(PackId),
}

impl Note {
    fn append_to(&self, out: &mut Vec<u8>) {
        let line = match self {
            Note::Object(name) => Line::new().text("o").name(name),
            Note::NoObject(name) => Line::new().text("-o").name(name),
            Note::NoPack(id) => Line::new().text("-p").text(&id.to_string()),
            Note::Pack { id, size, root, index } => {
                let root = root.map_or_else(|| "-".to_owned(), |root| root.to_string());
                Line::new().text("p").text(&id.to_string()).number(*size).text(&root).bytes(&index.encode())
            }
        };
        line.append_to(out);
    }

    fn parse(mut fields: Fields<'_>) -> Option<Self> {
        Some(match fields.text()? {
            "o" => Note::Object(fields.name()?),
            "-o" => Note::NoObject(fields.name()?),
            "-p" => Note::NoPack(fields.text()?.parse().ok()?),
            "p" => {
                let (id, size) = (fields.text()?.parse().ok()?, fields.number()?);
                let root = match fields.text()? {
                    "-" => None,
                    root => Some(root.parse().ok()?),
                };
                Note::Pack { id, size, root, index: Arc::new(Index::decode(&fields.bytes()?).ok()?) }
            }
            _ => return None,
        })
    }
}

/// Where in the log this process has read to.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    inode: u64,
    read: u64,
    lines: usize,
}

impl Log {
    pub fn new(path: PathBuf) -> Self {
        Self { path, inode: 0, read: 0, lines: 0 }
    }

    /// Takes over what has been added since it was read last. A log that cannot be read is as good as none.
    pub fn refresh(&mut self, known: &mut Known) {
        let Ok(meta) = fs::metadata(&self.path) else { return };
        if meta.ino() == self.inode && meta.len() <= self.read {
            return;
        }
        let Ok(mut file) = File::open(&self.path) else { return };
        let start = if meta.ino() == self.inode { self.read } else { 0 };
        let mut text = Vec::new();
        if file.seek(SeekFrom::Start(start)).is_err() || file.read_to_end(&mut text).is_err() {
            return;
        }
        // A line that another process is still writing is left for the next time.
        text.truncate(text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1));
        if start == 0 {
            // Written anew, by this process or another: what it does not say, it has forgotten.
            (self.lines, *known) = (0, Known::default());
        }
        (self.inode, self.read) = (meta.ino(), start + text.len() as u64);
        for fields in Fields::lines(&text) {
            self.lines += 1;
            if let Some(note) = Note::parse(fields) {
                known.add(note);
            }
        }
    }

    pub fn append(&self, notes: &[Note]) -> io::Result<()> {
        // A process that was killed while writing may have left half a line.
        let mut text = vec![b'\n'];
        notes.iter().for_each(|note| note.append_to(&mut text));
        loop {
            let mut file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&self.path)?;
            flock(&file, FlockOperation::LockExclusive)?;
            // The log may have been written anew between opening and locking.
            let same = |meta: fs::Metadata| file.metadata().is_ok_and(|mine| mine.ino() == meta.ino());
            if !fs::metadata(&self.path).is_ok_and(same) {
                continue;
            }
            let length = file.metadata()?.len();
            return file.write_all(&text).inspect_err(|_| {
                let _ = file.set_len(length);
            });
        }
    }

    /// Writes the log anew when most of it is of no use any more. It is only larger than need be when that fails.
    pub fn compact(&mut self, known: &mut Known) {
        if self.lines > SMALL_LOG && self.lines > 2 * known.len() {
            let _ = self.rewrite(known);
        }
    }

    fn rewrite(&mut self, known: &mut Known) -> io::Result<()> {
        let old = File::open(&self.path)?;
        flock(&old, FlockOperation::LockExclusive)?;
        if old.metadata()?.ino() != fs::metadata(&self.path)?.ino() {
            return Ok(());
        }
        self.refresh(known);
        let mut text = Vec::new();
        known.notes().for_each(|note| note.append_to(&mut text));
        let temporary = self.path.with_extension(format!("{}.new", std::process::id()));
        fs::write(&temporary, &text).and_then(|()| fs::rename(&temporary, &self.path)).inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })?;
        (self.inode, self.read, self.lines) = (fs::metadata(&self.path)?.ino(), text.len() as u64, known.len());
        Ok(())
    }
}

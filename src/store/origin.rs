//! Origins: files and directories of the system that stand in for objects, so that a toolchain need not be copied.
//!
//! They are noted in `origins/log`, to which every process appends; a damaged line is skipped. An origin counts only as
//! long as its file has the stamp that was noted.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use gg_ir::Name;
use rustix::fs::{FlockOperation, flock};

use crate::error::{Result, StoreError, at};
use crate::layout::{Layout, make_dir};
use crate::lines::{Fields, Line};
use crate::shards::lock;
use crate::stamp::Stamp;
use crate::store::Store;

/// As many files are remembered for one content; the empty file has thousands.
const ALTERNATIVES: usize = 8;
/// The log is written anew when it has more lines than this, and less than half of them are of use.
const SMALL_LOG: usize = 1000;

/// One thing to note.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    File(Name, PathBuf, Stamp),
    Tree(Name, PathBuf),
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<Name, Vec<(PathBuf, Stamp)>>,
    trees: HashMap<Name, Vec<PathBuf>>,
    /// How far the log has been read, and the log's inode.
    read: u64,
    inode: u64,
    lines: usize,
}

#[derive(Debug)]
pub(crate) struct Origins {
    log: PathBuf,
    state: OnceLock<Mutex<State>>,
}

/// Whether two paths are the same bytes; comparing them part by part takes many times as long.
fn same(one: &Path, other: &Path) -> bool {
    one.as_os_str() == other.as_os_str()
}

/// Whether a file still is in the state that was noted.
fn holds(path: &Path, stamp: &Stamp) -> bool {
    Stamp::of(path).is_ok_and(|now| now == *stamp)
}

impl State {
    /// Takes over a line of the log.
    fn add(&mut self, note: Note) {
        match note {
            Note::File(name, path, stamp) => {
                let known = self.files.entry(name).or_default();
                known.retain(|(p, _)| !same(p, &path));
                known.push((path, stamp));
            }
            Note::Tree(name, path) => {
                let known = self.trees.entry(name).or_default();
                if !known.iter().any(|p| same(p, &path)) {
                    known.push(path);
                }
            }
        }
    }

    /// Whether a note would say anything new. `full` collects the names of which enough files are known.
    fn is_news(&mut self, note: &Note, full: &mut HashSet<Name>) -> bool {
        match note {
            Note::File(name, path, stamp) => {
                let Some(known) = self.files.get_mut(name) else { return true };
                if known.iter().any(|(p, s)| s == stamp && same(p, path)) {
                    return false;
                }
                if known.len() >= ALTERNATIVES && !full.contains(name) {
                    known.retain(|(path, stamp)| holds(path, stamp));
                    if known.len() >= ALTERNATIVES {
                        full.insert(*name);
                    }
                }
                known.len() < ALTERNATIVES
            }
            Note::Tree(name, path) => !self.trees.get(name).is_some_and(|known| known.iter().any(|p| same(p, path))),
        }
    }

    fn live(&self) -> usize {
        self.files.values().map(Vec::len).sum::<usize>() + self.trees.values().map(Vec::len).sum::<usize>()
    }

    /// Reads what has been added to the log since it was read last.
    fn refresh(&mut self, log: &Path) {
        let Ok(meta) = fs::metadata(log) else { return };
        if meta.ino() == self.inode && meta.len() <= self.read {
            return;
        }
        let Ok(mut file) = File::open(log) else { return };
        // A log written anew is read anew.
        let start = if meta.ino() == self.inode { self.read } else { 0 };
        let mut text = Vec::new();
        if file.seek(SeekFrom::Start(start)).is_err() || file.read_to_end(&mut text).is_err() {
            return;
        }
        // A line that another process is still writing is left for the next time.
        text.truncate(text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1));
        if start == 0 {
            self.lines = 0;
        }
        (self.inode, self.read) = (meta.ino(), start + text.len() as u64);
        for fields in Fields::lines(&text) {
            self.lines += 1;
            if let Some(note) = parse(fields) {
                self.add(note);
            }
        }
    }
}

fn parse(mut fields: Fields<'_>) -> Option<Note> {
    let path = |fields: Fields<'_>| Some(PathBuf::from(OsString::from_vec(fields.bytes()?)));
    match fields.text()? {
        "f" => {
            let (name, stamp) = (fields.name()?, fields.stamp()?);
            Some(Note::File(name, path(fields)?, stamp))
        }
        "d" => {
            let name = fields.name()?;
            Some(Note::Tree(name, path(fields)?))
        }
        _ => None,
    }
}

fn write(note: &Note, out: &mut Vec<u8>) {
    let line = Line::new();
    let (line, path) = match note {
        Note::File(name, path, stamp) => (line.text("f").name(name).stamp(stamp), path),
        Note::Tree(name, path) => (line.text("d").name(name), path),
    };
    line.bytes(path.as_os_str().as_bytes()).append_to(out);
}

impl Origins {
    pub fn new(layout: &Layout) -> Self {
        Self { log: layout.dir("origins").join("log"), state: OnceLock::new() }
    }

    fn state(&self) -> &Mutex<State> {
        self.state.get_or_init(|| {
            let mut state = State::default();
            state.refresh(&self.log);
            if state.lines > SMALL_LOG && state.lines > 2 * state.live() {
                // It is only larger than need be when this fails.
                let _ = self.rewrite(&mut state);
            }
            Mutex::new(state)
        })
    }

    /// A file of the system that holds this value, if one is known and has not changed since.
    pub fn valid(&self, name: &Name) -> Option<PathBuf> {
        let mut state = lock(self.state());
        let find = |state: &State| {
            let known = state.files.get(name)?;
            known
                .iter()
                .find(|(path, stamp)| Stamp::of(path).is_ok_and(|now| now == *stamp))
                .map(|(path, _)| path.clone())
        };
        find(&state).or_else(|| {
            state.refresh(&self.log);
            find(&state)
        })
    }

    /// The files that were noted for this value, which may have changed since.
    fn files(&self, name: &Name) -> Vec<PathBuf> {
        let state = lock(self.state());
        state.files.get(name).map(|known| known.iter().map(|(path, _)| path.clone()).collect()).unwrap_or_default()
    }

    /// The directories that were noted for this tree, which may have changed since.
    pub fn trees(&self, name: &Name) -> Vec<PathBuf> {
        let mut state = lock(self.state());
        state.refresh(&self.log);
        state.trees.get(name).cloned().unwrap_or_default()
    }

    /// Forgets, in this process, that the file holds the value.
    pub fn drop_file(&self, name: &Name, path: &Path) {
        if let Some(known) = lock(self.state()).files.get_mut(name) {
            known.retain(|(p, _)| !same(p, path));
        }
    }

    /// Forgets everything in this process; what the log says is read again.
    pub fn clear(&self) {
        if let Some(state) = self.state.get() {
            *lock(state) = State::default();
        }
    }

    /// Notes origins, in memory and in the log.
    pub fn note(&self, notes: impl IntoIterator<Item = Note>) -> Result<()> {
        let mut state = lock(self.state());
        let (mut text, mut full) = (Vec::new(), HashSet::new());
        for note in notes {
            if state.is_news(&note, &mut full) {
                write(&note, &mut text);
                state.add(note);
            }
        }
        if text.is_empty() { Ok(()) } else { self.append(text).map_err(at("write", &self.log)) }
    }

    fn append(&self, mut text: Vec<u8>) -> std::io::Result<()> {
        loop {
            let mut options = OpenOptions::new();
            options.create(true).append(true).read(true).mode(0o600);
            let mut file = match options.open(&self.log) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    self.log.parent().map_or(Ok(()), make_dir)?;
                    options.open(&self.log)?
                }
                opened => opened?,
            };
            flock(&file, FlockOperation::LockExclusive)?;
            // The log may have been written anew between opening and locking.
            let same = |meta: fs::Metadata| file.metadata().is_ok_and(|mine| mine.ino() == meta.ino());
            if !fs::metadata(&self.log).is_ok_and(same) {
                continue;
            }
            // A process that was killed while writing may have left half a line.
            text.insert(0, b'\n');
            let length = file.metadata()?.len();
            return file.write_all(&text).inspect_err(|_| {
                let _ = file.set_len(length);
            });
        }
    }

    /// Drops the files that have changed or vanished and the directories that have vanished, from the log too.
    pub fn prune(&self) -> std::io::Result<()> {
        let mut state = lock(self.state());
        state.refresh(&self.log);
        let before = state.live();
        state.files.retain(|_, known| {
            known.retain(|(path, stamp)| holds(path, stamp));
            !known.is_empty()
        });
        state.trees.retain(|_, known| {
            known.retain(|path| path.is_dir());
            !known.is_empty()
        });
        if state.live() < before { self.rewrite(&mut state) } else { Ok(()) }
    }

    /// Writes the log anew, with one line for each known origin.
    fn rewrite(&self, state: &mut State) -> std::io::Result<()> {
        let old = File::open(&self.log)?;
        flock(&old, FlockOperation::LockExclusive)?;
        if old.metadata()?.ino() != fs::metadata(&self.log)?.ino() {
            return Ok(());
        }
        state.refresh(&self.log);
        let mut text = Vec::new();
        for (name, known) in &state.files {
            known.iter().for_each(|(path, stamp)| write(&Note::File(*name, path.clone(), *stamp), &mut text));
        }
        for (name, known) in &state.trees {
            known.iter().for_each(|path| write(&Note::Tree(*name, path.clone()), &mut text));
        }
        let temporary = self.log.with_extension(format!("{}.new", std::process::id()));
        fs::write(&temporary, &text).and_then(|()| fs::rename(&temporary, &self.log)).inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })?;
        (state.inode, state.read, state.lines) = (fs::metadata(&self.log)?.ino(), text.len() as u64, state.live());
        Ok(())
    }
}

impl Store {
    /// Notes that a file of the system holds a value, so that the value need not be stored. The stamp is the one with
    /// which [`Store::hash`] gave the name.
    ///
    /// # Errors
    /// [`StoreError::Changing`] when the file is not in that state any more, or holds something else; as [`Store::hash`].
    pub fn note_origin(&self, name: &Name, path: &Path, stamp: &Stamp) -> Result<()> {
        let path = std::path::absolute(path).map_err(at("resolve", path))?;
        match self.hash_settled(&path)? {
            Some((found, now)) if found == *name && now == *stamp => self.origins.note([Note::File(*name, path, now)]),
            // Its stamp will never vouch for it, so keep its content.
            None => self.import(&path).map(|_| ()),
            Some(_) => Err(StoreError::Changing { path }),
        }
    }

    /// A file of the system that holds this value. One whose stamp has changed is read again: a package that is installed once
    /// more, a further hard link or other permissions change the stamp, and not what the file holds.
    pub(crate) fn origin_of_value(&self, name: &Name) -> Option<PathBuf> {
        self.origins.valid(name).or_else(|| {
            let holds = |path: &PathBuf| {
                let same_length = fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() == name.length());
                // What has been read in this state is not read again.
                same_length && self.hash_settled(path).is_ok_and(|found| found.is_some_and(|(found, _)| found == *name))
            };
            let path = self.origins.files(name).into_iter().find(holds)?;
            let stamp = Stamp::of(&path).ok()?;
            self.note_origin(name, &path, &stamp).ok()?;
            self.origins.valid(name)
        })
    }

    /// A directory of the system that holds exactly this tree, links and modes included. It is looked through once per
    /// process and lease.
    pub fn origin_of_tree(&self, name: &Name) -> Option<PathBuf> {
        self.origins.trees(name).into_iter().find(|path| self.is_exactly(path, name))
    }
}

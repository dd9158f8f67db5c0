//! One scan.

use std::collections::VecDeque;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memchr::memmem;

use super::cache::{Cache, Lexed, Name};
use super::computed::Known;
use super::facts::{Computed, Lookup, Use};
use super::hash::{QuickMap, QuickSet};
use super::locate::{DirId, FileId, Locator, Probe};
use super::{Scan, ScanRequest, Syntax};
use crate::World;

/// Files that a compiler takes in place of a header when it finds them beside it (GCC manual, "Using Precompiled
/// Headers"; Clang takes `.pch` for a forced include).
const PRECOMPILED: [&[u8]; 2] = [b".gch", b".pch"];

/// A scan under way.
pub(super) struct Run<'a> {
    world: &'a dyn World,
    pub(super) cache: &'a Cache,
    request: &'a ScanRequest<'a>,
    pub(super) locator: Locator<'a>,
    quote: Vec<DirId>,
    bracket: Vec<DirId>,
    assembler: Vec<DirId>,
    cwd: Option<DirId>,
    /// What names were found to mean behind the directory of the file that has them, by their addresses.
    quoted_names: QuickMap<usize, Option<FileId>>,
    bracketed_names: QuickMap<usize, Option<FileId>>,
    queue: VecDeque<(FileId, Syntax)>,
    queued: QuickSet<(FileId, Syntax)>,
    sources: QuickSet<FileId>,
    /// What was read so far, for macros.
    pub(super) lexed: Vec<(FileId, Arc<Lexed>)>,
    pub(super) computed: Vec<(FileId, Computed)>,
    pub(super) known: QuickMap<Box<[u8]>, Known>,
    pub(super) wrappers: QuickSet<Box<[u8]>>,
    pub(super) scan: Scan,
}

impl<'a> Run<'a> {
    /// A scan that has not begun.
    pub fn new(world: &'a dyn World, cache: &'a Cache, request: &'a ScanRequest) -> Self {
        let mut locator = Locator::new(world);
        let mut all = |dirs: &[super::SearchDir]| -> Vec<DirId> {
            dirs.iter().filter_map(|dir| locator.directory(&dir.path, dir.system)).collect()
        };
        let (quote, bracket) = (all(&request.search.quote), all(&request.search.bracket));
        let cwd = locator.directory(request.cwd, false);
        let assembler = request.assembler_dirs.iter().filter_map(|dir| locator.directory(dir, false)).collect();
        Self {
            world,
            cache,
            request,
            locator,
            quote,
            bracket,
            assembler,
            cwd,
            quoted_names: QuickMap::default(),
            bracketed_names: QuickMap::default(),
            queue: VecDeque::new(),
            queued: QuickSet::default(),
            sources: QuickSet::default(),
            lexed: Vec::new(),
            computed: Vec::new(),
            known: QuickMap::default(),
            wrappers: QuickSet::default(),
            scan: Scan::default(),
        }
    }

    /// The value given to a macro on the command line.
    pub(super) fn defines(&self) -> &'a [(String, String)] {
        &self.request.defines
    }

    /// The working directory.
    pub(super) fn cwd(&self) -> &'a Path {
        self.request.cwd
    }

    /// Scans everything.
    pub fn finish(mut self) -> io::Result<Scan> {
        for source in &self.request.sources {
            let path = self.request.cwd.join(source);
            match self.locator.file(path.clone()) {
                Probe::File(file) => {
                    self.sources.insert(file);
                    self.enqueue(file, self.request.syntax);
                }
                Probe::Device => return Err(about(&path, "is no regular file")),
                Probe::Missing => return Err(about(&path, "does not exist")),
            }
        }
        if self.request.syntax == Syntax::C {
            for forced in &self.request.forced {
                self.forced(forced);
            }
            // GCC begins every compile with this one where the C library has it (Clang does not, which does no harm).
            if let Some(file) = self.bracketed(&self.cache.name(b"stdc-predef.h")) {
                self.enqueue(file, Syntax::C);
            }
        }
        for (_, value) in &self.request.defines {
            let has = |word: &str| memmem::find(value.as_bytes(), word.as_bytes()).is_some();
            self.scan.volatile |= has("__DATE__") || has("__TIME__");
            self.scan.timestamp |= has("__TIMESTAMP__");
        }
        loop {
            while let Some((file, syntax)) = self.queue.pop_front() {
                self.visit(file, syntax)?;
            }
            self.follow_computed();
            if self.queue.is_empty() {
                break;
            }
        }
        self.report_computed();
        let mut scan = self.scan;
        let search = [self.quote, self.bracket, self.assembler].concat();
        let mut directories: Vec<PathBuf> = search.iter().map(|&dir| self.locator.dir_path(dir).into()).collect();
        let (reads, crossed) = self.locator.finish();
        directories.extend(crossed);
        let mut seen = QuickSet::default();
        directories.retain(|dir| seen.insert(dir.clone()));
        (scan.reads, scan.directories) = (reads, directories);
        Ok(scan)
    }

    fn enqueue(&mut self, file: FileId, syntax: Syntax) {
        if self.queued.insert((file, syntax)) {
            self.queue.push_back((file, syntax));
        }
    }

    /// An operand of `-include` or `-imacros`.
    fn forced(&mut self, name: &Path) {
        let name = name.as_os_str().as_bytes();
        let Some(cwd) = self.cwd else { return };
        self.precompiled(cwd, name);
        match self.quoted(cwd, &self.cache.name(name)) {
            Some(file) => self.enqueue(file, Syntax::C),
            None if name == b"/dev/null" => {}
            None => self.scan.unresolved.push(format!("-include {}: not found", String::from_utf8_lossy(name))),
        }
    }

    /// Reads one file and looks up what it asks for.
    fn visit(&mut self, file: FileId, syntax: Syntax) -> io::Result<()> {
        let path = self.locator.path(file);
        let source = self.sources.contains(&file);
        let content = match self.world.read(path) {
            Ok(content) => content,
            Err(error) if source => return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
            Err(error) => {
                self.scan.unresolved.push(format!("{}: {error}", path.display()));
                return Ok(());
            }
        };
        let lexed = self.cache.lexed(path, content, syntax);
        let facts = &lexed.facts;
        let dir = self.locator.dir_of(file);
        let mut first = source;
        for (lookup, name) in facts.lookups.iter().zip(&lexed.names) {
            if first && lookup.usage == Use::Include {
                self.precompiled(dir, &lookup.name);
                // Only the first include can be precompiled, and behind one that is sure there is no other first.
                first = !lookup.unconditional;
            }
            self.look_up(dir, lookup, name);
        }
        for embedded in &facts.embedded {
            self.embedded(dir, &embedded.name, embedded.include);
        }
        self.wrappers.extend(facts.wrappers.iter().cloned());
        self.computed.extend(facts.computed.iter().map(|computed| (file, computed.clone())));
        if !self.locator.is_system(file) {
            self.scan.volatile |= facts.volatile;
            self.scan.timestamp |= facts.timestamp;
        }
        for note in &facts.modules {
            let path = self.locator.path(file).display();
            self.scan.unresolved.push(format!("{path}:{}: {}", note.line, note.what));
        }
        self.lexed.push((file, lexed));
        Ok(())
    }

    /// Looks a header up and queues it.
    pub(super) fn look_up(&mut self, dir: DirId, lookup: &Lookup, name: &Name) {
        let follow = lookup.usage != Use::Data;
        if lookup.next {
            // Where the search begins depends on how the current file was found, so every directory counts.
            let own = lookup.quoted.then_some(dir);
            let dirs: Vec<DirId> = own.into_iter().chain(self.chain(lookup.quoted)).collect();
            for dir in dirs {
                if let Probe::File(file) = self.locator.probe(dir, name)
                    && follow
                {
                    self.enqueue(file, Syntax::C);
                }
            }
            return;
        }
        let found = if lookup.quoted { self.quoted(dir, name) } else { self.bracketed(name) };
        if let Some(file) = found
            && follow
        {
            self.enqueue(file, Syntax::C);
        }
    }

    fn chain(&self, quoted: bool) -> impl Iterator<Item = DirId> + use<> {
        let quote = if quoted { self.quote.clone() } else { Vec::new() };
        quote.into_iter().chain(self.bracket.clone())
    }

    /// The file that `#include "name"` in a file in `dir` means.
    fn quoted(&mut self, dir: DirId, name: &Name) -> Option<FileId> {
        match self.locator.probe(dir, name) {
            Probe::File(file) => return Some(file),
            Probe::Device => return self.device(name),
            Probe::Missing => {}
        }
        if let Some(&known) = self.quoted_names.get(&name.address()) {
            return known;
        }
        let found = match self.first(|run| &run.quote, name) {
            Some(found) => found,
            None => self.bracketed(name),
        };
        self.quoted_names.insert(name.address(), found);
        found
    }

    /// The file that `#include <name>` means.
    fn bracketed(&mut self, name: &Name) -> Option<FileId> {
        if let Some(&known) = self.bracketed_names.get(&name.address()) {
            return known;
        }
        let found = self.first(|run| &run.bracket, name).flatten();
        self.bracketed_names.insert(name.address(), found);
        found
    }

    /// The first match in some directories; `Some(None)` when it is a device.
    fn first(&mut self, dirs: impl Fn(&Self) -> &Vec<DirId>, name: &Name) -> Option<Option<FileId>> {
        for at in 0..dirs(self).len() {
            match self.locator.probe(dirs(self)[at], name) {
                Probe::File(file) => return Some(Some(file)),
                Probe::Device => return Some(self.device(name)),
                Probe::Missing => {}
            }
        }
        None
    }

    fn device(&mut self, name: &[u8]) -> Option<FileId> {
        if name != b"/dev/null" {
            self.scan.unsealable.push(format!("{}: no regular file", String::from_utf8_lossy(name)));
        }
        None
    }

    /// Finds the precompiled headers that may stand in for the first include of a source.
    fn precompiled(&mut self, dir: DirId, name: &[u8]) {
        let dirs: Vec<DirId> = [dir].into_iter().chain(self.chain(true)).collect();
        for suffix in PRECOMPILED {
            let name = [name, suffix].concat();
            for &dir in &dirs {
                if self.locator.probe_bytes(dir, &name) == Probe::Missing {
                    self.locator.all_in(dir, &name);
                }
            }
        }
    }

    /// Finds a file that the assembler reads.
    pub(super) fn embedded(&mut self, dir: DirId, name: &[u8], include: bool) {
        // The manual of `as` has the current directory first; assemblers differ on the directory of the file itself.
        let dirs: Vec<DirId> = self.cwd.into_iter().chain([dir]).chain(self.assembler.iter().copied()).collect();
        for dir in dirs {
            match self.locator.probe_bytes(dir, name) {
                Probe::File(file) if include => self.enqueue(file, Syntax::Assembly),
                Probe::File(_) | Probe::Missing => {}
                Probe::Device => {
                    self.device(name);
                }
            }
        }
    }
}

fn about(path: &Path, what: &str) -> io::Error {
    let kind = if what.ends_with("exist") { io::ErrorKind::NotFound } else { io::ErrorKind::InvalidInput };
    io::Error::new(kind, format!("{}: {what}", path.display()))
}

//! One scan.

use std::collections::VecDeque;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memchr::memmem;

use super::atlas::{Atlas, DirId, FileId, Probe};
use super::cache::{Cache, Lexed, Name};
use super::chart::ChartId;
use super::computed::Known;
use super::facts::{Computed, Lookup, Use};
use super::hash::{QuickMap, QuickSet};
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
    pub(super) atlas: &'a mut Atlas,
    quote: ChartId,
    bracket: ChartId,
    assembler: Vec<DirId>,
    cwd: Option<DirId>,
    queue: VecDeque<(FileId, Syntax)>,
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
    pub fn new(world: &'a dyn World, cache: &'a Cache, atlas: &'a mut Atlas, request: &'a ScanRequest) -> Self {
        atlas.begin();
        let mut all = |dirs: &[super::SearchDir]| -> Vec<DirId> {
            dirs.iter().filter_map(|dir| atlas.directory(world, &dir.path, dir.system)).collect()
        };
        let (quote, bracket) = (all(&request.search.quote), all(&request.search.bracket));
        let (quote, bracket) = (atlas.chart(&quote), atlas.chart(&bracket));
        let cwd = atlas.directory(world, request.cwd, false);
        let assembler = request.assembler_dirs.iter().filter_map(|dir| atlas.directory(world, dir, false)).collect();
        Self {
            world,
            cache,
            request,
            atlas,
            quote,
            bracket,
            assembler,
            cwd,
            queue: VecDeque::new(),
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
            match self.atlas.at(self.world, path.clone()) {
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
        let search = [self.atlas.dirs(self.quote), self.atlas.dirs(self.bracket), &self.assembler].concat();
        let mut directories: Vec<PathBuf> = search.iter().map(|&dir| self.atlas.dir_path(dir).into()).collect();
        let (reads, crossed) = self.atlas.finish();
        directories.extend(crossed);
        let mut seen = QuickSet::default();
        directories.retain(|dir| seen.insert(dir.clone()));
        (scan.reads, scan.directories) = (reads, directories);
        Ok(scan)
    }

    fn enqueue(&mut self, file: FileId, syntax: Syntax) {
        if self.atlas.queue(file, syntax) {
            self.queue.push_back((file, syntax));
        }
    }

    /// An operand of `-include` or `-imacros`.
    fn forced(&mut self, name: &Path) {
        let name = name.as_os_str().as_bytes();
        let Some(cwd) = self.cwd else { return };
        self.precompiled(cwd, name);
        let beside = self.atlas.probe(self.world, cwd, name);
        match self.quoted(beside, &self.cache.name(name)) {
            Some(file) => self.enqueue(file, Syntax::C),
            None if name == b"/dev/null" => {}
            None => self.scan.unresolved.push(format!("-include {}: not found", String::from_utf8_lossy(name))),
        }
    }

    /// Reads one file and looks up what it asks for.
    fn visit(&mut self, file: FileId, syntax: Syntax) -> io::Result<()> {
        let source = self.sources.contains(&file);
        let lexed = match self.atlas.lexed(self.world, self.cache, file, syntax) {
            Ok(lexed) => lexed,
            Err(error) => {
                let text = format!("{}: {error}", self.atlas.path(file).display());
                if source {
                    return Err(io::Error::new(error.kind(), text));
                }
                self.scan.unresolved.push(text);
                return Ok(());
            }
        };
        let facts = &lexed.facts;
        let dir = self.atlas.dir_of(file);
        let charts = [self.quote, self.bracket];
        let reached = if source { None } else { self.atlas.reached(self.world, file, syntax, charts) };
        if let Some(reached) = reached {
            for &(target, counts) in &reached.targets {
                if counts {
                    self.enqueue(target, Syntax::C);
                }
            }
            reached.rest.iter().for_each(|&at| self.look_up_of(file, syntax, &lexed, at));
        } else {
            let mut first = source;
            for (at, lookup) in facts.lookups.iter().enumerate() {
                if first && lookup.usage == Use::Include {
                    self.precompiled(dir, &lookup.name);
                    // Only the first include can be precompiled, and behind one that is sure there is no other first.
                    first = !lookup.unconditional;
                }
                self.look_up_of(file, syntax, &lexed, at);
            }
            if !source {
                self.atlas.keep_reached(file, syntax, charts);
            }
        }
        for embedded in &facts.embedded {
            self.embedded(dir, &embedded.name, embedded.include);
        }
        self.wrappers.extend(facts.wrappers.iter().cloned());
        self.computed.extend(facts.computed.iter().map(|computed| (file, computed.clone())));
        if (facts.volatile || facts.timestamp) && !self.atlas.is_system(file) {
            self.scan.volatile |= facts.volatile;
            self.scan.timestamp |= facts.timestamp;
        }
        for note in &facts.modules {
            let path = self.atlas.path(file).display();
            self.scan.unresolved.push(format!("{path}:{}: {}", note.line, note.what));
        }
        self.lexed.push((file, lexed));
        Ok(())
    }

    /// Looks up the name that a file has at `at`, and queues what it finds.
    fn look_up_of(&mut self, file: FileId, syntax: Syntax, lexed: &Lexed, at: usize) {
        let (lookup, name) = (&lexed.facts.lookups[at], &lexed.names[at]);
        if lookup.next || !lookup.quoted {
            return self.look_up(self.atlas.dir_of(file), lookup, name);
        }
        let beside = self.atlas.beside(self.world, file, syntax, at, name);
        let found = self.quoted(beside, name);
        self.follow(lookup, found);
    }

    /// Looks a header up and queues it.
    pub(super) fn look_up(&mut self, dir: DirId, lookup: &Lookup, name: &Name) {
        if lookup.next {
            // Where the search begins depends on how the current file was found, so every directory counts.
            let own = lookup.quoted.then_some(dir);
            for dir in own.into_iter().chain(self.chain(lookup.quoted)) {
                if let Probe::File(file) = self.atlas.probe(self.world, dir, name) {
                    self.follow(lookup, Some(file));
                }
            }
            return;
        }
        let found = if lookup.quoted {
            let beside = self.atlas.probe(self.world, dir, name);
            self.quoted(beside, name)
        } else {
            self.bracketed(name)
        };
        self.follow(lookup, found);
    }

    /// Queues what was found, if what it includes counts.
    fn follow(&mut self, lookup: &Lookup, found: Option<FileId>) {
        if let Some(file) = found
            && lookup.usage != Use::Data
        {
            self.enqueue(file, Syntax::C);
        }
    }

    fn chain(&self, quoted: bool) -> impl Iterator<Item = DirId> + use<> {
        let quote = if quoted { self.atlas.dirs(self.quote).to_vec() } else { Vec::new() };
        quote.into_iter().chain(self.atlas.dirs(self.bracket).to_vec())
    }

    /// The file that `#include "name"` means where the directory of the file that has it holds `beside`.
    fn quoted(&mut self, beside: Probe, name: &Name) -> Option<FileId> {
        match beside {
            Probe::File(file) => return Some(file),
            Probe::Device => return self.device(name),
            Probe::Missing => {}
        }
        match self.first(self.quote, name) {
            Some(found) => found,
            None => self.bracketed(name),
        }
    }

    /// The file that `#include <name>` means.
    fn bracketed(&mut self, name: &Name) -> Option<FileId> {
        self.first(self.bracket, name).flatten()
    }

    /// The first match in the directories of a chart; `Some(None)` when it is a device.
    fn first(&mut self, chart: ChartId, name: &Name) -> Option<Option<FileId>> {
        match self.atlas.first(self.world, chart, name) {
            Probe::File(file) => Some(Some(file)),
            Probe::Device => Some(self.device(name)),
            Probe::Missing => None,
        }
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
                if self.atlas.probe(self.world, dir, &name) == Probe::Missing {
                    self.atlas.all_in(self.world, dir, &name);
                }
            }
        }
    }

    /// Finds a file that the assembler reads.
    pub(super) fn embedded(&mut self, dir: DirId, name: &[u8], include: bool) {
        // The manual of `as` has the current directory first; assemblers differ on the directory of the file itself.
        let dirs: Vec<DirId> = self.cwd.into_iter().chain([dir]).chain(self.assembler.iter().copied()).collect();
        for dir in dirs {
            match self.atlas.probe(self.world, dir, name) {
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

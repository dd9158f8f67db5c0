//! ELF programs and libraries with what they are loaded with, and trees that hold some.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gg_models::toolchain::elf::{self, CACHE, Elf, Loaded, Machine, Wants};
use gg_models::{Environment, Reason};

use crate::disk::{self, Disk};
use crate::gather::Gather;
use crate::{CaptureError, Note, Subtree, lookup};

/// Processors by their numbers in ELF files (`e_machine`, in the processor supplements of the System V ABI), as Rust calls them.
const MACHINES: &[(Machine, &str)] = &[
    ((true, 62), "x86_64"),
    ((false, 62), "x86_64 (x32)"),
    ((false, 3), "x86"),
    ((true, 183), "aarch64"),
    ((false, 40), "arm"),
    ((true, 243), "riscv64"),
    ((false, 243), "riscv32"),
    ((true, 21), "powerpc64"),
    ((true, 22), "s390x"),
    ((true, 258), "loongarch64"),
    ((false, 8), "mips"),
    ((true, 8), "mips64"),
];

/// Which programs a processor runs besides its own, where the kernel is told to.
const COMPATIBLE: &[(&str, &str)] = &[("x86_64", "x86"), ("x86_64", "x86_64 (x32)"), ("aarch64", "arm")];

/// The directory beside libraries for builds of the same libraries that need newer processors (ld.so(8)).
const NEWER: &str = "glibc-hwcaps";

/// The list of directories for ldconfig (ldconfig(8)).
const LIST: &str = "/etc/ld.so.conf";

/// Libraries that every program is loaded with (ld.so(8)).
const PRELOAD: &str = "/etc/ld.so.preload";

/// Where the loader looks without being told (ld.so(8)).
const USUAL: &[&str] = &["/lib64", "/usr/lib64", "/lib", "/usr/lib"];

/// What directories may hold together, in entries and bytes, to which links lead out of those that are taken whole, and which are
/// taken as well. A package that is linked to is there; `/usr/share` is not taken since something links there.
const MOST_LINKED: (u64, u64) = (10_000, 64 << 20);

/// The variable that tells the loader where to look.
const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

/// What the loader is told when it is asked: its answer in English, and the directories of the request.
pub(crate) fn loader_environment(env: &Environment, cwd: &Path) -> Environment {
    let mut out = Environment::from([("LC_ALL".into(), "C".into())]);
    if let Some(list) = env.get(OsStr::new(LIBRARY_PATH)).filter(|list| !list.is_empty()) {
        // `;` separates, too (ld.so(8)).
        let parts = list.as_bytes().split(|byte| matches!(byte, b':' | b';'));
        let directories: Vec<PathBuf> = parts.map(|part| lookup::plain(&cwd.join(OsStr::from_bytes(part)))).collect();
        out.insert(LIBRARY_PATH.into(), lookup::list(directories.iter().map(PathBuf::as_path)));
    }
    out
}

impl Gather<'_> {
    /// Adds what an ELF program is loaded with.
    ///
    /// # Errors
    /// [`CaptureError::Foreign`], [`CaptureError::MissingLoader`], [`CaptureError::MissingLibrary`], [`CaptureError::Loader`].
    pub fn program(&mut self, real: &Path) -> Result<(), CaptureError> {
        if !self.objects.insert(real.into()) {
            return Ok(());
        }
        let elf = Elf::of(real, &Disk).map_err(|error| CaptureError::Io { path: real.into(), error })?;
        let elf = elf.ok_or_else(|| CaptureError::NoProgram { path: real.into() })?;
        check_machine(real, elf.machine)?;
        if let Some(loader) = elf.interpreter
            && !loader.exists()
        {
            return Err(CaptureError::MissingLoader { program: real.into(), loader });
        }
        match self.loaded(real)? {
            Some((loaded, told)) if loaded.missing.is_empty() => {
                let wants = self.wants(real)?;
                self.learn(wants);
                self.add(loaded, told)
            }
            Some((loaded, _)) => Err(CaptureError::MissingLibrary { program: real.into(), libraries: loaded.missing }),
            None => Ok(()),
        }
    }

    /// Adds what a shared library is loaded with, as far as that is found. Where the library is loaded by a program that has others
    /// already, those need not be found.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn library(&mut self, real: &Path) -> Result<(), CaptureError> {
        if !self.objects.insert(real.into()) {
            return Ok(());
        }
        let wants = self.wants(real)?;
        // Asking takes longer than reading, and most libraries ask for no others than their like.
        if self.usual.get(&wants.places).is_some_and(|known| wants.libraries.iter().all(|it| known.contains(it))) {
            return Ok(());
        }
        let (mut loaded, told) = match self.loaded(real) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(()),
            Err(CaptureError::Loader { why, .. }) => {
                self.notes.insert(Note::MissingLibrary { library: real.into(), lacks: why });
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if loaded.missing.is_empty() {
            self.learn(wants);
        }
        loaded.missing.retain(|name| !self.names.contains(name));
        if !loaded.missing.is_empty() {
            let names: Vec<_> = loaded.missing.iter().map(|name| name.to_string_lossy()).collect();
            self.notes.insert(Note::MissingLibrary { library: real.into(), lacks: names.join(", ") });
        }
        self.add(loaded, told)
    }

    fn wants(&mut self, object: &Path) -> Result<Wants, CaptureError> {
        let wants = elf::wants(object, &Disk).map_err(|error| CaptureError::Io { path: object.into(), error })?;
        let parent = object.parent().unwrap_or(object).to_string_lossy();
        for place in &wants.places {
            let place = place.to_string_lossy().replace("${ORIGIN}", &parent).replace("$ORIGIN", &parent);
            if place.contains('$') {
                // Another of its variables, by which the loader alone knows where it looks.
                self.looked = None;
            }
            self.look([self.request.cwd.join(place)]);
        }
        Ok(wants)
    }

    /// Keeps where loaders look in any case.
    pub fn look_where_loaders_do(&mut self) {
        let told = self.loading.get(OsStr::new(LIBRARY_PATH)).map(|list| lookup::directories(list).collect::<Vec<_>>());
        let usual = USUAL.iter().chain([&CACHE, &PRELOAD]).map(PathBuf::from);
        let all: Vec<PathBuf> =
            self.directories.iter().cloned().chain(told.into_iter().flatten()).chain(usual).collect();
        self.look(all);
        let newer: Vec<PathBuf> =
            self.newer.iter().flat_map(|(base, below)| [base.join(NEWER)].into_iter().chain(below.clone())).collect();
        self.look(newer);
    }

    /// Keeps which libraries are there for all that look for them in the same places.
    fn learn(&mut self, wants: Wants) {
        if !wants.places.iter().any(|place| place.as_bytes().contains(&b'$')) {
            self.usual.entry(wants.places).or_default().extend(wants.libraries);
        }
    }

    /// What an object is loaded with, and whether that is so only for [`LIBRARY_PATH`]. Many have that set to where the loader looks
    /// anyway, and their programs are to be the same as others'.
    fn loaded(&self, object: &Path) -> Result<Option<(Loaded, bool)>, CaptureError> {
        let Some(loaded) = self.ask_loader(object, &self.loading)? else { return Ok(None) };
        let list = self.loading.get(OsStr::new(LIBRARY_PATH));
        let is_there =
            |library: &PathBuf| list.is_some_and(|list| lookup::directories(list).any(|it| library.starts_with(it)));
        if !loaded.libraries.iter().any(is_there) {
            return Ok(Some((loaded, false)));
        }
        let mut untold = self.loading.clone();
        untold.remove(OsStr::new(LIBRARY_PATH));
        let files = |loaded: &Loaded| -> BTreeSet<PathBuf> {
            loaded.libraries.iter().map(|it| fs::canonicalize(it).unwrap_or_else(|_| it.clone())).collect()
        };
        match self.ask_loader(object, &untold) {
            Ok(Some(same)) if same.missing == loaded.missing && files(&same) == files(&loaded) => {
                Ok(Some((same, false)))
            }
            _ => Ok(Some((loaded, true))),
        }
    }

    fn ask_loader(&self, object: &Path, env: &Environment) -> Result<Option<Loaded>, CaptureError> {
        elf::loaded(object, &Disk, env).map_err(|reason| {
            let why = match reason {
                Reason::Unsealable(why) => why,
                other => other.to_string(),
            };
            CaptureError::Loader { program: object.into(), why }
        })
    }

    /// `told` says that [`LIBRARY_PATH`] was followed.
    fn add(&mut self, loaded: Loaded, told: bool) -> Result<(), CaptureError> {
        self.places.file(&loaded.loader)?;
        // Found with what is nowhere, libraries may have been found without the cache as well; then it is only not needed.
        if loaded.cached {
            self.places.optional(Path::new(CACHE))?;
        }
        for library in &loaded.libraries {
            let real = self.places.file(library)?;
            self.directories.extend(real.parent().map(Path::to_owned));
            self.names.extend(library.file_name().map(OsStr::to_owned));
            if told {
                self.note_library_path(library);
            }
        }
        for library in &loaded.libraries {
            for other in self.builds(library) {
                let real = self.places.file(&other)?;
                self.library(&real)?;
            }
        }
        Ok(())
    }

    /// Keeps the directories of `LD_LIBRARY_PATH` that matter.
    fn note_library_path(&mut self, library: &Path) {
        let Some(list) = self.loading.get(OsStr::new(LIBRARY_PATH)) else { return };
        let Some(directory) = lookup::directories(list).find(|it| library.starts_with(it)) else { return };
        self.library_path.insert(directory);
    }

    /// Those directories in their order, for the program's environment.
    pub fn library_path(&self) -> Option<(OsString, OsString)> {
        let all: Vec<PathBuf> = lookup::directories(self.loading.get(OsStr::new(LIBRARY_PATH))?).collect();
        let kept = all.iter().filter(|directory| self.library_path.contains(*directory));
        let list = lookup::list(kept.map(PathBuf::as_path));
        (!list.is_empty()).then(|| (LIBRARY_PATH.into(), list))
    }

    /// Lists the directories of libraries, but for those that the loader always looks in, where ldconfig would find them. No program
    /// reads that list; a sandbox that lays directories out elsewhere does, where `$ORIGIN` does not lead from one to another.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn list_directories(&mut self) -> Result<(), CaptureError> {
        let usual: Vec<PathBuf> = USUAL.iter().filter_map(|directory| fs::canonicalize(directory).ok()).collect();
        // Debian's loader looks where its C library is, too.
        let with_libc = |it: &PathBuf| it.join("libc.so.6").exists();
        let listed = self.directories.iter().filter(|it| !usual.contains(it) && !with_libc(it));
        let lines: Vec<u8> = listed.flat_map(|it| [it.as_os_str().as_bytes(), b"\n"].concat()).collect();
        if lines.is_empty() { Ok(()) } else { self.places.text(Path::new(LIST), lines) }
    }

    /// The other builds of a library for older and newer processors: elsewhere the loader takes one of those.
    fn builds(&mut self, library: &Path) -> Vec<PathBuf> {
        let (Some(directory), Some(name)) = (library.parent(), library.file_name()) else { return Vec::new() };
        let is_newer = |it: &&Path| it.file_name() == Some(OsStr::new(NEWER));
        let base = directory.parent().filter(is_newer).and_then(Path::parent).unwrap_or(directory);
        let newer = self.newer.entry(base.into()).or_insert_with(|| {
            let listed = fs::read_dir(base.join(NEWER)).into_iter().flatten().flatten();
            listed.map(|entry| entry.path()).collect()
        });
        let places = newer.iter().map(PathBuf::as_path).chain([base]);
        places.map(|place| place.join(name)).filter(|other| other != library && other.is_file()).collect()
    }

    /// Adds a whole directory but for some, with what the links in it lead to and what the libraries and programs in it are
    /// loaded with. Links that lead to directories outside are followed as far as these are small ([`MOST_LINKED`]); the others
    /// stay links, which lead nowhere, and are [noted](Note::LinkOut).
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn tree(&mut self, path: &Path, without: &BTreeSet<PathBuf>) -> Result<(), CaptureError> {
        let Some(tree) = self.places.tree(path, without.clone())? else { return Ok(()) };
        // Seen from a directory that a link leads to, other paths are meant.
        let names: BTreeSet<PathBuf> = without.iter().filter(|it| it.is_relative()).cloned().collect();
        let mut found = Vec::new();
        list(&tree, &tree.directory, &mut found)?;
        for Entry { path, link } in found {
            if link {
                let Some((real, meta)) = self.places.walk(&path)? else { continue };
                if meta.is_dir() {
                    self.linked(&tree, &path, &real, &names)?;
                    continue;
                }
                if !meta.is_file() {
                    continue;
                }
                self.places.file(&real)?;
                if is_object(&real) {
                    self.library(&real)?;
                }
            } else if is_object(&path) {
                self.names.extend(path.file_name().map(OsStr::to_owned));
                self.library(&path)?;
            }
        }
        Ok(())
    }
}

impl Gather<'_> {
    /// Adds a directory that a link in a tree leads to, unless it is much.
    fn linked(
        &mut self,
        tree: &Subtree,
        link: &Path,
        real: &Path,
        without: &BTreeSet<PathBuf>,
    ) -> Result<(), CaptureError> {
        if self.places.holds(real) {
            return Ok(());
        }
        let (entries, bytes) = self.linked;
        let left = (MOST_LINKED.0.saturating_sub(entries), MOST_LINKED.1.saturating_sub(bytes));
        match size(real, left).filter(|_| !tree.directory.starts_with(real)) {
            Some(size) => {
                self.linked = (entries + size.0, bytes + size.1);
                self.tree(real, without)
            }
            None => {
                // It may become less.
                self.looked = None;
                self.notes.insert(Note::LinkOut { link: link.into(), target: real.into() });
                Ok(())
            }
        }
    }
}

/// How many entries and bytes there are below a directory; `None` if more than `most`, or if they cannot be counted.
fn size(directory: &Path, most: (u64, u64)) -> Option<(u64, u64)> {
    let (mut entries, mut bytes) = (0, 0);
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).ok()? {
            let entry = entry.ok()?;
            let meta = entry.metadata().ok()?;
            entries += 1;
            bytes += if meta.is_file() { meta.len() } else { 0 };
            if entries > most.0 || bytes > most.1 {
                return None;
            }
            if meta.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    Some((entries, bytes))
}

/// Something in a tree that may need more: a link, or a file that may be ELF.
struct Entry {
    path: PathBuf,
    link: bool,
}

/// Lists links, and files that are named as libraries or executable, in order.
fn list(tree: &Subtree, directory: &Path, out: &mut Vec<Entry>) -> Result<(), CaptureError> {
    let failed = |error| CaptureError::Io { path: directory.into(), error };
    let entries: Result<Vec<_>, _> = fs::read_dir(directory).map_err(failed)?.collect();
    let mut entries = entries.map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let relative = path.strip_prefix(&tree.directory).unwrap_or(&path);
        if tree.leaves_out(relative) {
            continue;
        }
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            list(tree, &path, out)?;
        } else if kind.is_symlink() {
            out.push(Entry { path, link: true });
        } else if kind.is_file() {
            let named = entry.file_name().as_bytes().windows(3).any(|part| part == b".so");
            if named || entry.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0) {
                out.push(Entry { path, link: false });
            }
        }
    }
    Ok(())
}

/// Whether a file begins as ELF files do.
pub(crate) fn is_object(path: &Path) -> bool {
    disk::head(path, 4).is_ok_and(|head| head == b"\x7fELF")
}

/// # Errors
/// [`CaptureError::Foreign`] unless this machine's processor is the right one.
fn check_machine(program: &Path, machine: Machine) -> Result<(), CaptureError> {
    let native = std::env::consts::ARCH;
    let name = MACHINES.iter().find(|(known, _)| *known == machine).map(|(_, name)| *name);
    // What the table does not know, the loader is asked about.
    let fits = |name: &str| name == native || COMPATIBLE.contains(&(native, name));
    let is_known = MACHINES.iter().any(|(_, name)| *name == native);
    if !is_known || name.is_some_and(fits) {
        return Ok(());
    }
    let machine = name.map_or_else(|| format!("a processor with the ELF number {}", machine.1), str::to_owned);
    Err(CaptureError::Foreign { program: program.into(), machine, native })
}

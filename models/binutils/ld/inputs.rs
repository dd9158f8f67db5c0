//! Finds a link's inputs as the linker finds them.

use std::collections::{HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::command::{Command, Input};
use super::script;
use super::search::{BuiltIn, Linker};
use crate::binutils::outline::{self, Outline};
use crate::binutils::{archive, draft};
use crate::{Environment, FileKind, Read, Reason, World};

/// ELF class and machine by emulation, as far as a library of another machine must be told from one that fits.
const EMULATIONS: &[(&str, (u8, u16))] = &[
    ("elf_x86_64", (2, 62)),
    ("elf32_x86_64", (1, 62)),
    ("elf_i386", (1, 3)),
    ("aarch64linux", (2, 183)),
    ("armelf_linux_eabi", (1, 40)),
    ("elf64lriscv", (2, 243)),
    ("elf32lriscv", (1, 243)),
    ("elf64lppc", (2, 21)),
    ("elf64_s390", (2, 22)),
];

/// A search through a link's inputs.
pub(super) struct Search<'a> {
    pub linker: &'a Linker,
    pub built_in: Arc<BuiltIn>,
    pub command: &'a Command,
    pub cwd: &'a Path,
    pub env: &'a Environment,
    pub world: &'a dyn World,
    /// Missing temporary files belong to the driver that wrote the command line.
    pub lenient: bool,
    pub reads: Vec<Read>,
    /// What `OUTPUT(...)` of a script says.
    pub output: Option<OsString>,
    /// The first input that is nowhere.
    pub missing: Option<PathBuf>,
    pub directories: Vec<PathBuf>,
    pub defaults: Vec<PathBuf>,
    pub machine: Option<(u8, u16)>,
    pub seen: HashSet<PathBuf>,
    /// Shared objects whose needs are to be looked for.
    pub shared: VecDeque<PathBuf>,
    /// Shared objects that are linked with, and how each is called if it does not say, where that is known.
    pub direct: Vec<(PathBuf, Option<OsString>)>,
}

impl<'a> Search<'a> {
    pub fn new(
        linker: &'a Linker,
        built_in: Arc<BuiltIn>,
        command: &'a Command,
        cwd: &'a Path,
        env: &'a Environment,
        world: &'a dyn World,
        lenient: bool,
    ) -> Self {
        let emulation = command.emulation.as_deref().or(env.get(OsStr::new("LDEMULATION")).map(OsString::as_os_str));
        let machine = match emulation {
            Some(name) => EMULATIONS.iter().find(|(known, _)| name == *known).map(|&(_, machine)| machine),
            None if built_in.bfd && cfg!(target_arch = "x86_64") => Some((2, 62)),
            None => None,
        };
        let mut search = Self {
            linker,
            built_in,
            command,
            cwd,
            env,
            world,
            lenient,
            reads: Vec::new(),
            output: None,
            missing: None,
            directories: Vec::new(),
            defaults: Vec::new(),
            machine,
            seen: HashSet::new(),
            shared: VecDeque::new(),
            direct: Vec::new(),
        };
        search.directories = command.directories.iter().map(|name| search.prefixed(name)).collect();
        search.reads.extend(search.directories.iter().cloned().map(Read::Directory));
        if !command.no_stdlib {
            search.defaults = search.built_in.directories.iter().map(|name| search.prefixed(name)).collect();
        }
        search
    }

    /// Goes through all inputs.
    pub fn run(&mut self) -> Result<(), Reason> {
        for input in &self.command.inputs {
            match input {
                Input::File { name, binary: true, .. } | Input::Plain(name) => self.plain(name)?,
                Input::File { name, dynamic, .. } => self.positional(name, *dynamic)?,
                Input::Library { name, dynamic } => {
                    if !self.library(name, *dynamic) {
                        let shown = PathBuf::from([OsStr::new("-l"), name].join(OsStr::new("")));
                        if self.is_related(name) {
                            return Err(Reason::MissingInput(shown));
                        }
                        self.missing.get_or_insert(shown);
                    }
                }
                Input::Script(name) => self.command_script(name)?,
                Input::ObjectOrRpath(name) => {
                    if self.world.kind(&self.cwd.join(name)) == Some(FileKind::File) {
                        self.plain(name)?;
                    }
                }
            }
        }
        for name in &self.command.optional {
            self.add_if_file(&self.cwd.join(name));
        }
        if self.built_in.bfd && !self.command.relocatable && !self.shared.is_empty() {
            self.needed();
        }
        Ok(())
    }

    pub fn sysroot(&self) -> Option<&OsStr> {
        self.command.sysroot.as_deref().or(self.built_in.sysroot.as_deref()).filter(|sysroot| !sysroot.is_empty())
    }

    /// A directory or file name with `=` or `$SYSROOT` replaced, absolute.
    pub fn prefixed(&self, name: &OsStr) -> PathBuf {
        let bytes = name.as_bytes();
        match bytes.strip_prefix(b"=").or_else(|| bytes.strip_prefix(b"$SYSROOT")) {
            Some(rest) => {
                let mut path = self.sysroot().unwrap_or_default().as_bytes().to_vec();
                path.extend_from_slice(rest);
                self.cwd.join(OsString::from_vec(path))
            }
            None => self.cwd.join(name),
        }
    }

    pub fn is_file(&self, path: &Path) -> bool {
        self.world.kind(path) == Some(FileKind::File)
    }

    fn add_if_file(&mut self, path: &Path) -> bool {
        let found = self.is_file(path);
        if found {
            self.reads.push(Read::File(path.to_owned()));
        }
        found
    }

    fn missing(&mut self, path: PathBuf) -> Result<(), Reason> {
        match self.world.kind(&path) {
            _ if self.lenient && draft::is_temporary(&path, self.env) => {}
            None => drop(self.missing.get_or_insert(path)),
            Some(_) => return Err(Reason::MissingInput(path)),
        }
        Ok(())
    }

    /// Whether there is anything that has to do with a library, where one could be: a linker may find that after all, or
    /// speak of it.
    fn is_related(&self, name: &OsStr) -> bool {
        let name = name.as_bytes();
        let name = name.strip_prefix(b":").unwrap_or(name);
        self.directories.iter().chain(&self.defaults).any(|place| {
            let names = self.world.list(place).unwrap_or_default();
            names.iter().any(|other| {
                let other = other.as_bytes();
                let other = other.strip_prefix(b"lib").unwrap_or(other);
                other.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
            })
        })
    }

    fn plain(&mut self, name: &OsStr) -> Result<(), Reason> {
        let path = self.cwd.join(name);
        if self.add_if_file(&path) { Ok(()) } else { self.missing(path) }
    }

    fn positional(&mut self, name: &OsStr, dynamic: bool) -> Result<(), Reason> {
        let path = self.cwd.join(name);
        if !self.is_file(&path) {
            return self.missing(path);
        }
        self.visit(path, dynamic, Some(name));
        Ok(())
    }

    /// Adds an input and, by what it is, what it leads to. `called` is how the linker calls a shared object that has no name of
    /// its own, where that is known.
    fn visit(&mut self, path: PathBuf, dynamic: bool, called: Option<&OsStr>) {
        if !self.seen.insert(path.clone()) {
            if self.direct.iter().any(|(known, _)| *known == path) {
                self.direct.push((path, called.map(OsStr::to_owned)));
            }
            return;
        }
        self.reads.push(Read::File(path.clone()));
        if outline::is_named_as_object(&path) {
            return;
        }
        let suffix = path.extension().map(OsStr::as_bytes).unwrap_or_default();
        let head = match self.world.head(&path, 20) {
            Ok(Some(head)) => head,
            // A placeholder of which nothing is known: an archive is regular unless this build makes thin ones; shared
            // objects and texts must be looked into.
            Ok(None) => match Outline::at(&path, self.world) {
                Some(Outline::Shared(_)) => return self.links_with(path, called),
                Some(Outline::Object | Outline::Archive) => return,
                Some(Outline::Thin(_)) => archive::THIN_MAGIC.to_vec(),
                None if suffix.is_empty() || (suffix == b"a" && !self.linker.thin.get()) => return,
                None => match self.world.read(&path) {
                    Ok(content) => content.get(..20).unwrap_or(&content).to_vec(),
                    Err(_) => return,
                },
            },
            Err(_) => return,
        };
        if head.starts_with(b"\x7fELF") {
            // e_type 3 is ET_DYN; one of the two bytes is it, whichever the byte order.
            if head.get(16..18).is_some_and(|kind| kind.contains(&3)) {
                self.links_with(path, called);
            }
        } else if head.starts_with(archive::THIN_MAGIC) {
            let members = archive::members_if_thin(&path, self.world, &self.linker.thin);
            self.reads.extend(members.into_iter().map(Read::File));
        } else if !head.starts_with(archive::MAGIC) && is_text(&head) {
            self.script(&path, dynamic);
        }
    }

    fn links_with(&mut self, path: PathBuf, called: Option<&OsStr>) {
        self.direct.push((path.clone(), called.map(OsStr::to_owned)));
        self.shared.push_back(path);
    }

    /// `-T file`: as it is, then in the directories of `-L`.
    fn command_script(&mut self, name: &OsStr) -> Result<(), Reason> {
        match self.find_script(name) {
            Some(path) => {
                if self.seen.insert(path.clone()) {
                    self.reads.push(Read::File(path.clone()));
                    self.script(&path, true);
                }
                Ok(())
            }
            None => Err(Reason::MissingInput(self.cwd.join(name))),
        }
    }

    fn find_script(&self, name: &OsStr) -> Option<PathBuf> {
        let places = std::iter::once(self.cwd).chain(self.directories.iter().map(PathBuf::as_path));
        places.chain(self.defaults.iter().map(PathBuf::as_path)).map(|place| place.join(name)).find(|p| self.is_file(p))
    }

    /// Follows what a script names. What it names and is not there is for the linker to report.
    fn script(&mut self, path: &Path, dynamic: bool) {
        let Ok(content) = self.world.read(path) else { return };
        let script = script::parse(&content);
        if script.output.is_some() {
            self.output = script.output;
        }
        let directories: Vec<PathBuf> = script.directories.iter().map(|name| self.prefixed(name)).collect();
        self.directories.extend(directories);
        for name in script.includes {
            if let Some(found) = self.find_script(&name)
                && self.seen.insert(found.clone())
            {
                self.reads.push(Read::File(found.clone()));
                self.script(&found, dynamic);
            }
        }
        for name in script.inputs {
            match name.as_bytes().strip_prefix(b"-l") {
                Some(library) => {
                    self.library(OsStr::from_bytes(library), dynamic);
                }
                None => self.named_in_script(&name, path, dynamic),
            }
        }
        for name in script.sections {
            let named = self.cwd.join(name);
            if self.is_file(&named) {
                self.visit(named, dynamic, None);
            }
        }
    }

    /// A file named by a script: below the sysroot when the script lies there, else in the working directory, beside
    /// the script (lld, mold, newer ld), or in the search path. All that exist are taken but of the search path the first.
    fn named_in_script(&mut self, name: &OsStr, script: &Path, dynamic: bool) {
        let mut candidates = vec![self.prefixed(name)];
        if let Some(sysroot) = self.sysroot()
            && name.as_bytes().starts_with(b"/")
        {
            let mut path = sysroot.to_owned();
            path.push(name);
            candidates.push(self.cwd.join(path));
        }
        candidates.extend(script.parent().map(|directory| directory.join(name)));
        let search = self.directories.iter().chain(&self.defaults).map(|directory| directory.join(name));
        candidates.extend(search.into_iter().find(|path| self.is_file(path)));
        for candidate in candidates {
            if self.is_file(&candidate) {
                self.visit(candidate, dynamic, None);
            }
        }
    }

    /// `-lname`: in each directory the shared object before the archive. Both are taken where both are; directories
    /// after the first hit only matter while what was found is for another machine. False when there is none.
    fn library(&mut self, name: &OsStr, dynamic: bool) -> bool {
        let file = |prefix: &str, suffix: &str| {
            let mut file = OsString::from(prefix);
            file.push(name);
            file.push(suffix);
            file
        };
        let exact = name.as_bytes().strip_prefix(b":").map(|name| OsStr::from_bytes(name).to_owned());
        let (shared, archive) = match exact {
            Some(name) => (None, name),
            None => (Some(file("lib", ".so")), file("lib", ".a")),
        };
        let places: Vec<PathBuf> = self.directories.iter().chain(&self.defaults).cloned().collect();
        let mut found = false;
        for place in &places {
            let shared = shared.as_ref().map(|name| place.join(name)).filter(|path| self.is_file(path));
            let archive = Some(place.join(&archive)).filter(|path| self.is_file(path));
            if archive.is_none() && !(dynamic && shared.is_some()) {
                continue;
            }
            found = true;
            let mut fits = false;
            for path in [shared, archive].into_iter().flatten() {
                fits |= self.fits(&path);
                let called = path.file_name().map(OsStr::to_owned);
                self.visit(path, dynamic, called.as_deref());
            }
            if fits {
                return true;
            }
        }
        // GNU ld then tries the name itself (ldfile_open_file), for an `-lfoo` that means `foo.a`.
        if !found && shared.is_some() {
            let bare = places.iter().map(|place| place.join(file("", ".a"))).find(|path| self.is_file(path));
            if let Some(bare) = bare {
                self.visit(bare, dynamic, None);
                return true;
            }
        }
        found
    }

    /// Whether a library is not for another machine than the output.
    pub fn fits(&self, path: &Path) -> bool {
        let machine = match self.world.head(path, 20) {
            Ok(Some(head)) if head.starts_with(archive::MAGIC) => archive::machine(path, self.world).ok().flatten(),
            Ok(Some(head)) => archive::elf_machine(&head),
            Ok(None) => match Outline::at(path, self.world) {
                Some(Outline::Shared(shared)) => shared.machine,
                _ => None,
            },
            Err(_) => None,
        };
        match (machine, self.machine) {
            (Some(machine), Some(wanted)) => machine == wanted,
            // Nothing says what is wanted: look on.
            (Some(_), None) => self.command.emulation.is_none() && !self.built_in.bfd,
            (None, _) => true,
        }
    }
}

/// Whether a file that begins so can be a linker script: texts have no control characters.
fn is_text(head: &[u8]) -> bool {
    !head.iter().any(|&byte| byte < 0x20 && !byte.is_ascii_whitespace())
}

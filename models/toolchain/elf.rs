//! The loader and the shared libraries of a program.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use object::Endianness;
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};

use crate::binutils::ld::shared;
use crate::driver::environment;
use crate::{Environment, FileKind, Reason, World};

/// What the loader reads to find libraries outside its own directories.
pub const CACHE: &str = "/etc/ld.so.cache";

/// The bytes of a program that are read first.
const HEAD: usize = 4096;

/// What a program is loaded with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The loader (`PT_INTERP`, else the usual one).
    pub loader: PathBuf,
    /// The shared libraries at the paths at which the loader opens them, its own among them, in the order of loading.
    pub libraries: Vec<PathBuf>,
    /// The names of those that are nowhere.
    pub missing: Vec<OsString>,
    /// Some are found only through [`CACHE`].
    pub cached: bool,
}

/// The loader (`PT_INTERP`) and all shared libraries of `program`, as the loader itself finds them (ld.so(8), `--list`).
/// Empty for a static program. A shared library without an interpreter of its own is listed by the usual loader; one for
/// another machine, which a cross compiler links and nobody here loads, needs nothing.
///
/// # Errors
/// [`Reason::Unsealable`] when the loader cannot be asked, or does not find a library.
pub fn closure(program: &Path, world: &dyn World, env: &Environment) -> Result<Vec<PathBuf>, Reason> {
    let Some(loaded) = loaded(program, world, &environment::of_query(env))? else { return Ok(Vec::new()) };
    if let Some(library) = loaded.missing.first() {
        let why = format!("the libraries of {}: there is no {}", program.display(), library.display());
        return Err(Reason::Unsealable(why));
    }
    let cache = loaded.cached.then(|| CACHE.into());
    Ok([loaded.loader].into_iter().chain(loaded.libraries).chain(cache).collect())
}

/// What `program` is loaded with when the loader has exactly this environment; `None` for what needs no loader: a static
/// program, a library for another machine, a file of another kind.
///
/// `$ORIGIN` is the directory of the path that is given, so it should be one without symbolic links, as the kernel gives the
/// loader.
///
/// # Errors
/// [`Reason::Unsealable`] when the loader cannot be asked.
pub fn loaded(program: &Path, world: &dyn World, env: &Environment) -> Result<Option<Loaded>, Reason> {
    let elf = Elf::of(program, world).map_err(|_| Reason::MissingInput(program.to_owned()))?;
    let Some(elf) = elf else { return Ok(None) };
    let loader = match elf {
        Elf { interpreter: Some(loader), .. } => loader,
        Elf { dynamic: true, machine, .. } => match usual_loader(world) {
            Some((loader, own)) if own == machine => loader,
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let list = |flags: &[&str], env: &Environment| -> Result<Vec<Library>, Reason> {
        let mut argv = vec![loader.clone().into_os_string()];
        argv.extend(flags.iter().map(OsString::from));
        argv.push(program.as_os_str().to_owned());
        let failed = |why: String| Reason::Unsealable(format!("the libraries of {}: {why}", program.display()));
        let answer = world
            .ask_once(&argv, Path::new("/"), env, &|answer| Some(grounds(program, &libraries(&answer.stdout))))
            .map_err(|error| failed(error.to_string()))?;
        if !answer.success {
            return Err(failed(String::from_utf8_lossy(&answer.stderr).trim().to_owned()));
        }
        Ok(libraries(&answer.stdout))
    };
    // A sandbox without the loader's cache is the same on more machines.
    let (found, cached) = match list(&["--inhibit-cache", "--list"], env) {
        Ok(found) if found.iter().all(|it| it.path.is_some()) => (found, false),
        _ => match list(&["--list"], env) {
            Ok(found) => (found, true),
            // It ends at the first library that is missing; glibc's loader can be told to go on, where others would start the
            // program.
            Err(_) if loader.file_name().is_some_and(|name| name.as_bytes().starts_with(b"ld-linux")) => {
                let mut tracing = env.clone();
                tracing.insert(TRACE.into(), "1".into());
                let (without, with) = (list(&["--inhibit-cache"], &tracing)?, list(&[], &tracing)?);
                if without == with { (without, false) } else { (with, true) }
            }
            Err(error) => return Err(error),
        },
    };
    let missing = found.iter().filter(|library| library.path.is_none()).map(|library| library.name.clone()).collect();
    let libraries = found.into_iter().filter_map(|library| library.path).collect();
    Ok(Some(Loaded { loader, libraries, missing, cached }))
}

/// What a program or library asks for by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// The names of shared libraries (`DT_NEEDED`).
    pub libraries: Vec<OsString>,
    /// The directories in which it says those are first looked for (`DT_RPATH`, `DT_RUNPATH`), perhaps with `$ORIGIN` in them.
    pub places: Vec<OsString>,
}

/// What an ELF file asks for by itself; nothing for a file of another kind.
///
/// # Errors
/// Whatever the file system says.
pub fn wants(object: &Path, world: &dyn World) -> io::Result<Wants> {
    let shared = shared::parse(&world.read(object)?);
    Ok(Wants { libraries: shared.needed, places: shared.runpath })
}

/// Makes glibc's loader list what is missing, too (ld.so(8)).
const TRACE: &str = "LD_TRACE_LOADED_OBJECTS";

/// Where the loader looks without being told (ld.so(8)); what Debian adds to it is where the libraries are found.
const DIRECTORIES: &[&str] = &["/lib64", "/usr/lib64", "/lib", "/usr/lib"];

/// Directories below those for libraries that are made for newer processors (ld.so(8), `glibc-hwcaps`).
const NEWER: &[&str] = &["", "x86-64-v2", "x86-64-v3", "x86-64-v4"];

/// What it rests on which libraries a program is found to need: itself and them, the loader's list, and the directories in
/// which any of them is or may be.
fn grounds(program: &Path, found: &[Library]) -> Vec<PathBuf> {
    let files: Vec<&Path> = found.iter().filter_map(|library| library.path.as_deref()).chain([program]).collect();
    let mut directories: BTreeSet<PathBuf> = DIRECTORIES.iter().map(PathBuf::from).collect();
    directories.extend(files.iter().filter_map(|file| file.parent()).map(Path::to_owned));
    // `$ORIGIN/../lib`
    directories.extend(program.parent().and_then(Path::parent).map(|above| above.join("lib")));
    let newer: Vec<PathBuf> =
        directories.iter().flat_map(|it| NEWER.iter().map(|name| it.join("glibc-hwcaps").join(name))).collect();
    let files = files.into_iter().map(Path::to_owned);
    files.chain(directories).chain(newer).chain([PathBuf::from(CACHE)]).collect()
}

/// The loader of this machine's own programs, and the machine they are for.
fn usual_loader(world: &dyn World) -> Option<(PathBuf, Machine)> {
    const PROGRAMS: &[&str] = &["/bin/sh", "/usr/bin/env"];
    PROGRAMS
        .iter()
        .find_map(|program| {
            let elf = Elf::of(Path::new(program), world).ok()??;
            Some((elf.interpreter?, elf.machine))
        })
        .filter(|(loader, _)| world.kind(loader) == Some(FileKind::File))
}

/// Whether it has 64 bits, and `e_machine`.
pub type Machine = (bool, u16);

/// What the headers of a program or library say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// What it is made for.
    pub machine: Machine,
    /// Its loader.
    pub interpreter: Option<PathBuf>,
    /// Whether it is linked with anything at run time.
    pub dynamic: bool,
}

impl Elf {
    /// The headers of a file; `None` for what is no ELF file.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn of(path: &Path, world: &dyn World) -> io::Result<Option<Self>> {
        // Linkers put what is of interest at the beginning, and compilers are large.
        if let Some(head) = world.head(path, HEAD)? {
            match Self::parse(&head) {
                Ok(elf) => return Ok(Some(elf)),
                Err(_) if !head.starts_with(&elf::ELFMAG) => return Ok(None),
                Err(_) => {}
            }
        }
        Ok(Self::parse(&world.read(path)?).ok())
    }

    /// # Errors
    /// For what is no ELF file, and where the headers lead out of `content`.
    fn parse(content: &[u8]) -> object::Result<Self> {
        match object::FileKind::parse(content)? {
            object::FileKind::Elf32 => Self::headers::<FileHeader32<Endianness>>(content),
            _ => Self::headers::<FileHeader64<Endianness>>(content),
        }
    }

    fn headers<H: FileHeader<Endian = Endianness>>(content: &[u8]) -> object::Result<Self> {
        let header = H::parse(content)?;
        let endian = header.endian()?;
        let machine = (header.is_type_64(), header.e_machine(endian).0);
        let mut out = Self { machine, interpreter: None, dynamic: false };
        for segment in header.program_headers(endian, content)? {
            if let Some(path) = segment.interpreter(endian, content)? {
                out.interpreter = Some(OsStr::from_bytes(path).into());
            }
            out.dynamic |= segment.p_type(endian) == elf::PT_DYNAMIC;
        }
        Ok(out)
    }
}

/// One line of `--list`.
#[derive(Debug, PartialEq, Eq)]
struct Library {
    /// By which it is asked for; empty where that is a path.
    name: OsString,
    /// `None` where it was not found.
    path: Option<PathBuf>,
}

/// The answer of `--list`: `name => path (address)`, `path (address)`, `name => not found`; the kernel's own library has
/// a name and no path.
fn libraries(text: &[u8]) -> Vec<Library> {
    let mut out = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.trim_ascii();
        let (name, target) = match line.windows(4).position(|part| part == b" => ") {
            Some(arrow) => (&line[..arrow], &line[arrow + 4..]),
            None => (&b""[..], line),
        };
        let path = match target.windows(4).rposition(|part| part == b" (0x") {
            Some(end) => &target[..end],
            None => target,
        };
        let name = OsStr::from_bytes(name).to_owned();
        if path.starts_with(b"/") {
            out.push(Library { name, path: Some(OsStr::from_bytes(path).into()) });
        } else if !name.is_empty() && target == b"not found" {
            out.push(Library { name, path: None });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let text = b"\tlinux-vdso.so.1 (0x00007ffc)\n\tlibz.so.1 => /lib/a b/libz.so.1 (0x00007f3)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f3)\n\tlibq.so => not found\n\tstatically linked\n";
        let library = |name: &str, path: Option<&str>| Library { name: name.into(), path: path.map(PathBuf::from) };
        let expected = [
            library("libz.so.1", Some("/lib/a b/libz.so.1")),
            library("", Some("/lib64/ld-linux-x86-64.so.2")),
            library("libq.so", None),
        ];
        assert_eq!(libraries(text), expected);
    }
}

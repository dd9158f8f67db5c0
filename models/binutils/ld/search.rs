//! Where a linker looks: its built-in directories, and the system's for the libraries of libraries.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::shared;
use crate::binutils::archive::ThinSeen;
use crate::{Environment, FileKind, World};

type Key = (PathBuf, Option<OsString>);

/// What is known of the installed linkers. One for a session.
#[derive(Debug, Default)]
pub struct Linker {
    /// By the linker and the emulation it was asked for.
    built_in: Mutex<HashMap<Key, Arc<BuiltIn>>>,
    pub(super) shared: shared::Cache,
    pub(super) thin: ThinSeen,
}

/// What a linker has built in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BuiltIn {
    /// The directories of its `SEARCH_DIR`s, a leading `=` standing for the sysroot.
    pub directories: Vec<OsString>,
    /// Its sysroot, when it was configured with one.
    pub sysroot: Option<OsString>,
    /// It is GNU ld, which follows `DT_NEEDED`.
    pub bfd: bool,
}

/// For gold, lld and mold, which do not say where they look: the union of their usual directories. They come last, so
/// a directory too many can only name a library that the linker would not have found.
const USUAL: &[&str] = &["=/usr/local/lib", "=/lib64", "=/usr/lib64", "=/lib", "=/usr/lib"];

impl Linker {
    /// Nothing learnt yet; `thin` is shared with the archiver.
    pub(crate) fn new(thin: ThinSeen) -> Self {
        Self { thin, ..Self::default() }
    }

    /// What the linker at `tool` has built in for an emulation; asked once.
    pub(super) fn built_in(
        &self,
        tool: &Path,
        emulation: Option<&OsStr>,
        cwd: &Path,
        env: &Environment,
        world: &dyn World,
    ) -> Arc<BuiltIn> {
        let key = (tool.to_owned(), emulation.map(OsStr::to_owned));
        if let Some(known) = self.built_in.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let mut env = env.clone();
        env.insert("LC_ALL".into(), "C".into());
        let ask = |option: &str| {
            let mut argv = vec![tool.as_os_str().to_owned()];
            argv.extend(emulation.into_iter().flat_map(|emulation| ["-m".into(), emulation.to_owned()]));
            argv.push(option.into());
            world.ask_once(&argv, cwd, &env, &|_| Some(Vec::new())).map(|answer| answer.stdout).unwrap_or_default()
        };
        let mut directories = search_dirs(&ask("--verbose"));
        let bfd = !directories.is_empty();
        let mut sysroot = None;
        if bfd {
            let answer = ask("--print-sysroot");
            let answer = answer.trim_ascii();
            sysroot = (!answer.is_empty() && answer != b"/").then(|| OsStr::from_bytes(answer).to_owned());
        } else {
            directories = USUAL.iter().map(OsString::from).chain(multiarch(world)).collect();
        }
        let known = Arc::new(BuiltIn { directories, sysroot, bfd });
        self.built_in.lock().unwrap_or_else(PoisonError::into_inner).insert(key, known.clone());
        known
    }
}

/// The directories in the output of `ld --verbose`.
fn search_dirs(output: &[u8]) -> Vec<OsString> {
    super::script::parse(output).directories
}

/// Debian's directories by target: those below /usr/lib that are named like one.
fn multiarch(world: &dyn World) -> Vec<OsString> {
    let names = world.list(Path::new("/usr/lib")).unwrap_or_default();
    let targets = names.into_iter().filter(|name| {
        let name = name.as_bytes();
        name.windows(7).any(|part| part == b"-linux-")
    });
    targets
        .flat_map(|target| {
            ["=/usr/local/lib/", "=/lib/", "=/usr/lib/"].map(|root| {
                let mut directory = OsString::from(root);
                directory.push(&target);
                directory
            })
        })
        .collect()
}

/// The real linker that collect2 starts (gcc/collect2.cc): `ld`, or `ld.NAME` after `-fuse-ld=NAME`, in the directories
/// of `COMPILER_PATH`, then of `PATH`.
pub(super) fn collect2_linker(linker: Option<&OsStr>, env: &Environment, world: &dyn World) -> Option<PathBuf> {
    let name = match linker {
        Some(name) if name.as_bytes().starts_with(b"/") => return Some(PathBuf::from(name)),
        Some(name) if name == "mold" => "mold".into(),
        Some(name) => {
            let mut full = OsString::from("ld.");
            full.push(name);
            full
        }
        None => OsString::from("ld"),
    };
    let directories = ["COMPILER_PATH", "PATH"].iter().filter_map(|name| env.get(OsStr::new(name)));
    directories
        .flat_map(|list| list.as_bytes().split(|&byte| byte == b':'))
        .filter(|directory| !directory.is_empty())
        .map(|directory| Path::new(OsStr::from_bytes(directory)).join(&name))
        .find(|path| world.kind(path) == Some(FileKind::File))
}

/// The dynamic loader's configuration, which GNU ld reads too: the files that hold it, and the directories it names.
pub(super) fn loader_configuration(sysroot: &Path, world: &dyn World) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let mut files = Vec::new();
    let mut directories = Vec::new();
    let mut pending = vec![sysroot.join("usr/etc/ld.so.conf"), sysroot.join("etc/ld.so.conf")];
    while let Some(path) = pending.pop() {
        if files.contains(&path) || world.kind(&path) != Some(FileKind::File) {
            continue;
        }
        let Ok(content) = world.read(&path) else { continue };
        for line in content.split(|&byte| byte == b'\n') {
            let line = line.split(|&byte| byte == b'#').next().unwrap_or_default().trim_ascii();
            if let Some(pattern) = line.strip_prefix(b"include") {
                let pattern = pattern.trim_ascii_start();
                let base = path.parent().unwrap_or(sysroot).join(OsStr::from_bytes(pattern));
                pending.extend(glob_last(&base, world));
            } else {
                let separators = |byte: &u8| byte.is_ascii_whitespace() || b":,".contains(byte);
                let words = line.split(separators).filter(|word| word.starts_with(b"/"));
                directories.extend(words.map(|word| sysroot.join(OsStr::from_bytes(&word[1..]))));
            }
        }
        files.push(path);
    }
    (files, directories)
}

/// The files that a pattern with at most one `*` in its last component names.
fn glob_last(pattern: &Path, world: &dyn World) -> Vec<PathBuf> {
    let (Some(directory), Some(name)) = (pattern.parent(), pattern.file_name()) else { return Vec::new() };
    let name = name.as_bytes();
    let Some(star) = name.iter().position(|&byte| byte == b'*') else { return vec![pattern.to_owned()] };
    let (head, tail) = (&name[..star], &name[star + 1..]);
    let names = world.list(directory).unwrap_or_default();
    let fits = |name: &&OsString| {
        let name = name.as_bytes();
        name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
    };
    names.iter().filter(fits).map(|name| directory.join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, MemoryWorld};

    fn os(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_linker_is_asked_for_its_directories() {
        let mut world = MemoryWorld::new();
        let say = |text: &str| Answer { success: true, stdout: text.into(), stderr: Vec::new() };
        let verbose = "GNU ld (x)\n====\nSEARCH_DIR(\"=/lib\"); SEARCH_DIR(\"/opt\");\nSECTIONS\n{ }\n";
        world.answers.insert(os(&["/bin/ld", "-m", "elf_i386", "--verbose"]), say(verbose));
        world.answers.insert(os(&["/bin/ld", "-m", "elf_i386", "--print-sysroot"]), say("/sys\n"));
        let linker = Linker::default();
        let env = Environment::new();
        let ask = |world: &MemoryWorld| {
            linker.built_in(Path::new("/bin/ld"), Some(OsStr::new("elf_i386")), Path::new("/"), &env, world)
        };
        let expected = BuiltIn { directories: os(&["=/lib", "/opt"]), sysroot: Some("/sys".into()), bfd: true };
        assert_eq!(*ask(&world), expected);
        assert_eq!(*ask(&MemoryWorld::new()), expected, "asked once");
    }

    #[test]
    fn a_linker_that_does_not_say_gets_the_usual() {
        let world = MemoryWorld::new().with("/usr/lib/x86_64-linux-gnu/libc.so", "").with("/usr/lib/gcc/x", "");
        let env = Environment::new();
        let built_in = Linker::default().built_in(Path::new("/bin/mold"), None, Path::new("/"), &env, &world);
        assert!(!built_in.bfd);
        assert!(built_in.directories.contains(&"=/lib".into()));
        assert!(built_in.directories.contains(&"=/usr/lib/x86_64-linux-gnu".into()));
        assert!(!built_in.directories.contains(&"=/usr/lib/gcc".into()));
    }

    #[test]
    fn collect2_finds_its_linker() {
        let world = MemoryWorld::new().with("/b/ld", "").with("/b/ld.gold", "").with("/b/mold", "");
        let env = Environment::from([("COMPILER_PATH".into(), "/a:".into()), ("PATH".into(), "/b".into())]);
        let find = |name: Option<&str>| collect2_linker(name.map(OsStr::new), &env, &world);
        assert_eq!(find(None), Some("/b/ld".into()));
        assert_eq!(find(Some("gold")), Some("/b/ld.gold".into()));
        assert_eq!(find(Some("mold")), Some("/b/mold".into()));
        assert_eq!(find(Some("/x/y")), Some("/x/y".into()));
        assert_eq!(find(Some("lld")), None);
    }

    #[test]
    fn loader_configuration_follows_includes() {
        let world = MemoryWorld::new()
            .with("/etc/ld.so.conf", "include ld.so.conf.d/*.conf\n/one # a comment\n")
            .with("/etc/ld.so.conf.d/a.conf", "# nothing\n/two:/three\n")
            .with("/etc/ld.so.conf.d/b.txt", "/four\n");
        let (files, directories) = loader_configuration(Path::new("/"), &world);
        assert_eq!(files, [PathBuf::from("/etc/ld.so.conf"), "/etc/ld.so.conf.d/a.conf".into()]);
        assert_eq!(directories, [PathBuf::from("/one"), "/two".into(), "/three".into()]);
    }
}

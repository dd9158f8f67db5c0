//! A machine made of what the fuzzer gives.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gg_models::{Answer, Call, Environment, FileKind, MemoryWorld, Models, Plan, World};

/// Files in memory, and programs that all answer the same.
pub struct Made {
    pub files: MemoryWorld,
    pub answer: Answer,
}

impl World for Made {
    fn kind(&self, path: &Path) -> Option<FileKind> {
        self.files.kind(path)
    }

    fn read(&self, path: &Path) -> io::Result<Arc<[u8]>> {
        self.files.read(path)
    }

    fn executable(&self, path: &Path) -> bool {
        path.starts_with("/usr/bin")
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.files.list(path)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.files.resolve(path)
    }

    fn ask(&self, _: &[OsString], _: &Path, _: &Environment) -> io::Result<Answer> {
        Ok(self.answer.clone())
    }
}

/// A project with these files in `/p`, and tools in `/usr/bin` whose every answer is `answer`.
pub fn made<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>, answer: &[u8]) -> Made {
    let mut world = MemoryWorld::new();
    for tool in TOOLS {
        world = world.with(Path::new("/usr/bin").join(tool), b"\x7fELF");
    }
    for (name, content) in files {
        world = world.with(Path::new("/p").join(name), content);
    }
    let answer = Answer { success: true, stdout: answer.to_vec(), stderr: answer.to_vec() };
    Made { files: world, answer }
}

/// The tools there are.
pub const TOOLS: [&str; 11] = ["gcc", "g++", "clang", "ld", "ar", "ranlib", "as", "strip", "objcopy", "nasm", "yasm"];

/// What becomes of calls in one build. What a step reads and writes is absolute.
pub fn plan(world: &Made, calls: &[Vec<&[u8]>]) {
    let models = Models::new(None, world).expect("the models' own tables");
    for words in calls {
        let call = Call {
            tool: Path::new("/usr/bin").join(OsStr::from_bytes(words[0])),
            argv: words.iter().map(|word| OsStr::from_bytes(word).to_os_string()).collect(),
            cwd: "/p".into(),
            env: [("PATH".into(), "/usr/bin".into())].into(),
        };
        if let Plan::Thunk(step) = models.plan(&call, world) {
            for read in &step.reads {
                let Some(path) = read.path() else { continue };
                assert!(path.is_absolute(), "{words:?} reads {path:?}");
            }
        }
    }
}

/// Command lines without quoting.
#[allow(dead_code)]
pub fn lines<'a>(lines: &[&'a str]) -> Vec<Vec<&'a [u8]>> {
    lines.iter().map(|line| line.split(' ').map(str::as_bytes).collect()).collect()
}

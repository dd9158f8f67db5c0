//! What the planners share: a step being put together.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::outline::Outline;
use crate::{Call, Environment, FileKind, Plan, Read, Reason, Step, StepKind, World, Write};

/// Variables that every tool here may see: where it is, what language it speaks, where it puts temporary files.
pub(crate) const COMMON_ENVIRONMENT: &[&str] =
    &["PATH", "PWD", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "TMPDIR", "TMP", "TEMP"];

/// The variables of `env` that `names` and [`COMMON_ENVIRONMENT`] list.
pub(crate) fn environment(env: &Environment, names: &[&str]) -> Environment {
    let names = COMMON_ENVIRONMENT.iter().chain(names);
    names.filter_map(|name| env.get_key_value(OsStr::new(name))).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// A step being put together: its reads and writes.
pub(crate) struct Draft<'a> {
    pub call: &'a Call,
    pub world: &'a dyn World,
    pub reads: Vec<Read>,
    pub writes: Vec<Write>,
}

impl<'a> Draft<'a> {
    pub fn new(call: &'a Call, world: &'a dyn World) -> Self {
        Self { call, world, reads: Vec::new(), writes: Vec::new() }
    }

    /// The arguments with every `@file` replaced; the files become reads.
    pub fn arguments(&mut self) -> Result<Vec<OsString>, Reason> {
        let (args, reads) = crate::args::expand(self.call.args(), &self.call.cwd, self.world)?;
        self.reads.extend(reads);
        Ok(args)
    }

    /// An input that must exist.
    pub fn input(&mut self, name: &OsStr) -> Result<PathBuf, Reason> {
        if name == "-" {
            return Err(Reason::Stdin);
        }
        let path = self.call.absolute(name);
        // Every sandbox has it, and it is the same everywhere.
        if path == Path::new("/dev/null") {
            return Ok(path);
        }
        match self.world.kind(&path) {
            Some(FileKind::File) => self.reads.push(Read::File(path.clone())),
            Some(FileKind::Other) => return Err(Reason::Device(path.to_string_lossy().into_owned())),
            Some(FileKind::Directory) => return Err(Reason::Malformed(format!("{} is a directory", path.display()))),
            None => return Err(Reason::MissingInput(path)),
        }
        Ok(path)
    }

    /// An output; the first is tagged with `tag`, later ones of the same tag with a number behind it.
    pub fn output(&mut self, tag: &str, name: &OsStr, executable: bool) -> Result<PathBuf, Reason> {
        let path = self.call.absolute(name);
        add_output(&mut self.writes, self.world, tag, name, path.clone(), executable)?;
        Ok(path)
    }

    /// A file changed in place: read and written, and as executable afterwards as before.
    pub fn in_place(&mut self, tag: &str, name: &OsStr) -> Result<PathBuf, Reason> {
        let path = self.input(name)?;
        let executable = self.world.executable(&path);
        self.output(tag, name, executable)
    }

    /// Says what is known of an output.
    pub fn outline(&mut self, path: &Path, outline: Option<Outline>) {
        if let Some(write) = self.writes.iter_mut().find(|write| write.path == path) {
            write.outline = outline.map(|outline| outline.encode());
        }
    }

    /// The finished step, with the environment variables that `names` and the common list name.
    pub fn step(mut self, kind: StepKind, names: &[&str]) -> Plan {
        self.reads.extend(output_directories(&self.writes));
        Plan::Thunk(Step {
            kind,
            argv: self.call.argv.clone(),
            env: environment(&self.call.env, names),
            reads: self.reads,
            writes: self.writes,
            volatile: false,
            awaited: false,
            missing: None,
        })
    }
}

/// The directories that outputs go to, which must exist.
pub(crate) fn output_directories(writes: &[Write]) -> impl Iterator<Item = Read> {
    writes.iter().filter_map(|write| write.path.parent()).map(|directory| Read::Directory(directory.to_owned()))
}

/// Adds an output under a tag that is still free; refuses what cannot stand in a tree.
pub(crate) fn add_output(
    writes: &mut Vec<Write>,
    world: &dyn World,
    tag: &str,
    name: &OsStr,
    path: PathBuf,
    executable: bool,
) -> Result<(), Reason> {
    if name.is_empty() {
        return Err(Reason::Malformed("an output without a name".to_owned()));
    }
    match world.kind(&path) {
        _ if path.starts_with("/dev") => return Err(Reason::Device(path.to_string_lossy().into_owned())),
        Some(FileKind::Other) => return Err(Reason::Device(path.to_string_lossy().into_owned())),
        Some(FileKind::Directory) => return Err(Reason::Malformed(format!("{} is a directory", path.display()))),
        _ => {}
    }
    if writes.iter().any(|write| write.path == path) {
        return Ok(());
    }
    let taken = |tag: &str| writes.iter().any(|write| write.tag == tag);
    let tag = if taken(tag) {
        let mut number = 2;
        while taken(&format!("{tag}{number}")) {
            number += 1;
        }
        format!("{tag}{number}")
    } else {
        tag.to_owned()
    };
    writes.push(Write { tag, path, executable, optional: false, outline: None });
    Ok(())
}

/// Whether `path` lies directly in the directory for temporary files.
pub(crate) fn is_temporary(path: &Path, env: &Environment) -> bool {
    let temporary = env.get(OsStr::new("TMPDIR")).map_or(Path::new("/tmp"), Path::new);
    path.parent().is_some_and(|parent| parent == temporary || parent == Path::new("/tmp"))
}

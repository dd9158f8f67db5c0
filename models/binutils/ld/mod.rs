//! ld, gold, lld, mold, and the link that gcc's and clang's drivers end in.
//!
//! # Layout
//!
//! - `../options/ld.txt`: every option, one row each
//! - `command`: a command line parsed by it
//! - `search`: where a linker looks; what is learnt of installed linkers ([`Linker`])
//! - `inputs`: goes through the inputs as the linker does
//! - `needs`: what libraries need, and what the library needs that is made
//! - `script`, `shared`: what linker scripts and shared objects name

mod command;
mod inputs;
mod needs;
mod script;
mod search;
pub(crate) mod shared;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use self::command::Command;
use self::inputs::Search;
pub use self::search::Linker;
pub(crate) use self::shared::Shared;
use super::{draft, outline};
use crate::{Call, Environment, Plan, Read, Reason, Step, StepKind, World, Write};

/// The variables that a linker, collect2 and GCC's LTO plugin look at, beside those of every tool.
pub const ENVIRONMENT: &[&str] = &[
    "COLLECT_GCC",
    "COLLECT_GCC_OPTIONS",
    "COLLECT_LTO_WRAPPER",
    "COLLECT_NO_DEMANGLE",
    "COMPILER_PATH",
    "GCC_EXEC_PREFIX",
    "GNUTARGET",
    "LDEMULATION",
    "LD_LIBRARY_PATH",
    "LD_RUN_PATH",
    "LIBRARY_PATH",
    "MOLD_JOBS",
    "SOURCE_DATE_EPOCH",
];

/// Variables that make a linker write or run what the command line does not say.
const REFUSED_ENVIRONMENT: &[&str] = &["LLD_REPRODUCE", "MOLD_REPRO"];

/// The files of one link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkFiles {
    /// Everything the linker may read; a file that it would not open after all may be among them.
    pub reads: Vec<Read>,
    /// Everything it writes; the output is the first, tagged `out`.
    pub writes: Vec<Write>,
    /// The output carries the time of the link (PE).
    pub volatile: bool,
    /// An input that is nowhere to be found (a library as `-lname`): the linker will say so, and nothing else can come of it.
    pub missing: Option<PathBuf>,
}

/// The plan for a call of a linker.
pub fn plan(linker: &Linker, call: &Call, world: &dyn World) -> Plan {
    let link = link(linker, Some(&call.tool), &call.argv, &call.cwd, &call.env, world);
    match link {
        Ok(LinkFiles { missing: Some(path), .. }) => Plan::Here(Reason::MissingInput(path)),
        Ok(files) => Plan::Thunk(Step {
            kind: StepKind::Link,
            argv: call.argv.clone(),
            env: draft::environment(&call.env, ENVIRONMENT),
            reads: files.reads,
            writes: files.writes,
            volatile: files.volatile,
            awaited: false,
            missing: None,
        }),
        Err(reason) => Plan::Here(reason),
    }
}

/// The files of the link that a driver ends in. `argv` is the whole command of collect2 or ld as `gcc -###` shows it;
/// `env` is the driver's, with the `COMPILER_PATH` that it gives collect2 where that is known. Inputs that do not exist
/// and lie directly in the directory for temporary files are the driver's own objects and are left out.
///
/// # Errors
/// The reason why the link must run here: an option that no row describes, an input that is not found where others of its
/// name are, an output that is a device.
pub fn files(
    linker: &Linker,
    argv: &[OsString],
    cwd: &Path,
    env: &Environment,
    world: &dyn World,
) -> Result<LinkFiles, Reason> {
    link(linker, None, argv, cwd, env, world)
}

/// `tool` is the linker when it was called directly.
fn link(
    linker: &Linker,
    tool: Option<&Path>,
    argv: &[OsString],
    cwd: &Path,
    env: &Environment,
    world: &dyn World,
) -> Result<LinkFiles, Reason> {
    if let Some(name) = REFUSED_ENVIRONMENT.iter().find(|name| env.contains_key(OsStr::new(name))) {
        return Err(Reason::Unsealable(format!("the variable {name}")));
    }
    let (args, response_files) = crate::args::expand(argv.get(1..).unwrap_or_default(), cwd, world)?;
    let command = Command::parse(&args)?;
    if command.inputs.is_empty() {
        return Err(command.query.map_or(Reason::NoInput, Reason::Query));
    }
    let program = Path::new(argv.first().map_or(OsStr::new("ld"), OsString::as_os_str));
    let is_collect2 = program.file_name().is_some_and(|name| name == "collect2");
    let real = match tool {
        Some(tool) => Some(tool.to_owned()),
        None if is_collect2 => search::collect2_linker(command.linker.as_deref(), env, world),
        None => Some(program.to_owned()),
    };
    let built_in = match &real {
        Some(real) => linker.built_in(real, command.emulation.as_deref(), cwd, env, world),
        None => linker.built_in(Path::new("ld"), command.emulation.as_deref(), cwd, env, world),
    };
    // lld also takes what objects ask for (`.deplibs`).
    let takes_what_is_named = built_in.bfd || real.as_deref().is_some_and(|real| is_gold_or_mold(real, world));
    let mut search = Search::new(linker, built_in, &command, cwd, env, world, tool.is_none());
    search.run()?;
    let output = command.output.clone().or(search.output.take()).unwrap_or_else(|| "a.out".into());
    let mut files = LinkFiles { reads: response_files, ..LinkFiles::default() };
    files.reads.append(&mut search.reads);
    files.missing = search.missing.take();
    files.writes = writes(&command, &output, cwd, env, world)?;
    if let Some(write) = files.writes.first_mut() {
        write.outline = match search.outline(takes_what_is_named) {
            None if command.relocatable && !command.formatted => outline::of_object(&write.path),
            outline => outline.map(|outline| outline.encode()),
        };
    }
    files.reads.extend(draft::output_directories(&files.writes));
    files.volatile = writes_time(&command, program);
    Ok(files)
}

fn is_gold_or_mold(linker: &Path, world: &dyn World) -> bool {
    let resolved = world.resolve(linker).unwrap_or_else(|_| linker.to_owned());
    let name = resolved.file_name().unwrap_or_default().as_bytes();
    name.ends_with(b"gold") || name.ends_with(b"mold")
}

/// Everything a link writes.
fn writes(
    command: &Command,
    output: &OsStr,
    cwd: &Path,
    env: &Environment,
    world: &dyn World,
) -> Result<Vec<Write>, Reason> {
    let mut writes = Vec::new();
    let mut add =
        |tag, name: &OsStr, executable| draft::add_output(&mut writes, world, tag, name, cwd.join(name), executable);
    if output == "-" {
        return Err(Reason::Stdout);
    }
    // All four linkers set the execute bits of whatever they finish, shared objects and `--oformat binary` included.
    add("out", output, !command.relocatable)?;
    if let Some(map) = command.map.as_deref().filter(|&map| map != "-") {
        if map == "%" {
            return Err(Reason::UnknownOption("-Map=%".to_owned()));
        }
        add("map", map, false)?;
    }
    for name in &command.writes {
        add("side", name, false)?;
    }
    for name in &command.scratch {
        if !draft::is_temporary(&cwd.join(name), env) {
            add("res", name, false)?;
        }
    }
    if let Some(resolution) = writes.iter_mut().find(|write| write.tag.starts_with("res")) {
        resolution.optional = true;
    }
    Ok(writes)
}

/// PE outputs have the time of the link in them unless told otherwise.
fn writes_time(command: &Command, program: &Path) -> bool {
    let emulation = command.emulation.as_deref().map(OsStr::to_string_lossy).unwrap_or_default();
    let is_pe = emulation.starts_with("i386pe") || emulation.ends_with("pe");
    !command.no_timestamp && (is_pe || program.to_string_lossy().contains("mingw"))
}

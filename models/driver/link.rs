//! The link at the end of a driver's call: what it runs is asked of the driver itself.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::command::Command;
use super::commands;
use super::environment;
use super::option::{Meaning, Side};
use crate::binutils::ld::{self, LinkFiles, Linker};
use crate::{Call, Reason, World};

/// What the link of `command` reads and writes, as the driver's `-###` and the linker's model say.
///
/// # Errors
/// [`Reason::Malformed`] where the driver refuses the command line, and the linker model's own.
pub fn files(command: &Command, call: &Call, linker: &Linker, world: &dyn World) -> Result<LinkFiles, Reason> {
    let mut argv = vec![call.tool.clone().into_os_string()];
    argv.extend(command.args.iter().cloned());
    argv.push("-###".into());
    let env = environment::of_query(&call.env);
    // What is in such files decides too.
    let told_elsewhere = argv.iter().any(|arg| {
        let arg = arg.as_bytes();
        [&b"@"[..], b"-B", b"-specs", b"--specs", b"--sysroot", b"-wrapper"].iter().any(|start| arg.starts_with(start))
    });
    let answer = if told_elsewhere {
        world.ask(&argv, &call.cwd, &env)
    } else {
        world.ask_once(&argv, &call.cwd, &env, &|answer| places(&answer.stderr))
    };
    let answer = answer.map_err(|error| Reason::Malformed(error.to_string()))?;
    let mut all = commands::commands(&answer.stderr);
    let place = all.iter().rposition(|it| it.first().is_some_and(|program| is_linker(program)));
    let Some(place) = place.filter(|_| answer.success) else {
        return Err(Reason::Malformed("the driver plans no link".to_owned()));
    };
    let mut link = all.split_off(place).swap_remove(0);
    // The linker's model leaves out what lies in the directory for temporary files.
    if command.has(Meaning::Side(Side::Temporaries)) || command.has(Meaning::Side(Side::TemporariesHere)) {
        let temporary = temporaries(&all);
        link.retain(|arg| !temporary.contains(arg));
    }
    let mut env = environment::visible(&call.env);
    if let Some(path) = compiler_path(&answer.stderr) {
        env.insert("COMPILER_PATH".into(), path);
    }
    ld::files(linker, &link, &call.cwd, &env, world)
}

/// The outputs of the commands before the link: objects that come and go.
fn temporaries(commands: &[Vec<OsString>]) -> BTreeSet<OsString> {
    commands.iter().filter_map(|it| it.iter().skip_while(|arg| *arg != "-o").nth(1).cloned()).collect()
}

/// Where GCC's driver tells collect2 to look for programs.
fn compiler_path(text: &[u8]) -> Option<OsString> {
    let line = text.split(|&byte| byte == b'\n').rfind(|line| line.starts_with(b"COMPILER_PATH="))?;
    line.strip_prefix(b"COMPILER_PATH=").map(|path| OsStr::from_bytes(path).to_owned())
}

/// The directories in which the driver has looked for programs, libraries and files to link, what those are in (where none
/// is now, one may come), and the files there that could change what it does. `None` for clang, which does not say.
fn places(text: &[u8]) -> Option<Vec<PathBuf>> {
    let lines = text.split(|&byte| byte == b'\n');
    let lists =
        lines.filter_map(|line| line.strip_prefix(b"COMPILER_PATH=").or_else(|| line.strip_prefix(b"LIBRARY_PATH=")));
    let directories = lists.flat_map(|list| list.split(|&byte| byte == b':')).map(OsStr::from_bytes).map(Path::new);
    let all: BTreeSet<PathBuf> = directories
        .filter(|directory| directory.is_absolute())
        .flat_map(|directory| [directory.to_owned(), directory.join(".."), directory.join("specs")])
        .collect();
    (!all.is_empty()).then(|| all.into_iter().collect())
}

/// `collect2`, `ld`, `ld.gold`, `ld64.lld`, `x86_64-linux-gnu-ld`, `mold`
fn is_linker(program: &OsStr) -> bool {
    let name = Path::new(program).file_name().unwrap_or_default().as_bytes();
    name == b"collect2"
        || name == b"mold"
        || name.starts_with(b"ld")
        || name.ends_with(b"-ld")
        || name.windows(4).any(|part| part == b"-ld.")
}

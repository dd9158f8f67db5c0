//! What `-march=native` and its kin mean on this machine.
//!
//! GCC's driver replaces them by a list of options for its inner compiler. The same list on the driver's own command
//! line gives the same object, byte for byte, except where the object records the options (`-g`, `-flto`,
//! `-frecord-gcc-switches`): the driver hands on `--param` at another place than its own list, and the record shows the
//! order. There the argument stays and the list is sealed into the environment, so that another machine makes another
//! thunk. Clang's inner options have no driver spelling of their own, so it keeps the argument always.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::command::Command;
use super::commands;
use super::environment::{self, NATIVE};
use super::name::Family;
use super::option::Meaning;
use crate::{Call, Environment, Reason, World};

/// A tool, and the machine options it is given.
type Key = (PathBuf, Vec<OsString>);

/// The meanings found so far.
#[derive(Debug, Default)]
pub struct Natives {
    known: Mutex<HashMap<Key, Vec<OsString>>>,
}

impl Natives {
    /// Seals what `native` means into `argv` or `env`. Nothing changes when no option says `native`.
    ///
    /// # Errors
    /// [`Reason::Unsealable`] when the compiler does not say.
    pub fn seal(
        &self,
        command: &Command,
        call: &Call,
        argv: &mut Vec<OsString>,
        env: &mut Environment,
        world: &dyn World,
    ) -> Result<(), Reason> {
        let Some(first) = command.tokens.iter().find(|token| token.found.meaning == Meaning::Native) else {
            return Ok(());
        };
        let meaning = self.meaning(command, call, world)?;
        if command.compiler.family == Family::Clang || command.has(Meaning::Record) {
            env.insert(NATIVE.into(), meaning.join(OsStr::new(" ")));
            return Ok(());
        }
        argv.truncate(1);
        for (index, arg) in command.args.iter().enumerate() {
            let native =
                |token: &&super::command::Token| token.found.meaning == Meaning::Native && token.range.contains(&index);
            if index == first.range.start {
                argv.extend(meaning.iter().cloned());
            }
            if !command.tokens.iter().any(|token| native(&token)) {
                argv.push(arg.clone());
            }
        }
        Ok(())
    }

    fn meaning(&self, command: &Command, call: &Call, world: &dyn World) -> Result<Vec<OsString>, Reason> {
        let machine: Vec<OsString> =
            command.args.iter().filter(|arg| arg.as_bytes().starts_with(b"-m")).cloned().collect();
        let key = (call.tool.clone(), machine);
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let mut argv = vec![call.tool.clone().into_os_string()];
        argv.extend(key.1.iter().cloned());
        argv.extend(["-###", "-c", "-x", "c", "/dev/null"].map(OsString::from));
        let failed = || Reason::Unsealable("-march=native, which the compiler does not explain".to_owned());
        let answer = world.ask(&argv, &call.cwd, &environment::of_query(&call.env)).map_err(|_| failed())?;
        let all = commands::commands(&answer.stderr);
        let inner = all.iter().find(|it| it.iter().any(|arg| arg == "/dev/null")).ok_or_else(failed)?;
        let meaning = match command.compiler.family {
            Family::Gcc => gcc(inner),
            Family::Clang => clang(inner),
        };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, meaning.clone());
        Ok(meaning)
    }
}

/// What stands between the input and the rest in cc1's arguments: `%(cc1_cpu)` of GCC's specs.
fn gcc(inner: &[OsString]) -> Vec<OsString> {
    let after = inner.iter().skip_while(|arg| *arg != "/dev/null").skip(1);
    after.take_while(|arg| *arg != "-quiet" && *arg != "-dumpbase").cloned().collect()
}

/// The processor and its features, sorted: Clang prints them in no stable order.
fn clang(inner: &[OsString]) -> Vec<OsString> {
    let mut features = Vec::new();
    let mut out = Vec::new();
    for pair in inner.windows(2) {
        match pair[0].as_bytes() {
            b"-target-cpu" | b"-tune-cpu" => out.extend_from_slice(pair),
            b"-target-feature" => features.push(pair[1].clone()),
            _ => {}
        }
    }
    features.sort();
    out.extend(features);
    out
}

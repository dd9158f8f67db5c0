//! Where `#include` searches: the user's directories placed by the rules of the manual, the built-in ones asked of the
//! compiler.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::command::Command;
use super::environment;
use super::name::{self, Family};
use super::option::{Chain, Meaning};
use crate::scan::{Search, SearchDir};
use crate::{Answer, Call, Environment, Reason, World};

/// Directories that the environment adds: variable, chain (GCC manual, "Environment Variables"), language as in `-x`;
/// empty for every language.
const VARIABLES: &[(&str, Chain, &str)] = &[
    ("CPATH", Chain::Bracket, ""),
    ("C_INCLUDE_PATH", Chain::System, "c"),
    ("CPLUS_INCLUDE_PATH", Chain::System, "c++"),
    ("OBJC_INCLUDE_PATH", Chain::System, "objective-c"),
    ("OBJCPLUS_INCLUDE_PATH", Chain::System, "objective-c++"),
];

/// What decides the built-in directories: the tool, the language, the options with a say and the directory that relative
/// operands among them start from, and the environment.
type Key = (PathBuf, &'static str, Vec<OsString>, Option<PathBuf>, Environment);

/// The built-in directories, remembered.
#[derive(Debug, Default)]
pub struct Searches {
    known: Mutex<HashMap<Key, Arc<BuiltIn>>>,
}

/// The directories that a compiler searches by itself; absolute.
#[derive(Debug, Default)]
pub struct BuiltIn {
    /// In the order of the search.
    pub directories: Vec<PathBuf>,
    /// Those that are there and are left out, since others are the same.
    pub ignored: Vec<PathBuf>,
}

impl Searches {
    /// The built-in directories of `call`'s compiler for `language` (as in `-x`).
    ///
    /// # Errors
    /// [`Reason::Includes`] when the compiler does not say.
    pub fn builtin(
        &self,
        command: &Command,
        call: &Call,
        language: &'static str,
        world: &dyn World,
    ) -> Result<Arc<BuiltIn>, Reason> {
        let args = command.arguments(|it| matches!(it, Meaning::Search | Meaning::ToolPrefix | Meaning::Specs));
        let mut env = environment::of_query(&call.env);
        for (variable, ..) in VARIABLES {
            env.remove(OsStr::new(variable));
        }
        let cwd = (!args.is_empty()).then(|| call.cwd.clone());
        let key = (call.tool.clone(), language, args, cwd, env);
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let mut argv = vec![call.tool.clone().into_os_string()];
        argv.extend(key.2.iter().cloned());
        argv.extend(["-E", "-v", "-x", language, "/dev/null"].map(OsString::from));
        let rests_on = |answer: &Answer| {
            let named = directories(&answer.stderr).unwrap_or_default().into_iter().chain(ignored(&answer.stderr));
            Some(named.chain(unlisted(&answer.stderr)).map(|path| call.absolute(path)).collect())
        };
        // With options of its own a call may name files that say more, and clang looks which versions of GCC there are.
        let lasts = name::compiler(&call.tool, world).is_some_and(|compiler| compiler.family == Family::Gcc);
        let answer = match &key.3 {
            None if lasts => world.ask_once(&argv, Path::new("/"), &key.4, &rests_on),
            cwd => world.ask(&argv, cwd.as_deref().unwrap_or(Path::new("/")), &key.4),
        };
        let answer = answer.map_err(|error| Reason::Includes(format!("{}: {error}", call.tool.display())))?;
        let found = directories(&answer.stderr)
            .filter(|_| answer.success)
            .ok_or_else(|| Reason::Includes(format!("{} -E -v names no directories", call.tool.display())))?;
        let absolute = |all: Vec<PathBuf>| all.into_iter().map(|directory| call.absolute(directory)).collect();
        let ignored = absolute(ignored(&answer.stderr));
        let found = Arc::new(BuiltIn { directories: absolute(found), ignored });
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, found.clone());
        Ok(found)
    }

    /// The whole search of a call for `language`.
    ///
    /// # Errors
    /// [`Reason::Includes`] when the compiler does not say, [`Reason::UnknownOption`] for a directory below the system
    /// root (`-I=dir`).
    pub fn search(
        &self,
        command: &Command,
        call: &Call,
        language: &'static str,
        world: &dyn World,
    ) -> Result<Search, Reason> {
        let mut chains = Chains::default();
        for token in &command.tokens {
            let operand = &token.found.operand;
            match token.found.meaning {
                Meaning::Include(chain) => {
                    if operand.as_bytes().starts_with(b"=") || operand.as_bytes().starts_with(b"$SYSROOT") {
                        let text = format!("{}{}", token.found.spelling, operand.to_string_lossy());
                        return Err(Reason::UnknownOption(text));
                    }
                    chains.get(chain).push(call.absolute(operand));
                }
                Meaning::Split => {
                    let before = std::mem::take(&mut chains.bracket);
                    chains.quote.extend(before);
                }
                _ => {}
            }
        }
        for (variable, chain, of) in VARIABLES {
            if of.is_empty() || *of == language {
                let list = call.var(variable).map(OsStr::as_bytes).filter(|list| !list.is_empty());
                let entries = list.into_iter().flat_map(|list| list.split(|&byte| byte == b':'));
                // An empty entry is the working directory.
                chains.get(*chain).extend(entries.map(|entry| call.absolute(OsStr::from_bytes(entry))));
            }
        }
        let builtin = self.builtin(command, call, language, world)?;
        Ok(chains.merge(&builtin.directories, world))
    }
}

/// The user's directories.
#[derive(Default)]
struct Chains {
    quote: Vec<PathBuf>,
    bracket: Vec<PathBuf>,
    system: Vec<PathBuf>,
    after: Vec<PathBuf>,
}

impl Chains {
    fn get(&mut self, chain: Chain) -> &mut Vec<PathBuf> {
        match chain {
            Chain::Quote => &mut self.quote,
            Chain::Bracket => &mut self.bracket,
            Chain::System => &mut self.system,
            Chain::After => &mut self.after,
        }
    }

    /// One list in the order of the search. A directory counts once: the first of its own kind, but an `-I` that is also
    /// a system directory is left out, so that `#include_next` in system headers finds what it should.
    fn merge(self, builtin: &[PathBuf], world: &dyn World) -> Search {
        let identity = |path: &Path| world.resolve(path).unwrap_or_else(|_| path.to_owned());
        let mut seen: Vec<PathBuf> = Vec::new();
        let mut unique = |paths: Vec<PathBuf>, system: bool| -> Vec<SearchDir> {
            let mut out = Vec::new();
            for path in paths {
                let id = identity(&path);
                if !seen.contains(&id) {
                    seen.push(id);
                    out.push(SearchDir { path, system });
                }
            }
            out
        };
        let mut system = unique(self.system, false);
        system.extend(unique(builtin.to_vec(), true));
        system.extend(unique(self.after, false));
        let mut bracket = unique(self.bracket, false);
        bracket.extend(system);
        let quote = self.quote.into_iter().map(|path| SearchDir { path, system: false }).collect();
        Search { quote, bracket }
    }
}

/// The directories that are said to be ignored in the answer to `-E -v` since they are the same as others.
fn ignored(text: &[u8]) -> Vec<PathBuf> {
    let lines = text.split(|&byte| byte == b'\n');
    let names = lines.filter_map(|line| line.strip_prefix(b"ignoring duplicate directory \"")?.strip_suffix(b"\""));
    names.map(|name| OsStr::from_bytes(name).into()).collect()
}

/// What else the answer to `-E -v` names: directories that are not there, the preprocessor, which has them built in, and
/// the file beside it that could change them.
fn unlisted(text: &[u8]) -> Vec<PathBuf> {
    let lines = text.split(|&byte| byte == b'\n');
    let names = lines.filter_map(|line| match line.strip_prefix(b"ignoring nonexistent directory \"") {
        Some(name) => name.strip_suffix(b"\""),
        None => line.strip_prefix(b" ")?.split(|&byte| byte == b' ').next().filter(|word| word.starts_with(b"/")),
    });
    let names = names.map(|name| Path::new(OsStr::from_bytes(name)));
    names.flat_map(|name| [name.to_owned(), name.with_file_name("specs")]).collect()
}

/// The directories in the answer to `-E -v`: those after `#include <...> search starts here:`.
fn directories(text: &[u8]) -> Option<Vec<PathBuf>> {
    let mut lines = text.split(|&byte| byte == b'\n').skip_while(|line| !line.starts_with(b"#include <"));
    lines.next()?;
    let mut out = Vec::new();
    for line in lines {
        match line.strip_prefix(b" ") {
            Some(path) => out.push(OsStr::from_bytes(path).into()),
            None => return line.starts_with(b"End of search list").then_some(out),
        }
    }
    None
}

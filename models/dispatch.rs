//! Which model a call goes to, by the name of its tool.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::binutils::{Binutils, Tool};
use crate::driver::{self, Driver};
use crate::queries;
use crate::scan::Scanner;
use crate::toolchain::{self, Toolchain};
use crate::tools::{Needs, ToolError, Tools, fits_one};
use crate::{Call, Compilation, Environment, Plan, Read, Reason, World};

/// Every model, with what each remembers. One for a session, shared by its threads.
#[derive(Debug)]
pub struct Models {
    driver: Driver,
    scanner: Scanner,
    binutils: Binutils,
    tools: Tools,
    toolchains: Mutex<HashMap<ToolchainKey, Result<Arc<Toolchain>, Reason>>>,
}

/// A tool, and the variables that decide which programs and messages it uses.
type ToolchainKey = (PathBuf, Environment);

/// The variables of [`ToolchainKey`].
const TOOLCHAIN_VARIABLES: &[&str] =
    &["PATH", "GCC_EXEC_PREFIX", "COMPILER_PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LC_CTYPE"];

/// What GCC's drivers set for the programs that they start (GCC internals, "Collect2"). An assembler or linker with it
/// belongs to a compiler that runs here: it works on that one's temporary files, which go when it returns.
const WITHIN_COMPILER: &str = "COLLECT_GCC";

/// Which model a tool belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    Driver,
    Binutils,
}

impl Model {
    fn of(name: &OsStr) -> Option<Self> {
        if driver::is_driver(name) { Some(Self::Driver) } else { Tool::of(Path::new(name)).map(|_| Self::Binutils) }
    }
}

impl Models {
    /// All models. `user_tools` is a directory of descriptions of further tools.
    ///
    /// # Errors
    /// The first description that cannot be used.
    pub fn new(user_tools: Option<&Path>, world: &dyn World) -> Result<Self, ToolError> {
        Ok(Self {
            driver: Driver::default(),
            scanner: Scanner::new(),
            binutils: Binutils::new(),
            tools: Tools::load(user_tools, world)?,
            toolchains: Mutex::default(),
        })
    }

    /// What is to become of a call.
    pub fn plan(&self, call: &Call, world: &dyn World) -> Plan {
        if call.var(WITHIN_COMPILER).is_some() {
            return Plan::Here(Reason::PartOfCompiler);
        }
        if let Some(step) = queries::step(call, world) {
            return Plan::Thunk(step);
        }
        match call.tool.file_name().and_then(Model::of) {
            Some(Model::Driver) => self.driver.plan(call, &self.scanner, &self.binutils.linker, world),
            Some(Model::Binutils) => self.binutils.plan(call, world).unwrap_or(Plan::Here(Reason::NoModel)),
            None => self.tools.plan(call, world).unwrap_or(Plan::Here(Reason::NoModel)),
        }
    }

    /// What a call compiles, for databases of commands.
    pub fn compilations(&self, call: &Call, world: &dyn World) -> Vec<Compilation> {
        match call.tool.file_name().and_then(Model::of) {
            Some(Model::Driver) if call.var(WITHIN_COMPILER).is_none() => self.driver.compilations(call, world),
            _ => Vec::new(),
        }
    }

    /// Exactly what a compile reads, by the compiler's own `-M`, for one whose sandboxed run missed a file: to be added to
    /// the reads of its plan.
    ///
    /// # Errors
    /// [`Reason::NoModel`] for other tools than compilers, [`Reason::Includes`] when the preprocessor fails.
    pub fn exact_reads(&self, call: &Call, world: &dyn World) -> Result<Vec<Read>, Reason> {
        match call.tool.file_name().and_then(Model::of) {
            Some(Model::Driver) => self.driver.exact_reads(call, world),
            _ => Err(Reason::NoModel),
        }
    }

    /// What `tool` (as PATH finds it) needs to run under `env`; remembered.
    ///
    /// # Errors
    /// Those of [`toolchain::capture`].
    pub fn toolchain(&self, tool: &Path, world: &dyn World, env: &Environment) -> Result<Arc<Toolchain>, Reason> {
        let deciding = env.iter().filter(|(name, _)| TOOLCHAIN_VARIABLES.iter().any(|it| *name == it));
        let key = (tool.to_owned(), deciding.map(|(name, value)| (name.clone(), value.clone())).collect());
        if let Some(known) = self.toolchains.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let captured = toolchain::capture(tool, self.needs(tool), world, env).map(Arc::new);
        self.toolchains.lock().unwrap_or_else(PoisonError::into_inner).insert(key, captured.clone());
        captured
    }

    /// What a data file says that a tool needs, if it is one that only data files describe.
    fn needs(&self, tool: &Path) -> Option<&Needs> {
        tool.file_name().filter(|name| Model::of(name).is_none()).and_then(|name| self.tools.needs(name))
    }

    /// The names of all tools, for stubs to stand under.
    pub fn tool_names(&self) -> ToolNames {
        ToolNames { described: self.tools.names().map(str::to_owned).collect() }
    }

    /// Whether a stub should stand in for a tool of this name, whatever data files describe.
    pub fn is_tool_name(name: &OsStr) -> bool {
        Model::of(name).is_some()
    }
}

/// What tools are called, those that data files describe included.
#[derive(Clone, Debug, Default)]
pub struct ToolNames {
    /// With `*` for anything.
    described: Vec<String>,
}

impl ToolNames {
    /// Whether a stub should stand in for a tool of this name.
    pub fn has(&self, name: &OsStr) -> bool {
        Models::is_tool_name(name) || fits_one(&self.described, name.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["cc", "gcc-12", "x86_64-linux-gnu-g++", "ar", "ld.gold", "strip", "nasm", "clang++-14"] {
            assert!(Models::is_tool_name(OsStr::new(name)), "{name}");
        }
        for name in ["make", "sh", "clang-format", "python3", "install", "gccgo"] {
            assert!(!Models::is_tool_name(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn what_a_compiler_starts_is_left_to_it() {
        let world = crate::MemoryWorld::new();
        let models = Models::new(None, &world).unwrap();
        let mut call = Call {
            tool: "/usr/bin/as".into(),
            argv: ["as", "-o", "a.o", "/tmp/cc1.s"].map(Into::into).to_vec(),
            cwd: "/p".into(),
            env: Environment::new(),
        };
        assert_ne!(models.plan(&call, &world), Plan::Here(Reason::PartOfCompiler));
        call.env.insert("COLLECT_GCC".into(), "/usr/bin/cc".into());
        assert_eq!(models.plan(&call, &world), Plan::Here(Reason::PartOfCompiler));
    }
}

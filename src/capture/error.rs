//! Why a program cannot be captured, and what to do.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

/// Why a program cannot be captured. Each text says which file is at fault and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// PATH does not lead to the program.
    #[error("there is no program {name:?} in PATH ({path}): install it, correct PATH, or name the program by its path")]
    NotInPath {
        /// As it was asked for.
        name: OsString,
        /// PATH as it was looked through.
        path: String,
    },
    /// There is nothing at the path.
    #[error("{path:?} does not exist: correct the path, or make the file first")]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A directory, device or the like stands where a file has to be.
    #[error("{path:?} is no regular file: name a file")]
    NoFile {
        /// The path.
        path: PathBuf,
    },
    /// The file may not be executed.
    #[error("{path:?} is not executable: run `chmod +x` on it, or run its interpreter with it as an argument")]
    NotExecutable {
        /// The file.
        path: PathBuf,
    },
    /// The kernel would not start it.
    #[error(
        "{path:?} is neither a program nor a script: if it is a script, let its first line be `#!` and its interpreter's path"
    )]
    NoProgram {
        /// The file.
        path: PathBuf,
    },
    /// gg has not made it yet.
    #[error("{path:?} is a placeholder for what gg has not computed yet: run `gg force` on it first")]
    Placeholder {
        /// The file.
        path: PathBuf,
    },
    /// The first line of a script cannot be followed.
    #[error("the first line of the script {script:?} {what}")]
    FirstLine {
        /// The script.
        script: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// What runs a script cannot be captured.
    #[error("{script:?} is run by {interpreter:?}, which its first line names: {error}")]
    Interpreter {
        /// The script.
        script: PathBuf,
        /// As the script names it.
        interpreter: OsString,
        /// What is wrong with that.
        error: Box<CaptureError>,
    },
    /// It is for another processor.
    #[error(
        "{program:?} is a program for {machine}, and this machine is {native}: use one that is made for this machine"
    )]
    Foreign {
        /// The program.
        program: PathBuf,
        /// What it is for.
        machine: String,
        /// What is here.
        native: &'static str,
    },
    /// Its loader is not on this machine.
    #[error(
        "{program:?} is started by the loader {loader:?}, which is not here: install the C library that it was linked with"
    )]
    MissingLoader {
        /// The program.
        program: PathBuf,
        /// The loader that it names.
        loader: PathBuf,
    },
    /// Shared libraries are nowhere.
    #[error(
        "{program:?} needs the shared librar{} {}, which the loader does not find: install the package that has it, or \
         set LD_LIBRARY_PATH to its directory",
        if libraries.len() == 1 { "y" } else { "ies" },
        libraries.iter().map(|library| library.to_string_lossy()).collect::<Vec<_>>().join(", ")
    )]
    MissingLibrary {
        /// The program.
        program: PathBuf,
        /// The libraries by their names.
        libraries: Vec<OsString>,
    },
    /// The loader failed.
    #[error("cannot find out which shared libraries {program:?} needs: {why}")]
    Loader {
        /// The program.
        program: PathBuf,
        /// What it said.
        why: String,
    },
    /// The interpreter did not say what a script needs.
    #[error("cannot ask {interpreter:?} what it needs: {why}")]
    Unanswered {
        /// The interpreter.
        interpreter: PathBuf,
        /// What it said.
        why: String,
    },
    /// A Python package that was asked for is not installed.
    #[error("there is no Python package {package:?} for {interpreter:?}: install it (`{} -m pip install {package}`), or correct its name", interpreter.display())]
    NoPackage {
        /// The package.
        package: String,
        /// The interpreter that would import it.
        interpreter: PathBuf,
    },
    /// Python is told to run a module that is not installed (`-m`).
    #[error(
        "there is no module {module:?} for {interpreter:?} to run: install the package that has it, or correct its name"
    )]
    NoModule {
        /// The module.
        module: String,
        /// The interpreter.
        interpreter: PathBuf,
    },
    /// Packages were asked for, and no Python.
    #[error("packages are for Python programs, and none of the programs is one: leave out `{}`, or name the interpreter among the programs", packages.join(" "))]
    NoPython {
        /// The packages.
        packages: Vec<String>,
    },
    /// The whole machine was named as something that a program opens.
    #[error("\"/\" is all that there is: name the files and directories that the program opens")]
    Everything,
    /// The file system failed.
    #[error("cannot read {path:?}: {error}")]
    Io {
        /// The path.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

//! Which outputs of a build are computed, and which stay placeholders.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// What is computed besides that which programs of the build read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Everything, as make does.
    All,
    /// Nothing (`gg infer`).
    Nothing,
    /// Some outputs, and what they are made of.
    Some {
        /// Whatever is marked executable: programs and shared libraries.
        programs: bool,
        /// These files; absolute.
        files: BTreeSet<PathBuf>,
    },
}

/// What `--want` calls whatever is marked executable. A file of this name is `./programs`.
const PROGRAMS: &str = "programs";

impl Wanted {
    /// What the operands of `--want` say; nothing said is everything.
    ///
    /// # Errors
    /// When a path cannot be made absolute, since the working directory is gone.
    pub fn parse(operands: &[PathBuf]) -> io::Result<Self> {
        if operands.is_empty() {
            return Ok(Self::All);
        }
        let named = operands.iter().filter(|operand| *operand != Path::new(PROGRAMS));
        Ok(Self::Some {
            programs: operands.iter().any(|operand| operand == Path::new(PROGRAMS)),
            files: named.map(|path| real(&std::path::absolute(path)?)).collect::<io::Result<_>>()?,
        })
    }

    /// Whether an output is computed though nobody reads it.
    pub fn includes(&self, path: &Path, executable: bool) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Some { programs, files } => *programs && executable || files.contains(path),
        }
    }

    /// Whether some outputs may be left to be computed later.
    pub fn leaves_some(&self) -> bool {
        *self != Self::All
    }
}

/// A path as steps call it: without symbolic links in its directory, where that exists already.
fn real(path: &Path) -> io::Result<PathBuf> {
    let directory = path.parent().and_then(|parent| std::fs::canonicalize(parent).ok());
    Ok(directory.zip(path.file_name()).map_or_else(|| path.to_path_buf(), |(directory, name)| directory.join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_included() {
        let here = std::env::current_dir().unwrap();
        let wanted =
            |operands: &[&str]| Wanted::parse(&operands.iter().map(PathBuf::from).collect::<Vec<_>>()).unwrap();
        assert_eq!(wanted(&[]), Wanted::All);
        let programs = wanted(&["programs"]);
        assert!(programs.includes(Path::new("/x/app"), true) && !programs.includes(Path::new("/x/a.o"), false));
        let both = wanted(&["programs", "lib/libx.a"]);
        assert!(both.includes(&here.join("lib/libx.a"), false) && both.includes(Path::new("/app"), true));
        let file = wanted(&["./programs"]);
        assert!(file.includes(&here.join("programs"), false) && !file.includes(&here.join("app"), true));
        assert!(!Wanted::Nothing.includes(&here.join("app"), true));
    }
}

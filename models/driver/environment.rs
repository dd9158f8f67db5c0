//! Which environment variables reach a tool.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::LazyLock;

use crate::Environment;
use crate::scan::hash::QuickSet;

/// The variables that compilers, assemblers, linkers and the C library below them read (GCC manual, "Environment
/// Variables"; ld manual, "Environment Variables"; Clang's driver). A name that ends with `*` stands for all that start
/// so.
const VARIABLES: &[&str] = &[
    // The C library: programs, messages, temporary files.
    "PATH",
    "PWD",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TMPDIR",
    "TMP",
    "TEMP",
    // How diagnostics look.
    "TERM",
    "COLUMNS",
    "GCC_COLORS",
    "GCC_URLS",
    "TERM_URLS",
    "GCC_EXTRA_DIAGNOSTIC_OUTPUT",
    "EXPERIMENTAL_*",
    "CLICOLOR_FORCE",
    "NO_COLOR",
    // Where compilers look.
    "GCC_EXEC_PREFIX",
    "COMPILER_PATH",
    "LIBRARY_PATH",
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
    "OBJC_INCLUDE_PATH",
    "OBJCPLUS_INCLUDE_PATH",
    "GCC_ROOT",
    "GCC_COMPARE_DEBUG",
    "GCC_SPECS",
    "CCC_OVERRIDE_OPTIONS",
    "CLANG_*",
    // What they write.
    "SOURCE_DATE_EPOCH",
    "DEPENDENCIES_OUTPUT",
    "SUNPRO_DEPENDENCIES",
    "CC_PRINT_*",
    "CC_LOG_DIAGNOSTICS*",
    "ZERO_AR_DATE",
    "MACOSX_DEPLOYMENT_TARGET",
    // Linkers.
    "LD_RUN_PATH",
    "LDEMULATION",
    "GNUTARGET",
    "COLLECT_NO_DEMANGLE",
    "MOLD_*",
    "LLD_*",
    // Assemblers.
    "NASMENV",
    "YASMENV",
    // Sealed by gg itself: what `native` means.
    NATIVE,
];

/// The variable that seals what `-march=native` means on this machine, where the argument itself has to stay.
pub const NATIVE: &str = "GG_NATIVE";

/// The whole names in [`VARIABLES`]: each compile asks about each variable that it was given.
static NAMES: LazyLock<QuickSet<&[u8]>> = LazyLock::new(|| {
    let whole = VARIABLES.iter().filter(|variable| !variable.ends_with('*'));
    whole.map(|variable| variable.as_bytes()).collect()
});

/// Whether a tool may see the variable.
pub fn is_visible(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let begins = |variable: &&str| variable.strip_suffix('*').is_some_and(|start| name.starts_with(start.as_bytes()));
    NAMES.contains(name) || VARIABLES.iter().any(begins)
}

/// The part of `env` that a tool may see.
pub fn visible(env: &Environment) -> Environment {
    env.iter().filter(|(name, _)| is_visible(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The environment for a question whose answer is parsed: in English, and without files written at its side.
pub fn of_query(env: &Environment) -> Environment {
    let mut env = visible(env);
    for name in ["LANGUAGE", "DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES", "PWD", "COLUMNS", "TERM"] {
        env.remove(OsStr::new(name));
    }
    env.insert("LC_ALL".into(), OsString::from("C"));
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_tools_read() {
        for name in ["PATH", "LC_MESSAGES", "CPATH", "SOURCE_DATE_EPOCH"] {
            assert!(is_visible(OsStr::new(name)), "{name}");
        }
        for name in ["HOME", "MAKEFLAGS", "MAKELEVEL", "AWS_SECRET_ACCESS_KEY", "MALLOC_PERTURB_", "LD_PRELOAD"] {
            assert!(!is_visible(OsStr::new(name)), "{name}");
        }
        let env = Environment::from([("LANG".into(), "de_DE.UTF-8".into()), ("HOME".into(), "/root".into())]);
        let query = of_query(&env);
        assert_eq!(query.get(OsStr::new("LC_ALL")), Some(&"C".into()));
        assert!(!query.contains_key(OsStr::new("HOME")));
    }
}

//! `gg completions`.

use std::io::{self, Write};

use anyhow::{Context, Result};
use clap_complete::Shell;

use crate::manual;

/// In bash, where make's own completion is loaded when it is first wanted, if it is installed.
const MAKE_IN_BASH: &str = "\n# gg-make takes make's arguments.\n\
    _gg_make() { declare -F _comp_cmd_make >/dev/null || declare -F _make >/dev/null || _comp_load make 2>/dev/null \
    || __load_completion make 2>/dev/null; if declare -F _comp_cmd_make >/dev/null; then _comp_cmd_make \"$@\"; \
    elif declare -F _make >/dev/null; then _make \"$@\"; fi; }\ncomplete -o default -F _gg_make gg-make\n";

const MAKE_IN_FISH: &str = "\n# gg-make takes make's arguments.\ncomplete -c gg-make -w make\n";

/// Prints what a shell reads to complete gg's arguments.
///
/// # Errors
/// When it cannot be printed.
pub fn run(shell: Shell) -> Result<i32> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut manual::gg(), "gg", &mut script);
    match shell {
        Shell::Bash => script.extend_from_slice(MAKE_IN_BASH.as_bytes()),
        Shell::Fish => script.extend_from_slice(MAKE_IN_FISH.as_bytes()),
        _ => {}
    }
    match io::stdout().write_all(&script) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(0),
    }
}

//! `gg toolchain-file`.

use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::settings::Settings;

/// For a machine whose kernel leads tools to their stand-ins: a build that is configured with it is like any other.
const TOOLCHAIN: &str = r#"# Written by `gg toolchain-file`, for builds that run as `gg-make` or `gg build -- ...`; without those it changes nothing.
# -DGG_CHAINLOAD_TOOLCHAIN_FILE=FILE, or the variable of this name, includes a toolchain file of the project's own.
if(NOT GG_CHAINLOAD_TOOLCHAIN_FILE AND NOT "$ENV{GG_CHAINLOAD_TOOLCHAIN_FILE}" STREQUAL "")
  # Kept, since a build that configures itself anew is not told again.
  set(GG_CHAINLOAD_TOOLCHAIN_FILE "$ENV{GG_CHAINLOAD_TOOLCHAIN_FILE}" CACHE FILEPATH "The toolchain file that gg's includes")
endif()
if(GG_CHAINLOAD_TOOLCHAIN_FILE)
  # try_compile configures projects of its own with this file.
  list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES GG_CHAINLOAD_TOOLCHAIN_FILE)
  include("${GG_CHAINLOAD_TOOLCHAIN_FILE}")
endif()
"#;

/// What is added where the kernel does not: CMake calls compilers by their paths, past the stand-ins that lead PATH.
const LAUNCHERS: &str = r#"# No tool is written down by the name of its stand-in, which goes when the build ends.
string(REGEX REPLACE "(^|:)[^:]*/sessions/[^:/]+/bin(:|$)" "\\1" GG_PATH "$ENV{PATH}")
set(ENV{PATH} "${GG_PATH}")
# CMAKE_<LANG>_COMPILER_LAUNCHER has no say in assembly.
set_property(GLOBAL PROPERTY RULE_LAUNCH_COMPILE "${CMAKE_CURRENT_LIST_DIR}/launch")
set_property(GLOBAL PROPERTY RULE_LAUNCH_LINK "${CMAKE_CURRENT_LIST_DIR}/launch")
"#;

/// Calls a tool by its name, if stand-ins lead PATH; `@SESSIONS@` is where they are.
const LAUNCH: &str = r#"#!/bin/sh
tool=$1
shift
case $PATH in
@SESSIONS@/*/bin:*)
    stand_in=${PATH%%:*}/${tool##*/}
    if [ -x "$stand_in" ]; then
        # Whoever is called like it next is the tool itself.
        PATH=${PATH%%:*}:${tool%/*}:${PATH#*:} exec "$stand_in" "$@"
    fi
    ;;
esac
exec "$tool" "$@"
"#;

/// Writes the toolchain file for CMake, and prints its path.
///
/// # Errors
/// When it cannot be written.
pub fn run(settings: &Settings) -> Result<i32> {
    let directory = settings.directory.join("cmake");
    let file = directory.join("gg.cmake");
    let leads = settings.lazy && gg_watch::supported().is_ok() && gg_watch::redirects().is_ok();
    let write = || {
        fs::create_dir_all(&directory)?;
        if leads {
            return replace(&file, TOOLCHAIN.as_bytes(), 0o644);
        }
        let sessions = quoted(&settings.directory.join("sessions"));
        replace(&directory.join("launch"), LAUNCH.replace("@SESSIONS@", &sessions).as_bytes(), 0o755)?;
        replace(&file, [TOOLCHAIN, LAUNCHERS].concat().as_bytes(), 0o644)
    };
    write().with_context(|| format!("cannot write {}", file.display()))?;
    let mut line = file.into_os_string().into_encoded_bytes();
    line.push(b'\n');
    io::stdout().write_all(&line).context("cannot write to standard output")?;
    Ok(0)
}

/// Writes a file whole, unless it is as it should be: whoever depends on it would begin anew.
fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    if fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    let temporary = path.with_extension(std::process::id().to_string());
    fs::write(&temporary, content)?;
    fs::set_permissions(&temporary, fs::Permissions::from_mode(mode))?;
    fs::rename(&temporary, path)
}

/// As a pattern of the shell's that only this path matches.
fn quoted(path: &Path) -> String {
    let text = String::from_utf8_lossy(path.as_os_str().as_bytes()).into_owned();
    format!("'{}'", text.replace('\'', r"'\''"))
}

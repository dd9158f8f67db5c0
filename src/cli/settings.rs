//! What gg is told by its environment, read in one place.

use std::env;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use gg_worker::SandboxChoice;

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the store, sessions and reports live: `GG_DIR`, or `gg` in the user's cache directory.
    pub directory: PathBuf,
    /// How many steps run here at once: `GG_JOBS`, or the number of processors.
    pub jobs: usize,
    /// How steps are isolated: `GG_SANDBOX` (`auto`, `namespace`, `plain`).
    pub sandbox: SandboxChoice,
    /// Whether steps may be answered before they have run: `GG_LAZY` (`1`, `0`).
    pub lazy: bool,
    /// Where descriptions of further tools are: `GG_TOOLS`, or `gg/tools` in the user's configuration directory; none
    /// where that does not exist.
    pub tools: Option<PathBuf>,
    /// Whether to show progress on a terminal: `GG_STATUS` (`1`, `0`).
    pub status: bool,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// When a variable holds what gg cannot use.
    pub fn from_env() -> Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let jobs = match variable("GG_JOBS") {
            None => processors,
            Some(text) => match text.to_str().and_then(|text| text.parse().ok()) {
                Some(jobs @ 1..=4096) => jobs,
                _ => bail!("GG_JOBS is {text:?}; a number from 1 to 4096 is needed"),
            },
        };
        let sandbox = match variable("GG_SANDBOX").as_deref().map(|text| text.to_string_lossy().into_owned()).as_deref()
        {
            None | Some("auto") => SandboxChoice::Auto,
            Some("namespace") => SandboxChoice::Namespace,
            Some("plain") => SandboxChoice::Plain,
            Some(text) => bail!("GG_SANDBOX is {text:?}; auto, namespace or plain is needed"),
        };
        Ok(Self {
            directory: canonical(directory()?),
            tools: tools()?,
            jobs,
            sandbox,
            lazy: switch("GG_LAZY", true)?,
            status: switch("GG_STATUS", true)?,
        })
    }
}

fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

fn switch(name: &str, default: bool) -> Result<bool> {
    match variable(name).as_deref().map(|text| text.to_string_lossy().into_owned()).as_deref() {
        None => Ok(default),
        Some("1") => Ok(true),
        Some("0") => Ok(false),
        Some(text) => bail!("{name} is {text:?}; 1 or 0 is needed"),
    }
}

/// The one spelling of a directory, which is made if need be: the stub knows itself by it.
fn canonical(directory: PathBuf) -> PathBuf {
    // What cannot be made is named by the store, which says what to do.
    let _ = std::fs::create_dir_all(&directory);
    std::fs::canonicalize(&directory).unwrap_or(directory)
}

fn tools() -> Result<Option<PathBuf>> {
    if let Some(tools) = variable("GG_TOOLS").map(PathBuf::from) {
        let tools = std::path::absolute(&tools).with_context(|| format!("GG_TOOLS is {tools:?}"))?;
        if !tools.exists() {
            bail!("GG_TOOLS is {tools:?}, which does not exist");
        }
        return Ok(Some(tools));
    }
    let base = variable("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")));
    Ok(base.map(|base| base.join("gg/tools")).filter(|tools| tools.is_dir()))
}

fn directory() -> Result<PathBuf> {
    if let Some(directory) = variable("GG_DIR") {
        // Steps run in many directories: a relative path would mean another place in each.
        return std::path::absolute(&directory).with_context(|| format!("GG_DIR is {directory:?}"));
    }
    // The XDG base directory specification: a relative XDG_CACHE_HOME is to be ignored.
    if let Some(cache) = variable("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute()) {
        return Ok(cache.join("gg"));
    }
    let home = variable("HOME").context("neither GG_DIR nor HOME is set; set GG_DIR to a directory gg may fill")?;
    Ok(PathBuf::from(home).join(".cache/gg"))
}

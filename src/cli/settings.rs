//! What gg is told by its environment, read in one place.

use std::env;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gg_worker::SandboxChoice;

use crate::config::{self, Config};
use crate::console::{BETWEEN_LINES, Look, Progress, Verbosity};
use crate::engines::Choice;

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
    /// Where steps run, in the order in which engines are asked; this machine where nothing is said (`GG_ENGINE`).
    pub engines: Vec<Choice>,
    /// Whether this machine runs what the engines give back: `GG_FALLBACK` (`1`, `0`).
    pub fallback: bool,
    /// What the configuration files say, with the environment over them.
    #[cfg_attr(not(feature = "lambda"), expect(dead_code, reason = "only engines far away are configured in a file"))]
    pub config: Config,
    /// How gg is to look: `GG_OUTPUT` (`quiet`, `normal`, `verbose`), `GG_STATUS` (`1`, `0`, `plain`, `plain:SECONDS`), and what is common to many
    /// programs: `NO_COLOR`, `TERM`, `CI`.
    pub look: Look,
}

impl Settings {
    /// What holds where nothing is said but, perhaps, where the store is.
    ///
    /// # Errors
    /// When there is no place for a store.
    pub fn plain() -> Result<Self> {
        Ok(Self {
            directory: canonical(directory()?),
            jobs: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            sandbox: SandboxChoice::Auto,
            lazy: true,
            tools: None,
            engines: Vec::new(),
            fallback: true,
            config: Config::default(),
            look: Look::default(),
        })
    }

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
        let here = env::current_dir().unwrap_or_default();
        let mut config = Config::load(&here, config::user_directory().as_deref())?;
        overrule(&mut config)?;
        let mut engines = Vec::new();
        for text in &config.engine {
            engines.extend(Choice::parse_list(text).context("GG_ENGINE or `engine` in gg.toml")?);
        }
        Ok(Self {
            engines,
            fallback: switch("GG_FALLBACK", config.fallback.unwrap_or(true))?,
            config,
            directory: canonical(directory()?),
            tools: tools()?,
            jobs,
            sandbox,
            lazy: switch("GG_LAZY", true)?,
            look: look()?,
        })
    }
}

/// Every variable that gg reads.
pub const VARIABLES: &[&str] = &[
    "GG_DIR",
    "GG_ENGINE",
    "GG_FALLBACK",
    "GG_FUNCTION",
    "GG_JOBS",
    "GG_LAMBDA_ENDPOINT",
    "GG_LARGER_FUNCTION",
    "GG_LAZY",
    "GG_OUTPUT",
    "GG_REDIS_PASSWORD",
    "GG_REDUCTIONS",
    "GG_REGION",
    "GG_SANDBOX",
    "GG_STATUS",
    "GG_STORE",
    "GG_TOOLS",
];

/// Puts what the environment says over what the files say.
fn overrule(config: &mut Config) -> Result<()> {
    let text = |name: &str| match variable(name).map(OsString::into_string) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text)),
        Some(Err(value)) => bail!("{name} is {value:?}, which is no text"),
    };
    if let Some(engines) = text("GG_ENGINE")? {
        config.engine = vec![engines];
    }
    let places = [
        ("GG_STORE", &mut config.store.uri),
        ("GG_REDUCTIONS", &mut config.store.reductions),
        ("GG_FUNCTION", &mut config.lambda.function),
        ("GG_LARGER_FUNCTION", &mut config.lambda.larger),
        ("GG_REGION", &mut config.lambda.region),
        ("GG_LAMBDA_ENDPOINT", &mut config.lambda.endpoint),
    ];
    for (name, place) in places {
        if let Some(value) = text(name)? {
            *place = Some(value);
        }
    }
    Ok(())
}

impl Settings {
    /// Puts what the command line says over the rest.
    pub fn choose(&mut self, engines: Vec<Choice>, fallback: Option<bool>) {
        if !engines.is_empty() {
            self.engines = engines;
        }
        self.fallback = fallback.unwrap_or(self.fallback);
    }

    /// Puts `--quiet` and `--verbose` over the rest.
    pub fn speak(&mut self, verbosity: Option<Verbosity>) {
        self.look.verbosity = verbosity.unwrap_or(self.look.verbosity);
    }
}

fn look() -> Result<Look> {
    let text = |name: &str| variable(name).map(|text| text.to_string_lossy().into_owned());
    let verbosity = match text("GG_OUTPUT").as_deref() {
        None | Some("normal") => Verbosity::Normal,
        Some("quiet") => Verbosity::Quiet,
        Some("verbose") => Verbosity::Verbose,
        Some(text) => bail!("GG_OUTPUT is {text:?}; quiet, normal or verbose is needed"),
    };
    // A terminal that says nothing of itself, or of which a program keeps a log.
    let simple =
        text("TERM").is_none_or(|term| term == "dumb") || text("CI").is_some_and(|ci| ci != "false" && ci != "0");
    let progress = match text("GG_STATUS").as_deref() {
        None | Some("1") if simple => Progress::Plain(BETWEEN_LINES),
        None | Some("1") => Progress::Auto,
        Some("0") => Progress::Off,
        Some("plain") => Progress::Plain(BETWEEN_LINES),
        Some(text) => match text.strip_prefix("plain:").and_then(|seconds| seconds.parse().ok()) {
            Some(seconds @ 1..) => Progress::Plain(Duration::from_secs(seconds)),
            _ => bail!("GG_STATUS is {text:?}; 1, 0, plain or plain:SECONDS is needed"),
        },
    };
    // https://no-color.org
    Ok(Look { verbosity, progress, colour: text("NO_COLOR").is_none() })
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

//! `gg --version`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use gg_store::Store;
use gg_worker::{Pool, SandboxKind};

use crate::config::{self, Config};
use crate::engine::workers;
use crate::settings::Settings;

/// Says which gg this is; in full, also how it was built, what it is set up with, and what this machine grants: what a person is asked
/// for who reports a fault.
///
/// # Errors
/// None: what cannot be found out is said to be that.
pub fn run(in_full: bool) -> Result<i32> {
    println!("gg {}", env!("CARGO_PKG_VERSION"));
    if !in_full {
        return Ok(0);
    }
    let row = |name: &str, text: &str| println!("{name:<10} {text}");
    row("commit", option_env!("GG_COMMIT").unwrap_or("not known"));
    let profile = if cfg!(debug_assertions) { "with debug assertions" } else { "without debug assertions" };
    row("built", &format!("for {}, {profile}", env!("GG_TARGET")));
    row("features", if cfg!(feature = "lambda") { "lambda" } else { "none" });
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    row("kernel", &format!("Linux {}", release.trim()));
    let here = std::env::current_dir().unwrap_or_default();
    let files = shown(&Config::files(&here, config::user_directory().as_deref()));
    row("config", if files.is_empty() { "no gg.toml" } else { &files });
    let settings = match Settings::from_env() {
        Ok(settings) => settings,
        Err(error) => {
            row("settings", &format!("not understood: {error:#}"));
            return Ok(0);
        }
    };
    row("tools", settings.tools.as_ref().map_or("none but its own".into(), |tools| tools.to_string_lossy()).as_ref());
    let engines: Vec<&str> = settings.engines.iter().map(|choice| choice.kind.name()).collect();
    row("engines", &if engines.is_empty() { "local".to_owned() } else { engines.join(", ") });
    row("store", &settings.directory.to_string_lossy());
    row("sandbox", &sandbox(&settings));
    row("watching", &gg_watch::supported().map_or_else(|why| format!("no: {why}"), |()| "yes".to_owned()));
    row("leading", &gg_watch::redirects().map_or_else(|why| format!("no: {why}"), |()| "yes".to_owned()));
    Ok(0)
}

fn sandbox(settings: &Settings) -> String {
    let store = match Store::open(&settings.directory) {
        Ok(store) => Arc::new(store),
        Err(error) => return format!("not known: {error}"),
    };
    let pool = workers(&store, settings, 1);
    match pool.as_ref().map(Pool::kind) {
        Err(error) => format!("none: {error}"),
        Ok((SandboxKind::Plain, why)) => {
            format!("plain: {}", why.unwrap_or_else(|| "GG_SANDBOX asks for it".to_owned()))
        }
        Ok(_) => "namespaces".to_owned(),
    }
}

fn shown(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", over ")
}

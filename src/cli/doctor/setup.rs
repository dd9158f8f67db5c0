//! gg itself, its directory, its configuration.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use gg_store::Store;

use super::findings::Findings;
use crate::config::{self, Config};
use crate::settings::{Settings, VARIABLES};

/// Less room than this is soon gone: a toolchain alone takes a tenth of it.
const LITTLE: u64 = 2 << 30;

/// Looks; the settings, or what holds without any where they are not understood. None without a place for a store.
pub fn look(findings: &mut Findings) -> Option<Settings> {
    let settings = Settings::from_env();
    let (settings, misread) = match settings {
        Ok(settings) => (Ok(settings), None),
        Err(error) => (Settings::plain(), Some(error)),
    };
    findings.group("gg");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let (version, arch) = (env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    findings.ok("version", format!("{version} on Linux {}, {arch}, {processors} processors", release.trim()));
    let settings = match settings {
        Ok(settings) => {
            directory(findings, &settings.directory);
            Some(settings)
        }
        Err(error) => {
            findings.failed("directory", format!("{error:#}"), "set GG_DIR to a directory that gg may fill");
            None
        }
    };
    findings.group("configuration");
    let here = std::env::current_dir().unwrap_or_default();
    let files = Config::files(&here, config::user_directory().as_deref());
    let shown: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    match misread {
        Some(error) => findings.failed(
            "settings",
            format!("{error:#}"),
            "correct it; builds do not start like this. What follows goes by what holds where nothing is said",
        ),
        None if shown.is_empty() => findings.ok("files", "no gg.toml, so what holds where nothing is said"),
        None => findings.ok("files", shown.join(", over ")),
    }
    variables(findings);
    settings
}

fn variables(findings: &mut Findings) {
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("GG_")).collect();
    names.sort();
    let (known, unknown): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| VARIABLES.contains(&name.as_str()));
    if !known.is_empty() {
        findings.ok("environment", format!("{} go before it", known.join(", ")));
    }
    if !unknown.is_empty() {
        let near = format!("gg reads {}", VARIABLES.join(", "));
        findings.warned("environment", format!("{} mean nothing to gg", unknown.join(", ")), near);
    }
}

fn directory(findings: &mut Findings, directory: &Path) {
    if let Err(error) = Store::open(directory) {
        findings.failed("directory", error.to_string(), "set GG_DIR to a directory that gg may fill");
        return;
    }
    if let Err(error) = works(directory) {
        let text = format!("{} cannot hold a store: {error}", directory.display());
        findings.failed("directory", text, "set GG_DIR to a directory on a file system with hard links");
        return;
    }
    let free = free(directory).unwrap_or(u64::MAX);
    let text = format!("{}, {:.1} GB free", directory.display(), free as f64 / 1e9);
    if free < LITTLE {
        findings.warned("directory", text, "make room, or `gg gc --max-size 1G`, or set GG_DIR to another disk");
    } else {
        findings.ok("directory", text);
    }
}

/// Whether the file system has what the store needs.
fn works(directory: &Path) -> io::Result<()> {
    let name = |of: &str| directory.join(format!("doctor-{}-{of}", std::process::id()));
    let (one, two, three) = (name("1"), name("2"), name("3"));
    let tried = fs::write(&one, b"gg")
        .and_then(|()| fs::hard_link(&one, &two))
        .and_then(|()| fs::rename(&two, &three))
        .and_then(|()| fs::read(&three))
        .map(drop);
    for file in [one, two, three] {
        // What was not made cannot be removed.
        let _ = fs::remove_file(file);
    }
    tried
}

/// The bytes that an ordinary user may still write.
fn free(directory: &Path) -> Option<u64> {
    let path = CString::new(directory.as_os_str().as_bytes()).ok()?;
    // SAFETY: a path that ends in zero, and a structure of its own to fill.
    unsafe {
        let mut info: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &raw mut info) == 0).then(|| info.f_bavail.saturating_mul(info.f_frsize))
    }
}

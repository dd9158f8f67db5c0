//! What the kernel grants.

use std::sync::Arc;

use gg_store::Store;
use gg_worker::{SandboxChoice, SandboxKind};

use super::findings::Findings;
use crate::engine::workers;
use crate::settings::Settings;

/// Looks; whether this machine can run steps at all.
pub fn look(findings: &mut Findings, settings: &Settings) -> bool {
    findings.group("this machine");
    let works = sandbox(findings, settings);
    match gg_watch::supported() {
        Ok(()) => findings.ok("watching", "programs of a build that gg does not know are held until a file is there"),
        Err(why) => findings.warned(
            "watching",
            why.to_string(),
            "gg works without: each tool call then waits for its result, so use make's -j to run several at once",
        ),
    }
    match gg_watch::redirects() {
        Ok(()) => findings.ok("leading", "tools that are called by their paths are led to gg"),
        Err(why) => findings.warned(
            "leading",
            why.to_string(),
            "gg leads PATH instead; for CMake, which calls compilers by their paths, use `gg toolchain-file`",
        ),
    }
    works
}

fn sandbox(findings: &mut Findings, settings: &Settings) -> bool {
    let store = match Store::open(&settings.directory) {
        Ok(store) => Arc::new(store),
        Err(_) => {
            findings.skipped("sandbox", "there is no store");
            return false;
        }
    };
    let pool = match workers(&store, settings, 1) {
        Ok(pool) => pool,
        Err(error) => {
            findings.failed("sandbox", error.to_string(), advice());
            return false;
        }
    };
    match (pool.kind(), settings.sandbox) {
        ((SandboxKind::Plain, _), SandboxChoice::Plain) => {
            findings.warned(
                "sandbox",
                "none: GG_SANDBOX is plain",
                "unset GG_SANDBOX: results are not kept without one",
            );
        }
        ((SandboxKind::Plain, why), _) => {
            let why = why.unwrap_or_else(|| "no namespaces".to_owned());
            findings.warned(
                "sandbox",
                format!("none: {why}"),
                format!("results are not kept without one; {}", advice()),
            );
        }
        _ => findings.ok("sandbox", "namespaces: a step sees its inputs and nothing else"),
    }
    true
}

/// What most often keeps an ordinary user from having namespaces, as this machine tells.
fn advice() -> String {
    let setting = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    if setting("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
        return "`sysctl kernel.unprivileged_userns_clone=1` grants them".to_owned();
    }
    if setting("/proc/sys/user/max_user_namespaces") == "0" {
        return "`sysctl user.max_user_namespaces=10000` grants them".to_owned();
    }
    if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
        return "`sysctl kernel.apparmor_restrict_unprivileged_userns=0` grants them, or a profile of AppArmor for gg"
            .to_owned();
    }
    "in a container, allow unshare(2) and mount(2): `--security-opt seccomp=unconfined`, or a profile with both"
        .to_owned()
}

//! A step's sandbox as a folder, which can be used without gg.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use gg_store::Store;

use super::sandbox::Sandboxed;
use super::{Found, words};
use crate::shell;

/// Unpacks the sandbox of a step into a folder, which must be empty or not there yet.
///
/// # Errors
/// When the folder is in use, something is not in the store, or whatever the file system says.
pub fn unpack(found: &Found, step: &Sandboxed, store: &Arc<Store>, folder: &Path) -> Result<()> {
    let at = || format!("cannot write to {}", folder.display());
    fs::create_dir_all(folder).with_context(at)?;
    if fs::read_dir(folder).with_context(at)?.next().is_some() {
        bail!("{} is not empty; name a folder that is not there yet", folder.display());
    }
    let filled = fill(found, step, store, folder);
    if filled.is_err() {
        // Half a sandbox is of no use, and would be in the way of the next try.
        let _ = fs::remove_dir_all(folder);
    }
    filled
}

fn fill(found: &Found, step: &Sandboxed, store: &Arc<Store>, folder: &Path) -> Result<()> {
    let at = || format!("cannot write to {}", folder.display());
    let root = folder.join("root");
    fs::create_dir(&root).with_context(at)?;
    gg_worker::unpack(store, &step.job(), &root).map_err(|error| step.explained(error))?;
    for name in ["dev", "proc"] {
        fs::create_dir_all(root.join(name)).with_context(at)?;
    }
    for (name, target) in [("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
        symlink(format!("/proc/self/{target}"), root.join("dev").join(name)).with_context(at)?;
    }
    let stdin = match step.stdin(store)? {
        Some(bytes) => {
            fs::write(folder.join("stdin"), bytes).with_context(at)?;
            "\"$here/stdin\""
        }
        None => "/dev/null",
    };
    let run = folder.join("run.sh");
    fs::write(&run, script(step, stdin)).with_context(at)?;
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).with_context(at)?;
    fs::write(folder.join("README"), readme(found)).with_context(at)?;
    Ok(())
}

fn script(step: &Sandboxed, stdin: &str) -> String {
    let cwd = shell::quote(step.thunk.function.cwd.as_path().as_os_str());
    let enter = format!("\"$unshare\" --root=\"$here/root\" --wd={cwd}");
    format!(
        r#"#!/bin/sh
# Runs a step as gg ran it, in ./root, without gg; README says what it needs.
PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "$0")" && pwd -P) || exit
if [ "$1" != --inside ]; then
    exec unshare --user --map-root-user --mount --net --ipc --pid --fork -- /bin/sh "$here/run.sh" --inside
fi
mount -t proc proc "$here/root/proc"
for name in null zero full random urandom; do
    : >>"$here/root/dev/$name" && mount --bind "/dev/$name" "$here/root/dev/$name"
done
unshare=$(command -v unshare) || exit
env=$(command -v env) || exit
{}"#,
        step.script("\"$env\"", &enter, stdin)
    )
}

fn readme(found: &Found) -> String {
    let step = found.step();
    format!(
        "The sandbox of one step of a build, unpacked by gg {}.\n\n\
         step     {} ({}), {}\n\
         from     {}, in {}\n\
         command  {}\n\n\
         root/    everything that the step could see: its inputs, and the tools\n\
         run.sh   runs the command there, with the step's own environment and working directory\n\n\
         What it makes comes to stand below root/, under the same path as in the build. All of it are copies, which may be\n\
         changed.\n\n\
         run.sh needs Linux, a shell, env (coreutils), and of util-linux mount and unshare, 2.36 or newer; and the right to make\n\
         user namespaces (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces; in a container, its seccomp\n\
         profile). It needs no gg, no network, and nothing else of this machine: the folder can be taken to another one with the\n\
         same kind of processor. There the program takes itself for root; its user in the build was the one who built.\n",
        env!("CARGO_PKG_VERSION"),
        found.label(),
        step.kind,
        words::ending(step),
        words::run(&found.record),
        found.record.root.display(),
        words::command(step)
    )
}

//! Which processes descend from one, and what is known about each, from `/proc` (`proc(5)`).

use std::collections::HashMap;
use std::fs;
use std::io;

/// Every living descendant of a process, parents before their children. Descendants whose parents are gone are among them
/// only if the process is a child subreaper (`PR_SET_CHILD_SUBREAPER`).
///
/// # Errors
///
/// When `/proc` cannot be read.
pub fn descendants(of: i32) -> io::Result<Vec<i32>> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The command in brackets may hold anything; its state and then its parent follow the last bracket.
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let (state, parent) = (fields.next(), fields.next().and_then(|field| field.parse().ok()));
        if let (Some(parent), true) = (parent, state != Some("Z")) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut ahead = vec![of];
    while let Some(pid) = ahead.pop() {
        let mine = children.remove(&pid).unwrap_or_default();
        found.extend(&mine);
        ahead.extend(mine);
    }
    Ok(found)
}

/// Whether a process has a handler of its own for `SIGTERM`: it wants to tidy up before it ends.
#[must_use]
pub fn catches_sigterm(pid: i32) -> bool {
    let mask = field(pid, "SigCgt:").and_then(|text| u64::from_str_radix(&text, 16).ok());
    mask.is_some_and(|mask| mask & (1 << (libc::SIGTERM - 1)) != 0)
}

/// The process that a thread belongs to.
pub(crate) fn process_of(thread: u32) -> Option<i32> {
    field(thread as i32, "Tgid:")?.parse().ok()
}

fn field(pid: i32, name: &str) -> Option<String> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    // The name of the program, in the first line, may hold anything.
    let status = String::from_utf8_lossy(&status);
    status.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_is_known_of_a_process() {
        let script = "trap 'exit 0' TERM; (sleep 50; :) & echo; wait";
        let mut shell = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = [0];
        std::io::Read::read(shell.stdout.as_mut().unwrap(), &mut line).unwrap();
        let pid = shell.id() as i32;
        assert!(catches_sigterm(pid));
        assert!(!catches_sigterm(std::process::id() as i32));
        assert_eq!(process_of(shell.id()), Some(pid));
        let below = descendants(pid).unwrap();
        assert!((1..=2).contains(&below.len()), "the inner shell, and sleep: {below:?}");
        // Other tests have children of this process, too.
        let all = descendants(std::process::id() as i32).unwrap();
        assert!(below.iter().all(|pid| all.contains(pid)), "{below:?} {all:?}");
        for pid in below.into_iter().rev() {
            // SAFETY: plain numbers, of a process that this test started.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        shell.kill().unwrap();
        shell.wait().unwrap();
    }
}

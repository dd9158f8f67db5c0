//! A small program, compiled and linked plainly and by an engine: the files must be the same, byte for byte.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use super::findings::Findings;
use super::tools::Compilers;
use crate::engine::OWN_PROGRAM;
use crate::engines::Kind;
use crate::report::{Record, Runs};
use crate::settings::Settings;

/// How long a canary may take: a toolchain may have to be uploaded.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long gg has to end in order.
const GRACE: Duration = Duration::from_secs(2);
/// Where it is built.
const WORK: &str = "work";

/// The directory for canaries, which goes when this process ends.
#[derive(Clone, Debug)]
pub struct Place(PathBuf);

impl Place {
    /// A directory that nobody else uses. It is not made yet.
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_nanos());
        Self(std::env::temp_dir().join(format!("gg-canary-{}-{now:x}", std::process::id())))
    }

    /// Removes it.
    pub fn remove(&self) {
        // It may never have been made.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What came of it.
enum Canary {
    /// The same files, after so long.
    Same(Duration),
    /// These differ.
    Differs(Vec<String>),
    /// The engine did not run all of it, for this reason.
    Elsewhere(String),
    /// It failed, with these last words.
    Failed(String),
}

/// Compares what an engine makes with what the compiler makes.
pub fn look(
    findings: &mut Findings,
    place: &Place,
    settings: &Settings,
    kind: Kind,
    compilers: &Compilers,
    ready: bool,
) {
    findings.group("canary");
    let name = kind.name();
    let Some(cc) = compilers.c.as_ref().filter(|_| ready) else {
        let why = if ready { "there is no compiler" } else { "the engine cannot work" };
        return findings.skipped(name, why);
    };
    let cxx = compilers.cxx.as_ref();
    let what = if cxx.is_some() { "C, C++ and a link" } else { "C and a link" };
    match fly(place, settings, name, cc, cxx) {
        Err(error) => {
            let text = format!("{}: {error}", place.0.display());
            findings.failed(name, text, "set TMPDIR to a directory that can be written");
        }
        Ok(Canary::Same(took)) => {
            findings.ok(name, format!("{what}: the same bytes as without gg, in {:.1} s", took.as_secs_f64()));
        }
        Ok(Canary::Differs(files)) => {
            // For whoever looks into it.
            let text = format!("{what}: these files are not what they are without gg: {}", files.join(", "));
            let kept =
                format!("do not build with this engine; both are kept in {}; please report it", place.0.display());
            return findings.failed(name, text, kept);
        }
        Ok(Canary::Elsewhere(why)) => {
            findings.warned(name, format!("{what}: not all of it ran there: {why}"), "such steps run on this machine");
        }
        Ok(Canary::Failed(text)) => {
            findings.failed(name, format!("{what}: {text}"), "if the compiler works without gg, please report it");
        }
    }
    place.remove();
}

fn fly(place: &Place, settings: &Settings, engine: &str, cc: &Path, cxx: Option<&PathBuf>) -> io::Result<Canary> {
    let (root, seed) = (&place.0, place.0.to_string_lossy());
    let (work, plain) = (root.join(WORK), root.join("plain"));
    let sources = |work: &Path| -> io::Result<()> {
        fs::create_dir_all(work)?;
        // Not known to any cache.
        let c = format!("#include <stdio.h>\nint canary(void) {{ return puts(\"{seed} {engine}\"); }}\n");
        fs::write(work.join("canary.c"), c)?;
        let main = if cxx.is_some() {
            "#include <string>\nextern \"C\" int canary(void);\nint main() { return std::string(\"x\").size() + canary() < 0; }\n"
        } else {
            "int canary(void);\nint main(void) { return canary() < 0; }\n"
        };
        fs::write(work.join(if cxx.is_some() { "main.cc" } else { "main.c" }), main)
    };
    // By name, as builds call them: gg's stand-ins are found by name.
    let called = |compiler: &Path| compiler.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (cc, link) = (called(cc), called(cxx.map_or(cc, PathBuf::as_path)));
    let source = if cxx.is_some() { "main.cc" } else { "main.c" };
    let script = format!(
        "{cc} -O2 -g -c canary.c -o canary.o && {link} -O2 -g -c {source} -o main.o && {link} canary.o main.o -o canary"
    );
    sources(&work)?;
    let mut command = Command::new("sh");
    command.args(["-c", &script]);
    let (ended, said) = end(&mut command, &work, root)?;
    if !ended {
        return Ok(Canary::Failed(format!("the compiler itself fails, without gg: {said}")));
    }
    fs::rename(&work, &plain)?;
    sources(&work)?;
    let begun = Instant::now();
    let mut command = Command::new(OWN_PROGRAM);
    command.args(["build", "-e", engine, "--no-fallback", "--", "sh", "-c", &script]);
    let (ended, said) = end(&mut command, &work, root)?;
    let took = begun.elapsed();
    let runs = Runs::of(&settings.directory, &work);
    let last = runs.numbers().ok().and_then(|numbers| numbers.last().copied());
    let record = last.and_then(|number| runs.load(number).ok());
    // Not a build of the person's own.
    let _ = runs.remove();
    if !ended {
        return Ok(Canary::Failed(said));
    }
    let differ = differ(&plain, &work)?;
    if !differ.is_empty() {
        return Ok(Canary::Differs(differ));
    }
    Ok(record.and_then(|record| elsewhere(&record, engine)).map_or(Canary::Same(took), Canary::Elsewhere))
}

/// Why some of it did not run on the engine.
fn elsewhere(report: &Record, engine: &str) -> Option<String> {
    if let Some(here) = report.here.first() {
        return Some(format!("{} ran at once: {}", here.tool, here.reason));
    }
    let other = report.steps.iter().find(|step| step.engine.as_deref() != Some(engine));
    match other {
        Some(step) => Some(format!("{} came from elsewhere ({})", step.label, step.served.name())),
        None if report.steps.is_empty() => Some("the compilers were not seen".to_owned()),
        None => None,
    }
}

/// Runs a command in a directory, so long; whether it succeeded, and the end of what it said.
fn end(command: &mut Command, work: &Path, root: &Path) -> io::Result<(bool, String)> {
    let log = root.join("log");
    let file = fs::File::create(&log)?;
    command.current_dir(work).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).env("GG_STATUS", "0");
    let mut child = command.spawn()?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            stop(&mut child)?;
            return Ok((false, format!("it was not done after {} s", PATIENCE.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let last: Vec<&str> = said.lines().rev().filter(|line| !line.trim().is_empty()).take(3).collect();
    let last = last.into_iter().rev().collect::<Vec<_>>().join("; ");
    let how = status.signal().map_or_else(|| format!("{status}"), |signal| format!("signal {signal}"));
    Ok((status.success(), if last.is_empty() { how } else { last }))
}

fn stop(child: &mut Child) -> io::Result<()> {
    crate::signals::send(child.id() as i32, libc::SIGTERM);
    let begun = Instant::now();
    while begun.elapsed() < GRACE {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait().map(drop)
}

/// The files of one directory that are not the same in another.
fn differ(one: &Path, other: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(one)? {
        let name = entry?.file_name();
        let same = fs::read(one.join(&name))? == fs::read(other.join(&name)).unwrap_or_default();
        if !same {
            found.push(name.to_string_lossy().into_owned());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_or_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("1"), dir.path().join("2"));
        for (place, text) in [(&one, "x"), (&other, "y")] {
            fs::create_dir(place).unwrap();
            fs::write(place.join("same"), "same").unwrap();
            fs::write(place.join("changed"), text).unwrap();
        }
        fs::write(one.join("gone"), "gone").unwrap();
        assert_eq!(differ(&one, &other).unwrap(), ["changed", "gone"]);
        assert!(differ(&one, &one).unwrap().is_empty());
    }
}

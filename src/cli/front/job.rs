//! One command as a thunk, as a person states it on a command line.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gg_ir::{Reduction, Tag};
use gg_recipe::{Recipe, Source, Target, Text};
use gg_store::Store;

use super::failure::Failed;

/// What is said of a command besides itself.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct JobArgs {
    /// A file or directory that the command reads; PATH=FILE: it finds FILE at PATH; may be given several times
    #[arg(short, long = "in", value_name = "PATH[=FILE]")]
    pub inputs: Vec<OsString>,
    /// A file that the command writes; may be given several times
    #[arg(short, long = "out", value_name = "PATH")]
    pub outputs: Vec<OsString>,
    /// A variable of its environment, which else has what its program needs and nothing more; without a value: as it is here
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub env: Vec<OsString>,
    /// Another program that it starts; may be given several times
    #[arg(long = "program", value_name = "NAME")]
    pub programs: Vec<OsString>,
    /// A Python package that it imports by a name which is not in its text; may be given several times
    #[arg(long = "package", value_name = "NAME")]
    pub packages: Vec<String>,
    /// A file or directory that belongs to the program (a plugin, say), with the libraries that it needs; may be given several times
    #[arg(long, value_name = "PATH")]
    pub also: Vec<OsString>,
    /// What it reads as its standard input
    #[arg(long, value_name = "FILE")]
    pub stdin: Option<OsString>,
    /// How long it may run
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub timeout: Option<u32>,
    /// Run it even if the result is known, and do not keep the result: it depends on more than the inputs
    #[arg(long)]
    pub volatile: bool,
    /// Let it write files that are no outputs; they are thrown away
    #[arg(long)]
    pub loose: bool,
    /// The outputs may be graphs (docs/ir.md), which are forced in their place
    #[arg(long)]
    pub dynamic: bool,
    /// What was read of standard inputs that are no files: they can be read once, for all items of `gg parallel`.
    #[arg(skip)]
    pub streams: Arc<Mutex<BTreeMap<PathBuf, String>>>,
}

impl JobArgs {
    /// A standard input. What is no file (a pipe, as of `<(command)`) is read to its end, now.
    fn stdin(&self, path: &Path) -> Result<Source> {
        let file = || Source { file: Some(path.as_os_str().to_owned().into()), ..Source::default() };
        // What is not there is told of where it is taken in.
        let Ok(meta) = fs::metadata(path) else { return Ok(file()) };
        if meta.is_file() || meta.is_dir() {
            return Ok(file());
        }
        // Changed by single calls: whole even if a thread panicked.
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let text = match streams.get(path) {
            Some(text) => text.clone(),
            None => {
                let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                streams.entry(path.to_owned()).or_insert(STANDARD.encode(content)).clone()
            }
        };
        Ok(Source { base64: Some(text), ..Source::default() })
    }
}

/// This process's own, which nothing here changes.
static UMASK: OnceLock<Option<u32>> = OnceLock::new();

/// A command as a recipe, and what becomes of its outputs.
#[derive(Clone, Debug)]
pub struct Job {
    /// The recipe.
    pub recipe: Recipe,
    /// Where each output goes.
    pub outputs: BTreeMap<String, PathBuf>,
    /// Programs that it may start, by the words of its script.
    pub guessed: Vec<OsString>,
    /// What it has as inputs.
    inputs: Vec<PathBuf>,
    /// Its arguments, some of which may be files.
    command: Vec<OsString>,
}

impl Job {
    /// States a command that is called in `cwd`.
    ///
    /// # Errors
    /// When what is said cannot be: two outputs that are one, a path that is no UTF-8, a variable without a name.
    pub fn new(command: &[OsString], args: &JobArgs, cwd: &Path) -> Result<Self> {
        let [program, rest @ ..] = command else { bail!("there is no command") };
        let mut inputs = BTreeMap::new();
        let mut known = Vec::new();
        for said in &args.inputs {
            let (path, file) = match split(said, b'=') {
                Some((path, file)) if !cwd.join(said).exists() => (path, file),
                _ => (said.as_os_str(), said.as_os_str()),
            };
            let path = absolute(cwd, path);
            let source = Source { file: Some(cwd.join(file).into_os_string().into()), ..Source::default() };
            inputs.insert(text(&path)?, Some(source));
            known.push(path);
        }
        if let Some(file) = &args.stdin {
            inputs.insert(gg_ir::Thunk::STDIN.to_owned(), Some(args.stdin(&cwd.join(file))?));
        }
        let mut outputs = BTreeMap::new();
        let mut targets = BTreeMap::new();
        for (number, said) in args.outputs.iter().enumerate() {
            let path = absolute(cwd, said);
            if outputs.values().any(|other| *other == path) {
                bail!("{} is an output twice", path.display());
            }
            let tag = if number == 0 { "out".to_owned() } else { format!("out{}", number + 1) };
            let described = gg_recipe::Described {
                path: path.clone().into_os_string().into(),
                optional: false,
                dynamic: args.dynamic,
            };
            targets.insert(tag.clone(), Target::Described(described));
            outputs.insert(tag, path);
        }
        let mut env = BTreeMap::new();
        for said in &args.env {
            let (name, value) = match split(said, b'=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (said.as_os_str(), std::env::var_os(said)),
            };
            let name = name.to_str().filter(|name| !name.is_empty());
            let name = name.with_context(|| format!("{said:?} does not begin with the name of a variable"))?;
            if let Some(value) = value {
                env.insert(name.to_owned(), value.into());
            }
        }
        let path = env.get("PATH").map(Text::to_os).or_else(|| std::env::var_os("PATH"));
        let guessed = started(command, path.as_deref());
        let texts = |list: &[OsString]| list.iter().map(|text| Text::from(text.clone())).collect::<Vec<_>>();
        let recipe = Recipe {
            program: Some(program.clone().into()),
            args: Some(texts(rest)),
            env: Some(env),
            cwd: Some(cwd.as_os_str().to_owned().into()),
            umask: *UMASK.get_or_init(umask),
            inputs,
            outputs: Some(targets),
            timeout: args.timeout,
            volatile: Some(args.volatile),
            strict: Some(!args.loose),
            programs: texts(&args.programs),
            packages: args.packages.clone(),
            also: texts(&args.also),
            ..Recipe::default()
        };
        Ok(Self { recipe, outputs, guessed, inputs: known, command: command.to_vec() })
    }

    /// Puts the outputs where they belong.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn place(&self, store: &Store, reduction: &Reduction) -> Result<()> {
        for (tag, path) in &self.outputs {
            let Some(made) = Tag::new(tag.as_str()).ok().and_then(|tag| reduction.outputs.get(&tag)) else { continue };
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
            }
            // It names the file and why.
            store.copy_out(made.object.name(), path, made.mode, None).map_err(|error| anyhow!("{error}"))?;
        }
        Ok(())
    }

    /// What may have been forgotten, where a command failed: files that it names and that are no inputs.
    pub fn hint(&self, failed: &Failed, cwd: &Path) -> Option<String> {
        failed.status.or(failed.signal)?;
        if let Some(program) = not_found(&failed.stderr) {
            return Some(format!(
                "{program} is no program of the sandbox: if the command starts it, say --program {program}"
            ));
        }
        let is_input = |path: &Path| self.inputs.iter().any(|input| path.starts_with(input));
        let is_output = |path: &Path| self.outputs.values().any(|output| output == path);
        let forgotten = self.command.iter().skip(1).filter(|arg| !arg.as_bytes().starts_with(b"-")).find(|arg| {
            let path = absolute(cwd, arg);
            !is_input(&path) && !is_output(&path) && cwd.join(arg).is_file()
        })?;
        let word = forgotten.to_string_lossy();
        Some(format!("{word} is here, but no input of the command: if it reads that, say --in {word}"))
    }
}

/// Shells, by their names, whose option `-c` is followed by a script (POSIX, sh).
const SHELLS: &[&str] = &["sh", "bash", "dash", "ksh", "zsh"];

/// What ends a word of a script.
const ENDS: &[u8] = b" \t\n|;&()<>$`{}\"'=";

/// The programs that a script on the command line may start: each word that PATH leads to one by. A word too many does no harm, nor
/// does one that cannot be captured.
fn started(command: &[OsString], path: Option<&OsStr>) -> Vec<OsString> {
    let [shell, options, script, ..] = command else { return Vec::new() };
    let name = Path::new(shell).file_name().unwrap_or_default();
    let is_script = options.as_bytes().starts_with(b"-") && options.as_bytes().ends_with(b"c");
    if !SHELLS.iter().any(|shell| name == *shell) || !is_script {
        return Vec::new();
    }
    let words = script.as_bytes().split(|byte| ENDS.contains(byte)).filter(|word| !word.is_empty());
    let mut found: Vec<OsString> = words
        .map(OsStr::from_bytes)
        .filter(|word| !word.as_bytes().contains(&b'/') && !word.as_bytes().starts_with(b"-"))
        .filter(|word| path.is_some_and(|path| std::env::split_paths(path).any(|at| is_program(&at.join(word)))))
        .map(OsStr::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0)
}

/// The program that a shell did not find, as dash, bash and env say it.
fn not_found(stderr: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().find(|line| line.ends_with(": not found") || line.ends_with(": command not found"))?;
    let line = line.strip_suffix(": command not found").or(line.strip_suffix(": not found"))?;
    let word = line.rsplit(": ").next()?;
    (!word.is_empty() && !word.contains(['/', ' '])).then(|| word.to_owned())
}

fn split(text: &OsStr, at: u8) -> Option<(&OsStr, &OsStr)> {
    let bytes = text.as_bytes();
    let place = bytes.iter().position(|&byte| byte == at)?;
    Some((OsStr::from_bytes(&bytes[..place]), OsStr::from_bytes(&bytes[place + 1..])))
}

/// A path in the only spelling that a thunk takes. Links are not followed, but for those that `..` comes after, which the kernel
/// follows before it climbs.
fn absolute(cwd: &Path, path: impl AsRef<Path>) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in cwd.join(path).components() {
        match part {
            Component::Normal(part) => out.push(part),
            Component::ParentDir => {
                if let Ok(real) = fs::canonicalize(&out) {
                    out = real;
                }
                out.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}

/// The file mode creation mask of this process, if the system tells it (proc_pid_status(5)); umask(2) would set another.
fn umask() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let text = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(text.trim(), 8).ok()
}

fn text(path: &Path) -> Result<String> {
    path.to_str()
        .map(str::to_owned)
        .with_context(|| format!("{} is no UTF-8, as an input's path has to be", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(command: &[&str], args: &JobArgs) -> Result<Job> {
        Job::new(&command.iter().map(OsString::from).collect::<Vec<_>>(), args, Path::new("/w"))
    }

    #[test]
    fn paths_have_one_spelling() {
        let cwd = Path::new("/a/b");
        for (said, meant) in [("c", "/a/b/c"), ("./c/", "/a/b/c"), ("../c", "/a/c"), ("/x/../y//z", "/x/../y//z")] {
            let meant = if said.starts_with('/') { "/y/z" } else { meant };
            assert_eq!(absolute(cwd, said), Path::new(meant), "{said}");
        }
    }

    #[test]
    fn what_is_said_of_a_command() {
        let args = JobArgs {
            inputs: vec!["a".into(), "/x/b=c".into()],
            outputs: vec!["o".into(), "/x/p".into()],
            env: vec!["A=1=2".into()],
            stdin: Some("s".into()),
            ..JobArgs::default()
        };
        let job = job(&["tool", "-v"], &args).unwrap();
        let files: Vec<_> = job
            .recipe
            .inputs
            .iter()
            .map(|(at, source)| (at.as_str(), String::from_utf8(source.clone().unwrap().file.unwrap().0).unwrap()))
            .collect();
        let files: Vec<_> = files.iter().map(|(at, file)| (*at, file.as_str())).collect();
        assert_eq!(files, [("/dev/stdin", "/w/s"), ("/w/a", "/w/a"), ("/x/b", "/w/c")]);
        assert_eq!(job.outputs["out"], Path::new("/w/o"));
        assert_eq!(job.outputs["out2"], Path::new("/x/p"));
        assert_eq!(job.recipe.env.unwrap()["A"], Text::from("1=2"));
    }

    #[test]
    fn programs_of_a_script() {
        let of = |command: &[&str]| {
            let command: Vec<_> = command.iter().map(OsString::from).collect();
            started(&command, Some("/usr/bin:/bin".as_ref()))
        };
        assert_eq!(of(&["sh", "-ec", "cat a|tr a-z A-Z >b; x=$(wc -l <b)"]), ["cat", "tr", "wc"]);
        assert_eq!(of(&["/bin/bash", "-c", "no-such-program && /bin/cat"]), [""; 0]);
        assert_eq!(of(&["sh", "cat"]), [""; 0]);
        assert_eq!(of(&["python3", "-c", "cat"]), [""; 0]);
    }

    #[test]
    fn what_a_shell_did_not_find() {
        assert_eq!(not_found(b"sh: 1: tr: not found\n").as_deref(), Some("tr"));
        assert_eq!(not_found(b"bash: line 1: tr: command not found\n").as_deref(), Some("tr"));
        assert_eq!(not_found(b"ld: symbol not found\n"), None);
    }

    #[test]
    fn what_cannot_be() {
        assert!(job(&[], &JobArgs::default()).is_err());
        let twice = JobArgs { outputs: vec!["o".into(), "./o".into()], ..JobArgs::default() };
        assert!(job(&["a"], &twice).unwrap_err().to_string().contains("/w/o is an output twice"));
        let nameless = JobArgs { env: vec!["=1".into()], ..JobArgs::default() };
        assert!(job(&["a"], &nameless).is_err());
    }
}

//! The machine as the models see it: the real file system, where placeholders have their content.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gg_ir::{Name, Placeholder};
use gg_models::scan::hash::QuickMap;
use gg_models::{Answer, Environment, FileKind, World};
use gg_store::{SETTLE, Stamp};

use super::answers::{Answers, Question};

/// The standard library starts a program in another directory without copying this process (which takes longer the
/// more memory it has) if it finds this function. In a static program it does so only where something refers to it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[used]
static CHANGES_DIRECTORY: unsafe extern "C" fn(
    *mut libc::posix_spawn_file_actions_t,
    *const libc::c_char,
) -> libc::c_int = libc::posix_spawn_file_actions_addchdir_np;

/// Computes what a placeholder stands for.
pub trait Force: Send + Sync {
    /// Computes it and puts it in place.
    ///
    /// # Errors
    /// `EIO` when the step that makes it failed.
    fn force(&self, path: &Path, placeholder: &Placeholder) -> io::Result<()>;

    /// An outline that came with a placeholder, if it still is to be had.
    fn outline(&self, name: &Name) -> Option<Arc<[u8]>>;
}

/// Files larger than this are not kept in memory: sources are small, libraries are read once.
const MAX_KEPT: u64 = 1 << 20;

/// The real file system and real programs.
pub struct Machine<F> {
    force: F,
    /// How many files were computed for whoever looked at them.
    forced: AtomicU64,
    answers: Option<Answers>,
    /// By the path as a string, whose hash is the cheaper.
    contents: Mutex<QuickMap<OsString, Kept>>,
    /// By their names.
    outlines: Mutex<HashMap<Name, Arc<[u8]>>>,
}

/// A file's content in memory.
struct Kept {
    stamp: Stamp,
    /// The stamp was taken clearly later than the file's last change, so it vouches for the content.
    settled: bool,
    content: Arc<[u8]>,
}

/// Whether a stamp that was taken just now shows every later change.
pub fn is_settled(stamp: &Stamp) -> bool {
    was_settled(stamp, SystemTime::now())
}

/// Whether a stamp shows every change since a moment.
pub fn was_settled(stamp: &Stamp, moment: SystemTime) -> bool {
    let moment = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let changed = Duration::from_nanos(u64::try_from(stamp.mtime_ns.max(stamp.ctime_ns)).unwrap_or(0));
    moment.saturating_sub(changed) > SETTLE
}

impl<F: Force> Machine<F> {
    /// A machine on which `force` computes placeholders, and whose programs answered before in what is kept.
    pub fn new(force: F, answers: Option<Answers>) -> Self {
        Self { force, forced: AtomicU64::new(0), answers, contents: Mutex::default(), outlines: Mutex::default() }
    }

    /// Writes down what programs have answered.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn save(&self) -> io::Result<()> {
        self.answers.as_ref().map_or(Ok(()), Answers::save)
    }

    /// Who computes placeholders.
    pub fn forcer(&self) -> &F {
        &self.force
    }

    /// How many files have been computed for whoever looked at them.
    pub fn forced(&self) -> u64 {
        self.forced.load(Ordering::Acquire)
    }

    /// The content of a file that has this stamp now, if it is in memory.
    pub fn kept(&self, path: &Path, stamp: &Stamp) -> Option<Arc<[u8]>> {
        let contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = contents.get(path.as_os_str()).filter(|kept| kept.settled && kept.stamp == *stamp)?;
        Some(Arc::clone(&kept.content))
    }

    /// Opens a file that has its content.
    fn open(&self, path: &Path) -> io::Result<fs::File> {
        let file = fs::File::open(path)?;
        let info = file.metadata()?;
        if !info.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if info.len() <= Placeholder::MAX_LENGTH as u64 {
            let mut content = Vec::new();
            (&file).read_to_end(&mut content)?;
            if let Some(placeholder) = Placeholder::parse(&content) {
                self.forced.fetch_add(1, Ordering::AcqRel);
                let done = self.force.force(path, &placeholder);
                self.forced.fetch_add(1, Ordering::AcqRel);
                done?;
            }
            return fs::File::open(path);
        }
        Ok(file)
    }
}

impl<F: Force> World for Machine<F> {
    fn kind(&self, path: &Path) -> Option<FileKind> {
        let info = fs::metadata(path).ok()?;
        Some(if info.is_file() {
            FileKind::File
        } else if info.is_dir() {
            FileKind::Directory
        } else {
            FileKind::Other
        })
    }

    fn read(&self, path: &Path) -> io::Result<Arc<[u8]>> {
        if let Some(content) = Stamp::of(path).ok().and_then(|stamp| self.kept(path, &stamp)) {
            return Ok(content);
        }
        let mut file = self.open(path)?;
        let stamp = Stamp::of_file(&file)?;
        let settled = is_settled(&stamp);
        let mut content = Vec::with_capacity(stamp.size as usize);
        file.read_to_end(&mut content)?;
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        // The same allocation tells the scanner that nothing has changed.
        if let Some(kept) = contents.get_mut(path.as_os_str()).filter(|kept| *kept.content == *content) {
            (kept.stamp, kept.settled) = (stamp, settled);
            return Ok(Arc::clone(&kept.content));
        }
        let content: Arc<[u8]> = content.into();
        if stamp.size <= MAX_KEPT {
            contents.insert(path.into(), Kept { stamp, settled, content: Arc::clone(&content) });
        }
        Ok(content)
    }

    fn head(&self, path: &Path, length: usize) -> io::Result<Option<Vec<u8>>> {
        let mut content = Vec::new();
        fs::File::open(path)?.take(length.max(Placeholder::MAX_LENGTH + 1) as u64).read_to_end(&mut content)?;
        match Placeholder::parse(&content) {
            Some(placeholder) if placeholder.tag.as_str() == "thin" => Ok(Some(b"!<thin>\n".to_vec())),
            Some(_) => Ok(None),
            None => {
                content.truncate(length);
                Ok(Some(content))
            }
        }
    }

    fn outline(&self, path: &Path) -> Option<Arc<[u8]>> {
        let mut content = Vec::new();
        fs::File::open(path).ok()?.take(Placeholder::MAX_LENGTH as u64 + 1).read_to_end(&mut content).ok()?;
        let name = Placeholder::parse(&content)?.outline?;
        let known = || self.outlines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outline) = known().get(&name) {
            return Some(Arc::clone(outline));
        }
        let outline = self.force.outline(&name)?;
        known().insert(name, Arc::clone(&outline));
        Some(outline)
    }

    fn executable(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|info| info.permissions().mode() & 0o111 != 0)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let mut names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    fn ask(&self, argv: &[OsString], cwd: &Path, env: &Environment) -> io::Result<Answer> {
        let (program, args) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let output = Command::new(program)
            .args(args)
            .current_dir(cwd)
            .env_clear()
            .envs(env)
            .stdin(Stdio::null())
            // Ctrl-C ends the build in order; a query that dies of it would be taken for an answer.
            .process_group(0)
            .output()?;
        Ok(Answer { success: output.status.success(), stdout: output.stdout, stderr: output.stderr })
    }

    fn ask_once(
        &self,
        argv: &[OsString],
        cwd: &Path,
        env: &Environment,
        rests_on: &dyn Fn(&Answer) -> Option<Vec<PathBuf>>,
    ) -> io::Result<Answer> {
        let Some(answers) = &self.answers else { return self.ask(argv, cwd, env) };
        let question = Question { argv, cwd, env };
        if let Some(answer) = answers.recall(&question) {
            return Ok(answer);
        }
        let begun = SystemTime::now();
        let answer = self.ask(argv, cwd, env)?;
        if answer.success
            && let Some(rests_on) = rests_on(&answer)
        {
            answers.keep(&question, begun, &answer, rests_on);
        }
        Ok(answer)
    }
}

//! What programs answered, kept from build to build: where a compiler has its parts, which libraries the loader finds, how
//! a driver calls the linker.
//!
//! An answer is believed as long as all that it rests on has the stamps that it had: the program, and the files and
//! directories that the model names. The file `answers` in the store's directory holds one record after the other, each
//! with its length and checksum; a build appends what it has learnt.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use gg_ir::Name;
use gg_models::{Answer, Environment};
use gg_store::Stamp;

use super::machine::was_settled;
use super::moment::Seen;

/// A file that would become longer than this begins anew: some ten thousand answers.
const LONGEST: usize = 16 << 20;

/// Answers longer than this are not kept.
const LONGEST_ANSWER: usize = 64 << 10;

/// The version of a record, which is part of every question.
const VERSION: &[u8] = b"gg answer 1";

/// A file or directory, and how it was; `None`: it was not there.
type Ground = (PathBuf, Option<Stamp>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    question: [u8; 32],
    grounds: Vec<Ground>,
    answer: Answer,
}

/// The answers known to a session.
#[derive(Debug)]
pub struct Answers {
    file: PathBuf,
    known: OnceLock<Mutex<HashMap<[u8; 32], Record>>>,
    /// The end of the file could not be read: what is appended would not be either.
    damaged: AtomicBool,
    news: Mutex<Vec<u8>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Maps changed by single calls: whole even if a thread panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now(path: &Path) -> Option<Stamp> {
    Seen::at(path).ok().and_then(Seen::followed)
}

impl Answers {
    /// Those kept in a store's directory.
    pub fn new(directory: &Path) -> Self {
        Self {
            file: directory.join("answers"),
            known: OnceLock::new(),
            damaged: AtomicBool::new(false),
            news: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<[u8; 32], Record>> {
        locked(self.known.get_or_init(|| {
            let bytes = fs::read(&self.file).unwrap_or_default();
            let mut r = Reader(&bytes);
            let known = std::iter::from_fn(|| Record::next(&mut r)).map(|record| (record.question, record)).collect();
            self.damaged.store(!r.0.is_empty(), Ordering::Relaxed);
            Mutex::new(known)
        }))
    }

    /// What the program would answer, if it was asked before and nothing has changed since.
    pub fn recall(&self, question: &Question<'_>) -> Option<Answer> {
        let record = self.known().get(&question.digest()).cloned()?;
        record.grounds.iter().all(|(path, stamp)| now(path) == *stamp).then_some(record.answer)
    }

    /// Keeps the answer to a question that was asked at `begun` and rests on these paths.
    pub fn keep(&self, question: &Question<'_>, begun: SystemTime, answer: &Answer, rests_on: Vec<PathBuf>) {
        let Some(program) = question.argv.first().map(PathBuf::from).filter(|program| program.is_absolute()) else {
            return;
        };
        if now(&program).is_none() || answer.stdout.len() + answer.stderr.len() > LONGEST_ANSWER {
            return;
        }
        // What had only just changed may have changed again since the program looked at it, without its showing.
        let paths = [program].into_iter().chain(rests_on);
        let grounds: Option<Vec<Ground>> = paths.map(|path| ground(path, begun)).collect();
        let Some(grounds) = grounds else { return };
        let record = Record { question: question.digest(), grounds, answer: answer.clone() };
        let body = record.encode();
        let mut known = self.known();
        let mut news = locked(&self.news);
        if news.len() + body.len() < LONGEST {
            number(&mut news, body.len() as u64);
            news.extend_from_slice(Name::of_value(&body).digest());
            news.extend_from_slice(&body);
            known.insert(record.question, record);
        }
    }

    /// Writes down what was learnt. Without it the next build only asks more.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn save(&self) -> io::Result<()> {
        let news = std::mem::take(&mut *locked(&self.news));
        if news.is_empty() {
            return Ok(());
        }
        let length = fs::metadata(&self.file).map_or(0, |info| info.len());
        if length + news.len() as u64 > LONGEST as u64 || self.damaged.load(Ordering::Relaxed) {
            fs::remove_file(&self.file)?;
        }
        // In one call, so that two builds that end together do not mix.
        OpenOptions::new().create(true).append(true).mode(0o600).open(&self.file)?.write_all(&news)
    }
}

/// How a path is now; `None` if that may not be how it was at `begun`.
fn ground(path: PathBuf, begun: SystemTime) -> Option<Ground> {
    let stamp = now(&path);
    // What is not there came or went with a change of the nearest directory that is there.
    let witness = path.ancestors().find_map(now)?;
    was_settled(&witness, begun).then_some((path, stamp))
}

/// What a program is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The program and its arguments.
    pub argv: &'a [OsString],
    /// The directory.
    pub cwd: &'a Path,
    /// The whole environment.
    pub env: &'a Environment,
}

impl Question<'_> {
    fn digest(&self) -> [u8; 32] {
        let mut out = VERSION.to_vec();
        number(&mut out, self.argv.len() as u64);
        self.argv.iter().for_each(|arg| text(&mut out, arg.as_bytes()));
        text(&mut out, self.cwd.as_os_str().as_bytes());
        for (name, value) in self.env {
            text(&mut out, name.as_bytes());
            text(&mut out, value.as_bytes());
        }
        *Name::of_value(&out).digest()
    }
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

impl Record {
    fn encode(&self) -> Vec<u8> {
        let mut out = self.question.to_vec();
        number(&mut out, self.grounds.len() as u64);
        for (path, stamp) in &self.grounds {
            text(&mut out, path.as_os_str().as_bytes());
            out.push(stamp.is_some().into());
            if let Some(stamp) = stamp {
                let Stamp { device, inode, size, mode, mtime_ns, ctime_ns } = *stamp;
                [device, inode, size, mode.into(), mtime_ns as u64, ctime_ns as u64]
                    .into_iter()
                    .for_each(|field| number(&mut out, field));
            }
        }
        out.push(self.answer.success.into());
        text(&mut out, &self.answer.stdout);
        text(&mut out, &self.answer.stderr);
        out
    }

    /// The next record of a file; `None` at its end, and where a build that was killed has left half of one.
    fn next(r: &mut Reader<'_>) -> Option<Self> {
        let mut ahead = Reader(r.0);
        let length = usize::try_from(ahead.number()?).ok()?;
        let (sum, body) = (ahead.take(32)?, ahead.take(length)?);
        let record = (Name::of_value(body).digest() == sum).then(|| Self::decode(body))?;
        *r = ahead;
        record
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut r = Reader(bytes);
        let question = r.take(32)?.try_into().ok()?;
        let mut grounds = Vec::new();
        for _ in 0..r.number()? {
            let path = PathBuf::from(OsString::from_vec(r.text()?.to_vec()));
            let stamp = match r.flag()? {
                false => None,
                true => Some(Stamp {
                    device: r.number()?,
                    inode: r.number()?,
                    size: r.number()?,
                    mode: r.number()?.try_into().ok()?,
                    mtime_ns: r.number()? as i64,
                    ctime_ns: r.number()? as i64,
                }),
            };
            grounds.push((path, stamp));
        }
        let answer = Answer { success: r.flag()?, stdout: r.text()?.to_vec(), stderr: r.text()?.to_vec() };
        Some(Self { question, grounds, answer })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(length)?;
        self.0 = left;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == [1])
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn records(bytes: &[u8]) -> impl Iterator<Item = Record> {
        let mut r = Reader(bytes);
        std::iter::from_fn(move || Record::next(&mut r))
    }

    fn fixture(folder: &Path) -> (Vec<OsString>, Environment, Answer) {
        fs::write(folder.join("tool"), "").unwrap();
        fs::write(folder.join("part"), "").unwrap();
        std::thread::sleep(Duration::from_millis(150));
        let answer = Answer { success: true, stdout: b"out\n".to_vec(), stderr: b"\xff".to_vec() };
        (vec![folder.join("tool").into(), "-v".into()], Environment::from([("A".into(), "b".into())]), answer)
    }

    #[test]
    fn an_answer_lasts_until_what_it_rests_on_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (argv, env, answer) = fixture(folder.path());
        let question = Question { argv: &argv, cwd: Path::new("/"), env: &env };
        let (part, later) = (folder.path().join("part"), folder.path().join("later"));
        let learnt = Answers::new(folder.path());
        assert_eq!(learnt.recall(&question), None);
        let now = SystemTime::now();
        learnt.keep(&question, now - Duration::from_secs(60), &answer, Vec::new());
        assert_eq!(learnt.recall(&question), None, "it may have changed while it was asked");
        learnt.keep(&question, now, &answer, vec![part.clone(), later.clone()]);
        assert_eq!(learnt.recall(&question), Some(answer.clone()));
        learnt.save().unwrap();

        let recalled = || Answers::new(folder.path()).recall(&question);
        assert_eq!(recalled(), Some(answer.clone()));
        let other = Environment::new();
        assert_eq!(Answers::new(folder.path()).recall(&Question { env: &other, ..question }), None);
        fs::write(&later, "").unwrap();
        assert_eq!(recalled(), None, "something came to be that was not there");
        fs::remove_file(&later).unwrap();
        assert_eq!(recalled(), Some(answer));
        fs::write(&part, "x").unwrap();
        assert_eq!(recalled(), None);
    }

    #[test]
    fn the_end_of_a_file_may_be_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let (argv, env, answer) = fixture(folder.path());
        let question = Question { argv: &argv, cwd: Path::new("/"), env: &env };
        let second = Question { cwd: Path::new("/tmp"), ..question };
        for question in [question, second] {
            let learnt = Answers::new(folder.path());
            learnt.keep(&question, SystemTime::now(), &answer, Vec::new());
            learnt.save().unwrap();
        }
        let file = folder.path().join("answers");
        let whole = fs::read(&file).unwrap();
        for end in whole.len() / 2..whole.len() {
            fs::write(&file, &whole[..end]).unwrap();
            let read = Answers::new(folder.path());
            assert_eq!((read.recall(&question), read.recall(&second)), (Some(answer.clone()), None), "{end}");
        }
        // What is learnt then is read again.
        let learnt = Answers::new(folder.path());
        assert_eq!(learnt.recall(&second), None);
        learnt.keep(&second, SystemTime::now(), &answer, Vec::new());
        learnt.save().unwrap();
        assert_eq!(Answers::new(folder.path()).recall(&second), Some(answer));
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            for record in records(&bytes) {
                assert!(records(&whole).any(|other| other == record), "{at}");
            }
        }
    }
}

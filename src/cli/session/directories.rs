//! What is known of directories from call to call.
//!
//! A compile looks for hundreds of headers in tens of directories, mostly where they are not. The names in a directory are
//! therefore kept, together with the directory's own stamp: its time of change is set whenever a name comes or goes, so
//! one look at the directory stands for all names that it lacks.
//!
//! What its files are is kept as well, for as long as the kernel tells of no change ([`Notices`]). That is only so where
//! the kernel would tell: on a file system of this machine, of a file with one name only, which is not another one
//! mounted there.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gg_models::Names;
use gg_models::scan::hash::{QuickMap, QuickSet};
use gg_store::Stamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

use super::machine::is_settled;
use super::moment::Seen;
use super::notices::{Notice, Notices};

/// Names are kept for directories in which this many were looked for in vain: a list costs more than a few looks.
const WORTH_LISTING: u32 = 4;

/// Directories with more entries than this are not kept.
const MOST_NAMES: usize = 100_000;

/// A directory, whatever its path: device and inode.
type Id = (u64, u64);

/// The names in a directory, as of its stamp.
#[derive(Clone, Debug)]
struct Listed {
    stamp: Stamp,
    names: Arc<Names>,
}

/// As many directories are watched at most: the system has a number of watches for all programs of a person.
const MOST_WATCHES: usize = 8192;

/// What the names in a watched directory are.
#[derive(Debug)]
pub(super) struct Files {
    directory: Id,
    kept: Mutex<Kept>,
    /// How many changes the kernel has told of.
    changes: AtomicU64,
    /// Which of all versions of all directories this is of what is kept, where more of that makes no new one.
    version: AtomicU64,
}

/// A number that no other version has.
fn next_version() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A notice may spell a name in another way where upper and lower case are the same: it tells of all spellings. Names with
/// letters beyond ASCII, which may be the same in still other ways, are not kept.
#[derive(Debug, Default)]
struct Kept {
    files: QuickMap<OsString, Entry>,
    /// The names in `files` that are not in lower case, by what they are in lower case.
    spelled: QuickMap<Vec<u8>, OsString>,
    /// Names that are not there, all of them in lower case.
    absent: QuickSet<Vec<u8>>,
}

/// What a name that is there is.
#[derive(Clone, Debug)]
enum Entry {
    File(Stamp),
    /// A directory, which is as it was for as long as the kernel has told of no more changes in it.
    Folder {
        stamp: Stamp,
        files: Arc<Files>,
        changes: u64,
    },
}

impl Entry {
    fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::File(stamp) => Some(*stamp),
            Self::Folder { stamp, files, changes } => (files.changes() == *changes).then_some(*stamp),
        }
    }
}

fn is_lower(name: &OsStr) -> bool {
    !name.as_bytes().iter().any(u8::is_ascii_uppercase)
}

impl Files {
    fn new(directory: Id) -> Self {
        let (kept, changes) = (Mutex::default(), AtomicU64::new(0));
        Self { directory, kept, changes, version: AtomicU64::new(next_version()) }
    }

    /// A number that never comes again once something that was kept may be different.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// What a name is, if nothing has happened to it since it was looked at.
    pub fn get(&self, name: &OsStr) -> Option<Seen> {
        let kept = locked(&self.kept);
        if let Some(entry) = kept.files.get(name) {
            return entry.stamp().map(Seen::Plain);
        }
        // Few names are not in lower case, and those are looked for each time.
        kept.absent.contains(name.as_bytes()).then_some(Seen::Nothing)
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The directory that a name was, whether it still is or not.
    fn folder(&self, name: &OsStr) -> Option<Arc<Files>> {
        match locked(&self.kept).files.get(name)? {
            Entry::File(_) => None,
            Entry::Folder { files, .. } => Some(Arc::clone(files)),
        }
    }

    fn forget(&self, name: Option<&OsStr>) {
        let mut kept = locked(&self.kept);
        self.changes.fetch_add(1, Ordering::AcqRel);
        // Letters beyond ASCII may stand for ones within, as the sign for Kelvin does for a k.
        let Some(name) = name.filter(|name| name.is_ascii()) else {
            *kept = Kept::default();
            self.version.store(next_version(), Ordering::Release);
            return;
        };
        let lower = name.as_bytes().to_ascii_lowercase();
        let absent = kept.absent.remove(&lower);
        let plain = kept.files.remove(OsStr::from_bytes(&lower));
        let spelled = kept.spelled.remove(&lower).and_then(|spelled| kept.files.remove(&spelled));
        // What comes and goes beside what is kept, such as objects, is no matter.
        if absent || plain.is_some() || spelled.is_some() {
            self.version.store(next_version(), Ordering::Release);
        }
    }

    /// Keeps what a name is, or that it is nothing, if the kernel has told of no change since there were that many.
    fn keep(&self, name: &OsStr, entry: Option<Entry>, changes: u64) {
        let mut kept = locked(&self.kept);
        if self.changes() != changes {
            return;
        }
        let Some(entry) = entry else {
            kept.absent.insert(name.as_bytes().into());
            return;
        };
        if !is_lower(name) {
            let spelled = kept.spelled.entry(name.as_bytes().to_ascii_lowercase()).or_insert_with(|| name.into());
            if spelled != name {
                return;
            }
        }
        kept.files.insert(name.into(), entry);
    }
}

/// What is known of a directory from call to call.
#[derive(Debug, Default)]
struct Known {
    /// How often something was not in it.
    misses: u32,
    listed: Option<Listed>,
    /// Its names are no proof of what is not there.
    unfit: bool,
    watched: Watched,
}

#[derive(Clone, Debug, Default)]
enum Watched {
    /// It has not been tried.
    #[default]
    Not,
    /// It cannot be.
    Never,
    Yes(Arc<Files>),
}

/// The directories of a session, by device and inode.
#[derive(Debug, Default)]
pub struct Directories {
    known: Mutex<HashMap<Id, Known>>,
    /// Whoever makes a hard link tells.
    keeps: AtomicBool,
    watches: Mutex<Watches>,
    /// Files that have had more than one name.
    linked: Mutex<QuickSet<Id>>,
}

#[derive(Debug, Default)]
struct Watches {
    notices: Option<Notices>,
    /// What is mounted where, as the kernel lists it: it tells of changes.
    mounts: Option<fs::File>,
    directories: HashMap<i32, Arc<Files>>,
    /// The system has no more of them.
    exhausted: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Caches, changed by single calls: whole even if a thread panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn id(stamp: &Stamp) -> Id {
    (stamp.device, stamp.inode)
}

impl Directories {
    /// From now on what files are is kept: [`Directories::aliased`] will be told of all hard links and mounts.
    pub fn keep_files(&self) {
        self.keeps.store(true, Ordering::Release);
    }

    /// From now on it is not.
    pub fn keep_no_files(&self) {
        self.keeps.store(false, Ordering::Release);
    }

    /// A file, by device and inode, is about to get one more name, or something is about to be mounted.
    pub fn aliased(&self, file: Option<Id>) {
        match file {
            Some(file) => drop(locked(&self.linked).insert(file)),
            // Whatever was mounted over may come back, and which files it concerns is not known.
            None => self.keep_no_files(),
        }
        locked(&self.watches).directories.values().for_each(|files| files.forget(None));
    }

    /// Takes note of all that has happened up to now.
    pub fn refresh(&self) {
        if self.keeps.load(Ordering::Acquire) {
            self.hear(&mut locked(&self.watches));
        }
    }

    fn hear(&self, watches: &mut Watches) {
        let Watches { notices: Some(notices), mounts, directories, .. } = watches else { return };
        let mut gone = Vec::new();
        // Somebody beside the build may have mounted something over any of them.
        let mut lost = mounts.as_ref().is_some_and(has_changed);
        let heard = notices.read(|notice| match notice {
            Notice::Changed(watch, name) => {
                if let Some(files) = directories.get(&watch) {
                    files.forget(Some(&name));
                }
            }
            Notice::Itself(watch) => {
                if let Some(files) = directories.get(&watch) {
                    files.changes.fetch_add(1, Ordering::AcqRel);
                }
            }
            Notice::Gone(watch) => gone.push(watch),
            Notice::Lost => lost = true,
        });
        if lost || heard.is_err() {
            // That a directory is gone may be among what is lost; watching one again gives the same number.
            gone.extend(directories.keys());
        }
        for files in gone.into_iter().filter_map(|watch| directories.remove(&watch)) {
            files.forget(None);
            if let Some(known) = locked(&self.known).get_mut(&files.directory) {
                known.watched = Watched::Not;
            }
        }
    }

    /// What the files of the directory with this stamp are, which `path` leads to; `None` where that cannot be kept.
    pub(super) fn files(&self, path: &Path, stamp: &Stamp) -> Option<Arc<Files>> {
        if !self.keeps.load(Ordering::Acquire) {
            return None;
        }
        match locked(&self.known).entry(id(stamp)).or_default().watched.clone() {
            Watched::Yes(files) => return Some(files),
            Watched::Never => return None,
            Watched::Not => {}
        }
        if !is_on(path, &TELLING) {
            locked(&self.known).entry(id(stamp)).or_default().watched = Watched::Never;
            return None;
        }
        self.watch(path, stamp)
    }

    fn watch(&self, path: &Path, stamp: &Stamp) -> Option<Arc<Files>> {
        let mut watches = locked(&self.watches);
        let Watches { notices, mounts, directories, exhausted } = &mut *watches;
        if *exhausted || directories.len() >= MOST_WATCHES {
            return None;
        }
        if notices.is_none() {
            *notices = Notices::new().ok();
            *mounts = fs::File::open("/proc/self/mountinfo").ok();
        }
        let watch = match notices.as_ref().map(|notices| notices.watch(path)) {
            Some(Ok(watch)) => watch,
            // Anything else is about this directory.
            Some(Err(error)) if error.raw_os_error() != Some(libc::ENOSPC) => return None,
            _ => {
                *exhausted = true;
                return None;
            }
        };
        // It may have become another one since it was looked at.
        if !leads_to(path, id(stamp)) {
            return None;
        }
        let files = Arc::clone(directories.entry(watch).or_insert_with(|| Arc::new(Files::new(id(stamp)))));
        // Before anybody hears that it is gone.
        locked(&self.known).entry(id(stamp)).or_default().watched = Watched::Yes(Arc::clone(&files));
        Some(files)
    }

    /// Looks at a name in a directory, and keeps what is there, or that nothing is, if that can be.
    ///
    /// # Errors
    /// Whatever the file system says, but for what does not exist.
    pub(super) fn look(&self, files: &Files, path: &Path, name: &OsStr) -> io::Result<Seen> {
        let before = files.changes();
        let folder = files.folder(name).map(|folder| (folder.changes(), folder));
        let seen = Seen::at(path)?;
        let entry = match (seen, folder) {
            (Seen::Nothing, _) if is_lower(name) => None,
            (Seen::Plain(stamp), _) if stamp.is_file() => {
                if !tells(path, &stamp) || locked(&self.linked).contains(&id(&stamp)) {
                    return Ok(seen);
                }
                Some(Entry::File(stamp))
            }
            // One that is watched anew has other files.
            (Seen::Plain(stamp), Some((changes, files))) if self.is_watched(&stamp, &files) => {
                Some(Entry::Folder { stamp, files, changes })
            }
            _ => return Ok(seen),
        };
        self.keep(files, path, name, entry, before);
        Ok(seen)
    }

    /// Keeps that a name in the directory with `parent`'s files is a directory with this stamp and these files, if that can
    /// be.
    pub(super) fn keep_folder(&self, parent: &Files, path: &Path, stamp: &Stamp, files: &Arc<Files>) {
        let Some(name) = path.file_name() else { return };
        // Then it is kept, or was and has changed, and has been looked at.
        if parent.folder(name).is_some_and(|known| Arc::ptr_eq(&known, files)) {
            return;
        }
        let (before, changes) = (parent.changes(), files.changes());
        let unchanged = Seen::at(path).is_ok_and(|seen| seen == Seen::Plain(*stamp));
        if unchanged && !is_mount_root(path, stamp) && self.is_watched(stamp, files) {
            let entry = Entry::Folder { stamp: *stamp, files: Arc::clone(files), changes };
            self.keep(parent, path, name, Some(entry), before);
        }
    }

    fn keep(&self, files: &Files, path: &Path, name: &OsStr, entry: Option<Entry>, changes: u64) {
        // The way to the directory may lead to another one by now, and then that one was looked at.
        let same = || path.parent().is_some_and(|parent| leads_to(parent, files.directory));
        if name.is_ascii() && same() {
            // What has happened since it was looked at has been told by now.
            self.refresh();
            files.keep(name, entry, changes);
        }
    }

    /// Whether these are the files of the directory with this stamp, of whose changes the kernel tells.
    fn is_watched(&self, stamp: &Stamp, files: &Arc<Files>) -> bool {
        match locked(&self.known).get(&id(stamp)).map(|known| &known.watched) {
            Some(Watched::Yes(watched)) => Arc::ptr_eq(watched, files),
            _ => false,
        }
    }

    /// The names in the directory with this stamp, if they are known.
    pub(super) fn names(&self, stamp: &Stamp) -> Option<Arc<Names>> {
        let known = locked(&self.known);
        let listed = known.get(&id(stamp))?.listed.as_ref()?;
        (listed.stamp == *stamp).then(|| Arc::clone(&listed.names))
    }

    /// Something was not in the directory at `path`, which has this stamp: its names, if it is time to know them.
    pub(super) fn missed(&self, path: &Path, stamp: &Stamp) -> Option<Arc<Names>> {
        {
            let mut known = locked(&self.known);
            let known = known.entry(id(stamp)).or_default();
            known.misses += 1;
            if known.unfit || known.misses < WORTH_LISTING {
                return None;
            }
            // One that changes all the time is not read all the time.
            known.misses = 0;
        }
        // A change in the same tick of the clock would not show.
        if !is_settled(stamp) || is_coarse(stamp) {
            return None;
        }
        let fits = |names: &Names| names.len() <= MOST_NAMES && tells_case(path, names);
        let names = if is_on(path, &LOCAL) { list(path).ok().filter(fits) } else { None };
        let unchanged = Seen::at(path).is_ok_and(|seen| seen.followed() == Some(*stamp));
        let mut known = locked(&self.known);
        let known = known.entry(id(stamp)).or_default();
        known.unfit = names.is_none();
        known.listed = names.filter(|_| unchanged).map(|names| Listed { stamp: *stamp, names: Arc::new(names) });
        known.listed.as_ref().map(|listed| Arc::clone(&listed.names))
    }
}

/// Whether anything was mounted or unmounted since this was last asked of an open list of mounts (proc(5), `mountinfo`).
fn has_changed(mounts: &fs::File) -> bool {
    let mut asked = [PollFd::new(mounts, PollFlags::PRI)];
    poll(&mut asked, Some(&Timespec::default())).is_ok()
        && asked[0].revents().intersects(PollFlags::PRI | PollFlags::ERR)
}

/// Whether a path leads to a directory.
fn leads_to(path: &Path, directory: Id) -> bool {
    Seen::at(path).is_ok_and(|seen| seen.followed().is_some_and(|now| id(&now) == directory))
}

/// Whether the kernel tells of every change of the file at `path`, which has this stamp, in the directory that has the name:
/// it has no other name, and nothing is mounted there.
fn tells(path: &Path, stamp: &Stamp) -> bool {
    not_mounted(path, stamp).is_some_and(|links| links == 1)
}

/// Whether something is mounted at the path of a directory with this stamp, or that cannot be told.
fn is_mount_root(path: &Path, stamp: &Stamp) -> bool {
    not_mounted(path, stamp).is_none()
}

/// How many links lead to what is at `path`, which has this stamp, if nothing is mounted there.
fn not_mounted(path: &Path, stamp: &Stamp) -> Option<u32> {
    let wanted = StatxFlags::NLINK | StatxFlags::INO;
    let info = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, wanted).ok()?;
    let roots = StatxAttributes::MOUNT_ROOT;
    let plain = info.stx_attributes_mask.contains(roots) && !info.stx_attributes.contains(roots);
    (plain && info.stx_ino == stamp.inode).then_some(info.stx_nlink)
}

fn list(path: &Path) -> io::Result<Names> {
    fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect()
}

/// Whether a time may be one of a clock that counts seconds, and the second not be over.
fn is_coarse(stamp: &Stamp) -> bool {
    let changed = Duration::from_nanos(u64::try_from(stamp.ctime_ns).unwrap_or(0));
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(changed);
    changed.subsec_nanos() == 0 && since < Duration::from_secs(3)
}

/// File systems of this machine where names are what a list says, and a change of them shows at once; elsewhere names can
/// come with their first use, or change at another machine. statfs(2): ext2 to ext4, XFS, Btrfs, tmpfs, F2FS, ZFS,
/// overlayfs.
const LOCAL: [u32; 7] = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0xf2f5_2010, 0x2fc1_2fc1, 0x794c_7630];

/// Those that tell of every change: in overlayfs the file behind may be written through memory without a notice.
const TELLING: [u32; 6] = [LOCAL[0], LOCAL[1], LOCAL[2], LOCAL[3], LOCAL[4], LOCAL[5]];

/// Whether a directory is on one of some file systems.
fn is_on(path: &Path, systems: &[u32]) -> bool {
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: plain integers, for which zeros are valid.
    let mut info: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: a C string and a structure that outlive the call.
    let asked = unsafe { libc::statfs(path.as_ptr(), &raw mut info) };
    asked == 0 && systems.contains(&(info.f_type as u32))
}

/// Whether a directory tells upper from lower case. One that does not has more names than it lists.
fn tells_case(path: &Path, names: &Names) -> bool {
    let turned = names.iter().find_map(|name| {
        let bytes = name.as_bytes();
        let turn =
            |byte: &u8| if byte.is_ascii_lowercase() { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
        let other = OsString::from(OsStr::from_bytes(&bytes.iter().map(turn).collect::<Vec<_>>()));
        (other != *name && !names.contains(&other)).then_some(other)
    });
    // Names without letters have no case, and a directory of nothing else need not be kept.
    turned.is_some_and(|name| matches!(Seen::at(&path.join(name)), Ok(Seen::Nothing)))
}

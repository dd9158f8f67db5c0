//! What is kept from moment to moment must be what is there.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

use gg_ir::Placeholder;

use super::*;

struct Nobody;

impl Force for Nobody {
    fn outline(&self, _: &gg_ir::Name) -> Option<Arc<[u8]>> {
        None
    }

    fn force(&self, _: &Path, _: &Placeholder) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Looks for what is not there in several moments, until the names are known.
fn learn(machine: &Machine<Nobody>, directories: &Directories, folder: &Path) {
    for number in 0..4 {
        let moment = Moment::new(machine, directories);
        assert_eq!(moment.see(&folder.join(format!("none{number}"))).unwrap(), Seen::Nothing);
    }
}

fn is_listed(directories: &Directories, folder: &Path) -> bool {
    let stamp = Stamp::of(folder).unwrap();
    directories.names(&stamp).is_some()
}

#[test]
fn what_comes_and_goes_is_seen_at_the_next_moment() {
    let folder = tempfile::tempdir().unwrap();
    let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
    let (old, new) = (folder.path().join("old.h"), folder.path().join("new.h"));
    fs::write(&old, "").unwrap();
    std::thread::sleep(Duration::from_millis(150));
    learn(&machine, &directories, folder.path());
    assert!(is_listed(&directories, folder.path()));
    for _ in 0..3 {
        let moment = Moment::new(&machine, &directories);
        assert_eq!(moment.kind(&old), Some(FileKind::File));
        assert_eq!(moment.kind(&new), None);
        fs::write(&new, "").unwrap();
        fs::remove_file(&old).unwrap();
        // A moment stays what it was.
        assert_eq!((moment.kind(&old), moment.kind(&new)), (Some(FileKind::File), None));
        let moment = Moment::new(&machine, &directories);
        assert_eq!((moment.kind(&old), moment.kind(&new)), (None, Some(FileKind::File)));
        fs::rename(&new, &old).unwrap();
    }
}

#[test]
fn a_directory_that_has_just_changed_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
    for number in 0..200 {
        fs::write(folder.path().join(format!("{number}.h")), "").unwrap();
        learn(&machine, &directories, folder.path());
        let next = folder.path().join(format!("{}.h", number + 1));
        assert_eq!(Moment::new(&machine, &directories).see(&next).unwrap(), Seen::Nothing);
        fs::write(&next, "").unwrap();
        assert_ne!(Moment::new(&machine, &directories).see(&next).unwrap(), Seen::Nothing, "{number}");
    }
}

#[test]
fn what_lies_below_nothing_is_not_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("Real")).unwrap();
    fs::write(folder.path().join("Real/x.h"), "x").unwrap();
    std::os::unix::fs::symlink("Real", folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling")).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
    learn(&machine, &directories, folder.path());
    let moment = Moment::new(&machine, &directories);
    let see = |path: &str| moment.see(&folder.path().join(path)).unwrap();
    assert_eq!(see("none/deeper/x.h"), Seen::Nothing);
    assert_eq!(see("Real/x.h/below"), Seen::Nothing);
    assert!(matches!(see("link"), Seen::Link(Some(target)) if target.is_dir()));
    assert_eq!(see("dangling"), Seen::Link(None));
    assert!(see("link/x.h").followed().is_some_and(|stamp| stamp.size == 1));
    assert!(see("link/../Real/./x.h").followed().is_some());
    assert_eq!(*moment.read(&folder.path().join("link/x.h")).unwrap(), *b"x");
    let real = folder.path().canonicalize().unwrap();
    for path in ["Real/x.h", "link/x.h", "Real/../link/./x.h", "Real//x.h"] {
        assert_eq!(moment.resolve(&real.join(path)).unwrap().as_os_str(), real.join("Real/x.h").as_os_str(), "{path}");
    }
    assert!(moment.resolve(&real.join("none")).is_err());
}

/// A folder with a header that has been looked at, and is known to be kept.
fn kept(machine: &Machine<Nobody>, directories: &Directories) -> (tempfile::TempDir, PathBuf) {
    directories.keep_files();
    let folder = tempfile::tempdir().unwrap();
    let header = folder.path().join("x.h");
    fs::write(&header, "first").unwrap();
    std::thread::sleep(Duration::from_millis(150));
    for _ in 0..2 {
        assert_eq!(Moment::new(machine, directories).glance(&header).kind, Some(FileKind::File));
    }
    assert!(is_kept(directories, &header));
    (folder, header)
}

fn is_kept(directories: &Directories, file: &Path) -> bool {
    let folder = file.parent().unwrap();
    let files = directories.files(folder, &Stamp::of(folder).unwrap());
    files.is_some_and(|files| files.get(file.file_name().unwrap()).is_some())
}

#[test]
fn every_change_of_a_kept_file_is_seen_at_the_next_moment() {
    let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
    type Change = fn(&Path);
    let changes: [(&str, Change); 11] = [
        ("written anew", |path| fs::write(path, "other").unwrap()),
        ("appended to", |path| File::options().append(true).open(path).unwrap().write_all(b"!").unwrap()),
        ("cut", |path| File::options().write(true).open(path).unwrap().set_len(1).unwrap()),
        ("cut by its name", |path| {
            let name = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
            // SAFETY: a C string.
            assert_eq!(unsafe { libc::truncate(name.as_ptr(), 2) }, 0);
        }),
        ("touched", |path| File::options().write(true).open(path).unwrap().set_modified(SystemTime::now()).unwrap()),
        ("given other permissions", |path| {
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }),
        ("replaced", |path| {
            fs::write(path.with_extension("new"), "other").unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        }),
        ("removed", |path| fs::remove_file(path).unwrap()),
        ("moved away", |path| fs::rename(path, path.with_extension("old")).unwrap()),
        ("made a link", |path| {
            fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink("nowhere", path).unwrap();
        }),
        ("changed through memory", |path| {
            let file = File::options().read(true).write(true).open(path).unwrap();
            // SAFETY: five bytes of a file that has them, written before they are let go.
            unsafe {
                let shared = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
                let at = libc::mmap(std::ptr::null_mut(), 5, shared.0, shared.1, file.as_raw_fd(), 0);
                assert_ne!(at, libc::MAP_FAILED);
                drop(file);
                at.cast::<u8>().write(b'F');
                assert_eq!(libc::munmap(at, 5), 0);
            }
        }),
    ];
    for (what, change) in changes {
        let (_folder, header) = kept(&machine, &directories);
        let before = Moment::new(&machine, &directories).see(&header).unwrap();
        change(&header);
        let now = Seen::at(&header).unwrap();
        assert_ne!(now, before, "{what}");
        assert_eq!(Moment::new(&machine, &directories).see(&header).unwrap(), now, "{what}");
    }
}

#[test]
fn what_comes_where_nothing_was_is_seen_at_the_next_moment() {
    let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
    let (folder, header) = kept(&machine, &directories);
    let comes: [&dyn Fn(&Path); 4] = [
        &|path| fs::write(path, "").unwrap(),
        &|path| fs::create_dir(path).unwrap(),
        &|path| fs::hard_link(&header, path).unwrap(),
        &|path| fs::rename(&header, path).unwrap(),
    ];
    for (number, come) in comes.iter().enumerate() {
        let path = folder.path().join(format!("new{number}.h"));
        for _ in 0..2 {
            assert_eq!(Moment::new(&machine, &directories).see(&path).unwrap(), Seen::Nothing);
        }
        assert!(is_kept(&directories, &path));
        come(&path);
        let now = Moment::new(&machine, &directories).see(&path).unwrap();
        assert!(now != Seen::Nothing && now == Seen::at(&path).unwrap());
    }
}

#[test]
fn a_change_in_the_same_tick_is_told_to_whoever_asks_for_content() {
    let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
    let (_folder, header) = kept(&machine, &directories);
    let mut file = File::options().write(true).open(&header).unwrap();
    for round in 0..200u32 {
        let text = format!("{round:05}");
        file.rewind().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let moment = Moment::new(&machine, &directories);
        // A state that vouches for the content must not be that of a file that has just changed.
        assert_eq!((moment.glance(&header).kind, moment.glance(&header).state), (Some(FileKind::File), None));
        assert_eq!(*moment.read(&header).unwrap(), *text.as_bytes());
    }
}

#[test]
fn a_file_with_more_names_than_one_is_not_kept() {
    let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
    let (_folder, header) = kept(&machine, &directories);
    let elsewhere = tempfile::tempdir_in(header.ancestors().nth(2).unwrap()).unwrap();
    let other = elsewhere.path().join("y.h");
    let stamp = Stamp::of(&header).unwrap();
    directories.aliased(Some((stamp.device, stamp.inode)));
    assert!(!is_kept(&directories, &header));
    // The link is made after it was announced.
    Moment::new(&machine, &directories).see(&header).unwrap();
    assert!(!is_kept(&directories, &header));
    fs::hard_link(&header, &other).unwrap();
    for text in ["second", "third"] {
        fs::write(&other, text).unwrap();
        let seen = Moment::new(&machine, &directories).see(&header).unwrap();
        assert_eq!(seen, Seen::at(&header).unwrap());
        assert!(!is_kept(&directories, &header));
    }
}

#[test]
fn a_directory_that_is_replaced_has_other_files() {
    let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
    let (folder, header) = kept(&machine, &directories);
    let (place, aside) = (folder.path().to_path_buf(), folder.path().with_extension("aside"));
    fs::rename(&place, &aside).unwrap();
    assert_eq!(Moment::new(&machine, &directories).see(&header).unwrap(), Seen::Nothing);
    fs::create_dir(&place).unwrap();
    assert_eq!(Moment::new(&machine, &directories).see(&header).unwrap(), Seen::Nothing);
    fs::write(&header, "another").unwrap();
    assert_eq!(Moment::new(&machine, &directories).see(&header).unwrap(), Seen::at(&header).unwrap());
    fs::remove_dir_all(&place).unwrap();
    fs::rename(&aside, &place).unwrap();
    assert_eq!(Moment::new(&machine, &directories).see(&header).unwrap(), Seen::at(&header).unwrap());
}

#[test]
fn more_changes_than_the_kernel_keeps_are_not_lost() {
    let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
    let (folder, header) = kept(&machine, &directories);
    let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let most: usize = most.trim().parse().unwrap();
    let other = folder.path().join("other");
    // Two files in turns: equal notices in a row are told once.
    for round in 0..most / 2 {
        let name = if round % 2 == 0 { &other } else { &other.with_extension("too") };
        fs::write(name, "").unwrap();
    }
    fs::write(&header, "changed at last").unwrap();
    assert_eq!(Moment::new(&machine, &directories).see(&header).unwrap(), Seen::at(&header).unwrap());
    // The directory has gone and come back meanwhile, perhaps with the same number.
    for round in 0..most / 2 {
        let name = if round % 2 == 0 { &other } else { &other.with_extension("too") };
        fs::write(name, "").unwrap();
    }
    fs::remove_dir_all(folder.path()).unwrap();
    fs::create_dir(folder.path()).unwrap();
    for text in ["a", "bc", "def"] {
        fs::write(&header, text).unwrap();
        assert_eq!(Moment::new(&machine, &directories).see(&header).unwrap(), Seen::at(&header).unwrap());
    }
}

#[test]
fn what_lies_behind_a_link_that_turns_is_not_kept_for_where_it_led() {
    let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
    let (folder, header) = kept(&machine, &directories);
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    for (place, text) in [(&one, "1"), (&two, "22")] {
        fs::create_dir(place).unwrap();
        fs::write(place.join("y.h"), text).unwrap();
    }
    let turn = |to: &Path| {
        std::os::unix::fs::symlink(to, folder.path().join("new")).unwrap();
        fs::rename(folder.path().join("new"), folder.path().join("current")).unwrap();
    };
    turn(&one);
    let moment = Moment::new(&machine, &directories);
    assert!(moment.see(&folder.path().join("current")).is_ok());
    assert!(moment.see(&folder.path().join("current/none")).is_ok());
    turn(&two);
    let _ = moment.see(&folder.path().join("current/y.h"));
    drop(header);
    let seen = Moment::new(&machine, &directories).see(&one.join("y.h")).unwrap();
    assert_eq!(seen, Seen::at(&one.join("y.h")).unwrap());
}

#[test]
fn a_notice_in_another_spelling_is_about_the_same_file() {
    let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
    let (folder, header) = kept(&machine, &directories);
    // Where case tells, another file; where it does not, the same.
    fs::write(folder.path().join("X.H"), "").unwrap();
    Moment::new(&machine, &directories);
    assert!(!is_kept(&directories, &header));
    fs::write(folder.path().join("Y.h"), "").unwrap();
    Moment::new(&machine, &directories).see(&folder.path().join("Y.h")).unwrap();
    assert!(is_kept(&directories, &folder.path().join("Y.h")));
    fs::write(folder.path().join("y.h"), "").unwrap();
    Moment::new(&machine, &directories);
    assert!(!is_kept(&directories, &folder.path().join("Y.h")));
}

/// The number that stands for what is known of a folder's files.
fn version(machine: &Machine<Nobody>, directories: &Directories, folder: &Path) -> u64 {
    Moment::new(machine, directories).folder(folder).unwrap().changes.unwrap()
}

#[test]
fn a_number_stands_for_what_was_said_of_a_folder() {
    let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
    let (folder, header) = kept(&machine, &directories);
    let folder = folder.path();
    let missing = folder.join("missing.h");
    let said = |path: &Path| {
        let moment = Moment::new(&machine, &directories);
        let changes = moment.folder(folder).unwrap().changes.unwrap();
        assert_eq!(moment.glance(path).lasts, Some(changes), "{path:?}");
        changes
    };
    let first = said(&header);
    assert_eq!(said(&missing), first);
    // Objects come, grow and go beside the headers.
    let object = folder.join("x.o");
    assert_eq!(Moment::new(&machine, &directories).see_before_change(&object).unwrap(), Seen::Nothing);
    fs::write(&object, "object").unwrap();
    fs::remove_file(&object).unwrap();
    assert_eq!(version(&machine, &directories, folder), first);
    fs::write(&missing, "").unwrap();
    let second = version(&machine, &directories, folder);
    assert_ne!(second, first);
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(said(&header), second);
    fs::write(&header, "second").unwrap();
    let third = version(&machine, &directories, folder);
    assert!(third != second && third != first);
    // A directory of the same path, with a file of the same name.
    fs::rename(folder, folder.with_extension("old")).unwrap();
    fs::create_dir(folder).unwrap();
    let fourth = version(&machine, &directories, folder);
    assert!(![first, second, third].contains(&fourth));
    fs::remove_dir_all(folder.with_extension("old")).unwrap();
}

#[test]
fn directories_are_kept_as_long_as_nothing_happens_in_them() {
    let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
    directories.keep_files();
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("inner");
    fs::create_dir(&folder).unwrap();
    let seen = || Moment::new(&machine, &directories).directory(&mut View::default(), &folder).unwrap();
    let is_kept = || {
        let files = directories.files(outer.path(), &Stamp::of(outer.path()).unwrap()).unwrap();
        files.get(OsStr::new("inner")).is_some()
    };
    assert!(seen().is_some());
    assert!(seen().is_some() && is_kept());
    let changes: [&dyn Fn(&Path); 5] = [
        &|folder| fs::write(folder.join("new"), "").unwrap(),
        &|folder| fs::remove_file(folder.join("new")).unwrap(),
        &|folder| fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap(),
        &|folder| {
            fs::rename(folder, folder.with_extension("old")).unwrap();
            fs::create_dir(folder).unwrap();
        },
        &|folder| {
            fs::remove_dir(folder).unwrap();
            std::os::unix::fs::symlink("inner.old", folder).unwrap();
        },
    ];
    for (number, change) in changes.iter().enumerate() {
        change(&folder);
        for _ in 0..3 {
            assert_eq!(seen().unwrap().stamp, Stamp::of(&folder).unwrap(), "change {number}");
        }
    }
    assert!(!is_kept());
    fs::remove_file(&folder).unwrap();
    assert!(seen().is_none());
}

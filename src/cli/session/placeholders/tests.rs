use gg_ir::{Kind, Tag};

use super::*;

fn session(folder: &Path) -> Placeholders {
    Placeholders::new(Journal::create(&folder.join("sessions"), folder).unwrap())
}

fn placeholder(name: &str) -> Placeholder {
    Placeholder { thunk: Name::of(Kind::Thunk, name.as_bytes()), tag: Tag::new("o").unwrap(), outline: None }
}

fn text(content: &'static str) -> impl Fn(&mut File) -> io::Result<u32> {
    move |file| file.write_all(content.as_bytes()).map(|()| 0o755)
}

#[test]
fn a_moved_placeholder_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let all = session(folder.path());
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    let p = placeholder("x");
    all.place(&a, p.clone(), 0o644).unwrap();
    let modified = fs::metadata(&a).unwrap().modified().unwrap();
    all.moved(&a, &b).unwrap();
    fs::rename(&a, &b).unwrap();
    all.fulfil(&p.thunk, |_| Some(text("real"))).unwrap();
    assert!(!a.exists());
    assert_eq!(fs::read(&b).unwrap(), b"real");
    let info = fs::metadata(&b).unwrap();
    assert_eq!(info.mode() & 0o7777, 0o755);
    assert_eq!(info.modified().unwrap(), modified);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "b and the sessions: no temporary file stays");
}

#[test]
fn a_moved_directory_takes_its_placeholders_along() {
    let folder = tempfile::tempdir().unwrap();
    let all = session(folder.path());
    let (from, to) = (folder.path().join("d"), folder.path().join("e"));
    fs::create_dir(&from).unwrap();
    let p = placeholder("x");
    all.place(&from.join("a"), p.clone(), 0o644).unwrap();
    all.moved(&from, &to).unwrap();
    fs::rename(&from, &to).unwrap();
    all.fulfil(&p.thunk, |_| Some(text("real"))).unwrap();
    assert_eq!(fs::read(to.join("a")).unwrap(), b"real");
}

#[test]
fn a_placeholder_that_is_moved_meanwhile_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let all = session(folder.path());
    let path = |moves: u32| folder.path().join(moves.to_string());
    let p = placeholder("x");
    all.place(&path(0), p.clone(), 0o644).unwrap();
    let moves = std::cell::Cell::new(0);
    let fill = |file: &mut File| {
        // As mv does, after the placeholder has been found where it was.
        if moves.get() < 3 {
            let (from, to) = (path(moves.get()), path(moves.get() + 1));
            all.moved(&from, &to)?;
            fs::rename(from, to)?;
            moves.set(moves.get() + 1);
        }
        file.write_all(b"real").map(|()| 0o644)
    };
    all.fulfil(&p.thunk, |_| Some(fill)).unwrap();
    assert_eq!(fs::read(path(3)).unwrap(), b"real");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "the file and the sessions: no temporary file stays");
}

#[test]
fn a_directory_that_is_moved_meanwhile_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let all = session(folder.path());
    let (from, to) = (folder.path().join("d"), folder.path().join("e"));
    fs::create_dir(&from).unwrap();
    let p = placeholder("x");
    all.place(&from.join("a"), p.clone(), 0o644).unwrap();
    let moved = std::cell::Cell::new(false);
    let fill = |file: &mut File| {
        if !moved.replace(true) {
            all.moved(&from, &to)?;
            fs::rename(&from, &to)?;
        }
        file.write_all(b"real").map(|()| 0o644)
    };
    all.fulfil(&p.thunk, |_| Some(fill)).unwrap();
    assert_eq!(fs::read(to.join("a")).unwrap(), b"real");
    assert_eq!(fs::read_dir(&to).unwrap().count(), 1, "no temporary file stays");
}

#[test]
fn all_names_of_a_placeholder_become_names_of_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let all = session(folder.path());
    let path = |name: &str| folder.path().join(name);
    let p = placeholder("x");
    all.place(&path("a"), p.clone(), 0o644).unwrap();
    let id = file_id(&fs::metadata(path("a")).unwrap());
    for name in ["b", "c", "never"] {
        assert!(all.linked(id, &path(name)));
    }
    fs::hard_link(path("a"), path("b")).unwrap();
    fs::hard_link(path("a"), path("c")).unwrap();
    let mut remaining = all.remaining();
    remaining.sort();
    assert_eq!(remaining, ["a", "b", "c"].map(path));
    fs::remove_file(path("b")).unwrap();
    fs::write(path("b"), "the user's").unwrap();
    all.fulfil(&p.thunk, |_| Some(text("real"))).unwrap();
    assert_eq!(fs::read(path("b")).unwrap(), b"the user's");
    let ids = ["a", "c"].map(|name| file_id(&fs::metadata(path(name)).unwrap()));
    assert_eq!((fs::read(path("a")).unwrap().as_slice(), ids[0]), (&b"real"[..], ids[1]));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "three files and the sessions");
    assert!(!all.linked(id, &path("d")));

    // So they do in a later session.
    let later = session(folder.path());
    all.place(&path("e"), p.clone(), 0o644).unwrap();
    fs::hard_link(path("e"), path("f")).unwrap();
    for name in ["e", "f"] {
        assert_eq!(later.adopt(&path(name)), Some(p.clone()));
    }
    later.fulfil(&p.thunk, |_| Some(text("later"))).unwrap();
    let ids = ["e", "f"].map(|name| file_id(&fs::metadata(path(name)).unwrap()));
    assert_eq!((fs::read(path("f")).unwrap().as_slice(), ids[0]), (&b"later"[..], ids[1]));
}

#[test]
fn what_replaced_a_placeholder_stays() {
    let folder = tempfile::tempdir().unwrap();
    let all = session(folder.path());
    let path = folder.path().join("a");
    let p = placeholder("x");
    all.place(&path, p.clone(), 0o644).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "the user's").unwrap();
    all.fulfil(&p.thunk, |_| Some(text("real"))).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"the user's");
}

#[test]
fn a_failed_step_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let all = session(folder.path());
    let path = folder.path().join("a");
    let p = placeholder("x");
    all.place(&path, p.clone(), 0o644).unwrap();
    assert_eq!(Placeholders::at(&path), Some(p.clone()));
    all.abandon(&p.thunk);
    assert!(!path.exists());
    assert_eq!(all.remaining(), [] as [PathBuf; 0]);
}

#[test]
fn the_users_chmod_wins() {
    let folder = tempfile::tempdir().unwrap();
    let all = session(folder.path());
    let path = folder.path().join("a");
    let p = placeholder("x");
    all.place(&path, p.clone(), 0o644).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    all.fulfil(&p.thunk, |_| Some(text("real"))).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o700);
}

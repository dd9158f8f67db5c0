//! Small objects, which share files.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gg_ir::{Kind, Name};
use gg_store::{Store, StoreError};
use proptest::prelude::*;

fn fixture() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    (dir, store)
}

/// Another process, as far as the store can tell.
fn another(store: &Store) -> Store {
    Store::open(store.dir()).unwrap()
}

fn file(store: &Store, name: &Name) -> PathBuf {
    store.dir().join(format!("objects/{:02x}/{name}", name.digest()[0]))
}

/// The packs' files with this ending.
fn packs(store: &Store, ending: &str) -> Vec<PathBuf> {
    let listed = fs::read_dir(store.dir().join("packs")).unwrap().flatten().map(|entry| entry.path());
    listed.filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
}

fn age(path: &Path, hours: u64) {
    let then = SystemTime::now() - Duration::from_secs(hours * 3600);
    fs::File::open(path).unwrap().set_times(fs::FileTimes::new().set_accessed(then).set_modified(then)).unwrap();
}

fn text(number: u32) -> Vec<u8> {
    format!("object {number}\n").repeat(100).into_bytes()
}

fn put(store: &Store, numbers: std::ops::Range<u32>) -> Vec<Name> {
    numbers.map(|number| store.put(Kind::Value, &text(number)).unwrap()).collect()
}

/// Time passes that a file system's clock shows.
fn tick() {
    std::thread::sleep(Duration::from_millis(60));
}

#[test]
fn small_objects_share_a_file() {
    let (_dir, store) = fixture();
    let names = put(&store, 0..200);
    assert_eq!(names, put(&store, 0..200));
    let thunk = store.put(Kind::Thunk, &text(0)).unwrap();
    assert_eq!(fs::read_dir(store.dir().join("objects")).unwrap().count(), 0);
    // Values and thunks.
    assert_eq!((packs(&store, "pack").len(), packs(&store, "index").len()), (2, 2));
    let size: u64 = packs(&store, "pack").iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(size < 200 * 100, "{size}");
    for store in [&store, &another(&store)] {
        for (number, name) in names.iter().enumerate() {
            assert!(store.contains(name));
            assert_eq!(store.read(name).unwrap(), text(number as u32));
        }
        assert_eq!(store.read(&thunk).unwrap(), text(0));
    }
    assert_eq!(store.verify_all().unwrap().objects, 201);
}

/// The thunks of two sources that include the same headers differ in little.
#[test]
fn thunks_with_the_same_inputs_take_little() {
    let (_dir, store) = fixture();
    let headers: Vec<u8> = (0..300u32)
        .flat_map(|number| {
            let digest = *Name::of_value(&number.to_le_bytes()).digest();
            [format!("/home/user/project/src/module/header{number}.h").into_bytes(), digest.to_vec()].concat()
        })
        .collect();
    for number in 0..200 {
        store.put(Kind::Thunk, &[&text(number)[..20], &headers].concat()).unwrap();
    }
    let [pack, index] = ["pack", "index"].map(|ending| fs::metadata(&packs(&store, ending)[0]).unwrap().blocks() * 512);
    assert!((pack + index) / 200 < 500, "{pack} + {index}");
}

#[test]
fn what_one_process_writes_another_that_runs_sees() {
    let (_dir, store) = fixture();
    let other = another(&store);
    for number in 0..50 {
        let name = Name::of_value(&text(number));
        assert!(!other.contains(&name));
        store.put(Kind::Value, &text(number)).unwrap();
        assert!(other.contains(&name));
        assert_eq!(other.read(&name).unwrap(), text(number));
        assert!(another(&store).contains(&name));
    }
}

#[test]
fn each_process_writes_a_pack_of_its_own_and_the_next_goes_on() {
    let (_dir, store) = fixture();
    let other = another(&store);
    let (one, two) = (put(&store, 0..10), put(&other, 10..20));
    assert_eq!(packs(&store, "pack").len(), 2);
    drop((store, other));
    for round in 2..10 {
        let later = Store::open(&_dir.path().join("store")).unwrap();
        put(&later, round * 10..round * 10 + 10);
        assert_eq!(packs(&later, "pack").len(), 2);
        assert!(one.iter().chain(&two).all(|name| later.read(name).is_ok()));
    }
    let last = Store::open(&_dir.path().join("store")).unwrap();
    assert_eq!(last.verify_all().unwrap().objects, 100);
}

#[test]
fn threads_and_processes_at_once() {
    let (_dir, store) = fixture();
    let stores = [&store, &another(&store)];
    std::thread::scope(|scope| {
        for thread in 0..6u32 {
            let store = stores[thread as usize % 2];
            scope.spawn(move || {
                for round in 0..300 {
                    // The same objects everywhere, in another order in each thread.
                    let number = (round * 7 + thread * 53) % 300;
                    let name = store.put(Kind::Value, &text(number)).unwrap();
                    assert_eq!(store.read(&name).unwrap(), text(number));
                }
            });
        }
    });
    // One may have been done before the other began.
    assert!(packs(&store, "pack").len() <= 2);
    assert_eq!(store.verify_all().unwrap().corrupt_objects, 0);
}

#[test]
fn a_store_from_before_there_were_packs() {
    let (_dir, store) = fixture();
    let name = Name::of_value(&text(1));
    fs::remove_dir(store.dir().join("packs")).unwrap();
    fs::create_dir_all(file(&store, &name).parent().unwrap()).unwrap();
    fs::write(file(&store, &name), text(1)).unwrap();
    let store = another(&store);
    assert!(store.contains(&name));
    assert_eq!(store.put(Kind::Value, &text(1)).unwrap(), name);
    assert_eq!(packs(&store, "pack").len(), 0);
    assert_eq!(store.read(&name).unwrap(), text(1));
    assert_eq!(store.file(&name).unwrap(), file(&store, &name));
    fs::remove_dir(store.dir().join("packs")).unwrap();
    let new = store.put(Kind::Value, &text(2)).unwrap();
    assert_eq!(store.read(&new).unwrap(), text(2));
}

#[test]
fn an_object_that_is_wanted_as_a_file() {
    let (dir, store) = fixture();
    let name = put(&store, 0..1)[0];
    let to = dir.path().join("out");
    store.copy_out(&name, &to, 0o640, None).unwrap();
    assert_eq!(fs::read(&to).unwrap(), text(0));
    let mut opened = fs::File::create(&to).unwrap();
    store.write_to(&name, &mut opened).unwrap();
    assert_eq!(fs::read(&to).unwrap(), text(0));
    store.check(&name).unwrap();
    assert!(!file(&store, &name).exists(), "no file is made for what does not need one");
    for _ in 0..2 {
        for store in [&store, &another(&store)] {
            let place = store.file(&name).unwrap();
            assert_eq!(fs::read(&place).unwrap(), text(0));
            assert_eq!(place, file(store, &name));
        }
        // Whoever removes it does no harm.
        fs::remove_file(file(&store, &name)).unwrap();
    }
    // One that was asked for stays while the lease lasts.
    let _lease = store.lease().unwrap();
    assert!(store.contains(&name));
    let place = store.file(&name).unwrap();
    age(&place, 10);
    let builder = another(&store);
    let _lease = builder.lease().unwrap();
    assert!(builder.contains(&name));
    assert_eq!(builder.file(&name).unwrap(), place);
    tick();
    another(&store).gc(0, false).unwrap();
    assert!(place.exists() && builder.contains(&name));
}

#[test]
fn a_pack_is_collected_by_its_last_use() {
    let (_dir, store) = fixture();
    let other = another(&store);
    let (old, young) = (put(&store, 0..10), put(&other, 10..20));
    let pack_of = |store: &Store, name: &Name| {
        // The one that a use of the object marks.
        packs(store, "pack").iter().for_each(|path| age(path, 5));
        assert!(another(store).contains(name));
        let used =
            |path: &&PathBuf| fs::metadata(path).unwrap().accessed().unwrap().elapsed().unwrap().as_secs() < 3600;
        packs(store, "pack").iter().find(used).unwrap().clone()
    };
    let (old_pack, young_pack) = (pack_of(&store, &old[0]), pack_of(&store, &young[0]));
    assert_ne!(old_pack, young_pack);
    drop((store, other));
    let store = Store::open(&_dir.path().join("store")).unwrap();
    age(&old_pack, 9);
    age(&young_pack, 8);
    let dry = store.gc(u64::MAX, true).unwrap();
    let report = store.gc(u64::MAX, false).unwrap();
    assert_eq!((report.deleted_objects, report.kept_in_use), (0, 0), "{report:?}");
    assert!(report.before > 0 && dry == report, "{report:?}");
    let dry = store.gc(report.before - 1, true).unwrap();
    assert!(old_pack.exists());
    let report = store.gc(report.before - 1, false).unwrap();
    assert_eq!((report.deleted_objects, dry), (10, report));
    assert!(!old_pack.exists() && young_pack.exists());
    assert!(old.iter().all(|name| !store.contains(name)) && young.iter().all(|name| store.read(name).is_ok()));
    assert_eq!(packs(&store, "index").len(), 1);
}

#[test]
fn a_pack_that_a_build_uses_or_writes_stays() {
    let (_dir, store) = fixture();
    let name = put(&store, 0..1)[0];
    let pack = packs(&store, "pack").pop().unwrap();
    drop(store);
    let builder = Store::open(&_dir.path().join("store")).unwrap();
    assert!(builder.contains(&name));
    age(&pack, 5);
    // Used before the lease: has to be marked again to be spared.
    let lease = builder.lease().unwrap();
    assert!(!builder.is_protected(&name));
    assert!(builder.contains(&name) && builder.is_protected(&name));
    let collector = another(&builder);
    tick();
    let report = collector.gc(0, false).unwrap();
    assert_eq!((report.deleted_objects, report.kept_in_use), (0, 1));
    assert!(builder.read(&name).is_ok());
    drop(lease);
    // Written by somebody without a lease, who may go on.
    let new = put(&builder, 1..2)[0];
    age(&pack, 5);
    assert_eq!(collector.gc(0, true).unwrap().kept_in_use, 1);
    assert_eq!(collector.gc(0, false).unwrap().kept_in_use, 1);
    assert!(builder.contains(&new) && another(&builder).contains(&new));
    // That somebody's own collection takes it, and it goes on in another.
    tick();
    assert_eq!(builder.gc(0, false).unwrap().deleted_objects, 2);
    assert!(!builder.contains(&new) && !builder.contains(&name));
    assert_eq!(put(&builder, 1..2), [new]);
    assert!(another(&builder).read(&new).is_ok());
}

#[test]
fn a_pack_about_to_be_deleted_is_taken_back() {
    let (dir, store) = fixture();
    let name = put(&store, 0..1)[0];
    let pack = packs(&store, "pack").pop().unwrap();
    let trash = store.dir().join("trash").join(pack.file_name().unwrap());
    let to = dir.path().join("out");
    let uses: [&dyn Fn(&Store) -> bool; 5] = [
        &|store| store.contains(&name),
        &|store| store.read(&name).is_ok(),
        &|store| store.copy_out(&name, &to, 0o644, None).is_ok(),
        &|store| store.put(Kind::Value, &text(0)).is_ok(),
        &|store| store.file(&name).is_ok(),
    ];
    for using in uses {
        for known in [false, true] {
            let other = another(&store);
            assert!(!known || other.contains(&name));
            fs::rename(&pack, &trash).unwrap();
            assert!(using(&other) && pack.exists() && !trash.exists());
            let _ = fs::remove_file(file(&store, &name));
        }
    }
    assert_eq!(packs(&store, "pack").len(), 1);
    // What a killed collection left goes, unless a build has marked it.
    drop(store);
    let store = Store::open(&dir.path().join("store")).unwrap();
    let _lease = store.lease().unwrap();
    assert!(store.contains(&name));
    fs::rename(&pack, &trash).unwrap();
    store.gc(u64::MAX, false).unwrap();
    assert!(pack.exists() && !trash.exists());
    age(&pack, 1);
    fs::rename(&pack, &trash).unwrap();
    store.gc(u64::MAX, false).unwrap();
    assert_eq!((packs(&store, "pack").len(), packs(&store, "index").len(), trash.exists()), (0, 0, false));
}

/// Ways to damage the pack's data.
type Damage = fn(&Path);

const DAMAGES: [(&str, Damage); 5] = [
    ("a flipped bit", |path| {
        let file = fs::File::options().read(true).write(true).open(path).unwrap();
        let place = file.metadata().unwrap().len() - 10;
        let mut byte = [0];
        file.read_exact_at(&mut byte, place).unwrap();
        file.write_all_at(&[byte[0] ^ 4], place).unwrap();
    }),
    ("cut short", |path| {
        let length = fs::metadata(path).unwrap().len();
        fs::File::options().write(true).open(path).unwrap().set_len(length - 5).unwrap();
    }),
    ("emptied", |path| fs::write(path, "").unwrap()),
    ("a directory", |path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }),
    ("a pipe", |path| {
        fs::remove_file(path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    }),
];

/// Ways to use an object.
type Use = fn(&Store, &Name, &Path) -> Result<(), StoreError>;

const USES: [(&str, Use); 4] = [
    ("read", |store, name, _| store.read(name).map(|_| ())),
    ("file", |store, name, _| store.file(name).map(|_| ())),
    ("copy_out", |store, name, to| store.copy_out(name, to, 0o644, None).map(|_| ())),
    ("check", |store, name, _| store.check(name)),
];

#[test]
fn every_damage_is_noticed_by_every_use() {
    for (damage, apply) in DAMAGES {
        for (used, using) in USES {
            let case = format!("{damage}, {used}");
            let (dir, store) = fixture();
            let (first, to) = (put(&store, 0..1)[0], dir.path().join("out"));
            let last = store.put(Kind::Value, b"the last one, whose bytes are not like those of the others").unwrap();
            drop(store);
            let store = Store::open(&dir.path().join("store")).unwrap();
            assert!(store.contains(&last));
            apply(&packs(&store, "pack")[0]);
            match using(&store, &last, &to) {
                Err(StoreError::Corrupt { name, kept }) => {
                    assert_eq!(name, last, "{case}");
                    assert!(kept.starts_with(store.dir().join("quarantine")) && kept.exists(), "{case}");
                }
                other => panic!("{case}: {other:?}"),
            }
            assert!(!to.exists() && !file(&store, &last).exists(), "{case}: nothing is written");
            for store in [&store, &another(&store)] {
                assert!(!store.contains(&last), "{case}");
                assert!(matches!(using(store, &last, &to), Err(StoreError::Missing { .. })), "{case}");
            }
            if matches!(damage, "a flipped bit" | "cut short") {
                assert_eq!(store.read(&first).unwrap(), text(0), "{case}: what comes before it is whole");
            }
            store.put(Kind::Value, b"the last one, whose bytes are not like those of the others").unwrap();
            for store in [&store, &another(&store)] {
                using(store, &last, &to).unwrap_or_else(|error| panic!("{case}: {error}"));
            }
        }
    }
}

#[test]
fn what_one_process_mends_another_that_runs_reads() {
    let (dir, store) = fixture();
    let name = put(&store, 0..1)[0];
    drop(store);
    let [one, two] = [0; 2].map(|_| Store::open(&dir.path().join("store")).unwrap());
    assert!(one.contains(&name) && two.contains(&name));
    (DAMAGES[0].1)(&packs(&one, "pack")[0]);
    assert!(matches!(one.read(&name), Err(StoreError::Corrupt { .. })));
    assert_eq!(put(&one, 0..1), [name]);
    assert_eq!(two.read(&name).unwrap(), text(0));
}

#[test]
fn looking_through_the_store_finds_what_is_damaged() {
    let (_dir, store) = fixture();
    let names = put(&store, 0..20);
    let thunk = store.put(Kind::Thunk, &text(0)).unwrap();
    assert_eq!(store.verify_all().unwrap().objects, 21);
    let [pack, index] = ["pack", "index"].map(|ending| {
        packs(&store, ending)
            .into_iter()
            .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with('V'))
            .unwrap()
    });
    // The last object, and the record of one before it.
    (DAMAGES[0].1)(&pack);
    fs::File::options().write(true).open(&index).unwrap().write_all_at(b"?", 5 * 52 + 7).unwrap();
    let report = store.verify_all().unwrap();
    assert_eq!((report.objects, report.corrupt_objects), (19, 2));
    assert_eq!(fs::read_dir(store.dir().join("quarantine")).unwrap().count(), 1);
    let report = store.verify_all().unwrap();
    assert_eq!((report.objects, report.corrupt_objects), (19, 0));
    assert!(!store.contains(&names[5]) && !store.contains(&names[19]) && store.contains(&names[18]));
    assert!(store.read(&thunk).is_ok());
    assert_eq!(put(&store, 0..20), names);
    assert_eq!(store.verify_all().unwrap().objects, 21);
}

#[test]
fn looking_through_the_store_is_no_use() {
    let (_dir, store) = fixture();
    put(&store, 0..1);
    let pack = packs(&store, "pack").pop().unwrap();
    age(&pack, 5);
    store.verify_all().unwrap();
    assert!(fs::metadata(&pack).unwrap().accessed().unwrap().elapsed().unwrap().as_secs() > 3600);
}

#[test]
fn emptying_the_store_while_it_is_written() {
    let (_dir, store) = fixture();
    let other = another(&store);
    let names = put(&store, 0..5);
    assert!(other.contains(&names[0]));
    other.clean(true).unwrap();
    assert_eq!(packs(&store, "pack").len(), 0);
    assert!(!store.contains(&names[0]) && !other.contains(&names[0]));
    assert_eq!(put(&store, 0..5), names);
    let third = another(&store);
    assert!(names.iter().all(|name| other.read(name).is_ok() && third.read(name).is_ok()));
}

#[test]
fn an_object_in_two_packs() {
    let (dir, store) = fixture();
    let other = another(&store);
    // Both write it, since neither knows of the other's when it begins.
    let [mut one, mut two] = [Vec::new(), Vec::new()];
    std::thread::scope(|scope| {
        scope.spawn(|| one = put(&store, 0..600));
        scope.spawn(|| two = put(&other, 0..600));
    });
    drop((store, other));
    assert_eq!(one, two);
    let open = || Store::open(&dir.path().join("store")).unwrap();
    let reader = open();
    assert!(one.iter().all(|name| reader.contains(name)));
    let all = packs(&reader, "pack");
    assert_eq!(all.len(), 2);
    let held = |pack: &PathBuf| fs::metadata(pack.with_extension("index")).unwrap().len() / 52;
    let twice = held(&all[0]) + held(&all[1]) - 600;
    // One of them goes, damaged or deleted; what was in both stays.
    fs::write(&all[0], vec![0; fs::metadata(&all[0]).unwrap().len() as usize]).unwrap();
    let whole = |store: &Store| one.iter().filter(|name| store.read(name).is_ok()).count() as u64;
    assert_eq!(whole(&reader), held(&all[1]), "{twice} were in both");
    assert_eq!(whole(&open()), held(&all[1]));
    let reader = open();
    put(&reader, 0..600);
    assert_eq!((whole(&reader), whole(&open())), (600, 600));
    fs::remove_file(&all[1]).unwrap();
    fs::remove_file(all[1].with_extension("index")).unwrap();
    let there = one.iter().filter(|name| reader.contains(name) && reader.read(name).is_ok()).count() as u64;
    assert_eq!(there, open().verify_all().unwrap().objects);
    assert_eq!((put(&reader, 0..600), whole(&reader), whole(&open())), (one.clone(), 600, 600));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn damaged_in_any_way(changes in prop::collection::vec(any::<(bool, prop::sample::Index, u8, u8)>(), 0..6)) {
        let (dir, store) = fixture();
        let names = put(&store, 0..12);
        drop(store);
        let open = || Store::open(&dir.path().join("store")).unwrap();
        let store = open();
        for (in_data, place, what, byte) in changes {
            let path = packs(&store, if in_data { "pack" } else { "index" }).pop().unwrap();
            let mut bytes = fs::read(&path).unwrap();
            let place = place.index(bytes.len() + 1);
            match what % 4 {
                0 => bytes.truncate(place),
                1 => bytes.insert(place, byte),
                _ => bytes.iter_mut().skip(place).take(1).for_each(|found| *found ^= byte),
            }
            fs::write(&path, bytes).unwrap();
        }
        for name in &names {
            prop_assert!(store.read(name).is_ok_and(|found| name.matches(&found)) || !store.contains(name));
        }
        store.verify_all().unwrap();
        prop_assert_eq!(&put(&store, 0..12), &names);
        let later = open();
        for name in &names {
            prop_assert!(name.matches(&later.read(name).unwrap()));
        }
        prop_assert_eq!(later.verify_all().unwrap().corrupt_objects, 0);
    }
}

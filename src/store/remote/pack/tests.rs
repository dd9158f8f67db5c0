use gg_ir::Kind;
use proptest::prelude::*;

use super::super::RemoteError;
use super::*;

fn objects(contents: &[Vec<u8>]) -> Vec<(Name, &[u8])> {
    contents.iter().map(|bytes| (Name::of_value(bytes), bytes.as_slice())).collect()
}

fn packed(contents: &[Vec<u8>]) -> Vec<u8> {
    let objects = objects(contents);
    write(objects.iter().map(|(name, bytes)| (name, *bytes)))
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    (dir, store)
}

#[test]
fn reading_undoes_writing() {
    let large: Vec<u8> = (0..3_000_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
    let contents = vec![b"".to_vec(), b"one".to_vec(), large, vec![7; 900_000], vec![8; 900_000], b"last".to_vec()];
    let pack = packed(&contents);
    let (_dir, store) = store();
    let mut names = read_into(&pack, &store).unwrap();
    let mut expected: Vec<Name> = contents.iter().map(|bytes| Name::of_value(bytes)).collect();
    for (name, bytes) in expected.iter().zip(&contents) {
        assert_eq!(store.read(name).unwrap(), *bytes);
    }
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert!(pack.len() < 10_000_000);
}

#[test]
fn an_empty_pack() {
    let (_dir, store) = store();
    assert_eq!(read_into(&write([]), &store).unwrap(), []);
}

#[test]
fn thunks_stay_thunks() {
    let (_dir, store) = store();
    let name = Name::of(Kind::Thunk, b"x");
    assert_eq!(read_into(&write([(&name, b"x".as_slice())]), &store).unwrap(), [name]);
    assert_eq!(store.read(&name).unwrap(), b"x");
}

#[test]
fn an_object_under_anothers_name() {
    let (_dir, store) = store();
    let wrong = Name::of_value(b"yy");
    let pack = write([(&wrong, b"xx".as_slice())]);
    match read_into(&pack, &store) {
        Err(RemoteError::Pack(PackError::Object { name })) => assert_eq!(name, wrong),
        other => panic!("{other:?}"),
    }
    assert!(!store.contains(&wrong));
}

#[test]
fn an_index_that_promises_more_than_there_is() {
    let mut index = Index::default();
    index.push(1 << 40, &[Name::from_parts(Kind::Value, [0; 32], u64::MAX)]);
    let mut pack = MAGIC.to_vec();
    pack.extend_from_slice(&index.seal());
    let (_dir, store) = store();
    assert!(matches!(read_into(&pack, &store), Err(RemoteError::Pack(PackError::Short))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_changed_byte_is_noticed_or_does_no_harm(at: prop::sample::Index, byte: u8) {
        let contents = [b"some content".to_vec(), vec![3; 5000], b"more".to_vec()];
        let mut pack = packed(&contents);
        let at = at.index(pack.len());
        let good = pack[at] == byte;
        pack[at] = byte;
        let (_dir, store) = store();
        let read = read_into(&pack, &store);
        prop_assert!(good || read.is_err() || read.unwrap().iter().all(|name| store.read(name).is_ok()));
    }

    #[test]
    fn a_pack_cut_short_is_none(at: prop::sample::Index) {
        let pack = packed(&[b"some content".to_vec(), vec![3; 5000]]);
        let (_dir, store) = store();
        prop_assert!(matches!(read_into(&pack[..at.index(pack.len())], &store), Err(RemoteError::Pack(_))));
    }

    #[test]
    fn garbage_is_no_pack(bytes: Vec<u8>) {
        let (_dir, store) = store();
        let framed = [&MAGIC[..], &bytes, &MAGIC[..]].concat();
        for bytes in [bytes, framed] {
            prop_assert!(matches!(read_into(&bytes, &store), Err(RemoteError::Pack(_))));
        }
    }

    #[test]
    fn an_index_survives(blocks in prop::collection::vec((0u64..1 << 40, prop::collection::vec(any::<(bool, [u8; 32], u32)>(), 0..5)), 0..5)) {
        let mut index = Index::default();
        for (length, names) in blocks {
            let kind = |thunk| if thunk { Kind::Thunk } else { Kind::Value };
            let name = |(thunk, digest, length): (bool, _, u32)| Name::from_parts(kind(thunk), digest, length.into());
            index.push(length, &names.into_iter().map(name).collect::<Vec<_>>());
        }
        prop_assert_eq!(Index::decode(&index.encode()), Ok(index));
    }

    #[test]
    fn no_index_panics(bytes: Vec<u8>) {
        if let Ok(index) = Index::decode(&bytes) {
            prop_assert_eq!(Index::decode(&index.encode()), Ok(index));
        }
    }
}

//! Packs cut short and damaged anywhere give what is whole in them, and nothing else.

use std::fs;
use std::path::PathBuf;

use gg_ir::{Kind, Name};
use proptest::prelude::*;

use super::frame::{Compressor, decompress};
use super::record::{RECORD, Record, WIPED, records};
use super::*;
use crate::layout::Layout;

/// A store's directory with objects in one pack.
struct Fixture {
    _dir: tempfile::TempDir,
    layout: Layout,
    names: Vec<Name>,
    data: PathBuf,
    index: PathBuf,
}

impl Fixture {
    fn new(objects: &[Vec<u8>]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path()).unwrap();
        let packs = Packs::default();
        let mut names: Vec<Name> = objects.iter().map(|object| Name::of_value(object)).collect();
        names.iter().zip(objects).for_each(|(name, object)| packs.add(&layout, name, object, 1).unwrap());
        names.sort();
        names.dedup();
        let held = all(&layout).unwrap().pop().unwrap();
        Self { _dir: dir, layout, names, data: held.path, index: held.index }
    }

    /// As another process finds it; the names of what is whole. Panics when something is wrong.
    fn whole(&self) -> Vec<Name> {
        let packs = Packs::default();
        packs.refresh(&self.layout).unwrap();
        let whole = |name: &&Name| match packs.read(&self.layout, name).unwrap() {
            Found::Whole(bytes) => {
                assert!(name.matches(&bytes));
                true
            }
            Found::Damaged(_) | Found::Absent => false,
        };
        self.names.iter().filter(whole).copied().collect()
    }

    fn records(&self) -> Vec<Record> {
        records(&fs::read(&self.index).unwrap()).filter_map(|(_, record)| record).collect()
    }
}

fn objects() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let object = (any::<u8>(), 0..3000usize, any::<bool>()).prop_map(|(seed, length, noisy)| {
        let noise = |at: usize| (at * at * 31 + at / 7) as u8 ^ seed;
        (0..length).map(|at| if noisy { noise(at) } else { seed }).collect()
    });
    prop::collection::vec(object, 1..20)
}

fn record() -> impl Strategy<Value = Record> {
    (any::<[u8; 32]>(), 0..=LARGEST as u32, any::<u32>(), 0..=FRAME as u32, any::<u32>()).prop_map(
        |(digest, length, one, at, two)| Record { digest, length, frame: one.min(two), at, end: one.max(two) },
    )
}

proptest! {
    #[test]
    fn reading_undoes_writing(record in record()) {
        let bytes = record.encode();
        prop_assert_eq!(Record::decode(&bytes), Some(record));
        prop_assert_eq!(records(&[&bytes[..], &WIPED, &bytes, &bytes[..7]].concat()).map(|(at, _)| at).collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn a_changed_byte_of_a_record_is_noticed(record in record(), at in 0..RECORD, change in 1..=255u8) {
        let mut bytes = record.encode();
        bytes[at] ^= change;
        prop_assert_eq!(Record::decode(&bytes), None);
    }

    #[test]
    fn a_frame_cut_anywhere_gives_what_comes_before(objects in objects(), cut: prop::sample::Index) {
        let mut compressor = Compressor::new().unwrap();
        compressor.begin().unwrap();
        let (mut frame, mut ends) = (Vec::new(), Vec::new());
        for object in &objects {
            frame.extend(compressor.add(object).unwrap());
            ends.push(frame.len());
        }
        let raw = objects.concat();
        prop_assert_eq!(&decompress(&mut frame.clone(), raw.len()), &raw);
        frame.truncate(cut.index(frame.len() + 1));
        let whole: usize = objects.iter().zip(ends).filter(|(_, end)| *end <= frame.len()).map(|(object, _)| object.len()).sum();
        let found = decompress(&mut frame, raw.len());
        prop_assert!(raw.starts_with(&found) && found.len() >= whole);
    }

    #[test]
    fn a_frame_of_garbage(mut bytes: Vec<u8>, length in 0..100_000usize) {
        prop_assert!(decompress(&mut bytes, length).len() <= length);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn data_cut_anywhere(objects in objects(), cut: prop::sample::Index) {
        let fixture = Fixture::new(&objects);
        prop_assert_eq!(&fixture.whole(), &fixture.names);
        let length = cut.index(fs::metadata(&fixture.data).unwrap().len() as usize + 1);
        let records = fixture.records();
        fs::File::options().write(true).open(&fixture.data).unwrap().set_len(length as u64).unwrap();
        let mut want: Vec<Name> =
            records.iter().filter(|record| record.end as usize <= length).map(|record| record.name(Kind::Value)).collect();
        want.sort();
        prop_assert_eq!(fixture.whole(), want);
        // What is missing can be put again, and goes nowhere where it would be taken for what was there.
        let packs = Packs::default();
        packs.refresh(&fixture.layout).unwrap();
        objects.iter().for_each(|object| packs.add(&fixture.layout, &Name::of_value(object), object, 1).unwrap());
        prop_assert_eq!(&fixture.whole(), &fixture.names);
    }

    #[test]
    fn an_index_cut_anywhere(objects in objects(), cut: prop::sample::Index) {
        let fixture = Fixture::new(&objects);
        let length = cut.index(fs::metadata(&fixture.index).unwrap().len() as usize + 1);
        fs::File::options().write(true).open(&fixture.index).unwrap().set_len(length as u64).unwrap();
        prop_assert_eq!(fixture.whole().len(), length / RECORD);
        let packs = Packs::default();
        packs.refresh(&fixture.layout).unwrap();
        objects.iter().for_each(|object| packs.add(&fixture.layout, &Name::of_value(object), object, 1).unwrap());
        prop_assert_eq!(&fixture.whole(), &fixture.names);
        prop_assert_eq!(all(&fixture.layout).unwrap().len(), 1, "the pack was continued");
        prop_assert_eq!(fixture.records().len(), fixture.names.len());
    }

    #[test]
    fn a_changed_byte_anywhere(objects in objects(), place: prop::sample::Index, change in 1..=255u8, in_data: bool) {
        let fixture = Fixture::new(&objects);
        let path = if in_data { &fixture.data } else { &fixture.index };
        let mut bytes = fs::read(path).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        fs::write(path, &bytes).unwrap();
        let held = all(&fixture.layout).unwrap().pop().unwrap();
        let whole = fixture.whole();
        if in_data {
            let before = fixture.records().iter().filter(|record| record.end as usize <= place).count();
            prop_assert!(whole.len() >= before, "what comes before the damage is whole");
        } else {
            prop_assert_eq!(whole.len(), fixture.names.len() - 1);
        }
        // Looking through it finds the same, and mends it.
        let checked = check(&fixture.layout, &held).unwrap();
        prop_assert_eq!(checked.objects as usize, whole.len());
        prop_assert_eq!(checked.unsound, u64::from(!in_data));
        let checked = check(&fixture.layout, &held).unwrap();
        prop_assert_eq!((checked.damaged.len(), checked.unsound), (0, 0));
    }

    #[test]
    fn garbage(data: Vec<u8>, index: Vec<u8>, made in prop::collection::vec(record(), 0..5)) {
        let fixture = Fixture::new(&[b"x".to_vec()]);
        fs::write(&fixture.data, &data).unwrap();
        let made: Vec<u8> = made.iter().flat_map(Record::encode).collect();
        fs::write(&fixture.index, [made, index].concat()).unwrap();
        prop_assert_eq!(fixture.whole(), []);
        check(&fixture.layout, &all(&fixture.layout).unwrap().pop().unwrap()).unwrap();
    }
}

#[test]
fn a_name_has_one_spelling() {
    let id = PackId::new(Kind::Thunk);
    assert_eq!(PackId::of_data(&id.data()), Some(id));
    assert_eq!(PackId::of_index(&id.index()), Some(id));
    for other in ["T-1.pack", "T-000000000000000A.pack", "X-0000000000000000.pack", "T-0000000000000000.index", ".pack"]
    {
        assert_eq!(PackId::of_data(other), None);
    }
}

/// Frames end and begin within what is written at one go, and everything is found in its frame.
#[test]
fn many_frames() {
    let count = (7 * FRAME / 48_000) as u32;
    let objects: Vec<Vec<u8>> = (0..count).map(|number| number.to_le_bytes().repeat(12_000)).collect();
    let fixture = Fixture::new(&objects);
    let frames: std::collections::HashSet<u32> = fixture.records().iter().map(|record| record.frame).collect();
    assert!(frames.len() >= 6, "{frames:?}");
    assert_eq!(fixture.whole(), fixture.names);
    let packs = Packs::default();
    packs.refresh(&fixture.layout).unwrap();
    for name in fixture.names.iter().rev() {
        assert!(matches!(packs.read(&fixture.layout, name).unwrap(), Found::Whole(_)));
    }
}

//! Whatever is read as an object of gg is refused or is exactly what encoding gives again.

#![no_main]

use gg_ir::{AbsPath, Name, Placeholder, Reduction, Reference, Tag, Thunk, Tree};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(thunk) = Thunk::decode(bytes) {
        assert_eq!(thunk.encode(), bytes);
    }
    if let Ok(tree) = Tree::decode(bytes) {
        assert_eq!(tree.encode(), bytes);
    }
    if let Ok(reduction) = Reduction::decode(bytes) {
        assert_eq!(reduction.encode(), bytes);
    }
    if let Some(placeholder) = Placeholder::parse(bytes) {
        assert_eq!(placeholder.encode(), bytes);
    }
    if let Ok(path) = AbsPath::from_bytes(bytes) {
        assert_eq!(path.as_bytes(), bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(name) = text.parse::<Name>() {
            assert_eq!(name.to_string(), text);
        }
        if let Ok(reference) = text.parse::<Reference>() {
            assert_eq!(reference.to_string(), text);
        }
        if let Ok(tag) = Tag::new(text) {
            assert_eq!(tag.as_str(), text);
        }
    }
});

//! Trees: directories as values.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::Name;
use crate::codec::{DecodeError, Reader, Writer};

/// The entries of one directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<OsString, Entry>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    File {
        /// The value that it contains.
        content: Name,
        /// Its permission bits.
        mode: u32,
    },
    /// A directory: the name of a [`Tree`]'s encoding, which is a value.
    Tree(Name),
    /// A symbolic link with this text.
    Symlink(OsString),
}

const MAGIC: &[u8; 3] = b"ggD";

fn is_entry_name(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    !matches!(bytes, b"" | b"." | b"..") && !bytes.contains(&b'/') && !bytes.contains(&0)
}

impl Tree {
    /// A directory without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces an entry; `false`, and nothing done, when `name` cannot be a file's name.
    pub fn insert(&mut self, name: impl Into<OsString>, entry: Entry) -> bool {
        let name = name.into();
        let fits = is_entry_name(&name);
        if fits {
            self.entries.insert(name, entry);
        }
        fits
    }

    /// The entries in byte order of their names.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&OsStr, &Entry)> {
        self.entries.iter().map(|(name, entry)| (name.as_os_str(), entry))
    }

    /// The entry of this name.
    pub fn get(&self, name: &OsStr) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new(MAGIC);
        w.number(self.entries.len() as u64);
        for (name, entry) in &self.entries {
            w.text(name);
            match entry {
                Entry::File { content, mode } => {
                    w.byte(b'f');
                    content.write(&mut w);
                    w.number((*mode).into());
                }
                Entry::Tree(name) => {
                    w.byte(b't');
                    name.write(&mut w);
                }
                Entry::Symlink(target) => {
                    w.byte(b'l');
                    w.text(target);
                }
            }
        }
        w.finish()
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`DecodeError`] for anything that [`Tree::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes, MAGIC, "tree")?;
        let entries = r.map(
            |r| {
                let name = r.text()?;
                if is_entry_name(&name) { Ok(name) } else { Err(r.invalid("name of an entry")) }
            },
            |r| {
                Ok(match r.byte()? {
                    b'f' => Entry::File { content: Name::read(r)?, mode: r.small()? },
                    b't' => Entry::Tree(Name::read(r)?),
                    b'l' => Entry::Symlink(r.text()?),
                    _ => return Err(r.invalid("kind of an entry")),
                })
            },
        )?;
        r.finish()?;
        Ok(Self { entries })
    }

    /// The name of the tree's encoding, a value.
    pub fn name(&self) -> Name {
        Name::of_value(&self.encode())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let name = any::<Vec<u8>>().prop_map(|bytes| Name::of_value(&bytes));
        prop_oneof![
            (name.clone(), 0u32..0o10000).prop_map(|(content, mode)| Entry::File { content, mode }),
            name.prop_map(Entry::Tree),
            "\\PC{0,9}".prop_map(|text| Entry::Symlink(text.into())),
        ]
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(entries in prop::collection::vec(("[a-z. ]{0,3}[a-z]", entry()), 0..9)) {
            let mut tree = Tree::new();
            for (name, entry) in entries {
                prop_assert!(tree.insert(name, entry));
            }
            prop_assert_eq!(Tree::decode(&tree.encode()), Ok(tree));
        }

        #[test]
        fn garbage_does_not_panic(mut bytes: Vec<u8>) {
            bytes.splice(0..0, *b"ggD\x01");
            if let Ok(tree) = Tree::decode(&bytes) {
                prop_assert_eq!(tree.encode(), bytes);
            }
        }
    }

    #[test]
    fn entries_cannot_climb() {
        let mut tree = Tree::new();
        for bad in ["", ".", "..", "a/b", "a\0"] {
            assert!(!tree.insert(bad, Entry::Symlink("x".into())), "{bad:?}");
        }
        let mut w = Writer::new(MAGIC);
        w.number(1);
        w.text(OsStr::new(".."));
        w.byte(b'l');
        w.text(OsStr::new("x"));
        assert!(matches!(Tree::decode(&w.finish()), Err(DecodeError::Invalid { what: "name of an entry", .. })));
    }
}

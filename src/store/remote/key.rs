//! Keys: what things are called in a remote store.

use std::fmt;

use gg_ir::Name;

use super::pack::PackId;

/// The key of one thing, below the store's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// One object, as one zstd frame.
    Object(Name),
    /// A pack.
    Pack(PackId),
    /// What the thunk of this name evaluated to.
    Reduction(Name),
}

impl Key {
    pub fn parse(text: &str) -> Option<Self> {
        let (folder, rest) = text.split_once('/')?;
        match folder {
            "objects" => rest.parse().ok().map(Key::Object),
            "packs" => rest.parse().ok().map(Key::Pack),
            "reductions" => rest.parse().ok().map(Key::Reduction),
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Object(name) => write!(f, "objects/{name}"),
            Key::Pack(id) => write!(f, "packs/{id}"),
            Key::Reduction(name) => write!(f, "reductions/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_text() {
        let name = Name::of_value(b"x");
        for key in [Key::Object(name), Key::Pack(PackId::of(b"x")), Key::Reduction(name)] {
            assert_eq!(Key::parse(&key.to_string()), Some(key));
        }
        for bad in ["", "objects", "objects/", "objects/x", "packs/../objects", "other/x"] {
            assert_eq!(Key::parse(bad), None, "{bad}");
        }
    }
}

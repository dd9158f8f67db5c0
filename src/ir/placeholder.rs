//! Placeholders: the small files that stand for outputs not computed yet.

use crate::{Kind, Name, Reference, Tag};

/// The output that a file in the tree stands for.
///
/// The file's text is for whoever meets it outside of gg, after `gg infer`: linkers take it for a script, and say that they
/// cannot find a file whose name is the sentence that a person needs; to shells and to make it is an error in the first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder {
    /// The thunk.
    pub thunk: Name,
    /// Which of its outputs.
    pub tag: Tag,
    /// A value that says what of the content is known before it is computed.
    pub outline: Option<Name>,
}

const MAGIC: &str = "INPUT(\"what gg has not computed yet, as gg force does\") /* gg-placeholder 2 ";
const NOTE: &str = " */\n";

impl Placeholder {
    /// No placeholder is longer than this, in bytes; a longer file need not be read.
    pub const MAX_LENGTH: usize = MAGIC.len() + 192 + NOTE.len();

    /// The file's content.
    pub fn encode(&self) -> Vec<u8> {
        let outline = self.outline.map(|name| format!(" {name}")).unwrap_or_default();
        format!("{MAGIC}{}#{}{outline}{NOTE}", self.thunk, self.tag).into_bytes()
    }

    /// The placeholder that a file's content is, if it is one.
    pub fn parse(content: &[u8]) -> Option<Self> {
        if content.len() > Self::MAX_LENGTH {
            return None;
        }
        let text = std::str::from_utf8(content).ok()?;
        let text = text.strip_prefix(MAGIC)?.strip_suffix(NOTE)?;
        let (reference, outline) = match text.split_once(' ') {
            Some((reference, outline)) => (reference, Some(outline.parse::<Name>().ok()?)),
            None => (text, None),
        };
        match reference.parse().ok()? {
            Reference::Output(thunk, tag) if outline.is_none_or(|name| name.kind() == Kind::Value) => {
                Some(Self { thunk, tag, outline })
            }
            _ => None,
        }
    }

    /// The output referred to.
    pub fn reference(&self) -> Reference {
        Reference::Output(self.thunk, self.tag.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsing_undoes_encoding() {
        let thunk = Name::from_parts(Kind::Thunk, [7; 32], u64::MAX);
        let value = Name::from_parts(Kind::Value, [9; 32], u64::MAX);
        for outline in [None, Some(value)] {
            let placeholder = Placeholder { thunk, tag: Tag::new("x".repeat(64)).unwrap(), outline };
            let text = placeholder.encode();
            assert!(text.len() <= Placeholder::MAX_LENGTH);
            assert_eq!(Placeholder::parse(&text), Some(placeholder));
            assert_eq!(Placeholder::parse(&text[..text.len() - 1]), None);
        }
        assert_eq!(Placeholder::parse(b"\x7fELF"), None);
        let placeholder = Placeholder { thunk, tag: Tag::new("x").unwrap(), outline: Some(thunk) };
        assert_eq!(Placeholder::parse(&placeholder.encode()), None, "an outline is a value");
    }
}

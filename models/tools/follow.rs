//! What inputs name in turn: `import "other.proto";`.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use super::form::Follow;
use super::given::Given;
use super::places;
use crate::binutils::draft::Draft;
use crate::{FileKind, Read, Reason, World};

/// The directories in which names are looked for, as the call spells them.
#[derive(Debug, Default)]
pub(super) struct Directories {
    named: Vec<PathBuf>,
    system: Vec<PathBuf>,
}

impl Directories {
    /// Those of a call of the program at `tool`.
    pub fn of(follow: Option<&Follow>, given: &Given<'_>, tool: &Path, world: &dyn World) -> Self {
        let Some(follow) = follow else { return Self::default() };
        let is_one = |name: &str| follow.directories.iter().any(|word| word.get_ref() == name);
        let mut named: Vec<PathBuf> = given.values(is_one).map(PathBuf::from).collect();
        if named.is_empty() {
            named.push(PathBuf::from(&follow.otherwise));
        }
        let beside = tool.parent().unwrap_or(Path::new("/"));
        let system = follow.system.iter().flat_map(|it| places::matching(&beside.join(it), world));
        Self { named, system: system.collect() }
    }

    /// The path of a file as seen from the first directory that holds it; `None` where none does by its spelling, or where
    /// another directory has a file of that name, too.
    pub fn below(&self, name: &OsStr, draft: &Draft<'_>) -> Option<OsString> {
        let name = straight(Path::new(name))?;
        for (at, directory) in self.named.iter().enumerate() {
            let directory = straight(directory)?;
            let Ok(rest) = name.strip_prefix(&directory) else { continue };
            if directory.as_os_str().is_empty() && name.is_absolute() {
                continue;
            }
            let hidden =
                self.named[..at].iter().any(|it| draft.world.kind(&draft.call.absolute(it).join(rest)).is_some());
            return (!hidden && !rest.as_os_str().is_empty()).then(|| rest.as_os_str().to_owned());
        }
        None
    }
}

/// A path without `.`; `None` where there are `..`.
fn straight(path: &Path) -> Option<PathBuf> {
    if path.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    Some(path.components().filter(|part| *part != Component::CurDir).collect())
}

/// Adds to what a call reads all that `inputs` name, and what that names in turn.
///
/// # Errors
/// Where the word is followed by something else than a quoted name, and for a name that leads nowhere.
pub(super) fn follow(
    follow: &Follow,
    directories: &Directories,
    inputs: &[PathBuf],
    draft: &mut Draft<'_>,
) -> Result<(), Reason> {
    let mut pending = inputs.to_vec();
    let mut seen: HashSet<PathBuf> = pending.iter().cloned().collect();
    while let Some(path) = pending.pop() {
        let content = draft.world.read(&path).map_err(|_| Reason::MissingInput(path.clone()))?;
        let names = quoted(follow, &content)
            .ok_or_else(|| Reason::Includes(format!("`{}` without a plain name in {}", follow.word, path.display())))?;
        for name in names {
            let name = OsString::from_vec(name);
            let places = directories.named.iter().chain(&directories.system);
            let found = places
                .map(|directory| draft.call.absolute(directory).join(&name))
                .find(|path| draft.world.kind(path) == Some(FileKind::File));
            let found = found.ok_or_else(|| Reason::MissingInput(PathBuf::from(&name)))?;
            if seen.insert(found.clone()) {
                draft.reads.push(Read::File(found.clone()));
                pending.push(found);
            }
        }
    }
    Ok(())
}

/// The names after each `word` of a text with comments and strings as in C; `None` where something else follows.
fn quoted(follow: &Follow, text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let tokens = tokens(text)?;
    let mut out = Vec::new();
    let mut tokens = tokens.iter().peekable();
    while let Some(token) = tokens.next() {
        if *token != Token::Word(follow.word.as_bytes()) {
            continue;
        }
        while tokens.next_if(|it| follow.skip.iter().any(|skip| **it == Token::Word(skip.as_bytes()))).is_some() {}
        match (tokens.next(), tokens.peek()) {
            (Some(Token::Text(name)), Some(Token::Other(b';'))) if !name.is_empty() && !name.contains(&b'\\') => {
                out.push(name.to_vec());
            }
            _ => return None,
        }
    }
    Some(out)
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a [u8]),
    /// What stands in quotes, with its escapes.
    Text(&'a [u8]),
    Other(u8),
}

/// `None` where a comment or string does not end.
fn tokens(text: &[u8]) -> Option<Vec<Token<'_>>> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    let mut out = Vec::new();
    let mut rest = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    while let Some(&byte) = rest.first() {
        let taken = match byte {
            b'/' if rest.starts_with(b"//") => rest.iter().position(|&it| it == b'\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with(b"/*") => rest[2..].windows(2).position(|it| it == b"*/")? + 4,
            b'"' | b'\'' => {
                let mut end = 1;
                while *rest.get(end)? != byte {
                    end += if rest[end] == b'\\' { 2 } else { 1 };
                }
                out.push(Token::Text(&rest[1..end]));
                end + 1
            }
            _ if is_word(byte) => {
                let end = rest.iter().position(|&it| !is_word(it)).unwrap_or(rest.len());
                out.push(Token::Word(&rest[..end]));
                end
            }
            _ => {
                if !byte.is_ascii_whitespace() {
                    out.push(Token::Other(byte));
                }
                1
            }
        };
        rest = rest.get(taken..)?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Option<Vec<String>> {
        let form: Follow =
            toml::from_str("word = \"import\"\nskip = [\"public\"]\ndirectories = []\notherwise = \".\"").unwrap();
        let names = quoted(&form, text.as_bytes())?;
        Some(names.into_iter().map(|name| String::from_utf8(name).unwrap()).collect())
    }

    #[test]
    fn imports() {
        for (text, expected) in [
            ("import \"a\";import public 'b/c' ; x.import y;", Some(vec!["a", "b/c"])),
            ("// import \"a\";\n/* import \"b\"; */ string s = \"import\"; imports z;", Some(vec![])),
            ("import /* why */ \"a\" // because\n;", Some(vec!["a"])),
            ("string import = 1;", None),
            ("import \"a\" \"b\";", None),
            ("import \"a\\\"b\";", None),
            ("import \"a", None),
            ("/* import", None),
        ] {
            assert_eq!(names(text), expected.map(|it| it.into_iter().map(str::to_owned).collect()), "{text}");
        }
    }
}

//! Thunks: sealed descriptions of one computation.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::codec::{DecodeError, Reader, Writer};
use crate::{AbsPath, Kind, Name, Reference, Tag};

/// One computation: run `function` where exactly `inputs` are visible, and keep `outputs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thunk {
    /// What to run.
    pub function: Function,
    /// Everything that is visible to it, by path. A path may lie inside the tree of a shorter path: the two are merged,
    /// and the longer path wins. A file at [`Thunk::STDIN`] is its standard input, which is empty without one; a
    /// link at [`Thunk::STDERR`] tells where standard error goes.
    pub inputs: BTreeMap<AbsPath, Input>,
    /// What it writes.
    pub outputs: BTreeMap<Tag, Output>,
    /// How long it may take, in seconds; a hint to the engine, and part of the name since it can decide the result.
    pub timeout: Option<u32>,
    /// Whether the result tells more than the inputs say: the date, say. It is then made anew in each build.
    pub volatile: bool,
    /// Whether it fails when it writes a file that is no output. Compilers leave such files (dumps, side files), and the
    /// tree shall have them; of a program that somebody states by hand it is a mistake.
    pub strict: bool,
}

/// The program and what it is called with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// The program, which is among the inputs.
    pub executable: AbsPath,
    /// The argument vector, `argv[0]` included.
    pub args: Vec<OsString>,
    /// The whole environment.
    pub env: BTreeMap<OsString, OsString>,
    /// The working directory; made where no input makes it.
    pub cwd: AbsPath,
    /// The file mode creation mask.
    pub umask: u32,
}

/// One thing that is visible at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A regular file.
    File {
        /// Its content.
        object: Reference,
        /// Its permission bits.
        mode: u32,
    },
    /// A directory with all below it; the name of a [`crate::Tree`].
    Tree(Name),
    /// A symbolic link with this text.
    Symlink(OsString),
    /// A directory, empty but for what other inputs put there.
    Directory,
}

/// One file that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Where.
    pub path: AbsPath,
    /// The computation may succeed without it.
    pub optional: bool,
    /// The program may write a graph instead (`docs/ir.md`): what it stands for is then the output.
    pub dynamic: bool,
}

impl Output {
    /// A file that must be written, and is what it is.
    pub fn at(path: AbsPath) -> Self {
        Self { path, optional: false, dynamic: false }
    }
}

const MAGIC: &[u8; 3] = b"ggT";

impl Thunk {
    /// Where an input is not seen as a file, but read as standard input.
    pub const STDIN: &str = "/dev/stdin";

    /// Where an input that is a link to [`Thunk::STDOUT`] means that both are one, so that what is written stays in order. All
    /// of it counts as standard output then.
    pub const STDERR: &str = "/dev/stderr";

    /// See [`Thunk::STDERR`].
    pub const STDOUT: &str = "/dev/stdout";

    /// Whether standard output and error are one.
    pub fn is_merged(&self) -> bool {
        let link = AbsPath::new(Self::STDERR).ok().and_then(|path| self.inputs.get(&path));
        matches!(link, Some(Input::Symlink(target)) if target == Self::STDOUT)
    }

    /// Whether an input at this path is no file that the program sees.
    pub fn is_stream(path: &AbsPath) -> bool {
        [Self::STDIN, Self::STDERR].iter().any(|stream| stream.as_bytes() == path.as_bytes())
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new(MAGIC);
        let function = &self.function;
        w.bytes(function.executable.as_bytes());
        w.number(function.args.len() as u64);
        function.args.iter().for_each(|arg| w.text(arg));
        w.number(function.env.len() as u64);
        for (name, value) in &function.env {
            w.text(name);
            w.text(value);
        }
        w.bytes(function.cwd.as_bytes());
        w.number(function.umask.into());
        w.number(self.inputs.len() as u64);
        for (path, input) in &self.inputs {
            w.bytes(path.as_bytes());
            match input {
                Input::File { object, mode } => {
                    w.byte(b'f');
                    object.write(&mut w);
                    w.number((*mode).into());
                }
                Input::Tree(name) => {
                    w.byte(b't');
                    name.write(&mut w);
                }
                Input::Symlink(target) => {
                    w.byte(b'l');
                    w.text(target);
                }
                Input::Directory => w.byte(b'd'),
            }
        }
        w.number(self.outputs.len() as u64);
        for (tag, output) in &self.outputs {
            w.bytes(tag.as_str().as_bytes());
            w.bytes(output.path.as_bytes());
            w.flags(output.optional, output.dynamic);
        }
        // Zero stands for none: a computation that may take no time is never asked for.
        w.number(self.timeout.unwrap_or(0).into());
        w.flags(self.volatile, self.strict);
        w.finish()
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`DecodeError`] for anything that [`Thunk::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes, MAGIC, "thunk")?;
        let executable = r.path()?;
        let args = (0..r.number()?).map(|_| r.text()).collect::<Result<_, _>>()?;
        let env = r.map(Reader::text, Reader::text)?;
        let cwd = r.path()?;
        let umask = r.small()?;
        let inputs = r.map(Reader::path, read_input)?;
        let outputs = r.map(Reader::tag, |r| {
            let (path, (optional, dynamic)) = (r.path()?, r.flags()?);
            Ok(Output { path, optional, dynamic })
        })?;
        let timeout = Some(r.small()?).filter(|&seconds| seconds > 0);
        let (volatile, strict) = r.flags()?;
        r.finish()?;
        Ok(Self {
            function: Function { executable, args, env, cwd, umask },
            inputs,
            outputs,
            timeout,
            volatile,
            strict,
        })
    }

    /// The thunk's name.
    pub fn name(&self) -> Name {
        Name::of(Kind::Thunk, &self.encode())
    }

    /// The thunks whose outputs are inputs of this one, each as often as it is used.
    pub fn dependencies(&self) -> impl Iterator<Item = &Name> {
        self.inputs.values().filter_map(|input| match input {
            Input::File { object, .. } => object.thunk(),
            _ => None,
        })
    }
}

fn read_input(r: &mut Reader<'_>) -> Result<Input, DecodeError> {
    Ok(match r.byte()? {
        b'f' => Input::File { object: Reference::read(r)?, mode: r.small()? },
        b't' => Input::Tree(Name::read(r)?),
        b'l' => Input::Symlink(r.text()?),
        b'd' => Input::Directory,
        _ => return Err(r.invalid("kind of an input")),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = OsString> {
        vec(1u8.., 0..20).prop_map(OsString::from_vec)
    }

    fn path() -> impl Strategy<Value = AbsPath> {
        vec("[a-z.]{0,3}[a-z \n]", 0..4).prop_map(|parts| AbsPath::new(format!("/{}", parts.join("/"))).unwrap())
    }

    fn name(kind: Kind) -> impl Strategy<Value = Name> {
        any::<([u8; 32], u64)>().prop_map(move |(digest, length)| Name::from_parts(kind, digest, length))
    }

    fn tag() -> impl Strategy<Value = Tag> {
        "[a-zA-Z0-9._+-]{1,8}".prop_map(|text| Tag::new(text).unwrap())
    }

    fn reference() -> impl Strategy<Value = Reference> {
        prop_oneof![
            name(Kind::Value).prop_map(Reference::Value),
            (name(Kind::Thunk), tag()).prop_map(|(name, tag)| Reference::Output(name, tag)),
        ]
    }

    fn input() -> impl Strategy<Value = Input> {
        prop_oneof![
            (reference(), 0u32..0o10000).prop_map(|(object, mode)| Input::File { object, mode }),
            name(Kind::Value).prop_map(Input::Tree),
            text().prop_map(Input::Symlink),
            Just(Input::Directory),
        ]
    }

    prop_compose! {
        fn thunk()(
            executable in path(), args in vec(text(), 0..5), env in btree_map(text(), text(), 0..5), cwd in path(),
            umask in 0u32..0o1000, inputs in btree_map(path(), input(), 0..8),
            outputs in btree_map(tag(), (path(), any::<[bool; 2]>()), 0..4), timeout in proptest::option::of(1u32..),
            flags in any::<[bool; 2]>(),
        ) -> Thunk {
            let [volatile, strict] = flags;
            let output = |(tag, (path, [optional, dynamic])): (Tag, (AbsPath, [bool; 2]))| (tag, Output { path, optional, dynamic });
            let outputs = outputs.into_iter().map(output).collect();
            Thunk { function: Function { executable, args, env, cwd, umask }, inputs, outputs, timeout, volatile, strict }
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(thunk in thunk()) {
            prop_assert_eq!(Thunk::decode(&thunk.encode()), Ok(thunk));
        }

        #[test]
        fn truncated_is_an_error(thunk in thunk(), at: prop::sample::Index) {
            let bytes = thunk.encode();
            prop_assert!(Thunk::decode(&bytes[..at.index(bytes.len())]).is_err());
        }

        #[test]
        fn one_spelling(thunk in thunk(), at: prop::sample::Index, byte: u8) {
            let mut bytes = thunk.encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(read) = Thunk::decode(&bytes) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }

        #[test]
        fn garbage_does_not_panic(mut bytes: Vec<u8>) {
            let _ = Thunk::decode(&bytes);
            bytes.splice(0..0, *b"ggT\x01");
            let _ = Thunk::decode(&bytes);
        }
    }

    #[test]
    fn the_name_is_the_same_on_every_machine() {
        let thunk = Thunk {
            function: Function {
                executable: AbsPath::new("/usr/bin/cc").unwrap(),
                args: ["cc", "-c", "a.c"].map(OsString::from).to_vec(),
                env: [("PATH".into(), "/usr/bin".into())].into(),
                cwd: AbsPath::new("/p").unwrap(),
                umask: 0o22,
            },
            inputs: [(
                AbsPath::new("/p/a.c").unwrap(),
                Input::File { object: Reference::Value(Name::of_value(b"int x;\n")), mode: 0o644 },
            )]
            .into(),
            outputs: [(Tag::new("o").unwrap(), Output::at(AbsPath::new("/p/a.o").unwrap()))].into(),
            timeout: None,
            volatile: false,
            strict: false,
        };
        assert_eq!(thunk.name().to_string(), "TfTxuFT7ILHis_O6VG_-344Y1Q5lj0kHsrggVUbxZpmY00000068");
    }
}

//! What the pool asks of a worker process, and what that answers.

use std::ffi::OsString;
use std::io;
use std::ops::Deref;

use crate::codec::{Reader, Writer};
use crate::shelf::{Piece, Shelf};

/// Bytes of a file: on the shelf, or where that has no room part of the frame.
#[derive(Clone, Debug)]
pub(crate) enum Content<'a> {
    /// On the request's shelf; on the pool's side only.
    Shelved(Piece),
    Owned(Vec<u8>),
    Borrowed(&'a [u8]),
}

impl Deref for Content<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Content::Shelved(bytes) => bytes,
            Content::Owned(bytes) => bytes,
            Content::Borrowed(bytes) => bytes,
        }
    }
}

impl PartialEq for Content<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Content<'_> {}

/// One step of building the sandbox's root. Parents come before what they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Op<'a> {
    /// Relative to the root, without `.` and `..`; no component of it but the last is a symlink.
    pub path: OsString,
    pub what: What<'a>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What<'a> {
    /// A directory of the sandbox's own.
    Dir { mode: u32 },
    /// A regular file with these bytes.
    File { mode: u32, content: Content<'a> },
    /// A regular file that is a copy of one of the host's.
    Copy { mode: u32, source: OsString },
    /// A symbolic link.
    Link { target: OsString },
    /// A read-only view of a file or directory of the host's.
    Bind { source: OsString, directory: bool },
    /// The same at a place in a directory that an earlier step mounted, where there is something of its kind.
    Over { source: OsString },
}

/// One program to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    pub executable: OsString,
    pub args: Vec<OsString>,
    /// `NAME=value`.
    pub env: Vec<OsString>,
    pub cwd: OsString,
    pub umask: u32,
    /// Nanoseconds from the start of the program.
    pub timeout_ns: u64,
    /// The host's file that is standard input; empty: none.
    pub stdin: OsString,
    /// Standard error goes where standard output goes.
    pub merged: bool,
    pub terminal: bool,
    /// It is a person's visit: the program stays in the caller's session, so that it can have the terminal.
    pub visit: bool,
    /// Bytes of data that each process may have; 0 for no limit.
    pub memory_limit: u64,
    /// Absolute paths.
    pub outputs: Vec<OsString>,
    /// Directories, relative to the root, where what is not planned is of no interest.
    pub temporary: Vec<OsString>,
    pub ops: Vec<Op<'a>>,
}

impl<'a> Request<'a> {
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.text(&self.executable);
        w.list(self.args.iter(), Writer::text);
        w.list(self.env.iter(), Writer::text);
        w.text(&self.cwd);
        w.small(self.umask);
        w.number(self.timeout_ns);
        w.text(&self.stdin);
        w.byte(self.merged.into());
        w.byte(self.terminal.into());
        w.byte(self.visit.into());
        w.number(self.memory_limit);
        w.list(self.outputs.iter(), Writer::text);
        w.list(self.temporary.iter(), Writer::text);
        w.list(self.ops.iter(), write_op);
        w.0
    }

    /// With the shelf that the request refers to, if it does.
    pub fn decode(frame: &'a [u8], shelf: Option<&'a Shelf>) -> io::Result<Self> {
        let mut r = Reader(frame);
        Ok(Self {
            executable: r.text()?,
            args: r.list(Reader::text)?,
            env: r.list(Reader::text)?,
            cwd: r.text()?,
            umask: r.small()?,
            timeout_ns: r.number()?,
            stdin: r.text()?,
            merged: r.byte()? != 0,
            terminal: r.byte()? != 0,
            visit: r.byte()? != 0,
            memory_limit: r.number()?,
            outputs: r.list(Reader::text)?,
            temporary: r.list(Reader::text)?,
            ops: r.list(|r| read_op(r, shelf))?,
        })
    }
}

fn write_op(w: &mut Writer, op: &Op<'_>) {
    w.text(&op.path);
    match &op.what {
        What::Dir { mode } => {
            w.byte(b'd');
            w.small(*mode);
        }
        What::File { mode, content } => {
            w.byte(if matches!(content, Content::Shelved(_)) { b's' } else { b'f' });
            w.small(*mode);
            match content {
                Content::Shelved(piece) => {
                    w.number(piece.place().start as u64);
                    w.number(piece.place().end as u64);
                }
                content => w.bytes(content),
            }
        }
        What::Copy { mode, source } => {
            w.byte(b'c');
            w.small(*mode);
            w.text(source);
        }
        What::Link { target } => {
            w.byte(b'l');
            w.text(target);
        }
        What::Bind { source, directory } => {
            w.byte(if *directory { b'B' } else { b'b' });
            w.text(source);
        }
        What::Over { source } => {
            w.byte(b'o');
            w.text(source);
        }
    }
}

fn read_op<'a>(r: &mut Reader<'a>, shelf: Option<&'a Shelf>) -> io::Result<Op<'a>> {
    let path = r.text()?;
    let what = match r.byte()? {
        b'd' => What::Dir { mode: r.small()? },
        b'f' => What::File { mode: r.small()?, content: Content::Borrowed(r.bytes()?) },
        b's' => {
            let (mode, start, end) = (r.small()?, r.number()?, r.number()?);
            let place = usize::try_from(start).ok().zip(usize::try_from(end).ok());
            match shelf.zip(place).and_then(|(shelf, (start, end))| shelf.get(start..end)) {
                Some(bytes) => What::File { mode, content: Content::Borrowed(bytes) },
                None => return r.invalid(),
            }
        }
        b'c' => What::Copy { mode: r.small()?, source: r.text()? },
        b'l' => What::Link { target: r.text()? },
        b'B' => What::Bind { source: r.text()?, directory: true },
        b'b' => What::Bind { source: r.text()?, directory: false },
        b'o' => What::Over { source: r.text()? },
        _ => return r.invalid(),
    };
    Ok(Op { path, what })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;
    use crate::shelf::Shelves;

    #[test]
    fn requests_survive_the_wire() {
        let mut shelves = Shelves::default();
        let shelf = shelves.current().unwrap();
        let piece = shelves.put(&shelf, &gg_ir::Name::of_value(b"shared"), b"shared").unwrap();
        let op = |what| Op { path: OsString::from_vec(b"a \n\xff".to_vec()), what };
        let request = Request {
            executable: "/bin/x".into(),
            args: vec!["x".into(), "".into()],
            env: vec!["A=b".into()],
            cwd: "/".into(),
            umask: 0o22,
            timeout_ns: 7,
            stdin: "/i".into(),
            merged: true,
            terminal: true,
            visit: true,
            memory_limit: 9,
            outputs: vec!["/o".into()],
            temporary: vec!["tmp".into()],
            ops: vec![
                op(What::Dir { mode: 0o1777 }),
                op(What::File { mode: 0o644, content: Content::Owned(b"bytes".to_vec()) }),
                op(What::File { mode: 0o644, content: Content::Shelved(piece) }),
                op(What::Copy { mode: 0o755, source: "/s".into() }),
                op(What::Link { target: "t".into() }),
                op(What::Bind { source: "/b".into(), directory: true }),
                op(What::Bind { source: "/b".into(), directory: false }),
                op(What::Over { source: "/o".into() }),
            ],
        };
        let bytes = request.encode();
        assert_eq!(Request::decode(&bytes, Some(&shelf)).unwrap(), request);
        assert!(Request::decode(&bytes, None).is_err());
        for end in 0..bytes.len() {
            assert!(Request::decode(&bytes[..end], Some(&shelf)).is_err(), "{end}");
        }
    }
}

//! What a worker process answers.

use std::ffi::OsString;
use std::io;

use gg_ir::Cost;

use crate::Status;
use crate::codec::{Reader, Writer};

/// A file that the program wrote; its descriptor travels with the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The output's index in the request, or the path, relative to the root, of what was not declared.
    pub which: Which,
    /// Its permission bits.
    pub mode: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Declared(u32),
    Undeclared(OsString),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The program ended by itself.
    Ran {
        status: Status,
        cost: Cost,
    },
    /// `execve` failed.
    CannotStart {
        errno: i32,
    },
    /// A step before that failed.
    Setup {
        step: String,
        errno: i32,
    },
    /// The sandbox's first process died.
    Died {
        signal: Option<i32>,
    },
    /// The relocated sandbox is not for this program.
    Unfit {
        reason: String,
    },
    TimedOut,
    Cancelled,
}

/// One frame from a worker process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The worker is ready, or why it cannot be.
    Hello(Result<(), String>),
    /// Files, with as many descriptors. Any number of these frames come before the end.
    Files(Vec<Written>),
    /// The end of the run.
    End { ended: Ended, stdout: Vec<u8>, stderr: Vec<u8> },
}

impl Reply {
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        match self {
            Reply::Hello(ready) => {
                w.byte(b'h');
                w.text(ready.as_ref().err().map_or("", String::as_str));
            }
            Reply::Files(files) => {
                w.byte(b'f');
                w.list(files.iter(), |w, file| {
                    match &file.which {
                        Which::Declared(index) => {
                            w.byte(b'd');
                            w.small(*index);
                        }
                        Which::Undeclared(path) => {
                            w.byte(b'u');
                            w.text(path);
                        }
                    }
                    w.small(file.mode);
                });
            }
            Reply::End { ended, stdout, stderr } => {
                w.byte(b'e');
                ended.write(&mut w);
                w.bytes(stdout);
                w.bytes(stderr);
            }
        }
        w.0
    }

    pub fn decode(frame: &[u8]) -> io::Result<Self> {
        let mut r = Reader(frame);
        Ok(match r.byte()? {
            b'h' => {
                let reason = read_string(&mut r)?;
                Reply::Hello(if reason.is_empty() { Ok(()) } else { Err(reason) })
            }
            b'f' => Reply::Files(r.list(|r| {
                let which = match r.byte()? {
                    b'd' => Which::Declared(r.small()?),
                    b'u' => Which::Undeclared(r.text()?),
                    _ => return r.invalid(),
                };
                Ok(Written { which, mode: r.small()? })
            })?),
            b'e' => {
                Reply::End { ended: Ended::read(&mut r)?, stdout: r.bytes()?.to_vec(), stderr: r.bytes()?.to_vec() }
            }
            _ => return r.invalid(),
        })
    }
}

fn read_string(r: &mut Reader<'_>) -> io::Result<String> {
    Ok(String::from_utf8_lossy(r.bytes()?).into_owned())
}

impl Ended {
    pub fn write(&self, w: &mut Writer) {
        match self {
            Ended::Ran { status, cost } => {
                let (kind, number) = match *status {
                    Status::Exited(code) => (b'x', code),
                    Status::Signalled(signal) => (b's', signal),
                    Status::OverTime => (b'o', 0),
                };
                w.byte(kind);
                w.small(number as u32);
                [cost.wall_us, cost.cpu_us, cost.peak_kib].into_iter().for_each(|n| w.number(n));
            }
            Ended::CannotStart { errno } => {
                w.byte(b'n');
                w.small(*errno as u32);
            }
            Ended::Setup { step, errno } => {
                w.byte(b'u');
                w.text(step);
                w.small(*errno as u32);
            }
            Ended::Died { signal } => {
                w.byte(b'd');
                w.small(signal.unwrap_or(0) as u32);
            }
            Ended::Unfit { reason } => {
                w.byte(b'f');
                w.text(reason);
            }
            Ended::TimedOut => w.byte(b't'),
            Ended::Cancelled => w.byte(b'c'),
        }
    }

    pub fn read(r: &mut Reader<'_>) -> io::Result<Self> {
        Ok(match r.byte()? {
            kind @ (b'x' | b's' | b'o') => {
                let number = r.small()? as i32;
                let status = match kind {
                    b'x' => Status::Exited(number),
                    b's' => Status::Signalled(number),
                    _ => Status::OverTime,
                };
                let cost = Cost { wall_us: r.number()?, cpu_us: r.number()?, peak_kib: r.number()? };
                Ended::Ran { status, cost }
            }
            b'n' => Ended::CannotStart { errno: r.small()? as i32 },
            b'u' => Ended::Setup { step: read_string(r)?, errno: r.small()? as i32 },
            b'd' => Ended::Died { signal: Some(r.small()? as i32).filter(|&signal| signal != 0) },
            b'f' => Ended::Unfit { reason: read_string(r)? },
            b't' => Ended::TimedOut,
            b'c' => Ended::Cancelled,
            _ => return r.invalid(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_survive_the_wire() {
        let cost = Cost { wall_us: 1, cpu_us: 2, peak_kib: 3 };
        let end = |ended| Reply::End { ended, stdout: b"o".to_vec(), stderr: vec![0xff; 300] };
        for reply in [
            Reply::Hello(Ok(())),
            Reply::Hello(Err("why".into())),
            Reply::Files(vec![
                Written { which: Which::Declared(3), mode: 0o644 },
                Written { which: Which::Undeclared("a/b".into()), mode: 0o755 },
            ]),
            end(Ended::Ran { status: Status::Exited(1), cost }),
            end(Ended::Ran { status: Status::Signalled(9), cost }),
            end(Ended::CannotStart { errno: 2 }),
            end(Ended::Setup { step: "bind x".into(), errno: 1 }),
            end(Ended::Died { signal: None }),
            end(Ended::Died { signal: Some(9) }),
            end(Ended::Unfit { reason: "x is static".into() }),
            end(Ended::TimedOut),
            end(Ended::Cancelled),
        ] {
            let bytes = reply.encode();
            assert_eq!(Reply::decode(&bytes).unwrap(), reply);
            assert!(Reply::decode(&bytes[..bytes.len() - 1]).is_err());
        }
    }
}

//! A record as a file: two Zstandard frames of JSON, the first with all but the steps, the second with one step after the other.
//! So a build writes it without holding it, and a list of runs reads the beginnings alone.

use std::io::{self, BufRead, Read, Write};

use super::record::{Record, StepRecord, VERSION};

/// Quick, and small enough: most of a record is much like the rest of it.
const LEVEL: i32 = 3;

/// What a Zstandard frame begins with (RFC 8878, 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Why bytes are no record.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// They cannot be read or unpacked.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// They are no JSON of this form.
    #[error("it is no record of a build: {0}")]
    Malformed(#[from] serde_json::Error),
    /// They are of another gg.
    #[error("it is of version {0}, and this gg reads version {VERSION}; use the gg that wrote it")]
    Version(u32),
}

/// Writes a record; `steps` are its steps, and those in `head` are left out.
///
/// # Errors
/// Whatever `out` says.
pub fn write(head: &Record, steps: impl Iterator<Item = StepRecord>, out: impl Write) -> io::Result<()> {
    let mut frame = zstd::Encoder::new(out, LEVEL)?;
    if head.steps.is_empty() {
        serde_json::to_writer(&mut frame, head)?;
    } else {
        serde_json::to_writer(&mut frame, &Record { steps: Vec::new(), ..head.clone() })?;
    }
    let out = frame.finish()?;
    let mut frame = zstd::Encoder::new(out, LEVEL)?;
    let mut line = Vec::new();
    for step in steps {
        line.clear();
        serde_json::to_writer(&mut line, &step)?;
        line.push(b'\n');
        frame.write_all(&line)?;
    }
    frame.finish()?.flush()
}

fn checked(record: Record) -> Result<Record, FileError> {
    if record.version == VERSION { Ok(record) } else { Err(FileError::Version(record.version)) }
}

/// Reads all but the steps, of what [`write()`] wrote.
///
/// # Errors
/// [`FileError`].
pub fn read_head(bytes: impl BufRead) -> Result<Record, FileError> {
    let mut text = Vec::new();
    zstd::Decoder::with_buffer(bytes)?.single_frame().read_to_end(&mut text)?;
    checked(serde_json::from_slice(&text)?)
}

/// Reads a record: what [`write()`] wrote, or one document of JSON as `gg report --json` and `gg simulate --report` print it.
///
/// # Errors
/// [`FileError`].
pub fn read(mut bytes: impl BufRead) -> Result<Record, FileError> {
    if !bytes.fill_buf()?.starts_with(&MAGIC) {
        let mut text = Vec::new();
        bytes.read_to_end(&mut text)?;
        return checked(serde_json::from_slice(&text)?);
    }
    let mut record = read_head(&mut bytes)?;
    let mut text = Vec::new();
    zstd::Decoder::with_buffer(bytes)?.read_to_end(&mut text)?;
    let steps = serde_json::Deserializer::from_slice(&text).into_iter::<StepRecord>();
    record.steps = steps.collect::<Result<_, _>>()?;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::super::record::{AttemptRecord, End, Served};
    use super::*;

    fn record() -> Record {
        let step = |number: u32| StepRecord {
            thunk: format!("T{number}"),
            served: if number.is_multiple_of(2) { Served::NotRun } else { Served::Executed },
            needs: (0..number).collect(),
            stderr: Some("</script>\u{1b}[31m\n".into()),
            attempts: vec![AttemptRecord { end: End::Beaten, duplicate: true, run_us: 7, ..AttemptRecord::default() }],
            ..StepRecord::default()
        };
        Record {
            version: VERSION,
            root: "/p".into(),
            steps: (0..50).map(step).collect(),
            notices: vec!["x".into()],
            ..Record::default()
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let record = record();
        let mut file = Vec::new();
        write(&record, record.steps.iter().cloned(), &mut file).unwrap();
        let back = read(&file[..]).unwrap();
        assert_eq!((&back.steps, &back.notices, &back.root), (&record.steps, &record.notices, &record.root));
        let head = read_head(&file[..]).unwrap();
        assert_eq!((head.steps.len(), head.notices), (0, back.notices));
        let text = serde_json::to_vec(&record).unwrap();
        assert_eq!(read(&text[..]).unwrap().steps, record.steps);
    }

    #[test]
    fn what_is_no_record() {
        let record = record();
        let mut file = Vec::new();
        write(&record, record.steps.iter().cloned(), &mut file).unwrap();
        assert!(matches!(read(&file[..file.len() - 5]), Err(FileError::Io(_))));
        assert!(matches!(read(&b"no JSON"[..]), Err(FileError::Malformed(_))));
        assert!(matches!(read(&b"{}"[..]), Err(FileError::Version(0))));
        assert!(matches!(read(&br#"{"version":99}"#[..]), Err(FileError::Version(99))));
    }
}

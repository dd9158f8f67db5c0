//! From files that a program wrote to values in the store.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use gg_ir::{Hasher, Kind, Made, Name, Reference};
use gg_store::{Store, StoreError};

use crate::error::{Result, at};

/// Files up to this length are hashed in memory before anything is written, since the store often holds them already.
const SMALL: u64 = 1 << 20;

/// Reads an open file from its beginning, puts its bytes into the store, and names them.
pub(crate) fn import(store: &Store, fd: OwnedFd, mode: u32) -> Result<Made> {
    let mut file = File::from(fd);
    let read = |error: io::Error| at("read", "an output")(error);
    io::Seek::rewind(&mut file).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    let name = if length <= SMALL {
        let mut bytes = Vec::with_capacity(length as usize + 1);
        file.read_to_end(&mut bytes).map_err(read)?;
        store.put(Kind::Value, &bytes)?
    } else {
        stream(store, &mut file)?
    };
    Ok(Made { object: Reference::Value(name), mode: mode & 0o7777 })
}

fn stream(store: &Store, file: &mut File) -> Result<Name> {
    let mut staged = store.stage()?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let got = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(at("read", "an output")(error)),
        };
        hasher.update(&buffer[..got]);
        staged.file.write_all(&buffer[..got]).map_err(|error| StoreError::io("write", &staged.path, error))?;
    }
    let name = hasher.finish(Kind::Value);
    store.adopt(staged, &name)?;
    Ok(name)
}

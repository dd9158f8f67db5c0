//! The function's program, as the service wants it.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Architecture, Endianness, Object};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// What `cargo build` calls it.
const NAME: &str = "gg-lambda-worker";
/// What a custom runtime starts (AWS Lambda Developer Guide, "Building a custom runtime").
const ENTRY: &str = "bootstrap";

/// A program in its archive.
#[derive(Debug)]
pub struct Program {
    /// The archive: the same bytes for the same program.
    pub archive: Vec<u8>,
    /// `x86_64` or `arm64`, as the service names them.
    pub architecture: &'static str,
}

impl Program {
    /// Reads the program that is said, or the one beside this program.
    ///
    /// # Errors
    /// When there is none, or it is not one that can be a function.
    pub fn read(said: Option<&Path>) -> Result<Self> {
        let path = match said {
            Some(path) => path.to_owned(),
            None => beside_us()?,
        };
        let bytes = std::fs::read(&path).with_context(|| {
            let shown = path.display();
            format!("cannot read {shown}, the function's program: `cargo build --release -p gg-lambda` makes {NAME}; --worker says where it is")
        })?;
        let architecture = architecture(&bytes).with_context(|| format!("{} cannot be a function", path.display()))?;
        Ok(Self { archive: archive(&bytes).context("cannot make the function's archive")?, architecture })
    }

    /// Its place in the bucket, which the archive's content decides.
    pub fn key(&self) -> String {
        let name = gg_ir::Name::of_value(&self.archive);
        let digest: String = name.digest().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}{digest}.zip", super::PROGRAMS)
    }
}

fn beside_us() -> Result<PathBuf> {
    let us = std::env::current_exe().context("cannot tell where gg itself is")?;
    Ok(us.with_file_name(NAME))
}

/// What it runs on.
fn architecture(bytes: &[u8]) -> Result<&'static str> {
    let elf = ElfFile64::<Endianness>::parse(bytes).context("it is no 64-bit ELF program")?;
    let endian = elf.endian();
    if elf.elf_program_headers().iter().any(|header| header.p_type(endian) == object::elf::PT_INTERP) {
        bail!("it is not linked statically, so it may not start there; build it in gg's own source tree");
    }
    match elf.architecture() {
        Architecture::X86_64 => Ok("x86_64"),
        Architecture::Aarch64 => Ok("arm64"),
        other => bail!("it is for {other:?}; functions are x86_64 or arm64"),
    }
}

fn archive(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o755);
    zip.start_file(ENTRY, options)?;
    zip.write_all(bytes)?;
    Ok(zip.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_no_function() {
        let told = |bytes: &[u8]| format!("{:#}", architecture(bytes).unwrap_err());
        assert!(told(b"#!/bin/sh\n").contains("no 64-bit ELF"));
        // A shell is linked dynamically wherever there is one.
        let shell = std::fs::read("/bin/sh").unwrap();
        assert!(told(&shell).contains("statically"));
    }

    #[test]
    fn an_archive_is_the_same_each_time() {
        let first = archive(b"program").unwrap();
        assert_eq!(first, archive(b"program").unwrap());
        let mut zip = zip::ZipArchive::new(Cursor::new(first)).unwrap();
        let entry = zip.by_name(ENTRY).unwrap();
        assert_eq!((entry.unix_mode().map(|mode| mode & 0o777), entry.size()), (Some(0o755), 7));
    }
}

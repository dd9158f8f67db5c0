//! How fast the parts of gg are by themselves.
//!
//! - `bench-parts scan DIRECTORY [-I DIRECTORY]...`: the include scanner over the `.c` files directly in a directory, beside
//!   `gcc -M` of each
//! - `bench-parts store DIRECTORY`: hashing files, storing bytes and importing files, below a new directory
//!
//! Prints a list of JSON objects: `label`, `figure`, its `unit`, and `beside`, what it is to be compared with.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use gg_ir::{Kind, Name};
use gg_models::scan::{ScanRequest, Scanner, Search, SearchDir, Syntax};
use gg_models::{Answer, Environment, FileKind, World};
use gg_store::Store;

type Any<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Any {
    let mut arguments = std::env::args_os().skip(1);
    let (what, directory) = (arguments.next().unwrap_or_default(), arguments.next().ok_or("no directory is given")?);
    let rows = match what.to_str() {
        Some("scan") => scan(Path::new(&directory), &arguments.collect::<Vec<_>>()),
        Some("store") => store(Path::new(&directory)),
        _ => Err("bench-parts scan|store DIRECTORY".into()),
    };
    println!("{}", serde_json::to_string(&rows?)?);
    Ok(())
}

/// Seconds of CPU time of this process, or of the children that it has waited for.
fn cpu(who: libc::c_int) -> f64 {
    // SAFETY: getrusage fills the structure; all zeros is a valid one.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(who, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// The CPU seconds that `work` takes in this process, and what it gives.
fn timed<T>(work: impl FnOnce() -> Any<T>) -> Any<(f64, T)> {
    let before = cpu(libc::RUSAGE_SELF);
    let made = work()?;
    Ok((cpu(libc::RUSAGE_SELF) - before, made))
}

/// What was measured.
type Rows = Vec<serde_json::Value>;

fn row(label: &str, figure: f64, unit: &str, beside: &str) -> serde_json::Value {
    serde_json::json!({ "label": label, "figure": figure, "unit": unit, "beside": beside })
}

/// The disk, with contents kept as a session keeps them: a file that has its stamp is not read again.
#[derive(Default)]
struct Disk(Mutex<HashMap<PathBuf, Kept>>);

/// A file's size, its time of change, and its content.
type Kept = (u64, i64, Arc<[u8]>);

impl World for Disk {
    fn kind(&self, path: &Path) -> Option<FileKind> {
        let info = fs::metadata(path).ok()?;
        Some(if info.is_dir() { FileKind::Directory } else { FileKind::File })
    }

    fn read(&self, path: &Path) -> io::Result<Arc<[u8]>> {
        let info = fs::metadata(path)?;
        let mut kept = self.0.lock().map_err(|_| io::Error::other("a thread panicked"))?;
        if let Some((size, changed, content)) = kept.get(path)
            && (*size, *changed) == (info.len(), info.ctime())
        {
            return Ok(Arc::clone(content));
        }
        let content: Arc<[u8]> = fs::read(path)?.into();
        kept.insert(path.into(), (info.len(), info.ctime(), Arc::clone(&content)));
        Ok(content)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let mut names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    fn ask(&self, _: &[OsString], _: &Path, _: &Environment) -> io::Result<Answer> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Where gcc looks for headers by itself, as `gcc -v` lists it.
fn built_in() -> Any<Vec<PathBuf>> {
    let asked = Command::new("gcc").args(["-xc", "-E", "-v", "/dev/null"]).output()?;
    let text = String::from_utf8(asked.stderr)?;
    let listed = text.lines().skip_while(|line| !line.starts_with("#include <")).skip(1);
    Ok(listed.take_while(|line| line.starts_with(' ')).map(|line| PathBuf::from(line.trim())).collect())
}

fn scan(directory: &Path, flags: &[OsString]) -> Any<Rows> {
    let directory = directory.canonicalize()?;
    let mut files: Vec<PathBuf> = fs::read_dir(&directory)?
        .map(|entry| Ok(entry?.file_name().into()))
        .filter(|name: &io::Result<PathBuf>| name.as_ref().is_ok_and(|name| name.extension() == Some("c".as_ref())))
        .collect::<io::Result<_>>()?;
    files.sort();
    let wanted = flags.iter().filter(|flag| *flag != "-I").map(|name| directory.join(name));
    let mut bracket: Vec<SearchDir> = wanted.map(|path| SearchDir { path, system: false }).collect();
    bracket.extend(built_in()?.into_iter().map(|path| SearchDir { path, system: true }));
    let search = Search { quote: Vec::new(), bracket };

    let before = cpu(libc::RUSAGE_CHILDREN);
    let mut made = 0;
    for file in &files {
        let mut gcc = Command::new("gcc");
        gcc.arg("-M").args(flags).arg(file).current_dir(&directory);
        // A file that needs a generated header ends early; the scanner reads it whole all the same.
        made += usize::from(gcc.output()?.status.success());
    }
    let gcc = (cpu(libc::RUSAGE_CHILDREN) - before) / files.len() as f64;

    let (world, scanner) = (Disk::default(), Scanner::new());
    let scan_all = || -> Any<usize> {
        let mut reads = 0;
        for file in &files {
            let request = ScanRequest {
                cwd: &directory,
                sources: vec![file.clone()],
                forced: Vec::new(),
                search: &search,
                defines: Vec::new(),
                assembler_dirs: Vec::new(),
                syntax: Syntax::C,
            };
            reads += scanner.scan(&world, &request)?.reads.len();
        }
        Ok(reads)
    };
    let (cold, reads) = timed(scan_all)?;
    let (warm, _) = timed(|| (0..5).map(|_| scan_all()).sum::<Any<usize>>())?;
    let (cold, warm) = (cold / files.len() as f64, warm / 5.0 / files.len() as f64);
    let label = format!("gcc -M, {} files ({made} succeed): CPU each", files.len());
    let mut rows = vec![row(&label, gcc * 1e3, "ms", "")];
    for (label, each) in [("cold", cold), ("warm", warm)] {
        let reads = reads as f64 / files.len() as f64;
        let label = format!("include scan, {label} ({reads:.0} reads each): CPU each");
        rows.push(row(&label, each * 1e3, "ms", &format!("gcc -M takes {:.0} times as much", gcc / each)));
    }
    Ok(rows)
}

/// `length` bytes that no other `number` has.
fn bytes(number: usize, length: usize) -> Vec<u8> {
    let mut state = number as u64 + 1;
    let mut next = || {
        // Knuth's MMIX generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn store(directory: &Path) -> Any<Rows> {
    const MEGA: f64 = 1e6;
    let (large, small): (Vec<_>, Vec<_>) = (
        (0..16).map(|number| bytes(number, 4 << 20)).collect(),
        (0..4000).map(|number| bytes(1000 + number, 8 << 10)).collect(),
    );
    let megabytes = |all: &[Vec<u8>]| all.iter().map(Vec::len).sum::<usize>() as f64 / MEGA;
    let mut rows = Rows::new();
    let mut speed = |label: &str, all: &[Vec<u8>], (used, wall): (f64, f64)| {
        let beside = format!("{:.0} objects/s of CPU, {:.0} of wall", all.len() as f64 / used, all.len() as f64 / wall);
        rows.push(row(label, megabytes(all) / used, "MB/s", &beside));
    };
    let measured = |work: &mut dyn FnMut() -> Any| -> Any<(f64, f64)> {
        let began = Instant::now();
        let (used, ()) = timed(work)?;
        Ok((used, began.elapsed().as_secs_f64()))
    };

    speed(
        "hash, in memory, 4 MB each",
        &large,
        measured(&mut || {
            for content in &large {
                std::hint::black_box(Name::of(Kind::Value, content));
            }
            Ok(())
        })?,
    );
    for (kind, all) in [("4 MB", &large), ("8 KB", &small)] {
        let files = directory.join(format!("files {kind}"));
        fs::create_dir_all(&files)?;
        let path = |number: usize| files.join(number.to_string());
        all.iter().enumerate().try_for_each(|(number, content)| fs::write(path(number), content))?;
        let each = |work: &dyn Fn(&Path) -> Any| (0..all.len()).try_for_each(|number| work(&path(number)));

        let hashing = Store::open(&directory.join(format!("hash {kind}")))?;
        let used = measured(&mut || each(&|file| Ok(hashing.hash(file).map(drop)?)))?;
        speed(&format!("hash, files of {kind}"), all, used);
        let putting = Store::open(&directory.join(format!("put {kind}")))?;
        let put = |content: &Vec<u8>| Ok(putting.put(Kind::Value, content).map(drop)?);
        speed(&format!("store, {kind} each"), all, measured(&mut || all.iter().try_for_each(put))?);
        speed(&format!("store again, {kind} each"), all, measured(&mut || all.iter().try_for_each(put))?);
        let importing = Store::open(&directory.join(format!("import {kind}")))?;
        let used = measured(&mut || each(&|file| Ok(importing.import(file).map(drop)?)))?;
        speed(&format!("import, files of {kind}"), all, used);
    }
    Ok(rows)
}

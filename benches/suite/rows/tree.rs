//! A synthetic tree of the size of Chromium, or a part of that: inferred, its thunks on the disk, and inferred again after one
//! header has changed; beside the same make with a do-nothing compiler.
//!
//! Make it is, and not ninja: ninja reads what its jobs say through pipes, and gg has a job whose output is read run at once.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::bench::{Bench, empty, path_with};
use crate::line::{Line, Unit, taken};
use crate::{Any, nothing, peers};

/// C++ files at size 1.
const FILES: f64 = 40_000.0;
/// Seconds of wall time at size 1.
const WALL: f64 = 60.0;
/// Bytes of the session at size 1.
const MEMORY: f64 = 1.5e9;
/// Bytes of a thunk.
const THUNK: f64 = 2e3;
/// After a change: of the do-nothing make's time.
const AGAIN: f64 = 2.0;

/// What was written.
struct Tree {
    root: PathBuf,
    /// What `tree.txt` says, by its first word.
    about: Vec<(String, String)>,
}

impl Tree {
    fn write(bench: &Bench, name: &str, files: u32) -> Any<Self> {
        let root = bench.work.join("tree").join(name);
        empty(&root)?;
        fs::create_dir_all(bench.work.join("tree"))?;
        bench.must(bench.command(bench.program("bench-tree")?).arg(&root).args([
            "--files",
            &files.to_string(),
            "--shared",
            &bench.shared.to_string(),
        ]))?;
        let text = fs::read_to_string(root.join("tree.txt"))?;
        let about = text.lines().filter_map(|line| line.split_once(' ')).map(|(word, rest)| (word.into(), rest.into()));
        Ok(Self { root, about: about.collect() })
    }

    fn about(&self, word: &str) -> Any<&str> {
        let found = self.about.iter().find(|(first, _)| first == word);
        found.map(|(_, rest)| rest.as_str()).with_context(|| format!("tree.txt does not tell {word}"))
    }

    /// Changes the header that one source in a hundred reaches; the number of the sources.
    fn change(&self) -> Any<String> {
        let (header, users) = self.about("one-percent-header")?.split_once(' ').context("tree.txt is damaged")?;
        let mut file = File::options().append(true).open(self.root.join(header))?;
        std::io::Write::write_all(&mut file, b"// Changed.\n")?;
        Ok(users.to_owned())
    }
}

/// What one round leaves.
struct Round {
    thunks: usize,
    bytes: u64,
    store: u64,
    users: String,
}

pub fn measure(bench: &mut Bench) -> Any<Vec<Line>> {
    peers::install(bench, "ninja", &["ninja-build"])?;
    let files = (FILES * bench.size).round() as u32;
    let path = path_with(&nothing::directory(bench)?);
    checked(bench)?;
    let jobs = format!("-j{}", bench.jobs);
    let mut last = None;
    for _ in 0..bench.rounds {
        for (side, changed) in [("do-nothing make", "do-nothing make, changed"), ("gg infer", "gg infer, changed")] {
            let tree = Tree::write(bench, "synthetic", files)?;
            let mut command = if side == "gg infer" { bench.gg("gg") } else { bench.command("make") };
            if side == "gg infer" {
                bench.empty_store()?;
                command.args(["infer", "--", "make"]);
            } else {
                command.env("PATH", &path);
            }
            command.arg(&jobs).current_dir(&tree.root);
            bench.settle();
            bench.measure("tree", side, &command)?;
            let (thunks, bytes) = if side == "gg infer" { thunks(&bench.store())? } else { (0, 0) };
            let store = if side == "gg infer" { disk_use(&bench.store())? } else { 0 };
            let users = tree.change()?;
            bench.settle();
            bench.measure("tree", changed, &command)?;
            last = Some((Round { thunks, bytes, store, users }, tree));
        }
    }
    let (round, tree) = last.context("no round was run")?;
    lines(bench, &tree, &round)
}

fn lines(bench: &Bench, tree: &Tree, round: &Round) -> Any<Vec<Line>> {
    let side = |side| bench.runs.side("tree", side).context("it was never run");
    let (floor, gg) = (side("do-nothing make")?, side("gg infer")?);
    let (floor_again, again) = (side("do-nothing make, changed")?, side("gg infer, changed")?);
    let steps: f64 = tree.about("steps")?.parse()?;
    let name = format!("tree of {} C++ files ({:.3} of Chromium's size)", tree.about("files")?, bench.size);
    // A part of the tree may take its part of the target; a session has a size of its own besides, so its memory may not.
    let wall = Line::new(format!("{name}, infer: wall"), Unit::Seconds, WALL * bench.size, gg.median.wall);
    let memory = Line::new(
        format!("{name}, infer: the session's peak of memory"),
        Unit::Bytes,
        MEMORY,
        gg.median.own_peak as f64,
    );
    let each = round.bytes as f64 / round.thunks.max(1) as f64;
    let thunk = Line::new(format!("{name}: a thunk on disk"), Unit::Bytes, THUNK, each);
    let what = format!("{name}, infer after a header of {} sources changed: CPU over the do-nothing make", round.users);
    let changed = Line::new(what, Unit::Times, AGAIN, again.median.cpu / floor_again.median.cpu);
    let what = format!("{name}, infer: CPU over the do-nothing make");
    let over = Line::plain(what, Unit::Times, gg.median.cpu / floor.median.cpu);
    let (ours, theirs) = (taken("gg infer", &gg), taken("do-nothing make", &floor));
    let session = format!(
        "{:.2} s of the CPU time in the session, {:.3} ms a step",
        gg.median.own_cpu,
        gg.median.own_cpu * 1e3 / steps
    );
    let mega = |bytes: u64| bytes as f64 / 1e6;
    let objects = format!(
        "{} thunks, {:.1} MB; the whole store takes {:.1} MB of disk",
        round.thunks,
        mega(round.bytes),
        mega(round.store)
    );
    Ok(vec![
        wall.of(&ours, &theirs),
        memory.of("", ""),
        over.of(session, theirs),
        thunk.of(objects, ""),
        changed.of(taken("gg infer", &again), taken("do-nothing make", &floor_again)),
    ])
}

/// Thunks in a store, and what they take of the disk, bytes: packs of thunks with their indexes, and thunks that are files.
/// The names of all of these begin with their kind (`T`).
fn thunks(store: &Path) -> Any<(usize, u64)> {
    /// The length of a record in a pack's index; there is one for each object.
    const RECORD: u64 = 52;
    let (mut count, mut bytes) = (0, 0);
    let mut add = |file: fs::DirEntry, packed: bool| -> Any {
        let (name, info) = (file.file_name(), file.metadata()?);
        let name = name.to_string_lossy();
        if name.starts_with('T') {
            count += match (packed, name.ends_with(".index")) {
                (true, true) => info.len() / RECORD,
                (true, false) => 0,
                (false, _) => 1,
            };
            bytes += info.blocks() * 512;
        }
        Ok(())
    };
    for shard in fs::read_dir(store.join("objects"))? {
        for file in fs::read_dir(shard?.path())? {
            add(file?, false)?;
        }
    }
    for file in fs::read_dir(store.join("packs"))? {
        add(file?, true)?;
    }
    Ok((count as usize, bytes))
}

/// What a directory takes of the disk, bytes.
fn disk_use(directory: &Path) -> Any<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let info = entry.metadata()?;
        sum += info.blocks() * 512 + if info.is_dir() { disk_use(&entry.path())? } else { 0 };
    }
    Ok(sum)
}

/// A tree of 50 files is built for real, by ninja and by make, plainly and through gg, and everything is compared: what is
/// measured is no nonsense then.
fn checked(bench: &Bench) -> Any {
    let mut prints = Vec::new();
    for kind in ["ninja", "make"] {
        let jobs = format!("-j{}", bench.jobs);
        let [plain, through] = ["checked-plain", "checked-gg"].map(|name| Tree::write(bench, name, 50));
        let (plain, through) = (plain?, through?);
        bench.must(bench.command(kind).arg(&jobs).current_dir(&plain.root))?;
        bench.must(bench.gg("gg").args(["build", "--", kind, &jobs]).current_dir(&through.root))?;
        let mut compare = bench.command("diff");
        bench.must(compare.args(["-r", "-x", ".ninja_log"]).args([&plain.root, &through.root]))?;
        prints.push(bench.command(through.root.join("bin/p0")).output()?.stdout);
    }
    if prints.first() != prints.last() || prints.iter().any(Vec::is_empty) {
        bail!("the programs that make and ninja build do not print the same");
    }
    bench.empty_store()
}

//! `gg describe`.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use gg_ir::{Entry, Input, Kind, Made, Name, Reduction, Reference, Thunk, Tree};
use gg_store::Store;
use serde_json::{Value, json};

use crate::session::Placeholders;
use crate::settings::Settings;
use crate::size;

/// An object, read.
enum Object {
    Thunk(Name, Box<Thunk>, Option<Box<Reduction>>),
    Tree(Name, Tree),
    Bytes(Name, String),
}

/// Shows an object by its name, or what a file is.
///
/// # Errors
/// When there is no such object or file.
pub fn run(what: &OsStr, json: bool, settings: &Settings) -> Result<i32> {
    let store = Store::open(&settings.directory)?;
    let path = Path::new(what);
    let by_name = what.to_str().and_then(|text| {
        text.parse::<Reference>().map(|reference| *reference.name()).ok().or_else(|| text.parse::<Name>().ok())
    });
    let (object, file) = match by_name {
        Some(name) => (read(&store, &name)?, None),
        None => {
            let info = std::fs::metadata(path)
                .with_context(|| format!("{} is neither an object's name nor a file", path.display()))?;
            match Placeholders::at(path) {
                Some(placeholder) => {
                    (read(&store, &placeholder.thunk)?, Some(format!("placeholder for {}", placeholder.reference())))
                }
                None if info.is_file() => {
                    let (name, _) = store.hash(path)?;
                    (Object::Bytes(name, bytes_kind(&std::fs::read(path)?)), Some("a file with its content".into()))
                }
                None => bail!("{} is no regular file", path.display()),
            }
        }
    };
    let text = if json {
        let mut value = object.json();
        if let (Some(file), Value::Object(map)) = (file, &mut value) {
            map.insert("file".into(), file.into());
        }
        format!("{value:#}\n")
    } else {
        let head = file.map_or(String::new(), |file| format!("{}: {file}\n", path.display()));
        head + &object.text()
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(0),
    }
}

fn read(store: &Store, name: &Name) -> Result<Object> {
    if name.kind() == Kind::Thunk {
        let thunk = Thunk::clone(&*store.read_thunk(name)?);
        return Ok(Object::Thunk(*name, Box::new(thunk), store.reduction(name)?.map(Box::new)));
    }
    let bytes = store.read(name)?;
    Ok(match Tree::decode(&bytes) {
        Ok(tree) => Object::Tree(*name, tree),
        Err(_) => Object::Bytes(*name, bytes_kind(&bytes)),
    })
}

/// What kind of bytes these are, for a person.
fn bytes_kind(bytes: &[u8]) -> String {
    let kind = match bytes {
        [] => "empty",
        [0x7f, b'E', b'L', b'F', ..] => "ELF",
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => "archive",
        [b'!', b'<', b't', b'h', b'i', b'n', b'>', ..] => "thin archive",
        _ if std::str::from_utf8(bytes).is_ok() => "text",
        _ => "binary",
    };
    kind.to_owned()
}

fn shown(text: &OsStr) -> String {
    text.to_string_lossy().into_owned()
}

fn made_json(made: &Made) -> Value {
    json!({"object": made.object.to_string(), "mode": format!("{:04o}", made.mode)})
}

fn reduction_json(reduction: &Reduction) -> Value {
    json!({
        "outputs": reduction.outputs.iter().map(|(tag, made)| (tag.to_string(), made_json(made))).collect::<serde_json::Map<_, _>>(),
        "undeclared": reduction.undeclared.iter().map(|(path, made)| (path.to_string(), made_json(made))).collect::<serde_json::Map<_, _>>(),
        "stdout": String::from_utf8_lossy(&reduction.stdout),
        "stderr": String::from_utf8_lossy(&reduction.stderr),
        "wall_us": reduction.cost.wall_us,
        "cpu_us": reduction.cost.cpu_us,
        "peak_kib": reduction.cost.peak_kib,
    })
}

fn input_json(input: &Input) -> Value {
    match input {
        Input::File { object, mode } => json!({"file": object.to_string(), "mode": format!("{mode:04o}")}),
        Input::Tree(name) => json!({"tree": name.to_string()}),
        Input::Symlink(target) => json!({"symlink": shown(target)}),
        Input::Directory => json!({"directory": true}),
    }
}

impl Object {
    fn json(&self) -> Value {
        match self {
            Object::Thunk(name, thunk, reduction) => {
                let function = &thunk.function;
                json!({
                    "name": name.to_string(),
                    "kind": "thunk",
                    "executable": function.executable.to_string(),
                    "args": function.args.iter().map(|arg| shown(arg)).collect::<Vec<_>>(),
                    "env": function.env.iter().map(|(k, v)| (shown(k), shown(v).into())).collect::<serde_json::Map<_, _>>(),
                    "cwd": function.cwd.to_string(),
                    "umask": format!("{:03o}", function.umask),
                    "inputs": thunk.inputs.iter().map(|(path, input)| (path.to_string(), input_json(input))).collect::<serde_json::Map<_, _>>(),
                    "outputs": thunk.outputs.iter().map(|(tag, output)| (tag.to_string(), json!({"path": output.path.to_string(), "optional": output.optional}))).collect::<serde_json::Map<_, _>>(),
                    "timeout_s": thunk.timeout,
                    "reduction": reduction.as_deref().map(reduction_json),
                })
            }
            Object::Tree(name, tree) => {
                let entry = |entry: &Entry| match entry {
                    Entry::File { content, mode } => {
                        json!({"file": content.to_string(), "mode": format!("{mode:04o}")})
                    }
                    Entry::Tree(name) => json!({"tree": name.to_string()}),
                    Entry::Symlink(target) => json!({"symlink": shown(target)}),
                };
                let entries: serde_json::Map<_, _> = tree.entries().map(|(name, e)| (shown(name), entry(e))).collect();
                json!({"name": name.to_string(), "kind": "tree", "entries": entries})
            }
            Object::Bytes(name, kind) => {
                json!({"name": name.to_string(), "kind": "value", "content": kind, "length": name.length()})
            }
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        // Writing into a String does not fail.
        let _ = match self {
            Object::Thunk(name, thunk, reduction) => write_thunk(&mut out, name, thunk, reduction.as_deref()),
            Object::Tree(name, tree) => write_tree(&mut out, name, tree),
            Object::Bytes(name, kind) => writeln!(out, "value {name}\n  {kind}, {}", size::show(name.length())),
        };
        out
    }
}

fn write_thunk(out: &mut String, name: &Name, thunk: &Thunk, reduction: Option<&Reduction>) -> std::fmt::Result {
    let function = &thunk.function;
    writeln!(out, "thunk {name}")?;
    writeln!(out, "  run      {}", function.executable)?;
    writeln!(out, "  args     {}", function.args.iter().map(|arg| shown(arg)).collect::<Vec<_>>().join(" "))?;
    writeln!(out, "  in       {} (umask {:03o})", function.cwd, function.umask)?;
    for (key, value) in &function.env {
        writeln!(out, "  env      {}={}", shown(key), shown(value))?;
    }
    for (path, input) in &thunk.inputs {
        match input {
            Input::File { object, mode } => writeln!(out, "  file     {path} = {object} {mode:04o}")?,
            Input::Tree(name) => writeln!(out, "  tree     {path} = {name}")?,
            Input::Symlink(target) => writeln!(out, "  link     {path} -> {}", shown(target))?,
            Input::Directory => writeln!(out, "  dir      {path}")?,
        }
    }
    for (tag, output) in &thunk.outputs {
        let optional = if output.optional { " (may be left out)" } else { "" };
        writeln!(out, "  output   #{tag} {}{optional}", output.path)?;
    }
    if let Some(seconds) = thunk.timeout {
        writeln!(out, "  timeout  {seconds} s")?;
    }
    let Some(reduction) = reduction else { return writeln!(out, "not evaluated yet") };
    writeln!(
        out,
        "evaluated in {:.1} ms ({:.1} ms CPU, {} KiB)",
        reduction.cost.wall_us as f64 / 1e3,
        reduction.cost.cpu_us as f64 / 1e3,
        reduction.cost.peak_kib
    )?;
    for (tag, made) in &reduction.outputs {
        writeln!(out, "  #{tag} = {} {:04o}", made.object, made.mode)?;
    }
    for (path, made) in &reduction.undeclared {
        writeln!(out, "  {path} = {} {:04o} (not declared)", made.object, made.mode)?;
    }
    for (what, bytes) in [("stdout", &reduction.stdout), ("stderr", &reduction.stderr)] {
        for line in String::from_utf8_lossy(bytes).lines() {
            writeln!(out, "  {what}: {line}")?;
        }
    }
    Ok(())
}

fn write_tree(out: &mut String, name: &Name, tree: &Tree) -> std::fmt::Result {
    writeln!(out, "tree {name}")?;
    for (name, entry) in tree.entries() {
        let name = shown(name);
        match entry {
            Entry::File { content, mode } => writeln!(out, "  {mode:04o} {content} {name}")?,
            Entry::Tree(tree) => writeln!(out, "  dir  {tree} {name}/")?,
            Entry::Symlink(target) => writeln!(out, "  link {name} -> {}", shown(target))?,
        }
    }
    Ok(())
}

//! Prints what a program needs: `cargo run -p gg-capture --example capture -- PROGRAM ARGUMENT...`

use std::time::Instant;

use gg_capture::{Captured, Need, Request, capture};

fn main() {
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else {
        eprintln!("capture PROGRAM ARGUMENT...: prints what the program needs");
        std::process::exit(2);
    };
    let mut request = Request::new(program);
    request.args = words.collect();
    request.env = std::env::vars_os().collect();
    request.cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let begun = Instant::now();
    match capture(&request) {
        Ok(captured) => {
            print(&captured);
            eprintln!("{} needs, found in {:.3} s", captured.needs.len(), begun.elapsed().as_secs_f64());
        }
        Err(error) => {
            eprintln!("capture: {error}");
            std::process::exit(1);
        }
    }
}

fn print(captured: &Captured) {
    println!("run        {}", captured.executable.as_path().display());
    println!("args       {:?}", captured.args);
    for (name, value) in &captured.env {
        println!("env        {}={}", name.display(), value.display());
    }
    for (path, need) in &captured.needs {
        let path = path.as_path().display();
        match need {
            Need::File(_) => println!("file       {path}"),
            Need::Text(text) => println!("text       {path} {:?}", String::from_utf8_lossy(text)),
            Need::Symlink(target) => println!("link       {path} -> {}", target.display()),
            Need::Tree(tree) if tree.without.is_empty() => println!("tree       {path}"),
            Need::Tree(tree) => println!("tree       {path} without {:?}", tree.without),
            Need::Directory => println!("directory  {path}"),
        }
    }
    for note in &captured.notes {
        println!("note       {note}");
    }
}

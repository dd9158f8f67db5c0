//! The engine and the worker, both unmodified, with another's emulator between them: cargo-lambda's.

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::cloud::{Cloud, free_port, program, server, until};
use crate::project::{Project, assert_same, run};

/// Ends a process with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_build_through_cargo_lambda() {
    let (cloud, project) = (Cloud::start(&[]), Project::new());
    // The emulator wants a package that makes the function.
    let dir = tempfile::tempdir().unwrap();
    let package = "[package]\nname = \"gg-worker\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[[bin]]\nname = \"gg-worker\"\npath = \"main.rs\"\n[workspace]\n";
    fs::write(dir.path().join("Cargo.toml"), package).unwrap();
    fs::write(dir.path().join("main.rs"), "fn main() {}\n").unwrap();
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut watch = Command::new(server("cargo-lambda"));
    watch.args(["lambda", "watch", "--only-lambda-apis", "--invoke-address", "127.0.0.1", "--invoke-port"]);
    watch.arg(port.to_string()).current_dir(&dir).stdout(Stdio::null()).stderr(Stdio::null());
    let _watch = Running(watch.spawn().unwrap());
    until("the emulator", || TcpStream::connect(&address).ok());
    let worker = |number: usize| {
        let mut worker = Command::new(program("gg-lambda-worker"));
        cloud.environment(&mut worker);
        worker
            .env("AWS_LAMBDA_RUNTIME_API", format!("http://{address}/.rt/gg-worker"))
            .env("AWS_LAMBDA_FUNCTION_NAME", "gg-worker")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("GG_SCRATCH", dir.path().join(format!("scratch{number}")))
            .stderr(Stdio::null());
        Running(worker.spawn().unwrap())
    };
    let _workers: Vec<Running> = (0..3).map(worker).collect();
    project
        .write("Makefile", "app: a.o b.o c.o d.o\n\t$(CC) $^ -o app\n%.o: %.c\n\t$(CC) -O2 -g -c $< -o $@\n")
        .write("a.c", "int b(void), c(void), d(void);\nint main(void) { return b() + c() + d(); }\n");
    for name in ["b", "c", "d"] {
        project.write(format!("{name}.c"), format!("#include <stdlib.h>\nint {name}(void) {{ return abs(0); }}\n"));
    }
    project.make(&[]).ok();
    let want = project.manifest();
    project.sh("rm -f app *.o").ok();
    let mut build = project.gg_make_command(&["-j4", "--no-fallback"]);
    cloud.environment(&mut build);
    build.env("GG_FUNCTION", "gg-worker").env("GG_LAMBDA_ENDPOINT", format!("http://{address}"));
    run(&mut build).ok();
    assert_same(&want, &project.manifest());
    let report = project.report();
    assert!(report["steps"].as_array().unwrap().iter().all(|step| step["engine"] == "lambda"), "{report}");
    assert_eq!(report["engines"][0]["counts"]["answers"], 5);
    assert_eq!(cloud.invocations(), 0);
}

//! The build.ninja: it says itself which headers each source reaches, so that no step has to run for the next build to know.
//!
//! Each header has an alias (`@12`), a phony output that depends on the header and on the aliases of those that it includes. Ninja
//! takes a phony output that is no file to be as young as the youngest of its inputs (ninja 1.11 and later), so a source
//! needs only the aliases that it includes itself. That a compiler writes the same to a file (`deps = gcc`) would be read right
//! after each step, which would have every step run at once.

use std::fmt::Write;

use crate::includes::Includes;
use crate::make::{libraries, objects};
use crate::shape::{self, Shape};

/// The text of build.ninja.
pub fn text(shape: &Shape, includes: &Includes) -> String {
    let mut out = format!(
        "ninja_required_version = 1.11\ncxx = g++\nar = ar\nflags = {}\n\
         rule cxx\n  command = $cxx $flags -c $in -o $out\n\
         rule archive\n  command = rm -f $out && $ar rcs $out $in\n\
         rule shared\n  command = $cxx -shared -Wl,-soname,$soname -o $out $in\n\
         rule link\n  command = $cxx -Wl,--gc-sections -Wl,-rpath,'$$ORIGIN/../lib' -o $out $in\n\n",
        shape::flags()
    );
    let aliases = |headers: &[u32]| headers.iter().map(|header| format!(" @{header}")).collect::<String>();
    for header in 0..shape.headers {
        let _ = writeln!(
            out,
            "build @{header}: phony {}{}",
            shape.header_path(header),
            aliases(&includes.of_headers[header])
        );
    }
    for source in 0..shape.sources() {
        let (stem, headers) = (shape.source_stem(source), aliases(&includes.of_sources[source]));
        let _ = writeln!(out, "build obj/{stem}.o: cxx src/{stem}.cc |{headers}");
    }
    for library in 0..shape.libraries() {
        let rule = if shape.is_shared(library) { "shared" } else { "archive" };
        let path = shape.library_path(library);
        let _ = writeln!(out, "build {path}: {rule} {}", objects(shape, library));
        if let Some(name) = path.strip_prefix("lib/").filter(|_| shape.is_shared(library)) {
            let _ = writeln!(out, "  soname = {name}");
        }
    }
    let mut programs = String::new();
    for program in 0..shape.programs {
        let stem = shape::main_stem(program);
        let _ = writeln!(out, "build obj/{stem}.o: cxx src/{stem}.cc");
        let _ = writeln!(out, "build bin/p{program}: link obj/{stem}.o {}", libraries(shape, program));
        let _ = write!(programs, " bin/p{program}");
    }
    let _ = write!(out, "build all: phony{programs}\ndefault all\n");
    out
}

//! The Makefile: it says itself which headers each source reaches, so that no step has to run for the next build to know.
//!
//! Each header has a stamp, an empty file that depends on the header and on the stamps of those that it includes, and that make
//! touches when one of these is younger. So a source needs only the stamps of what it includes itself. What a compiler writes
//! about that (`-MMD`) would be read at the beginning of the next build, which would have every step of the first one run.

use std::fmt::Write;

use crate::includes::Includes;
use crate::shape::{self, Shape};

/// Where the stamps are.
const STAMPS: &str = "stamps";

/// The path of a header's stamp, in one of many directories.
pub fn stamp(header: usize) -> String {
    format!("{STAMPS}/{}/{header}", header / 1000)
}

/// The Makefile's text.
pub fn text(shape: &Shape, includes: &Includes) -> String {
    let mut out = format!(
        "CXX = g++\nAR = ar\nCXXFLAGS = {}\nLINK = -Wl,--gc-sections -Wl,-rpath,'$$ORIGIN/../lib'\n\
         # No rule of make's own is looked for.\nMAKEFLAGS += -r\n.SUFFIXES:\nall:\n\n",
        shape::flags()
    );
    let stamps =
        |headers: &[u32]| headers.iter().map(|header| format!(" {}", stamp(*header as usize))).collect::<String>();
    for header in 0..shape.headers {
        let needs = stamps(&includes.of_headers[header]);
        let _ = write!(out, "{}: {}{needs}\n\t@touch $@\n", stamp(header), shape.header_path(header));
    }
    let mut compile = |stem: &str, needs: &str| {
        let _ =
            write!(out, "obj/{stem}.o: src/{stem}.cc{needs}\n\t$(CXX) $(CXXFLAGS) -c src/{stem}.cc -o obj/{stem}.o\n");
    };
    for source in 0..shape.sources() {
        compile(&shape.source_stem(source), &stamps(&includes.of_sources[source]));
    }
    (0..shape.programs).for_each(|program| compile(&shape::main_stem(program), ""));
    for library in 0..shape.libraries() {
        let objects = objects(shape, library);
        let path = shape.library_path(library);
        let shared = "$(CXX) -shared -Wl,-soname,$(@F) -o";
        let command = if shape.is_shared(library) { shared } else { "rm -f $@ && $(AR) rcs" };
        let _ = write!(out, "{path}: {objects}\n\t{command} $@ {objects}\n");
    }
    let mut programs = String::new();
    for program in 0..shape.programs {
        let libraries = libraries(shape, program);
        let main = format!("obj/{}.o", shape::main_stem(program));
        let _ = write!(out, "bin/p{program}: {main} {libraries}\n\t$(CXX) $(LINK) -o $@ {main} {libraries}\n");
        let _ = write!(programs, " bin/p{program}");
    }
    let _ = write!(out, "\nall:{programs}\n");
    out
}

/// The objects of a library.
pub fn objects(shape: &Shape, library: usize) -> String {
    let stems = shape.sources_of(library).map(|source| format!("obj/{}.o", shape.source_stem(source)));
    stems.collect::<Vec<_>>().join(" ")
}

/// The libraries of a program.
pub fn libraries(shape: &Shape, program: usize) -> String {
    shape.libraries_of(program).map(|library| shape.library_path(library)).collect::<Vec<_>>().join(" ")
}

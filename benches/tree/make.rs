//! The Makefile: compilers write which headers they read (`-MMD`), and make includes that the next time.

use std::fmt::Write;

use crate::shape::{self, Shape};

/// The Makefile's text.
pub fn text(shape: &Shape) -> String {
    let mut out = format!(
        "CXX = g++\nAR = ar\nCXXFLAGS = {}\nLINK = -Wl,--gc-sections -Wl,-rpath,'$$ORIGIN/../lib'\n.SUFFIXES:\nall:\n\n",
        shape::flags()
    );
    let mut compile = |stem: &str| {
        let _ = write!(
            out,
            "obj/{stem}.o: src/{stem}.cc\n\t$(CXX) $(CXXFLAGS) -MMD -MP -MF obj/{stem}.d -c src/{stem}.cc -o obj/{stem}.o\n"
        );
    };
    (0..shape.sources()).for_each(|source| compile(&shape.source_stem(source)));
    (0..shape.programs).for_each(|program| compile(&shape::main_stem(program)));
    for library in 0..shape.libraries() {
        let objects = objects(shape, library);
        let path = shape.library_path(library);
        let command = if shape::is_shared(library) { "$(CXX) -shared -o" } else { "rm -f $@ && $(AR) rcs" };
        let _ = write!(out, "{path}: {objects}\n\t{command} $@ {objects}\n");
    }
    let mut programs = String::new();
    for program in 0..shape.programs {
        let libraries = libraries(shape, program);
        let main = format!("obj/{}.o", shape::main_stem(program));
        let _ = write!(out, "bin/p{program}: {main} {libraries}\n\t$(CXX) $(LINK) -o $@ {main} {libraries}\n");
        let _ = write!(programs, " bin/p{program}");
    }
    let _ = write!(out, "\nall:{programs}\n\n-include $(wildcard obj/*/*/*.d)\n");
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

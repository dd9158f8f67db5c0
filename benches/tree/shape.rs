//! How much there is of everything, and what it is called.
//!
//! Everything has a number. A directory holds [`SOURCES`] sources or a few less, [`HEADERS`] headers, and two libraries, one for
//! each half of its sources.

/// Sources of a directory.
pub const SOURCES: usize = 20;
/// Headers of a directory.
pub const HEADERS: usize = 30;
/// Libraries of a directory.
pub const LIBRARIES: usize = 2;
/// Directories of an area, which is a directory of directories.
const AREA: usize = 40;
/// C++ files for each program.
const FILES_OF_A_PROGRAM: usize = 400;

/// Where headers are looked for, in this order; the directory that a directory's headers lie in is one of them.
pub const ROOTS: [&str; 3] = ["gen", "src", "third_party/include"];

/// How much there is.
#[derive(Clone, Debug)]
pub struct Shape {
    /// C++ files, with those that hold a program's `main`.
    pub files: usize,
    /// Directories of sources.
    pub directories: usize,
    /// Headers.
    pub headers: usize,
    /// Programs.
    pub programs: usize,
    /// Every so many libraries one is a shared library; 0: none is.
    pub shared: usize,
}

impl Shape {
    /// A project of so many C++ files, with one shared library among so many libraries.
    pub fn of(files: usize, shared: usize) -> Self {
        let directories = (files / SOURCES).max(1);
        let programs = (files / FILES_OF_A_PROGRAM).max(1);
        Self { files, directories, headers: directories * HEADERS, programs, shared }
    }

    /// Sources that are in libraries: all but the programs' own.
    pub fn sources(&self) -> usize {
        self.files - self.programs
    }

    /// Whether a library is a shared one; the others are archives.
    pub fn is_shared(&self, library: usize) -> bool {
        library.checked_rem(self.shared).is_some_and(|rest| rest + 1 == self.shared)
    }

    /// Archives and shared libraries.
    pub fn libraries(&self) -> usize {
        self.directories * LIBRARIES
    }

    /// The sources of a directory: as many as every other has, give or take one.
    fn sources_in(&self, directory: usize) -> std::ops::Range<usize> {
        let begin = |directory: usize| directory * self.sources() / self.directories;
        begin(directory)..begin(directory + 1)
    }

    /// The directory of a source.
    pub fn directory_of(&self, source: usize) -> usize {
        ((source + 1) * self.directories - 1) / self.sources()
    }

    /// The sources of a library.
    pub fn sources_of(&self, library: usize) -> std::ops::Range<usize> {
        let all = self.sources_in(library / LIBRARIES);
        let middle = all.start + all.len() / LIBRARIES;
        if library.is_multiple_of(LIBRARIES) { all.start..middle } else { middle..all.end }
    }

    /// The libraries of a program; each library belongs to one.
    pub fn libraries_of(&self, program: usize) -> std::ops::Range<usize> {
        let of = |program: usize| program * self.libraries() / self.programs;
        of(program)..of(program + 1)
    }
}

/// A directory, below one of the roots: `a03/m0127`.
fn directory(number: usize) -> String {
    format!("a{:02}/m{number:04}", number / AREA)
}

/// What names in a directory begin with in C++.
pub fn namespace(number: usize) -> String {
    format!("m{number:04}")
}

impl Shape {
    /// A header as it is written in `#include "..."`.
    pub fn header_name(&self, header: usize) -> String {
        format!("{}/h{}.h", directory(header / HEADERS), header % HEADERS)
    }

    /// A header's path.
    pub fn header_path(&self, header: usize) -> String {
        // Most are beside their sources.
        let root = match (header / HEADERS) % 7 {
            3 => ROOTS[0],
            5 => ROOTS[2],
            _ => ROOTS[1],
        };
        format!("{root}/{}", self.header_name(header))
    }

    /// The path of a source, without its suffix and the directory that it lies in.
    pub fn source_stem(&self, source: usize) -> String {
        let number = self.directory_of(source);
        format!("{}/s{}", directory(number), source - self.sources_in(number).start)
    }

    /// The path of a library.
    pub fn library_path(&self, library: usize) -> String {
        let (number, half) = (library / LIBRARIES, library % LIBRARIES);
        format!("lib/libm{number:04}_{half}.{}", if self.is_shared(library) { "so" } else { "a" })
    }
}

/// The path of a program's own source, without suffix and `src/`.
pub fn main_stem(program: usize) -> String {
    format!("programs/p{program}")
}

/// How everything is compiled: as many arguments as large projects have.
pub fn flags() -> String {
    let mut flags =
        String::from("-std=c++17 -O1 -fPIC -fno-strict-aliasing -fno-exceptions -fno-rtti -fvisibility=default");
    flags += " -ffunction-sections -fdata-sections -funwind-tables -pipe -m64 -Wall -Wextra -Wno-unused-parameter";
    flags += " -Wno-missing-field-initializers -Wno-psabi -Wno-comments";
    for number in 0..16 {
        flags += &format!(" -DPROJECT_FEATURE_{number}={}", number % 2);
    }
    flags += " -DNDEBUG -D_FORTIFY_SOURCE=2 -D__STDC_CONSTANT_MACROS";
    for root in ROOTS {
        flags += &format!(" -I{root}");
    }
    flags
}

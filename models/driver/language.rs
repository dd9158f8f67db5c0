//! The language of an input file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What a driver does with an input file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// C to be preprocessed.
    C,
    /// C++ to be preprocessed.
    Cxx,
    /// Objective-C to be preprocessed.
    ObjC,
    /// Objective-C++ to be preprocessed.
    ObjCxx,
    /// A C header to be precompiled.
    CHeader,
    /// A C++ header to be precompiled.
    CxxHeader,
    /// C that is preprocessed already.
    PreprocessedC,
    /// C++ that is preprocessed already.
    PreprocessedCxx,
    /// Assembly to be preprocessed.
    AssemblyCpp,
    /// Assembly.
    Assembly,
    /// LLVM IR, as text or bitcode (Clang).
    Ir,
    /// Nothing the compiler reads: an object, archive, library or linker script.
    Linker,
    /// A language that gg has no model for: Fortran, Ada, D, Go, CUDA, ...
    Foreign,
}

use Language::*;

impl Language {
    /// The preprocessor reads it.
    pub fn is_preprocessed(self) -> bool {
        matches!(self, C | Cxx | ObjC | ObjCxx | CHeader | CxxHeader | AssemblyCpp)
    }

    /// A header to be precompiled.
    pub fn is_header(self) -> bool {
        matches!(self, CHeader | CxxHeader)
    }

    /// Assembly, preprocessed or not.
    pub fn is_assembly(self) -> bool {
        matches!(self, Assembly | AssemblyCpp)
    }

    /// What `-x` calls the language whose include directories hold for it.
    pub fn search_name(self) -> &'static str {
        match self {
            Cxx | CxxHeader | PreprocessedCxx => "c++",
            ObjC => "objective-c",
            ObjCxx => "objective-c++",
            _ => "c",
        }
    }

    /// The name endings of preprocessed text and of assembly kept by `-save-temps`.
    pub fn preprocessed_suffix(self) -> &'static str {
        match self {
            Cxx | CxxHeader => "ii",
            ObjC => "mi",
            ObjCxx => "mii",
            AssemblyCpp => "s",
            _ => "i",
        }
    }
}

/// By name ending (GCC manual, "Overall Options").
const SUFFIXES: &[(&str, Language)] = &[
    ("c", C),
    ("i", PreprocessedC),
    ("ii", PreprocessedCxx),
    ("m", ObjC),
    ("mi", Foreign),
    ("mm", ObjCxx),
    ("M", ObjCxx),
    ("mii", Foreign),
    ("h", CHeader),
    ("cc", Cxx),
    ("cp", Cxx),
    ("cxx", Cxx),
    ("cpp", Cxx),
    ("CPP", Cxx),
    ("c++", Cxx),
    ("C", Cxx),
    ("hh", CxxHeader),
    ("H", CxxHeader),
    ("hp", CxxHeader),
    ("hxx", CxxHeader),
    ("hpp", CxxHeader),
    ("HPP", CxxHeader),
    ("h++", CxxHeader),
    ("tcc", CxxHeader),
    ("s", Assembly),
    ("S", AssemblyCpp),
    ("sx", AssemblyCpp),
    ("ll", Ir),
    ("bc", Ir),
    ("f", Foreign),
    ("for", Foreign),
    ("ftn", Foreign),
    ("fi", Foreign),
    ("F", Foreign),
    ("FOR", Foreign),
    ("fpp", Foreign),
    ("FPP", Foreign),
    ("FTN", Foreign),
    ("f90", Foreign),
    ("f95", Foreign),
    ("f03", Foreign),
    ("f08", Foreign),
    ("F90", Foreign),
    ("F95", Foreign),
    ("F03", Foreign),
    ("F08", Foreign),
    ("go", Foreign),
    ("d", Foreign),
    ("di", Foreign),
    ("dd", Foreign),
    ("ads", Foreign),
    ("adb", Foreign),
    ("java", Foreign),
    ("cu", Foreign),
    ("cui", Foreign),
    ("hip", Foreign),
    ("cl", Foreign),
    ("brig", Foreign),
    ("mod", Foreign),
    ("cppm", Foreign),
    ("pcm", Foreign),
    ("ast", Foreign),
    ("gch", Foreign),
    ("pch", Foreign),
    ("rs", Foreign),
];

/// By the name that `-x` takes. Names not listed are foreign.
const NAMES: &[(&str, Language)] = &[
    ("c", C),
    ("c-header", CHeader),
    ("cpp-output", PreprocessedC),
    ("c++", Cxx),
    ("c++-header", CxxHeader),
    ("c++-cpp-output", PreprocessedCxx),
    ("objective-c", ObjC),
    ("objective-c++", ObjCxx),
    ("assembler", Assembly),
    ("assembler-with-cpp", AssemblyCpp),
    ("ir", Ir),
];

/// The language that `-x name` sets.
pub fn by_name(name: &OsStr) -> Language {
    NAMES.iter().find(|(it, _)| name.as_bytes() == it.as_bytes()).map_or(Foreign, |(_, language)| *language)
}

/// The language of a file by its name; `cxx` for drivers that take C for C++.
pub fn by_suffix(path: &OsStr, cxx: bool) -> Language {
    let name = path.as_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let Some(dot) = name.iter().rposition(|&byte| byte == b'.') else { return Linker };
    let suffix = &name[dot + 1..];
    let found = SUFFIXES.iter().find(|(it, _)| suffix == it.as_bytes()).map_or(Linker, |(_, language)| *language);
    match (found, cxx) {
        (C, true) => Cxx,
        (CHeader, true) => CxxHeader,
        (PreprocessedC, true) => PreprocessedCxx,
        _ => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes() {
        let rows: &[(&str, bool, Language)] = &[
            ("a.c", false, C),
            ("a.c", true, Cxx),
            ("dir.c/a", false, Linker),
            ("a.b/x.C", false, Cxx),
            ("a.o", false, Linker),
            ("a.S", false, AssemblyCpp),
            ("a.s", true, Assembly),
            ("a.f90", false, Foreign),
            ("a.h", true, CxxHeader),
            ("libx.so.1", false, Linker),
        ];
        for (name, cxx, expected) in rows {
            assert_eq!(by_suffix(OsStr::new(name), *cxx), *expected, "{name}");
        }
        assert_eq!(by_name(OsStr::new("assembler-with-cpp")), AssemblyCpp);
        assert_eq!(by_name(OsStr::new("cuda")), Foreign);
    }
}

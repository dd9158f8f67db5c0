//! The C++ text: it compiles without warnings, and uses what it includes.

use std::fmt::Write;
use std::path::Path;

use crate::includes::Includes;
use crate::shape::{self, HEADERS, Shape};
use crate::{Any, make, write};

/// Headers of the system, each used by one of so many headers of the project; the common headers have them all.
const SYSTEM: [(usize, &str); 6] =
    [(3, "cstdint"), (5, "cstddef"), (11, "string"), (13, "vector"), (17, "type_traits"), (19, "utility")];

/// Writes headers and sources below a directory.
pub fn write_all(root: &Path, shape: &Shape, includes: &Includes) -> Any {
    for number in 0..shape.headers {
        write(&root.join(shape.header_path(number)), &header(shape, includes, number))?;
    }
    for number in 0..shape.sources() {
        write(&root.join(format!("src/{}.cc", shape.source_stem(number))), &source(shape, includes, number))?;
    }
    for number in 0..shape.programs {
        write(&root.join(format!("src/{}.cc", shape::main_stem(number))), &program(shape, number))?;
    }
    // In this order, so that none is older than what it depends on.
    for number in 0..shape.headers {
        write(&root.join(make::stamp(number)), "")?;
    }
    // Compilers and ar make no directories; ninja would, make would not.
    for number in 0..shape.sources() {
        if shape.source_stem(number).ends_with("/s0") {
            let place = root.join(format!("obj/{}", shape.source_stem(number)));
            std::fs::create_dir_all(place.parent().unwrap_or(root))?;
        }
    }
    for place in ["obj/programs", "lib", "bin"] {
        std::fs::create_dir_all(root.join(place))?;
    }
    Ok(())
}

/// What a header's names are in C++: namespace and number.
fn names(header: usize) -> (String, usize) {
    (shape::namespace(header / HEADERS), header % HEADERS)
}

fn include_lines(shape: &Shape, headers: &[u32]) -> String {
    headers.iter().map(|header| format!("#include \"{}\"\n", shape.header_name(*header as usize))).collect()
}

/// A sum of something of each of the headers. Of constants: a call of each would call all that is below, over and over.
fn uses(headers: &[u32]) -> String {
    let mut sum = String::new();
    for header in headers {
        let (namespace, number) = names(*header as usize);
        let _ = write!(sum, " + {namespace}::kLimit{number}");
    }
    sum
}

fn header(shape: &Shape, includes: &Includes, header: usize) -> String {
    let (namespace, number) = names(header);
    let guard = format!("{}_H{number}_H_", namespace.to_uppercase());
    let is_guarded = !header.is_multiple_of(3);
    let mut out = format!(
        "// Part {number} of {namespace}: what it offers is declared here and small enough to be inline.\n\
         // Whoever needs more of it than its value includes this file and uses the class below.\n"
    );
    out += &if is_guarded { format!("#ifndef {guard}\n#define {guard}\n\n") } else { "#pragma once\n\n".to_owned() };
    for (each, name) in SYSTEM {
        if header % each == 1 {
            let _ = writeln!(out, "#include <{name}>");
        }
    }
    let of_header = &includes.of_headers[header];
    out += &include_lines(shape, of_header);
    let _ = write!(
        out,
        "\nnamespace {namespace} {{\n\n\
         /// The value of this part for a number, made of those that it is built upon.\n\
         inline int value{number}(int x) {{ return (x ^ {header}){}; }}\n\n\
         /// Counts what it is given, and remembers the last.\n\
         class Part{number} {{\n public:\n  explicit Part{number}(int first) : last_(first) {{}}\n\
         \x20 void add(int x) {{\n    last_ = x;\n    ++count_;\n  }}\n\
         \x20 int last() const {{ return last_; }}\n  int count() const {{ return count_; }}\n\
         \x20 bool is_empty() const {{ return count_ == 0; }}\n\n private:\n  int last_;\n  int count_ = 0;\n}};\n\n\
         template <typename T>\nT twice{number}(T x) {{\n  return x + x;\n}}\n\n",
        uses(of_header)
    );
    let _ = write!(
        out,
        "#if PROJECT_FEATURE_{}\nconstexpr int kLimit{number} = {};\n#else\nconstexpr int kLimit{number} = {};\n#endif\n\n}}  // namespace {namespace}\n",
        header % 16,
        header + 1,
        header + 2
    );
    if is_guarded {
        let _ = write!(out, "\n#endif  // {guard}\n");
    }
    out
}

fn source(shape: &Shape, includes: &Includes, source: usize) -> String {
    let of_source = &includes.of_sources[source];
    let mut out = include_lines(shape, of_source);
    if source.is_multiple_of(4) {
        out += "\n#include <string>\n";
    }
    let (namespace, number) = names(of_source[0] as usize);
    // The first source of a library needs the others, so that programs need all of an archive.
    let library = (0..shape::LIBRARIES).map(|half| shape.directory_of(source) * shape::LIBRARIES + half);
    let others = library.map(|library| shape.sources_of(library)).find(|range| range.start == source);
    let others: Vec<usize> = others.map(|range| range.skip(1).collect()).unwrap_or_default();
    for other in &others {
        let _ = writeln!(out, "int source{other}(int x);");
    }
    let _ = write!(
        out,
        "\nnamespace {{\n\nint sum(int x) {{ return x{}; }}\n\n}}  // namespace\n\n\
         int source{source}(int x) {{\n  {namespace}::Part{number} part(x);\n\
         \x20 for (int i = 0; i < {namespace}::kLimit{number} % 7; ++i) part.add(sum(i));\n",
        uses(of_source)
    );
    if source.is_multiple_of(4) {
        out += "  x += static_cast<int>(std::string(\"source\").size());\n";
    }
    let calls: String = others.iter().map(|other| format!(" + source{other}(x)")).collect();
    let _ = write!(out, "  return part.last() + {namespace}::twice{number}(part.count()){calls};\n}}\n");
    out
}

fn program(shape: &Shape, program: usize) -> String {
    let firsts: Vec<usize> = shape.libraries_of(program).map(|library| shape.sources_of(library).start).collect();
    let mut out = String::from("#include <stdio.h>\n\n");
    for first in &firsts {
        let _ = writeln!(out, "int source{first}(int x);");
    }
    let sum: String = firsts.iter().map(|first| format!(" + source{first}(x)")).collect();
    let _ = write!(
        out,
        "\nint main(int count, char **) {{\n  unsigned x = count;\n  printf(\"%u\\n\", 0u{});\n  return 0;\n}}\n",
        sum.replace(" + source", " + (unsigned)source")
    );
    out
}

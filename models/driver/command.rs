//! A driver's command line taken apart by the option table.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::language::{self, Language};
use super::name::Compiler;
use super::option::{self, Dependency, Found, Meaning, Pass, Stop};
use super::pass;
use crate::{Call, Reason, World, response};

/// The input that is not a file but standard input.
pub const STDIN: &str = "-";

/// One option of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What the table says.
    pub found: Found,
    /// The arguments it takes up in [`Command::args`].
    pub range: Range<usize>,
}

/// An input file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// As spelled.
    pub path: OsString,
    /// What the driver does with it.
    pub language: Language,
    /// Its place in [`Command::args`].
    pub index: usize,
}

impl Input {
    /// The compiler (or assembler) works on it, rather than the linker.
    pub fn is_source(&self) -> bool {
        self.language != Language::Linker
    }
}

/// A command line taken apart.
#[derive(Clone, Debug)]
pub struct Command {
    /// Whose it is.
    pub compiler: Compiler,
    /// The arguments (without `argv[0]`), response files opened.
    pub args: Vec<OsString>,
    /// The response files that were opened.
    pub response_files: Vec<PathBuf>,
    /// The options, in order; those within `-Wp,` and `-Xpreprocessor` have the range of the whole.
    pub tokens: Vec<Token>,
    /// The input files, in order.
    pub inputs: Vec<Input>,
    /// The assembler's own arguments.
    pub assembler: Vec<OsString>,
    /// Where the driver stops.
    pub stop: Stop,
    /// The operand of the last `-o`.
    pub output: Option<OsString>,
}

impl Command {
    /// Takes a call apart.
    ///
    /// # Errors
    /// The [`Reason`] to run it here: an option without a row, a question to the tool, standard input.
    pub fn parse(call: &Call, compiler: Compiler, world: &dyn World) -> Result<Self, Reason> {
        let expanded = response::expand(call.args(), &call.cwd, world)?;
        let mut command = Self {
            compiler,
            args: expanded.args,
            response_files: expanded.files,
            tokens: Vec::new(),
            inputs: Vec::new(),
            assembler: Vec::new(),
            stop: Stop::Link,
            output: None,
        };
        command.read_tokens(world.has_stdin())?;
        command.refuse()?;
        Ok(command)
    }

    fn read_tokens(&mut self, has_stdin: bool) -> Result<(), Reason> {
        let mut language: Option<Language> = None;
        let mut words = pass::Words::default();
        let mut index = 0;
        while index < self.args.len() {
            let arg = self.args[index].clone();
            if arg == STDIN {
                if !has_stdin {
                    return Err(Reason::Stdin);
                }
                // Where nothing says otherwise it is C, for `g++` and `clang++` too.
                self.inputs.push(Input { path: arg, language: language.unwrap_or(Language::C), index });
                index += 1;
                continue;
            }
            if !arg.as_bytes().starts_with(b"-") {
                let language = language.unwrap_or_else(|| language::by_suffix(&arg, self.compiler.cxx));
                self.inputs.push(Input { path: arg, language, index });
                index += 1;
                continue;
            }
            let found = option::find(&arg, self.args.get(index + 1), self.compiler.family)
                .ok_or_else(|| Reason::UnknownOption(arg.to_string_lossy().into_owned()))?;
            let range = index..index + 1 + usize::from(found.separate);
            index = range.end;
            match found.meaning {
                Meaning::Language if found.operand == "none" => language = None,
                Meaning::Language => language = Some(language::by_name(&found.operand)),
                Meaning::Pass(Pass::Preprocessor) => {
                    let pieces = pass::commas(&found.operand);
                    for found in pass::preprocessor(&pieces, self.compiler.family)? {
                        self.push(found, range.clone());
                    }
                }
                Meaning::Pass(Pass::PreprocessorWord) => {
                    words.preprocessor.push((found.operand.clone(), range.clone()))
                }
                Meaning::Pass(Pass::Assembler) => self.assembler.extend(pass::commas(&found.operand)),
                Meaning::Pass(Pass::AssemblerWord) => self.assembler.push(found.operand.clone()),
                Meaning::Pass(Pass::Inner) => words.inner.push((found.operand.clone(), range.clone())),
                Meaning::Pass(Pass::Llvm) => pass::llvm(&found.operand)?,
                _ => {}
            }
            self.push(found, range);
        }
        for (found, range) in words.finish(self.compiler.family)? {
            self.push(found, range);
        }
        Ok(())
    }

    fn push(&mut self, found: Found, range: Range<usize>) {
        match found.meaning {
            // The earliest stop wins, whatever the order.
            Meaning::Stop(stop) => self.stop = self.stop.min(stop),
            Meaning::Dependency(Dependency::Only) => self.stop = Stop::Preprocess,
            Meaning::Output => self.output = Some(found.operand.clone()),
            _ => {}
        }
        self.tokens.push(Token { found, range });
    }

    /// Calls that are not for a thunk whatever their inputs are.
    fn refuse(&self) -> Result<(), Reason> {
        for token in &self.tokens {
            match token.found.meaning {
                Meaning::Query | Meaning::CheckOnly => return Err(Reason::Query(self.text(token))),
                Meaning::Here(what) => return Err(Reason::Unsealable(what.to_owned())),
                Meaning::Output if token.found.operand == "-" && self.stop < Stop::Assemble => {
                    return Err(Reason::Stdout);
                }
                _ => {}
            }
        }
        if self.inputs.iter().any(|input| input.language == Language::Foreign) {
            return Err(Reason::NoModel);
        }
        Ok(())
    }

    /// A token as the user wrote it, for messages.
    fn text(&self, token: &Token) -> String {
        let words: Vec<_> = self.args[token.range.clone()].iter().map(|arg| arg.to_string_lossy()).collect();
        words.join(" ")
    }

    /// The operands of every option that `wanted` picks, in order.
    pub fn operands(&self, wanted: impl Fn(Meaning) -> bool) -> impl Iterator<Item = &OsStr> {
        self.tokens.iter().filter(move |token| wanted(token.found.meaning)).map(|token| token.found.operand.as_os_str())
    }

    /// Whether any option has this meaning.
    pub fn has(&self, meaning: Meaning) -> bool {
        self.tokens.iter().any(|token| token.found.meaning == meaning)
    }

    /// The arguments of the options that `wanted` picks, in order.
    pub fn arguments(&self, wanted: impl Fn(Meaning) -> bool) -> Vec<OsString> {
        let picked = self.tokens.iter().filter(|token| wanted(token.found.meaning));
        picked.flat_map(|token| self.args[token.range.clone()].iter().cloned()).collect()
    }

    /// The inputs that are compiled or assembled.
    pub fn sources(&self) -> impl Iterator<Item = &Input> {
        self.inputs.iter().filter(|input| input.is_source())
    }

    /// Something is compiled that comes from standard input.
    pub fn reads_stdin(&self) -> bool {
        self.inputs.iter().any(|input| input.path == STDIN)
    }

    /// Only rules for make come out (`-M`, `-MM`).
    pub fn only_dependencies(&self) -> bool {
        self.has(Meaning::Dependency(Dependency::Only))
    }
}

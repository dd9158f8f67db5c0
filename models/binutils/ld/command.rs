//! A linker's command line, parsed.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::LazyLock;

use crate::Reason;
use crate::args::{Item, Syntax, Table, meanings};

meanings! {
    /// What a row of `options/ld.txt` means.
    pub(super) enum Meaning {
        /// Concerns no file.
        Flag = "flag",
        /// `-fuse-ld=name`, for collect2.
        Linker = "linker",
        /// Names the output.
        Output = "output",
        /// Names the map.
        Map = "map",
        /// Names a further output.
        Write = "write",
        /// `-lname`
        Library = "library",
        /// `-Ldir`
        Directory = "directory",
        /// `--sysroot=dir`
        Sysroot = "sysroot",
        /// Only the directories of the command line are searched.
        NoStdlib = "nostdlib",
        /// Archives only, from here on.
        Static = "static",
        /// Shared objects too, from here on.
        Dynamic = "dynamic",
        /// Remember `Static` or `Dynamic`.
        Push = "push",
        /// Go back to what was remembered.
        Pop = "pop",
        /// Where the program will find libraries, and ld the libraries of libraries.
        Rpath = "rpath",
        /// Where ld finds the libraries of libraries.
        RpathLink = "rpath-link",
        /// The output is an object.
        Relocatable = "relocatable",
        /// The output is a shared object.
        Shared = "shared",
        /// The name by which a shared object is needed.
        Soname = "soname",
        /// What the libraries need is needed too.
        CopyNeeded = "copy-needed",
        /// The output's format, in place of the emulation's.
        OutputFormat = "output-format",
        /// The format of the inputs from here on.
        Format = "format",
        /// `-m`
        Emulation = "emulation",
        /// Names a linker script.
        Script = "script",
        /// Names a file that is read as it is.
        List = "list",
        /// Names an object.
        Object = "object",
        /// Names an object or a directory.
        ObjectOrRpath = "object-or-rpath",
        /// Names a plugin.
        Plugin = "plugin",
        /// An option of the plugin.
        PluginOption = "plugin-option",
        /// `--build-id`, which is random as `uuid`.
        Random = "random",
        /// PE outputs carry no time.
        NoTimestamp = "no-timestamp",
        /// Asks the linker about itself.
        Query = "query",
        /// The same if there is nothing to link.
        MaybeQuery = "maybe-query",
        /// Known, but nothing that gg follows.
        Refused = "refused",
    }
}

// The table is part of the program and a test parses it.
pub(super) static TABLE: LazyLock<Table<Meaning>> = LazyLock::new(|| {
    Table::parse(include_str!("../options/ld.txt"), Syntax { clusters: false, terminator: true, ..Syntax::default() })
        .unwrap_or_else(|error| panic!("models/binutils/options/ld.txt: {error}"))
});

/// Options of LTO plugins (`-plugin-opt`) by how they begin, and what they name. Everything else concerns no file.
const PLUGIN_OPTIONS: &[(&str, PluginFile)] = &[
    ("-fresolution=", PluginFile::Scratch),
    ("cs-profile-path=", PluginFile::Read),
    ("sample-profile=", PluginFile::Read),
    ("opt-remarks-filename=", PluginFile::Write),
    ("obj-path=", PluginFile::Refused),
    ("dwo_dir=", PluginFile::Refused),
    ("save-temps", PluginFile::Refused),
    ("-save-temps", PluginFile::Refused),
    ("emit-asm", PluginFile::Refused),
    ("emit-llvm", PluginFile::Refused),
    ("also-emit-llvm", PluginFile::Refused),
    ("thinlto-index-only", PluginFile::Refused),
    ("thinlto-emit-imports-files", PluginFile::Refused),
    ("thinlto-object-suffix-replace", PluginFile::Refused),
    ("thinlto-prefix-replace", PluginFile::Refused),
    ("cache-dir=", PluginFile::Refused),
    ("stats-file=", PluginFile::Write),
];

#[derive(Clone, Copy)]
enum PluginFile {
    /// A file that GCC's plugin writes for lto-wrapper; part of the output where it is no temporary file.
    Scratch,
    Read,
    Write,
    Refused,
}

/// One input, in the order of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// A positional file.
    File { name: OsString, dynamic: bool, binary: bool },
    /// `-lname`
    Library { name: OsString, dynamic: bool },
    /// A linker script named by an option.
    Script(OsString),
    /// A file that is read as it is.
    Plain(OsString),
    /// `-R`: a file or a directory.
    ObjectOrRpath(OsString),
}

/// A linker's command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Command {
    pub inputs: Vec<Input>,
    pub output: Option<OsString>,
    pub map: Option<OsString>,
    pub writes: Vec<OsString>,
    /// Files of plugins that are outputs only if they are no temporary files.
    pub scratch: Vec<OsString>,
    /// Files that matter only if they exist (lto-wrapper).
    pub optional: Vec<OsString>,
    pub directories: Vec<OsString>,
    pub rpaths: Vec<OsString>,
    pub rpath_links: Vec<OsString>,
    pub sysroot: Option<OsString>,
    pub emulation: Option<OsString>,
    pub linker: Option<OsString>,
    pub no_stdlib: bool,
    pub relocatable: bool,
    pub shared: bool,
    pub sonames: Vec<OsString>,
    /// More may be needed than the libraries that are named.
    pub needs_more: bool,
    /// The output may be of another format than the emulation says.
    pub formatted: bool,
    pub no_timestamp: bool,
    pub query: Option<String>,
}

impl Command {
    /// Parses arguments without `argv[0]`, response files expanded.
    pub fn parse(args: &[OsString]) -> Result<Self, Reason> {
        let mut command = Self::default();
        let mut state = State { dynamic: true, stack: Vec::new(), binary: false };
        for item in TABLE.split(args)? {
            match item {
                Item::Operand(name) if name == "-" => return Err(Reason::Stdin),
                Item::Operand(name) => {
                    command.inputs.push(Input::File { name, dynamic: state.dynamic, binary: state.binary });
                }
                Item::Option { meaning, spelling, value } => command.option(&mut state, meaning, spelling, value)?,
            }
        }
        Ok(command)
    }

    fn option(
        &mut self,
        state: &mut State,
        meaning: Meaning,
        spelling: String,
        value: Option<OsString>,
    ) -> Result<(), Reason> {
        let given = value.is_some();
        let value = value.unwrap_or_default();
        match meaning {
            Meaning::Linker => self.linker = Some(value),
            Meaning::Flag => {}
            Meaning::Output => self.output = Some(value),
            Meaning::Map => self.map = Some(value),
            Meaning::Write => self.writes.push(value),
            Meaning::Library => self.inputs.push(Input::Library { name: value, dynamic: state.dynamic }),
            Meaning::Directory => self.directories.push(value),
            Meaning::Sysroot => self.sysroot = Some(value),
            Meaning::NoStdlib => self.no_stdlib = true,
            Meaning::Static => state.dynamic = false,
            Meaning::Dynamic => state.dynamic = true,
            Meaning::Push => state.stack.push(state.dynamic),
            Meaning::Pop => state.dynamic = state.stack.pop().unwrap_or(state.dynamic),
            Meaning::Rpath => self.rpaths.push(value),
            Meaning::RpathLink => self.rpath_links.push(value),
            Meaning::Relocatable => {
                self.relocatable = true;
                state.dynamic = false;
            }
            Meaning::Shared => self.shared = true,
            Meaning::Soname => self.sonames.push(value),
            Meaning::CopyNeeded => self.needs_more = true,
            Meaning::OutputFormat => self.formatted = true,
            Meaning::Format => state.binary = value == "binary",
            Meaning::Emulation => self.emulation = Some(value),
            Meaning::Script => {
                self.formatted = true;
                self.inputs.push(Input::Script(value));
            }
            Meaning::Plugin => {
                self.needs_more |= !is_lto_plugin(&value);
                self.inputs.push(Input::Plain(value));
            }
            Meaning::List | Meaning::Object => self.inputs.push(Input::Plain(value)),
            Meaning::ObjectOrRpath => self.inputs.push(Input::ObjectOrRpath(value)),
            Meaning::PluginOption => self.plugin_option(&value)?,
            Meaning::Random if value == "uuid" => return Err(Reason::Unsealable("a random build id".to_owned())),
            Meaning::Random => {}
            Meaning::NoTimestamp => self.no_timestamp = true,
            Meaning::Query => return Err(Reason::Query(spelling)),
            Meaning::MaybeQuery => self.query = Some(spelling),
            Meaning::Refused => {
                let value = if given { format!(" {}", value.display()) } else { String::new() };
                return Err(Reason::UnknownOption(format!("{spelling}{value}")));
            }
        }
        Ok(())
    }

    fn plugin_option(&mut self, value: &OsStr) -> Result<(), Reason> {
        let bytes = value.as_bytes();
        if bytes.starts_with(b"/") {
            self.optional.push(value.to_owned());
        }
        let Some((prefix, file)) = PLUGIN_OPTIONS.iter().find(|(prefix, _)| bytes.starts_with(prefix.as_bytes()))
        else {
            return Ok(());
        };
        let name = OsStr::from_bytes(&bytes[prefix.len()..]).to_owned();
        match file {
            PluginFile::Scratch => self.scratch.push(name),
            PluginFile::Read => self.inputs.push(Input::Plain(name)),
            PluginFile::Write => self.writes.push(name),
            PluginFile::Refused => return Err(Reason::UnknownOption(format!("-plugin-opt={}", value.display()))),
        }
        Ok(())
    }
}

/// Whether a plugin is a compiler's own, which adds no libraries but those that `-pass-through` names.
fn is_lto_plugin(name: &OsStr) -> bool {
    let name = Path::new(name).file_name().unwrap_or_default().as_bytes();
    name.starts_with(b"liblto_plugin") || name.starts_with(b"LLVMgold")
}

/// What options mean depends on where they stand.
struct State {
    dynamic: bool,
    stack: Vec<bool>,
    binary: bool,
}

//! The part of a scan that follows `#include MACRO`.
//!
//! Every definition of the macro in any file of the scan counts, whichever `#if` it stands in. A macro that no file and
//! no option defines cannot be expanded, so the line is dead: the compiler takes it for an error where it is not.

use std::os::unix::ffi::OsStrExt;

use super::atlas::FileId;
use super::facts::{Computed, Lookup, Place, Use};
use super::macros::Body;
use super::run::Run;
use super::text::is_ident_start;

/// What the files read so far say about a macro.
#[derive(Default)]
pub(super) struct Known {
    /// How many files were asked.
    asked: usize,
    bodies: Vec<Body>,
}

/// What a macro may stand for, all chains followed.
#[derive(Default)]
struct Meanings {
    /// Names, and whether they stand in quotes.
    names: Vec<(Box<[u8]>, bool)>,
    /// `__FILE__`: the file itself.
    itself: bool,
    /// There is a definition that cannot be followed.
    other: bool,
}

impl Run<'_> {
    /// Looks up what the computed names seen so far may mean.
    pub(super) fn follow_computed(&mut self) {
        self.collect_calls();
        for (file, computed) in self.computed.clone() {
            let Some(name) = &computed.name else { continue };
            let meanings = self.meanings(name);
            let dir = self.atlas.dir_of(file);
            let own = if meanings.itself { self.own_name(file) } else { None };
            for (name, quoted) in meanings.names.into_iter().chain(own) {
                match computed.place {
                    Place::Directive { next, usage } | Place::Condition { next, usage } => {
                        let known = self.cache.name(&name);
                        self.look_up(dir, &Lookup { name, quoted, next, usage, unconditional: false }, &known);
                    }
                    Place::Assembler { include } => self.embedded(dir, &name, include),
                }
            }
        }
    }

    /// Adds the computed names that could not be followed to what the scan tells.
    pub(super) fn report_computed(&mut self) {
        for (file, computed) in std::mem::take(&mut self.computed) {
            let name = computed.name.as_deref();
            let at = || format!("{}:{}", self.atlas.path(file).display(), computed.line);
            let shown = || name.map_or("an expression".into(), String::from_utf8_lossy);
            let (text, seals) = match computed.place {
                Place::Directive { usage: Use::Data, .. } => (format!("{}: #embed of {}", at(), shown()), true),
                Place::Directive { .. } => (format!("{}: #include of {}", at(), shown()), true),
                Place::Condition { .. } => (format!("{}: __has_include of {}", at(), shown()), false),
                Place::Assembler { .. } if self.atlas.is_system(file) => continue,
                Place::Assembler { .. } => (format!("{}: .incbin of {}", at(), shown()), false),
            };
            let followed = match name {
                None => false,
                Some(name) => {
                    let meanings = self.meanings(name);
                    // The assembler has names of its own; one that is no macro is the argument of one of its macros.
                    let known = !meanings.names.is_empty() || !matches!(computed.place, Place::Assembler { .. });
                    known && !meanings.other && !self.names_expand(&meanings)
                }
            };
            if !followed {
                if seals { self.scan.unresolved.push(text) } else { self.scan.unsealable.push(text) }
            }
        }
    }

    /// Turns the uses of macros that stand for `__has_include` into computed names of their own.
    fn collect_calls(&mut self) {
        if self.wrappers.is_empty() {
            return;
        }
        for (file, lexed) in &self.lexed {
            for call in &lexed.macros().calls {
                if self.wrappers.contains(&call.name) {
                    let place = Place::Condition { next: false, usage: Use::Probe };
                    let computed = Computed { name: Some(call.argument.clone()), place, line: call.line };
                    if !self.computed.contains(&(*file, computed.clone())) {
                        self.computed.push((*file, computed));
                    }
                }
            }
        }
    }

    /// Whether a name in brackets holds macros: they are expanded there, since the brackets came from a macro too.
    fn names_expand(&mut self, meanings: &Meanings) -> bool {
        meanings.names.iter().filter(|(_, quoted)| !quoted).any(|(name, _)| {
            name.split(|&byte| !byte.is_ascii_alphanumeric() && byte != b'_')
                .filter(|word| word.first().is_some_and(|&byte| is_ident_start(byte)))
                .any(|word| !self.bodies(word).is_empty())
        })
    }

    /// The path of a file as `__FILE__` may give it; the absolute one is known already.
    fn own_name(&self, file: FileId) -> Option<(Box<[u8]>, bool)> {
        let path = self.atlas.path(file).strip_prefix(self.cwd()).ok()?;
        Some((path.as_os_str().as_bytes().into(), true))
    }

    fn meanings(&mut self, name: &[u8]) -> Meanings {
        let mut meanings = Meanings::default();
        let mut seen: Vec<Box<[u8]>> = vec![name.into()];
        let mut at = 0;
        while at < seen.len() {
            let name = seen[at].clone();
            at += 1;
            if matches!(&*name, b"__FILE__" | b"__BASE_FILE__") {
                meanings.itself = true;
            }
            for body in self.bodies(&name) {
                match body {
                    Body::Quoted(name) => meanings.names.push((name.clone(), true)),
                    Body::Bracketed(name) => meanings.names.push((name.clone(), false)),
                    Body::Name(next) if !seen.contains(next) => seen.push(next.clone()),
                    Body::Other => meanings.other = true,
                    Body::Name(_) | Body::Empty | Body::Function => {}
                }
            }
        }
        meanings.names.sort();
        meanings.names.dedup();
        meanings
    }

    /// Every definition of a macro.
    fn bodies(&mut self, name: &[u8]) -> &[Body] {
        if !self.known.contains_key(name) {
            let options = self.defines().iter().filter(|(defined, _)| defined.as_bytes() == name);
            let bodies = options.map(|(_, value)| Body::of_option(value.as_bytes())).collect();
            self.known.insert(name.into(), Known { asked: 0, bodies });
        }
        let Some(known) = self.known.get_mut(name) else { return &[] };
        for (_, lexed) in &self.lexed[known.asked..] {
            known.bodies.extend_from_slice(lexed.macros().bodies(name));
        }
        known.asked = self.lexed.len();
        &known.bodies
    }
}

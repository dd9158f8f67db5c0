//! The libraries that libraries need: those of a link's inputs, and those of the shared object that it makes.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::command::Input;
use super::inputs::Search;
use super::search::loader_configuration;
use super::shared::{Needs, Shared};
use crate::Read;
use crate::binutils::outline::Outline;

impl<'a> Search<'a> {
    /// Adds the libraries of libraries (GNU ld manual, `-rpath-link`; binutils' `ld/ldelf.c`, `ldelf_after_open`): every file
    /// of a needed name in every directory that ld may look into, since it also opens those that do not fit.
    pub fn needed(&mut self) {
        let sysroot = self.sysroot().map_or_else(|| PathBuf::from("/"), |sysroot| self.cwd.join(sysroot));
        let (files, configured) = loader_configuration(&sysroot, self.world);
        self.reads.extend(files.into_iter().map(Read::File));
        let (command, env) = (self.command, self.env);
        let variables = ["LD_RUN_PATH", "LD_LIBRARY_PATH"].iter().filter_map(|name| env.get(OsStr::new(name)));
        let lists = command.rpath_links.iter().chain(self.rpaths()).chain(variables);
        let named: Vec<&OsStr> = lists.flat_map(|list| split(list)).collect();
        // What `$ORIGIN` is depends on who needs a library.
        let (varying, fixed): (Vec<&OsStr>, Vec<&OsStr>) = named.into_iter().partition(|name| has_token(name));
        let mut places: Vec<PathBuf> = fixed.iter().flat_map(|name| self.places(name, Path::new("/"))).collect();
        places.extend(configured);
        places.extend(self.directories.iter().chain(&self.defaults).cloned());
        let (mut done, mut looked_for, mut tried) = (HashSet::new(), HashSet::new(), HashSet::new());
        while let Some(library) = self.shared.pop_front() {
            // Run paths that lead back and forth spell one directory in ever more ways. What is found from there is the same.
            let directory = library.parent().and_then(|directory| self.world.resolve(directory).ok());
            if !done.insert((directory, library.file_name().map(OsStr::to_owned))) {
                continue;
            }
            let Ok(shared) = self.linker.shared.get(&library, Needs::All, self.world) else { continue };
            let own = shared.runpath.iter().map(OsString::as_os_str).chain(varying.iter().copied());
            let own: Vec<PathBuf> = own.flat_map(|name| self.places(name, &library)).collect();
            for name in &shared.needed {
                let everywhere = looked_for.insert(name.clone());
                for place in own.iter().chain(places.iter().filter(|_| everywhere)) {
                    let path = place.join(name);
                    if tried.insert(path.as_os_str().to_owned())
                        && self.is_file(&path)
                        && self.seen.insert(path.clone())
                    {
                        if self.fits(&path) {
                            self.shared.push_back(path.clone());
                        }
                        self.reads.push(Read::File(path));
                    }
                }
            }
        }
    }

    /// The values of `-rpath`, and of `-R` where that is one.
    fn rpaths(&self) -> Vec<&'a OsString> {
        let command = self.command;
        let directories = command.inputs.iter().filter_map(|input| match input {
            Input::ObjectOrRpath(name) if !self.is_file(&self.cwd.join(name)) => Some(name),
            _ => None,
        });
        command.rpaths.iter().chain(directories).collect()
    }

    /// Where a directory of a run path may be, as it concerns what `library` needs: with and without the sysroot, and with
    /// `$ORIGIN` and `$LIB` replaced as ld does (`ldelf_search_needed`).
    fn places(&self, directory: &OsStr, library: &Path) -> Vec<PathBuf> {
        let spellings = if has_token(directory) {
            let real = self.world.resolve(library).ok();
            let names = [Some(library), real.as_deref()];
            let mut origins: Vec<&Path> = names.into_iter().flatten().filter_map(Path::parent).collect();
            origins.dedup();
            let spelled = |origin| ["lib", "lib64"].map(|lib| replaced(directory, origin, lib));
            origins.into_iter().flat_map(spelled).collect()
        } else {
            vec![directory.to_owned()]
        };
        let sysroot = self.sysroot().map(|sysroot| self.cwd.join(sysroot));
        let mut places = Vec::new();
        for spelling in spellings {
            places.push(self.prefixed(&spelling));
            if let (Some(sysroot), Some(rest)) = (&sysroot, spelling.as_bytes().strip_prefix(b"/")) {
                places.push(sysroot.join(OsStr::from_bytes(rest)));
            }
        }
        places
    }

    /// What is known of the shared object that this link makes: it needs what is linked with, or less. `complete` unless the
    /// linker may take libraries that nothing here names.
    pub fn outline(&self, complete: bool) -> Option<Outline> {
        let command = self.command;
        if !command.shared || command.relocatable || command.formatted {
            return None;
        }
        let mut shared = Shared {
            sonames: command.sonames.clone(),
            machine: self.machine,
            complete: complete && !command.needs_more,
            ..Shared::default()
        };
        for (path, called) in &self.direct {
            let library = self.linker.shared.get(path, Needs::Some, self.world).ok()?;
            let (named, unnamed) = (&library.sonames, library.sonames.iter().all(|name| name.is_empty()));
            shared.needed.extend(named.iter().filter(|name| !name.is_empty()).cloned());
            match called {
                Some(called) if unnamed => {
                    shared.needed.push(called.clone());
                    shared.needed.extend(Path::new(called).file_name().map(OsStr::to_owned));
                }
                None if unnamed => shared.complete = false,
                _ => {}
            }
        }
        let lists = self.rpaths().into_iter().chain(self.env.get(OsStr::new("LD_RUN_PATH")));
        shared.runpath = lists.flat_map(|list| split(list)).map(OsStr::to_owned).collect();
        for names in [&mut shared.needed, &mut shared.runpath] {
            let mut seen = HashSet::new();
            names.retain(|name| seen.insert(name.clone()));
        }
        Some(Outline::Shared(shared))
    }
}

/// The directories of a list.
fn split(list: &OsStr) -> impl Iterator<Item = &OsStr> {
    list.as_bytes().split(|&byte| byte == b':').map(OsStr::from_bytes)
}

/// A token takes up the end of a directory's name, or all of it.
const TOKENS: &[(&str, Token)] =
    &[("$ORIGIN", Token::Origin), ("${ORIGIN}", Token::Origin), ("$LIB", Token::Lib), ("${LIB}", Token::Lib)];

#[derive(Clone, Copy)]
enum Token {
    Origin,
    Lib,
}

/// The token at the end of one part of a path, and what stands before it.
fn token(part: &[u8]) -> Option<(&[u8], Token)> {
    TOKENS.iter().find_map(|(spelling, token)| Some((part.strip_suffix(spelling.as_bytes())?, *token)))
}

fn has_token(directory: &OsStr) -> bool {
    directory.as_bytes().split(|&byte| byte == b'/').any(|part| token(part).is_some())
}

/// A directory with its tokens replaced.
fn replaced(directory: &OsStr, origin: &Path, lib: &str) -> OsString {
    let parts = directory.as_bytes().split(|&byte| byte == b'/').map(|part| match token(part) {
        Some((before, Token::Origin)) => [before, origin.as_os_str().as_bytes()].concat(),
        Some((before, Token::Lib)) => [before, lib.as_bytes()].concat(),
        None => part.to_vec(),
    });
    OsString::from_vec(parts.collect::<Vec<_>>().join(&b'/'))
}

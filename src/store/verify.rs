//! Looking through a whole store, and emptying it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use gg_ir::Name;
use rustix::fs::OFlags;

use crate::error::{Result, StoreError, at};
use crate::gc::{list, remove};
use crate::layout::DIRECTORIES;
use crate::lease;
use crate::object::{self, is_damage};
use crate::pack;
use crate::store::Store;

/// What a look through the whole store found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Whole objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whole reductions.
    pub reductions: u64,
    /// Objects that were damaged, and files that are no objects; now in the quarantine.
    pub corrupt_objects: u64,
    /// Reductions that were damaged; now in the quarantine.
    pub corrupt_reductions: u64,
}

/// Opens a file to be read without that counting as a use.
fn open(path: &Path) -> io::Result<File> {
    // Only the owner may ask for that.
    object::open(path, OFlags::NOATIME).or_else(|_| object::open(path, OFlags::empty()))
}

fn is_whole_object(path: &Path, name: &Name) -> io::Result<bool> {
    let mut file = open(path)?;
    let meta = file.metadata()?;
    Ok(meta.is_file() && meta.len() == name.length() && object::hash(&mut file, meta.len(), name.kind())? == *name)
}

fn is_whole_reduction(path: &Path, thunk: &Name) -> io::Result<bool> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(Store::is_record(thunk, &bytes))
}

impl Store {
    /// Reads every object and reduction and checks it; what is damaged goes to the quarantine.
    ///
    /// # Errors
    /// When the store cannot be listed, or something damaged cannot be moved.
    pub fn verify_all(&self) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        for (directory, objects) in [("objects", true), ("reductions", false)] {
            for spread in list(&self.layout.dir(directory))? {
                for entry in list(&spread.path())? {
                    self.verify_entry(&entry, objects, &mut report)?;
                }
            }
        }
        for pack in pack::all(&self.layout)? {
            let checked = pack::check(&self.layout, &pack)?;
            report.objects += checked.objects;
            report.bytes += checked.bytes;
            report.corrupt_objects += checked.unsound + checked.damaged.len() as u64;
            for (name, found) in checked.damaged {
                self.layout.quarantine_bytes(&name, &found)?;
            }
        }
        if report.corrupt_objects > 0 {
            self.forget_all();
        }
        Ok(report)
    }

    fn verify_entry(&self, entry: &fs::DirEntry, objects: bool, report: &mut VerifyReport) -> Result<()> {
        let path = entry.path();
        let place = |name: &Name| if objects { self.layout.object(name) } else { self.layout.reduction(name) };
        let name = entry.file_name().to_str().and_then(|text| text.parse::<Name>().ok());
        let name = name.filter(|name| place(name) == path);
        let whole = match name {
            None => Ok(false),
            Some(name) if objects => is_whole_object(&path, &name),
            Some(name) => is_whole_reduction(&path, &name),
        };
        let whole = match whole {
            // Deleted by a garbage collection meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if is_damage(&error) => false,
            whole => whole.map_err(at("read", &path))?,
        };
        let (good, bad) = match objects {
            true => (&mut report.objects, &mut report.corrupt_objects),
            false => (&mut report.reductions, &mut report.corrupt_reductions),
        };
        if whole {
            *good += 1;
            report.bytes += name.filter(|_| objects).map_or(0, |name| name.length());
        } else {
            *bad += 1;
            self.layout.quarantine(&path)?;
        }
        Ok(())
    }

    /// Removes everything that the store holds, and nothing else that is in its directory. The store can be used
    /// afterwards.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when a build runs, unless `force` is set; when something cannot be removed.
    pub fn clean(&self, force: bool) -> Result<()> {
        let leases = lease::survey(&self.layout, true)?;
        if leases.live > 0 && !force {
            return Err(StoreError::InUse { dir: self.dir().to_owned(), builds: leases.live });
        }
        let stamps = self.layout.dir("stamps");
        match fs::remove_file(&stamps) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at("remove", &stamps)(error)),
            _ => {}
        }
        // The lock files of running builds stay, even if their objects do not.
        for directory in DIRECTORIES.into_iter().filter(|&directory| directory != "leases") {
            for entry in list(&self.layout.dir(directory))? {
                let path = entry.path();
                match remove(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at("remove", &path)(error)),
                    _ => {}
                }
            }
        }
        self.forget_all();
        Ok(())
    }
}

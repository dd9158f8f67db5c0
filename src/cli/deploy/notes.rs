//! What is written of a deployment into the user's `gg.toml`, and taken out again. The rest of the file stays as it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml_edit::{DocumentMut, Item, Table, value};

/// Where something is set: table, key, value.
pub type Setting = (&'static str, &'static str, String);

/// A `gg.toml`.
#[derive(Debug)]
pub struct Notes {
    path: PathBuf,
    document: DocumentMut,
}

impl Notes {
    /// Reads the file, which need not be there.
    ///
    /// # Errors
    /// When it cannot be read, or is no TOML.
    pub fn read(path: &Path) -> Result<Self> {
        // What is a link to somewhere stays one.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let document = text.parse().with_context(|| format!("{} is not understood", path.display()))?;
        Ok(Self { path, document })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn get(&self, (table, key, _): &Setting) -> Option<&str> {
        self.document.get(table)?.get(key)?.as_str()
    }

    /// Whether all of this is set.
    pub fn has(&self, settings: &[Setting]) -> bool {
        settings.iter().all(|setting| self.get(setting) == Some(&setting.2))
    }

    /// Sets all of this, unless something else is there: then nothing is changed. Whether it is set now.
    pub fn set(&mut self, settings: &[Setting]) -> bool {
        let taken = |setting: &Setting| {
            let item = self.document.get(setting.0);
            item.is_some_and(|item| !item.is_table_like())
                || item.and_then(|item| item.get(setting.1)).is_some_and(|item| item.as_str() != Some(&setting.2))
        };
        if settings.iter().any(taken) {
            return false;
        }
        for (table, key, text) in settings {
            let place = self.document.entry(table).or_insert(Item::Table(Table::new()));
            if let Some(place) = place.as_table_like_mut() {
                place.insert(key, value(text));
            }
        }
        true
    }

    /// Takes out what is set to this very value. Whether anything was.
    pub fn remove(&mut self, settings: &[Setting]) -> bool {
        let mut removed = false;
        for setting in settings {
            if self.get(setting) != Some(&setting.2) {
                continue;
            }
            if let Some(place) = self.document.get_mut(setting.0).and_then(Item::as_table_like_mut) {
                place.remove(setting.1);
                removed = true;
                if place.is_empty() {
                    self.document.remove(setting.0);
                }
            }
        }
        removed
    }

    /// Writes it, so that no one ever reads half of it.
    ///
    /// # Errors
    /// When it cannot be written; then it is as it was.
    pub fn write(&self) -> Result<()> {
        let write = || {
            if let Some(directory) = self.path.parent() {
                fs::create_dir_all(directory)?;
            }
            let draft = self.path.with_extension(format!("toml.{}", std::process::id()));
            fs::write(&draft, self.document.to_string())?;
            if let Ok(info) = fs::metadata(&self.path) {
                fs::set_permissions(&draft, info.permissions())?;
            }
            fs::rename(&draft, &self.path)
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Vec<Setting> {
        vec![("store", "uri", "s3://b/store".to_owned()), ("lambda", "function", "gg".to_owned())]
    }

    #[test]
    fn set_and_taken_out_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/gg.toml");
        let mut notes = Notes::read(&path).unwrap();
        assert!(!notes.has(&settings()) && notes.set(&settings()));
        notes.write().unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "[store]\nuri = \"s3://b/store\"\n\n[lambda]\nfunction = \"gg\"\n"
        );
        let mut notes = Notes::read(&path).unwrap();
        assert!(notes.has(&settings()) && notes.set(&settings()));
        assert!(notes.remove(&settings()) && !notes.remove(&settings()));
        notes.write().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().trim(), "");
    }

    #[test]
    fn what_a_person_wrote_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gg.toml");
        let text = "# mine\nengine = [\"lambda:9\"] # nine\n[store]\nreductions = \"read\"\n";
        fs::write(&path, text).unwrap();
        let mut notes = Notes::read(&path).unwrap();
        assert!(notes.set(&settings()));
        notes.write().unwrap();
        let written = fs::read_to_string(&path).unwrap();
        assert!(written.starts_with(text) && written.contains("uri = \"s3://b/store\""), "{written}");
        // Another store is another's business.
        for other in ["[store]\nuri = \"s3://mine\"\n", "store = 7\n"] {
            fs::write(&path, other).unwrap();
            let mut notes = Notes::read(&path).unwrap();
            assert!(!notes.set(&settings()) && !notes.remove(&settings()));
            assert_eq!(notes.document.to_string(), other);
        }
        fs::write(&path, "store = [").unwrap();
        assert!(Notes::read(&path).is_err());
    }
}

//! The configuration file: `gg.toml` in the directory of the build or above it, over `gg/gg.toml` in the user's
//! configuration directory. The environment goes before both, and options on the command line before that.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

/// What a configuration file may say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The engines, in the order in which they are asked: `"lambda:1000"`, `"local:2"`, or a name alone.
    pub engine: Vec<String>,
    /// Whether this machine runs what the engines give back, where `local` is not among them.
    pub fallback: Option<bool>,
    /// The remote store.
    pub store: StoreConfig,
    /// The engine `lambda`.
    pub lambda: LambdaConfig,
}

/// Where objects live that engines far away work on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// `s3://BUCKET/PREFIX?region=REGION`, `gs://...`, `az://...`, `redis://...`. Never with credentials.
    pub uri: Option<String>,
    /// The shared cache of results: `off`, `read` or `read-write`.
    pub reductions: Option<String>,
}

/// Which function runs steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LambdaConfig {
    /// Its name or ARN.
    pub function: Option<String>,
    /// A function with more memory and time, for steps that do not fit the first one.
    pub larger: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The service's address, where it is not the region's own.
    pub endpoint: Option<String>,
}

/// The name of a configuration file.
pub const FILE: &str = "gg.toml";

impl Config {
    /// What the files say for a build in `directory`.
    ///
    /// # Errors
    /// When a file that is there cannot be read, or says what gg does not understand; the text names file and line.
    pub fn load(directory: &Path, user: Option<&Path>) -> Result<Self> {
        let mut config = Self::default();
        for file in Self::files(directory, user) {
            config.fill_from(Self::read(&file)?.unwrap_or_default());
        }
        Ok(config)
    }

    /// The files that have a say for a build in `directory`, the one that goes before the others first.
    pub fn files(directory: &Path, user: Option<&Path>) -> Vec<PathBuf> {
        let near = directory.ancestors().map(|place| place.join(FILE)).find(|file| file.is_file());
        let general = user.map(|user| user.join(FILE)).filter(|file| fs::symlink_metadata(file).is_ok());
        near.into_iter().chain(general).collect()
    }

    fn read(file: &Path) -> Result<Option<Self>> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        toml::from_str(&text).map(Some).with_context(|| format!("{} is not understood", file.display()))
    }

    /// Takes over what is not said here.
    fn fill_from(&mut self, other: Self) {
        fn fill<T>(mine: &mut Option<T>, theirs: Option<T>) {
            if mine.is_none() {
                *mine = theirs;
            }
        }
        if self.engine.is_empty() {
            self.engine = other.engine;
        }
        fill(&mut self.fallback, other.fallback);
        fill(&mut self.store.uri, other.store.uri);
        fill(&mut self.store.reductions, other.store.reductions);
        fill(&mut self.lambda.function, other.lambda.function);
        fill(&mut self.lambda.larger, other.lambda.larger);
        fill(&mut self.lambda.region, other.lambda.region);
        fill(&mut self.lambda.endpoint, other.lambda.endpoint);
    }
}

/// The directory `gg` in the user's configuration directory (XDG base directory specification).
pub fn user_directory() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    base.or_else(|| Some(variable("HOME")?.join(".config"))).map(|base| base.join("gg"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_goes_before_the_users() {
        let dir = tempfile::tempdir().unwrap();
        let (user, project) = (dir.path().join("user"), dir.path().join("project/below"));
        fs::create_dir_all(&user).unwrap();
        fs::create_dir_all(&project).unwrap();
        assert_eq!(Config::load(&project, Some(&user)).unwrap(), Config::default());
        fs::write(user.join(FILE), "engine = ['local']\n[store]\nuri = 's3://mine'\n[lambda]\nfunction = 'f'\n")
            .unwrap();
        fs::write(dir.path().join("project/gg.toml"), "fallback = false\n[store]\nuri = 's3://theirs'\n").unwrap();
        let config = Config::load(&project, Some(&user)).unwrap();
        assert_eq!(config.engine, ["local"]);
        assert_eq!(config.fallback, Some(false));
        assert_eq!(config.store.uri.as_deref(), Some("s3://theirs"));
        assert_eq!(config.lambda.function.as_deref(), Some("f"));
        fs::write(dir.path().join("project/gg.toml"), "fallbak = false\n").unwrap();
        let error = format!("{:#}", Config::load(&project, None).unwrap_err());
        assert!(error.contains("project/gg.toml") && error.contains("fallbak"), "{error}");
    }
}

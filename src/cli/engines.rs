//! Which engines a build is forced on, as a person asks for them: `-e lambda -j1000 -e local -j2`.

use std::ffi::OsString;

use anyhow::{Result, bail};

/// The kinds of engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This machine.
    Local,
    /// AWS Lambda.
    Lambda,
}

/// One engine, and how many steps it runs at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The engine.
    pub kind: Kind,
    /// How many at once; none: the engine's own default.
    pub jobs: Option<usize>,
}

const MOST: usize = 100_000;

impl Kind {
    /// As a person calls it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Local => "local",
            Kind::Lambda => "lambda",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        match name {
            "local" => Some(Kind::Local),
            "lambda" => Some(Kind::Lambda),
            _ => None,
        }
    }
}

impl Choice {
    /// Reads `NAME` or `NAME:JOBS`.
    ///
    /// # Errors
    /// When there is no such engine, or the number is none.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, jobs) = text.split_once(':').map_or((text, None), |(name, jobs)| (name, Some(jobs)));
        let Some(kind) = Kind::parse(name) else { bail!("there is no engine {name:?}; there are local and lambda") };
        let jobs = match jobs.map(str::parse) {
            None => None,
            Some(Ok(jobs @ 1..=MOST)) => Some(jobs),
            Some(_) => bail!("{text:?} is not an engine with a number from 1 to {MOST} of steps at once"),
        };
        Ok(Choice { kind, jobs })
    }

    /// Reads a list with commas.
    ///
    /// # Errors
    /// As [`Choice::parse`].
    pub fn parse_list(text: &str) -> Result<Vec<Self>> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Self::parse).collect()
    }
}

/// What `gg-make` takes for itself from make's arguments.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The engines.
    pub engines: Vec<Choice>,
    /// `--no-fallback` or `--fallback`.
    pub fallback: Option<bool>,
    /// The arguments that are make's.
    pub rest: Vec<OsString>,
}

/// Takes `-e ENGINE [-jN]`, `--engine=ENGINE[:N]` and `--[no-]fallback` out of make's arguments. make's own `-e` (the
/// environment overrides makefiles) takes no operand: it is ours only where the name of an engine follows.
///
/// # Errors
/// When an engine is asked for that does not exist.
pub fn take(args: Vec<OsString>) -> Result<Taken> {
    let mut taken = Taken::default();
    let mut args = args.into_iter().peekable();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy().into_owned();
        if text == "--" {
            taken.rest.push(arg);
            taken.rest.extend(args.by_ref());
        } else if let Some(choice) = text.strip_prefix("--engine=") {
            taken.engines.push(Choice::parse(choice)?);
        } else if text == "--no-fallback" || text == "--fallback" {
            taken.fallback = Some(text == "--fallback");
        } else if text == "-e"
            && let Some(kind) = args.peek().and_then(|next| Kind::parse(next.to_str()?))
        {
            args.next();
            let jobs = args.peek().and_then(|next| next.to_str()?.strip_prefix("-j")?.parse().ok());
            if jobs.is_some() {
                args.next();
            }
            taken.engines.push(Choice { kind, jobs });
        } else {
            taken.rest.push(arg);
        }
    }
    // Tool calls are answered at once, so more of them than this would only crowd this machine.
    let asked = taken.engines.iter().filter_map(|choice| choice.jobs).sum::<usize>();
    if asked > 0 {
        let most = 2 * std::thread::available_parallelism().map_or(2, usize::from);
        taken.rest.insert(0, format!("-j{}", asked.min(most)).into());
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(args: &[&str]) -> Taken {
        take(args.iter().map(OsString::from).collect()).unwrap()
    }

    #[test]
    fn engines_among_the_arguments_of_make() {
        let both = taken(&["-e", "lambda", "-j1", "-k", "-e", "local", "--no-fallback", "all"]);
        assert_eq!(
            both.engines,
            [Choice { kind: Kind::Lambda, jobs: Some(1) }, Choice { kind: Kind::Local, jobs: None }]
        );
        assert_eq!((both.fallback, both.rest), (Some(false), ["-j1", "-k", "all"].map(OsString::from).to_vec()));
        for args in [&["-e", "all", "-j8"][..], &["-e"], &["--", "-e", "lambda"], &["-ek", "lambda"]] {
            let untouched = taken(args);
            assert_eq!(untouched.rest, args.iter().map(OsString::from).collect::<Vec<_>>());
            assert!(untouched.engines.is_empty());
        }
        assert!(take(vec!["--engine=moon".into()]).is_err());
    }

    #[test]
    fn lists() {
        let list = Choice::parse_list("lambda:1000, local").unwrap();
        assert_eq!(list, [Choice { kind: Kind::Lambda, jobs: Some(1000) }, Choice { kind: Kind::Local, jobs: None }]);
        for bad in ["lambda:0", "lambda:x", "moon", "local:-1"] {
            assert!(Choice::parse_list(bad).is_err(), "{bad}");
        }
    }
}

//! What was found.

use std::io::{self, Write};

use anyhow::{Context, Result};
use serde::Serialize;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// gg works, but not as well as it could.
    Warn,
    /// It keeps gg from working.
    Fail,
    /// It was not looked at.
    Skipped,
}

impl State {
    fn sign(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "FAIL",
            State::Skipped => "--",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it belongs to.
    pub group: &'static str,
    /// What was looked at.
    pub check: String,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// Everything that was looked at so far; shown as it is found, if a person is to see it.
#[derive(Debug)]
pub struct Findings {
    shown: bool,
    group: &'static str,
    all: Vec<Finding>,
}

impl Findings {
    /// None yet.
    pub fn new(shown: bool) -> Self {
        Self { shown, group: "", all: Vec::new() }
    }

    /// What follows belongs to this.
    pub fn group(&mut self, name: &'static str) {
        self.group = name;
    }

    /// As it should be.
    pub fn ok(&mut self, check: &str, found: impl Into<String>) {
        self.add(check, State::Ok, found.into(), None);
    }

    /// Not as good as it could be.
    pub fn warned(&mut self, check: &str, found: impl Into<String>, advice: impl Into<String>) {
        self.add(check, State::Warn, found.into(), Some(advice.into()));
    }

    /// It keeps gg from working.
    pub fn failed(&mut self, check: &str, found: impl Into<String>, advice: impl Into<String>) {
        self.add(check, State::Fail, found.into(), Some(advice.into()));
    }

    /// Not looked at.
    pub fn skipped(&mut self, check: &str, why: impl Into<String>) {
        self.add(check, State::Skipped, why.into(), None);
    }

    /// Whether anything keeps gg from working.
    pub fn has_failed(&self) -> bool {
        self.all.iter().any(|finding| finding.state == State::Fail)
    }

    fn add(&mut self, check: &str, state: State, found: String, advice: Option<String>) {
        let first = self.all.last().is_none_or(|last| last.group != self.group);
        let finding = Finding { group: self.group, check: check.to_owned(), state, found, advice };
        if self.shown {
            // What nobody reads need not be told; the exit status still is.
            let _ = show(&mut io::stdout().lock(), &finding, first);
        }
        self.all.push(finding);
    }

    /// Tells a program.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn end(&self, json: bool) -> Result<()> {
        if !json {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &self.all)
            .map_err(io::Error::from)
            .and_then(|()| out.write_all(b"\n"))
            .context("cannot write what was found")
    }
}

fn show(out: &mut impl Write, finding: &Finding, first: bool) -> io::Result<()> {
    if first {
        writeln!(out, "{}", finding.group)?;
    }
    writeln!(out, "  {:4}  {:13} {}", finding.state.sign(), finding.check, finding.found)?;
    match &finding.advice {
        Some(advice) => writeln!(out, "        {:13} -> {advice}", ""),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each() {
        let mut findings = Findings::new(false);
        findings.group("gg");
        findings.ok("version", "1");
        findings.failed("directory", "full", "make room");
        assert!(findings.has_failed());
        let mut out = Vec::new();
        show(&mut out, &findings.all[0], true).unwrap();
        show(&mut out, &findings.all[1], false).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "gg\n  ok    version       1\n  FAIL  directory     full\n                      -> make room\n"
        );
    }
}

//! What interpreters answer about themselves.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gg_models::World;

use crate::disk::Disk;
use crate::gather::Gather;
use crate::{CaptureError, lookup};

/// An interpreter that lists the directories of its modules.
struct Interpreter {
    /// The name of its program, before a version.
    name: &'static str,
    /// The arguments that make it print them, one a line.
    question: &'static [&'static str],
    /// The variables by which it finds them, lists of directories; it takes the first that is set.
    variables: &'static [&'static str],
}

/// perlrun(1) for the variables.
const INTERPRETERS: &[Interpreter] =
    &[Interpreter { name: "perl", question: &["-e", r#"print "$_\n" for @INC"#], variables: &["PERL5LIB", "PERLLIB"] }];

/// Whether a program is called so, perhaps with a version behind.
pub(crate) fn is_called(program: &Path, name: &str) -> bool {
    let rest = program.file_name().and_then(|it| it.as_bytes().strip_prefix(name.as_bytes()));
    rest.is_some_and(|rest| rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'))
}

/// The last thing that a program said before it failed.
pub(crate) fn last_line(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    text.trim().lines().last().unwrap_or("it failed without a word").to_owned()
}

impl Gather<'_> {
    /// Adds the modules of a program, if it is an interpreter that can be asked for them.
    ///
    /// # Errors
    /// [`CaptureError::Unanswered`], and whatever the file system says.
    pub fn modules(&mut self, program: &Path) -> Result<(), CaptureError> {
        let Some(known) = INTERPRETERS.iter().find(|known| is_called(program, known.name)) else { return Ok(()) };
        let unanswered = |why: String| CaptureError::Unanswered { interpreter: program.into(), why };
        let mut argv: Vec<OsString> = vec![program.into()];
        argv.extend(known.question.iter().map(OsString::from));
        let answer = Disk.ask(&argv, &self.request.cwd, &self.request.env);
        let answer = answer.map_err(|error| unanswered(error.to_string()))?;
        if !answer.success {
            return Err(unanswered(last_line(&answer.stderr)));
        }
        for line in answer.stdout.split(|&byte| byte == b'\n') {
            let directory = Path::new(OsStr::from_bytes(line));
            if !line.is_empty() {
                self.look([self.request.cwd.join(directory)]);
                self.tree(&self.request.cwd.join(directory), &Default::default())?;
            }
        }
        let set = known.variables.iter().find_map(|name| Some((*name, self.request.env.get(OsStr::new(name))?)));
        if let Some((name, list)) = set {
            // Only those that are there: the others change nothing here.
            let there: Vec<PathBuf> = lookup::directories(list)
                .filter(|it| !it.as_os_str().is_empty() && self.request.cwd.join(it).is_dir())
                .collect();
            if !there.is_empty() {
                self.env.insert(name.into(), lookup::list(there.iter().map(PathBuf::as_path)));
            }
        }
        Ok(())
    }
}

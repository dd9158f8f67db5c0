//! The jobs of one request: which needs which, and what they need from outside.

use std::collections::BTreeMap;

use gg_ir::{Input, Kind, Name, Reduction, Reference, Thunk};

use crate::wire::{JobResult, RemoteJob};

/// One job, as far as the others matter.
#[derive(Debug)]
pub(super) struct Link {
    /// What the reduction is for.
    pub name: Name,
    /// What to run.
    pub thunk: Thunk,
    /// The values of inputs that are outputs of other thunks, as far as they are known.
    pub resolved: BTreeMap<Reference, Name>,
    /// The earlier jobs of the request whose outputs it uses.
    pub after: Vec<usize>,
    /// Files that it needs from outside.
    pub files: Vec<Name>,
    /// Trees that it needs from outside.
    pub trees: Vec<Name>,
}

/// Works out how the jobs depend on one another; a result in place of a job that cannot be run.
pub(super) fn links(jobs: &[RemoteJob]) -> Vec<Result<Link, Box<JobResult>>> {
    jobs.iter().enumerate().map(|(at, job)| link(job, &jobs[..at])).collect()
}

fn link(job: &RemoteJob, earlier: &[RemoteJob]) -> Result<Link, Box<JobResult>> {
    let broken = |text| Box::new(JobResult::Broken { text, again: false });
    if job.name.kind() != Kind::Thunk {
        return Err(broken(format!("{} is no thunk's name", job.name)));
    }
    let resolved: BTreeMap<_, _> = job.resolved.iter().cloned().collect();
    let (mut after, mut files, mut trees) = (Vec::new(), Vec::new(), Vec::new());
    for input in job.thunk.inputs.values() {
        let reference = match input {
            Input::File { object, .. } => object,
            Input::Tree(name) => {
                trees.push(*name);
                continue;
            }
            Input::Symlink(_) | Input::Directory => continue,
        };
        match (reference, resolved.get(reference)) {
            (Reference::Value(name), _) | (_, Some(name)) => files.push(*name),
            (Reference::Output(thunk, _), None) => {
                let found = earlier.iter().rposition(|other| other.name == *thunk);
                after.push(found.ok_or_else(|| broken(format!("input {reference} has not been computed yet")))?);
            }
        }
    }
    for names in [&mut files, &mut trees] {
        names.sort_unstable();
        names.dedup();
    }
    after.sort_unstable();
    after.dedup();
    Ok(Link { name: job.name, thunk: job.thunk.clone(), resolved, after, files, trees })
}

impl Link {
    /// Takes over what an earlier job made. Inputs that it might have made and did not are left out.
    ///
    /// # Errors
    /// When an output is not a value.
    pub fn take(&mut self, made: &Reduction) -> Result<(), Box<JobResult>> {
        let mut absent = Vec::new();
        for (path, input) in &self.thunk.inputs {
            let Input::File { object: reference @ Reference::Output(thunk, tag), .. } = input else { continue };
            if *thunk != made.thunk || self.resolved.contains_key(reference) {
                continue;
            }
            match made.outputs.get(tag).map(|made| &made.object) {
                Some(Reference::Value(name)) => drop(self.resolved.insert(reference.clone(), *name)),
                None => absent.push(path.clone()),
                Some(Reference::Output(..)) => {
                    let text = format!("input {reference} is an output of another thunk");
                    return Err(Box::new(JobResult::Broken { text, again: false }));
                }
            }
        }
        absent.iter().for_each(|path| drop(self.thunk.inputs.remove(path)));
        Ok(())
    }
}

//! The graph of the last build, or of what some files come from.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use gg_ir::{AbsPath, Input, Name, Reference, Thunk};
use gg_store::Store;

use super::{Graph, Node};
use crate::report::{Record, StepRecord};

/// A step: the place of its run, and its own there.
type Place = (usize, usize);

/// A step that is being looked at.
struct Visit {
    place: Place,
    /// What it needs, and how much of that has been looked at.
    needs: Vec<Need>,
    done: usize,
    node: Node,
}

/// What a step needs.
#[derive(Clone, Debug)]
enum Need {
    /// A step that a record tells of.
    Step(Place),
    /// One that no record that is kept tells of.
    Thunk(Name),
}

struct Gatherer<'a> {
    store: &'a Store,
    /// The last run first.
    runs: &'a [Record],
    /// For each run, the step of each thunk, and the last step that makes each file.
    thunks: Vec<HashMap<&'a str, usize>>,
    makers: Vec<HashMap<&'a str, usize>>,
    nodes: Vec<Node>,
    /// Each thunk is there once, whatever number of builds had it.
    known: HashMap<String, usize>,
}

impl Graph {
    /// The steps of the first of these runs, which are given the last one first. If there are `files`, only the steps that those come
    /// from, those of earlier runs too: a build that had little to do tells little.
    ///
    /// # Errors
    /// When no step of any run makes one of the files.
    pub fn gather(runs: &[Record], files: &[PathBuf], store: &Store) -> Result<Self> {
        let last = runs.first().context("there is no run")?;
        let runs = if files.is_empty() { &runs[..1] } else { runs };
        let mut gatherer = Gatherer {
            store,
            runs,
            thunks: runs.iter().map(thunks).collect(),
            makers: runs.iter().map(makers).collect(),
            nodes: Vec::new(),
            known: HashMap::new(),
        };
        if files.is_empty() {
            (0..last.steps.len()).for_each(|place| gatherer.visit((0, place)));
            return Ok(Self { title: last.command.join(" "), nodes: gatherer.nodes });
        }
        let mut names = Vec::new();
        for file in files {
            let path = lexically(&std::path::absolute(file).with_context(|| file.display().to_string())?);
            let makers = gatherer.makers.iter().enumerate();
            let mut makers = makers.filter_map(|(run, makers)| Some((run, *makers.get(&*path.to_string_lossy())?)));
            let Some(place) = makers.next() else {
                bail!(
                    "no step of the builds whose records are kept makes {}; `gg graph` lists what the last one made",
                    file.display()
                );
            };
            gatherer.visit(place);
            names.push(last.shorten(&path.to_string_lossy()).to_owned());
        }
        Ok(Self { title: names.join(", "), nodes: gatherer.nodes })
    }
}

impl Gatherer<'_> {
    fn step(&self, (run, step): Place) -> &StepRecord {
        &self.runs[run].steps[step]
    }

    /// Adds a step and all that it comes from.
    fn visit(&mut self, place: Place) {
        // Chains can be longer than a stack is deep.
        let mut stack = Vec::new();
        stack.extend(self.enter(place));
        while let Some(visit) = stack.last_mut() {
            let need = visit.needs.get(visit.done).cloned();
            visit.done += 1;
            match need {
                Some(Need::Step(need)) => stack.extend(self.enter(need)),
                Some(Need::Thunk(name)) => self.foreign(&name),
                None => {
                    let Some(visit) = stack.pop() else { return };
                    self.leave(visit);
                }
            }
        }
    }

    /// Begins with a step, unless it is known.
    fn enter(&self, place: Place) -> Option<Visit> {
        let step = self.step(place);
        if self.known.contains_key(&step.thunk) {
            return None;
        }
        // Of what is not in the store any more, the record still tells most.
        let thunk = step.thunk.parse().ok().and_then(|name| self.store.read_thunk(&name).ok());
        let node = Node {
            id: id(&step.thunk),
            kind: step.kind.clone(),
            tool: step.tool.clone(),
            label: self.runs[place.0].shorten(&step.label).to_owned(),
            directory: step.directory.clone(),
            command: step.command.clone(),
            served: step.served,
            earlier: place.0 > 0,
            wall_us: step.wall_us,
            files: thunk.as_ref().map(|thunk| count(thunk)),
            ..Node::default()
        };
        Some(Visit { place, needs: self.needs(place, thunk.as_deref()), done: 0, node })
    }

    /// Adds a step, all of whose needs are there.
    fn leave(&mut self, visit: Visit) {
        let known = visit.needs.iter().filter_map(|need| match need {
            Need::Step(need) => self.known.get(&self.step(*need).thunk),
            Need::Thunk(name) => self.known.get(&name.to_string()),
        });
        // Each once, and in order.
        let needs: BTreeSet<usize> = known.copied().collect();
        self.known.insert(self.step(visit.place).thunk.clone(), self.nodes.len());
        self.nodes.push(Node { needs: needs.into_iter().collect(), ..visit.node });
    }

    /// A step of which only the thunk is there, if that.
    fn foreign(&mut self, name: &Name) {
        let thunk = name.to_string();
        if self.known.contains_key(&thunk) {
            return;
        }
        let mut node = Node { id: id(&thunk), earlier: true, tool: "step".into(), ..Node::default() };
        match self.store.read_thunk(name) {
            Ok(read) => {
                let output = read.outputs.values().next().map(|output| output.path.to_string());
                node.label = output.map_or_else(|| node.id.clone(), |path| self.runs[0].shorten(&path).to_owned());
                let tool = read.function.args.first().map(PathBuf::from);
                let tool = tool.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
                node.tool = tool.unwrap_or(node.tool);
                node.files = Some(count(&read));
            }
            Err(_) => node.label = "(an earlier build's)".into(),
        }
        self.known.insert(thunk, self.nodes.len());
        self.nodes.push(node);
    }

    /// What a step needs. The record says what it needs of its own run, the thunk what else.
    fn needs(&self, place: Place, thunk: Option<&Thunk>) -> Vec<Need> {
        let (run, at) = place;
        let own = self.step(place).needs.iter().map(|need| *need as usize).filter(|&need| need < at);
        let mut needs: Vec<Need> = own.map(|need| Need::Step((run, need))).collect();
        for (path, input) in thunk.iter().flat_map(|thunk| &thunk.inputs) {
            let Input::File { object, .. } = input else { continue };
            match object {
                Reference::Output(other, _) => needs.extend(self.by_thunk(run, at, other)),
                Reference::Value(value) => needs.extend(self.by_file(run, path, value)),
            }
        }
        needs
    }

    fn by_thunk(&self, run: usize, before: usize, name: &Name) -> Option<Need> {
        let text = name.to_string();
        for (number, thunks) in self.thunks.iter().enumerate().skip(run) {
            match thunks.get(&*text) {
                // Told by the record, or of no use: a step needs none that comes after it.
                Some(&place) if number == run && place >= before => return None,
                Some(&place) => return Some(Need::Step((number, place))),
                None => {}
            }
        }
        Some(Need::Thunk(*name))
    }

    /// The last step of an earlier run that made a file with these bytes.
    fn by_file(&self, run: usize, path: &AbsPath, value: &Name) -> Option<Need> {
        let path = path.to_string();
        let later = self.makers.iter().enumerate().skip(run + 1);
        let mut makers = later.filter_map(|(run, makers)| Some((run, *makers.get(&*path)?)));
        makers.find(|place| self.made(*place, value)).map(Need::Step)
    }

    fn made(&self, place: Place, value: &Name) -> bool {
        let name = self.step(place).thunk.parse().ok();
        let made = name.and_then(|name| self.store.reduction(&name).ok().flatten());
        made.is_some_and(|made| made.outputs.values().any(|made| made.object.name() == value))
    }
}

/// How many single files a step sees.
fn count(thunk: &Thunk) -> usize {
    thunk.inputs.values().filter(|input| matches!(input, Input::File { .. })).count()
}

fn id(thunk: &str) -> String {
    thunk.get(1..13).unwrap_or(thunk).to_owned()
}

fn thunks(record: &Record) -> HashMap<&str, usize> {
    record.steps.iter().enumerate().map(|(place, step)| (step.thunk.as_str(), place)).collect()
}

fn makers(record: &Record) -> HashMap<&str, usize> {
    let mut makers = HashMap::new();
    for (place, step) in record.steps.iter().enumerate() {
        for file in step.outputs.iter().chain([&step.label]) {
            makers.insert(file.as_str(), place);
        }
    }
    makers
}

/// Without `.` and `..`, as tools are seen to call files.
fn lexically(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(clean.pop()),
            std::path::Component::CurDir => {}
            part => clean.push(part),
        }
    }
    clean
}

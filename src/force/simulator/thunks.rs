//! Recorded steps as thunks, so that the plan finds what it finds in a build.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gg_ir::{AbsPath, Cost, Function, Input, Made, Name, Output, Reduction, Reference, Tag, Thunk};

use super::recording::Recording;

/// The thunk of each step, and back.
pub(super) struct Thunks {
    pub thunks: Vec<Arc<Thunk>>,
    pub names: Vec<Name>,
    pub steps: HashMap<Name, u32>,
    tag: Tag,
}

fn path(text: String) -> AbsPath {
    // A slash and what holds no zero byte, dot or empty component.
    AbsPath::new(text).unwrap_or_else(|_| AbsPath::root())
}

impl Thunks {
    pub fn of(recording: &Recording) -> Self {
        // A word of letters is a tag.
        let tag = Tag::new("made").unwrap_or_else(|error| unreachable!("{error}"));
        let mut made = Self { thunks: Vec::new(), names: Vec::new(), steps: HashMap::new(), tag };
        for (number, step) in (0..).zip(recording.steps()) {
            let inputs = step.needs.iter().map(|need| {
                let object = Reference::Output(made.names[*need as usize], made.tag.clone());
                (path(format!("/made/{need}")), Input::File { object, mode: 0o644 })
            });
            let thunk = Arc::new(Thunk {
                function: Function {
                    executable: path("/tool".to_owned()),
                    // Two steps may be alike in all else.
                    args: vec![number.to_string().into()],
                    env: BTreeMap::new(),
                    cwd: AbsPath::root(),
                    umask: 0o22,
                },
                inputs: inputs.collect(),
                outputs: [(
                    made.tag.clone(),
                    Output { path: path(format!("/made/{number}")), optional: false, dynamic: false },
                )]
                .into(),
                timeout: None,
                volatile: false,
                strict: false,
            });
            let name = thunk.name();
            made.names.push(name);
            made.steps.insert(name, number);
            made.thunks.push(thunk);
        }
        made
    }

    /// What a step evaluates to.
    pub fn reduction(&self, step: u32) -> Reduction {
        let object = Reference::Value(Name::of_value(&step.to_le_bytes()));
        Reduction {
            thunk: self.names[step as usize],
            outputs: [(self.tag.clone(), Made { object, mode: 0o644 })].into(),
            undeclared: BTreeMap::new(),
            stdout: Vec::new(),
            stderr: Vec::new(),
            cost: Cost::default(),
        }
    }
}

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStringExt;

use gg_ir::{AbsPath, Function, Input, Kind, Made, Output, Tag};
use proptest::prelude::*;

use super::*;
use crate::Status;

fn name(seed: u8, kind: Kind) -> Name {
    Name::of(kind, &[seed])
}

fn thunk(arg: Vec<u8>) -> Thunk {
    let path = |text: &str| AbsPath::new(text).unwrap();
    Thunk {
        function: Function {
            executable: path("/usr/bin/gcc"),
            args: vec!["gcc".into(), std::ffi::OsString::from_vec(arg.into_iter().filter(|&b| b != 0).collect())],
            env: BTreeMap::from([("PATH".into(), "/usr/bin".into())]),
            cwd: path("/p"),
            umask: 0o22,
        },
        inputs: BTreeMap::from([(
            path("/p/a.o"),
            Input::File { object: Reference::Output(name(1, Kind::Thunk), Tag::new("o").unwrap()), mode: 0o644 },
        )]),
        outputs: BTreeMap::from([(
            Tag::new("out").unwrap(),
            Output { path: path("/p/a"), optional: false, dynamic: false },
        )]),
        timeout: None,
        volatile: false,
        strict: false,
    }
}

fn made(seed: u8) -> Made {
    Made { object: Reference::Value(name(seed, Kind::Value)), mode: 0o644 }
}

prop_compose! {
    fn requests()(inline: Vec<u8>, arg: Vec<u8>, seeds: Vec<u8>, timeout_ms: u64, flags: [bool; 2]) -> Request {
        let resolved = |&seed: &u8| {
            (Reference::Output(name(seed, Kind::Thunk), Tag::new("o").unwrap()), name(seed, Kind::Value))
        };
        let job = RemoteJob {
            name: name(7, Kind::Thunk),
            thunk: thunk(arg),
            resolved: seeds.iter().map(resolved).collect(),
            timeout_ms,
            terminal: flags[0],
        };
        Request {
            version: VERSION,
            store: "s3://bucket/prefix?region=eu-central-1".to_owned(),
            inline,
            sources: Sources::default(),
            jobs: vec![job; seeds.len() % 3],
            inline_limit: timeout_ms,
            store_from: (timeout_ms % 2 == 0).then_some(timeout_ms),
            record: flags[1],
        }
    }
}

fn results() -> impl Strategy<Value = JobResult> {
    let text = || "\\PC{0,20}";
    let tags = || prop::collection::btree_map("[a-z]{1,4}", any::<u8>(), 0..3);
    let outputs = |tags: BTreeMap<String, u8>| -> BTreeMap<Tag, Made> {
        tags.into_iter().map(|(tag, seed)| (Tag::new(tag).unwrap(), made(seed))).collect()
    };
    let cost = |wall_us| Cost { wall_us, ..Cost::default() };
    prop_oneof![
        (tags(), any::<Vec<u8>>(), any::<u64>()).prop_map(move |(tags, stderr, wall_us)| JobResult::Done {
            reduction: Reduction {
                thunk: name(9, Kind::Thunk),
                outputs: outputs(tags),
                undeclared: BTreeMap::new(),
                stdout: vec![0xff, 0],
                stderr,
                cost: cost(wall_us),
            },
        }),
        (tags(), any::<Vec<u8>>(), any::<i32>(), 0..3).prop_map(move |(tags, stdout, number, how)| {
            JobResult::Failed {
                failure: Failure {
                    status: [Status::Exited(number), Status::Signalled(number), Status::OverTime][how as usize],
                    stdout,
                    stderr: b"error: \xff".to_vec(),
                    cost: cost(3),
                    missing_outputs: tags.keys().map(|tag| Tag::new(tag.clone()).unwrap()).collect(),
                    outputs: outputs(tags),
                    undeclared: BTreeMap::from([(AbsPath::new(std::ffi::OsStr::new("/p/x")).unwrap(), made(1))]),
                },
            }
        }),
        any::<Vec<u8>>().prop_map(|seeds| JobResult::Missing {
            packs: vec!["00".to_owned()],
            names: seeds.into_iter().map(|seed| name(seed, Kind::Value)).collect(),
        }),
        any::<u8>().prop_map(|seed| JobResult::Elsewhere { name: name(seed, Kind::Value) }),
        text().prop_map(|text| JobResult::Corrupt {
            names: vec![name(1, Kind::Value)],
            keys: vec![text.clone()],
            text
        }),
        any::<(u64, bool)>().prop_map(|(after_ms, deadline)| JobResult::TimedOut { after_ms, deadline }),
        (text(), any::<u64>()).prop_map(|(text, memory_mib)| JobResult::OutOfMemory { text, memory_mib }),
        text().prop_map(|reason| JobResult::Unfit { reason }),
        (text(), any::<bool>()).prop_map(|(text, again)| JobResult::Broken { text, again }),
        text().prop_map(|reason| JobResult::NotRun { reason }),
    ]
}

prop_compose! {
    fn responses()(results in prop::collection::vec(results(), 0..4), inline: Vec<u8>, refused: Option<(bool, String)>) -> Response {
        Response {
            version: VERSION,
            refused: refused.map(|(again, text)| Refusal::Store { text, again }),
            stored: inline.iter().map(|&seed| name(seed, Kind::Value)).collect(),
            results,
            inline,
            report: WorkerReport { worker: "w".to_owned(), cold: true, phases: Phases { run: 5, ..Phases::default() }, ..WorkerReport::default() },
        }
    }
}

proptest! {
    #[test]
    fn requests_survive_the_wire(request in requests()) {
        prop_assert_eq!(Request::decode(&request.encode()).unwrap(), request);
    }

    #[test]
    fn responses_survive_the_wire(response in responses()) {
        for result in &response.results {
            prop_assert_eq!(&JobResult::decode(&result.encode()).unwrap(), result);
        }
        prop_assert_eq!(Response::decode(&response.encode()).unwrap(), response);
    }

    #[test]
    fn damaged_messages_are_errors(request in requests(), at: prop::sample::Index, with: u8) {
        let mut bytes = request.encode();
        let at = at.index(bytes.len());
        bytes[at] = with;
        if let Ok(read) = Request::decode(&bytes) {
            prop_assert_eq!(read, request);
        }
        prop_assert!(Request::decode(&bytes[..at]).is_err());
    }
}

#[test]
fn another_version_is_told_from_nonsense() {
    assert!(matches!(Request::decode(b"{\"version\": 99, \"what\": 1}"), Err(WireError::Version { found: 99, .. })));
    let nonsense = format!("{{\"version\": {VERSION}, \"what\": 1}}");
    assert!(matches!(Request::decode(nonsense.as_bytes()), Err(WireError::Malformed { .. })));
    assert!(matches!(Response::decode(b"[]"), Err(WireError::Malformed { .. })));
}

#[test]
fn a_thunk_that_is_none_is_malformed() {
    let mut text = String::from_utf8(
        Request {
            version: VERSION,
            store: String::new(),
            inline: vec![],
            sources: Sources::default(),
            jobs: vec![RemoteJob {
                name: name(1, Kind::Thunk),
                thunk: thunk(vec![]),
                resolved: vec![],
                timeout_ms: 1,
                terminal: false,
            }],
            inline_limit: 0,
            store_from: None,
            record: false,
        }
        .encode(),
    )
    .unwrap();
    assert!(Request::decode(text.as_bytes()).is_ok());
    text = text.replace("\"KLUv", "\"KLUw");
    assert!(matches!(Request::decode(text.as_bytes()), Err(WireError::Damaged { .. })));
    let sealed: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(serde_json::from_value::<Request>(sealed["body"].clone()).is_err());
}

#[test]
fn base64_takes_as_much_as_was_said() {
    for length in 0..10u64 {
        let empty = serde_json::to_string(&"").unwrap().len() as u64;
        let mut response = Response::refusal(Refusal::Broken { text: String::new() }, WorkerReport::default());
        let before = response.encode().len() as u64;
        response.inline = vec![1; length as usize];
        assert_eq!(response.encode().len() as u64 - before + empty, base64_length(length) + empty);
    }
}

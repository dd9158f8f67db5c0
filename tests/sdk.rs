//! The Rust package that states thunks and forces them through `gg api`.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};

use gg_sdk::{Error, Input, Options, Session, Thunk};

use crate::project::Project;

fn session(project: &Project) -> Session {
    let options = Options::default().gg(env!("CARGO_BIN_EXE_gg")).engine("local:2").env("GG_DIR", project.store());
    options.start().unwrap()
}

/// As in the package's own description.
#[test]
fn a_graph_is_forced_and_its_result_read() {
    let project = Project::new();
    let session = session(&project);
    let words = Thunk::program("sh")
        .programs(["wc"])
        .args(["-c", "wc -w </w/text >/w/count"])
        .input("/w/text", "to be or not to be")
        .output("count", "/w/count");
    let double = Thunk::program("sh")
        .args(["-c", "read n </w/n; echo $((n * 2)) >/w/twice"])
        .input("/w/n", words.output_of("count"))
        .output("twice", "/w/twice");
    let done = session.force(&double).unwrap();
    assert_eq!(done.outputs["twice"].text().unwrap(), "12\n");
    assert!(!done.cached && done.engine.as_deref() == Some("local"));
    assert!(session.force(&double).unwrap().cached);
    done.outputs["twice"].save(project.path("saved")).unwrap();
    assert_eq!(project.read("saved"), b"12\n");
}

#[test]
fn values_and_files_are_inputs() {
    let project = Project::new();
    project.write("d/a", "of a file");
    let session = session(&project);
    let kept = session.put([0xff, 0xfe]).unwrap();
    assert_eq!((kept.size(), kept.bytes().unwrap()), (2, vec![0xff, 0xfe]));
    let file = session.put_file(project.path("d/a")).unwrap();
    let all = Thunk::program("cat")
        .args(["/w/v", "/w/f", "/w/d/a", "/w/b"])
        .input("/w/v", kept)
        .input("/w/f", file)
        .input("/w/d", project.path("d"))
        .input("/w/b", vec![0xfd])
        .input("/w/l", Input::Symlink("d".into()));
    let done = session.force(&all).unwrap();
    assert_eq!(&*done.stdout, [&[0xff, 0xfe][..], b"of a fileof a file", &[0xfd]].concat());
    assert!(matches!(session.put_file("/no/such/file"), Err(Error::Request(text)) if text.contains("/no/such/file")));
}

#[test]
fn long_contents_are_inputs_of_many_and_the_last_input_of_a_path_counts() {
    let project = Project::new();
    let session = session(&project);
    let blob = vec![0xfe; 400_000];
    let thunks: Vec<Thunk> = (0..3)
        .map(|n| Thunk::program("wc").args(["-c", &format!("/{n}")]).input(format!("/{n}"), blob.clone()))
        .collect();
    for (number, pending) in session.submit_all(&thunks).into_iter().enumerate() {
        assert_eq!(*pending.wait().unwrap().stdout, *format!("400000 /{number}\n").as_bytes());
    }
    // What was said last of a path counts.
    let last =
        Thunk::program("cat").arg("/a").input("/a", &thunks[0].clone().output("o", "/o")).input("/a", "the last");
    assert_eq!(&*session.force(&last).unwrap().stdout, b"the last");
}

#[test]
fn many_are_forced_at_once_and_each_has_its_own_end() {
    let project = Project::new();
    let session = session(&project);
    let thunks: Vec<Thunk> =
        (0..20).map(|n| Thunk::program("sh").args(["-c", &format!("test {n} != 7 && echo {n}")])).collect();
    let ends: Vec<_> = session.submit_all(&thunks).into_iter().map(gg_sdk::Pending::wait).collect();
    for (number, end) in ends.into_iter().enumerate() {
        match end {
            Ok(done) => assert_eq!(*done.stdout, *format!("{number}\n").as_bytes()),
            Err(Error::Program(failure)) => assert_eq!((number, failure.status), (7, Some(1))),
            Err(other) => panic!("{number}: {other}"),
        }
    }
}

#[test]
fn what_a_thunk_needs_fails_by_its_own_name() {
    let project = Project::new();
    let bad = Thunk::program("sh").args(["-c", "echo why >&2; exit 3"]).output("o", "/o").label("the bad one");
    let user = Thunk::program("cat").arg("/in").input("/in", &bad);
    match session(&project).force(&user) {
        Err(Error::Dependency(failure)) => {
            assert_eq!((failure.label.as_str(), &*failure.stderr), ("the bad one", &b"why\n"[..]));
        }
        other => panic!("{other:?}"),
    }
}

struct Park(std::thread::Thread);

impl Wake for Park {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn a_result_is_a_future() {
    let project = Project::new();
    let session = session(&project);
    let mut pending =
        pin!(session.submit(&Thunk::program("sh").args(["-c", "sleep 0.2; echo late"]).programs(["sleep"])));
    let waker = Arc::new(Park(std::thread::current())).into();
    let done = loop {
        match pending.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => break done.unwrap(),
            Poll::Pending => std::thread::park(),
        }
    };
    assert_eq!(&*done.stdout, b"late\n");
}

#[test]
fn a_gg_that_is_not_there_is_told_of() {
    match Options::default().gg("/no/such/gg").start() {
        Err(Error::Gone(text)) => assert!(text.contains("/no/such/gg cannot be started"), "{text}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was started"),
    }
}

#[test]
fn one_can_be_cancelled() {
    let project = Project::new();
    let session = session(&project);
    let thunks = [Thunk::program("sleep").args(["1237"]), Thunk::program("sleep").args(["0.2"])];
    let [long, short] = session.submit_all(&thunks).try_into().unwrap();
    long.cancel();
    assert!(matches!(long.wait(), Err(Error::Cancelled(_))));
    short.cancel();
    assert!(short.wait().is_err());
    // Both places are free.
    let two = ["0.01", "0.02"].map(|time| Thunk::program("sleep").args([time]));
    for pending in session.submit_all(&two) {
        let outcome = pending.wait().unwrap();
        assert!(!outcome.cached);
    }
}

#[test]
fn what_a_failure_has_written_is_there() {
    let project = Project::new();
    let script = "echo half >/w/half; echo said; exec sleep 60";
    let slow = Thunk::program("sh").args(["-c", script]).programs(["sleep"]).timeout(1);
    let bad = Thunk::program("sh").args(["-c", "echo half >/w/half; exit 3"]).output("half", "/w/half");
    let session = session(&project);
    let failed = |thunk: &Thunk| match session.force(thunk) {
        Err(Error::Program(failure)) => failure,
        other => panic!("{other:?}"),
    };
    let failure = failed(&bad.output("whole", "/w/whole"));
    assert_eq!((failure.status, failure.missing.as_slice()), (Some(3), &["whole".to_owned()][..]));
    assert_eq!(failure.outputs["half"].text().unwrap(), "half\n");
    let failure = failed(&slow);
    assert!(failure.timed_out && failure.status.is_none() && &*failure.stdout == b"said\n", "{failure:?}");
}

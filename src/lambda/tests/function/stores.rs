//! What is wrong with the store.

use gg_ir::{Kind, Name};
use gg_store::remote::RemoteUri;
use gg_worker::wire::{JobResult, Refusal, Response};

use crate::support::*;

/// Bytes that do not compress, and are no other test's.
fn unique(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut done = 0;
    while done < length {
        done += rustix::rand::getrandom(&mut bytes[done..], rustix::rand::GetRandomFlags::empty()).unwrap();
    }
    bytes
}

/// A file with this object, by itself in the store.
fn alone(bytes: &[u8]) -> (Name, std::path::PathBuf) {
    let name = WORLD.store.put(Kind::Value, bytes).unwrap();
    WORLD.runtime.block_on(WORLD.remote.put_object(&WORLD.store, &name)).unwrap();
    WORLD.inventory.note_objects(&[name]);
    (name, WORLD.remote_dir.join("objects").join(name.to_string()))
}

#[test]
fn what_is_gone_is_named() {
    let door = Door::new(&["--workers", "1"]);
    let bytes = unique(1000);
    let (name, file) = alone(&bytes);
    let step = WORLD.script("cat a > o").file("/p/a", &bytes).output("o", "/p/o");
    let other = WORLD.script("echo here");
    let request = WORLD.request(&[&step, &other], &[]);
    std::fs::remove_file(file).unwrap();
    let response = door.ask(&request);
    assert!(matches!(&response.results[0], JobResult::Missing { names, .. } if *names == [name]), "{response:?}");
    assert!(matches!(response.results[1], JobResult::Done { .. }), "{response:?}");
}

#[test]
fn what_is_damaged_is_named() {
    let door = Door::new(&["--workers", "1"]);
    let bytes = unique(1000);
    let (name, file) = alone(&bytes);
    let step = WORLD.script("cat a > o").file("/p/a", &bytes).output("o", "/p/o");
    let request = WORLD.request(&[&step], &[]);
    let mut damaged = std::fs::read(&file).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&file, damaged).unwrap();
    let response = door.ask(&request);
    let JobResult::Corrupt { keys, .. } = &response.results[0] else { panic!("{response:?}") };
    assert_eq!(keys, &[format!("objects/{name}")]);
}

fn refusal(response: Response) -> Refusal {
    response.refused.unwrap_or_else(|| panic!("{:?}", response.results))
}

#[test]
fn only_the_configured_store_is_used() {
    let own = format!("GG_STORE={}", WORLD.uri);
    let door = Door::new(&["--workers", "1", "--env", &own]);
    let mut request = WORLD.request(&[&WORLD.script("true")], &[]);
    door.ask(&request);
    // The configured one is what is meant where none is named.
    request.store = String::new();
    door.ask(&request);
    for other in [RemoteUri::directory(std::path::Path::new("/etc")).unwrap().to_string(), "nonsense".to_owned()] {
        request.store = other;
        let response = Response::decode(&door.invoke(&request.encode()).unwrap().body).unwrap();
        assert!(matches!(refusal(response), Refusal::Store { again: false, .. }));
    }
}

#[test]
fn a_pack_that_is_none_is_refused() {
    let door = Door::new(&["--workers", "1"]);
    let mut request = WORLD.request(&[&WORLD.script("true")], &[]);
    request.inline = b"no pack at all".to_vec();
    let response = Response::decode(&door.invoke(&request.encode()).unwrap().body).unwrap();
    assert!(matches!(refusal(response), Refusal::Malformed { .. }));
    // An object under another's name: refused, and not believed later.
    let (name, bytes) = (Name::of_value(b"as it should be"), b"something else!");
    request.inline = gg_store::remote::pack::write([(&name, &bytes[..])]);
    let response = Response::decode(&door.invoke(&request.encode()).unwrap().body).unwrap();
    assert!(matches!(refusal(response), Refusal::Malformed { .. }));
}

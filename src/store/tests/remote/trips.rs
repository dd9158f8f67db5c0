//! There and back.

use gg_ir::Name;

use crate::support::{World, noise};

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back() {
    let world = World::local();
    let inventory = world.inventory();
    let small: Vec<Name> = (0..50).map(|n| world.put(format!("content {n}").as_bytes())).collect();
    let large = world.put(&noise("large", 30 << 20));
    let tree = world.tree("t", 40, 200_000);
    let names: Vec<Name> = small.iter().copied().chain([large]).collect();
    let sources = inventory.ensure(&names, &[tree]).await.unwrap();
    let worker = world.worker("there");
    let remote = world.remote();
    remote.fetch(&worker, &names, &[tree], &sources).await.unwrap();
    for name in &names {
        assert!(name.matches(&worker.read(name).unwrap()));
    }
    let below = worker.read_tree(&tree).unwrap();
    assert_eq!(below.entries().len(), 22);
    let spent = remote.counters();
    // Nothing more to do.
    remote.fetch(&worker, &names, &[tree], &sources).await.unwrap();
    assert_eq!(remote.counters(), spent);
    let before = inventory.remote().counters();
    assert_eq!(inventory.ensure(&names, &[tree]).await.unwrap(), sources);
    assert_eq!(world.inventory().ensure(&names, &[tree]).await.unwrap(), sources);
    assert_eq!(inventory.remote().counters(), before);
}

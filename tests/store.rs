//! The store: what is known is not done again, what is damaged is not believed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::project::{Project, assert_same};
use crate::same_tree::small;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn the_same_again_runs_no_compiler() {
    let project = Project::new();
    small(&project);
    project.gg_make(&["-j2"]).ok();
    let want = project.manifest();
    project.gg_make(&["clean"]).ok();
    let ran = project.gg_make(&["-j2"]).ok();
    assert_eq!(project.executed(), [] as [String; 0]);
    assert!(ran.stderr.contains("unused variable"), "warnings are replayed: {}", ran.stderr);
    assert_same(&want, &project.manifest());
}

/// Changes a file that is not to be written.
fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_store_is_noticed_and_mended() {
    let project = Project::new();
    small(&project);
    project.gg_make(&[]).ok();
    let want = project.manifest();
    for round in 0..3 {
        // Every object: a step misses all its inputs, one after the other.
        for (at, path) in files(&project.store().join("objects")).into_iter().enumerate() {
            damage(&path, |bytes| match at % 2 {
                0 => bytes.truncate(bytes.len() / 2),
                _ => bytes.iter_mut().for_each(|byte| *byte ^= 1),
            });
        }
        for path in files(&project.store().join("packs")) {
            match (round, path.extension().is_some_and(|extension| extension == "pack")) {
                (0, true) => damage(&path, |bytes| bytes.truncate(bytes.len() / 2)),
                (1, true) => damage(&path, |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 1)),
                (2, false) => damage(&path, |bytes| bytes.iter_mut().step_by(50).for_each(|byte| *byte ^= 1)),
                _ => {}
            }
        }
        project.gg_make(&["clean"]).ok();
        project.gg_make(&[]).ok();
        assert_same(&want, &project.manifest());
    }
}

#[test]
fn gc_then_build() {
    let project = Project::new();
    small(&project);
    project.gg_make(&[]).ok();
    let want = project.manifest();
    project.gg_make(&["clean"]).ok();
    project.gg(&["gc", "--max-size", "0"]).ok();
    assert_eq!(files(&project.store().join("objects")).len() + files(&project.store().join("packs")).len(), 0);
    project.gg_make(&[]).ok();
    assert_same(&want, &project.manifest());
    project.gg(&["clean"]).ok();
    assert!(project.gg(&["report"]).status != 0);
}

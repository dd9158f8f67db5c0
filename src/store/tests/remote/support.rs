//! A local store and a remote one beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gg_ir::{Entry, Kind, Name, Tree};
use gg_store::Store;
use gg_store::remote::{Inventory, Remote, RemoteUri};

/// A directory with a remote store and any number of local ones.
pub struct World {
    pub dir: tempfile::TempDir,
    pub uri: RemoteUri,
    pub here: Arc<Store>,
}

impl World {
    /// With a directory as the remote store.
    pub fn local() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let uri = RemoteUri::directory(&dir.path().join("remote")).unwrap();
        Self::new(dir, uri)
    }

    pub fn new(dir: tempfile::TempDir, uri: RemoteUri) -> Self {
        let here = Arc::new(Store::open(&dir.path().join("here")).unwrap());
        Self { dir, uri, here }
    }

    pub fn remote(&self) -> Remote {
        Remote::open(&self.uri).unwrap()
    }

    pub fn inventory(&self) -> Inventory {
        Inventory::open(self.remote(), self.here.clone(), &self.dir.path().join("remotes")).unwrap()
    }

    /// An empty store, as a worker has it when it starts.
    pub fn worker(&self, name: &str) -> Arc<Store> {
        Arc::new(Store::open(&self.dir.path().join(name)).unwrap())
    }

    pub fn put(&self, bytes: &[u8]) -> Name {
        self.here.put(Kind::Value, bytes).unwrap()
    }

    /// A tree of files, each of some bytes, and a directory below it.
    pub fn tree(&self, seed: &str, files: usize, length: usize) -> Name {
        let mut tree = Tree::new();
        let mut below = Tree::new();
        for number in 0..files {
            let content = self.put(&noise(&format!("{seed}{number}"), length));
            let to = if number % 2 == 0 { &mut tree } else { &mut below };
            to.insert(format!("file{number}"), Entry::File { content, mode: 0o644 });
        }
        tree.insert("below", Entry::Tree(self.here.put_tree(&below).unwrap()));
        tree.insert("link", Entry::Symlink("file0".into()));
        self.here.put_tree(&tree).unwrap()
    }

    /// The files of a remote store that is a directory.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.dir.path().join("remote"), &mut files);
        files.sort();
        files
    }
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

/// Bytes that do not compress, always the same for a seed.
pub fn noise(seed: &str, length: usize) -> Vec<u8> {
    let mut state =
        seed.bytes().fold(0xcbf2_9ce4_8422_2325u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
            | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

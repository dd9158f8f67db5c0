//! What a person asks about one step of a build that is over.
//!
//! # Layout
//!
//! - `find`: [`find()`]: which step is meant; `sources`: by what it reads
//! - `words`: who ran, where and when
//! - `differences`: what two thunks of the same step differ in; `causes`: followed to what a person has changed
//! - `reason`: why it was executed, or was not; `story`: where it ran, and where its time went
//! - `sandbox`: what a step's sandbox is made from; `visit`: a shell in it; `unpack`: it as a folder

mod causes;
mod differences;
mod find;
mod reason;
#[cfg(feature = "lambda")]
mod remote;
mod sandbox;
mod sources;
mod story;
mod unpack;
mod visit;
pub mod words;

pub use find::{Found, find};
pub use reason::{Earlier, reason};
#[cfg(feature = "lambda")]
pub use remote::bring;
pub use sandbox::Sandboxed;
pub use story::{place, time};
pub use unpack::unpack;
pub use visit::visit;

use std::path::{Component, Path, PathBuf};

/// An absolute path without `.` and `..`, as far as text tells.
fn absolute(path: &Path, root: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in root.join(path).components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_one_spelling() {
        let plain = |path: &str| absolute(Path::new(path), Path::new("/p/q"));
        assert_eq!(plain("./a/../b.o"), Path::new("/p/q/b.o"));
        assert_eq!(plain("../../../x"), Path::new("/x"));
        assert_eq!(plain("/y/./z"), Path::new("/y/z"));
    }
}

//! The local content-addressed store: where the objects of gg live on this machine.
//!
//! One directory, used by any number of threads and processes at once. Nothing but `remote` is asynchronous and nothing
//! else starts threads; everything is `Send + Sync` and takes `&self`.
//!
//! # Layout
//!
//! - `store`: [`Store`]: what one process knows of one directory
//! - `layout`: where things lie in the directory
//! - `object`: putting, finding and reading objects; what happens to damaged ones, and after a crash
//! - `pack`: small objects, many in one file
//! - `staged`: [`Staged`]: files being written, which become objects
//! - `import`: files of the tree: their names, and their way into the store
//! - `copy_out`: objects' way out, into the tree
//! - `stamp`, `stamps`: [`Stamp`]: the identity of one state of a file; the cache of what content it has
//! - `origin`: files and directories of the system that stand in for objects
//! - `snapshot`: directories of the system as trees
//! - `reductions`: what thunks evaluated to
//! - `supply`: [`Supply`]: objects that are not here, but can be brought
//! - `lease`: [`Lease`]: what protects a running build from garbage collection
//! - `gc`: [`GcReport`]: garbage collection
//! - `verify`: [`VerifyReport`]: looking through a whole store, and emptying it
//! - `error`: [`StoreError`]: what can go wrong, on which file, and what to do about it
//! - [`remote`] (feature `remote`): stores in the cloud
//! - `lines`, `recent`, `reflink`, `shards`: small tools of the above
//!
//! # Guarantees
//!
//! - What [`Store::read`], [`Store::copy_out`] and [`Store::file`] give has been checked against its name, by this
//!   process. A file of the system that stands in for an object is believed as long as its stamp does not change.
//! - A process killed at any moment leaves nothing that is later believed; so does a power cut.
//! - A full disk is an error that says so, and leaves nothing half-written.
//! - A garbage collection takes nothing that a build which holds a lease has written, read or been told of.

mod copy_out;
mod error;
mod failures;
mod gc;
mod import;
mod layout;
mod lease;
mod lines;
mod object;
mod origin;
mod pack;
mod recent;
mod reductions;
mod reflink;
#[cfg(feature = "remote")]
pub mod remote;
mod shards;
mod snapshot;
mod staged;
mod stamp;
mod stamps;
mod store;
mod supply;
mod verify;

pub use error::{Result, StoreError};
pub use gc::GcReport;
pub use lease::Lease;
pub use object::Protection;
pub use staged::Staged;
pub use stamp::{SETTLE, Stamp};
pub use store::Store;
pub use supply::Supply;
pub use verify::VerifyReport;

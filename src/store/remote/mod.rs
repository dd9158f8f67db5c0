//! Remote stores: where the objects of gg live when they are to be had everywhere.
//!
//! A remote store is a bucket (S3, Google Cloud Storage, Azure Blob Storage), a Redis, or a directory, given by a URI:
//! [`RemoteUri`]. Below the URI's prefix lie
//!
//! ```text
//! objects/NAME      one object, as one zstd frame: an output of a step, a large input
//! packs/ID          a pack: see [`pack`]
//! reductions/NAME   what the thunk NAME evaluated to, with a checksum
//! ```
//!
//! Two sides use it. The one that has the objects keeps an [`Inventory`] of what is there, uploads what is not, and gets
//! [`Sources`], which say where all lies. The one that needs them, a worker, hands those to [`Remote::fetch`]. Neither
//! ever lists the store.
//!
//! # Layout
//!
//! - `uri`: [`RemoteUri`]: where a store is
//! - `remote`: [`Remote`]: an open store: objects, packs, reductions
//! - `fetch`, `plan`: what is missing on its way into the local store
//! - `inventory`: [`Inventory`]: what is known to be there; `batch`: small objects that travel together; `log`: the
//!   inventory on disk; `upload`: the way up
//! - `sources`: [`Sources`]: where objects lie, as told to a worker
//! - `bucket`: [`Bucket`]: a bucket of S3 as such, for who sets it up
//! - `pack`: many objects in one piece
//! - `arrive`: objects on their way into the local store
//! - `backend`: what every kind of store can do; `cloud`, `redis`: the kinds
//! - `http`: TLS, time limits and counting; `credentials`, `secret`: what is never shown
//! - `names`: how hosts' names are looked up by a static program
//! - `counters`: [`Counters`]: requests and bytes
//! - `error`: [`RemoteError`] and [`Missing`]; `key`, `wire`: how things are written
//!
//! # Guarantees
//!
//! - Nothing that arrives gets a name that it does not bear, and what goes up has been checked against its name too.
//! - An upload that ends early leaves nothing that is believed: inventories are written after the store has answered.
//! - A store that is emptied costs uploading again, and nothing else.

mod arrive;
mod backend;
mod bucket;
mod cloud;
mod counters;
mod credentials;
mod error;
mod fetch;
mod http;
mod inventory;
mod key;
mod names;
pub mod pack;
mod plan;
mod probe;
mod redis;
#[expect(clippy::module_inception, reason = "named after what it holds, as every file here")]
mod remote;
mod secret;
mod sources;
mod uri;
mod wire;

pub use bucket::Bucket;
pub use counters::Counters;
pub use credentials::{Credentials, Keys};
pub use error::{Missing, RemoteError, Result};
pub use inventory::Inventory;
pub use names::look_up_without_plugins;
pub use pack::{PackError, PackId};
pub use probe::Probe;
pub use remote::Remote;
pub use secret::Secret;
pub use sources::Sources;
pub use uri::RemoteUri;

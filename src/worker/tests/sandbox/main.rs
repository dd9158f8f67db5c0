//! The worker with real namespaces and real tools. One file per group of behaviours; `support` is the common helper.

mod compile;
mod ends;
mod inputs;
mod isolation;
mod outputs;
mod plain;
#[cfg(feature = "relocated")]
mod relocated;
mod support;

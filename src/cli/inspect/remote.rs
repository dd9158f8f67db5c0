//! What a step's sandbox holds and this machine does not: the outputs of steps that ran on functions, of which nobody here has asked
//! for the bytes, lie in the remote store alone.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use gg_force::Account;
use gg_ir::{Input, Name, Reference};
use gg_store::Store;
use gg_store::remote::{Remote, RemoteError, Sources};

use super::Sandboxed;
use crate::far::store_of;
use crate::settings::Settings;

/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Brings them here, if a remote store is set up; how many objects were missing. Without one, who unpacks the sandbox says what is
/// missing.
///
/// # Errors
/// When the store cannot be asked, or does not have them either.
pub fn bring(step: &Sandboxed, store: &Arc<Store>, settings: &Settings) -> Result<usize> {
    let (names, trees) = missing(step, store);
    let count = names.len() + trees.len();
    if count == 0 || settings.config.store.uri.is_none() {
        return Ok(0);
    }
    let uri = store_of(&settings.config)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot use the network")?;
    let fetched = runtime.block_on(async {
        let account = Account::find(settings.config.lambda.region.as_deref()).await;
        let remote = Remote::open_with(&uri, account.credentials())?;
        // What functions left lies by itself.
        let sources = Sources::default();
        let fetching = remote.fetch(store, &names, &trees, &sources);
        Ok(tokio::time::timeout(PATIENCE, fetching).await)
    });
    match fetched {
        Ok(Ok(Ok(()))) => Ok(count),
        Ok(Err(_)) => Err(anyhow!("no answer of {uri} within {} s; check the network", PATIENCE.as_secs())),
        Ok(Ok(Err(RemoteError::Missing { missing, .. }))) => {
            let path = missing.names.first().and_then(|lost| step.path_of(lost));
            let what = path.unwrap_or_else(|| "something that the step saw".to_owned());
            Err(anyhow!(
                "{what} is kept neither here nor in {uri}, in the state that the step saw; build again here, then reproduce"
            ))
        }
        Ok(Ok(Err(error))) | Err(error) => {
            Err(anyhow!(error)
                .context("what the step saw is not kept here, and cannot be fetched from the remote store"))
        }
    }
}

/// What of its inputs is not in this machine's store: single objects, and trees.
fn missing(step: &Sandboxed, store: &Store) -> (Vec<Name>, Vec<Name>) {
    let (mut names, mut trees) = (Vec::new(), Vec::new());
    for input in step.thunk.inputs.values() {
        let (name, list) = match input {
            Input::File { object: Reference::Value(value), .. } => (Some(value), &mut names),
            Input::File { object, .. } => (step.resolved.get(object), &mut names),
            Input::Tree(tree) => (Some(tree), &mut trees),
            _ => continue,
        };
        list.extend(name.filter(|name| !store.contains(name)).copied());
    }
    (names, trees)
}

//! The reduction cache that builds on several machines share, in the remote store.

use std::sync::Arc;
use std::time::Duration;

use gg_ir::{Name, Reduction};

use super::LambdaEngine;

/// How long the end of a build waits for results to be shared; what is not shared by then is made again by somebody.
const PATIENCE: Duration = Duration::from_secs(60);

impl LambdaEngine {
    /// What somebody has shared for this thunk. Its outputs are fetched from now on. `None` also when the store fails: the
    /// thunk is then run.
    pub fn shared(&self, thunk: &Name) -> Option<Reduction> {
        let runtime = self.runtime.as_ref()?;
        let reduction = runtime.block_on(self.desk.remote.reduction(thunk)).ok()??;
        let made = reduction.outputs.values().chain(reduction.undeclared.values());
        let names: Vec<Name> = made.map(|made| *made.object.name()).collect();
        self.desk.arrivals.expect(&names);
        Some(reduction)
    }

    /// Shares a reduction, its outputs first, in the background.
    pub fn share(&self, reduction: &Reduction) {
        let Some(runtime) = &self.runtime else { return };
        let (desk, reduction) = (Arc::clone(&self.desk), reduction.clone());
        let Ok(permit) = Arc::clone(&desk.sharing).try_acquire_owned() else { return };
        runtime.spawn(async move {
            let _permit = permit;
            for made in reduction.outputs.values().chain(reduction.undeclared.values()) {
                let name = made.object.name();
                if !desk.is_far(name) && desk.remote.put_object(&desk.store, name).await.is_err() {
                    return;
                }
            }
            // Somebody else will share it another time.
            let _ = desk.remote.record(&reduction).await;
        });
    }

    /// Waits until what was to be shared is, for a while.
    pub fn finish_sharing(&self) {
        let Some(runtime) = &self.runtime else { return };
        let all = self.desk.sharing.acquire_many(super::SHARES);
        runtime.block_on(async {
            let _ = tokio::time::timeout(PATIENCE, all).await;
        });
    }
}

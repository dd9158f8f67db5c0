//! What workers have left in the remote store, on its way here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gg_ir::Name;
use gg_store::remote::{Inventory, Remote};
use gg_store::{Store, Supply};
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, Semaphore};

/// As many objects are fetched side by side.
const ABREAST: usize = 32;

/// Fetches objects, each once, as soon as it is known that they are there. Whoever reads one from the local store before it
/// has arrived waits for it.
pub(crate) struct Arrivals {
    handle: Handle,
    remote: Remote,
    inventory: Arc<Inventory>,
    store: Arc<Store>,
    expected: Mutex<HashMap<Name, Arc<OnceCell<bool>>>>,
    lanes: Semaphore,
}

impl Arrivals {
    pub fn new(handle: Handle, remote: Remote, inventory: Arc<Inventory>, store: Arc<Store>) -> Self {
        Self { handle, remote, inventory, store, expected: Mutex::default(), lanes: Semaphore::new(ABREAST) }
    }

    fn expected(&self) -> MutexGuard<'_, HashMap<Name, Arc<OnceCell<bool>>>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These objects are in the remote store now.
    pub fn expect(self: &Arc<Self>, names: &[Name]) {
        for name in names.iter().copied().filter(|name| !self.store.holds(name)) {
            // One that is on its way already is not asked for twice.
            self.expected().entry(name).or_default();
            let this = Arc::clone(self);
            self.handle.spawn(async move { this.fetch(name).await });
        }
    }

    async fn fetch(&self, name: Name) -> bool {
        if self.store.holds(&name) {
            return true;
        }
        let cell = Arc::clone(self.expected().entry(name).or_default());
        let arrived = *cell.get_or_init(|| self.get(name)).await;
        self.expected().remove(&name);
        arrived
    }

    async fn get(&self, name: Name) -> bool {
        let Ok(_lane) = self.lanes.acquire().await else { return false };
        let asked = Instant::now();
        // Not `ensure`: to upload it, it would be read from the local store, which waits for this very fetch.
        let sources = self.inventory.sources(&[name]);
        match self.remote.fetch(&self.store, &[name], &[], &sources).await {
            Ok(()) => true,
            Err(error) => {
                // It will be made again, and then it must not be thought to be there.
                if let Some(missing) = error.missing() {
                    self.inventory.forget_since(&missing, asked);
                }
                false
            }
        }
    }
}

impl Supply for Arrivals {
    fn has(&self, name: &Name) -> bool {
        self.expected().contains_key(name) || self.inventory.holds(name)
    }

    fn bring(&self, name: &Name) -> bool {
        self.handle.block_on(self.fetch(*name))
    }
}

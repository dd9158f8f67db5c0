//! Objects that are not here, but can be brought: what an engine far away has made, say.

use std::fmt;
use std::sync::{Arc, RwLock};

use gg_ir::Name;

use crate::store::Store;

/// Brings objects that the store does not hold. Called from any thread, by several at once; may take its time.
pub trait Supply: Send + Sync {
    /// Whether the object can be had, as far as is known without asking anybody.
    fn has(&self, name: &Name) -> bool;

    /// Puts the object into the store, unless it is there by now; `false` when it could not be brought.
    fn bring(&self, name: &Name) -> bool;
}

/// Who supplies a store, if anybody does.
#[derive(Default)]
pub(crate) struct Supplier(RwLock<Option<Arc<dyn Supply>>>);

impl fmt::Debug for Supplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supplier").finish_non_exhaustive()
    }
}

impl Supplier {
    fn get(&self) -> Option<Arc<dyn Supply>> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl Store {
    /// Says who brings objects that are not here, instead of whoever did; [`None`]: nobody.
    pub fn set_supply(&self, supply: Option<Arc<dyn Supply>>) {
        *self.supplier.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = supply;
    }

    /// Whether an object that is not here can be brought.
    pub(crate) fn promised(&self, name: &Name) -> bool {
        self.supplier.get().is_some_and(|supply| supply.has(name))
    }

    /// Has an object brought that is not here; whether that was done.
    pub(crate) fn bring(&self, name: &Name) -> bool {
        self.supplier.get().is_some_and(|supply| supply.has(name) && supply.bring(name))
    }

    /// Whether the object is here, without anybody bringing it.
    pub fn holds(&self, name: &Name) -> bool {
        self.present(name) || self.origin_of_value(name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use gg_ir::Kind;

    use super::*;

    struct Once(Arc<Store>, Vec<u8>);

    impl Supply for Once {
        fn has(&self, name: &Name) -> bool {
            *name == Name::of_value(&self.1)
        }

        fn bring(&self, _: &Name) -> bool {
            self.0.put(Kind::Value, &self.1).is_ok()
        }
    }

    #[test]
    fn what_is_promised_is_brought_when_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(dir.path()).unwrap());
        let (far, nowhere) = (Name::of_value(b"far"), Name::of_value(b"nowhere"));
        store.set_supply(Some(Arc::new(Once(store.clone(), b"far".to_vec()))));
        assert!(store.contains(&far) && !store.holds(&far) && !store.contains(&nowhere));
        let to = dir.path().join("copy");
        store.copy_out(&far, &to, 0o644, None).unwrap();
        assert_eq!(std::fs::read(to).unwrap(), b"far");
        assert!(store.holds(&far));
        assert!(store.read(&nowhere).is_err() && store.file(&nowhere).is_err());
        store.set_supply(None);
    }
}

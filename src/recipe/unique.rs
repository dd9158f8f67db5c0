//! Maps in which no key is said twice. JSON leaves open what that means, and readers silently take the last.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Reads a map; an error when a key comes twice.
pub(crate) fn map<'de, D: Deserializer<'de>, V: Deserialize<'de>>(from: D) -> Result<BTreeMap<String, V>, D::Error> {
    from.deserialize_map(Entries(PhantomData))
}

/// As [`map()`], where there may be none.
pub(crate) fn optional<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
    from: D,
) -> Result<Option<BTreeMap<String, V>>, D::Error> {
    Ok(Option::<Map<V>>::deserialize(from)?.map(|map| map.0))
}

struct Map<V>(BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Map<V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        map(from).map(Self)
    }
}

struct Entries<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
    type Value = BTreeMap<String, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = from.next_key::<String>()? {
            let value = from.next_value()?;
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("{key:?} is said twice")));
            }
            map.insert(key, value);
        }
        Ok(map)
    }
}

//! What a build cost in a cloud, by a table of prices.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Requests to functions.
    pub requests: u64,
    /// Billed time times memory, MiB times milliseconds.
    pub mib_ms: u64,
    /// Requests to the store that write or list.
    pub puts: u64,
    /// Requests to the store that read.
    pub gets: u64,
    /// Bytes from the store to this machine.
    pub bytes_out: u64,
}

/// What it costs, in US dollars.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Prices {
    gib_second: f64,
    request: f64,
    put: f64,
    get: f64,
    gb_out: f64,
}

const TABLE: &str = include_str!("prices.toml");

/// What it costs in a region, in US dollars; an estimate, without what the provider grants or taxes.
pub fn dollars(usage: &Usage, region: &str) -> f64 {
    static READ: OnceLock<BTreeMap<String, Prices>> = OnceLock::new();
    // The table is part of the program and is read by a test.
    let table = READ.get_or_init(|| toml::from_str(TABLE).unwrap_or_default());
    let Some(prices) = table.get(region).or_else(|| table.get("default")) else { return 0.0 };
    usage.mib_ms as f64 / 1024.0 / 1000.0 * prices.gib_second
        + usage.requests as f64 * prices.request
        + usage.puts as f64 * prices.put
        + usage.gets as f64 * prices.get
        + usage.bytes_out as f64 / 1e9 * prices.gb_out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gib_for_an_hour() {
        let hour = Usage { requests: 1_000_000, mib_ms: 1024 * 3_600_000, ..Usage::default() };
        let cost = dollars(&hour, "nowhere-1");
        assert!((cost - (3600.0 * 0.0000166667 + 0.2)).abs() < 1e-9, "{cost}");
        assert!(dollars(&Usage { puts: 1000, ..Usage::default() }, "eu-central-1") > 0.005);
    }
}

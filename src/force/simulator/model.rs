//! The model of a service that runs functions: what it does to requests, how fast its workers are, and what it takes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A service, a store and the client's line, in figures. Each has a default; a file names those that differ.
///
/// The defaults describe AWS Lambda and S3 as seen by a client with eight cores and 500 Mbit/s. Figures that AWS publishes
/// are named as such; the others are assumptions, and the ones to vary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// One function's worker.
    pub function: FunctionModel,
    /// How many workers there may be, and how soon.
    pub scaling: ScalingModel,
    /// What goes wrong.
    pub trouble: TroubleModel,
    /// The store that objects pass through.
    pub store: StoreModel,
    /// The machine that the build is started on.
    pub client: ClientModel,
    /// What it costs.
    pub prices: Prices,
}

/// One function's worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FunctionModel {
    /// Its memory, MiB, by which it is billed. At 1,769 MiB a Lambda function has one processor ("Configure Lambda
    /// function memory", AWS Lambda Developer Guide).
    pub memory_mib: u64,
    /// How fast it computes; 1: as the machine that the graph was recorded on.
    pub speed: f64,
    /// How much one worker's speed differs from another's: the standard deviation of its logarithm.
    pub spread: f64,
    /// How long a worker takes to be there, seconds.
    pub cold_start_s: f64,
    /// Bytes of the toolchain's pack, which each worker fetches before its first step.
    pub toolchain_bytes: u64,
    /// How long it takes to unpack it, seconds.
    pub unpack_s: f64,
    /// From a request to the function's first instruction and back from its last, seconds; of a warm worker, too.
    pub request_s: f64,
    /// To make and remove a step's sandbox, seconds.
    pub sandbox_s: f64,
    /// How much times that wait for the network differ: the standard deviation of their logarithm.
    pub jitter: f64,
}

/// How many workers there may be, and how soon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScalingModel {
    /// How many workers may be started at once after a rest. Lambda: 1,000 ("Lambda scaling behavior", AWS Lambda Developer
    /// Guide).
    pub burst: u64,
    /// How many more may be started in each further ten seconds; the allowance comes back continuously. Lambda: 1,000 for
    /// each function (the same page).
    pub per_10_s: u64,
    /// How many may be busy at once: the account's quota. Lambda grants 1,000 at first and tens of thousands on request.
    pub concurrency: u64,
    /// How many are warm at the start.
    pub warm: u64,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TroubleModel {
    /// The share of requests that are computed slowly.
    pub straggler_rate: f64,
    /// How many times as long those take.
    pub straggler_factor: f64,
    /// The share of requests that are refused as too many, beyond those that are.
    pub throttle_rate: f64,
    /// The share of requests that die on the way.
    pub failure_rate: f64,
}

/// The store that objects pass through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreModel {
    /// To the first byte of a request, seconds; the requests of one step go side by side.
    pub latency_s: f64,
    /// Bytes a second, for each worker.
    pub bytes_per_s: f64,
    /// Outputs below this many bytes come with the answer and are not stored.
    pub inline_bytes: u64,
}

/// The machine that the build is started on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientModel {
    /// How many steps it infers at once.
    pub cores: u64,
    /// How long it takes to infer one, seconds. 0: all are known at the start.
    pub infer_s: f64,
    /// Bytes a second to the store; 0: no limit.
    pub upload_bytes_per_s: f64,
    /// Bytes a second from the store; 0: no limit.
    pub download_bytes_per_s: f64,
    /// How many times smaller objects are on the line.
    pub compression: f64,
    /// Whether all outputs are brought to the client, as a whole build does it, or only those that no step needs
    /// (`gg build --want`).
    pub all_outputs: bool,
}

/// Prices in US dollars, as AWS publishes them for its largest regions (x86-64, S3 Standard).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prices {
    /// For a second of a GiB of memory.
    pub gib_second: f64,
    /// For a request to a function.
    pub request: f64,
    /// For a request that writes to the store.
    pub put: f64,
    /// For a request that reads from it.
    pub get: f64,
    /// For 10^9 bytes from the store to the client.
    pub gb_out: f64,
}

impl Default for FunctionModel {
    fn default() -> Self {
        Self {
            memory_mib: 1769,
            speed: 0.8,
            spread: 0.1,
            cold_start_s: 0.25,
            toolchain_bytes: 70_000_000,
            unpack_s: 0.8,
            request_s: 0.03,
            sandbox_s: 0.01,
            jitter: 0.4,
        }
    }
}

impl Default for ScalingModel {
    fn default() -> Self {
        Self { burst: 1000, per_10_s: 1000, concurrency: 10_000, warm: 0 }
    }
}

impl Default for TroubleModel {
    fn default() -> Self {
        Self { straggler_rate: 0.01, straggler_factor: 5.0, throttle_rate: 0.0, failure_rate: 0.001 }
    }
}

impl Default for StoreModel {
    fn default() -> Self {
        Self { latency_s: 0.03, bytes_per_s: 70e6, inline_bytes: 32 << 10 }
    }
}

impl Default for ClientModel {
    fn default() -> Self {
        Self {
            cores: 8,
            infer_s: 0.003,
            upload_bytes_per_s: 62.5e6,
            download_bytes_per_s: 62.5e6,
            compression: 3.0,
            all_outputs: true,
        }
    }
}

impl Default for Prices {
    fn default() -> Self {
        Self { gib_second: 0.000_016_666_7, request: 0.000_000_2, put: 0.000_005, get: 0.000_000_4, gb_out: 0.09 }
    }
}

/// Why a text is no model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// It is no TOML, or holds a key that there is not.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A figure makes no sense.
    #[error("`{key}` is {figure}; it has to be {range}")]
    Range {
        /// Which.
        key: &'static str,
        /// What it is.
        figure: f64,
        /// What it may be.
        range: &'static str,
    },
}

/// The longest time that a figure may say, seconds: far beyond what makes sense, and far from any overflow.
const LONGEST: f64 = 1e6;

impl Model {
    /// Reads a model in TOML; what it does not name is as in [`Model::default`].
    ///
    /// # Errors
    /// [`ModelError`], for a person.
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        let model: Self = toml::from_str(text)?;
        model.check()?;
        Ok(model)
    }

    /// Nothing takes time but the steps themselves, nothing goes wrong, and nothing is limited: what is left is the
    /// coordinator's own doing.
    pub fn ideal() -> Self {
        Self {
            function: FunctionModel {
                speed: 1.0,
                spread: 0.0,
                cold_start_s: 0.0,
                toolchain_bytes: 0,
                unpack_s: 0.0,
                request_s: 0.0,
                sandbox_s: 0.0,
                jitter: 0.0,
                ..FunctionModel::default()
            },
            scaling: ScalingModel { burst: u64::MAX, per_10_s: u64::MAX, concurrency: u64::MAX, warm: 0 },
            trouble: TroubleModel { straggler_rate: 0.0, straggler_factor: 1.0, throttle_rate: 0.0, failure_rate: 0.0 },
            store: StoreModel { latency_s: 0.0, bytes_per_s: f64::INFINITY, inline_bytes: u64::MAX },
            client: ClientModel {
                cores: 1,
                infer_s: 0.0,
                upload_bytes_per_s: 0.0,
                download_bytes_per_s: 0.0,
                compression: 1.0,
                all_outputs: false,
            },
            prices: Prices::default(),
        }
    }

    fn check(&self) -> Result<(), ModelError> {
        let Self { function, scaling, trouble, store, client, prices } = self;
        let times = [
            ("function.cold_start_s", function.cold_start_s),
            ("function.unpack_s", function.unpack_s),
            ("function.request_s", function.request_s),
            ("function.sandbox_s", function.sandbox_s),
            ("store.latency_s", store.latency_s),
            ("client.infer_s", client.infer_s),
        ];
        let shares = [
            ("trouble.straggler_rate", trouble.straggler_rate),
            ("trouble.throttle_rate", trouble.throttle_rate),
            ("trouble.failure_rate", trouble.failure_rate),
        ];
        let factors = [
            ("function.speed", function.speed),
            ("store.bytes_per_s", store.bytes_per_s),
            ("client.compression", client.compression),
            ("trouble.straggler_factor", trouble.straggler_factor),
            ("client.cores", client.cores as f64),
            ("scaling.burst", scaling.burst as f64),
            ("scaling.per_10_s", scaling.per_10_s as f64),
            ("scaling.concurrency", scaling.concurrency as f64),
        ];
        let amounts = [
            ("client.upload_bytes_per_s", client.upload_bytes_per_s),
            ("client.download_bytes_per_s", client.download_bytes_per_s),
            ("prices.gib_second", prices.gib_second),
            ("prices.request", prices.request),
            ("prices.put", prices.put),
            ("prices.get", prices.get),
            ("prices.gb_out", prices.gb_out),
        ];
        let spreads = [("function.spread", function.spread), ("function.jitter", function.jitter)];
        within(&times, "between 0 and a million seconds", |figure| (0.0..=LONGEST).contains(&figure))?;
        within(&shares, "at least 0 and less than 1", |figure| (0.0..1.0).contains(&figure))?;
        within(&factors, "at least 0.001", |figure| figure >= 0.001)?;
        within(&amounts, "at least 0", |figure| figure >= 0.0 && figure.is_finite())?;
        within(&spreads, "between 0 and 2", |figure| (0.0..=2.0).contains(&figure))
    }
}

/// Whether all figures are in a range.
pub(super) fn within(
    figures: &[(&'static str, f64)],
    range: &'static str,
    holds: impl Fn(f64) -> bool,
) -> Result<(), ModelError> {
    match figures.iter().find(|(_, figure)| !holds(*figure)) {
        Some(&(key, figure)) => Err(ModelError::Range { key, figure, range }),
        None => Ok(()),
    }
}

/// A time in seconds: not negative, and not so long that sums of it overflow.
pub(super) fn seconds(time: f64) -> Duration {
    /// Thirty years.
    const END: f64 = 1e9;
    Duration::try_from_secs_f64(time.min(END)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_what_differs() {
        let model = Model::parse("[scaling]\nconcurrency = 1000\n[store]\nlatency_s = 0.1\n").unwrap();
        assert_eq!((model.scaling.concurrency, model.store.latency_s), (1000, 0.1));
        assert_eq!(model.function, FunctionModel::default());
        assert_eq!(Model::parse("").unwrap(), Model::default());
        let written = toml::to_string(&Model::default()).unwrap();
        assert_eq!(Model::parse(&written).unwrap(), Model::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let problem = |text: &str| Model::parse(text).unwrap_err().to_string();
        assert!(problem("[store]\nlatencies = 1\n").contains("latencies"));
        assert!(problem("[function]\nspeed = 0\n").contains("`function.speed` is 0"));
        assert!(problem("[trouble]\nfailure_rate = 1.0\n").contains("less than 1"));
        assert!(problem("[client]\ninfer_s = -1.0\n").contains("client.infer_s"));
        assert!(problem("[function]\njitter = nan\n").contains("function.jitter"));
        assert!(problem("x").contains("line 1"));
    }
}

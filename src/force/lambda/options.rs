//! How a [`super::LambdaEngine`] is set up.

use std::time::Duration;

/// Which function to call, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LambdaOptions {
    /// The function's name or ARN.
    pub function: String,
    /// A function with more memory and time, for what does not fit the first one.
    pub larger: Option<String>,
    /// The region, where the environment and the user's profile are not to decide.
    pub region: Option<String>,
    /// The service's address, where it is not the region's own: a front door for tests, say.
    pub endpoint: Option<String>,
    /// How many requests may be under way at once.
    pub jobs: usize,
    /// How long a thunk may run that sets no limit of its own.
    pub timeout: Duration,
    /// Whether programs find terminals as their standard output and error.
    pub terminal: bool,
    /// How often a request that failed by no fault of the program is sent again.
    pub retries: u32,
    /// How long the service may refuse requests as too many before it counts as failed.
    pub patience: Duration,
}

impl LambdaOptions {
    /// The ordinary settings for a function.
    pub fn new(function: impl Into<String>) -> Self {
        Self {
            function: function.into(),
            larger: None,
            region: None,
            endpoint: None,
            jobs: 100,
            timeout: Duration::from_secs(840),
            terminal: false,
            retries: 5,
            patience: Duration::from_secs(120),
        }
    }
}

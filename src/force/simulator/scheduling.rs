//! What is compared: in which order steps go, and how they are put into requests.

use std::fmt;
use std::str::FromStr;

use crate::policy::Order;

/// How a simulated build is scheduled. Written as words with commas between them; see [`Scheduling::WORDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduling {
    /// Which of the ready steps goes first. The coordinator's own code.
    pub order: Order,
    /// Whether the run times of the steps are known, as they are from the second build on; else all are taken to be equally
    /// long within their kind.
    pub history: bool,
    /// Whether a request that lags is sent again. By the rule that the Lambda engine goes by.
    pub duplicates: bool,
    /// How many steps may share a request, which runs them one after the other and answers when all are done. More than one
    /// only where more steps are ready than workers are free. The coordinator does not do that; it is modelled here.
    pub batch: usize,
    /// Whether a worker goes on to the step that needs nothing but what it has just made, and which alone needs that. The
    /// coordinator does not do that; it is modelled here.
    pub chains: bool,
}

impl Default for Scheduling {
    fn default() -> Self {
        Self { order: Order::CriticalPath, history: true, duplicates: true, batch: 1, chains: false }
    }
}

impl Scheduling {
    /// The words, and what they mean.
    pub const WORDS: &str = "critical-path (longest path to the end first) or fifo (first ready, first run); \
        duplicates or no-duplicates (of requests that lag); history or no-history (run times are known or not); batch:N (up \
        to N steps in a request); chains (a worker goes on to the one step that it makes ready)";
}

/// Why words are no scheduling.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no word for how to schedule; known are: {words}", words = Scheduling::WORDS)]
pub struct SchedulingError(String);

impl FromStr for Scheduling {
    type Err = SchedulingError;

    fn from_str(text: &str) -> Result<Self, SchedulingError> {
        let mut scheduling = Self::default();
        for word in text.split(',') {
            match (word, word.strip_prefix("batch:").and_then(|count| count.parse().ok())) {
                ("critical-path", _) => scheduling.order = Order::CriticalPath,
                ("fifo", _) => scheduling.order = Order::Arrival,
                ("history", _) => scheduling.history = true,
                ("no-history", _) => scheduling.history = false,
                ("duplicates", _) => scheduling.duplicates = true,
                ("no-duplicates", _) => scheduling.duplicates = false,
                ("chains", _) => scheduling.chains = true,
                (_, Some(count @ 1..=1000)) => scheduling.batch = count,
                _ => return Err(SchedulingError(word.to_owned())),
            }
        }
        Ok(scheduling)
    }
}

impl fmt::Display for Scheduling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.order {
            Order::CriticalPath => "critical-path",
            Order::Arrival => "fifo",
        })?;
        f.write_str(if self.duplicates { ",duplicates" } else { ",no-duplicates" })?;
        if !self.history {
            f.write_str(",no-history")?;
        }
        if self.batch > 1 {
            write!(f, ",batch:{}", self.batch)?;
        }
        f.write_str(if self.chains { ",chains" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for text in
            ["critical-path,duplicates", "fifo,no-duplicates", "critical-path,duplicates,no-history,batch:4,chains"]
        {
            assert_eq!(text.parse::<Scheduling>().unwrap().to_string(), text);
        }
        assert_eq!("fifo".parse::<Scheduling>().unwrap().to_string(), "fifo,duplicates");
        for text in ["", "lifo", "batch:0", "batch:x", "fifo, chains"] {
            let problem = text.parse::<Scheduling>().unwrap_err().to_string();
            assert!(problem.contains("known are: critical-path"), "{problem}");
        }
    }
}

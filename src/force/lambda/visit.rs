//! A call that asks for nothing but who is there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_lambda::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_lambda::error::BoxError;
use aws_sdk_lambda::primitives::{DateTime, DateTimeFormat};
use gg_store::remote::Sources;
use gg_worker::wire::{Request, VERSION, WorkerReport};

use super::call::{CallEnd, call};
use super::{Account, LambdaOptions, client};

/// How often the function is called, where the service or the connection fails.
const CALLS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// Who answered.
#[derive(Clone, Debug)]
pub struct Visit {
    /// What it tells of itself.
    pub report: WorkerReport,
    /// How far this machine's clock is ahead of the service's, in seconds (behind, if negative); none where the service does
    /// not tell the time.
    pub ahead: Option<i64>,
}

/// Why nobody did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotMet {
    /// The service says no: there is no such function, or we may not call it.
    #[error("{0}")]
    Refused(String),
    /// The worker is another version of gg.
    #[error("{0}")]
    Version(String),
    /// The worker is there, and cannot work.
    #[error("{0}")]
    Unable(String),
    /// The service or the connection failed, also when tried again.
    #[error("{0}")]
    Failed(String),
}

/// The time that the service tells with each answer, also with a refusal.
#[derive(Clone, Debug, Default)]
struct Clock(Arc<Mutex<Option<i64>>>);

impl Clock {
    fn ahead(&self) -> Option<i64> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        let here = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs() as i64);
        let mut ahead = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *ahead = date.map(|date| here - date.secs());
        Ok(())
    }
}

/// Calls the function with nothing to do. `store` is the remote store's URI, which the worker opens and does not use.
///
/// # Errors
/// [`NotMet`], and how far the clock is off, if that is known all the same.
pub async fn visit(options: &LambdaOptions, account: &Account, store: &str) -> Result<Visit, (NotMet, Option<i64>)> {
    let clock = Clock::default();
    let client = client(options, account);
    let client = Client::from_conf(client.config().to_builder().interceptor(clock.clone()).build());
    let request = Request {
        version: VERSION,
        store: store.to_owned(),
        inline: Vec::new(),
        sources: Sources::default(),
        jobs: Vec::new(),
        inline_limit: 0,
        store_from: None,
        record: false,
    };
    let mut failed = String::new();
    for attempt in 0..CALLS {
        tokio::time::sleep(PAUSE * attempt).await;
        let not_met = match call(&client, &options.function, request.encode()).await {
            CallEnd::Answer(response, _) => match response.refused {
                None => return Ok(Visit { report: response.report, ahead: clock.ahead() }),
                Some(refusal @ gg_worker::wire::Refusal::Version { .. }) => NotMet::Version(refusal.to_string()),
                Some(refusal) => NotMet::Unable(refusal.to_string()),
            },
            CallEnd::Throttled(text) | CallEnd::Failed(text) | CallEnd::Lost(text) => {
                failed = text;
                continue;
            }
            CallEnd::Refused(text) => NotMet::Refused(text),
            CallEnd::Crashed(text) | CallEnd::TooSmall(text) | CallEnd::Corrupt(text) => NotMet::Unable(text),
            CallEnd::TooLarge => NotMet::Unable("it takes no request, however small".to_owned()),
        };
        return Err((not_met, clock.ahead()));
    }
    Err((NotMet::Failed(failed), clock.ahead()))
}

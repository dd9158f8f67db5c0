//! The credentials that the SDK finds, for the store as well: environment, profiles, processes, roles.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use gg_store::remote::{Credentials, Keys, Secret};
use tokio::sync::Mutex;

/// How long before they expire credentials are asked for anew.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// How long credentials are kept that do not expire: a person may write others into a profile.
const KEPT: Duration = Duration::from_secs(15 * 60);

/// Asks the SDK, and keeps what it says.
#[derive(Debug)]
pub(super) struct Chain {
    provider: SharedCredentialsProvider,
    kept: Mutex<Option<(Keys, Instant)>>,
}

impl Chain {
    pub fn of(provider: SharedCredentialsProvider) -> Arc<dyn Credentials> {
        Arc::new(Self { provider, kept: Mutex::new(None) })
    }

    async fn current(&self) -> Result<Keys, String> {
        let mut kept = self.kept.lock().await;
        if let Some((keys, until)) = &*kept
            && Instant::now() < *until
        {
            return Ok(keys.clone());
        }
        let found = self.provider.provide_credentials().await.map_err(|error| explain(&error))?;
        let keys = Keys {
            id: Secret::new(found.access_key_id()),
            secret: Secret::new(found.secret_access_key()),
            token: found.session_token().map(Secret::new),
        };
        let left = found
            .expiry()
            .map_or(KEPT, |expiry| expiry.duration_since(SystemTime::now()).unwrap_or_default().saturating_sub(MARGIN));
        *kept = Some((keys.clone(), Instant::now() + left));
        Ok(keys)
    }
}

impl Credentials for Chain {
    fn keys(&self) -> Pin<Box<dyn Future<Output = Result<Keys, String>> + Send + '_>> {
        Box::pin(self.current())
    }
}

/// The error with its causes, none of which holds a secret.
pub(super) fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

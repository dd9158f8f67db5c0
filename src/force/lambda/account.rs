//! Who we are at AWS, and where: what the environment, the profile or this machine's role say.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_http_client::tls;
use gg_store::remote::Credentials;

use super::chain::{Chain, explain};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// An account and a region of it.
#[derive(Clone, Debug)]
pub struct Account {
    /// For clients of the SDK. They do not try again: whoever calls decides what that is good for.
    pub config: SdkConfig,
}

impl Account {
    /// Looks where AWS's own tools look. `region` goes before what is found. Nothing is sent, unless a profile says so.
    pub async fn find(region: Option<&str>) -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(aws_config::stalled_stream_protection::StalledStreamProtectionConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).build());
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        Self { config: loader.load().await }
    }

    /// The region, if anybody says which.
    pub fn region(&self) -> Option<&str> {
        self.config.region().map(AsRef::as_ref)
    }

    /// The last characters of the key that it signs with, enough to tell one key from another.
    ///
    /// # Errors
    /// Why there is none, for a person.
    pub async fn key_ending(&self) -> Result<String, String> {
        let provider = self.config.credentials_provider().ok_or("nobody is asked for credentials")?;
        let found = provider.provide_credentials().await.map_err(|error| explain(&error))?;
        let id = found.access_key_id();
        Ok(id.chars().skip(id.chars().count().saturating_sub(4)).collect())
    }

    /// Its credentials, for a store.
    pub fn credentials(&self) -> Option<Arc<dyn Credentials>> {
        self.config.credentials_provider().map(Chain::of)
    }
}

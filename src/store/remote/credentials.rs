//! Where credentials come from that gg does not find by itself.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

use super::secret::Secret;

/// Gives the keys with which requests to S3 are signed. It is asked before every request, so it keeps keys that are
/// still good, and renews them in time.
pub trait Credentials: fmt::Debug + Send + Sync {
    /// The keys to use now.
    ///
    /// # Errors
    /// A text for the user, without secrets, when there are none.
    fn keys(&self) -> BoxFuture<'_, Result<Keys, String>>;
}

/// Keys of AWS.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The access key's id.
    pub id: Secret,
    /// The secret access key.
    pub secret: Secret,
    /// The session's token, for keys that expire.
    pub token: Option<Secret>,
}

/// As `object_store` wants it.
#[derive(Debug)]
pub(super) struct Adapter(pub Arc<dyn Credentials>);

/// There are no keys.
#[derive(Debug, thiserror::Error)]
#[error("no credentials: {0}")]
struct NoKeys(String);

impl CredentialProvider for Adapter {
    type Credential = AwsCredential;

    fn get_credential<'a, 'async_trait>(
        &'a self,
    ) -> std::pin::Pin<Box<dyn Future<Output = object_store::Result<Arc<AwsCredential>>> + Send + 'async_trait>>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let keys = self.0.keys().await.map_err(|reason| object_store::Error::Unauthenticated {
                path: String::new(),
                source: Box::new(NoKeys(reason)),
            })?;
            Ok(Arc::new(AwsCredential {
                key_id: keys.id.reveal().to_owned(),
                secret_key: keys.secret.reveal().to_owned(),
                token: keys.token.map(|token| token.reveal().to_owned()),
            }))
        })
    }
}

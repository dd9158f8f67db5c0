//! A bucket of S3 as such, whatever lies in it: for who sets it up and takes it down.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt};

use super::cloud::{self, explain};
use super::counters::Meter;
use super::credentials::Credentials;
use super::error::{RemoteError, Result};
use super::uri::{Place, RemoteUri};

/// A bucket. Keys are those of the bucket itself: the URI's prefix has no say here.
#[derive(Debug)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    uri: String,
}

impl Bucket {
    /// Opens the bucket of a URI. Nothing is sent yet.
    ///
    /// # Errors
    /// [`RemoteError::Config`] when the URI is not one of S3, or cannot be used.
    pub fn open(uri: &RemoteUri, credentials: Option<Arc<dyn Credentials>>) -> Result<Self> {
        let failed = |reason: String| RemoteError::Config { store: uri.to_string(), reason };
        let Place::S3 { bucket, region, endpoint } = &uri.place else {
            return Err(failed("a bucket of S3 is needed".to_owned()));
        };
        let store = cloud::s3(bucket, region.clone(), endpoint.as_ref(), &Arc::<Meter>::default(), credentials);
        Ok(Self { store: store.map_err(|error| failed(explain(&error)))?, uri: uri.to_string() })
    }

    /// Whether there is something under a key.
    ///
    /// # Errors
    /// When the store does not answer that.
    pub async fn has(&self, key: &str) -> Result<bool> {
        match self.store.head(&Path::from(key)).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.error("look for", key, &error)),
        }
    }

    /// Writes a key.
    ///
    /// # Errors
    /// When the store does not take it.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        let put = self.store.put(&Path::from(key), bytes.into()).await;
        put.map(|_| ()).map_err(|error| self.error("write", key, &error))
    }

    /// All keys below a prefix.
    ///
    /// # Errors
    /// When the store does not tell.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let listed = self.store.list(Some(&Path::from(prefix))).map_ok(|found| found.location.to_string());
        listed.try_collect().await.map_err(|error| self.error("list", prefix, &error))
    }

    /// Deletes keys; those that are not there are no error. How many there were.
    ///
    /// # Errors
    /// When the store does not let us, or fails.
    pub async fn delete(&self, keys: Vec<String>) -> Result<usize> {
        let keys = futures::stream::iter(keys).map(|key| Ok(Path::from(key))).boxed();
        self.delete_stream(keys).await
    }

    /// Deletes everything. How many objects that were.
    ///
    /// # Errors
    /// As [`Bucket::delete`].
    pub async fn empty(&self) -> Result<usize> {
        self.delete_stream(self.store.list(None).map_ok(|found| found.location).boxed()).await
    }

    async fn delete_stream(
        &self,
        keys: futures::stream::BoxStream<'static, object_store::Result<Path>>,
    ) -> Result<usize> {
        let mut deleted = 0;
        let mut answers = self.store.delete_stream(keys);
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(_) | Err(Error::NotFound { .. }) => deleted += 1,
                Err(error) => return Err(self.error("delete", "objects", &error)),
            }
        }
        Ok(deleted)
    }

    fn error(&self, action: &'static str, key: &str, error: &Error) -> RemoteError {
        let (store, key, reason) = (self.uri.clone(), key.to_owned(), explain(error));
        match error {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                RemoteError::Denied { store, action, key, reason }
            }
            _ => RemoteError::Service { store, action, key, reason },
        }
    }
}

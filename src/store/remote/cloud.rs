//! S3, Google Cloud Storage, Azure Blob Storage, and directories: what `object_store` speaks.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::HttpError;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    RetryConfig, StaticCredentialProvider, WriteMultipart,
};
use tokio::io::AsyncReadExt;

use super::backend::{Fault, Mode, Stream};
use super::counters::{Meter, Verb};
use super::credentials::{Adapter, Credentials};
use super::http::Connector;
use super::uri::{Place, RemoteUri};

/// The size of a part: at most 10,000 of them make an object, so 80 GB. S3 wants 5 MiB at least.
const PART: usize = 8 << 20;
/// Parts under way at once, which bounds the memory they take.
const PARTS: usize = 4;

/// One store.
#[derive(Debug)]
pub(super) struct Cloud {
    store: Arc<dyn ObjectStore>,
    /// Counts the calls where no HTTP request is there to be counted.
    meter: Option<Arc<Meter>>,
}

/// Overload passes within seconds, and a build should not wait for minutes for what does not.
fn retries() -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(5), base: 2. };
    RetryConfig { backoff, max_retries: 6, retry_timeout: Duration::from_secs(60) }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The settings of S3 that are taken from the environment: credentials, and nothing that says where the store is, since
/// a worker is told that by the URI alone.
const S3_SETTINGS: &[(&str, AmazonS3ConfigKey)] = &[
    ("AWS_ACCESS_KEY_ID", AmazonS3ConfigKey::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", AmazonS3ConfigKey::SecretAccessKey),
    ("AWS_SESSION_TOKEN", AmazonS3ConfigKey::Token),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
];

const AZURE_SETTINGS: &[(&str, AzureConfigKey)] = &[
    ("AZURE_STORAGE_ACCOUNT_KEY", AzureConfigKey::AccessKey),
    ("AZURE_STORAGE_SAS_KEY", AzureConfigKey::SasKey),
    ("AZURE_CLIENT_ID", AzureConfigKey::ClientId),
    ("AZURE_CLIENT_SECRET", AzureConfigKey::ClientSecret),
    ("AZURE_TENANT_ID", AzureConfigKey::AuthorityId),
    ("AZURE_FEDERATED_TOKEN_FILE", AzureConfigKey::FederatedTokenFile),
];

const GCS_SETTINGS: &[(&str, GoogleConfigKey)] = &[
    ("GOOGLE_APPLICATION_CREDENTIALS", GoogleConfigKey::ApplicationCredentials),
    ("GOOGLE_SERVICE_ACCOUNT", GoogleConfigKey::ServiceAccount),
    ("GOOGLE_SERVICE_ACCOUNT_KEY", GoogleConfigKey::ServiceAccountKey),
];

fn plain(endpoint: Option<&String>) -> bool {
    endpoint.is_some_and(|url| url.starts_with("http://"))
}

impl Cloud {
    pub fn open(
        uri: &RemoteUri,
        meter: &Arc<Meter>,
        credentials: Option<Arc<dyn Credentials>>,
    ) -> Result<Self, String> {
        let (store, metered): (object_store::Result<Arc<dyn ObjectStore>>, bool) = match &uri.place {
            Place::S3 { bucket, region, endpoint } => {
                (s3(bucket, region.clone(), endpoint.as_ref(), meter, credentials), true)
            }
            Place::Gcs { bucket, endpoint } => (gcs(bucket, endpoint.as_ref(), meter), true),
            Place::Azure { container, account, endpoint } => {
                let account = account.clone().or_else(|| environment("AZURE_STORAGE_ACCOUNT_NAME"));
                let account = account.ok_or("the storage account is missing: add ?account=NAME to the URI")?;
                (azure(container, &account, endpoint.as_ref(), meter), true)
            }
            Place::Directory(path) => (directory(path), false),
            Place::Redis { .. } => return Err("is no cloud store".to_owned()),
        };
        let store = store.map_err(|error| explain(&error))?;
        Ok(Self { store, meter: (!metered).then(|| meter.clone()) })
    }

    fn count(&self, verb: Verb, up: u64) {
        if let Some(meter) = &self.meter {
            meter.request(verb);
            meter.up(up);
        }
    }

    fn down(&self, bytes: &Bytes) {
        if let Some(meter) = &self.meter {
            meter.down(bytes.len() as u64);
        }
    }

    async fn begin(&self, key: &str, range: Option<Range<u64>>) -> Result<object_store::GetResult, Fault> {
        self.count(Verb::Get, 0);
        let options = GetOptions { range: range.map(GetRange::Bounded), ..Default::default() };
        self.store.get_opts(&path(key)?, options).await.map_err(fault)
    }

    pub async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, Fault> {
        let bytes = self.begin(key, range).await?.bytes().await.map_err(fault)?;
        self.down(&bytes);
        Ok(bytes)
    }

    pub async fn stream(&self, key: &str, range: Option<Range<u64>>) -> Result<Stream, Fault> {
        let stream = self.begin(key, range).await?.into_stream();
        let meter = self.meter.clone();
        let counted = stream.map_err(fault).inspect_ok(move |bytes| {
            if let Some(meter) = &meter {
                meter.down(bytes.len() as u64);
            }
        });
        Ok(counted.boxed())
    }

    pub async fn head(&self, key: &str) -> Result<(), Fault> {
        self.count(Verb::Head, 0);
        self.store.head(&path(key)?).await.map(|_| ()).map_err(fault)
    }

    pub async fn put(&self, key: &str, bytes: Bytes, mode: Mode) -> Result<(), Fault> {
        self.count(Verb::Put, bytes.len() as u64);
        let mode = if mode == Mode::New { PutMode::Create } else { PutMode::Overwrite };
        let options = PutOptions { mode, ..Default::default() };
        self.store.put_opts(&path(key)?, bytes.into(), options).await.map(|_| ()).map_err(fault)
    }

    pub async fn put_file(&self, key: &str, file: PathBuf, size: u64) -> Result<(), Fault> {
        let local = |error: std::io::Error| Fault::Config(format!("cannot read {}: {error}", file.display()));
        let mut file_ = tokio::fs::File::open(&file).await.map_err(local)?;
        if size <= PART as u64 {
            let mut bytes = Vec::with_capacity(size as usize);
            file_.read_to_end(&mut bytes).await.map_err(local)?;
            return self.put(key, bytes.into(), Mode::Over).await;
        }
        self.count(Verb::Put, 0);
        let upload = self.store.put_multipart(&path(key)?).await.map_err(fault)?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, PART);
        let sent = async {
            loop {
                let mut part = Vec::with_capacity(PART);
                (&mut file_).take(PART as u64).read_to_end(&mut part).await.map_err(local)?;
                if part.is_empty() {
                    return Ok(());
                }
                writer.wait_for_capacity(PARTS - 1).await.map_err(fault)?;
                self.count(Verb::Put, part.len() as u64);
                writer.put(part.into());
            }
        };
        match sent.await {
            Ok(()) => {
                self.count(Verb::Put, 0);
                writer.finish().await.map(|_| ()).map_err(fault)
            }
            Err(error) => {
                // What was sent so far is paid for until it is dropped. Failing that, the bucket's own rules have to.
                let _ = writer.abort().await;
                Err(error)
            }
        }
    }
}

fn path(key: &str) -> Result<Path, Fault> {
    Path::parse(key).map_err(|error| Fault::Config(error.to_string()))
}

pub(super) fn s3(
    bucket: &str,
    region: Option<String>,
    endpoint: Option<&String>,
    meter: &Arc<Meter>,
    credentials: Option<Arc<dyn Credentials>>,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    let region = region.or_else(|| environment("AWS_REGION")).or_else(|| environment("AWS_DEFAULT_REGION"));
    let connector = Connector { meter: meter.clone(), plain: plain(endpoint) };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region.unwrap_or_else(|| "us-east-1".to_owned()))
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_client_options(ClientOptions::new().with_allow_http(connector.plain))
        .with_http_connector(connector)
        .with_retry(retries());
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    } else {
        // A bucket with dots in its name has no certificate as a host name.
        builder = builder.with_virtual_hosted_style_request(!bucket.contains('.'));
    }
    match credentials {
        Some(credentials) => builder = builder.with_credentials(Arc::new(Adapter(credentials))),
        None => {
            for (name, key) in S3_SETTINGS {
                builder = match environment(name) {
                    Some(value) => builder.with_config(*key, value),
                    None => builder,
                };
            }
        }
    }
    Ok(Arc::new(builder.build()?))
}

fn gcs(bucket: &str, endpoint: Option<&String>, meter: &Arc<Meter>) -> object_store::Result<Arc<dyn ObjectStore>> {
    let connector = Connector { meter: meter.clone(), plain: plain(endpoint) };
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_client_options(ClientOptions::new().with_allow_http(connector.plain))
        .with_retry(retries());
    if let Some(endpoint) = endpoint {
        builder = builder.with_base_url(endpoint);
    }
    // An emulator on this machine knows nobody, and is not to be told a secret.
    if connector.plain {
        let nobody = GcpCredential { bearer: String::new() };
        builder = builder.with_skip_signature(true).with_credentials(Arc::new(StaticCredentialProvider::new(nobody)));
    } else {
        for (name, key) in GCS_SETTINGS {
            builder = match environment(name) {
                Some(value) => builder.with_config(*key, value),
                None => builder,
            };
        }
    }
    Ok(Arc::new(builder.with_http_connector(connector).build()?))
}

fn azure(
    container: &str,
    account: &str,
    endpoint: Option<&String>,
    meter: &Arc<Meter>,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    let connector = Connector { meter: meter.clone(), plain: plain(endpoint) };
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_container_name(container)
        .with_client_options(ClientOptions::new().with_allow_http(connector.plain))
        .with_allow_http(connector.plain)
        .with_http_connector(connector)
        .with_retry(retries());
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    for (name, key) in AZURE_SETTINGS {
        builder = match environment(name) {
            Some(value) => builder.with_config(*key, value),
            None => builder,
        };
    }
    Ok(Arc::new(builder.build()?))
}

fn directory(path: &std::path::Path) -> object_store::Result<Arc<dyn ObjectStore>> {
    let failed = |error: std::io::Error| Error::Generic { store: "directory", source: Box::new(error) };
    std::fs::create_dir_all(path).map_err(failed)?;
    Ok(Arc::new(LocalFileSystem::new_with_prefix(path)?))
}

/// What went wrong, by kind.
fn fault(error: Error) -> Fault {
    let reason = explain(&error);
    match error {
        Error::NotFound { .. } => Fault::NotFound,
        Error::AlreadyExists { .. } | Error::Precondition { .. } => Fault::Exists,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Fault::Denied(reason),
        // Parts are only asked for of what is believed to have them.
        error if status(&error) == Some(416) => Fault::Short,
        // Where an upload in parts begins and ends, the library does not tell these apart.
        error if matches!(status(&error), Some(401 | 403)) => Fault::Denied(reason),
        error if is_transport(&error) => Fault::Unreachable(reason),
        _ => Fault::Service(reason),
    }
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// The status of an answer that was an error. The library keeps it in a type without a name.
fn status(error: &Error) -> Option<u16> {
    let text = chain(error).last()?.to_string();
    text.strip_prefix("Server returned non-2xx status code: ")?.get(..3)?.parse().ok()
}

fn is_transport(error: &Error) -> bool {
    chain(error).any(|error| error.is::<HttpError>())
}

/// The end of the chain says most, and holds neither a URL (whose parameters may be a signature) nor what the store sent
/// back (which may repeat what was sent); of the latter only the code and the message are shown.
pub(super) fn explain(error: &Error) -> String {
    let text = chain(error).last().map(ToString::to_string).unwrap_or_default();
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once("</").map(|(value, _)| value.trim().to_owned())
    };
    let first = text.split(['<', '{', '\n']).next().unwrap_or_default().trim().trim_end_matches(':');
    let mut shown: String = first.chars().take(200).collect();
    if let Some(code) = element("Code") {
        shown = format!("{shown}: {code}");
    }
    if let Some(message) = element("Message") {
        shown = format!("{shown}: {}", message.chars().take(200).collect::<String>());
    }
    shown
}

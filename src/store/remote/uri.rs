//! Where a remote store is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::error::RemoteError;
use super::secret::Secret;

/// The address of a remote store:
///
/// ```text
/// s3://BUCKET[/PREFIX][?region=REGION][&endpoint=URL]
/// gs://BUCKET[/PREFIX][?endpoint=URL]
/// az://CONTAINER[/PREFIX]?account=ACCOUNT[&endpoint=URL]
/// redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE][?prefix=PREFIX]      (rediss: the same over TLS)
/// file:///DIRECTORY
/// ```
///
/// Plain HTTP is spoken only where the endpoint says `http://`. Credentials come from the environment (see
/// [`Remote::open`](super::Remote::open)); only Redis's may stand in the URI. They are never written: neither by `Display`,
/// which otherwise gives a URI of the same place, nor by `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RemoteUri {
    pub(super) place: Place,
    /// Prepended to every key: empty, or ends with a slash.
    pub(super) prefix: String,
}

/// The kinds of stores.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    S3 { bucket: String, region: Option<String>, endpoint: Option<String> },
    Gcs { bucket: String, endpoint: Option<String> },
    Azure { container: String, account: Option<String>, endpoint: Option<String> },
    Redis { tls: bool, host: String, port: u16, database: u32, user: Option<String>, password: Option<Secret> },
    Directory(PathBuf),
}

/// Redis's own.
const REDIS_PORT: u16 = 6379;

impl RemoteUri {
    /// The URI of a directory, for tests and for stores on a shared file system.
    ///
    /// # Errors
    /// [`RemoteError::Uri`] when the path is not absolute or no UTF-8.
    pub fn directory(path: &Path) -> Result<Self, RemoteError> {
        format!("file://{}", path.display()).parse()
    }

    /// The folder's name for what is remembered of this store: a digest of the URI without its credentials.
    pub fn digest(&self) -> String {
        let name = gg_ir::Name::of_value(self.to_string().as_bytes());
        name.digest()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What is wrong with a text; the text itself is added by the caller.
type Parsed<T> = Result<T, &'static str>;

/// The parameters behind the question mark.
struct Query<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Query<'a> {
    fn parse(text: Option<&'a str>) -> Parsed<Self> {
        let pairs = text.into_iter().flat_map(|text| text.split('&')).filter(|pair| !pair.is_empty());
        let pair = |pair: &'a str| pair.split_once('=').filter(|(_, value)| !value.is_empty());
        pairs.map(|text| pair(text).ok_or("each parameter is written name=value")).collect::<Parsed<_>>().map(Self)
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(n, _)| *n == name)?;
        Some(self.0.remove(at).1.to_owned())
    }

    fn endpoint(&mut self) -> Parsed<Option<String>> {
        let Some(url) = self.take("endpoint") else { return Ok(None) };
        let url = url.trim_end_matches('/');
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        match host {
            Some(host) if host.contains('@') => Err("an endpoint holds no credentials; give them in the environment"),
            Some(host) if !host.is_empty() && !host.contains(['?', '#', ' ']) => Ok(Some(url.to_owned())),
            _ => Err("the endpoint is an http:// or https:// URL"),
        }
    }

    fn finish(self) -> Parsed<()> {
        if self.0.is_empty() { Ok(()) } else { Err("it has a parameter that this kind of store does not know") }
    }
}

fn bucket(text: &str) -> Parsed<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'$');
    match text {
        "" => Err("the bucket's name is missing"),
        text if text.contains('@') => Err("credentials do not belong here; give them in the environment"),
        text if text.bytes().all(fits) => Ok(text.to_owned()),
        _ => Err("a bucket's name is made of letters, digits, '.', '-' and '_'"),
    }
}

fn prefix(text: &str) -> Parsed<String> {
    let fits = |part: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'=' | b'+');
        !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain)
    };
    let text = text.trim_matches('/');
    match text {
        "" => Ok(String::new()),
        text if text.split('/').all(fits) => Ok(format!("{text}/")),
        _ => Err("a prefix is made of letters, digits, '.', '-', '_', ':', '=', '+' and single slashes"),
    }
}

fn redis(tls: bool, authority: &str, path: &str) -> Parsed<Place> {
    let (credentials, address) = match authority.rsplit_once('@') {
        Some((credentials, address)) => (Some(credentials), address),
        None => (None, authority),
    };
    let (user, password) = match credentials.map(|text| text.split_once(':').unwrap_or((text, ""))) {
        Some((user, password)) => (Some(user), Some(password)),
        None => (None, None),
    };
    let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    // An IPv6 address is in brackets and has colons of its own.
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| "the port is not a number")?),
        _ => (address, REDIS_PORT),
    };
    if host.is_empty() {
        return Err("the host is missing");
    }
    let database = match path.trim_matches('/') {
        "" => 0,
        number => number.parse().map_err(|_| "the path is the number of a database; a prefix is given as ?prefix=")?,
    };
    let password = given(password).map(Secret::new);
    Ok(Place::Redis { tls, host: host.to_owned(), port, database, user: given(user), password })
}

fn parse(text: &str) -> Parsed<RemoteUri> {
    const SCHEMES: &str = "it begins with s3://, gs://, az://, redis://, rediss:// or file:///";
    let (scheme, rest) = text.split_once("://").ok_or(SCHEMES)?;
    if scheme == "file" {
        let path = Path::new(rest);
        if !path.is_absolute() {
            return Err("a directory is given by its absolute path: file:///DIRECTORY");
        }
        return Ok(RemoteUri { place: Place::Directory(path.to_owned()), prefix: String::new() });
    }
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut query = Query::parse(query)?;
    let (place, prefix) = match scheme {
        "s3" => {
            let (region, endpoint) = (query.take("region"), query.endpoint()?);
            (Place::S3 { bucket: bucket(authority)?, region, endpoint }, prefix(path)?)
        }
        "gs" => (Place::Gcs { bucket: bucket(authority)?, endpoint: query.endpoint()? }, prefix(path)?),
        "az" => {
            let (account, endpoint) = (query.take("account"), query.endpoint()?);
            (Place::Azure { container: bucket(authority)?, account, endpoint }, prefix(path)?)
        }
        "redis" | "rediss" => {
            let given = query.take("prefix").unwrap_or_default();
            (redis(scheme == "rediss", authority, path)?, prefix(&given)?)
        }
        _ => return Err(SCHEMES),
    };
    query.finish()?;
    Ok(RemoteUri { place, prefix })
}

impl FromStr for RemoteUri {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, RemoteError> {
        parse(text).map_err(|reason| RemoteError::Uri { uri: without_credentials(text), reason: reason.to_owned() })
    }
}

/// A text that may be meant as a URI, for a message: without what may be a credential.
fn without_credentials(text: &str) -> String {
    let shown = text.split(['?', '#']).next().unwrap_or_default();
    match shown.rsplit_once('@') {
        None => shown.to_owned(),
        Some((before, after)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            format!("{scheme}://{after}")
        }
    }
}

impl fmt::Display for RemoteUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = self.prefix.trim_end_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        let mut parameters = Vec::new();
        let mut parameter = |name: &str, value: &Option<String>| {
            parameters.extend(value.as_ref().map(|value| format!("{name}={value}")));
        };
        match &self.place {
            Place::S3 { bucket, region, endpoint } => {
                parameter("region", region);
                parameter("endpoint", endpoint);
                write!(f, "s3://{bucket}{slash}{prefix}")?;
            }
            Place::Gcs { bucket, endpoint } => {
                parameter("endpoint", endpoint);
                write!(f, "gs://{bucket}{slash}{prefix}")?;
            }
            Place::Azure { container, account, endpoint } => {
                parameter("account", account);
                parameter("endpoint", endpoint);
                write!(f, "az://{container}{slash}{prefix}")?;
            }
            Place::Redis { tls, host, port, database, .. } => {
                parameter("prefix", &(!prefix.is_empty()).then(|| prefix.to_owned()));
                write!(f, "redis{}://{host}:{port}/{database}", if *tls { "s" } else { "" })?;
            }
            Place::Directory(path) => write!(f, "file://{}", path.display())?,
        }
        if parameters.is_empty() { Ok(()) } else { write!(f, "?{}", parameters.join("&")) }
    }
}

impl fmt::Debug for RemoteUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_the_same_place() {
        for (text, written) in [
            ("s3://b", "s3://b"),
            ("s3://my-bucket/a/b/", "s3://my-bucket/a/b"),
            (
                "s3://b/p?region=eu-west-1&endpoint=http://127.0.0.1:5000/",
                "s3://b/p?region=eu-west-1&endpoint=http://127.0.0.1:5000",
            ),
            ("s3://b?endpoint=https://minio", "s3://b?endpoint=https://minio"),
            ("gs://b/p", "gs://b/p"),
            ("az://c/p?account=me", "az://c/p?account=me"),
            ("redis://host", "redis://host:6379/0"),
            ("rediss://[::1]/2?prefix=x", "rediss://[::1]:6379/2?prefix=x"),
            ("redis://[::1]:7", "redis://[::1]:7/0"),
            ("file:///tmp/a b", "file:///tmp/a b"),
        ] {
            let uri: RemoteUri = text.parse().unwrap();
            assert_eq!(uri.to_string(), written);
            assert_eq!(written.parse::<RemoteUri>().unwrap(), uri);
        }
    }

    #[test]
    fn credentials_are_taken_and_not_shown() {
        let uri: RemoteUri = "redis://user:hunter2@host:7/1".parse().unwrap();
        assert!(matches!(&uri.place, Place::Redis { user: Some(user), password: Some(password), .. }
            if user == "user" && password.reveal() == "hunter2"));
        assert_eq!(format!("{uri} {uri:?}"), "redis://host:7/1 redis://host:7/1");
        let other: RemoteUri = "redis://host:7/1".parse().unwrap();
        assert_eq!(uri.digest(), other.digest());
        for bad in [
            "redis://user:hunter2@host:port",
            "s3://key:hunter2@bucket",
            "ftp://me:hunter2@x/y?token=hunter2",
            "s3://b?endpoint=http://key:hunter2@host",
            "hunter2@host",
        ] {
            let error = bad.parse::<RemoteUri>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn what_is_no_uri() {
        for bad in [
            "",
            "b",
            "s3:/b",
            "s3://",
            "s3://b/a//b",
            "s3://b/../c",
            "s3://b?x=y",
            "s3://b?endpoint=host",
            "file://x",
            "redis://h/x",
            "redis://",
            "s3://b c",
            "s3://b?endpoint=http://",
        ] {
            assert!(matches!(bad.parse::<RemoteUri>(), Err(RemoteError::Uri { .. })), "{bad}");
        }
    }
}

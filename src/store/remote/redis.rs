//! Redis (and what speaks its protocol): each key a string.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{
    Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo, RedisConnectionInfo, RedisError,
};
use tokio::io::AsyncReadExt;
use tokio::sync::OnceCell;

use super::backend::{Fault, Mode, Stream};
use super::counters::{Meter, Verb};
use super::uri::{Place, RemoteUri};

/// Redis's own limit of a value.
const LARGEST: u64 = 512 << 20;
/// Larger values are written and read in pieces, so that others' requests on the connection are not held up for long.
const PIECE: u64 = 8 << 20;
/// A value being written in pieces is forgotten after so many seconds when its writer dies.
const ABANDONED: u64 = 3600;
const CONNECT: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a connection that broke is made again for one request, and the first pause before that.
const RETRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(100);
/// Where the password is, when it is not in the URI: a worker is told the URI without it.
const PASSWORD: &str = "GG_REDIS_PASSWORD";

/// One database of one server.
#[derive(Clone)]
pub(super) struct Redis(Arc<Inner>);

struct Inner {
    client: Client,
    connection: OnceCell<ConnectionManager>,
    meter: Arc<Meter>,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client knows the password.
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

impl Redis {
    pub fn open(uri: &RemoteUri, meter: &Arc<Meter>) -> Result<Self, String> {
        let Place::Redis { tls, host, port, database, user, password } = &uri.place else {
            return Err("is no Redis".to_owned());
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let address = match tls {
            false => ConnectionAddr::Tcp(host, *port),
            true => {
                // Another part of the program may have brought a second provider, and then there is no default.
                let _ = rustls::crypto::ring::default_provider().install_default();
                ConnectionAddr::TcpTls { host, port: *port, insecure: false, tls_params: None }
            }
        };
        let mut settings = RedisConnectionInfo::default().set_db((*database).into());
        if let Some(user) = user {
            settings = settings.set_username(user);
        }
        let given = password.as_ref().map(|password| password.reveal().to_owned());
        if let Some(password) = given.or_else(|| std::env::var(PASSWORD).ok()).filter(|text| !text.is_empty()) {
            settings = settings.set_password(password);
        }
        let info = address.into_connection_info().map_err(|error| explain(&error))?.set_redis_settings(settings);
        let client = Client::open(info).map_err(|error| explain(&error))?;
        Ok(Self(Arc::new(Inner { client, connection: OnceCell::new(), meter: meter.clone() })))
    }

    async fn connection(&self) -> Result<ConnectionManager, Fault> {
        let connect = || {
            let config = ConnectionManagerConfig::new()
                .set_connection_timeout(Some(CONNECT))
                .set_response_timeout(Some(PATIENCE))
                .set_number_of_retries(2);
            self.0.client.get_connection_manager_with_config(config)
        };
        self.0.connection.get_or_try_init(connect).await.cloned().map_err(|error| fault(&error))
    }

    /// Sends a command, again when the connection breaks or the server is busy. Every command here may be sent twice.
    async fn send<T: FromRedisValue>(&self, verb: Verb, up: u64, command: &Cmd) -> Result<T, Fault> {
        let mut attempt = 0;
        loop {
            self.0.meter.request(verb);
            self.0.meter.up(up);
            let answer = match self.connection().await {
                Ok(mut connection) => command.query_async(&mut connection).await.map_err(|error| fault(&error)),
                Err(fault) => Err(fault),
            };
            match answer {
                Err(Fault::Unreachable(_) | Fault::Service(_)) if attempt < RETRIES => {
                    tokio::time::sleep(PAUSE * 2u32.pow(attempt)).await;
                    attempt += 1;
                }
                answer => return answer,
            }
        }
    }

    pub async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, Fault> {
        let part = range.is_some();
        let mut command = redis::cmd(if range.is_some() { "GETRANGE" } else { "GET" });
        command.arg(key);
        if let Some(range) = range {
            command.arg(range.start).arg(range.end.saturating_sub(1));
        }
        let bytes: Option<Vec<u8>> = self.send(Verb::Get, 0, &command).await?;
        // A part of what is not there is empty; what gg writes never is.
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else {
            return if part && self.head(key).await.is_ok() { Err(Fault::Short) } else { Err(Fault::NotFound) };
        };
        self.0.meter.down(bytes.len() as u64);
        Ok(bytes.into())
    }

    pub async fn stream(&self, key: &str, range: Option<Range<u64>>) -> Result<Stream, Fault> {
        let range = range.unwrap_or(0..LARGEST);
        let first = self.get(key, Some(range.start..range.end.min(range.start + PIECE))).await?;
        let next = range.start + first.len() as u64;
        let (this, key) = (self.clone(), key.to_owned());
        let rest = futures::stream::unfold(Some((next, first.len() as u64)), move |state| {
            let (this, key) = (this.clone(), key.clone());
            async move {
                // A piece that was not full was the last one.
                let (at, _) = state.filter(|(at, last)| *at < range.end && *last == PIECE)?;
                Some(match this.get(&key, Some(at..range.end.min(at + PIECE))).await {
                    Ok(bytes) => {
                        let length = bytes.len() as u64;
                        (Ok(bytes), Some((at + length, length)))
                    }
                    // The last piece was just full.
                    Err(Fault::NotFound | Fault::Short) => return None,
                    Err(fault) => (Err(fault), None),
                })
            }
        });
        Ok(futures::stream::iter([Ok(first)]).chain(rest).boxed())
    }

    pub async fn head(&self, key: &str) -> Result<(), Fault> {
        let found: bool = self.send(Verb::Head, 0, redis::cmd("EXISTS").arg(key)).await?;
        if found { Ok(()) } else { Err(Fault::NotFound) }
    }

    pub async fn put(&self, key: &str, bytes: Bytes, mode: Mode) -> Result<(), Fault> {
        fits(bytes.len() as u64)?;
        let mut command = redis::cmd("SET");
        command.arg(key).arg(&bytes[..]);
        if mode == Mode::New {
            command.arg("NX");
        }
        let set: Option<String> = self.send(Verb::Put, bytes.len() as u64, &command).await?;
        set.map(|_| ()).ok_or(Fault::Exists)
    }

    pub async fn put_file(&self, key: &str, file: PathBuf, size: u64) -> Result<(), Fault> {
        fits(size)?;
        let local = |error: std::io::Error| Fault::Config(format!("cannot read {}: {error}", file.display()));
        let mut from = tokio::fs::File::open(&file).await.map_err(local)?;
        // Under a name of its own until it is whole.
        let temporary = format!("{key}.{:016x}", crate::layout::random());
        let mut at = 0u64;
        loop {
            let mut piece = Vec::with_capacity(size.min(PIECE) as usize);
            (&mut from).take(PIECE).read_to_end(&mut piece).await.map_err(local)?;
            if piece.is_empty() {
                break;
            }
            let length = piece.len() as u64;
            // Written at its place rather than appended, so that it may be sent twice.
            let command = redis::cmd("SETRANGE").arg(&temporary).arg(at).arg(piece).to_owned();
            let _: u64 = self.send(Verb::Put, length, &command).await?;
            if at == 0 {
                let _: bool = self.send(Verb::Put, 0, redis::cmd("EXPIRE").arg(&temporary).arg(ABANDONED)).await?;
            }
            at += length;
        }
        let persist = redis::cmd("PERSIST").arg(&temporary).to_owned();
        let _: bool = self.send(Verb::Put, 0, &persist).await?;
        let _: String = self.send(Verb::Put, 0, redis::cmd("RENAME").arg(&temporary).arg(key)).await?;
        Ok(())
    }
}

fn fits(size: u64) -> Result<(), Fault> {
    if size <= LARGEST {
        return Ok(());
    }
    Err(Fault::Config(format!(
        "Redis holds no value larger than 512 MiB, and this one has {size} bytes: use S3 for such builds"
    )))
}

fn fault(error: &RedisError) -> Fault {
    let reason = explain(error);
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED")) => {
            Fault::Denied(reason)
        }
        (ErrorKind::InvalidClientConfig | ErrorKind::UnexpectedReturnType, _) => Fault::Config(reason),
        _ if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() => Fault::Unreachable(reason),
        _ => Fault::Service(reason),
    }
}

/// What the server or the system said. A server never sends the password back.
fn explain(error: &RedisError) -> String {
    error.to_string().chars().take(200).collect()
}

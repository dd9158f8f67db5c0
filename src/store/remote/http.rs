//! HTTP for the cloud stores: TLS that needs nothing of the system, time limits, and counting.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use tokio::time::{Instant, Sleep};

use super::counters::{Meter, Verb};

/// A connection is there by then, or not at all.
const CONNECT: Duration = Duration::from_secs(5);
/// An answer begins by then, apart from the time that sending takes; and its next bytes arrive by then.
const PATIENCE: Duration = Duration::from_secs(20);
/// Slower than this, in bytes per second, a connection counts as stuck.
const SLOWEST: u64 = 32 << 10;
/// Connections kept open.
const IDLE: usize = 64;

/// Makes clients for `object_store`.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    pub meter: Arc<Meter>,
    /// Whether to talk without TLS.
    pub plain: bool,
}

/// The roots that browsers trust, and those of the system: a function's root file system may have none, and a company's
/// own endpoint may need one of its own.
fn tls() -> Result<rustls::ClientConfig, rustls::Error> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let failed = |source| object_store::Error::Generic { store: "HTTP client", source };
        let config = tls().map_err(|error| failed(error.into()))?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .user_agent(concat!("gg/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(IDLE)
            .tcp_nodelay(true)
            .http1_only()
            .build()
            .map_err(|error| failed(error.without_url().into()))?;
        Ok(HttpClient::new(Metered { client, meter: self.meter.clone() }))
    }
}

#[derive(Debug)]
struct Metered {
    client: reqwest::Client,
    meter: Arc<Meter>,
}

/// Nothing came for too long.
#[derive(Debug, thiserror::Error)]
#[error("no answer for {} s", .0.as_secs())]
struct Stuck(Duration);

/// What is asked of the store, as opposed to the services that give out credentials.
fn verb(request: &HttpRequest) -> Option<Verb> {
    let (uri, host) = (request.uri(), request.uri().host().unwrap_or_default());
    let other = ["169.254.", "metadata.", "sts.", "oauth2.", "login.", "[fd00:ec2"];
    if other.iter().any(|start| host.starts_with(start)) {
        return None;
    }
    let lists = uri.query().is_some_and(|query| query.contains("list-type=") || query.contains("comp=list"));
    Some(match *request.method() {
        Method::GET if lists => Verb::List,
        Method::GET => Verb::Get,
        Method::HEAD => Verb::Head,
        Method::DELETE => Verb::Delete,
        _ => Verb::Put,
    })
}

impl HttpService for Metered {
    fn call<'a, 'async_trait>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'async_trait>>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let length = request.body().content_length() as u64;
            if let Some(verb) = verb(&request) {
                self.meter.request(verb);
                self.meter.up(length);
            }
            let limit = PATIENCE + Duration::from_secs(length / SLOWEST);
            let answered = tokio::time::timeout(limit, HttpService::call(&self.client, request)).await;
            let response = answered.map_err(|_| HttpError::new(HttpErrorKind::Timeout, Stuck(limit)))??;
            let meter = self.meter.clone();
            Ok(response.map(|body| {
                let counted = body.map_frame(move |frame| {
                    meter.down(frame.data_ref().map_or(0, |data| data.len() as u64));
                    frame
                });
                HttpResponseBody::new(Watched { body: counted, alarm: None })
            }))
        })
    }
}

/// A body that fails when nothing comes for too long.
struct Watched<B> {
    body: B,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<B: http_body::Body<Data = Bytes, Error = HttpError> + Unpin> http_body::Body for Watched<B> {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, HttpError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.alarm = None;
            return Poll::Ready(frame);
        }
        let alarm = this.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + PATIENCE)));
        alarm.as_mut().poll(cx).map(|()| Some(Err(HttpError::new(HttpErrorKind::Timeout, Stuck(PATIENCE)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

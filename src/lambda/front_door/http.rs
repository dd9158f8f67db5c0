//! Serving HTTP, and the forms of answers that both APIs share.

use std::convert::Infallible;
use std::future::Future;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// An answer.
pub type Answer = Response<Full<Bytes>>;

/// Ends the connection in place of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HangUp {
    /// In good order.
    Close,
    /// With a reset, as a machine does that knows nothing of the connection.
    Reset,
}

impl std::fmt::Display for HangUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the answer is lost on purpose")
    }
}

impl std::error::Error for HangUp {}

impl From<Infallible> for HangUp {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Serves until it is dropped.
pub async fn serve<F, A>(listener: TcpListener, answer: F)
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Answer, HangUp>> + Send + 'static,
{
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Too many open files, most likely: some will be closed.
                eprintln!("gg-front-door: cannot accept a connection: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let answer = answer.clone();
        tokio::spawn(async move {
            let stream = TokioIo::new(stream);
            let mut connection =
                hyper::server::conn::http1::Builder::new().serve_connection(stream, service_fn(answer));
            // Who hangs up is not of interest, nor is our own hanging up.
            if (&mut connection).await.is_err_and(|error| is_reset(&error)) {
                // Closed without patience for what was not read: socket(7), `SO_LINGER`.
                let _ = connection.into_parts().io.into_inner().set_zero_linger();
            }
        });
    }
}

fn is_reset(error: &hyper::Error) -> bool {
    std::error::Error::source(error).and_then(|cause| cause.downcast_ref()) == Some(&HangUp::Reset)
}

/// An answer of JSON.
pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    header(&mut answer, "content-type", "application/json");
    answer
}

/// Sets a header; one whose value cannot stand in a header is left out.
pub fn header(answer: &mut Answer, name: &'static str, value: &str) {
    if let Ok(value) = value.parse() {
        answer.headers_mut().insert(name, value);
    }
}

/// An error as the service words it: the type in a header, the message in the body.
pub fn error(status: StatusCode, kind: &str, message: &str) -> Answer {
    let fault = if status.is_server_error() { "Service" } else { "User" };
    let body = serde_json::json!({ "Type": fault, "message": message, "Message": message });
    let mut answer = json(status, body.to_string());
    header(&mut answer, "x-amzn-errortype", kind);
    answer
}

/// A request id of the usual form: a random UUID.
pub fn request_id() -> String {
    let mut bytes = [0u8; 16];
    // It need not be random to be of use: what is left is zeros.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

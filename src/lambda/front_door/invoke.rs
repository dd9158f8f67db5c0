//! The API in front: Invoke, what describes a function, and what tests ask of the front door itself.
//!
//! Statuses and error types are those of the API Reference, "Invoke".

use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde_json::json;

use crate::door::{Door, Outcome};
use crate::faults::Fault;
use crate::http::{Answer, HangUp, error, header, json as json_answer};

/// The most bytes of a request ("Lambda quotas": 6 MB, as the service counts them).
const REQUEST_LIMIT: usize = 6_291_456;
/// Read to its end before it is refused, so that who sends it hears the answer.
const PATIENCE: usize = 64 << 20;

/// One request.
pub async fn answer(door: Arc<Door>, request: Request<Incoming>) -> Result<Answer, HangUp> {
    let path = request.uri().path().to_owned();
    if let Some(what) = path.strip_prefix("/_gg/") {
        return Ok(control(&door, what.to_owned(), request).await);
    }
    let Some(rest) = path.strip_prefix("/2015-03-31/functions/") else {
        return Ok(error(StatusCode::NOT_FOUND, "UnknownOperationException", "no such operation"));
    };
    let (name, what) = rest.split_once('/').unwrap_or((rest, ""));
    let function = function_name(name);
    let Some(memory) = door.args.function(&function) else {
        let message = format!("Function not found: {}", door.arn(&function));
        return Ok(error(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message));
    };
    match (request.method(), what) {
        (&Method::POST, "invocations") => invoke(door, function, memory, request).await,
        (&Method::GET, "") => {
            let code = json!({ "RepositoryType": "S3", "Location": "" });
            let body = json!({ "Configuration": configuration(&door, &function, memory), "Code": code, "Tags": {} });
            Ok(json_answer(StatusCode::OK, body.to_string()))
        }
        (&Method::GET, "configuration") => {
            Ok(json_answer(StatusCode::OK, configuration(&door, &function, memory).to_string()))
        }
        _ => Ok(error(StatusCode::NOT_FOUND, "UnknownOperationException", "no such operation")),
    }
}

/// A name from what stands in the path: name, `name:qualifier`, or an ARN, percent-encoded.
fn function_name(text: &str) -> String {
    let text = text.replace("%3A", ":").replace("%3a", ":").replace("%24", "$");
    match text.split_once(":function:") {
        Some((_, rest)) => rest,
        None => &text,
    }
    .split(':')
    .next()
    .unwrap_or("")
    .to_owned()
}

fn configuration(door: &Door, function: &str, memory: u64) -> serde_json::Value {
    json!({
        "FunctionName": function,
        "FunctionArn": door.arn(function),
        "Runtime": "provided.al2023",
        "Role": "arn:aws:iam::123456789012:role/gg-front-door",
        "Handler": "bootstrap",
        "Description": "gg-front-door",
        "Timeout": door.args.timeout.ceil() as u64,
        "MemorySize": memory,
        "EphemeralStorage": { "Size": door.args.scratch },
        "LastModified": "2000-01-01T00:00:00.000+0000",
        "Version": "$LATEST",
        "PackageType": "Zip",
        "Architectures": [if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }],
        "State": "Active",
        "LastUpdateStatus": "Successful",
    })
}

async fn invoke(door: Arc<Door>, function: String, memory: u64, request: Request<Incoming>) -> Result<Answer, HangUp> {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    let (kind, tail) = (text("x-amz-invocation-type"), text("x-amz-log-type") == "Tail");
    let read = Limited::new(request.into_body(), PATIENCE).collect().await.map(|body| body.to_bytes());
    let payload = match read {
        Ok(payload) if payload.len() <= REQUEST_LIMIT => payload,
        _ => {
            let message =
                format!("Request must be smaller than {REQUEST_LIMIT} bytes for the InvokeFunction operation");
            return Ok(error(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", &message));
        }
    };
    if !payload.is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(&payload).is_err() {
        let message = "Could not parse request body into json: the payload is no JSON";
        return Ok(error(StatusCode::BAD_REQUEST, "InvalidRequestContentException", message));
    }
    if kind == "DryRun" {
        return Ok(json_answer(StatusCode::NO_CONTENT, ""));
    }
    // In a task of its own: a function runs to its end though nobody waits for it any more.
    let running = tokio::spawn(run(door, function, memory, payload, tail));
    if kind == "Event" {
        return Ok(json_answer(StatusCode::ACCEPTED, ""));
    }
    running.await.unwrap_or_else(|_| {
        Ok(error(StatusCode::INTERNAL_SERVER_ERROR, "ServiceException", "the front door failed; see what it said"))
    })
}

async fn run(door: Arc<Door>, function: String, memory: u64, payload: Bytes, tail: bool) -> Result<Answer, HangUp> {
    let (outcome, mut line, said) = door.invoke(&function, memory, payload).await;
    let failed = matches!(outcome, Outcome::FunctionError(_));
    let answer = match outcome {
        Outcome::Answered(body) | Outcome::FunctionError(body) => {
            line.bytes_out = body.len() as u64;
            let mut answer = json_answer(StatusCode::OK, body);
            header(&mut answer, "x-amz-executed-version", "$LATEST");
            if failed {
                header(&mut answer, "x-amz-function-error", "Unhandled");
            }
            if tail {
                let text = base64::engine::general_purpose::STANDARD.encode(said);
                header(&mut answer, "x-amz-log-result", &text);
            }
            Ok(answer)
        }
        Outcome::Throttled => {
            let body =
                json!({ "Reason": "ConcurrentInvocationLimitExceeded", "Type": "User", "message": "Rate Exceeded." });
            let mut answer = json_answer(StatusCode::TOO_MANY_REQUESTS, body.to_string());
            header(&mut answer, "x-amzn-errortype", "TooManyRequestsException");
            Ok(answer)
        }
        Outcome::ServiceError => Ok(error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "ServiceException",
            "An error occurred and the request cannot be processed.",
        )),
        Outcome::BadRuntime(text) => Ok(error(StatusCode::BAD_GATEWAY, "InvalidRuntimeException", &text)),
        Outcome::Lost => Err(HangUp::Close),
        Outcome::Reset => Err(HangUp::Reset),
    };
    let answer = answer.map(|mut answer| {
        header(&mut answer, "x-amzn-requestid", &line.request_id);
        answer
    });
    line.status = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
    door.record.ended(&line);
    answer
}

/// `GET /_gg/stats`, `POST /_gg/faults` (with what would follow `--fault`, separated by blanks), `POST /_gg/kill`.
async fn control(door: &Door, what: String, request: Request<Incoming>) -> Answer {
    match (request.method(), what.as_str()) {
        (&Method::GET, "stats") => {
            let counts = door.record.counts().clone();
            json_answer(StatusCode::OK, serde_json::to_vec(&counts).unwrap_or_default())
        }
        (&Method::POST, "faults") => {
            let body = Limited::new(request.into_body(), 1 << 16).collect().await.map(|body| body.to_bytes());
            let text = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
            match text.split_whitespace().map(str::parse).collect::<Result<Vec<Fault>, String>>() {
                Ok(faults) => {
                    door.change_faults(faults);
                    json_answer(StatusCode::OK, "{}")
                }
                Err(message) => error(StatusCode::BAD_REQUEST, "InvalidParameterValueException", &message),
            }
        }
        (&Method::POST, "kill") => json_answer(StatusCode::OK, json!({ "killed": door.kill_all() }).to_string()),
        _ => error(StatusCode::NOT_FOUND, "UnknownOperationException", "no such operation"),
    }
}

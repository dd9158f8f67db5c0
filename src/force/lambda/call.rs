//! One call of the function, and what its end means.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::operation::invoke::InvokeError;
use aws_sdk_lambda::primitives::Blob;
use gg_worker::wire::{Response, WireError};

/// How a call ended.
#[derive(Debug)]
pub(crate) enum CallEnd {
    /// The worker answered, with so many bytes.
    Answer(Box<Response>, u64),
    /// Too many requests: later, and fewer at once.
    Throttled(String),
    /// The service failed, or the connection: again.
    Failed(String),
    /// The connection was lost or never made.
    Lost(String),
    /// The function died on this request: again, but not for ever.
    Crashed(String),
    /// The function ran out of memory or time: elsewhere.
    TooSmall(String),
    /// The answer is damaged: again.
    Corrupt(String),
    /// The request is larger than the service takes.
    TooLarge,
    /// It will never work: no such function, no permission.
    Refused(String),
}

/// Calls the function with a request's bytes.
pub(crate) async fn call(client: &Client, function: &str, request: Vec<u8>) -> CallEnd {
    let sent = client.invoke().function_name(function).payload(Blob::new(request)).send().await;
    let answer = match sent {
        Ok(answer) => answer,
        Err(error) => return failed(error),
    };
    let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
    match answer.function_error {
        Some(kind) => crashed(&kind, &payload),
        None => match Response::decode(&payload) {
            Ok(response) => CallEnd::Answer(Box::new(response), payload.len() as u64),
            Err(error @ WireError::Version { .. }) => CallEnd::Refused(error.to_string()),
            Err(error) => CallEnd::Corrupt(error.to_string()),
        },
    }
}

/// What the service says of a function that did not answer: `{"errorMessage": ..., "errorType": ...}` (AWS Lambda Developer
/// Guide, "Understanding Lambda function errors").
fn crashed(kind: &str, payload: &[u8]) -> CallEnd {
    let told: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
    let part = |name: &str| told.get(name).and_then(|part| part.as_str()).unwrap_or_default().to_owned();
    let (error, text) = (part("errorType"), part("errorMessage"));
    let shown = format!("the function ended without an answer ({kind} {error}: {text})");
    let outgrown = error == "Runtime.OutOfMemory" || error == "Sandbox.Timedout" || text.contains("Task timed out");
    if outgrown { CallEnd::TooSmall(shown) } else { CallEnd::Crashed(shown) }
}

/// The end of the chain of causes, which says most.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    let first = causes.next().map(ToString::to_string).unwrap_or_default();
    causes.last().map_or(first.clone(), |last| format!("{first}: {last}"))
}

fn failed(error: SdkError<InvokeError>) -> CallEnd {
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = error.code().unwrap_or_default().to_owned();
    let text = innermost(&error);
    let told = match error.message() {
        Some(message) => format!("{code}: {message}"),
        None => text,
    };
    match (&error, status) {
        (SdkError::ConstructionFailure(_), _) => CallEnd::Refused(told),
        (SdkError::TimeoutError(_) | SdkError::DispatchFailure(_), _) => {
            // Without credentials nothing is even sent, however often it is tried.
            if told.to_lowercase().contains("credential") { CallEnd::Refused(told) } else { CallEnd::Lost(told) }
        }
        (_, Some(413)) => CallEnd::TooLarge,
        (_, Some(429)) => CallEnd::Throttled(told),
        (_, Some(status @ (400..=499)))
            if code != "ResourceConflictException" && code != "ResourceNotReadyException" =>
        {
            CallEnd::Refused(format!("status {status}: {told}"))
        }
        (_, Some(status)) => CallEnd::Failed(format!("status {status}: {told}")),
        _ => CallEnd::Lost(told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_functions_die_of() {
        let end = |text: &str| crashed("Unhandled", text.as_bytes());
        assert!(matches!(
            end(r#"{"errorType":"Runtime.ExitError","errorMessage":"exited with error: exit status 1"}"#),
            CallEnd::Crashed(_)
        ));
        assert!(matches!(
            end(
                r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 1 Error: Task timed out after 3.00 seconds"}"#
            ),
            CallEnd::TooSmall(_)
        ));
        assert!(matches!(
            end(r#"{"errorMessage":"2026-01-01 id Task timed out after 3.00 seconds"}"#),
            CallEnd::TooSmall(_)
        ));
        assert!(matches!(end(r#"{"errorType":"Runtime.OutOfMemory"}"#), CallEnd::TooSmall(_)));
        assert!(matches!(end("no JSON"), CallEnd::Crashed(text) if text.contains("Unhandled")));
    }
}

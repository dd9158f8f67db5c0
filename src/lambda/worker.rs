//! `gg-lambda-worker`: gg's worker as an AWS Lambda function, the `bootstrap` of a custom runtime (provided.al2023).
//!
//! One static program: it needs nothing of the function's system but a `/tmp`. Its configuration is the function's environment:
//!
//! - `GG_STORE`: the one remote store that requests may name (a URI); without it, any
//! - `GG_SANDBOX`: `isolated` (namespaces where they are to be had, else relocated: the default), `namespace`, `relocated`
//! - `GG_SCRATCH`, `GG_SCRATCH_MB`: where it keeps objects (`/tmp/gg`), and how much at most (all but a reserve)
//! - `AWS_LAMBDA_FUNCTION_MEMORY_SIZE`: set by the service
//!
//! The store's credentials are the function's own: `AWS_ACCESS_KEY_ID` and its kin, from its role.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use gg_worker::SandboxChoice;
use gg_worker::remote::{Server, Settings};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;

/// The argument that makes this program one of its own worker processes.
const WORKER: &str = "__worker";
/// How long before the function's deadline programs are ended.
const MARGIN: Duration = Duration::from_secs(3);

fn main() -> anyhow::Result<()> {
    if std::env::args_os().nth(1).is_some_and(|arg| arg == WORKER) {
        gg_worker::worker_main(gg_worker::SOCKET_FD);
    }
    let settings = settings(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))?;
    let server = Arc::new(Server::start(settings));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no threads")?;
    let answer = |event: LambdaEvent<Box<RawValue>>| {
        let server = server.clone();
        async move {
            let deadline = SystemTime::UNIX_EPOCH + Duration::from_millis(event.context.deadline);
            // Some emulators tell none, or nonsense; the service never hands out what has no time left.
            let left = deadline.duration_since(SystemTime::now()).ok();
            let deadline = left.and_then(|left| Instant::now().checked_add(left));
            let response = server.answer(event.payload.get().as_bytes(), deadline).await;
            let text = String::from_utf8(response.encode())?;
            Ok::<_, lambda_runtime::Error>(RawValue::from_string(text)?)
        }
    };
    runtime.block_on(lambda_runtime::run(service_fn(answer))).map_err(|error| anyhow::anyhow!("{error}"))
}

fn settings(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Settings> {
    let sandbox = match variable("GG_SANDBOX").as_deref() {
        None | Some("isolated") => SandboxChoice::Isolated,
        Some("namespace") => SandboxChoice::Namespace,
        Some("relocated") => SandboxChoice::Relocated,
        Some(other) => bail!("GG_SANDBOX is {other:?}; it can be isolated, namespace or relocated"),
    };
    let number = |name: &str| -> anyhow::Result<Option<u64>> {
        let read = |text: String| text.parse().with_context(|| format!("{name} is {text:?}, and should be a number"));
        variable(name).map(read).transpose()
    };
    Ok(Settings {
        scratch: variable("GG_SCRATCH").unwrap_or_else(|| "/tmp/gg".to_owned()).into(),
        scratch_bytes: number("GG_SCRATCH_MB")?.map(|mib| mib << 20),
        store: variable("GG_STORE"),
        sandbox,
        processes: std::thread::available_parallelism().map_or(1, usize::from),
        memory_mib: number("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")?.unwrap_or(0),
        margin: MARGIN,
        worker_command: vec!["/proc/self/exe".into(), WORKER.into()],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_the_configuration() {
        let none = settings(|_| None).unwrap();
        assert_eq!((none.sandbox, none.scratch_bytes, none.store), (SandboxChoice::Isolated, None, None));
        let set = |name: &str| match name {
            "GG_SANDBOX" => Some("relocated".to_owned()),
            "GG_SCRATCH_MB" => Some("3".to_owned()),
            _ => None,
        };
        let some = settings(set).unwrap();
        assert_eq!((some.sandbox, some.scratch_bytes), (SandboxChoice::Relocated, Some(3 << 20)));
        assert!(settings(|name| (name == "GG_SANDBOX").then(|| "plain".to_owned())).is_err());
        assert!(settings(|name| (name == "GG_SCRATCH_MB").then(|| "much".to_owned())).is_err());
    }
}

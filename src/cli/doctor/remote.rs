//! The engine `lambda`: who we are, the store, the function.

use std::time::Duration;

use gg_force::{Account, LambdaOptions, NotMet, Visit};
use gg_store::remote::{Remote, RemoteError, RemoteUri};

use super::findings::Findings;
use super::tools::Compilers;
use crate::far::{function_of, store_of};
use crate::settings::Settings;

/// How long each question may take. A function that is started first may take some seconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// Services refuse what was signed more than so many seconds before or after their own time: 15 minutes for S3, 5 for others
/// (AWS General Reference, "Signature Version 4").
const REFUSED: i64 = 5 * 60;
/// So many seconds are worth a word.
const AHEAD: i64 = 60;

/// Looks; whether the engine can be used.
pub fn look(findings: &mut Findings, settings: &Settings, compilers: &Compilers) -> bool {
    findings.group("engine lambda");
    let config = &settings.config;
    let (uri, function) = match (store_of(config), function_of(config)) {
        (Ok(uri), Ok(function)) => (uri, function),
        (uri, function) => {
            for (check, error) in [("store", uri.err()), ("function", function.err())] {
                if let Some(error) = error {
                    findings.failed(check, format!("{error:#}"), "see `gg deploy aws --help`");
                }
            }
            return false;
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            findings.failed("threads", error.to_string(), "the machine has no room for another thread");
            return false;
        }
    };
    let options = LambdaOptions {
        region: config.lambda.region.clone(),
        endpoint: config.lambda.endpoint.clone(),
        ..LambdaOptions::new(function)
    };
    let works = runtime.block_on(async {
        let account = Account::find(options.region.as_deref()).await;
        if !credentials(findings, &account).await {
            for check in ["store", "function"] {
                findings.skipped(check, "there are no credentials");
            }
            return false;
        }
        let (stored, met) = (store(findings, &uri, &account).await, call(findings, &options, &account, &uri).await);
        stored && met
    });
    // A request that hangs is not waited for.
    runtime.shutdown_background();
    compilers.c.iter().chain(&compilers.cxx).for_each(|compiler| relocatable(findings, compiler));
    works
}

async fn credentials(findings: &mut Findings, account: &Account) -> bool {
    let advice =
        "`aws configure` or `aws sso login`, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    match tokio::time::timeout(PATIENCE, account.key_ending()).await {
        Ok(Ok(ending)) => {
            let from = match (variable("AWS_ACCESS_KEY_ID"), variable("AWS_PROFILE")) {
                (Some(id), _) if id.ends_with(&ending) => "from the environment".to_owned(),
                (_, Some(profile)) => format!("of the profile {profile}"),
                _ => "as AWS's own tools find them".to_owned(),
            };
            findings.ok("credentials", format!("the key that ends in {ending}, {from}"));
            true
        }
        Ok(Err(text)) => {
            findings.failed("credentials", text, advice);
            false
        }
        Err(_) => {
            findings.failed("credentials", too_long(), advice);
            false
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn too_long() -> String {
    format!("no answer within {} s", PATIENCE.as_secs())
}

async fn store(findings: &mut Findings, uri: &RemoteUri, account: &Account) -> bool {
    let remote = match Remote::open_with(uri, account.credentials()) {
        Ok(remote) => remote,
        Err(error) => {
            findings.failed("store", error.to_string(), "correct GG_STORE, or `uri` below [store] in gg.toml");
            return false;
        }
    };
    match tokio::time::timeout(PATIENCE, remote.probe()).await {
        Err(_) => {
            findings.failed("store", format!("{uri}: {}", too_long()), "check the network and the endpoint");
            false
        }
        Ok(Err(error)) => {
            findings.failed("store", error.to_string(), advice(&error));
            false
        }
        Ok(Ok(probe)) => {
            let besides =
                if probe.conditional { "" } else { "; it writes over what is there, which is slower but not wrong" };
            findings.ok("store", format!("{uri}: written to and read from{besides}"));
            true
        }
    }
}

/// What helps against an error of the store.
fn advice(error: &RemoteError) -> String {
    match error {
        RemoteError::Denied { action: "write", .. } => {
            "these credentials need s3:PutObject on the bucket's objects; ask who runs the account".to_owned()
        }
        RemoteError::Denied { .. } => {
            "these credentials need s3:GetObject on the bucket's objects, and s3:ListBucket on the bucket".to_owned()
        }
        RemoteError::Config { .. } => "`gg deploy aws` makes a bucket and notes it".to_owned(),
        RemoteError::Corrupt { .. } => "something between here and the store changes bytes: a proxy?".to_owned(),
        _ => "check the network, the region and the endpoint".to_owned(),
    }
}

async fn call(findings: &mut Findings, options: &LambdaOptions, account: &Account, uri: &RemoteUri) -> bool {
    let store = uri.to_string();
    let Ok(met) = tokio::time::timeout(PATIENCE, gg_force::visit(options, account, &store)).await else {
        findings.failed(
            "function",
            format!("{}: {}", options.function, too_long()),
            "check the network and the endpoint",
        );
        return false;
    };
    let (visit, ahead) = match met {
        Ok(visit) => (Ok(visit.clone()), visit.ahead),
        Err((not_met, ahead)) => (Err(not_met), ahead),
    };
    let on_time = clock(findings, ahead);
    let met = match visit {
        Ok(visit) => greeted(findings, &options.function, &visit),
        Err(not_met) => {
            let advice = match &not_met {
                NotMet::Refused(text) if text.contains("404") => {
                    "`gg deploy aws` makes it; or correct its name (GG_FUNCTION) and region (GG_REGION)"
                }
                NotMet::Refused(_) => "these credentials need lambda:InvokeFunction on it; ask who runs the account",
                NotMet::Version(_) => "`gg deploy aws` brings it up to date",
                NotMet::Unable(_) => "its log in CloudWatch tells more; `gg deploy aws` brings it up to date",
                NotMet::Failed(_) => "check the network, the region and the endpoint (GG_LAMBDA_ENDPOINT)",
            };
            findings.failed("function", format!("{}: {not_met}", options.function), advice);
            false
        }
    };
    met && on_time
}

fn clock(findings: &mut Findings, ahead: Option<i64>) -> bool {
    let Some(ahead) = ahead else {
        findings.skipped("clock", "the service does not tell the time");
        return true;
    };
    let off = format!("{} s {} the service's", ahead.abs(), if ahead < 0 { "behind" } else { "ahead of" });
    let advice = "set this machine's clock: `timedatectl set-ntp true`";
    match ahead.abs() {
        0..=AHEAD => findings.ok("clock", off),
        ..=REFUSED => findings.warned("clock", off, advice),
        _ => findings.failed("clock", format!("{off}: signatures are refused"), advice),
    }
    ahead.abs() <= REFUSED
}

fn greeted(findings: &mut Findings, function: &str, visit: &Visit) -> bool {
    let report = &visit.report;
    let own = env!("CARGO_PKG_VERSION");
    let text = format!(
        "{function}: gg {}, {}, {} MiB, sandbox {}",
        report.version, report.architecture, report.memory_mib, report.sandbox
    );
    if report.architecture != std::env::consts::ARCH {
        let advice = format!(
            "compilers from here ({}) do not run there: deploy a worker for this processor",
            std::env::consts::ARCH
        );
        findings.failed("function", text, advice);
        return false;
    }
    if report.version != own {
        findings.warned("function", text, format!("this is gg {own}: `gg deploy aws` brings the function up to date"));
    } else {
        findings.ok("function", text);
    }
    true
}

/// A static program cannot run in a function's sandbox.
fn relocatable(findings: &mut Findings, compiler: &std::path::Path) {
    use object::read::elf::{FileHeader, ProgramHeader};
    let Ok(bytes) = std::fs::read(compiler) else { return };
    let Ok(header) = object::elf::FileHeader64::<object::Endianness>::parse(&*bytes) else { return };
    let Ok(endian) = header.endian() else { return };
    let Ok(segments) = header.program_headers(endian, &*bytes) else { return };
    if !segments.iter().any(|segment| segment.p_type(endian) == object::elf::PT_INTERP) {
        findings.warned(
            "compiler",
            format!("{} is linked statically, and functions cannot run such programs", compiler.display()),
            "its steps run on this machine; a dynamically linked compiler would run there",
        );
    }
}

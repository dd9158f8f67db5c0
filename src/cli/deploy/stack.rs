//! A stack of CloudFormation: all that gg has in the account, under one name.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::config::retry::RetryConfig;
use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudformation::types::{self, Capability, OnFailure, Parameter, Tag};
use gg_force::Account;

/// What is put into the account.
pub const TEMPLATE: &str = include_str!("template.yaml");
/// A stack with this tag is ours.
const TAG: &str = "gg";
/// How long the service may take for one change. A bucket and a function take a minute or two.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// A stack that may be there.
pub struct Stack {
    client: Client,
    name: String,
}

/// What is there.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// What the service calls it: this very stack, whatever comes after it under the same name.
    id: String,
    /// `CREATE_COMPLETE`, ... (CloudFormation User Guide, "Stack status codes").
    pub status: String,
    reason: Option<String>,
    /// The template's parameters.
    pub parameters: BTreeMap<String, String>,
    /// The template's outputs.
    pub outputs: BTreeMap<String, String>,
}

/// A parameter's value; none: what it was, or else the template's own.
pub type Values = [(&'static str, Option<String>); 6];

impl State {
    /// Whether the service still works on it.
    pub fn moves(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS")
    }

    /// Whether it never came into being: all that can be done with it is to delete it.
    pub fn is_stillborn(&self) -> bool {
        matches!(self.status.as_str(), "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" | "DELETE_FAILED")
    }

    /// Whether the last change was made.
    fn went_well(&self) -> bool {
        matches!(self.status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE")
    }
}

impl Stack {
    /// The stack of this name.
    pub fn new(account: &Account, name: &str) -> Self {
        let config = aws_sdk_cloudformation::config::Builder::from(&account.config)
            .retry_config(RetryConfig::standard().with_max_attempts(5));
        Self { client: Client::from_conf(config.build()), name: name.to_owned() }
    }

    /// Looks whether it is there.
    ///
    /// # Errors
    /// When the service does not tell, or somebody else's stack has this name.
    pub async fn look(&self) -> Result<Option<State>> {
        let Some(found) = self.describe(&self.name).await? else { return Ok(None) };
        if found.stack_status().is_some_and(|status| status.as_str() == "DELETE_COMPLETE") {
            return Ok(None);
        }
        if !found.tags().iter().any(|tag| tag.key() == Some(TAG)) {
            bail!("the stack {} is not gg's (it has no tag {TAG:?}); choose another name with --name", self.name);
        }
        Ok(Some(state(&found)))
    }

    async fn describe(&self, name: &str) -> Result<Option<types::Stack>> {
        match self.client.describe_stacks().stack_name(name).send().await {
            Ok(found) => Ok(found.stacks().first().cloned()),
            Err(error) if says(&error, "does not exist") => Ok(None),
            Err(error) => Err(trouble("look at the stack", &self.name, &error)),
        }
    }

    /// Creates it, and waits until that is done.
    ///
    /// # Errors
    /// When it does not come into being; then it is gone again.
    pub async fn create(&self, values: &Values) -> Result<State> {
        let given = values.iter().filter_map(|(name, value)| {
            Some(Parameter::builder().parameter_key(*name).parameter_value(value.as_ref()?).build())
        });
        let created = self
            .client
            .create_stack()
            .stack_name(&self.name)
            .template_body(TEMPLATE)
            .set_parameters(Some(given.collect()))
            .capabilities(Capability::CapabilityIam)
            .tags(Tag::builder().key(TAG).value("deploy").build())
            .on_failure(OnFailure::Delete)
            .send()
            .await
            .map_err(|error| trouble("create the stack", &self.name, &error))?;
        self.settled("create", created.stack_id().unwrap_or(&self.name)).await
    }

    /// Brings it to this template and these values, and waits until that is done. None: it was like that.
    ///
    /// # Errors
    /// When it does not get there; then the service has taken it back to what it was.
    pub async fn update(&self, before: &State, values: &Values) -> Result<Option<State>> {
        let given = values.iter().filter_map(|(name, value)| {
            let value = value.as_ref().or_else(|| before.parameters.get(*name))?;
            Some(Parameter::builder().parameter_key(*name).parameter_value(value).build())
        });
        let updated = self
            .client
            .update_stack()
            .stack_name(&self.name)
            .template_body(TEMPLATE)
            .set_parameters(Some(given.collect()))
            .capabilities(Capability::CapabilityIam)
            .tags(Tag::builder().key(TAG).value("deploy").build())
            .send()
            .await;
        match updated {
            Ok(_) => self.settled("update", &before.id).await.map(Some),
            Err(error) if says(&error, "No updates are to be performed") => Ok(None),
            Err(error) => Err(trouble("update the stack", &self.name, &error)),
        }
    }

    /// Deletes it, and waits until it is gone.
    ///
    /// # Errors
    /// When something of it stays.
    pub async fn delete(&self, before: &State) -> Result<()> {
        let deleted = self.client.delete_stack().stack_name(&before.id).send().await;
        deleted.map_err(|error| trouble("delete the stack", &self.name, &error))?;
        match self.quiet(&before.id).await? {
            None => Ok(()),
            Some(state) if state.status == "DELETE_COMPLETE" => Ok(()),
            Some(state) => Err(self.failed("delete", &state).await),
        }
    }

    /// Waits until the service does nothing with it any more; none: it is gone.
    ///
    /// # Errors
    /// When that takes too long, or the service does not tell.
    pub async fn quiet(&self, id: &str) -> Result<Option<State>> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(200);
        loop {
            let Some(found) = self.describe(id).await? else { return Ok(None) };
            let state = state(&found);
            if !state.moves() {
                return Ok(Some(state));
            }
            if begun.elapsed() > PATIENCE {
                bail!(
                    "the stack {} is still {} after {} minutes; `gg deploy aws --status` tells more later",
                    self.name,
                    state.status,
                    PATIENCE.as_secs() / 60
                );
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(3));
        }
    }

    async fn settled(&self, action: &str, id: &str) -> Result<State> {
        match self.quiet(id).await? {
            Some(state) if state.went_well() => Ok(state),
            Some(state) => Err(self.failed(action, &state).await),
            None => Err(anyhow!("the stack {} was deleted meanwhile", self.name)),
        }
    }

    /// What went wrong, in the words of the part that failed first.
    async fn failed(&self, action: &str, state: &State) -> anyhow::Error {
        let mut text = format!("cannot {action} the stack {}: it is {}", self.name, state.status);
        match self.client.describe_stack_events().stack_name(&state.id).send().await {
            Ok(told) => {
                // The newest come first; what failed first made the others be cancelled.
                let failed = told.stack_events().iter().take_while(|event| !is_beginning(event, action));
                let failed = failed.filter(|event| {
                    let status = event.resource_status().map(|status| status.as_str()).unwrap_or_default();
                    let reason = event.resource_status_reason().unwrap_or_default();
                    status.ends_with("_FAILED") && !reason.contains("cancelled")
                });
                if let Some(event) = failed.last() {
                    let part = event.logical_resource_id().unwrap_or_default();
                    let kind = event.resource_type().unwrap_or_default();
                    let reason = event.resource_status_reason().unwrap_or("the service gives no reason");
                    text = format!("{text}; {part} ({kind}) failed: {}", permission(reason));
                }
            }
            Err(_) => text.extend(state.reason.iter().map(|reason| format!("; {}", permission(reason)))),
        }
        anyhow!(text)
    }
}

/// Whether an event is the beginning of what the stack as a whole was last told to do.
fn is_beginning(event: &types::StackEvent, action: &str) -> bool {
    event.physical_resource_id() == event.stack_id()
        && event.resource_status().map(|status| status.as_str())
            == Some(&format!("{}_IN_PROGRESS", action.to_uppercase()))
}

fn state(found: &types::Stack) -> State {
    let pair = |key: Option<&str>, value: Option<&str>| Some((key?.to_owned(), value?.to_owned()));
    State {
        id: found.stack_id().or(found.stack_name()).unwrap_or_default().to_owned(),
        status: found.stack_status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
        reason: found.stack_status_reason().map(str::to_owned),
        parameters: found.parameters().iter().filter_map(|p| pair(p.parameter_key(), p.parameter_value())).collect(),
        outputs: found.outputs().iter().filter_map(|o| pair(o.output_key(), o.output_value())).collect(),
    }
}

/// Whether the service's own message has these words. Neither case has an error code of its own.
fn says<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>, words: &str) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::message).is_some_and(|text| text.contains(words))
}

/// What went wrong, and who can mend it.
fn trouble<E: ProvideErrorMetadata + Error + 'static, R: std::fmt::Debug>(
    action: &str,
    name: &str,
    error: &SdkError<E, R>,
) -> anyhow::Error {
    let reason = match error.as_service_error() {
        Some(told) => {
            let (code, text) = (told.code().unwrap_or("error"), told.message().unwrap_or("no message"));
            format!("CloudFormation says {code}: {}", permission(text))
        }
        None => {
            let mut text = String::from("CloudFormation was not asked");
            let mut cause: Option<&dyn Error> = match error {
                SdkError::ConstructionFailure(_) => error.source(),
                SdkError::DispatchFailure(failed) => failed.as_connector_error().map(|error| error as &dyn Error),
                _ => None,
            };
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            format!("{text}; check the credentials and the network")
        }
    };
    anyhow!("cannot {action} {name}: {reason}")
}

/// A service's words, with the permission that is missing, if that is what they are about, in front.
fn permission(text: &str) -> String {
    let after = text.split("is not authorized to perform: ").nth(1);
    match after.and_then(|rest| rest.split_whitespace().next()) {
        Some(missing) => format!("the permission {missing} is missing; ask who runs the account for it ({text})"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_that_is_missing_is_named() {
        let text = "User: arn:aws:iam::1:user/me is not authorized to perform: iam:CreateRole on resource: arn:x";
        assert!(permission(text).starts_with("the permission iam:CreateRole is missing"));
        assert_eq!(permission("Bucket exists"), "Bucket exists");
    }

    #[test]
    fn what_a_status_means() {
        let of = |status: &str| State { status: status.to_owned(), ..State::default() };
        assert!(of("UPDATE_ROLLBACK_IN_PROGRESS").moves() && of("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS").moves());
        assert!(of("ROLLBACK_COMPLETE").is_stillborn() && !of("UPDATE_ROLLBACK_COMPLETE").is_stillborn());
        assert!(of("UPDATE_COMPLETE").went_well() && !of("UPDATE_ROLLBACK_COMPLETE").went_well());
    }
}

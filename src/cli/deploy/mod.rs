//! `gg deploy aws`: puts what the engine `lambda` needs into a person's account, brings it up to date, takes it away.
//!
//! # Layout
//!
//! - `template.yaml`: what is put there
//! - `stack`: [`stack::Stack`]: the service's side of it
//! - `program`: [`program::Program`]: the function's program
//! - `notes`: what is written of it into the user's `gg.toml`
//!
//! The bucket has to be there before the program can lie in it, and the program before the function: so a first deployment
//! creates the stack without the function, uploads, and updates. Each step leaves a state from which the same command goes on.

mod notes;
mod program;
mod stack;

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Context, Result, bail};
use gg_force::Account;
use gg_store::remote::{Bucket, RemoteUri};

use crate::args::AwsArgs;
use crate::config;
use crate::signals::{Signals, die_of};
use notes::{Notes, Setting};
use program::Program;
use stack::{Stack, State, Values};

/// Where programs lie in the bucket.
const PROGRAMS: &str = "worker/";

/// Does what is asked; returns the exit status.
///
/// # Errors
/// When it cannot be done; the text says by whose fault, and what to do.
pub fn aws(args: &AwsArgs, stop: Signals) -> Result<i32> {
    if args.print {
        return print();
    }
    std::thread::Builder::new()
        .spawn(move || {
            let arrived = stop.wait();
            eprintln!("gg: no longer waiting; what the service has begun goes on there: see `gg deploy aws --status`");
            die_of(arrived.signal)
        })
        .context("cannot start a thread")?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a thread")?;
    runtime.block_on(async {
        let place = Place::find(args).await?;
        if args.status {
            place.status(args).await
        } else if args.delete {
            place.delete(args).await
        } else {
            place.deploy(args).await
        }
    })
}

fn print() -> Result<i32> {
    match io::stdout().lock().write_all(stack::TEMPLATE.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write the template"),
        _ => Ok(0),
    }
}

/// Where it is, or shall be.
struct Place {
    account: Account,
    region: String,
    name: String,
    stack: Stack,
}

impl Place {
    async fn find(args: &AwsArgs) -> Result<Self> {
        let account = Account::find(args.region.as_deref()).await;
        let Some(region) = account.region().map(str::to_owned) else {
            bail!("which region? Give --region, set AWS_REGION, or set `region` in the profile in ~/.aws/config");
        };
        let stack = Stack::new(&account, &args.name);
        Ok(Self { account, region, name: args.name.clone(), stack })
    }

    /// Where services other than Amazon's are, if that is said where the SDK looks: they are the function's store, too.
    fn suffix(&self) -> String {
        self.account
            .config
            .endpoint_url()
            .map(|url| format!("&endpoint={}", url.trim_end_matches('/')))
            .unwrap_or_default()
    }

    fn uri(&self, state: &State) -> Result<RemoteUri> {
        let Some(bucket) = state.outputs.get("Bucket") else {
            bail!(
                "the stack {} is {} and has no bucket; `gg deploy aws --delete`, then deploy again",
                self.name,
                state.status
            );
        };
        let uri = format!("s3://{bucket}/store?region={}{}", self.region, self.suffix());
        uri.parse().with_context(|| format!("gg's own: the store of {}", self.name))
    }

    fn bucket(&self, state: &State) -> Result<Bucket> {
        Ok(Bucket::open(&self.uri(state)?, self.account.credentials())?)
    }

    /// What builds need to know of it.
    fn settings(&self, state: &State) -> Result<Vec<Setting>> {
        let mut settings = vec![
            ("store", "uri", self.uri(state)?.to_string()),
            ("lambda", "function", self.name.clone()),
            ("lambda", "region", self.region.clone()),
        ];
        if state.parameters.get("LargerMemory").is_some_and(|memory| memory != "0") {
            settings.push(("lambda", "larger", format!("{}-large", self.name)));
        }
        Ok(settings)
    }

    async fn deploy(&self, args: &AwsArgs) -> Result<i32> {
        let program = Program::read(args.worker.as_deref())?;
        let values = |key: &str| -> Values {
            [
                ("WorkerKey", Some(key.to_owned())),
                ("Architecture", Some(program.architecture.to_owned())),
                ("StoreSuffix", Some(self.suffix())),
                ("Memory", args.memory.map(|mib| mib.to_string())),
                ("LargerMemory", args.larger_memory.map(|mib| mib.to_string())),
                ("KeepDays", args.keep_days.map(|days| days.to_string())),
            ]
        };
        let mut created = false;
        let before = match self.settled().await? {
            Some(state) if !state.is_stillborn() => state,
            other => {
                if let Some(state) = other {
                    say(&format!(
                        "deleting what an earlier attempt left of the stack {} ({})",
                        self.name, state.status
                    ));
                    self.stack.delete(&state).await?;
                }
                say(&format!("creating the stack {} in {}: a bucket, a role, a log", self.name, self.region));
                created = true;
                self.stack.create(&values("")).await?
            }
        };
        let (bucket, key) = (self.bucket(&before)?, program.key());
        if !bucket.has(&key).await? {
            say(&format!("uploading the function's program ({} KiB)", program.archive.len() / 1024));
            bucket.put(&key, program.archive.clone().into()).await?;
        }
        say(&format!("{} the function {}", if created { "creating" } else { "updating" }, self.name));
        let after = self.stack.update(&before, &values(&key)).await?;
        match &after {
            Some(_) => say("done"),
            None => say("it was up to date"),
        }
        let stale = bucket.list(PROGRAMS).await?.into_iter().filter(|other| *other != key).collect();
        bucket.delete(stale).await?;
        self.note(after.as_ref().unwrap_or(&before))?;
        Ok(0)
    }

    /// The stack, when nothing moves in it.
    async fn settled(&self) -> Result<Option<State>> {
        let Some(state) = self.stack.look().await? else { return Ok(None) };
        if state.status == "UPDATE_ROLLBACK_FAILED" {
            bail!(
                "the stack {} is {}: go on with the rollback in the AWS console, or `gg deploy aws --delete` and deploy again",
                self.name,
                state.status
            );
        }
        if !state.moves() {
            return Ok(Some(state));
        }
        say(&format!("the stack {} is {}; waiting for that", self.name, state.status));
        self.stack.quiet(&self.name).await
    }

    /// Writes down what builds need to know.
    fn note(&self, state: &State) -> Result<()> {
        let settings = self.settings(state)?;
        let Some(path) = config::user_directory().map(|directory| directory.join(config::FILE)) else {
            say("put this into gg.toml:");
            show(&settings);
            return Ok(());
        };
        let mut notes = Notes::read(&path)?;
        if notes.has(&settings) {
            return Ok(());
        }
        if notes.set(&settings) {
            notes.write()?;
            say(&format!("{} has it; `gg-make -e lambda` uses it", notes.path().display()));
        } else {
            say(&format!("{} says something else, and was left as it is; this deployment is:", notes.path().display()));
            show(&settings);
        }
        Ok(())
    }

    async fn status(&self, args: &AwsArgs) -> Result<i32> {
        let Some(state) = self.stack.look().await? else {
            println!("there is no stack {} in {}; `gg deploy aws` creates it", self.name, self.region);
            return Ok(1);
        };
        let of = |name: &str| state.parameters.get(name).map(String::as_str).unwrap_or_default();
        println!("stack     {} in {}: {}", self.name, self.region, state.status);
        println!("store     {}", self.uri(&state).map_or_else(|_| "none".to_owned(), |uri| uri.to_string()));
        if of("WorkerKey").is_empty() {
            println!("function  none yet: `gg deploy aws` goes on");
            return Ok(1);
        }
        println!("function  {}, {}, {} MiB", self.name, of("Architecture"), of("Memory"));
        if !matches!(of("LargerMemory"), "" | "0") {
            println!("function  {}-large, {}, {} MiB", self.name, of("Architecture"), of("LargerMemory"));
        }
        let worker = match Program::read(args.worker.as_deref()) {
            Ok(program) if program.key() == of("WorkerKey") => "as this gg's".to_owned(),
            Ok(_) => "another than this gg's: `gg deploy aws` updates it".to_owned(),
            Err(error) => format!("cannot be compared: {error:#}"),
        };
        println!("program   {worker}");
        Ok(0)
    }

    async fn delete(&self, args: &AwsArgs) -> Result<i32> {
        let Some(state) = self.settled_to_delete().await? else {
            say(&format!("there is no stack {} in {}; nothing to delete", self.name, self.region));
            return Ok(0);
        };
        if !args.yes
            && !confirmed(&format!(
                "the stack {} in {}, with its bucket and all that is in it",
                self.name, self.region
            ))?
        {
            say("nothing was deleted");
            return Ok(1);
        }
        let settings = self.settings(&state);
        if state.outputs.contains_key("Bucket") {
            let emptied = self.bucket(&state)?.empty().await?;
            say(&format!("emptied the bucket: {emptied} objects"));
        }
        self.stack.delete(&state).await?;
        say(&format!("deleted the stack {}", self.name));
        if let (Ok(settings), Some(path)) = (settings, config::user_directory().map(|place| place.join(config::FILE))) {
            let mut notes = Notes::read(&path)?;
            if notes.remove(&settings) {
                notes.write()?;
                say(&format!("took it out of {}", notes.path().display()));
            }
        }
        Ok(0)
    }

    /// As [`Place::settled`], in whatever state.
    async fn settled_to_delete(&self) -> Result<Option<State>> {
        match self.stack.look().await? {
            Some(state) if state.moves() => {
                say(&format!("the stack {} is {}; waiting for that", self.name, state.status));
                self.stack.quiet(&self.name).await
            }
            other => Ok(other),
        }
    }
}

fn say(text: &str) {
    eprintln!("gg: {text}");
}

fn show(settings: &[Setting]) {
    let mut table = "";
    for (of, key, value) in settings {
        if *of != table {
            println!("[{of}]");
            table = of;
        }
        println!("{key} = {value:?}");
    }
}

fn confirmed(what: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("this deletes {what}; say --yes");
    }
    eprint!("gg: delete {what}? [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Checks a stack's name, which is also the function's: letters, digits and dashes, with a letter first, and short enough
/// for the names that are made of it.
///
/// # Errors
/// When it is none.
pub fn name(text: &str) -> Result<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if text.len() <= 40 && text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    bail!("a name begins with a letter and has up to 40 letters, digits and dashes")
}

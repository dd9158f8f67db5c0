//! The pipe: requests from standard input, answers to standard output, one JSON object a line.

use std::io::{self, BufRead, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::protocol::{Request, Trouble};
use super::server::Server;

/// The longest request, in bytes.
const LONGEST: u64 = 256 << 20;

/// Where answers are written. A caller that does not read them any more is not told.
#[derive(Clone, Default)]
pub struct Answers(Arc<Mutex<()>>);

impl Answers {
    /// Writes one line.
    pub fn say(&self, id: &Value, mut what: Value) {
        if let Value::Object(fields) = &mut what {
            fields.insert("id".to_owned(), id.clone());
        }
        let mut line = what.to_string();
        line.push('\n');
        // One line at a time, whole.
        let _one = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = io::stdout().lock();
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }

    /// The final answer.
    pub fn answer(&self, id: &Value, answer: Result<Value, Trouble>) {
        self.say(
            id,
            match answer {
                Ok(value) => json!({"ok": value}),
                Err(Trouble(error)) => json!({"error": error}),
            },
        );
    }
}

/// Reads requests until there are no more.
///
/// # Errors
/// When standard input cannot be read.
pub fn serve(server: &Server) -> Result<()> {
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let read = (&mut input).take(LONGEST).read_until(b'\n', &mut line).context("cannot read requests")?;
        if read == 0 {
            return Ok(());
        }
        if read as u64 == LONGEST {
            let most = LONGEST >> 20;
            server.answers().answer(&Value::Null, Err(Trouble::request(format!("a request of more than {most} MiB"))));
            return Ok(());
        }
        if !line.trim_ascii().is_empty() {
            take(server, &line);
        }
    }
}

/// Who is to be answered.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    id: Value,
}

/// A request with its id. Read from the text itself: a value would have lost what is said twice.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "id")]
    _id: IgnoredAny,
    #[serde(flatten)]
    request: Request,
}

fn take(server: &Server, line: &[u8]) {
    let refuse = |id: &Value, why: String| server.answers().answer(id, Err(Trouble::request(why)));
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(line) {
        return refuse(&Value::Null, format!("no JSON: {error}"));
    }
    let id = match serde_json::from_slice(line) {
        Ok(Head { id: id @ (Value::Number(_) | Value::String(_)) }) => id,
        _ => return refuse(&Value::Null, "a request has an id, which is a number or a string".to_owned()),
    };
    match serde_json::from_slice(line) {
        Ok(Line { request, .. }) => server.take(id, request),
        Err(error) => refuse(&id, error.to_string()),
    }
}

//! A browser without a window, told what to do through its DevTools protocol over pipes: messages of JSON with a NUL behind each.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long is waited for what a page is to do: not a measure of it, but of when to give up.
const PATIENCE: Duration = Duration::from_secs(240);

/// A browser with one page.
pub struct Browser {
    child: Child,
    to: File,
    from: BufReader<File>,
    session: Option<String>,
    sent: u64,
    problems: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Browser {
    /// Opens a file and waits until its script says that it is done.
    pub fn open(page: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("gg-browser-").tempdir().unwrap();
        let (to, from) = (folder.path().join("to"), folder.path().join("from"));
        assert!(Command::new("mkfifo").args([&to, &from]).status().unwrap().success());
        let child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<\"$TO\" 4>\"$FROM\"", "sh", "chromium", "--headless", "--no-sandbox"])
            .args(["--remote-debugging-pipe", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .arg(format!("--user-data-dir={}", folder.path().join("data").display()))
            .envs([("TO", &to), ("FROM", &from)])
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (to, from) = (File::options().write(true).open(to).unwrap(), File::open(from).unwrap());
        let (session, problems) = (None, Vec::new());
        let mut browser = Self { child, to, from: BufReader::new(from), session, sent: 0, problems, _folder: folder };
        let target = browser.ask("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = browser.ask("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Runtime", "Log", "Page"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        let size = json!({ "width": 1400, "height": 1000, "deviceScaleFactor": 1, "mobile": false });
        browser.ask("Emulation.setDeviceMetricsOverride", size);
        browser.ask("Page.navigate", json!({ "url": format!("file://{}", page.display()) }));
        browser.wait_for("document.documentElement?.dataset.ready === 'yes'");
        browser
    }

    /// Sends a command; its result. What the page has said meanwhile is kept.
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let mut message = json!({ "id": self.sent, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut said = Vec::new();
            self.from.read_until(0, &mut said).unwrap();
            assert_eq!(said.pop(), Some(0), "the browser is gone; is chromium installed (tests/servers install)?");
            let mut said: Value = serde_json::from_slice(&said).unwrap();
            if said["id"] == self.sent {
                assert!(said["error"].is_null(), "{method}: {said}");
                return said["result"].take();
            }
            let params = &said["params"];
            let bad = match said["method"].as_str() {
                Some("Runtime.exceptionThrown") => true,
                Some("Runtime.consoleAPICalled") => params["type"] == "error" || params["type"] == "warning",
                Some("Log.entryAdded") => params["entry"]["level"] == "error",
                _ => false,
            };
            if bad {
                self.problems.push(params.to_string());
            }
        }
    }

    /// What an expression comes to in the page.
    #[track_caller]
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut result = self.ask("Runtime.evaluate", params);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].take()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn wait_for(&mut self, expression: &str) {
        let begun = Instant::now();
        while self.evaluate(expression) != true {
            let problem = self.evaluate("document.getElementById('problem')?.textContent");
            assert!(begun.elapsed() < PATIENCE, "{expression}: {problem}, {:?}", self.problems);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Moves the mouse there.
    pub fn point(&mut self, x: f64, y: f64) {
        self.ask("Input.dispatchMouseEvent", json!({ "type": "mouseMoved", "x": x, "y": y }));
    }

    /// Writes where the focus is.
    pub fn write(&mut self, text: &str) {
        self.ask("Input.insertText", json!({ "text": text }));
    }

    /// Presses a key that stands for a character, or has a name.
    pub fn press(&mut self, key: &str) {
        for event in ["keyDown", "keyUp"] {
            self.ask("Input.dispatchKeyEvent", json!({ "type": event, "key": key }));
        }
    }

    /// Errors and warnings of the page so far.
    pub fn problems(&mut self) -> &[String] {
        // What was said before this is answered is there then.
        self.evaluate("0");
        &self.problems
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

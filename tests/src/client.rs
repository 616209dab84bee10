//! The real `openstack` client (python-openstackclient), one user's view of the lab.
//!
//! All commands run in one session of it ([`client_session.py`](client_session.py)), as long as there is a user: each as a
//! command of its own, but for the time that it takes to start.

use crate::command::Failure;
use crate::lab::Lab;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

/// Where `tools/install-deps` puts the client.
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.venv/bin/openstack");

/// What all clients of this program share while there is one.
static SESSION: Mutex<Weak<Mutex<Session>>> = Mutex::new(Weak::new());

/// The client with one user's environment.
#[derive(Debug, Clone)]
pub struct Client {
    environment: BTreeMap<String, String>,
    session: Arc<Mutex<Session>>,
}

/// What came of a command.
#[derive(Debug, Deserialize)]
struct Done {
    status: i64,
    out: String,
    err: String,
}

impl Client {
    /// The client of a user in a project, as `lab openrc` says; that which `OPENSTACK` names, or which is installed here.
    pub fn new(lab: &Lab, user: &str, password: Option<&str>, project: &str) -> Result<Self, Failure> {
        let mut environment = lab.openrc(user, project)?;
        environment.extend(password.map(|password| ("OS_PASSWORD".to_owned(), password.to_owned())));
        Ok(Self { environment, session: Session::shared()? })
    }

    /// Variables that every command of this user's gets.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// Runs a command that answers nothing of interest.
    pub fn run(&self, arguments: &[&str]) -> Result<(), Failure> {
        self.good(arguments).map(drop)
    }

    /// Runs a command and reads its answer (`-f json`).
    pub fn json(&self, arguments: &[&str]) -> Result<Value, Failure> {
        let text = self.good(&[arguments, &["-f", "json"]].concat())?;
        serde_json::from_str(&text).map_err(|error| unexpected(&arguments.join(" "), format!("{error}: {text}")))
    }

    /// Runs a command and takes one text of its answer.
    pub fn text(&self, field: &str, arguments: &[&str]) -> Result<String, Failure> {
        let answer = self.json(arguments)?;
        match &answer[field] {
            Value::String(text) => Ok(text.clone()),
            Value::Null => Err(unexpected(&arguments.join(" "), format!("no {field}: {answer}"))),
            other => Ok(other.to_string()),
        }
    }

    /// Runs several commands; one that fails does not keep the next from being tried, and is not told: what follows must not
    /// depend on it.
    pub fn batch(&self, commands: &[&str]) -> Result<(), Failure> {
        commands.iter().try_for_each(|line| self.done(&json!(line), line).map(drop))
    }

    /// Runs several commands, all of which must succeed; what they answered, as JSON where that was asked for.
    pub fn session<Line: AsRef<str>>(&self, commands: &[Line]) -> Result<Vec<Value>, Failure> {
        let answer = |line: &Line| {
            let line = line.as_ref();
            let text = checked(line, self.done(&json!(line), line)?)?;
            Ok(serde_json::from_str(&text).unwrap_or_default())
        };
        commands.iter().map(answer).collect()
    }

    /// Runs a command that must be refused; what the client said.
    pub fn refused(&self, command: &str) -> Result<String, Failure> {
        let done = self.done(&json!(command), command)?;
        if done.status == 0 { Err(unexpected(command, "was not refused".into())) } else { Ok(done.err) }
    }

    /// Whether a command succeeds.
    pub fn succeeds(&self, arguments: &[&str]) -> Result<bool, Failure> {
        Ok(self.done(&json!(arguments), &arguments.join(" "))?.status == 0)
    }

    fn good(&self, arguments: &[&str]) -> Result<String, Failure> {
        let line = arguments.join(" ");
        checked(&line, self.done(&json!(arguments), &line)?)
    }

    /// Runs one command, `words` as a line or in words.
    fn done(&self, words: &Value, line: &str) -> Result<Done, Failure> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let said = session.ask(&json!({ "words": words, "environment": self.environment }))?;
        serde_json::from_str(&said).map_err(|_| unexpected(line, format!("the session said: {said}")))
    }
}

/// The text that was answered, if the command succeeded.
fn checked(line: &str, done: Done) -> Result<String, Failure> {
    if done.status == 0 { Ok(done.out) } else { Err(unexpected(line, done.err.trim().to_owned())) }
}

fn unexpected(line: &str, what: String) -> Failure {
    Failure::Unexpected { command: format!("openstack {line}"), what }
}

/// The client's process.
#[derive(Debug)]
struct Session {
    child: Child,
    /// None while it ends.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// What it has said on its standard error when it has ended.
    complaints: Option<JoinHandle<String>>,
}

impl Session {
    fn shared() -> Result<Arc<Mutex<Self>>, Failure> {
        let mut known = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = known.upgrade() {
            return Ok(session);
        }
        let session = Arc::new(Mutex::new(Self::start()?));
        *known = Arc::downgrade(&session);
        Ok(session)
    }

    /// With the Python beside the program that `OPENSTACK` names, or beside the one that is installed here.
    fn start() -> Result<Self, Failure> {
        let installed = if Path::new(INSTALLED).is_file() { INSTALLED } else { "openstack" };
        let program = std::env::var("OPENSTACK").unwrap_or_else(|_| installed.to_owned());
        let beside = Path::new(&program).with_file_name("python3");
        let mut command = Command::new(if beside.is_file() { beside } else { "python3".into() });
        command.args(["-c", include_str!("client_session.py")]);
        command.env_clear().envs(std::env::vars().filter(|(name, _)| !name.starts_with("OS_")));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |source| Failure::Start { command: program.clone(), source };
        let mut child = command.spawn().map_err(failed)?;
        let gone = || failed(std::io::ErrorKind::BrokenPipe.into());
        let (input, output) = (child.stdin.take(), child.stdout.take().ok_or_else(gone)?);
        let mut errors = child.stderr.take().ok_or_else(gone)?;
        let complaints = std::thread::spawn(move || {
            let mut text = String::new();
            // What is no text is not told.
            let _ = errors.read_to_string(&mut text);
            text
        });
        Ok(Self { child, input, output: BufReader::new(output), complaints: Some(complaints) })
    }

    /// One line in, one line out.
    fn ask(&mut self, asked: &Value) -> Result<String, Failure> {
        let failed = |source| Failure::Start { command: "the session of the openstack client".into(), source };
        let mut said = String::new();
        if let Some(input) = &mut self.input {
            // That the process has ended is told by the read.
            let _ = writeln!(input, "{asked}").and_then(|()| input.flush());
        }
        self.output.read_line(&mut said).map_err(failed)?;
        if said.is_empty() {
            self.input = None;
            let complaints = self.complaints.take().and_then(|thread| thread.join().ok());
            said = complaints.unwrap_or_else(|| "nothing, it has ended".to_owned());
        }
        Ok(said)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It ends with its input, and the users' processes with it.
        self.input = None;
        let _ = self.child.wait();
    }
}

//! The real `openstack` client (python-openstackclient), one user's view of the lab.

use crate::command::{self, Failure};
use crate::lab::Lab;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The client with one user's environment.
#[derive(Debug, Clone)]
pub struct Client {
    program: String,
    environment: BTreeMap<String, String>,
}

impl Client {
    /// The client of a user in a project, as `lab openrc` says.
    pub fn new(lab: &Lab, user: &str, password: Option<&str>, project: &str) -> Result<Self, Failure> {
        let mut environment = lab.openrc(user, project)?;
        environment.extend(password.map(|password| ("OS_PASSWORD".to_owned(), password.to_owned())));
        Ok(Self { program: std::env::var("OPENSTACK").unwrap_or_else(|_| "openstack".to_owned()), environment })
    }

    /// Variables that every command of this user's gets.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments);
        self.as_user(&mut command);
        command
    }

    fn as_user(&self, command: &mut Command) {
        command.env_clear().envs(std::env::vars().filter(|(name, _)| !name.starts_with("OS_")));
        command.envs(&self.environment);
    }

    /// Runs a command that answers nothing of interest.
    pub fn run(&self, arguments: &[&str]) -> Result<(), Failure> {
        command::run(&mut self.command(arguments)).map(drop)
    }

    /// Runs a command and reads its answer (`-f json`).
    pub fn json(&self, arguments: &[&str]) -> Result<Value, Failure> {
        let mut command = self.command(arguments);
        command.args(["-f", "json"]);
        let text = command::run(&mut command)?;
        serde_json::from_str(&text)
            .map_err(|error| Failure::Unexpected { command: command::line(&command), what: format!("{error}: {text}") })
    }

    /// Runs a command and takes one text of its answer.
    pub fn text(&self, field: &str, arguments: &[&str]) -> Result<String, Failure> {
        let answer = self.json(arguments)?;
        match &answer[field] {
            Value::String(text) => Ok(text.clone()),
            Value::Null => {
                Err(Failure::Unexpected { command: arguments.join(" "), what: format!("no {field}: {answer}") })
            }
            other => Ok(other.to_string()),
        }
    }

    /// Runs several commands in one process, as a person does at the client's own prompt; one that fails does not keep the
    /// next from being tried, and is not told: what follows must not depend on it.
    pub fn batch(&self, commands: &[&str]) -> Result<(), Failure> {
        match command::run_with(&mut self.command(&[]), &commands.join("\n")) {
            Ok(_) | Err(Failure::Failed { .. }) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Runs several commands in one process of the client ([`client_session.py`](../client_session.py)): as one command each,
    /// but for the time that it takes to start. All must succeed; what they answered, as JSON where that was asked for.
    pub fn session<Line: AsRef<str>>(&self, commands: &[Line]) -> Result<Vec<Value>, Failure> {
        let lines: Vec<&str> = commands.iter().map(AsRef::as_ref).collect();
        let done = self.told(&lines)?;
        let ends = lines.iter().zip(&done);
        for (line, end) in ends {
            if end["status"] != 0 {
                return Err(Failure::Unexpected { command: format!("openstack {line}"), what: end["err"].to_string() });
            }
        }
        let answer = |end: &Value| serde_json::from_str(end["out"].as_str().unwrap_or_default()).unwrap_or_default();
        Ok(done.iter().map(answer).collect())
    }

    /// Runs a command that must be refused; what the client said.
    pub fn refused(&self, command: &str) -> Result<String, Failure> {
        let done = self.told(&[command])?;
        match done.first() {
            Some(end) if end["status"] != 0 => Ok(end["err"].as_str().unwrap_or_default().to_owned()),
            _ => Err(Failure::Unexpected { command: format!("openstack {command}"), what: "was not refused".into() }),
        }
    }

    fn told(&self, lines: &[&str]) -> Result<Vec<Value>, Failure> {
        let beside = Path::new(&self.program).with_file_name("python3");
        let mut command = Command::new(if beside.is_file() { beside } else { "python3".into() });
        command.args(["-c", include_str!("client_session.py")]);
        self.as_user(&mut command);
        let text = command::run_with(&mut command, &lines.join("\n"))?;
        let told: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
        match told {
            Ok(told) if told.len() == lines.len() => Ok(told),
            _ => Err(Failure::Unexpected { command: lines.join("; "), what: text }),
        }
    }

    /// Whether a command succeeds.
    pub fn succeeds(&self, arguments: &[&str]) -> Result<bool, Failure> {
        Ok(command::output(&mut self.command(arguments))?.status.success())
    }
}

//! The real `openstack` client (python-openstackclient), one user's view of the lab.

use crate::command::{self, Failure};
use crate::lab::Lab;
use serde_json::Value;
use std::collections::BTreeMap;
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
        command.args(arguments).env_clear().envs(std::env::vars().filter(|(name, _)| !name.starts_with("OS_")));
        command.envs(&self.environment);
        command
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

    /// Whether a command succeeds.
    pub fn succeeds(&self, arguments: &[&str]) -> Result<bool, Failure> {
        Ok(command::output(&mut self.command(arguments))?.status.success())
    }
}

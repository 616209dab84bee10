//! `neutronium policy`: the rules that hold, and what they mean for somebody.

use std::borrow::Cow;
use std::path::PathBuf;

use access_policy::{Condition, Credentials, Policy, Target};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::print;
use crate::server::config::ServerConfig;
use crate::server::policy::File;

/// Arguments of `neutronium policy`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The server's configuration, which names the policy file [default: /etc/neutronium/server.toml if it exists]
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// A policy file, in place of the configuration's
    #[arg(long, global = true, conflicts_with = "config")]
    policy_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints the rules that hold, as a policy file would have them
    List {
        /// Only those that the policy file says
        #[arg(long)]
        changed: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Says whether somebody may do something: exit code 0 if so, 1 if not
    ///
    /// Without --target it says what the object must be; that counts as yes if there can be such an object.
    Check(Check),
}

#[derive(Debug, Args)]
struct Check {
    /// A rule's name: create_network, update_port:fixed_ips
    rule: String,
    /// A role of the caller; several may be given
    #[arg(long = "role")]
    roles: Vec<String>,
    /// A role of the service token that comes along
    #[arg(long = "service-role")]
    service_roles: Vec<String>,
    /// The caller's project
    #[arg(long, default_value = "")]
    project_id: String,
    /// The caller
    #[arg(long, default_value = "")]
    user_id: String,
    /// A value of the object: project_id=ID, network:project_id=ID, networks:shared=True
    #[arg(long = "target", value_name = "KEY=VALUE", value_parser = pair)]
    target: Vec<(String, String)>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("not of the form KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Runs it.
pub fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let file = match &arguments.policy_file {
        Some(path) => Some(File::at(path)),
        None => File::of(&ServerConfig::load(arguments.config.as_deref()).map_err(Failure::refused)?.api),
    };
    let policy = file.map_or_else(|| Ok(Policy::neutron()), |file| file.read()).map_err(Failure::refused)?;
    match arguments.command {
        Command::List { changed, json } => list(&policy, changed, json),
        Command::Check(check) => check.run(&policy),
    }
}

fn list(policy: &Policy, changed: bool, json: bool) -> Result<Exit, Failure> {
    let rules = policy.rules().into_iter().filter(|rule| rule.from_file || !changed);
    if json {
        let rules = rules.map(|rule| json!({"name": rule.name, "check": rule.check, "from_file": rule.from_file}));
        print::json(&rules.collect::<Vec<_>>())?;
        return Ok(Exit::DONE);
    }
    for rule in rules {
        // JSON's way of quoting is one of YAML's.
        print::line(format!("{}: {}", json!(rule.name), json!(rule.check)));
    }
    Ok(Exit::DONE)
}

/// An object of which only what was said is known.
struct Said<'a>(&'a [(String, String)]);

impl Target for Said<'_> {
    fn value(&self, key: &str) -> Option<Cow<'_, str>> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| Cow::Borrowed(value.as_str()))
    }

    fn field(&self, collection: &str, field: &str) -> Option<Cow<'_, str>> {
        self.value(&format!("{collection}:{field}")).or_else(|| self.value(field))
    }
}

impl Check {
    fn run(self, policy: &Policy) -> Result<Exit, Failure> {
        let caller = Credentials {
            user_id: self.user_id,
            project_id: self.project_id,
            roles: self.roles,
            service_roles: self.service_roles,
            ..Credentials::default()
        };
        let exists = policy.has(&self.rule);
        let condition = policy.condition(&self.rule, &caller);
        let allowed = match self.target.as_slice() {
            [] => condition != Condition::Never,
            target => condition.holds(&Said(target)),
        };
        if self.json {
            print::json(&json!({
                "rule": self.rule, "exists": exists, "allowed": allowed, "condition": condition.to_string(),
            }))?;
        } else {
            let word = if allowed { print::styled(print::GREEN, "yes") } else { print::styled(print::RED, "no") };
            print::line(format!("{word}: {condition}"));
            if !exists {
                print::note(format!("there is no rule '{}'; the rule 'default' was asked", self.rule));
            }
        }
        Ok(if allowed { Exit::DONE } else { Exit::FAILED })
    }
}

//! `neutronium lab audit`: all hosts of a lab at once, each audited inside by the same command.

use std::process::{Command, Stdio};

use std::time::Duration;

use hyper::Method;
use lab::{Lab, OpenRc, Paths};
use serde_json::{Value, json};

use crate::audit::{Look, diagnosis, findings};
use crate::cloud::{Cloud, CloudError};
use crate::exit::{Exit, Failure};
use crate::print::{self, styled};

/// What to audit.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code: 0 every host is what its plan says, 1 one is not, or cannot be looked at, 3 all are, but the agent of one does not
run or does not answer.

Examples:
  neutronium lab audit                       every host, once
  neutronium lab audit --wait 30             until all are as planned, at most half a minute
  neutronium lab audit compute1 --all        one host, every finding"
)]
pub struct Arguments {
    /// Only these hosts [default: all that run an agent]
    hosts: Vec<String>,
    #[command(flatten)]
    look: Look,
}

/// Runs it.
pub fn run(paths: &Paths, arguments: &Arguments) -> Result<Exit, Failure> {
    let lab = Lab::read(paths)?;
    for host in &arguments.hosts {
        lab.node(paths, host)?;
    }
    let all = lab.topology.hosts.iter().filter(|host| host.runs_agent()).map(|host| host.name.clone());
    let hosts: Vec<String> = if arguments.hosts.is_empty() { all.collect() } else { arguments.hosts.clone() };
    let answers: Vec<(String, Result<Value, String>)> = std::thread::scope(|scope| {
        let looks: Vec<_> = hosts.iter().map(|host| scope.spawn(|| look(paths, host, arguments))).collect();
        let ended = looks.into_iter().map(|look| look.join().unwrap_or_else(|_| Err("the look broke off".to_owned())));
        hosts.iter().cloned().zip(ended).collect()
    });
    let clean = answers.iter().all(|(_, answer)| answer.as_ref().is_ok_and(|audit| audit["clean"] == true));
    let as_planned = answers.iter().all(|(_, answer)| answer.as_ref().is_ok_and(is_as_planned));
    if arguments.look.json {
        let told = answers.into_iter().map(|(host, answer)| match answer {
            Ok(audit) => audit,
            Err(error) => json!({ "host": host, "clean": false, "error": error }),
        });
        print::json(&json!({ "clean": clean, "hosts": told.collect::<Vec<_>>() }))?;
    } else {
        let names = if as_planned { Names::default() } else { Names::ask(paths) };
        answers.iter().for_each(|(host, answer)| show(host, answer, &names, arguments.look.all));
    }
    Ok(match (clean, as_planned) {
        (true, _) => Exit::DONE,
        (false, true) => Exit::SILENT,
        (false, false) => Exit::FAILED,
    })
}

/// Whether nothing differs there; its agent may be silent.
fn is_as_planned(audit: &Value) -> bool {
    audit["findings"].as_array().is_some_and(Vec::is_empty)
}

/// How long a host may take for a look, beyond what it is to wait.
const A_LOOK: Duration = Duration::from_secs(60);

fn look(paths: &Paths, host: &str, arguments: &Arguments) -> Result<Value, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let mut command = Command::new(&program);
    command.args(["lab", "--lab", paths.name().as_str(), "exec", host, "--"]).arg(&program);
    command.args(["audit", "--json", "--wait", &arguments.look.wait.to_string()]).stdin(Stdio::null());
    if arguments.look.kept {
        command.arg("--kept");
    }
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.map_err(|error| format!("cannot run {}: {error}", program.display()))?;
    let pid = child.id();
    let (ended, ends) = std::sync::mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait_with_output()));
    let limit = Duration::from_secs(arguments.look.wait).saturating_add(A_LOOK);
    let output = match ends.recv_timeout(limit) {
        Ok(output) => output.map_err(|error| format!("cannot hear {}: {error}", program.display()))?,
        Err(_) => {
            if let Ok(pid) = pid.try_into() {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
            }
            return Err(format!("it did not answer within {} seconds", limit.as_secs()));
        }
    };
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        last.trim().trim_start_matches("error: ").to_owned()
    })
}

/// How long the server may take to say what things are called.
const PATIENCE: Duration = Duration::from_secs(3);

/// What networks, routers and ports are called, by id, as far as the server says so.
#[derive(Default)]
struct Names(Vec<(String, String)>);

impl Names {
    fn ask(paths: &Paths) -> Self {
        let wish = OpenRc { project: "admin".to_owned(), user: "admin".to_owned(), password: None };
        let Ok(environment) = lab::open_rc(paths, &wish) else { return Self::default() };
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let Ok(runtime) = crate::audit::runtime() else { return Self::default() };
        let asked = runtime.block_on(async {
            tokio::time::timeout(PATIENCE, async {
                let cloud = Cloud::sign_in(&environment).await?;
                let mut names = vec![];
                for kind in ["networks", "routers", "ports"] {
                    let answer = cloud.networking(Method::GET, &format!("{kind}?fields=id&fields=name"), None).await?;
                    for one in answer.get(kind).and_then(Value::as_array).into_iter().flatten() {
                        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
                        names.push((text("id"), text("name")));
                    }
                }
                Ok::<_, CloudError>(names)
            })
            .await
        });
        // Without the server things are called by their ids.
        Self(asked.ok().and_then(Result::ok).unwrap_or_default())
    }

    /// A sentence with names beside the ids that it speaks of.
    fn told(&self, sentence: &str) -> String {
        let named = self.0.iter().filter(|(id, name)| !name.is_empty() && sentence.contains(id.as_str()));
        named.fold(sentence.to_owned(), |text, (id, name)| {
            ["network ", "router ", "port "]
                .iter()
                .fold(text, |text, kind| text.replace(&format!("{kind}{id}"), &format!("{kind}{name} ({id})")))
        })
    }
}

fn show(host: &str, answer: &Result<Value, String>, names: &Names, all: bool) {
    let name = styled(print::BOLD, host);
    match answer {
        Err(error) => print::line(format!("{} {name}: {error}", styled(print::RED, "✗"))),
        Ok(audit) if audit["clean"] == true => {
            print::line(format!("{} {name} is what its plan says", styled(print::GREEN, "✓")));
        }
        Ok(audit) if is_as_planned(audit) => {
            print::line(format!("{} {name} is what its plan says, but nobody cares for it", styled(print::RED, "✗")));
            print::line(diagnosis(&sentences(audit)));
        }
        Ok(audit) => {
            let found: Vec<host_agent::Finding> = serde_json::from_value(audit["findings"].clone()).unwrap_or_default();
            print::line(format!("{} {name}: {} not as planned", styled(print::RED, "✗"), found.len()));
            let told: Vec<String> = sentences(audit).iter().map(|sentence| names.told(sentence)).collect();
            print::line(diagnosis(&told));
            print::line(findings(&found, all, crate::audit::word));
        }
    }
}

fn sentences(audit: &Value) -> Vec<String> {
    serde_json::from_value(audit["diagnosis"].clone()).unwrap_or_default()
}

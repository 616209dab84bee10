//! `neutronium lab audit`: all hosts of a lab at once, each audited inside by the same command.

use std::process::{Command, Stdio};

use lab::{Lab, Paths};
use serde_json::{Value, json};

use crate::audit::{Look, findings};
use crate::exit::{Exit, Failure};
use crate::print::{self, styled};

/// What to audit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code: 0 every host is what its plan says, 1 one is not, or cannot be looked at.

Examples:
  neutronium lab audit                       every host, once
  neutronium lab audit --wait 30             until all are as planned, at most half a minute
  neutronium lab audit compute1 --all        one host, every finding")]
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
    if arguments.look.json {
        let told = answers.into_iter().map(|(host, answer)| match answer {
            Ok(audit) => audit,
            Err(error) => json!({ "host": host, "clean": false, "error": error }),
        });
        print::json(&json!({ "clean": clean, "hosts": told.collect::<Vec<_>>() }))?;
    } else {
        answers.iter().for_each(|(host, answer)| show(host, answer, arguments.look.all));
    }
    Ok(if clean { Exit::DONE } else { Exit::FAILED })
}

fn look(paths: &Paths, host: &str, arguments: &Arguments) -> Result<Value, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let mut command = Command::new(&program);
    command.args(["lab", "--lab", paths.name().as_str(), "exec", host, "--"]).arg(&program);
    command.args(["audit", "--json", "--wait", &arguments.look.wait.to_string()]).stdin(Stdio::null());
    if arguments.look.kept {
        command.arg("--kept");
    }
    let output = command.output().map_err(|error| format!("cannot run {}: {error}", program.display()))?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        last.trim().trim_start_matches("error: ").to_owned()
    })
}

fn show(host: &str, answer: &Result<Value, String>, all: bool) {
    let name = styled(print::BOLD, host);
    match answer {
        Err(error) => print::line(format!("{} {name}: {error}", styled(print::RED, "✗"))),
        Ok(audit) if audit["clean"] == true => {
            print::line(format!("{} {name} is what its plan says", styled(print::GREEN, "✓")));
        }
        Ok(audit) => {
            let found: Vec<host_agent::Finding> = serde_json::from_value(audit["findings"].clone()).unwrap_or_default();
            print::line(format!("{} {name}: {} not as planned", styled(print::RED, "✗"), found.len()));
            print::line(findings(&found, all, crate::audit::word));
        }
    }
}

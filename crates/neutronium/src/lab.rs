//! `neutronium lab`: simulated hosts on this machine.

mod audit;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use hyper::Method;
use lab::{LabName, NodeKind, OpenRc, Outcome, Paths, Progress, Removed, Restart, State, Topology, UpOptions};
use serde_json::Value;

use crate::cloud::Cloud;
use crate::exit::{Exit, Failure};
use crate::print::{self, Steps, styled};

/// How long an agent may take to its first report.
const AGENTS_PATIENCE: Duration = Duration::from_secs(60);

/// Arguments of `neutronium lab`.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  neutronium lab up                             controller, network node, two computes, a world outside
  eval \"$(neutronium lab openrc)\"               then: openstack network list
  neutronium lab exec compute1 -- ovs-vsctl show
  neutronium lab exec network -- ip netns
  neutronium lab exec underlay -- tcpdump -ni switch udp port 4789
  neutronium lab restart compute1 agent --kill
  neutronium lab stop network agent             and start: what goes on without it
  neutronium lab audit --wait 30                whether every host is what its plan says
  neutronium lab down"
)]
pub struct Arguments {
    /// Name of the lab; several can be up at once.
    #[arg(long, global = true, default_value = "lab", env = "NEUTRONIUM_LAB")]
    lab: LabName,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Builds the lab: the default topology, or that of a file.
    Up {
        /// A topology; `neutronium lab topology` prints the default one, which explains every key.
        file: Option<PathBuf>,
        /// Open vSwitch on each host, but neither server nor agents.
        #[arg(long)]
        bare: bool,
    },
    /// Shows hosts, processes and networks.
    Status {
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Prints the exports that the openstack client reads.
    Openrc {
        /// The project.
        #[arg(long, default_value = "admin")]
        project: String,
        /// The user.
        #[arg(long, default_value = "admin")]
        user: String,
        /// The user's password [default: the administrator's, or for others the user's name]
        #[arg(long)]
        password: Option<String>,
    },
    /// Runs a command on a host or switch, or a shell.
    Exec {
        /// A host or a network.
        host: String,
        /// The command.
        #[arg(last = true)]
        command: Vec<OsString>,
    },
    /// Ends a process of a host; its supervisor starts it again.
    Restart {
        /// The host.
        host: String,
        /// agent, server, ovs-vswitchd, ovsdb-server or world.
        process: String,
        /// By SIGKILL, as a crash would.
        #[arg(long)]
        kill: bool,
    },
    /// Ends a process of a host, which stays down until `start`.
    Stop {
        /// The host.
        host: String,
        /// agent, server, ovs-vswitchd, ovsdb-server or world.
        process: String,
    },
    /// Starts a process of a host that was stopped.
    Start {
        /// The host.
        host: String,
        /// Its name, as for `stop`.
        process: String,
    },
    /// Whether the hosts are what their plans say, in every layer.
    Audit(audit::Arguments),
    /// Removes the lab and every trace of it, also after a crash.
    Down {
        /// All labs of this machine.
        #[arg(long, conflicts_with = "lab")]
        all: bool,
    },
    /// Prints the default topology, which explains every key.
    Topology {
        /// Draws a topology instead: that of a file, or the default one.
        #[arg(long, value_name = "FILE", num_args = 0..=1)]
        draw: Option<Option<PathBuf>>,
    },
    /// Holds a node's namespaces and runs its processes.
    #[command(hide = true)]
    Supervise { node: String },
    /// Answers TCP echo and HTTP.
    #[command(hide = true)]
    World,
}

/// Runs the subcommand.
pub fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let paths = Paths::new(arguments.lab);
    match arguments.command {
        Command::Up { file, bare } => up(&paths, file, bare),
        Command::Status { json } => status(&paths, json),
        Command::Openrc { project, user, password } => {
            for (name, value) in lab::open_rc(&paths, &OpenRc { project, user, password })? {
                print::line(format!("export {name}={}", quoted(&value)));
            }
            Ok(Exit::DONE)
        }
        Command::Exec { host, command } => match lab::exec(&paths, &host, &command)? {},
        Command::Restart { host, process, kill } => {
            let start = Instant::now();
            lab::restart(&paths, &Restart { host: host.clone(), process: process.clone(), kill })?;
            print::note(format!("{process} of {host} runs again after {:.2} s", start.elapsed().as_secs_f64()));
            Ok(Exit::DONE)
        }
        Command::Stop { host, process } => {
            lab::stop(&paths, &host, &process)?;
            print::note(format!("{process} of {host} is stopped"));
            Ok(Exit::DONE)
        }
        Command::Start { host, process } => {
            lab::start(&paths, &host, &process)?;
            print::note(format!("{process} of {host} runs"));
            Ok(Exit::DONE)
        }
        Command::Audit(arguments) => audit::run(&paths, &arguments),
        Command::Down { all: false } => down(&paths),
        Command::Down { all: true } => {
            for name in lab::labs() {
                down(&Paths::new(name))?;
            }
            Ok(Exit::DONE)
        }
        Command::Topology { draw } => {
            match draw {
                None => print::line(lab::DEFAULT_TOPOLOGY.trim_end()),
                Some(file) => print::line(lab::drawing(&topology(file)?)),
            }
            Ok(Exit::DONE)
        }
        Command::Supervise { node } => {
            lab::supervise(&paths, &node)?;
            Ok(Exit::DONE)
        }
        Command::World => {
            lab::serve_world()?;
            Ok(Exit::DONE)
        }
    }
}

/// The topology of a file, or the default one.
fn topology(file: Option<PathBuf>) -> Result<Topology, Failure> {
    let Some(file) = file else { return Ok(Topology::lab10()?) };
    let text = std::fs::read_to_string(&file)
        .map_err(|error| Failure::refused(format!("cannot read {}: {error}", file.display())))?;
    Ok(Topology::parse(&text, &file.display().to_string())?)
}

fn up(paths: &Paths, file: Option<PathBuf>, bare: bool) -> Result<Exit, Failure> {
    let topology = topology(file)?;
    let program =
        std::env::current_exe().map_err(|error| Failure::failed(format!("cannot find this program: {error}")))?;
    let start = Instant::now();
    let drawing = lab::drawing(&topology);
    let mut steps = Steps::default();
    match lab::up(paths, &UpOptions { topology, bare, program }, &mut steps)? {
        Outcome::AlreadyUp => print::note(format!("lab \"{}\" is up already; nothing was done", paths.name())),
        Outcome::Started => {
            if !bare {
                hear_agents(paths, &mut steps)?;
            }
            print::note(format!("lab \"{}\" is up after {:.1} s", paths.name(), start.elapsed().as_secs_f64()));
            print::note(format!("\n{drawing}\n"));
        }
    }
    Ok(Exit::DONE)
}

/// Waits until the agents of all hosts have reported, so that what is created next finds its hosts.
fn hear_agents(paths: &Paths, steps: &mut Steps) -> Result<(), Failure> {
    let lab = lab::Lab::read(paths)?;
    let wanted: Vec<&str> =
        lab.topology.hosts.iter().filter(|host| host.runs_agent()).map(|host| host.name.as_str()).collect();
    if lab.topology.server().is_none() || wanted.is_empty() {
        return Ok(());
    }
    let start = Instant::now();
    steps.begin("hear from the agents");
    let wish = OpenRc { project: "admin".to_owned(), user: "admin".to_owned(), password: None };
    let environment = lab::open_rc(paths, &wish)?.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the event loop: {error}")))?;
    let outcome = runtime.block_on(async {
        let cloud = Cloud::sign_in(&environment).await?;
        loop {
            let answer = cloud.networking(Method::GET, "agents?alive=true&fields=host", None).await?;
            let agents = answer.get("agents").and_then(Value::as_array).cloned().unwrap_or_default();
            let heard =
                |host: &&str| agents.iter().any(|agent| agent.get("host").and_then(Value::as_str) == Some(*host));
            let missing: Vec<&str> = wanted.iter().copied().filter(|host| !heard(host)).collect();
            if missing.is_empty() {
                return Ok(());
            }
            if start.elapsed() > AGENTS_PATIENCE {
                let logs = paths.state().join("nodes");
                let missing = missing.join(", ");
                return Err(Failure::failed(format!(
                    "no word from the agent of {missing} (logs are below {})",
                    logs.display()
                )));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    match &outcome {
        Ok(()) => steps.done(start.elapsed()),
        Err(_) => steps.failed(),
    }
    outcome
}

fn down(paths: &Paths) -> Result<Exit, Failure> {
    let start = Instant::now();
    match lab::down(paths)? {
        Removed::Nothing => print::note(format!("lab \"{}\" is not there; nothing was done", paths.name())),
        Removed::Lab { stragglers } => {
            let more = match stragglers {
                0 => String::new(),
                1 => " (one process that still ran in it was ended)".to_owned(),
                many => format!(" ({many} processes that still ran in it were ended)"),
            };
            print::note(format!(
                "lab \"{}\" is removed after {:.1} s{more}",
                paths.name(),
                start.elapsed().as_secs_f64()
            ));
        }
    }
    Ok(Exit::DONE)
}

fn status(paths: &Paths, json: bool) -> Result<Exit, Failure> {
    let status = lab::status(paths)?;
    if json {
        print::json(&status)?;
    } else {
        let url = status.server_url.as_deref().unwrap_or("no server");
        print::line(format!("lab {} ({}), {url}", styled(print::BOLD, &status.lab), status.topology));
        print::line(format!("\n{}\n", lab::drawing(&lab::Lab::read(paths)?.topology)));
        let mut table = print::table(&["host", "state", "roles", "addresses", "processes"]);
        for node in &status.nodes {
            let roles = match node.kind {
                NodeKind::Network => "switch".to_owned(),
                NodeKind::Host => {
                    node.roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect::<Vec<_>>().join(" ")
                }
            };
            let addresses: Vec<String> =
                node.addresses.iter().map(|(device, address)| format!("{device} {address}")).collect();
            let processes: Vec<String> = node.processes.iter().map(process).collect();
            let state = match (node.state, &node.reason) {
                (State::Up, _) => "up".to_owned(),
                (State::Starting, _) => "starting".to_owned(),
                (State::Failed, reason) => format!("failed: {}", reason.as_deref().unwrap_or("?")),
                (State::Gone, _) => "gone".to_owned(),
            };
            table.add_row([&node.name, &state, &roles, &addresses.join("\n"), &processes.join("\n")]);
        }
        print::line(table);
    }
    let whole = status.nodes.iter().all(|node| node.state == State::Up);
    Ok(if whole { Exit::DONE } else { Exit::FAILED })
}

fn process(process: &lab::ProcessStatus) -> String {
    let mut text = process.name.clone();
    match (process.pid, process.resident_kib) {
        (Some(pid), Some(kib)) => text.push_str(&format!(" {pid} ({} MB)", kib.div_ceil(1024))),
        _ => text.push_str(" not running"),
    }
    if process.restarts > 0 {
        text.push_str(&format!(", {} restarts", process.restarts));
    }
    text
}

/// Safe for a shell whatever it holds.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_survives_the_shell() {
        let nasty = "a'b $(touch x) \"c\"";
        let output =
            std::process::Command::new("sh").args(["-c", &format!("printf %s {}", quoted(nasty))]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), nasty);
    }
}

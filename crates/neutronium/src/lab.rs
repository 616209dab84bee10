//! `neutronium lab`: simulated hosts on this machine.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, Subcommand};
use lab::{LabName, NodeKind, OpenRc, Outcome, Paths, Removed, Restart, State, Topology, UpOptions};

use crate::exit::{Exit, Failure};
use crate::print::{self, Steps, styled};

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
    /// Removes the lab and every trace of it, also after a crash.
    Down {
        /// All labs of this machine.
        #[arg(long, conflicts_with = "lab")]
        all: bool,
    },
    /// Prints the default topology, which explains every key.
    Topology,
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
        Command::Down { all: false } => down(&paths),
        Command::Down { all: true } => {
            for name in lab::labs() {
                down(&Paths::new(name))?;
            }
            Ok(Exit::DONE)
        }
        Command::Topology => {
            print::line(lab::DEFAULT_TOPOLOGY.trim_end());
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

fn up(paths: &Paths, file: Option<PathBuf>, bare: bool) -> Result<Exit, Failure> {
    let topology = match file {
        None => Topology::lab10()?,
        Some(file) => {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Failure::refused(format!("cannot read {}: {error}", file.display())))?;
            Topology::parse(&text, &file.display().to_string())?
        }
    };
    let program =
        std::env::current_exe().map_err(|error| Failure::failed(format!("cannot find this program: {error}")))?;
    let start = Instant::now();
    match lab::up(paths, &UpOptions { topology, bare, program }, &mut Steps::default())? {
        Outcome::AlreadyUp => print::note(format!("lab \"{}\" is up already; nothing was done", paths.name())),
        Outcome::Started => {
            print::note(format!("lab \"{}\" is up after {:.1} s", paths.name(), start.elapsed().as_secs_f64()));
        }
    }
    Ok(Exit::DONE)
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

//! The one binary: what an operator types, and what runs on every host.
//!
//! Each subcommand lives in a module of its own and returns an [`exit::Exit`]. `main` starts no thread and no runtime:
//! subcommands that enter namespaces need the process to have one thread only.

mod agent;
mod audit;
mod cloud;
mod exit;
mod keystone;
mod lab;
mod metering;
mod open_files;
mod policy;
mod print;
mod probe;
mod server;
mod signals;
mod trace;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// OpenStack networking: server, host agent, and a lab of simulated hosts.
#[derive(Debug, Parser)]
#[command(
    name = "neutronium",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Identity, the networking API and the agents' channel, on one port.
    Server(server::Arguments),
    /// Realises on this host what the server wants of it.
    Agent(agent::Arguments),
    /// Whether this host is what its plan says, in every layer, and its agent answers: exit code 0 if so, 1 or 3 if not.
    Audit(audit::Arguments),
    /// Simulated hosts on this machine, each with its own Open vSwitch and agent.
    Lab(lab::Arguments),
    /// Instances in namespaces on the lab's hosts, to see what an instance would see.
    Probe(probe::Arguments),
    /// Walks a packet through what this host's agent has planned: where it goes, and which flow and rule decide.
    Trace(trace::Arguments),
    /// What metering labels have counted of the routers on this host.
    Metering(metering::Arguments),
    /// What an external Keystone must know of Neutronium.
    Keystone(keystone::Arguments),
    /// The rules of who may do what: shows them, and says what they mean for somebody.
    Policy(policy::Arguments),
    /// Prints the completion script of a shell.
    ///
    /// bash: source <(neutronium completion bash)
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// What is logged unless somebody says otherwise: programs that run on tell what they do, commands answer.
    fn logs(&self) -> &'static str {
        match self {
            Self::Audit(_) | Self::Metering(_) => "error",
            Self::Agent(arguments) if arguments.is_a_question() => "error",
            _ => "info",
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_env("NEUTRONIUM_LOG").unwrap_or_else(|_| EnvFilter::new(cli.command.logs())),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    let outcome = match cli.command {
        Command::Server(arguments) => server::run(&arguments),
        Command::Agent(arguments) => agent::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Lab(arguments) => lab::run(arguments),
        Command::Probe(arguments) => probe::run(arguments),
        Command::Trace(arguments) => trace::run(&arguments),
        Command::Metering(arguments) => metering::run(&arguments),
        Command::Keystone(arguments) => keystone::run(arguments),
        Command::Policy(arguments) => policy::run(arguments),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "neutronium", &mut script);
            print::line(String::from_utf8_lossy(&script).trim_end());
            Ok(exit::Exit::DONE)
        }
    };
    exit::finish(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}

//! The soak: `chaos --seed N --minutes M` harms a lab for as long as it is told, and says at the end what packets felt of it.
//! Its senders are processes of the same program.

use clap::{Parser, Subcommand};
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use system_tests::chaos::{Chaos, Postgres, run, traffic};
use system_tests::{Failure, Lab};

/// Kills agents, the server, ovs-vswitchd and ovsdb-server, cuts the management network and fills the server's disk, in an
/// order that the seed gives, while packets are counted. Exit code 0: none was lost but by a switch's own death, and every
/// host is what its plan says. Needs root.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    /// Gives the order; printed, so that a run can be had again [default: from the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// How long; every harm is done at least once.
    #[arg(long, default_value_t = 0)]
    minutes: u64,
    /// Seconds for which the management network is cut, and the disk is full.
    #[arg(long, default_value_t = 60)]
    fault_seconds: u64,
    /// Gives the server the PostgreSQL of `tools/with-postgres chaos --postgres`, and kills that as well.
    #[arg(long)]
    postgres: bool,
    /// The binary.
    #[arg(long, env = "NEUTRONIUM")]
    binary: Option<PathBuf>,
    /// Name of the lab.
    #[arg(long, default_value = "chaos")]
    lab: String,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Echoes UDP and TCP until standard input ends.
    #[command(hide = true)]
    Echo { port: u16 },
    /// Sends numbers to an echo until standard input ends, and counts.
    #[command(hide = true)]
    Send { kind: traffic::Kind, to: Ipv4Addr, port: u16, every_ms: u64 },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        Some(Command::Echo { port }) => traffic::echo(*port).map_err(|error| error.to_string()),
        Some(Command::Send { kind, to, port, every_ms }) => {
            traffic::send(*kind, *to, *port, Duration::from_millis(*every_ms)).map_err(|error| error.to_string())
        }
        None => soak(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(anstream::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn soak(arguments: &Arguments) -> Result<(), String> {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    let seed = arguments.seed.unwrap_or_else(clock);
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let postgres = match arguments.postgres {
        true => {
            Some(Postgres::from_environment().ok_or("--postgres: nobody has started one; see tools/with-postgres")?)
        }
        false => None,
    };
    let chaos = Chaos {
        seed,
        at_least: Duration::from_secs(60 * arguments.minutes),
        fault: Duration::from_secs(arguments.fault_seconds),
        program,
        postgres,
    };
    let lab = match &arguments.binary {
        Some(binary) => Lab::driven_by(&arguments.lab, binary),
        None => Lab::new(&arguments.lab),
    };
    say(&format!("seed {seed}"));
    let account = run(lab, &chaos, &mut say).map_err(|failure: Failure| format!("{failure} (seed {seed})"))?;
    say(&format!("\n{account}"));
    account.verdict().map_err(|reason| format!("{reason} (seed {seed})"))
}

fn say(text: &str) {
    // Nobody listens any more: the exit code says it all the same.
    let _ = writeln!(anstream::stdout(), "{text}");
}

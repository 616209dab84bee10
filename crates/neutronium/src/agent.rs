//! `neutronium agent`: realises on this host what the server wants of it; says what it would do; undoes what it did.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use host_agent::{AgentConfig, How, ViewFrom};
use serde_json::json;

use crate::audit::{amount, configuration, findings, runtime, view};
use crate::exit::{Exit, Failure};
use crate::open_files;
use crate::print::{self, styled};
use crate::signals;
use error_text::sentence;

/// Arguments of `neutronium agent`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  neutronium agent                       runs until it is ended; the host stays as it is then
  neutronium agent --dry-run             what would be done now, and nothing is done
  neutronium agent --dry-run --json      the whole plan, and the difference with what is there
  neutronium agent --remove              takes away all that agents have made on this host

What --remove leaves alone: bridges, ports, flows, namespaces, tables and addresses of others. Bridges of physical networks
stay, in fail_mode secure: without flows they forward nothing until `ovs-vsctl del-fail-mode BRIDGE`, or the next agent.
A host that is to be asked whether it is as planned: see `neutronium audit --help`.")]
pub struct Arguments {
    /// The configuration, TOML.
    #[arg(long, default_value = "/etc/neutronium/agent.toml")]
    config: PathBuf,
    /// Prints the plan and the difference with what is there, and does nothing.
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: goes by this view (JSON, as the server sends it) instead of the server's.
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    view: Option<PathBuf>,
    /// Takes away everything that agents have made on this host; the agent must not run.
    #[arg(long, conflicts_with = "dry_run")]
    remove: bool,
    /// With --dry-run: shows everything, however much it is.
    #[arg(long, requires = "dry_run")]
    all: bool,
    /// With --dry-run or --remove: for programs.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Whether it answers and ends, instead of running on.
    pub fn is_a_question(&self) -> bool {
        self.dry_run || self.remove
    }
}

/// Runs until SIGTERM or SIGINT; the host stays as it is.
pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let config = configuration(&arguments.config)?;
    if arguments.dry_run {
        return dry_run(&config, arguments);
    }
    if arguments.remove {
        return remove(&config, arguments.json);
    }
    open_files::allow_many();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the agent's threads: {error}")))?;
    runtime.block_on(async {
        host_agent::run(config, signals::end()?).await.map_err(|error| Failure::refused(sentence(&error)))
    })?;
    Ok(Exit::DONE)
}

fn dry_run(config: &AgentConfig, arguments: &Arguments) -> Result<Exit, Failure> {
    let from = match &arguments.view {
        Some(path) => ViewFrom::Given(Arc::new(read_view(path)?)),
        None => ViewFrom::Server,
    };
    let audit =
        runtime()?.block_on(host_agent::audit(config, from)).map_err(|error| Failure::failed(sentence(&error)))?;
    if arguments.json {
        print::json(&json!({
            "host": audit.host, "view": audit.view, "plan": audit.plan, "difference": audit.findings,
        }))?;
        return Ok(Exit::DONE);
    }
    let name = styled(print::BOLD, &audit.host);
    print::line(format!("{name}: {} ({})", amount(&audit), view(&audit.view)));
    let mut table = print::table(&["layer", "where", "what it must be"]);
    let plan = &audit.plan;
    for (bridge, value) in &plan.bridges {
        let ports: Vec<&str> = value.ports.keys().map(String::as_str).collect();
        let flows = plan.flows.get(bridge).map_or(0, Vec::len);
        let whose = if value.ours { "made by the agent" } else { "the operator's" };
        table.add_row(["bridge", bridge, &format!("{flows} flows, {whose}\n{}", ports.join(" "))]);
    }
    for (name, namespace) in &plan.namespaces {
        let device = |(device, value): (&String, &_)| {
            let value: &host_agent::Device = value;
            let addresses: Vec<String> = value.addresses.iter().map(ToString::to_string).collect();
            format!("{device} {}", addresses.join(" "))
        };
        let devices: Vec<String> = namespace.devices.iter().map(device).collect();
        table.add_row(["namespace", name, &devices.join("\n")]);
    }
    print::line(table);
    for error in &plan.errors {
        print::line(format!("{} cannot be realised: {error}", styled(print::YELLOW, "!")));
    }
    if audit.is_as_planned() {
        print::line(format!("{} nothing would be done", styled(print::GREEN, "✓")));
    } else {
        print::line(findings(&audit.findings, arguments.all, deed));
    }
    Ok(Exit::DONE)
}

/// What would be done about a finding.
fn deed(how: How) -> String {
    match how {
        How::Missing => styled(print::GREEN, "make"),
        How::Unexpected => styled(print::RED, "remove"),
        How::Different => styled(print::YELLOW, "change"),
    }
}

fn read_view(path: &Path) -> Result<host_agent::HostView, Failure> {
    let place = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| Failure::refused(format!("cannot read {place}: {error}")))?;
    serde_json::from_str(&text).map_err(|error| Failure::refused(format!("{place} is not a view: {error}")))
}

fn remove(config: &AgentConfig, json: bool) -> Result<Exit, Failure> {
    let cleanup = runtime()?
        .block_on(host_agent::remove_everything(config))
        .map_err(|error| Failure::refused(sentence(&error)))?;
    if json {
        print::json(&cleanup)?;
    } else {
        let mark = |style, mark| styled(style, mark);
        cleanup.removed.iter().for_each(|what| print::line(format!("{} {what}", mark(print::GREEN, "removed"))));
        cleanup.kept.iter().for_each(|what| print::line(format!("{} {what}", mark(print::YELLOW, "kept"))));
        if cleanup.removed.is_empty() && cleanup.errors.is_empty() {
            print::line("nothing of an agent's is on this host");
        }
    }
    match cleanup.errors.as_slice() {
        [] => Ok(Exit::DONE),
        errors => Err(Failure::failed(errors.iter().map(|error| sentence(error)).collect::<Vec<_>>().join("; "))),
    }
}

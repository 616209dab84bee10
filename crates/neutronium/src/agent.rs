//! `neutronium agent`: realises on this host what the server wants of it.

use std::path::PathBuf;

use clap::Args;
use host_agent::AgentConfig;

use crate::exit::{Exit, Failure, sentence};
use crate::signals;

/// Arguments of `neutronium agent`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration, TOML.
    #[arg(long, default_value = "/etc/neutronium/agent.toml")]
    config: PathBuf,
}

/// Runs until SIGTERM or SIGINT; the host stays as it is.
pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let place = arguments.config.display();
    let config = AgentConfig::load(&arguments.config)
        .map_err(|error| Failure::refused(format!("{place}: {}", sentence(&error))))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the agent's threads: {error}")))?;
    runtime.block_on(async {
        host_agent::run(config, signals::end()?).await.map_err(|error| Failure::refused(sentence(&error)))
    })?;
    Ok(Exit::DONE)
}

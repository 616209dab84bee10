//! `neutronium server`: identity, networking API and the agents' channel in one process, on one port.
//!
//! ```text
//! /identity/...   identity     users, tokens, catalogue (not with an external Keystone)
//! /agent/v1/...   host-feed    the agents' watch and reports
//! /metadata/v1/.. instance-metadata  what instances ask through the agents' proxies
//! /...            api-server   networking API v2.0
//! ```
//! They meet here and nowhere else: each gets the store and its part of the configuration.

pub mod config;
mod listen;
mod memory;
pub mod policy;
mod workers;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use access_policy::Policy;
use api_server::{Api, Authenticator, Current};
use axum::Router;
use axum::serve::ListenerExt;
use clap::Args;
use host_feed::Feed;
use identity::Identity;
use keystone_client::TokenChecker;
use network_store::NetworkConfig;
use nova_notifier::Notifier;
use secret::Secret;
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::exit::{Exit, Failure};
use crate::signals;
use config::{IdentityProvider, ServerConfig};
use error_text::sentence;
use workers::{Stage, Workers};

/// How long requests in flight may take after SIGTERM. The agents' streams never end by themselves.
const GRACE: Duration = Duration::from_secs(1);

/// Arguments of `neutronium server`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration, TOML [default: /etc/neutronium/server.toml if it exists, else every setting's default]
    #[arg(long)]
    config: Option<PathBuf>,
}

/// Runs until SIGTERM or SIGINT.
pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let config = ServerConfig::load(arguments.config.as_deref()).map_err(Failure::refused)?;
    memory::keep_large_blocks();
    crate::open_files::allow_many();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the server's threads: {error}")))?;
    runtime.block_on(serve(config))?;
    Ok(Exit::DONE)
}

async fn serve(config: ServerConfig) -> Result<(), Failure> {
    let end = signals::end()?;
    let listeners = listen::all(&config.listen).map_err(Failure::failed)?;
    // What runs besides answering requests ends with its handle.
    let (router, background) = build(config).await?;

    let (stage, reached) = watch::channel(Stage::Running);
    let cannot = |error| Failure::failed(format!("cannot start the server's threads: {error}"));
    let mut workers = (!background.waits).then(|| Workers::start(&router, &reached)).transpose().map_err(cannot)?;
    let mut servers = JoinSet::new();
    let mut listening = JoinSet::new();
    for listener in listeners {
        let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
        tracing::info!(address, "listening");
        if let Some(workers) = &workers {
            listening.spawn(Workers::share_out(workers.queues(), listener));
            continue;
        }
        let (router, mut reached) = (router.clone(), reached.clone());
        servers.spawn(async move {
            let until = async move { drop(reached.wait_for(|stage| *stage >= Stage::Ending).await) };
            axum::serve(quick(listener), router).with_graceful_shutdown(until).await
        });
    }
    end.await;
    tracing::info!("ending");
    listening.shutdown().await;
    stage.send_replace(Stage::Ending);
    let all = async {
        while servers.join_next().await.is_some() {}
        if let Some(workers) = &mut workers {
            workers.finished().await;
        }
    };
    if tokio::time::timeout(GRACE, all).await.is_err() {
        tracing::debug!("streams were still open");
    }
    stage.send_replace(Stage::Closing);
    if let Some(workers) = workers {
        workers.join();
    }
    Ok(())
}

/// Answers are small: waiting to fill a segment (Nagle) would only delay them.
fn quick(listener: TcpListener) -> impl axum::serve::Listener<Io = tokio::net::TcpStream, Addr = std::net::SocketAddr> {
    listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    })
}

/// What runs besides answering requests.
struct Background {
    _feed: Feed,
    _notifier: Option<Notifier>,
    /// Whether looking at the database is waiting for another process.
    waits: bool,
}

/// The server's name among those on its database, the same after a restart.
fn name(state_dir: &Path) -> String {
    let host = nix::unistd::gethostname().map(|host| host.to_string_lossy().into_owned()).unwrap_or_default();
    format!("{host}:{}", std::path::absolute(state_dir).unwrap_or_else(|_| state_dir.to_owned()).display())
}

async fn build(config: ServerConfig) -> Result<(Router, Background), Failure> {
    let failed = |error: &dyn std::error::Error| Failure::failed(sentence(error));
    std::fs::create_dir_all(&config.state_dir)
        .map_err(|error| Failure::failed(format!("cannot make {}: {error}", config.state_dir.display())))?;
    let options = store::Options { may_wait: Some(workers::is_alone), ..store::Options::default() };
    let store = Store::open_with(&config.database, &options).map_err(|error| failed(&error))?;
    network_store::prepare(&store).map_err(|error| failed(&error))?;
    let (authenticator, identity): (Arc<dyn Authenticator>, Router) = match config.identity {
        IdentityProvider::Builtin(builtin) => {
            let identity = Identity::open(&store, builtin, &config.state_dir).map_err(|error| failed(&error))?;
            (Arc::new(identity.clone()), identity.router())
        }
        IdentityProvider::Keystone(keystone) => {
            let checker = TokenChecker::new(keystone).map_err(|error| Failure::refused(sentence(&error)))?;
            (Arc::new(checker), Router::new())
        }
    };
    let network = NetworkConfig::new(&config.network).map_err(|error| Failure::refused(sentence(&error)))?;
    let network = Arc::new(NetworkConfig { nova: config.nova.events(), ..network });
    network_store::segment::range::note_defaults(&store, &network).map_err(|error| failed(&error))?;
    let notifier = (config.nova.enabled)
        .then(|| Notifier::start(store.clone(), &config.nova, name(&config.state_dir)))
        .transpose()
        .map_err(|error| Failure::refused(sentence(&error)))?;
    let metadata = instance_metadata::router(store.clone(), Secret::new(config.agents.secret.clone()));
    let feed = Feed::start(store.clone(), config.agents, Arc::clone(&network)).await.map_err(|error| failed(&error))?;
    let rules = policy::File::of(&config.api);
    let policy = rules.as_ref().map_or_else(|| Ok(Policy::neutron()), policy::File::read).map_err(Failure::refused)?;
    let waits = store.is_shared();
    let api = Api::new(store, authenticator, config.api, network).with_policy(policy);
    let api = Current::from(api);
    if let Some(rules) = rules {
        let api = api.clone();
        tokio::spawn(rules.follow(signals::reload()?, move |policy| api.set_policy(policy)));
    }
    let router = identity.nest("/agent/v1", feed.router()).merge(metadata).merge(api_server::router(api));
    Ok((router, Background { _feed: feed, _notifier: notifier, waits }))
}

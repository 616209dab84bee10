//! Every task and every channel of the agent.
//!
//! ```text
//!            server                                             ┌────────────▶ server
//!              │ NDJSON                                         │ POST
//!          ┌───▼───┐  known view   ┌────────┐              ┌────┴───┐
//!          │ watch ├──────┬───────▶│ switch │──SwitchPart─▶│ report │◀── heartbeat
//!          └───────┘      │        └─┬────▲─┘   (board)    └────▲───┘
//!                     ┌───▼──┐       │    │                     │
//!                     │ keep │  Order│    │devices ready        │
//!                     └───┬──┘       │    │                     │
//!                         ▼        ┌─▼────┴─┐                   │
//!                    view.json     │ rooms  │──RoomsPart────────┘
//!                                  └─┬──────┘   (board)
//!                                    └─ one task per namespace at work, one per service
//! ```
//! * `watch` follows the server and publishes the view (`known`, `watch`); `keep` writes it to disk.
//! * `switch` is woken by the view, OVSDB, an OpenFlow connection that ends, a device that is ready, and its audit timer. It
//!   plans, writes OVSDB and flows, and says how far it is. What the namespaces must be goes to `rooms` as an order.
//! * `rooms` makes namespaces, devices, filters and services as ordered.
//! * `report` tells the server what both have realised, at once.
//! * `logs` writes down packets that flows send here because of a log, while the newest order's plan has such flows.
//! * `memory` gives free memory back when namespaces have come or gone.
//! * `life` answers those on this host who ask whether the agent still does, and how far it is.
//!
//! Every channel carries the newest value only (`tokio::sync::watch`): who is late misses nothing that still matters. Tasks
//! end with [`run`]; nothing on the host is undone then, so that packets flow on while the agent is away.

use crate::board::Board;
use crate::lock::Lock;
use crate::rooms::Order;
use crate::server::Servers;
use crate::{AgentConfig, AgentError, keep, life, logs, memory, report, rooms, switch, watch};
use host_view::HostDescription;
use std::future::Future;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Runs the agent until `shutdown` is there. Errors are those of the configuration, and a task that broke off; whatever else
/// fails is tried again.
pub async fn run(config: AgentConfig, shutdown: impl Future<Output = ()>) -> Result<(), AgentError> {
    memory::few_heaps();
    let servers = Servers::load(&config)?;
    let metadata = crate::metadata::service(&config)?;
    let _lock = Lock::take(&config.agent.state_dir)?;
    let asked = life::listen(&config.agent.state_dir)?;
    let board = Arc::new(Board::new());
    let known = tokio::sync::watch::Sender::new(None);
    let orders = tokio::sync::watch::Sender::<Option<Arc<Order>>>::new(None);
    let kept = keep::load(&config.agent.state_dir);
    let reporter = report::Reporter {
        servers: servers.clone(),
        host: config.agent.host.clone(),
        session: Uuid::new_v4(),
        description: describe(&config),
        interval: config.report_interval(),
    };

    // Ended with this function, however it ends.
    let mut tasks = JoinSet::new();
    tasks.spawn(keep::run(config.agent.state_dir.clone(), known.subscribe()));
    let orders_taken = orders.subscribe();
    let roles = config.agent.roles.clone();
    tasks.spawn(rooms::run(roles, metadata, orders_taken, board.clone(), config.audit_interval()));
    tasks.spawn(logs::run(config.network_log.clone(), config.ovs.clone(), orders.subscribe()));
    tasks.spawn(switch::run(config.clone(), known.subscribe(), orders, board.clone()));
    tasks.spawn(memory::run(board.clone()));
    tasks.spawn(life::run(asked, known.subscribe(), board.clone()));
    tasks.spawn(report::run(reporter, board));
    tasks.spawn(watch::run(servers, config.agent.host.clone(), kept, known));
    tracing::info!(host = config.agent.host, servers = ?config.agent.server, "the agent runs");
    tokio::select! {
        () = shutdown => {
            tracing::info!("the agent ends; the host stays as it is");
            Ok(())
        }
        // None of them ends by itself: whoever started the agent should start it again.
        ended = tasks.join_next() => Err(AgentError::TaskEnded { reason: format!("{ended:?}") }),
    }
}

fn describe(config: &AgentConfig) -> HostDescription {
    HostDescription {
        roles: config.agent.roles.clone(),
        l3_mode: config.l3.agent_mode,
        bridge_mappings: config.ovs.bridge_mappings.clone(),
        tunnel_types: if config.ovs.local_ip.is_some() { config.ovs.tunnel_types.clone() } else { [].into() },
        local_ip: config.ovs.local_ip,
        endpoint_mac: None,
        datapath_type: config.ovs.datapath_type.as_str().to_owned(),
        integration_bridge: config.ovs.integration_bridge.clone(),
        availability_zone: config.agent.availability_zone.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
    }
}

//! The full look at one host: whether everything that its plan says is so, in every layer.
//!
//! ```text
//! view: the server's now, or what the agent has kept ──▶ host-plan ──▶ plan
//!   OVSDB, flows, meters, endpoint, neighbours  (switch)   ─┐
//!   namespaces: devices, addresses, routes,                 ├──▶ findings: missing, unexpected, different
//!   kernel parameters, filters, listening sockets (rooms)  ─┘
//! ```
//! It reads and never writes, and it goes by the same comparisons as the agent's own loops, so that what it finds is what the
//! agent would mend: the same findings are the difference of a dry run. It needs no running agent, but says whether one
//! answers, for a host that is as planned and is not cared for does not stay so; while one is at work, a finding may be of the
//! moment, so whoever asks may ask again.

mod diagnosis;
mod finding;
mod rooms;
mod switch;

pub use finding::{Finding, How, Layer};
pub(crate) use switch::neighbours;

use crate::known::KnownView;
use crate::life::{self, AgentState};
use crate::server::Servers;
use crate::switch::database::local_state;
use crate::{AgentConfig, AgentError, keep};
use host_drivers::ovsdb::Database;
use host_plan::{FlowRules, HostPlan, LocalState, flow_rules, plan};
use host_view::{HostView, WatchEvent};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long the server may take to say what it wants of this host.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the view comes from that the host is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewFrom {
    /// The server; when it cannot be heard, what the agent has kept.
    Server,
    /// What the agent has kept.
    Kept,
    /// This one.
    Given(Arc<HostView>),
}

/// The view that was gone by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum Source {
    /// The server's.
    Server {
        /// Its revision.
        revision: u64,
    },
    /// What the agent has kept.
    Kept {
        /// Its revision.
        revision: u64,
        /// Why not the server's.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The caller's.
    Given,
    /// Nobody knows what this host must realise: the view is empty.
    Nobody {
        /// Why not the server's.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// A plan, and what of it is not so.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Audit {
    /// The host's name.
    pub host: String,
    /// What it was compared with.
    pub view: Source,
    /// Whether its agent answers.
    pub agent: AgentState,
    /// Where host and plan differ; sorted.
    pub findings: Vec<Finding>,
    /// What that means for networks, routers and ports, a sentence each.
    pub diagnosis: Vec<String>,
    /// Everything that the host must look like.
    #[serde(skip)]
    pub plan: HostPlan,
}

impl Audit {
    /// Whether host and plan are the same.
    pub fn is_as_planned(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether that is so, and somebody keeps it so.
    pub fn is_clean(&self) -> bool {
        self.is_as_planned() && self.agent.answers()
    }
}

/// Compares the host with its plan. Errors are those of reading; a daemon that is not there is one.
pub async fn audit(config: &AgentConfig, from: ViewFrom) -> Result<Audit, AgentError> {
    let (view, source) = view(config, from).await?;
    let mut database = Database::new(&config.ovs.db());
    let cache = database.cache().await?;
    let state = local_state(&cache, None, &std::collections::BTreeSet::new());
    let plan = plan(&view, &config.host_config(), &state);
    let mut findings = switch::database(&plan, &cache);
    findings.extend(switch::flows(&plan, &view, &state, config).await?);
    findings.extend(switch::endpoint(&plan, &config.ovs.rundir).await?);
    let rooms = rooms::all(&plan, &config.agent.roles).await?.into_iter();
    findings.extend(rooms.map(|finding| {
        let about = diagnosis::of_place(&finding.place);
        finding.about(about)
    }));
    findings.sort();
    let agent = life::ask(&config.agent.state_dir).await;
    let diagnosis = diagnosis::sentences(&findings, &agent);
    Ok(Audit { host: config.agent.host.clone(), view: source, agent, findings, diagnosis, plan })
}

/// What a host is known to have to realise.
#[derive(Debug, Clone)]
pub struct KnownHost {
    /// The view.
    pub view: Arc<HostView>,
    /// What OVSDB says of the host.
    pub state: LocalState,
    /// The plan of both.
    pub plan: HostPlan,
    /// Which security group rules stand behind which of its flows.
    pub rules: FlowRules,
}

/// Reads what there is to be known, for those who explain it.
pub async fn known_host(config: &AgentConfig, from: ViewFrom) -> Result<KnownHost, AgentError> {
    let (view, _) = view(config, from).await?;
    let mut database = Database::new(&config.ovs.db());
    let cache = database.cache().await?;
    let (host, state) = (config.host_config(), local_state(&cache, None, &std::collections::BTreeSet::new()));
    let plan = plan(&view, &host, &state);
    let rules = flow_rules(&view, &host, &state);
    Ok(KnownHost { view, state, plan, rules })
}

async fn view(config: &AgentConfig, from: ViewFrom) -> Result<(Arc<HostView>, Source), AgentError> {
    let reason = match from {
        ViewFrom::Given(view) => return Ok((view, Source::Given)),
        ViewFrom::Kept => None,
        ViewFrom::Server => match timeout(PATIENCE, ask(config)).await {
            Ok(Ok(KnownView { revision, view })) => return Ok((view, Source::Server { revision })),
            Ok(Err(error @ (AgentError::Configuration { .. } | AgentError::ReadFile { .. }))) => return Err(error),
            Ok(Err(error)) => Some(error_text::sentence(&error)),
            Err(_) => Some(format!("the server said nothing within {} seconds", PATIENCE.as_secs())),
        },
    };
    Ok(match keep::load(&config.agent.state_dir) {
        Some(KnownView { revision, view }) => (view, Source::Kept { revision, reason }),
        None => (Arc::default(), Source::Nobody { reason }),
    })
}

/// The first line of a watch is the whole view.
async fn ask(config: &AgentConfig) -> Result<KnownView, AgentError> {
    let mut lines = Servers::load(config)?.lines(&format!("/agent/v1/hosts/{}/watch", config.agent.host)).await?;
    let wrong = |reason: String| AgentError::NotUnderstood { what: "watch line", reason };
    while let Some(line) = lines.next().await? {
        if let WatchEvent::Snapshot { revision, view } =
            serde_json::from_slice(&line).map_err(|error| wrong(error.to_string()))?
        {
            return Ok(KnownView { revision, view: Arc::new(*view) });
        }
    }
    Err(wrong("the watch ended without a view".to_owned()))
}

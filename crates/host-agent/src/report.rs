//! Tells the server what has been realised: everything at start and when it asks for it, then what changed, at once, and a
//! sign of life in between.

use crate::AgentError;
use crate::backoff::{Backoff, random};
use crate::board::{Board, Realised, combine};
use crate::server::{Connection, Servers};
use host_view::{HostDescription, HostReport, PortState, ReportAnswer};
use net_types::PortId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What the reporter knows from the start.
pub(crate) struct Reporter {
    pub servers: Servers,
    pub host: String,
    /// Drawn at start.
    pub session: Uuid,
    /// What the host is; the endpoint's MAC is filled in from the board.
    pub description: HostDescription,
    pub interval: Duration,
}

/// Reports for as long as it is polled.
pub(crate) async fn run(reporter: Reporter, board: Arc<Board>) {
    let mut switch = board.switch.subscribe();
    let mut rooms = board.rooms.subscribe();
    let mut told: Option<Realised> = None;
    let mut connection = None;
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let mut heartbeat = Instant::now();
    loop {
        let realised = combine(&switch.borrow_and_update(), &rooms.borrow_and_update());
        if told.as_ref() != Some(&realised) || Instant::now() >= heartbeat {
            match reporter.tell(&mut connection, told.as_ref(), &realised).await {
                Ok(answer) => {
                    told = (!answer.full_report_wanted).then_some(realised);
                    backoff.reset();
                    heartbeat = Instant::now() + reporter.interval;
                    if told.is_none() {
                        continue;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %error, "the report did not arrive");
                    connection = None;
                    sleep(backoff.next(random())).await;
                    continue;
                }
            }
        }
        tokio::select! {
            changed = switch.changed() => if changed.is_err() { return },
            changed = rooms.changed() => if changed.is_err() { return },
            () = sleep_until(heartbeat) => {}
        }
    }
}

impl Reporter {
    async fn tell(
        &self,
        connection: &mut Option<Connection>,
        told: Option<&Realised>,
        realised: &Realised,
    ) -> Result<ReportAnswer, AgentError> {
        let report = self.compose(told, realised);
        let body = serde_json::to_vec(&report)
            .map_err(|error| AgentError::NotUnderstood { what: "report", reason: error.to_string() })?;
        let path = format!("/agent/v1/hosts/{}/report", self.host);
        // A connection that was kept may have been closed by the other side since: that is not a failure yet.
        if let Some(kept) = connection
            && let Ok(answer) = kept.post("the report", &path, body.clone().into()).await
        {
            return understand(&answer);
        }
        let fresh = connection.insert(self.servers.connect().await?);
        let answer = fresh.post("the report", &path, body.into()).await;
        understand(&answer.inspect_err(|_| fresh.leave())?)
    }

    fn compose(&self, told: Option<&Realised>, realised: &Realised) -> HostReport {
        // The endpoint's MAC stands in the description, which only a full report has.
        let told = told.filter(|told| told.endpoint_mac == realised.endpoint_mac);
        HostReport {
            session: self.session,
            revision: realised.revision,
            full: told.is_none(),
            description: told
                .is_none()
                .then(|| HostDescription { endpoint_mac: realised.endpoint_mac, ..self.description.clone() }),
            ports: told.map_or_else(|| realised.ports.clone(), |told| changes(&told.ports, &realised.ports)),
            routers: realised.routers.clone(),
            errors: realised.errors.clone(),
        }
    }
}

fn understand(answer: &[u8]) -> Result<ReportAnswer, AgentError> {
    serde_json::from_slice(answer)
        .map_err(|error| AgentError::NotUnderstood { what: "answer to the report", reason: error.to_string() })
}

/// Ports that are gone need no word: the server took them away.
fn changes(told: &BTreeMap<PortId, PortState>, now: &BTreeMap<PortId, PortState>) -> BTreeMap<PortId, PortState> {
    now.iter().filter(|(id, state)| told.get(id) != Some(state)).map(|(id, state)| (*id, state.clone())).collect()
}

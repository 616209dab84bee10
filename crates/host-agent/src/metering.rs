//! What metering labels have counted on this host, read from the routers' namespaces: reads only, and needs no agent.
//!
//! Neutron's agent tells Ceilometer; here whoever wants to know asks. A highly available router counts where it is active, so its
//! sum is that of all its hosts.

use crate::AgentError;
use futures_util::{StreamExt, TryStreamExt, stream};
use host_drivers::{Place, netns, nft};
use host_plan::metered_label;
use net_types::{MeteringLabelId, RouterId};
use nft_rules::{Family, counted_from_json};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// Namespaces that are looked at together.
const AT_ONCE: usize = 8;

/// An amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Octets, from the network layer's header on.
    pub bytes: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, more: Self) {
        self.packets = self.packets.saturating_add(more.packets);
        self.bytes = self.bytes.saturating_add(more.bytes);
    }
}

/// What a label has counted of a router since its first rule came to this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Metered {
    /// The label.
    pub label: MeteringLabelId,
    /// The router.
    pub router: RouterId,
    /// Both families together.
    #[serde(flatten)]
    pub all: Traffic,
    /// Of that, IPv4.
    pub ipv4: Traffic,
    /// Of that, IPv6.
    pub ipv6: Traffic,
}

/// Of every router here and every label that counts there; by label, then router.
pub async fn metering() -> Result<Vec<Metered>, AgentError> {
    let routers = netns::list()?.into_iter().filter_map(|name| {
        let id: RouterId = name.strip_prefix("qrouter-")?.parse().ok()?;
        Some((id, name))
    });
    let looks = routers.map(|(id, name)| async move {
        let json = nft::counters(&Place::named(&name)).await?;
        Ok::<_, AgentError>((id, json))
    });
    let answers: Vec<(RouterId, Vec<u8>)> = stream::iter(looks).buffer_unordered(AT_ONCE).try_collect().await?;
    let mut metered = BTreeMap::new();
    for (router, json) in answers {
        add(&mut metered, router, &String::from_utf8_lossy(&json))?;
    }
    Ok(metered.into_values().collect())
}

fn add(
    metered: &mut BTreeMap<(MeteringLabelId, RouterId), Metered>,
    router: RouterId,
    json: &str,
) -> Result<(), AgentError> {
    let counters =
        counted_from_json(json).map_err(|error| AgentError::Said { program: "nft", reason: error.to_string() })?;
    for counter in counters {
        let Some(label) = metered_label(&counter.table, &counter.name) else { continue };
        let none = Traffic::default();
        let one =
            metered.entry((label, router)).or_insert(Metered { label, router, all: none, ipv4: none, ipv6: none });
        let traffic = Traffic { packets: counter.packets, bytes: counter.octets };
        one.all += traffic;
        match counter.family {
            Family::Ip6 => one.ipv6 += traffic,
            _ => one.ipv4 += traffic,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_summed_and_other_counters_passed_over() {
        let (label, router) = ("00000000-0000-0000-0000-000000000007", "00000000-0000-0000-0000-000000000009");
        let counter = |family: &str, table: &str, packets: u64| {
            let (name, bytes) = (format!("label-{label}"), packets * 100);
            serde_json::json!({ "counter": { "family": family, "table": table, "name": name, "packets": packets, "bytes": bytes } })
        };
        let (ours, other) = ("neutronium-metering", "somebody-elses");
        let json = serde_json::json!({ "nftables": [counter("ip", ours, 3), counter("ip6", ours, 4), counter("ip", other, 9)] });
        let mut metered = BTreeMap::new();
        add(&mut metered, router.parse().unwrap(), &json.to_string()).unwrap();
        let of = |packets| Traffic { packets, bytes: packets * 100 };
        let (label, router) = (label.parse().unwrap(), router.parse().unwrap());
        let expected = Metered { label, router, all: of(7), ipv4: of(3), ipv6: of(4) };
        assert_eq!(metered.into_values().collect::<Vec<_>>(), [expected]);
        assert!(add(&mut BTreeMap::new(), router, "nothing").is_err());
    }
}

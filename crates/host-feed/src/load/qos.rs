//! QoS policies, as far as hosts enforce them.

use super::select;
use crate::row::RowChange;
use host_view::{Limit, PortQos};
use std::collections::BTreeMap;
use store::{Row, Snapshot, StoreError};
use uuid::Uuid;

pub(super) fn qos_policies(
    snapshot: &Snapshot<'_>,
    id: Option<&str>,
    rows: &mut Vec<RowChange>,
) -> Result<(), StoreError> {
    // Policies without rules have a row, too.
    let mut policies: BTreeMap<Uuid, PortQos> = BTreeMap::new();
    let (sql, params) = select("SELECT id FROM qos_policies", "id", id, "");
    snapshot.for_each(&sql, &params, |row| {
        policies.insert(row.parse(0)?, PortQos::default());
        Ok(())
    })?;
    let all = "SELECT qos_policy_id, kind, direction, rate, burst FROM qos_rules";
    let (sql, params) = select(all, "qos_policy_id", id, "");
    snapshot.for_each(&sql, &params, |row| {
        if let Some(policy) = policies.get_mut(&row.parse(0)?) {
            add_rule(policy, row)?;
        }
        Ok(())
    })?;
    rows.extend(policies.into_iter().map(|(id, policy)| RowChange::QosPolicy(id, Some(policy))));
    Ok(())
}

fn add_rule(policy: &mut PortQos, row: &Row<'_>) -> Result<(), StoreError> {
    let (kind, direction): (String, Option<String>) = (row.get(1)?, row.get(2)?);
    let (rate, burst): (i64, i64) = (row.get(3)?, row.get(4)?);
    let limits = if direction.as_deref() == Some("ingress") { &mut policy.ingress } else { &mut policy.egress };
    match kind.as_str() {
        "bandwidth_limit" => limits.bandwidth = limit(rate, burst, 1),
        "packet_rate_limit" => limits.packets = limit(rate, burst, 1000),
        "dscp_marking" => policy.dscp = u8::try_from(rate).ok().filter(|mark| *mark < 64),
        // Guarantees are for whoever places instances.
        _ => {}
    }
    Ok(())
}

/// What no host could count limits nothing. No rate at all is no limit, as Neutron has it.
fn limit(rate: i64, burst: i64, unit: i64) -> Option<Limit> {
    let number = |value: i64| u32::try_from(value.saturating_mul(unit)).ok();
    Some(Limit { rate: number(rate).filter(|rate| *rate > 0)?, burst: number(burst).unwrap_or(0) })
}

//! Metering labels with what they count.

use super::{children, malformed, select};
use crate::row::{MeteringLabelRow, RowChange};
use host_view::{Direction, MeteringRule};
use net_types::{IpNet, MeteringLabelId};
use store::{Change, Row, Snapshot, StoreError, params};

pub(super) fn metering_labels(
    snapshot: &Snapshot<'_>,
    id: Option<&str>,
    rows: &mut Vec<RowChange>,
) -> Result<(), StoreError> {
    let all = "SELECT metering_label_id, direction, excluded, remote_ip_prefix, source_ip_prefix, destination_ip_prefix
         FROM metering_label_rules";
    let mut rules = children(snapshot, select(all, "metering_label_id", id, ""), |row| {
        Ok((row.get::<String>(0)?, metering_rule(row)?))
    })?;
    let (sql, params) = select("SELECT id, project_id, shared FROM metering_labels", "id", id, "");
    snapshot.for_each(&sql, &params, |row| {
        let rules = rules.remove(&row.get::<String>(0)?).unwrap_or_default().into_iter().collect();
        let label = MeteringLabelRow { project: row.get(1)?, shared: row.get(2)?, rules };
        rows.push(RowChange::MeteringLabel(row.parse(0)?, Some(label)));
        Ok(())
    })
}

fn metering_rule(row: &Row<'_>) -> Result<MeteringRule, StoreError> {
    let direction = match row.text(1)?.as_ref() {
        "ingress" => Direction::Ingress,
        "egress" => Direction::Egress,
        other => return Err(malformed(1, "a direction", other)),
    };
    let prefix = |index| -> Result<Option<IpNet>, StoreError> {
        Ok(row.parse_opt::<IpNet>(index)?.map(|prefix| prefix.trunc()))
    };
    let (mut source, mut destination) = (prefix(4)?, prefix(5)?);
    // Neutron's old name for one of the two: the side inside, whichever way the traffic goes.
    match direction {
        Direction::Egress => source = source.or(prefix(3)?),
        Direction::Ingress => destination = destination.or(prefix(3)?),
    }
    Ok(MeteringRule { direction, excluded: row.get(2)?, source, destination })
}

/// The label whose rule has changed.
pub(super) fn label_of_rule(snapshot: &Snapshot<'_>, change: &Change) -> Result<Option<MeteringLabelId>, StoreError> {
    let noted = change.extra.as_ref().and_then(|extra| extra.get("metering_label_id")).and_then(|id| id.as_str());
    if let Some(id) = noted {
        return Ok(id.parse().ok());
    }
    let sql = "SELECT metering_label_id FROM metering_label_rules WHERE id = ?1";
    snapshot.query_opt(sql, params![&change.id], |row| row.parse(0))
}

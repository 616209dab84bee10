//! Logs that are enabled.

use super::{malformed, select};
use crate::row::{LogRow, RowChange};
use host_view::LogEvent;
use store::{Snapshot, StoreError};

pub(super) fn logs(snapshot: &Snapshot<'_>, id: Option<&str>, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let all = "SELECT id, project_id, event, resource_id, target_id, enabled FROM logs";
    let (sql, params) = select(all, "id", id, "");
    snapshot.for_each(&sql, &params, |row| {
        let event = match row.get::<String>(2)?.as_str() {
            "ACCEPT" => LogEvent::Accept,
            "DROP" => LogEvent::Drop,
            "ALL" => LogEvent::All,
            other => return Err(malformed(2, "ACCEPT, DROP or ALL", other)),
        };
        let log = LogRow { project: row.get(1)?, event, group: row.parse_opt(3)?, target: row.parse_opt(4)? };
        let enabled: bool = row.get(5)?;
        rows.push(RowChange::Log(row.parse(0)?, enabled.then_some(log)));
        Ok(())
    })
}

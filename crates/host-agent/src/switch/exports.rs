//! What a bridge tells collectors, as rows of OVSDB: pure.
//!
//! In: the plan's [`Exports`]. Out: columns of the tables `sFlow`, `IPFIX` and `NetFlow`. A setting that is not given is written as
//! empty, so that one that was given before goes.

use host_plan::Exports;
use ovsdb::{ExportKind, Row, Value};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn desired(exports: &Exports) -> BTreeMap<ExportKind, Row> {
    let mut rows = BTreeMap::new();
    if let Some(sflow) = &exports.sflow {
        let numbers = [("header", sflow.header), ("sampling", sflow.sampling), ("polling", sflow.polling)];
        let mut row = row(&sflow.targets, numbers);
        row.insert("agent".to_owned(), sflow.agent.as_deref().map_or_else(Value::empty, Value::from));
        rows.insert(ExportKind::SFlow, row);
    }
    if let Some(ipfix) = &exports.ipfix {
        let numbers = [
            ("sampling", ipfix.sampling),
            ("obs_domain_id", ipfix.obs_domain_id),
            ("obs_point_id", ipfix.obs_point_id),
            ("cache_active_timeout", ipfix.cache_active_timeout),
            ("cache_max_flows", ipfix.cache_max_flows),
        ];
        rows.insert(ExportKind::Ipfix, row(&ipfix.targets, numbers));
    }
    if let Some(netflow) = &exports.netflow {
        // This column is never empty.
        let timeout = Some(netflow.active_timeout.unwrap_or(0));
        rows.insert(ExportKind::NetFlow, row(&netflow.targets, [("active_timeout", timeout)]));
    }
    rows
}

fn row<const N: usize>(targets: &BTreeSet<String>, numbers: [(&str, Option<u32>); N]) -> Row {
    let numbers = numbers.into_iter().map(|(column, number)| (column, number.map_or_else(Value::empty, Value::from)));
    let columns = numbers.chain([("targets", Value::set(targets.iter().map(String::as_str)))]);
    columns.map(|(column, value)| (column.to_owned(), value)).collect()
}

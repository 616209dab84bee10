//! Monitoring a database: what is asked for, and the three generations of answers.
//!
//! `monitor` (RFC 7047, section 4.1.5), `monitor_cond` and `monitor_cond_since` (ovsdb-server(7)) differ in how updates
//! are written: the first sends whole rows, the others differences. Here all become [`RowUpdate`]s.

use crate::{Error, Row, Schema, operation::row_from_json};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

/// What we look at in Open vSwitch's database. Statistics are not in it: they change all the time.
pub const COLUMNS: [(&str, &[&str]); 8] = [
    (
        "Open_vSwitch",
        &[
            "bridges",
            "cur_cfg",
            "datapath_types",
            "external_ids",
            "iface_types",
            "next_cfg",
            "other_config",
            "ovs_version",
        ],
    ),
    (
        "Bridge",
        &[
            "datapath_id",
            "datapath_type",
            "external_ids",
            "fail_mode",
            "ipfix",
            "mirrors",
            "name",
            "netflow",
            "other_config",
            "ports",
            "protocols",
            "sflow",
        ],
    ),
    ("Port", &["external_ids", "interfaces", "name", "other_config", "tag", "trunks", "vlan_mode"]),
    (
        "Interface",
        &[
            "admin_state",
            "bfd",
            "bfd_status",
            "error",
            "external_ids",
            "ifindex",
            "link_state",
            "mac",
            "mac_in_use",
            "mtu",
            "mtu_request",
            "name",
            "ofport",
            "ofport_request",
            "options",
            "other_config",
            "type",
        ],
    ),
    ("Mirror", &["external_ids", "name", "output_port", "select_dst_port", "select_src_port", "select_vlan"]),
    ("sFlow", &["agent", "external_ids", "header", "polling", "sampling", "targets"]),
    (
        "IPFIX",
        &[
            "cache_active_timeout",
            "cache_max_flows",
            "external_ids",
            "obs_domain_id",
            "obs_point_id",
            "sampling",
            "targets",
        ],
    ),
    ("NetFlow", &["active_timeout", "add_id_to_interface", "external_ids", "targets"]),
];

/// The identifier that our monitor has; the server repeats it in every update.
pub const MONITOR_ID: &str = "neutronium";

/// Generations of the request, the best first. A server that does not know one answers with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MonitorMethod {
    /// `monitor_cond_since`: only what changed since a transaction, if the server still knows (Open vSwitch 2.12).
    CondSince,
    /// `monitor_cond`: differences (Open vSwitch 2.6).
    Cond,
    /// `monitor`: whole rows.
    Plain,
}

impl MonitorMethod {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::CondSince => "monitor_cond_since",
            Self::Cond => "monitor_cond",
            Self::Plain => "monitor",
        }
    }

    /// What to ask for when the server does not know it.
    pub fn fall_back(self) -> Option<Self> {
        match self {
            Self::CondSince => Some(Self::Cond),
            Self::Cond => Some(Self::Plain),
            Self::Plain => None,
        }
    }

    /// Parameters of the request: of [`COLUMNS`], those that the server's schema has. `since` is the last transaction
    /// that was seen.
    pub fn params(self, database: &str, schema: &Schema, since: Option<Uuid>) -> Json {
        let tables: Map<_, _> = COLUMNS
            .iter()
            .filter_map(|(name, columns)| {
                let known = &schema.tables.get(*name)?.columns;
                let columns: Vec<_> = columns.iter().filter(|column| known.contains_key(**column)).collect();
                Some(((*name).to_owned(), json!([{"columns": columns}])))
            })
            .collect();
        match self {
            Self::CondSince => json!([database, MONITOR_ID, tables, since.unwrap_or_default().to_string()]),
            Self::Cond | Self::Plain => json!([database, MONITOR_ID, tables]),
        }
    }

    /// Reads the answer.
    pub fn reply(self, result: &Json) -> Result<Update, Error> {
        let whole = |updates| Update { continues: false, last_transaction: None, updates };
        match self {
            Self::Plain => updates_1(result).map(whole),
            Self::Cond => updates_2(result).map(whole),
            Self::CondSince => match result.as_array().map(Vec::as_slice) {
                Some([Json::Bool(found), Json::String(last), updates]) => {
                    Ok(Update { continues: *found, last_transaction: last.parse().ok(), updates: updates_2(updates)? })
                }
                _ => Err(Error::parse("the answer to monitor_cond_since", result)),
            },
        }
    }
}

/// What a monitor tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Whether it is a change of what was told before, as opposed to everything anew.
    pub continues: bool,
    /// The transaction up to which we know everything.
    pub last_transaction: Option<Uuid>,
    /// The rows.
    pub updates: Vec<RowUpdate>,
}

impl Update {
    /// From a notification; none when it is another one, or of another monitor.
    pub fn from_notification(method: &str, params: &Json) -> Result<Option<Self>, Error> {
        let parts = params.as_array().map(Vec::as_slice).unwrap_or_default();
        let wrong = || Error::parse("an update", params);
        let (last_transaction, updates) = match (method, parts) {
            ("update" | "update2" | "update3", [id, ..]) if *id != json!(MONITOR_ID) => return Ok(None),
            ("update", [_, updates]) => (None, updates_1(updates)?),
            ("update2", [_, updates]) => (None, updates_2(updates)?),
            ("update3", [_, Json::String(last), updates]) => {
                (Some(last.parse().map_err(|_| wrong())?), updates_2(updates)?)
            }
            ("update" | "update2" | "update3", _) => return Err(wrong()),
            _ => return Ok(None),
        };
        Ok(Some(Self { continues: true, last_transaction, updates }))
    }
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowUpdate {
    /// Table.
    pub table: String,
    /// Row.
    pub uuid: Uuid,
    /// Change.
    pub change: RowChange,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChange {
    /// It is this; columns that are not there hold their defaults.
    Set(Row),
    /// Columns that may hold several elements changed by these: elements of a set that came or went; pairs of a map that
    /// came, went (when the pair is there already) or have a new value. Other columns are this now.
    Difference(Row),
    /// It is gone.
    Deleted,
}

fn each(
    json: &Json,
    what: &'static str,
    change: impl Fn(&Map<String, Json>) -> Result<RowChange, Error>,
) -> Result<Vec<RowUpdate>, Error> {
    let wrong = || Error::parse(what, json);
    let mut updates = Vec::new();
    for (table, rows) in json.as_object().ok_or_else(wrong)? {
        for (uuid, row) in rows.as_object().ok_or_else(wrong)? {
            let uuid = uuid.parse().map_err(|_| wrong())?;
            let change = change(row.as_object().ok_or_else(wrong)?)?;
            updates.push(RowUpdate { table: table.clone(), uuid, change });
        }
    }
    Ok(updates)
}

/// `<table-updates>` of RFC 7047: `new` holds all monitored columns.
fn updates_1(json: &Json) -> Result<Vec<RowUpdate>, Error> {
    each(json, "table updates", |row| match row.get("new") {
        Some(new) => row_from_json(new).map(RowChange::Set),
        None => Ok(RowChange::Deleted),
    })
}

/// `<table-updates2>` of ovsdb-server(7).
fn updates_2(json: &Json) -> Result<Vec<RowUpdate>, Error> {
    each(json, "table updates", |row| {
        if let Some(new) = row.get("initial").or_else(|| row.get("insert")) {
            row_from_json(new).map(RowChange::Set)
        } else if let Some(difference) = row.get("modify") {
            row_from_json(difference).map(RowChange::Difference)
        } else if row.contains_key("delete") {
            Ok(RowChange::Deleted)
        } else {
            Err(Error::parse("a row update", &Json::Object(row.clone())))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::json as any_json;
    use proptest::prelude::*;

    const ROW: &str = "00000000-0000-0000-0000-000000000001";
    const TXN: &str = "00000000-0000-0000-0000-000000000009";

    fn update(change: RowChange) -> Vec<RowUpdate> {
        vec![RowUpdate { table: "Port".into(), uuid: Uuid::from_u128(1), change }]
    }

    fn row() -> Row {
        [("name".to_owned(), "tap1".into())].into()
    }

    #[test]
    fn three_generations_say_the_same() {
        let old = json!({"Port": {ROW: {"old": {"name": "x"}, "new": {"name": "tap1"}}}});
        let new = json!({"Port": {ROW: {"insert": {"name": "tap1"}}}});
        let set = update(RowChange::Set(row()));
        for (method, params, last) in [
            ("update", json!([MONITOR_ID, old]), None),
            ("update2", json!([MONITOR_ID, new]), None),
            ("update3", json!([MONITOR_ID, TXN, new]), Some(Uuid::from_u128(9))),
        ] {
            let expected = Update { continues: true, last_transaction: last, updates: set.clone() };
            assert_eq!(Update::from_notification(method, &params), Ok(Some(expected)), "{method}");
        }
        let modified = json!(["neutronium", {"Port": {ROW: {"modify": {"name": "tap1"}}}}]);
        let found = Update::from_notification("update2", &modified).unwrap().unwrap();
        assert_eq!(found.updates, update(RowChange::Difference(row())));
        for deleted in [("update", json!({"old": {}})), ("update2", json!({"delete": null}))] {
            let params = json!([MONITOR_ID, {"Port": {ROW: deleted.1}}]);
            assert_eq!(
                Update::from_notification(deleted.0, &params).unwrap().unwrap().updates,
                update(RowChange::Deleted)
            );
        }
        assert_eq!(Update::from_notification("update2", &json!(["other", {}])), Ok(None));
        assert_eq!(Update::from_notification("locked", &json!(["x"])), Ok(None));
    }

    #[test]
    fn the_first_answer_says_whether_it_goes_on() {
        let rows = json!({"Port": {ROW: {"initial": {"name": "tap1"}}}});
        let reply = MonitorMethod::CondSince.reply(&json!([true, TXN, rows])).unwrap();
        assert!(reply.continues && reply.last_transaction == Some(Uuid::from_u128(9)));
        assert!(!MonitorMethod::Cond.reply(&rows).unwrap().continues);
        assert_eq!(MonitorMethod::CondSince.fall_back().and_then(MonitorMethod::fall_back), Some(MonitorMethod::Plain));
    }

    #[test]
    fn only_columns_that_the_server_has_are_asked_for() {
        let schema =
            Schema::from_json(&json!({"tables": {"Port": {"columns": {"name": {"type": "string"}}}}})).unwrap();
        assert_eq!(
            MonitorMethod::Cond.params("Open_vSwitch", &schema, None),
            json!(["Open_vSwitch", MONITOR_ID, {"Port": [{"columns": ["name"]}]}])
        );
    }

    proptest! {
        #[test]
        fn arbitrary_json_never_panics(json in any_json()) {
            for method in ["update", "update2", "update3", "x"] {
                drop(Update::from_notification(method, &json));
                drop(Update::from_notification(method, &json!([MONITOR_ID, json.clone()])));
                drop(Update::from_notification(method, &json!([MONITOR_ID, TXN, {"Port": {ROW: json.clone()}}])));
            }
            for method in [MonitorMethod::CondSince, MonitorMethod::Cond, MonitorMethod::Plain] {
                drop(method.reply(&json));
            }
            drop(Schema::from_json(&json));
        }
    }
}

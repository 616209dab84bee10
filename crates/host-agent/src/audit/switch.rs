//! What of a plan the switch has: OVSDB, flows and meters, the tunnel endpoint.
//!
//! OVSDB's part is the transaction that the agent would write, told row by row: what would be inserted is missing, what would be
//! taken out is unexpected, what would be changed is different.

use super::{Finding, How, Layer, diagnosis};
use crate::switch::database::desired;
use crate::{AgentConfig, AgentError};
use host_drivers::links::Links;
use host_drivers::openflow::OpenFlow;
use host_drivers::{DriverError, Place, unixctl};
use host_plan::{FLOW_OWNER, HostPlan, LocalState, OUR_METERS, PortKind, limited_port};
use host_view::HostView;
use net_types::MacAddr;
use openflow::{Flow, Meter, MeterDiff, diff, diff_meters};
use ovsdb::{Cache, Condition, ExportKind, Interface, Mutator, Operation, Row, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use uuid::Uuid;

const HOST: &str = "host";

/// Rows that would be written, conflicts, and ports of ours that the switch cannot make.
pub(super) fn database(plan: &HostPlan, cache: &Cache) -> Vec<Finding> {
    // Devices are made before they are plugged; here it is taken for granted that they can be.
    let veths = |ports: &BTreeMap<String, host_plan::BridgePort>| -> Vec<String> {
        ports.iter().filter(|(_, port)| port.kind == PortKind::Veth).map(|(name, _)| name.clone()).collect()
    };
    let ready: BTreeSet<String> = plan.bridges.values().flat_map(|bridge| veths(&bridge.ports)).collect();
    let ovsdb::Plan { transaction, conflicts } = ovsdb::plan(cache, &desired(plan, &ready, &BTreeSet::new(), cache));
    let names = Names::of(cache);
    let mut findings: Vec<Finding> =
        transaction.iter().flat_map(|transaction| transaction.operations()).flat_map(|step| names.told(step)).collect();
    findings.extend(conflicts.iter().map(|conflict| Finding::new(Layer::Ovsdb, HOST, How::Different, conflict)));
    let ours = plan.bridges.iter().flat_map(|(bridge, value)| value.ports.keys().map(move |port| (bridge, port)));
    for (bridge, port) in ours {
        // Told as missing already when it is not in the database at all.
        let Some(interface) = cache.interface(port) else { continue };
        if let Some(reason) = interface.error.as_ref().filter(|error| !error.is_empty() && !is_joined(cache, interface))
        {
            findings.push(Finding::different(Layer::Ovsdb, bridge, port, "opened by the switch", reason));
        } else if interface.ofport.is_none_or(|number| number < 1) {
            findings.push(Finding::missing(Layer::Ovsdb, bridge, format!("OpenFlow number of {port}")));
        }
    }
    findings
}

/// Whether it is a patch whose other end is there. The switch (3.1) says of one that it lacks its peer, and may forget to
/// take that back: what it says of its ports it writes once, and not again when the database was changed in that moment.
fn is_joined(cache: &Cache, interface: &Interface) -> bool {
    let peer = |of: &Interface| of.options.get("peer").and_then(|name| cache.interface(name)).cloned();
    let is_open = |end: &Interface| end.kind == "patch" && end.ofport.is_some_and(|number| number > 0);
    let (Some(other), true) = (peer(interface), is_open(interface)) else { return false };
    is_open(&other) && other.options.get("peer") == Some(&interface.name)
}

/// The names of rows by their UUID; of what a bridge tells collectors the bridge's.
struct Names(BTreeMap<Uuid, String>);

impl Names {
    fn of(cache: &Cache) -> Self {
        let bridges = cache.bridges().map(|row| (row.uuid, row.name.clone()));
        let ports = cache.ports().map(|row| (row.uuid, row.name.clone()));
        let interfaces = cache.interfaces().map(|row| (row.uuid, row.name.clone()));
        let mirrors = cache.bridges().flat_map(|bridge| cache.mirrors_of(bridge));
        let mirrors = mirrors.map(|row| (row.uuid, row.name.clone()));
        let exports = cache.bridges().flat_map(|bridge| {
            let of = move |kind| cache.export_of(bridge, kind).map(|(uuid, _)| (uuid, bridge.name.clone()));
            ExportKind::ALL.into_iter().filter_map(of)
        });
        Self(bridges.chain(ports).chain(interfaces).chain(mirrors).chain(exports).collect())
    }

    fn of_row(&self, uuid: &Uuid) -> String {
        self.0.get(uuid).cloned().unwrap_or_else(|| uuid.to_string())
    }

    /// Which row is meant.
    fn meant(&self, conditions: &[Condition]) -> String {
        let uuids = conditions.iter().flat_map(|condition| condition.value.uuids());
        uuids.map(|uuid| self.of_row(&uuid)).collect::<Vec<_>>().join(", ")
    }

    fn told(&self, step: &Operation) -> Vec<Finding> {
        match step {
            // Interfaces come with their port; rows without a name are told where a bridge refers to them.
            Operation::Insert { table, row, .. } if table != "Interface" => {
                let name = row.get("name").and_then(Value::as_str);
                name.map(|name| Finding::missing(Layer::Ovsdb, name, table.to_lowercase())).into_iter().collect()
            }
            Operation::Update { table, conditions, row } => {
                let (place, what) = (self.meant(conditions), table.to_lowercase());
                let is_export = |column: &str| ExportKind::ALL.iter().any(|kind| kind.column() == column);
                let (exports, row): (Row, Row) = row.clone().into_iter().partition(|(column, _)| is_export(column));
                let told = exports.iter().map(|(column, value)| match *value == Value::empty() {
                    true => Finding::unexpected(Layer::Ovsdb, &place, column),
                    false => Finding::missing(Layer::Ovsdb, &place, column),
                });
                let rest = (!row.is_empty()).then(|| Finding {
                    planned: Some(words(&row)),
                    ..Finding::new(Layer::Ovsdb, &place, How::Different, what)
                });
                told.chain(rest).collect()
            }
            Operation::Mutate { table, conditions, mutations } => {
                let place = self.meant(conditions);
                let told = mutations.iter().filter(|mutation| mutation.column != "next_cfg").flat_map(|mutation| {
                    let rows = mutation.value.uuids();
                    match (mutation.mutator, mutation.column.as_str()) {
                        (Mutator::Delete, "bridges" | "ports" | "mirrors") => rows
                            .iter()
                            .map(|row| {
                                let kind = mutation.column.trim_end_matches('s');
                                Finding::unexpected(Layer::Ovsdb, &self.of_row(row), kind)
                            })
                            .collect(),
                        // The rows themselves are told where they are inserted.
                        (Mutator::Insert, "bridges" | "ports" | "mirrors") => vec![],
                        (_, column) => {
                            let what = format!("{} {column}", table.to_lowercase());
                            let planned = Some(mutation.value.to_json().to_string());
                            vec![Finding { planned, ..Finding::new(Layer::Ovsdb, &place, How::Different, what) }]
                        }
                    }
                });
                told.collect()
            }
            _ => vec![],
        }
    }
}

fn words(row: &Row) -> String {
    row.iter().map(|(column, value)| format!("{column}={}", value.to_json())).collect::<Vec<_>>().join(" ")
}

/// Flows of ours, bridge by bridge, and meters where there are ours.
pub(super) async fn flows(
    plan: &HostPlan,
    view: &HostView,
    state: &LocalState,
    config: &AgentConfig,
) -> Result<Vec<Finding>, AgentError> {
    let (rundir, integration_bridge) = (&config.ovs.rundir, config.host_config().integration_bridge);
    let mut findings = vec![];
    for (bridge, wanted) in &plan.flows {
        // A bridge that is not there yet has no flows, and is told by itself.
        let installed = match OpenFlow::connect(rundir, bridge).await {
            Ok(mut connection) => {
                if *bridge == integration_bridge {
                    let about = |number| diagnosis::of_port(bridge, number, view, state);
                    findings.extend(meters(plan, bridge, &connection.dump_meters().await?, about));
                }
                connection.dump_flows().await?
            }
            Err(DriverError::OpenFlowLost { .. }) => vec![],
            Err(error) => return Err(error.into()),
        };
        let change = diff(&installed, wanted, FLOW_OWNER);
        let as_it_is: BTreeMap<String, &Flow> = if change.modify.is_empty() {
            BTreeMap::new()
        } else {
            installed.iter().map(|flow| (key(flow), flow)).collect()
        };
        let about = |flow: &Flow| diagnosis::of_flow(bridge, flow, view, plan, state);
        findings.extend(change.add.iter().map(|flow| Finding::missing(Layer::Flow, bridge, flow).about(about(flow))));
        let unexpected = change.delete.iter();
        findings.extend(unexpected.map(|flow| Finding::unexpected(Layer::Flow, bridge, flow).about(about(flow))));
        findings.extend(change.modify.iter().map(|flow| {
            let found = as_it_is.get(&key(flow)).map(ToString::to_string);
            Finding {
                found,
                planned: Some(flow.to_string()),
                about: about(flow),
                ..Finding::new(Layer::Flow, bridge, How::Different, key(flow))
            }
        }));
    }
    Ok(findings)
}

/// Meters of ours; `about` says what is plugged in under an OpenFlow number.
fn meters(
    plan: &HostPlan,
    bridge: &str,
    installed: &BTreeMap<u32, Option<Meter>>,
    about: impl Fn(u32) -> Option<String>,
) -> Vec<Finding> {
    let none = BTreeMap::new();
    let wanted = plan.meters.get(bridge).unwrap_or(&none);
    let shown = |meter: &Meter| {
        let unit = if meter.packets { "packets" } else { "kbit" };
        format!("{} {unit} a second, {} at once", meter.rate, meter.burst)
    };
    let MeterDiff { set, delete } = diff_meters(installed, wanted, &OUR_METERS);
    let told = set.iter().chain(&delete).map(|change| {
        let planned = wanted.get(&change.id).map(shown);
        let found = installed.get(&change.id).map(|known| known.as_ref().map_or("other bands".to_owned(), shown));
        let how = match (&planned, &found) {
            (Some(_), Some(_)) => How::Different,
            (Some(_), None) => How::Missing,
            (None, _) => How::Unexpected,
        };
        let finding = Finding::new(Layer::Flow, bridge, how, format!("meter {}", change.id));
        Finding { planned, found, ..finding }.about(limited_port(change.id).and_then(&about))
    });
    told.collect()
}

/// What a switch holds once.
fn key(flow: &Flow) -> String {
    format!("table={}, priority={}, {}", flow.table, flow.priority, flow.matches)
}

/// The endpoint's address, and whom the switch knows behind it.
pub(super) async fn endpoint(plan: &HostPlan, rundir: &Path) -> Result<Vec<Finding>, AgentError> {
    let Some(endpoint) = &plan.endpoint else { return Ok(vec![]) };
    let mut findings = vec![];
    let links = Links::open(&Place::Host).await?;
    let device = endpoint.device.as_str();
    match links.get(device).await? {
        None => findings.push(Finding::missing(Layer::Tunnel, device, "device of the tunnel endpoint")),
        Some(link) => {
            if !link.up {
                findings.push(Finding::different(Layer::Tunnel, device, "device of the tunnel endpoint", "up", "down"));
            }
            let addresses = links.addresses().await?;
            if !addresses.get(&link.index).is_some_and(|held| held.contains(&endpoint.address)) {
                findings.push(Finding::missing(Layer::Tunnel, device, format!("address {}", endpoint.address)));
            }
            if let Some(mac) = endpoint.mac.filter(|mac| link.mac != *mac) {
                findings.push(Finding::different(Layer::Tunnel, device, "MAC address", mac, link.mac));
            }
        }
    }
    if !plan.tunnel_neighbours.is_empty() {
        let known = neighbours(&unixctl::run(rundir, "tnl/neigh/show", &[]).await?);
        for (address, mac) in &plan.tunnel_neighbours {
            let what = format!("neighbour {address}");
            match known.get(&(device.to_owned(), *address)) {
                Some(found) if found == mac => {}
                Some(found) => findings.push(Finding::different(Layer::Tunnel, device, what, mac, found)),
                None => findings.push(Finding::missing(Layer::Tunnel, device, format!("{what} at {mac}"))),
            }
        }
    }
    Ok(findings)
}

/// What `tnl/neigh/show` prints: a line of `ADDRESS MAC BRIDGE` each, under a heading; an address may be mapped into IPv6.
pub(crate) fn neighbours(text: &str) -> BTreeMap<(String, IpAddr), MacAddr> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let address: IpAddr = words.next()?.parse().ok()?;
        let mac = words.next()?.parse().ok()?;
        Some(((words.next()?.to_owned(), address.to_canonical()), mac))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovsdb::model::Database;
    use ovsdb::{Atom, Mutation, RowChange, RowUpdate, Update};

    #[test]
    fn a_patch_is_joined_when_its_other_end_is_there_whatever_the_switch_says_of_it() {
        let mut cache = Cache::new(Database::open_vswitch().schema().clone());
        let mut put = |number: u128, name: &str, ofport: i64, peer: &str| {
            let options = Value::map([("peer", peer)]);
            let columns: [(&str, Value); 5] = [
                ("name", name.into()),
                ("type", "patch".into()),
                ("ofport", ofport.into()),
                ("options", options),
                ("error", "No usable peer".into()),
            ];
            let row = columns.into_iter().map(|(column, value)| (column.to_owned(), value)).collect();
            let (table, uuid) = ("Interface".into(), Uuid::from_u128(number));
            let updates = vec![RowUpdate { table, uuid, change: RowChange::Set(row) }];
            cache.apply(Update { continues: true, last_transaction: None, updates }).unwrap();
            cache.interface("patch-tun").is_some_and(|patch| is_joined(&cache, patch))
        };
        assert!(!put(1, "patch-tun", 1, "patch-int"));
        assert!(!put(2, "patch-int", -1, "patch-tun"), "not opened");
        assert!(put(2, "patch-int", 1, "patch-tun"));
        assert!(!put(2, "patch-int", 1, "patch-other"), "another's peer");
        assert!(!put(2, "patch-other", 1, "patch-tun"));
    }

    #[test]
    fn what_a_bridge_shows_of_its_traffic_is_told_once_and_by_name() {
        let (bridge, mirror) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let names = Names([(bridge, "br-int".to_owned()), (mirror, "tmo-1".to_owned())].into());
        let told = |steps: &[Operation]| -> Vec<(How, String, String)> {
            let findings = steps.iter().flat_map(|step| names.told(step));
            findings.map(|finding| (finding.how, finding.place, finding.what)).collect()
        };
        let at = || vec![Condition::equal("_uuid", Atom::Uuid(bridge))];
        let row = |column: &str, value: Value| Row::from([(column.to_owned(), value)]);
        let made = |table: &str, row| Operation::Insert { table: table.into(), row, uuid_name: Some("new".into()) };
        let update = |row| Operation::Update { table: "Bridge".into(), conditions: at(), row };
        let mutate = |mutator, value: Value| Operation::Mutate {
            table: "Bridge".into(),
            conditions: at(),
            mutations: vec![Mutation::new("mirrors", mutator, value)],
        };
        let new = || Value::from(Atom::NamedUuid("new".into()));
        let of = |how, place: &str, what: &str| vec![(how, place.to_owned(), what.to_owned())];

        let exports = [made("sFlow", row("targets", "192.0.2.1:6343".into())), update(row("sflow", new()))];
        assert_eq!(told(&exports), of(How::Missing, "br-int", "sflow"));
        assert_eq!(told(&[update(row("netflow", Value::empty()))]), of(How::Unexpected, "br-int", "netflow"));
        let mirrors = [made("Mirror", row("name", "tmo-2".into())), mutate(Mutator::Insert, new())];
        assert_eq!(told(&mirrors), of(How::Missing, "tmo-2", "mirror"));
        let gone = mutate(Mutator::Delete, Value::set([Atom::Uuid(mirror)]));
        assert_eq!(told(&[gone]), of(How::Unexpected, "tmo-1", "mirror"));
    }

    #[test]
    fn neighbours_are_read_as_the_switch_prints_them() {
        let said = "IP                                            MAC                 Bridge\n\
                    ==========================================================================\n\
                    192.0.2.12                                    fa:16:3e:00:00:12   br-phys\n\
                    ::ffff:192.0.2.13                             fa:16:3e:00:00:13   br-phys\n";
        let known = neighbours(said);
        assert_eq!(known.len(), 2);
        assert_eq!(
            known.get(&("br-phys".to_owned(), "192.0.2.13".parse().unwrap())),
            Some(&MacAddr([0xfa, 0x16, 0x3e, 0, 0, 0x13]))
        );
    }
}

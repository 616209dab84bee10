//! The difference between what the database holds and what it should hold, as one transaction.
//!
//! ```text
//! for each desired bridge      missing: insert Bridge + Port + Interface of its own port, mutate Open_vSwitch:bridges
//!                              there:   update what differs
//! for each desired port        missing: insert Port + Interface, mutate Bridge:ports
//!                              there:   update what differs; moved, when it is ours and on another bridge
//! for each VLAN                update Port:tag and :trunks, mutate our keys of :other_config
//! for each mirror and export   missing: insert, mutate Bridge:mirrors or set Bridge:sflow, ...;  there: update what differs
//! ours and not desired         mutate it out of Open_vSwitch:bridges or Bridge:ports; the database collects the rest
//! anything at all              mutate Open_vSwitch:next_cfg += 1 and select it: what to wait for in :cur_cfg
//! ```
//! Maps and sets that others write to, too, are changed by mutations, so that a stale cache does not undo their work.
//! Laws, held by property tests: applied to the database that the cache shows, the transaction gives what is desired, and
//! then there is nothing left to do.

use crate::desired::PORT_CONFIG_KEYS;
use crate::{
    Atom, Bridge, Cache, Desired, DesiredBridge, DesiredPort, Interface, Mutation, Mutator, OpenVSwitch, Operation,
    Outcome, Port, PortVlan, Row, StringMap, Transaction, Value,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use uuid::Uuid;

/// What to do, and what cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What to send; none when everything is as desired.
    pub transaction: Option<Transaction>,
    /// What is desired but in the way of others.
    pub conflicts: Vec<Conflict>,
}

impl Plan {
    /// From what came of the transaction: the `next_cfg` that `cur_cfg` must reach for ovs-vswitchd to have put it into
    /// effect.
    pub fn next_cfg(outcomes: &[Outcome]) -> Option<i64> {
        match outcomes.last()? {
            Outcome::Rows(rows) => rows.first()?.get("next_cfg")?.as_i64(),
            _ => None,
        }
    }
}

/// Why a part of what is desired was left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conflict {
    /// The database was never initialised, or the cache not yet filled: nothing can be planned.
    NoSwitch,
    /// This bridge is missing and not ours to make.
    MissingBridge(String),
    /// This port is on another bridge and not ours to move.
    PortElsewhere {
        /// Port.
        port: String,
        /// Where it is desired.
        bridge: String,
    },
    /// Somebody else has the bridge tell collectors by this protocol (`sFlow`, `IPFIX`, `NetFlow`).
    ExportTaken {
        /// Bridge.
        bridge: String,
        /// Table.
        table: &'static str,
    },
    /// A port of this name would need the name of another port, interface or bridge.
    NameTaken(String),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSwitch => f.write_str("Open vSwitch's database is not initialised"),
            Self::MissingBridge(bridge) => write!(f, "the bridge {bridge} does not exist"),
            Self::PortElsewhere { port, bridge } => {
                write!(f, "the port {port} is wanted on {bridge} but somebody has put it on another bridge")
            }
            Self::ExportTaken { bridge, table } => {
                write!(f, "somebody else has set up {table} on {bridge}, and keeps it")
            }
            Self::NameTaken(name) => write!(f, "the name {name} is taken by another port or interface"),
        }
    }
}

/// What to do so that the database holds what is desired.
pub fn plan(cache: &Cache, desired: &Desired) -> Plan {
    let Some(switch) = cache.switch() else {
        return Plan { transaction: None, conflicts: vec![Conflict::NoSwitch] };
    };
    let has_unwanted = cache.bridges().any(|bridge| is_unwanted(desired, bridge));
    let mut planner = Planner {
        cache,
        desired,
        switch,
        steps: vec![],
        conflicts: vec![],
        names: 0,
        kept: BTreeSet::new(),
        has_unwanted,
        made: BTreeMap::new(),
    };
    planner.bridges();
    planner.vlans();
    planner.removals();
    let Planner { mut steps, conflicts, .. } = planner;
    if steps.is_empty() {
        return Plan { transaction: None, conflicts };
    }
    steps.insert(0, Operation::Comment(format!("{}={}", desired.owner.key, desired.owner.value)));
    steps.push(Operation::mutate("Open_vSwitch", switch.uuid, vec![Mutation::new("next_cfg", Mutator::Add, 1)]));
    // Last, where Plan::next_cfg looks for it.
    steps.push(Operation::select("Open_vSwitch", vec![crate::Condition::row(switch.uuid)], &["next_cfg"]));
    Plan { transaction: Some(steps.into_iter().collect()), conflicts }
}

struct Planner<'a> {
    cache: &'a Cache,
    desired: &'a Desired,
    switch: &'a OpenVSwitch,
    steps: Vec<Operation>,
    conflicts: Vec<Conflict>,
    /// How many `uuid-name`s are given.
    names: usize,
    /// Ports that are where they are desired, or will be.
    kept: BTreeSet<&'a str>,
    /// Whether a bridge goes.
    has_unwanted: bool,
    /// Ports that this transaction makes.
    made: BTreeMap<&'a str, Atom>,
}

impl<'a> Planner<'a> {
    fn bridges(&mut self) {
        let desired = self.desired;
        // Names of bridges are also names of their own ports.
        let mut taken: BTreeSet<&str> = desired.bridges.keys().map(String::as_str).collect();
        for (name, bridge) in &desired.bridges {
            let row = match self.cache.bridge(name) {
                Some(known) => {
                    self.change_bridge(known, bridge);
                    Atom::Uuid(known.uuid)
                }
                None if !bridge.create => {
                    self.conflicts.push(Conflict::MissingBridge(name.clone()));
                    continue;
                }
                None if self.cache.port(name).is_some() || self.cache.interface(name).is_some() => {
                    self.conflicts.push(Conflict::NameTaken(name.clone()));
                    continue;
                }
                None => self.make_bridge(name, bridge),
            };
            for (port, settings) in &bridge.ports {
                if !taken.insert(port) {
                    self.conflicts.push(Conflict::NameTaken(port.clone()));
                    continue;
                }
                self.port(name, &row, port, settings);
            }
            self.observers(name, &row, bridge);
        }
    }

    fn make_bridge(&mut self, name: &str, bridge: &DesiredBridge) -> Atom {
        let own = DesiredPort { kind: "internal".into(), mtu_request: bridge.mtu_request, ..DesiredPort::default() };
        // Its own port goes with the bridge and needs no mark.
        let port = self.make_port(name, &own, StringMap::new());
        let mut row: Row = Row::new();
        row.insert("name".into(), name.into());
        row.insert("ports".into(), port.into());
        row.insert("external_ids".into(), map(&self.desired.owner.mark()));
        set(&mut row, "datapath_type", bridge.datapath_type.as_deref());
        set(&mut row, "fail_mode", bridge.fail_mode.as_deref());
        if !bridge.protocols.is_empty() {
            row.insert("protocols".into(), Value::set(bridge.protocols.iter().map(String::as_str)));
        }
        if let Some(hwaddr) = &bridge.hwaddr {
            row.insert("other_config".into(), Value::map([("hwaddr", hwaddr.as_str())]));
        }
        let uuid = self.insert("Bridge", row);
        let mutation = Mutation::new("bridges", Mutator::Insert, uuid.clone());
        self.steps.push(Operation::mutate("Open_vSwitch", self.switch.uuid, vec![mutation]));
        uuid
    }

    fn change_bridge(&mut self, known: &'a Bridge, bridge: &DesiredBridge) {
        let mut row = Row::new();
        set_if(&mut row, "datapath_type", bridge.datapath_type.as_deref(), Some(&known.datapath_type));
        set_if(&mut row, "fail_mode", bridge.fail_mode.as_deref(), known.fail_mode.as_deref());
        if !bridge.protocols.is_empty() && bridge.protocols != known.protocols {
            row.insert("protocols".into(), Value::set(bridge.protocols.iter().map(String::as_str)));
        }
        self.update("Bridge", known.uuid, row);
        if let Some(hwaddr) = bridge.hwaddr.as_ref().filter(|wish| known.other_config.get("hwaddr") != Some(*wish)) {
            let wish = [("hwaddr".to_owned(), hwaddr.clone())].into();
            self.merge("Bridge", known.uuid, "other_config", &known.other_config, &wish, &[]);
        }
        if let (Some(own), Some(mtu)) = (self.cache.interface(&known.name), bridge.mtu_request)
            && own.mtu_request != Some(mtu)
        {
            self.update("Interface", own.uuid, [("mtu_request".to_owned(), mtu.into())].into());
        }
    }

    fn port(&mut self, bridge: &str, bridge_row: &Atom, name: &'a str, settings: &DesiredPort) {
        let Some(known) = self.cache.port(name) else {
            if self.cache.interface(name).is_some() {
                self.conflicts.push(Conflict::NameTaken(name.to_owned()));
                return;
            }
            self.kept.insert(name);
            let port = self.make_port(name, settings, self.desired.owner.mark());
            self.made.insert(name, port.clone());
            self.put_on(bridge_row, port);
            return;
        };
        let Some(interface) = self.cache.interfaces_of(known).find(|interface| interface.name == name) else {
            self.conflicts.push(Conflict::NameTaken(name.to_owned()));
            return;
        };
        let ours = self.desired.owner.owns(&known.external_ids);
        let at = self.cache.bridge_of(known);
        if at.is_none_or(|at| at.name != bridge) {
            if !ours {
                self.conflicts.push(Conflict::PortElsewhere { port: name.to_owned(), bridge: bridge.to_owned() });
                return;
            }
            if let Some(at) = at {
                let mutation = Mutation::new("ports", Mutator::Delete, known.uuid);
                self.steps.push(Operation::mutate("Bridge", at.uuid, vec![mutation]));
            }
            self.put_on(bridge_row, Atom::Uuid(known.uuid));
        }
        self.kept.insert(name);
        self.change_interface(interface, settings, ours);
    }

    fn make_port(&mut self, name: &str, settings: &DesiredPort, mark: StringMap) -> Atom {
        let mut row = Row::new();
        row.insert("name".into(), name.into());
        row.insert("type".into(), settings.kind.as_str().into());
        if !settings.options.is_empty() {
            row.insert("options".into(), map(&settings.options));
        }
        if !settings.bfd.is_empty() {
            row.insert("bfd".into(), map(&settings.bfd));
        }
        if !settings.external_ids.is_empty() {
            row.insert("external_ids".into(), map(&settings.external_ids));
        }
        set(&mut row, "mac", settings.mac.as_deref());
        if let Some(mtu) = settings.mtu_request {
            row.insert("mtu_request".into(), mtu.into());
        }
        let interface = self.insert("Interface", row);

        let mut row = Row::new();
        row.insert("name".into(), name.into());
        row.insert("interfaces".into(), interface.into());
        if !mark.is_empty() {
            row.insert("external_ids".into(), map(&mark));
        }
        if let Some(vlan) = self.desired.vlans.get(name) {
            if let Some(tag) = vlan.tag {
                row.insert("tag".into(), tag.into());
            }
            if !vlan.trunks.is_empty() {
                row.insert("trunks".into(), Value::set(vlan.trunks.iter().copied()));
            }
            if !vlan.other_config.is_empty() {
                row.insert("other_config".into(), map(&vlan.other_config));
            }
        }
        self.insert("Port", row)
    }

    fn change_interface(&mut self, known: &'a Interface, settings: &DesiredPort, ours: bool) {
        let mut row = Row::new();
        let plain = |kind: &str| if kind == "system" { String::new() } else { kind.to_owned() };
        if plain(&known.kind) != plain(&settings.kind) {
            row.insert("type".into(), settings.kind.as_str().into());
        }
        if known.options != settings.options {
            row.insert("options".into(), map(&settings.options));
        }
        if ours && known.bfd != settings.bfd {
            row.insert("bfd".into(), map(&settings.bfd));
        }
        if ours && known.external_ids != settings.external_ids {
            row.insert("external_ids".into(), map(&settings.external_ids));
        }
        set_if(&mut row, "mac", settings.mac.as_deref(), known.mac.as_deref());
        if let Some(mtu) = settings.mtu_request.filter(|mtu| known.mtu_request != Some(*mtu)) {
            row.insert("mtu_request".into(), mtu.into());
        }
        self.update("Interface", known.uuid, row);
        if !ours {
            let wish = &settings.external_ids;
            self.merge("Interface", known.uuid, "external_ids", &known.external_ids, wish, &[]);
        }
    }

    fn vlans(&mut self) {
        let desired = self.desired;
        for (name, vlan) in &desired.vlans {
            if let Some(known) = self.cache.port(name).filter(|known| !self.is_removed(known)) {
                self.vlan(known, vlan);
            }
        }
    }

    fn vlan(&mut self, known: &'a Port, vlan: &PortVlan) {
        let mut row = Row::new();
        if known.tag != vlan.tag {
            row.insert("tag".into(), vlan.tag.map_or_else(Value::empty, Value::from));
        }
        if known.trunks != vlan.trunks {
            row.insert("trunks".into(), Value::set(vlan.trunks.iter().copied()));
        }
        self.update("Port", known.uuid, row);
        self.merge("Port", known.uuid, "other_config", &known.other_config, &vlan.other_config, &PORT_CONFIG_KEYS);
    }

    fn removals(&mut self) {
        for bridge in self.cache.bridges() {
            if self.is_unwanted(bridge) {
                let mutation = Mutation::new("bridges", Mutator::Delete, bridge.uuid);
                self.steps.push(Operation::mutate("Open_vSwitch", self.switch.uuid, vec![mutation]));
                continue;
            }
            self.unobserve(bridge);
            let gone: Vec<_> = self
                .cache
                .ports_of(bridge)
                .filter(|port| self.is_stale(port, bridge))
                .map(|port| Atom::Uuid(port.uuid))
                .collect();
            if !gone.is_empty() {
                let mutation = Mutation::new("ports", Mutator::Delete, Value::set(gone));
                self.steps.push(Operation::mutate("Bridge", bridge.uuid, vec![mutation]));
            }
        }
    }

    fn is_unwanted(&self, bridge: &Bridge) -> bool {
        is_unwanted(self.desired, bridge)
    }

    /// A bridge's own port never goes before the bridge.
    fn is_stale(&self, port: &Port, bridge: &Bridge) -> bool {
        let ours = self.desired.owner.owns(&port.external_ids) && port.name != bridge.name;
        ours && !self.kept.contains(port.name.as_str())
    }

    fn is_removed(&self, port: &Port) -> bool {
        // Mostly it is neither ours nor on a bridge that goes, and need not be looked for.
        if self.kept.contains(port.name.as_str()) || !(self.has_unwanted || self.desired.owner.owns(&port.external_ids))
        {
            return false;
        }
        let bridge = self.cache.bridge_of(port);
        bridge.is_some_and(|bridge| self.is_unwanted(bridge) || self.is_stale(port, bridge))
    }

    fn put_on(&mut self, bridge: &Atom, port: Atom) {
        let mutations = vec![Mutation::new("ports", Mutator::Insert, port)];
        let conditions = vec![crate::Condition::equal("_uuid", bridge.clone())];
        self.steps.push(Operation::Mutate { table: "Bridge".into(), conditions, mutations });
    }

    fn insert(&mut self, table: &str, row: Row) -> Atom {
        self.names += 1;
        let name = format!("row{}", self.names);
        self.steps.push(Operation::insert(table, &name, row));
        Atom::NamedUuid(name)
    }

    fn update(&mut self, table: &str, uuid: Uuid, row: Row) {
        if !row.is_empty() {
            self.steps.push(Operation::update(table, uuid, row));
        }
    }

    /// Puts `wish` into a map that others write to, too, and takes out those of `ours` that are not wished.
    fn merge(&mut self, table: &str, uuid: Uuid, column: &str, known: &StringMap, wish: &StringMap, ours: &[&str]) {
        if known == wish {
            return;
        }
        let changed: Vec<_> = wish.iter().filter(|(key, value)| known.get(*key) != Some(*value)).collect();
        let stale = ours.iter().copied().filter(|key| known.contains_key(*key) && !wish.contains_key(*key));
        let replaced = changed.iter().map(|(key, _)| key.as_str()).filter(|key| known.contains_key(*key));
        let out: BTreeSet<_> = stale.chain(replaced).collect();
        let mut mutations = Vec::new();
        if !out.is_empty() {
            mutations.push(Mutation::delete_keys(column, out));
        }
        if !changed.is_empty() {
            let pairs = changed.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            mutations.push(Mutation::insert_pairs(column, pairs));
        }
        if !mutations.is_empty() {
            self.steps.push(Operation::mutate(table, uuid, mutations));
        }
    }
}

/// Whether it is ours, and goes.
fn is_unwanted(desired: &Desired, bridge: &Bridge) -> bool {
    desired.owner.owns(&bridge.external_ids) && !desired.bridges.contains_key(&bridge.name)
}

fn map(pairs: &StringMap) -> Value {
    Value::map(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

fn set(row: &mut Row, column: &str, wish: Option<&str>) {
    if let Some(wish) = wish {
        row.insert(column.to_owned(), wish.into());
    }
}

fn set_if(row: &mut Row, column: &str, wish: Option<&str>, known: Option<&str>) {
    set(row, column, wish.filter(|wish| known != Some(*wish)));
}

mod observers;

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

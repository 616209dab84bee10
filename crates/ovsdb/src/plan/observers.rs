//! What a bridge shows of its traffic: mirrors, and what it tells collectors (sFlow, IPFIX, NetFlow).
//!
//! Rows that bear the owner's mark are kept as desired and removed when they are not; those of others are left alone. Of each
//! protocol a bridge has room for one row only: where somebody else has taken it, that is a conflict.

use super::{Conflict, Planner, map};
use crate::{Atom, Bridge, DesiredBridge, DesiredMirror, ExportKind, Mirror, Mutation, Mutator, Operation, Row, Value};
use std::collections::BTreeSet;
use uuid::Uuid;

impl<'a> Planner<'a> {
    /// Makes and changes what a desired bridge shows.
    pub(super) fn observers(&mut self, name: &str, row: &Atom, bridge: &'a DesiredBridge) {
        let known = self.cache.bridge(name);
        for (mirror, wish) in &bridge.mirrors {
            self.mirror(known, row, mirror, wish);
        }
        for (kind, columns) in &bridge.exports {
            self.export(known, name, row, *kind, columns);
        }
    }

    /// Takes out what is ours and not desired.
    pub(super) fn unobserve(&mut self, bridge: &'a Bridge) {
        let wish = self.desired.bridges.get(&bridge.name);
        let wanted = |mirror: &&Mirror| wish.is_some_and(|wish| wish.mirrors.contains_key(&mirror.name));
        let stale: Vec<_> = self
            .cache
            .mirrors_of(bridge)
            .filter(|mirror| self.desired.owner.owns(&mirror.external_ids) && !wanted(mirror))
            .map(|mirror| Atom::Uuid(mirror.uuid))
            .collect();
        if !stale.is_empty() {
            let mutation = Mutation::new("mirrors", Mutator::Delete, Value::set(stale));
            self.steps.push(Operation::mutate("Bridge", bridge.uuid, vec![mutation]));
        }
        for kind in ExportKind::ALL {
            let unwanted = wish.is_none_or(|wish| !wish.exports.contains_key(&kind));
            if unwanted && self.cache.export_of(bridge, kind).is_some_and(|(_, columns)| self.is_our_export(columns)) {
                self.update("Bridge", bridge.uuid, [(kind.column().to_owned(), Value::empty())].into());
            }
        }
    }

    fn is_our_export(&self, columns: &Row) -> bool {
        columns.get("external_ids").is_some_and(|ids| self.desired.owner.owns(&ids.string_map()))
    }

    fn mirror(&mut self, bridge: Option<&'a Bridge>, row: &Atom, name: &'a str, wish: &'a DesiredMirror) {
        let Some(output) = self.row_of(&wish.output_port) else { return };
        let select = |planner: &Self, ports: &'a BTreeSet<String>| -> BTreeSet<Atom> {
            ports.iter().filter_map(|port| planner.row_of(port)).collect()
        };
        let (src, dst) = (select(self, &wish.select_src_port), select(self, &wish.select_dst_port));
        let ours = |mirror: &&Mirror| mirror.name == name && self.desired.owner.owns(&mirror.external_ids);
        let known = bridge.and_then(|bridge| self.cache.mirrors_of(bridge).find(ours));
        let held = |uuids: &BTreeSet<Uuid>| uuids.iter().map(|uuid| Atom::Uuid(*uuid)).collect::<BTreeSet<_>>();
        let mut columns = Row::new();
        if known.is_none_or(|known| known.output_port.map(Atom::Uuid).as_ref() != Some(&output)) {
            columns.insert("output_port".into(), output.into());
        }
        if known.map_or(!src.is_empty(), |known| held(&known.select_src_port) != src) {
            columns.insert("select_src_port".into(), Value::set(src));
        }
        if known.map_or(!dst.is_empty(), |known| held(&known.select_dst_port) != dst) {
            columns.insert("select_dst_port".into(), Value::set(dst));
        }
        if known.map_or(!wish.select_vlan.is_empty(), |known| known.select_vlan != wish.select_vlan) {
            columns.insert("select_vlan".into(), Value::set(wish.select_vlan.iter().copied()));
        }
        if let Some(known) = known {
            self.update("Mirror", known.uuid, columns);
            return;
        }
        columns.insert("name".into(), name.into());
        columns.insert("external_ids".into(), map(&self.desired.owner.mark()));
        let mirror = self.insert("Mirror", columns);
        self.on_bridge(row, vec![Mutation::new("mirrors", Mutator::Insert, mirror)]);
    }

    /// A port that is there, or that this transaction makes.
    fn row_of(&self, port: &str) -> Option<Atom> {
        let known = || self.cache.port(port).filter(|known| !self.is_removed(known));
        self.made.get(port).cloned().or_else(|| known().map(|known| Atom::Uuid(known.uuid)))
    }

    fn export(&mut self, bridge: Option<&'a Bridge>, name: &str, row: &Atom, kind: ExportKind, wish: &Row) {
        if let Some((uuid, held)) = bridge.and_then(|bridge| self.cache.export_of(bridge, kind)) {
            if !self.is_our_export(held) {
                self.conflicts.push(Conflict::ExportTaken { bridge: name.to_owned(), table: kind.table() });
                return;
            }
            let differs =
                |(column, value): &(&String, &Value)| held.get(*column).cloned().unwrap_or_default() != **value;
            let changed = wish.iter().filter(differs).map(|(column, value)| (column.clone(), value.clone()));
            self.update(kind.table(), uuid, changed.collect());
            return;
        }
        let mut columns = wish.clone();
        columns.insert("external_ids".into(), map(&self.desired.owner.mark()));
        let export = self.insert(kind.table(), columns);
        let (table, conditions) = ("Bridge".into(), vec![crate::Condition::equal("_uuid", row.clone())]);
        let row = [(kind.column().to_owned(), export.into())].into();
        self.steps.push(Operation::Update { table, conditions, row });
    }

    fn on_bridge(&mut self, bridge: &Atom, mutations: Vec<Mutation>) {
        let conditions = vec![crate::Condition::equal("_uuid", bridge.clone())];
        self.steps.push(Operation::Mutate { table: "Bridge".into(), conditions, mutations });
    }
}

//! A local copy of Open vSwitch's database, kept by a monitor's updates.
//!
//! Cloning is cheap (tables are shared until one changes), so that readers can hold a snapshot while updates go on.

use crate::desired::ExportKind;
use crate::rows::TypedRow;
use crate::{
    Bridge, Error, Export, Interface, Ipfix, Mirror, NetFlow, OpenVSwitch, Port, Row, RowChange, RowUpdate, SFlow,
    Schema, TableName, Update, Value,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// A local copy of the database.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    schema: Arc<Schema>,
    switch: Table<OpenVSwitch>,
    bridges: Table<Bridge>,
    ports: Table<Port>,
    interfaces: Table<Interface>,
    mirrors: Table<Mirror>,
    sflow: Table<SFlow>,
    ipfix: Table<Ipfix>,
    netflow: Table<NetFlow>,
    last_transaction: Option<Uuid>,
}

/// That a row came, changed or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Table.
    pub table: TableName,
    /// Row.
    pub uuid: Uuid,
    /// Its name; that of the row of the switch itself is empty.
    pub name: String,
    /// Which of the three.
    pub kind: ChangeKind,
}

/// Whether a row came, changed or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Inserted,
    /// Something in it that we look at is different.
    Modified,
    /// It is gone.
    Deleted,
}

impl Cache {
    /// An empty copy of a database of this schema, which says how to read differences.
    pub fn new(schema: Schema) -> Self {
        Self { schema: Arc::new(schema), ..Self::default() }
    }

    /// Takes an update, or the first answer to a monitor; what came of it. If it does not continue what is here (after a
    /// new connection), it replaces it, and rows that it does not tell of are gone. An update that cannot be taken is
    /// not half taken, and means that the copy must be made anew.
    pub fn apply(&mut self, update: Update) -> Result<Vec<Change>, Error> {
        let mut next = self.clone();
        let mut changes = Vec::new();
        if !update.continues {
            let told: BTreeSet<_> = update.updates.iter().map(|row| row.uuid).collect();
            next.switch.retain(&told, &mut changes);
            next.bridges.retain(&told, &mut changes);
            next.ports.retain(&told, &mut changes);
            next.interfaces.retain(&told, &mut changes);
            next.mirrors.retain(&told, &mut changes);
            next.sflow.retain(&told, &mut changes);
            next.ipfix.retain(&told, &mut changes);
            next.netflow.retain(&told, &mut changes);
        }
        for row in update.updates {
            let schema = Arc::clone(&next.schema);
            match row.table.as_str() {
                "Open_vSwitch" => next.switch.apply(&schema, row, &mut changes)?,
                "Bridge" => next.bridges.apply(&schema, row, &mut changes)?,
                "Port" => next.ports.apply(&schema, row, &mut changes)?,
                "Interface" => next.interfaces.apply(&schema, row, &mut changes)?,
                "Mirror" => next.mirrors.apply(&schema, row, &mut changes)?,
                "sFlow" => next.sflow.apply(&schema, row, &mut changes)?,
                "IPFIX" => next.ipfix.apply(&schema, row, &mut changes)?,
                "NetFlow" => next.netflow.apply(&schema, row, &mut changes)?,
                _ => {}
            }
        }
        if update.last_transaction.is_some() || !update.continues {
            next.last_transaction = update.last_transaction;
        }
        *self = next;
        Ok(changes)
    }

    /// How its tables are made; of [`Cache::default`], not at all.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The transaction up to which it is complete, for `monitor_cond_since`.
    pub fn last_transaction(&self) -> Option<Uuid> {
        self.last_transaction
    }

    /// The switch itself; none before the first answer, or in a database that was never initialised.
    pub fn switch(&self) -> Option<&OpenVSwitch> {
        self.switch.iter().next()
    }

    /// A bridge by name.
    pub fn bridge(&self, name: &str) -> Option<&Bridge> {
        self.bridges.named(name)
    }

    /// A port by name.
    pub fn port(&self, name: &str) -> Option<&Port> {
        self.ports.named(name)
    }

    /// An interface by name.
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.named(name)
    }

    /// All bridges, in no useful order.
    pub fn bridges(&self) -> impl Iterator<Item = &Bridge> {
        self.bridges.iter()
    }

    /// All ports of all bridges, in no useful order.
    pub fn ports(&self) -> impl Iterator<Item = &Port> {
        self.ports.iter()
    }

    /// All interfaces, in no useful order.
    pub fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.iter()
    }

    /// The ports of a bridge.
    pub fn ports_of<'a>(&'a self, bridge: &'a Bridge) -> impl Iterator<Item = &'a Port> {
        bridge.ports.iter().filter_map(|uuid| self.ports.get(*uuid))
    }

    /// The interfaces of a port.
    pub fn interfaces_of<'a>(&'a self, port: &'a Port) -> impl Iterator<Item = &'a Interface> {
        port.interfaces.iter().filter_map(|uuid| self.interfaces.get(*uuid))
    }

    /// The mirrors of a bridge.
    pub fn mirrors_of<'a>(&'a self, bridge: &'a Bridge) -> impl Iterator<Item = &'a Mirror> {
        bridge.mirrors.iter().filter_map(|uuid| self.mirrors.get(*uuid))
    }

    /// What a bridge tells collectors by one of the three protocols: the row and its columns.
    pub fn export_of(&self, bridge: &Bridge, kind: ExportKind) -> Option<(Uuid, &Row)> {
        fn of<T: Export>(table: &Table<T>, uuid: Option<Uuid>) -> Option<(Uuid, &Row)> {
            table.get(uuid?).map(|row| (row.uuid(), row.columns()))
        }
        match kind {
            ExportKind::SFlow => of(&self.sflow, bridge.sflow),
            ExportKind::Ipfix => of(&self.ipfix, bridge.ipfix),
            ExportKind::NetFlow => of(&self.netflow, bridge.netflow),
        }
    }

    /// Whether bridges, ports, interfaces and what bridges show are the very rows of another copy, so that only the switch's own row (counters,
    /// mostly) may differ. May deny it of equal ones that were told anew.
    pub fn shares_rows_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bridges.rows, &other.bridges.rows)
            && Arc::ptr_eq(&self.ports.rows, &other.ports.rows)
            && Arc::ptr_eq(&self.interfaces.rows, &other.interfaces.rows)
            && Arc::ptr_eq(&self.mirrors.rows, &other.mirrors.rows)
            && Arc::ptr_eq(&self.sflow.rows, &other.sflow.rows)
            && Arc::ptr_eq(&self.ipfix.rows, &other.ipfix.rows)
            && Arc::ptr_eq(&self.netflow.rows, &other.netflow.rows)
    }

    /// The bridge that a port is on.
    pub fn bridge_of(&self, port: &Port) -> Option<&Bridge> {
        self.bridges.iter().find(|bridge| bridge.ports.contains(&port.uuid))
    }
}

#[derive(Debug, Clone)]
struct Table<T> {
    rows: Arc<BTreeMap<Uuid, Arc<Entry<T>>>>,
    names: Arc<BTreeMap<String, Uuid>>,
}

#[derive(Debug)]
struct Entry<T> {
    row: Row,
    typed: T,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: Arc::default(), names: Arc::default() }
    }
}

impl<T: TypedRow> Table<T> {
    fn get(&self, uuid: Uuid) -> Option<&T> {
        self.rows.get(&uuid).map(|entry| &entry.typed)
    }

    fn named(&self, name: &str) -> Option<&T> {
        self.get(*self.names.get(name)?)
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.rows.values().map(|entry| &entry.typed)
    }

    fn retain(&mut self, told: &BTreeSet<Uuid>, changes: &mut Vec<Change>) {
        let gone: Vec<_> = self.rows.keys().copied().filter(|uuid| !told.contains(uuid)).collect();
        for uuid in gone {
            self.remove(uuid, changes);
        }
    }

    fn apply(&mut self, schema: &Schema, update: RowUpdate, changes: &mut Vec<Change>) -> Result<(), Error> {
        let uuid = update.uuid;
        let row = match update.change {
            RowChange::Deleted => {
                self.remove(uuid, changes);
                return Ok(());
            }
            RowChange::Set(row) => row,
            RowChange::Difference(difference) => {
                let known = self.rows.get(&uuid).map(|entry| entry.row.clone());
                let mut row = known.ok_or(Error::Message { reason: "a difference to a row that is not known" })?;
                for (column, change) in difference {
                    let composite = schema.column(T::TABLE.as_str(), &column).is_some_and(|known| known.composite);
                    let held = row.entry(column).or_default();
                    *held = if composite { change_value(std::mem::take(held), change) } else { change };
                }
                row
            }
        };
        let typed = T::from_row(uuid, &row);
        let change = |kind| Change { table: T::TABLE, uuid, name: typed.name().to_owned(), kind };
        match self.rows.get(&uuid) {
            Some(known) if known.typed == typed => {}
            Some(known) => {
                changes.push(change(ChangeKind::Modified));
                if known.typed.name() != typed.name() {
                    let old = known.typed.name().to_owned();
                    self.forget_name(&old, uuid);
                }
            }
            None => changes.push(change(ChangeKind::Inserted)),
        }
        if self.names.get(typed.name()) != Some(&uuid) {
            Arc::make_mut(&mut self.names).insert(typed.name().to_owned(), uuid);
        }
        Arc::make_mut(&mut self.rows).insert(uuid, Arc::new(Entry { row, typed }));
        Ok(())
    }

    fn remove(&mut self, uuid: Uuid, changes: &mut Vec<Change>) {
        if let Some(gone) = Arc::make_mut(&mut self.rows).remove(&uuid) {
            let name = gone.typed.name().to_owned();
            self.forget_name(&name, uuid);
            changes.push(Change { table: T::TABLE, uuid, name, kind: ChangeKind::Deleted });
        }
    }

    /// A row that was deleted and made anew in one transaction may already have the name.
    fn forget_name(&mut self, name: &str, uuid: Uuid) {
        if self.names.get(name) == Some(&uuid) {
            Arc::make_mut(&mut self.names).remove(name);
        }
    }
}

/// What a column holds after a difference: see [`RowChange::Difference`].
fn change_value(held: Value, change: Value) -> Value {
    match (held, change) {
        (Value::Set(held), Value::Set(change)) => Value::Set(held.symmetric_difference(&change).cloned().collect()),
        (Value::Map(mut held), Value::Map(change)) => {
            for (key, value) in change {
                if held.get(&key) == Some(&value) {
                    held.remove(&key);
                } else {
                    held.insert(key, value);
                }
            }
            Value::Map(held)
        }
        // Which of the two an empty column is, only the schema knows; the change does, too.
        (_, change) => change,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Database;
    use ChangeKind::{Deleted, Inserted, Modified};

    const ROW: Uuid = Uuid::from_u128(7);

    fn update(change: RowChange) -> Update {
        let updates = vec![RowUpdate { table: "Port".into(), uuid: ROW, change }];
        Update { continues: true, last_transaction: None, updates }
    }

    fn row(columns: &[(&str, Value)]) -> Row {
        columns.iter().map(|(column, value)| ((*column).to_owned(), value.clone())).collect()
    }

    fn cache() -> Cache {
        Cache::new(Database::open_vswitch().schema().clone())
    }

    #[test]
    fn changes_are_told_once_and_only_when_they_are_some() {
        let mut cache = cache();
        let mut kinds = |change| {
            let changes = cache.apply(update(change)).unwrap();
            changes.into_iter().map(|change| (change.name, change.kind)).collect::<Vec<_>>()
        };
        let name = |name: &str| ("name", Value::from(name));
        assert_eq!(kinds(RowChange::Set(row(&[name("tap1")]))), [("tap1".to_owned(), Inserted)]);
        assert_eq!(kinds(RowChange::Set(row(&[name("tap1")]))), []);
        assert_eq!(kinds(RowChange::Difference(row(&[("tag", 7.into())]))), [("tap1".to_owned(), Modified)]);
        // A column that nobody looks at.
        assert_eq!(kinds(RowChange::Difference(row(&[("statistics", Value::map([("x", 1)]))]))), []);
        assert_eq!(kinds(RowChange::Deleted), [("tap1".to_owned(), Deleted)]);
        assert_eq!(kinds(RowChange::Deleted), []);
    }

    #[test]
    fn counters_leave_rows_shared_and_changes_of_rows_do_not() {
        let mut cache = cache();
        cache.apply(update(RowChange::Set(row(&[("name", "tap1".into())])))).unwrap();
        let before = cache.clone();
        let counters = RowChange::Set(row(&[("next_cfg", 7.into())]));
        let updates = vec![RowUpdate { table: "Open_vSwitch".into(), uuid: Uuid::from_u128(1), change: counters }];
        cache.apply(Update { continues: true, last_transaction: None, updates }).unwrap();
        assert!(cache.shares_rows_with(&before) && cache.switch().unwrap().next_cfg == 7);
        cache.apply(update(RowChange::Difference(row(&[("tag", 7.into())])))).unwrap();
        assert!(!cache.shares_rows_with(&before));
        assert_eq!((before.port("tap1").unwrap().tag, cache.port("tap1").unwrap().tag), (None, Some(7)));
    }

    #[test]
    fn differences_of_sets_maps_and_optional_columns() {
        let mut cache = cache();
        let first = row(&[
            ("name", "tap1".into()),
            ("tag", 1.into()),
            ("trunks", Value::set([1, 2])),
            ("other_config", Value::map([("a", "1"), ("b", "2")])),
        ]);
        let difference = row(&[
            ("tag", Value::empty()),
            ("trunks", Value::set([2, 3])),
            ("other_config", Value::map([("a", "1"), ("b", "3"), ("c", "4")])),
            ("external_ids", Value::map([("x", "y")])),
        ]);
        cache.apply(update(RowChange::Set(first))).unwrap();
        cache.apply(update(RowChange::Difference(difference))).unwrap();
        let port = cache.port("tap1").unwrap();
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!((port.tag, &port.trunks), (None, &[1, 3].into()));
        assert_eq!((&port.other_config, &port.external_ids), (&map(&[("b", "3"), ("c", "4")]), &map(&[("x", "y")])));
    }

    #[test]
    fn an_update_is_taken_whole_or_not_at_all() {
        let mut cache = cache();
        let mut two = update(RowChange::Set(row(&[("name", "tap1".into())])));
        let unknown =
            RowUpdate { uuid: Uuid::from_u128(8), change: RowChange::Difference(Row::new()), ..two.updates[0].clone() };
        two.updates.push(unknown);
        assert!(cache.apply(two).is_err());
        assert!(cache.port("tap1").is_none());
    }

    /// A port that is deleted and made anew in one transaction keeps its name, whichever row is told first.
    #[test]
    fn a_name_may_pass_from_one_row_to_another() {
        for new in [Uuid::from_u128(1), Uuid::from_u128(9)] {
            let mut cache = cache();
            cache.apply(update(RowChange::Set(row(&[("name", "tap1".into())])))).unwrap();
            let mut both = update(RowChange::Deleted);
            let change = RowChange::Set(row(&[("name", "tap1".into())]));
            both.updates.push(RowUpdate { uuid: new, change, ..both.updates[0].clone() });
            both.updates.sort_by_key(|row| row.uuid);
            cache.apply(both).unwrap();
            assert_eq!(cache.port("tap1").unwrap().uuid, new);
        }
    }
}

//! A database server as a value: executes transactions as ovsdb-server does, in memory.
//!
//! The model that the planner's laws are tested against, and what a fake server answers with. It knows what transactions
//! of this crate need: strong references and their garbage collection, unique names, named UUIDs, differences. It does
//! not know types, ranges, weak references or locks, and a `wait` never waits.

use crate::{
    Atom, Column, Condition, Mutation, Mutator, Operation, Row, RowChange, RowUpdate, Schema, Table, Transaction,
    Update, Value,
};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

type Rows = BTreeMap<String, BTreeMap<Uuid, Row>>;

/// A database.
#[derive(Debug, Clone)]
pub struct Database {
    schema: Schema,
    tables: Rows,
    /// The last UUID given; the next one is one more.
    last: u128,
}

impl Database {
    /// An empty database of Open vSwitch: one row in the table `Open_vSwitch`.
    pub fn open_vswitch() -> Self {
        let mut database = Self { schema: schema(), tables: Rows::new(), last: 0 };
        let uuid = database.new_uuid();
        database.tables.entry("Open_vSwitch".into()).or_default().insert(uuid, Row::new());
        database
    }

    /// Its schema, as far as the model knows it.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Everything, as the first answer to a monitor.
    pub fn snapshot(&self) -> Update {
        let updates = self.tables.iter().flat_map(|(table, rows)| {
            rows.iter().map(|(uuid, row)| RowUpdate {
                table: table.clone(),
                uuid: *uuid,
                change: RowChange::Set(row.clone()),
            })
        });
        Update { continues: false, last_transaction: None, updates: updates.collect() }
    }

    /// Executes a transaction: what the server would answer, and what monitors would be told. After an error, nothing has
    /// changed.
    pub fn transact(&mut self, transaction: &Transaction) -> (Json, Update) {
        let mut next = self.clone();
        let mut results = Vec::new();
        let operations = transaction.operations();
        let nothing = Update { continues: true, last_transaction: None, updates: vec![] };
        let names: BTreeMap<_, _> = operations
            .iter()
            .filter_map(|operation| match operation {
                Operation::Insert { uuid_name: Some(name), .. } => Some((name.clone(), next.new_uuid())),
                _ => None,
            })
            .collect();
        for operation in operations {
            match next.execute(operation, &names) {
                Ok(result) => results.push(result),
                Err((error, details)) => {
                    results.push(json!({"error": error, "details": details}));
                    results.resize(operations.len(), Json::Null);
                    return (results.into(), nothing);
                }
            }
        }
        if let Err((error, details)) = next.commit() {
            results.push(json!({"error": error, "details": details}));
            return (results.into(), nothing);
        }
        let updates = self.difference(&next);
        *self = next;
        (results.into(), Update { updates, ..nothing })
    }

    fn new_uuid(&mut self) -> Uuid {
        self.last += 1;
        Uuid::from_u128(self.last)
    }

    fn execute(&mut self, operation: &Operation, names: &BTreeMap<String, Uuid>) -> Result<Json, Refusal> {
        match operation {
            Operation::Insert { table, row, uuid_name } => {
                let named = uuid_name.as_ref().and_then(|name| names.get(name)).copied();
                let uuid = named.unwrap_or_else(|| self.new_uuid());
                let row = self.resolve_row(table, row, names)?;
                self.tables.entry(table.clone()).or_default().insert(uuid, row);
                Ok(json!({"uuid": ["uuid", uuid.to_string()]}))
            }
            Operation::Select { table, conditions, columns } => {
                let rows: Vec<_> = self
                    .matching(table, conditions, names)?
                    .into_iter()
                    .filter_map(|uuid| Some((uuid, self.tables.get(table)?.get(&uuid)?)))
                    .map(|(uuid, row)| self.select(table, uuid, row, columns.as_deref()))
                    .collect();
                Ok(json!({"rows": rows}))
            }
            Operation::Update { table, conditions, row } => {
                let row = self.resolve_row(table, row, names)?;
                self.change(table, conditions, names, |held| held.extend(row.clone()))
            }
            Operation::Mutate { table, conditions, mutations } => {
                let mutations: Vec<_> = mutations
                    .iter()
                    .map(|mutation| {
                        let kind = self.known_column(table, &mutation.column)?;
                        let value = resolve(&mutation.value, names)?;
                        Ok((kind, Mutation { value, ..mutation.clone() }))
                    })
                    .collect::<Result<_, Refusal>>()?;
                self.change(table, conditions, names, |held| {
                    for (kind, mutation) in &mutations {
                        mutate(held.entry(mutation.column.clone()).or_default(), kind, mutation);
                    }
                })
            }
            Operation::Delete { table, conditions } => {
                let gone = self.matching(table, conditions, names)?;
                if let Some(rows) = self.tables.get_mut(table) {
                    rows.retain(|uuid, _| !gone.contains(uuid));
                }
                Ok(json!({"count": gone.len()}))
            }
            Operation::Wait { table, conditions, columns, equal, rows, .. } => {
                let held: BTreeSet<Row> = self
                    .matching(table, conditions, names)?
                    .iter()
                    .filter_map(|uuid| self.tables.get(table)?.get(uuid))
                    .map(|row| columns.iter().map(|column| (column.clone(), value_of(row, column))).collect())
                    .collect();
                let given: BTreeSet<Row> = rows.iter().cloned().collect();
                if (held == given) == *equal { Ok(json!({})) } else { Err(("timed out", String::new())) }
            }
            Operation::Comment(_) => Ok(json!({})),
            Operation::Assert { lock } => Err(("not owner", format!("nobody holds {lock}"))),
        }
    }

    fn select(&self, table: &str, uuid: Uuid, row: &Row, columns: Option<&[String]>) -> Json {
        let wanted = |column: &str| columns.is_none_or(|columns| columns.iter().any(|wish| wish == column));
        let known = self.schema.tables.get(table).into_iter().flat_map(|table| table.columns.keys());
        let mut json: Map<String, Json> = known
            .filter(|column| wanted(column))
            .map(|column| (column.clone(), value_of(row, column).to_json()))
            .collect();
        if wanted("_uuid") {
            json.insert("_uuid".into(), Value::from(uuid).to_json());
        }
        json.into()
    }

    fn change(
        &mut self,
        table: &str,
        conditions: &[Condition],
        names: &BTreeMap<String, Uuid>,
        change: impl Fn(&mut Row),
    ) -> Result<Json, Refusal> {
        let meant = self.matching(table, conditions, names)?;
        for (_, row) in
            self.tables.entry(table.to_owned()).or_default().iter_mut().filter(|(uuid, _)| meant.contains(*uuid))
        {
            change(row);
        }
        Ok(json!({"count": meant.len()}))
    }

    fn matching(
        &self,
        table: &str,
        conditions: &[Condition],
        names: &BTreeMap<String, Uuid>,
    ) -> Result<BTreeSet<Uuid>, Refusal> {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|condition| Ok((condition, resolve(&condition.value, names)?)))
            .collect::<Result<_, Refusal>>()?;
        let holds = |uuid: Uuid, row: &Row| {
            conditions.iter().all(|(condition, given)| {
                let held = if condition.column == "_uuid" { uuid.into() } else { value_of(row, &condition.column) };
                condition.function.holds(&held, given)
            })
        };
        let rows = self.tables.get(table).into_iter().flatten();
        Ok(rows.filter(|(uuid, row)| holds(**uuid, row)).map(|(uuid, _)| *uuid).collect())
    }

    fn known_column(&self, table: &str, column: &str) -> Result<Column, Refusal> {
        let known = self.schema.column(table, column).cloned();
        known.ok_or_else(|| ("unknown column", format!("no column {column} in table {table}")))
    }

    fn resolve_row(&self, table: &str, row: &Row, names: &BTreeMap<String, Uuid>) -> Result<Row, Refusal> {
        row.iter()
            .map(|(column, value)| {
                self.known_column(table, column)?;
                Ok((column.clone(), resolve(value, names)?))
            })
            .collect()
    }

    /// Collects rows that nothing keeps, then checks that every reference leads somewhere and names are unique.
    fn commit(&mut self) -> Result<(), Refusal> {
        loop {
            let kept = self.references();
            let mut collected = false;
            for (name, rows) in &mut self.tables {
                let root = self.schema.tables.get(name).is_some_and(|table| table.root);
                let before = rows.len();
                rows.retain(|uuid, _| root || kept.contains(&(name.clone(), *uuid)));
                collected |= rows.len() < before;
            }
            if !collected {
                break;
            }
        }
        for (table, uuid) in self.references() {
            if !self.tables.get(&table).is_some_and(|rows| rows.contains_key(&uuid)) {
                return Err(("referential integrity violation", format!("no row {uuid} in table {table}")));
            }
        }
        // Mirrors may share a name, on one bridge even.
        for (table, rows) in self.tables.iter().filter(|(table, _)| *table != "Mirror") {
            let mut names = BTreeSet::new();
            for name in rows.values().filter_map(|row| row.get("name")) {
                if !names.insert(name) {
                    return Err(("constraint violation", format!("two rows in table {table} have the name {name:?}")));
                }
            }
        }
        Ok(())
    }

    /// Rows that are strongly referred to.
    fn references(&self) -> BTreeSet<(String, Uuid)> {
        let mut found = BTreeSet::new();
        for (name, rows) in &self.tables {
            let columns = self.schema.tables.get(name).into_iter().flat_map(|table| &table.columns);
            for (column, to) in columns.filter_map(|(name, column)| Some((name, column.keeps.as_ref()?))) {
                for row in rows.values() {
                    found.extend(value_of(row, column).uuids().into_iter().map(|uuid| (to.clone(), uuid)));
                }
            }
        }
        found
    }

    fn difference(&self, next: &Self) -> Vec<RowUpdate> {
        let none = BTreeMap::new();
        let mut updates = Vec::new();
        let tables: BTreeSet<_> = self.tables.keys().chain(next.tables.keys()).collect();
        for table in tables {
            let (old, new) = (self.tables.get(table).unwrap_or(&none), next.tables.get(table).unwrap_or(&none));
            let uuids: BTreeSet<_> = old.keys().chain(new.keys()).copied().collect();
            for uuid in uuids {
                let change = match (old.get(&uuid), new.get(&uuid)) {
                    (Some(old), Some(new)) if old != new => RowChange::Difference(self.row_difference(table, old, new)),
                    (None, Some(new)) => RowChange::Set(new.clone()),
                    (Some(_), None) => RowChange::Deleted,
                    _ => continue,
                };
                updates.push(RowUpdate { table: table.clone(), uuid, change });
            }
        }
        updates
    }

    fn row_difference(&self, table: &str, old: &Row, new: &Row) -> Row {
        let columns: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        columns
            .into_iter()
            .map(|column| (column, value_of(old, column), value_of(new, column)))
            .filter(|(_, old, new)| old != new)
            .map(|(column, old, new)| {
                let composite = self.schema.column(table, column).is_some_and(|column| column.composite);
                (column.clone(), if composite { value_difference(&old, &new) } else { new })
            })
            .collect()
    }
}

type Refusal = (&'static str, String);

fn value_of(row: &Row, column: &str) -> Value {
    row.get(column).cloned().unwrap_or_default()
}

fn resolve(value: &Value, names: &BTreeMap<String, Uuid>) -> Result<Value, Refusal> {
    let atom = |atom: &Atom| match atom {
        Atom::NamedUuid(name) => match names.get(name) {
            Some(uuid) => Ok(Atom::Uuid(*uuid)),
            None => Err(("syntax error", format!("nobody is called {name}"))),
        },
        other => Ok(other.clone()),
    };
    Ok(match value {
        Value::Set(atoms) => Value::Set(atoms.iter().map(atom).collect::<Result<_, _>>()?),
        Value::Map(pairs) => {
            Value::Map(pairs.iter().map(|(key, value)| Ok((atom(key)?, atom(value)?))).collect::<Result<_, Refusal>>()?)
        }
    })
}

fn mutate(held: &mut Value, column: &Column, mutation: &Mutation) {
    if column.map && matches!(held, Value::Set(_)) {
        *held = Value::Map(BTreeMap::new());
    }
    match (held, mutation.mutator, &mutation.value) {
        (Value::Set(held), Mutator::Insert, Value::Set(more)) => held.extend(more.iter().cloned()),
        (Value::Set(held), Mutator::Delete, Value::Set(less)) => held.retain(|atom| !less.contains(atom)),
        (Value::Map(held), Mutator::Insert, Value::Map(more)) => {
            for (key, value) in more {
                held.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        (Value::Map(held), Mutator::Delete, Value::Set(keys)) => held.retain(|key, _| !keys.contains(key)),
        (Value::Map(held), Mutator::Delete, Value::Map(pairs)) => {
            held.retain(|key, value| pairs.get(key) != Some(value));
        }
        (held, mutator, operand) => {
            let (number, operand) = (held.as_i64().unwrap_or(0), operand.as_i64().unwrap_or(0));
            let result = match mutator {
                Mutator::Add => number.checked_add(operand),
                Mutator::Subtract => number.checked_sub(operand),
                Mutator::Multiply => number.checked_mul(operand),
                Mutator::Divide => number.checked_div(operand),
                Mutator::Modulo => number.checked_rem(operand),
                Mutator::Insert | Mutator::Delete => None,
            };
            *held = result.unwrap_or(number).into();
        }
    }
}

fn value_difference(old: &Value, new: &Value) -> Value {
    match (old, new) {
        (Value::Map(old), Value::Map(new)) => {
            let gone = old.iter().filter(|(key, _)| !new.contains_key(key));
            let come = new.iter().filter(|(key, value)| old.get(key) != Some(value));
            Value::Map(gone.chain(come).map(|(key, value)| (key.clone(), value.clone())).collect())
        }
        (Value::Set(old), Value::Set(new)) => Value::Set(old.symmetric_difference(new).cloned().collect()),
        // From or to an empty column that was never set.
        (Value::Set(empty), other) | (other, Value::Set(empty)) if empty.is_empty() => other.clone(),
        (_, new) => new.clone(),
    }
}

/// The part of Open vSwitch's schema that [`crate::COLUMNS`] names.
fn schema() -> Schema {
    const SETS: [&str; 12] = [
        "bridges",
        "ports",
        "interfaces",
        "protocols",
        "trunks",
        "datapath_types",
        "iface_types",
        "mirrors",
        "select_src_port",
        "select_dst_port",
        "select_vlan",
        "targets",
    ];
    const MAPS: [&str; 5] = ["external_ids", "other_config", "options", "bfd", "bfd_status"];
    let keeps = |column: &str| match column {
        "bridges" => Some("Bridge".to_owned()),
        "ports" => Some("Port".to_owned()),
        "interfaces" => Some("Interface".to_owned()),
        "mirrors" => Some("Mirror".to_owned()),
        "sflow" => Some("sFlow".to_owned()),
        "ipfix" => Some("IPFIX".to_owned()),
        "netflow" => Some("NetFlow".to_owned()),
        _ => None,
    };
    let column = |name: &&str| {
        let map = MAPS.contains(name);
        ((*name).to_owned(), Column { composite: map || SETS.contains(name), map, keeps: keeps(name) })
    };
    let table = |(name, columns): (&str, &[&str])| {
        (name.to_owned(), Table { root: name == "Open_vSwitch", columns: columns.iter().map(column).collect() })
    };
    Schema { tables: crate::COLUMNS.into_iter().map(table).collect() }
}

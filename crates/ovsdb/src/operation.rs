//! Operations of a transaction (RFC 7047, section 5.2).
//!
//! Operations are built by [`Operation`]'s constructors and sent as a [`Transaction`](crate::Transaction).

use crate::{Atom, Error, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;

/// `<row>`: columns and what they hold.
pub type Row = BTreeMap<String, Value>;

/// `<function>` of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `includes`: all of the given elements are there.
    Includes,
    /// `excludes`: none of the given elements is there.
    Excludes,
}

impl Function {
    const NAMES: [(Self, &'static str); 8] = [
        (Self::Equal, "=="),
        (Self::NotEqual, "!="),
        (Self::Less, "<"),
        (Self::LessOrEqual, "<="),
        (Self::Greater, ">"),
        (Self::GreaterOrEqual, ">="),
        (Self::Includes, "includes"),
        (Self::Excludes, "excludes"),
    ];

    fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(function, _)| *function)
    }

    /// Whether `held` meets it. Orders are only defined on numbers; of anything else they are false.
    pub fn holds(self, held: &Value, given: &Value) -> bool {
        let ordered = |test: fn(std::cmp::Ordering) -> bool| match (number(held), number(given)) {
            (Some(held), Some(given)) => test(held.total_cmp(&given)),
            _ => false,
        };
        let count_included = match (held, given) {
            (Value::Set(held), Value::Set(given)) => given.iter().filter(|atom| held.contains(atom)).count(),
            (Value::Map(held), Value::Map(given)) => {
                given.iter().filter(|(key, value)| held.get(key) == Some(value)).count()
            }
            _ => 0,
        };
        match self {
            Self::Equal => same(held, given),
            Self::NotEqual => !same(held, given),
            Self::Less => ordered(std::cmp::Ordering::is_lt),
            Self::LessOrEqual => ordered(std::cmp::Ordering::is_le),
            Self::Greater => ordered(std::cmp::Ordering::is_gt),
            Self::GreaterOrEqual => ordered(std::cmp::Ordering::is_ge),
            Self::Includes => count_included == length(given),
            Self::Excludes => count_included == 0,
        }
    }
}

/// Equal, where an empty map and an empty set are one: which it is only the schema knows.
fn same(one: &Value, other: &Value) -> bool {
    one == other || (length(one) == 0 && length(other) == 0)
}

fn length(value: &Value) -> usize {
    match value {
        Value::Set(atoms) => atoms.len(),
        Value::Map(pairs) => pairs.len(),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value.single()? {
        Atom::Integer(number) => Some(*number as f64),
        Atom::Real(real) => Some(real.0),
        _ => None,
    }
}

/// `<condition>`: what a column must hold for a row to be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Column, or `_uuid`.
    pub column: String,
    /// Comparison.
    pub function: Function,
    /// What it is compared with.
    pub value: Value,
}

impl Condition {
    /// The column compares so.
    pub fn new(column: &str, function: Function, value: impl Into<Value>) -> Self {
        Self { column: column.to_owned(), function, value: value.into() }
    }

    /// The column holds just this.
    pub fn equal(column: &str, value: impl Into<Value>) -> Self {
        Self::new(column, Function::Equal, value)
    }

    /// This row.
    pub fn row(uuid: Uuid) -> Self {
        Self::equal("_uuid", uuid)
    }

    fn to_json(&self) -> Json {
        let name =
            Function::NAMES.iter().find(|(function, _)| *function == self.function).map_or("==", |(_, name)| name);
        json!([self.column, name, self.value.to_json()])
    }

    fn from_json(json: &Json) -> Result<Self, Error> {
        match json.as_array().map(Vec::as_slice) {
            Some([Json::String(column), Json::String(function), value]) => {
                let function = Function::parse(function).ok_or_else(|| Error::parse("a condition", json))?;
                Ok(Self { column: column.clone(), function, value: Value::from_json(value)? })
            }
            _ => Err(Error::parse("a condition", json)),
        }
    }
}

/// `<mutator>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutator {
    /// `+=` on numbers.
    Add,
    /// `-=` on numbers.
    Subtract,
    /// `*=` on numbers.
    Multiply,
    /// `/=` on numbers.
    Divide,
    /// `%=` on integers.
    Modulo,
    /// `insert` elements; a key that a map has already keeps its value.
    Insert,
    /// `delete` elements; of a map by pairs, or by a set of keys.
    Delete,
}

impl Mutator {
    const NAMES: [(Self, &'static str); 7] = [
        (Self::Add, "+="),
        (Self::Subtract, "-="),
        (Self::Multiply, "*="),
        (Self::Divide, "/="),
        (Self::Modulo, "%="),
        (Self::Insert, "insert"),
        (Self::Delete, "delete"),
    ];
}

/// `<mutation>`: a change of a column that depends on what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// Column.
    pub column: String,
    /// What is done.
    pub mutator: Mutator,
    /// With what.
    pub value: Value,
}

impl Mutation {
    /// Changes the column so.
    pub fn new(column: &str, mutator: Mutator, value: impl Into<Value>) -> Self {
        Self { column: column.to_owned(), mutator, value: value.into() }
    }

    /// Takes keys out of a map.
    pub fn delete_keys<'a>(column: &str, keys: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(column, Mutator::Delete, Value::set(keys))
    }

    /// Puts pairs into a map; keys that are there must be deleted by a mutation before.
    pub fn insert_pairs<'a>(column: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::new(column, Mutator::Insert, Value::map(pairs))
    }

    fn to_json(&self) -> Json {
        let name =
            Mutator::NAMES.iter().find(|(mutator, _)| *mutator == self.mutator).map_or("insert", |(_, name)| name);
        json!([self.column, name, self.value.to_json()])
    }

    fn from_json(json: &Json) -> Result<Self, Error> {
        let wrong = || Error::parse("a mutation", json);
        match json.as_array().map(Vec::as_slice) {
            Some([Json::String(column), Json::String(name), value]) => {
                let mutator = Mutator::NAMES.iter().find(|(_, known)| known == name).ok_or_else(wrong)?.0;
                Ok(Self { column: column.clone(), mutator, value: Value::from_json(value)? })
            }
            _ => Err(wrong()),
        }
    }
}

/// `<operation>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Makes a row; columns that are not named get their defaults.
    Insert {
        /// Table.
        table: String,
        /// Columns.
        row: Row,
        /// By which other operations of the transaction refer to it ([`Atom::NamedUuid`]).
        uuid_name: Option<String>,
    },
    /// Reads rows.
    Select {
        /// Table.
        table: String,
        /// Which rows; all conditions must hold.
        conditions: Vec<Condition>,
        /// Which columns; none for all.
        columns: Option<Vec<String>>,
    },
    /// Sets columns of rows.
    Update {
        /// Table.
        table: String,
        /// Which rows.
        conditions: Vec<Condition>,
        /// Columns.
        row: Row,
    },
    /// Changes columns of rows.
    Mutate {
        /// Table.
        table: String,
        /// Which rows.
        conditions: Vec<Condition>,
        /// Changes, in order.
        mutations: Vec<Mutation>,
    },
    /// Deletes rows of a root table; others go when nothing refers to them.
    Delete {
        /// Table.
        table: String,
        /// Which rows.
        conditions: Vec<Condition>,
    },
    /// Fails with `timed out` unless the rows are as said.
    Wait {
        /// Milliseconds to wait for it; zero to fail at once.
        timeout: u64,
        /// Table.
        table: String,
        /// Which rows.
        conditions: Vec<Condition>,
        /// Which columns are compared.
        columns: Vec<String>,
        /// `==` or `!=`: whether the rows must, or must not, be these.
        equal: bool,
        /// The rows.
        rows: Vec<Row>,
    },
    /// Is written to the database's log.
    Comment(String),
    /// Fails unless the client holds this lock.
    Assert {
        /// Name of the lock.
        lock: String,
    },
}

impl Operation {
    /// Makes a row.
    pub fn insert(table: &str, uuid_name: &str, row: Row) -> Self {
        Self::Insert { table: table.to_owned(), row, uuid_name: Some(uuid_name.to_owned()) }
    }

    /// Reads columns of rows.
    pub fn select(table: &str, conditions: Vec<Condition>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        Self::Select { table: table.to_owned(), conditions, columns: Some(columns) }
    }

    /// Sets columns of a row.
    pub fn update(table: &str, uuid: Uuid, row: Row) -> Self {
        Self::Update { table: table.to_owned(), conditions: vec![Condition::row(uuid)], row }
    }

    /// Changes columns of a row.
    pub fn mutate(table: &str, uuid: Uuid, mutations: Vec<Mutation>) -> Self {
        Self::Mutate { table: table.to_owned(), conditions: vec![Condition::row(uuid)], mutations }
    }

    /// Fails the transaction at once unless the row has these columns.
    pub fn verify(table: &str, uuid: Uuid, row: Row) -> Self {
        Self::Wait {
            timeout: 0,
            table: table.to_owned(),
            conditions: vec![Condition::row(uuid)],
            columns: row.keys().cloned().collect(),
            equal: true,
            rows: vec![row],
        }
    }

    /// As it stands on the wire.
    pub fn to_json(&self) -> Json {
        let conditions = |list: &[Condition]| list.iter().map(Condition::to_json).collect::<Vec<_>>();
        match self {
            Self::Insert { table, row, uuid_name } => {
                let mut json = json!({"op": "insert", "table": table, "row": row});
                if let (Some(name), Some(object)) = (uuid_name, json.as_object_mut()) {
                    object.insert("uuid-name".into(), json!(name));
                }
                json
            }
            Self::Select { table, conditions: list, columns } => {
                let mut json = json!({"op": "select", "table": table, "where": conditions(list)});
                if let (Some(columns), Some(object)) = (columns, json.as_object_mut()) {
                    object.insert("columns".into(), json!(columns));
                }
                json
            }
            Self::Update { table, conditions: list, row } => {
                json!({"op": "update", "table": table, "where": conditions(list), "row": row})
            }
            Self::Mutate { table, conditions: list, mutations } => {
                let mutations: Vec<_> = mutations.iter().map(Mutation::to_json).collect();
                json!({"op": "mutate", "table": table, "where": conditions(list), "mutations": mutations})
            }
            Self::Delete { table, conditions: list } => {
                json!({"op": "delete", "table": table, "where": conditions(list)})
            }
            Self::Wait { timeout, table, conditions: list, columns, equal, rows } => json!({
                "op": "wait", "timeout": timeout, "table": table, "where": conditions(list), "columns": columns,
                "until": if *equal { "==" } else { "!=" }, "rows": rows,
            }),
            Self::Comment(comment) => json!({"op": "comment", "comment": comment}),
            Self::Assert { lock } => json!({"op": "assert", "lock": lock}),
        }
    }

    /// From the wire, as a server needs it.
    pub fn from_json(json: &Json) -> Result<Self, Error> {
        let wrong = || Error::parse("an operation", json);
        let object = json.as_object().ok_or_else(wrong)?;
        let text = |key: &str| object.get(key).and_then(Json::as_str).map(str::to_owned).ok_or_else(wrong);
        let row = |json: &Json| row_from_json(json);
        let list = |key: &str| object.get(key).and_then(Json::as_array).ok_or_else(wrong);
        let conditions = || list("where")?.iter().map(Condition::from_json).collect::<Result<Vec<_>, _>>();
        let names = |key: &str| {
            list(key)?
                .iter()
                .map(|name| name.as_str().map(str::to_owned).ok_or_else(wrong))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(match text("op")?.as_str() {
            "insert" => Self::Insert {
                table: text("table")?,
                row: row(object.get("row").ok_or_else(wrong)?)?,
                uuid_name: object.get("uuid-name").map(|_| text("uuid-name")).transpose()?,
            },
            "select" => Self::Select {
                table: text("table")?,
                conditions: conditions()?,
                columns: object.get("columns").map(|_| names("columns")).transpose()?,
            },
            "update" => Self::Update {
                table: text("table")?,
                conditions: conditions()?,
                row: row(object.get("row").ok_or_else(wrong)?)?,
            },
            "mutate" => Self::Mutate {
                table: text("table")?,
                conditions: conditions()?,
                mutations: list("mutations")?.iter().map(Mutation::from_json).collect::<Result<_, _>>()?,
            },
            "delete" => Self::Delete { table: text("table")?, conditions: conditions()? },
            "wait" => Self::Wait {
                timeout: object.get("timeout").and_then(Json::as_u64).unwrap_or(0),
                table: text("table")?,
                conditions: conditions()?,
                columns: names("columns")?,
                equal: match text("until")?.as_str() {
                    "==" => true,
                    "!=" => false,
                    _ => return Err(wrong()),
                },
                rows: list("rows")?.iter().map(row).collect::<Result<_, _>>()?,
            },
            "comment" => Self::Comment(text("comment")?),
            "assert" => Self::Assert { lock: text("lock")? },
            _ => return Err(wrong()),
        })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = |f: &mut fmt::Formatter<'_>, verb: &str, table: &str| write!(f, "{verb} {table}");
        match self {
            Self::Insert { table: name, row, .. } => {
                table(f, "insert", name)?;
                match row.get("name").and_then(Value::as_str) {
                    Some(name) => write!(f, " {name}"),
                    None => Ok(()),
                }
            }
            Self::Select { table: name, .. } => table(f, "select", name),
            Self::Update { table: name, .. } => table(f, "update", name),
            Self::Mutate { table: name, .. } => table(f, "mutate", name),
            Self::Delete { table: name, .. } => table(f, "delete", name),
            Self::Wait { table: name, .. } => table(f, "wait", name),
            Self::Comment(_) => f.write_str("comment"),
            Self::Assert { .. } => f.write_str("assert"),
        }
    }
}

/// `<row>` from the wire.
pub(crate) fn row_from_json(json: &Json) -> Result<Row, Error> {
    let object: &Map<String, Json> = json.as_object().ok_or_else(|| Error::parse("a row", json))?;
    object.iter().map(|(column, value)| Ok((column.clone(), Value::from_json(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::{json as any_json, value};
    use proptest::prelude::*;

    fn row() -> impl Strategy<Value = Row> {
        proptest::collection::btree_map("[a-z_]{1,6}", value(), 0..4)
    }

    fn operation() -> impl Strategy<Value = Operation> {
        let functions = proptest::sample::select(Function::NAMES.map(|(function, _)| function).to_vec());
        let mutators = proptest::sample::select(Mutator::NAMES.map(|(mutator, _)| mutator).to_vec());
        let condition = ("[a-z_]{1,6}", functions, value()).prop_map(|(column, function, value)| Condition {
            column,
            function,
            value,
        });
        let conditions = proptest::collection::vec(condition, 0..3).boxed();
        let mutation =
            ("[a-z_]{1,6}", mutators, value()).prop_map(|(column, mutator, value)| Mutation { column, mutator, value });
        let names = || proptest::collection::vec("[a-z]{1,6}", 0..3);
        let table = "[A-Z][a-z]{1,6}";
        prop_oneof![
            (table, row(), proptest::option::of("[a-z]{1,6}")).prop_map(|(table, row, uuid_name)| Operation::Insert {
                table,
                row,
                uuid_name
            }),
            (table, conditions.clone(), proptest::option::of(names()))
                .prop_map(|(table, conditions, columns)| Operation::Select { table, conditions, columns }),
            (table, conditions.clone(), row()).prop_map(|(table, conditions, row)| Operation::Update {
                table,
                conditions,
                row
            }),
            (table, conditions.clone(), proptest::collection::vec(mutation, 0..3))
                .prop_map(|(table, conditions, mutations)| Operation::Mutate { table, conditions, mutations }),
            (table, conditions.clone()).prop_map(|(table, conditions)| Operation::Delete { table, conditions }),
            (any::<u32>(), table, conditions, names(), any::<bool>(), proptest::collection::vec(row(), 0..2)).prop_map(
                |(timeout, table, conditions, columns, equal, rows)| Operation::Wait {
                    timeout: timeout.into(),
                    table,
                    conditions,
                    columns,
                    equal,
                    rows
                }
            ),
            "\\PC{0,9}".prop_map(Operation::Comment),
            "\\PC{0,9}".prop_map(|lock| Operation::Assert { lock }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(operation in operation()) {
            prop_assert_eq!(Operation::from_json(&operation.to_json()), Ok(operation));
        }

        #[test]
        fn arbitrary_json_never_panics(json in any_json()) {
            drop(Operation::from_json(&json));
        }
    }

    #[test]
    fn the_notation_of_rfc_7047() {
        let uuid = Uuid::from_u128(1);
        let operation = Operation::mutate(
            "Bridge",
            uuid,
            vec![Mutation::new("ports", Mutator::Insert, Atom::NamedUuid("p".into()))],
        );
        assert_eq!(
            operation.to_json(),
            json!({
                "op": "mutate", "table": "Bridge",
                "where": [["_uuid", "==", ["uuid", "00000000-0000-0000-0000-000000000001"]]],
                "mutations": [["ports", "insert", ["named-uuid", "p"]]],
            })
        );
    }

    #[test]
    fn conditions_hold_as_the_rfc_says() {
        let set = Value::set(["a", "b"]);
        assert!(
            Function::Includes.holds(&set, &"a".into()) && !Function::Includes.holds(&set, &Value::set(["a", "c"]))
        );
        assert!(
            Function::Excludes.holds(&set, &"c".into()) && !Function::Excludes.holds(&set, &Value::set(["a", "c"]))
        );
        let map = Value::map([("k", "v")]);
        assert!(
            Function::Includes.holds(&map, &Value::map([("k", "v")]))
                && !Function::Includes.holds(&map, &Value::map([("k", "w")]))
        );
        assert!(Function::Less.holds(&1.into(), &2.into()) && !Function::Less.holds(&"a".into(), &"b".into()));
        assert!(Function::Equal.holds(&Value::empty(), &Value::Map(BTreeMap::new())));
    }
}

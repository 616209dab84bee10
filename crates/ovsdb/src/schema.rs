//! What of a database's schema (RFC 7047, section 3.2) is needed to read its updates: which columns there are, and which
//! of them hold more than one element.

use crate::Error;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Column {
    /// It may hold more than one element: a change of it arrives as a difference.
    pub composite: bool,
    /// It is a map.
    pub map: bool,
    /// It keeps the rows of this table alive (a strong reference).
    pub keeps: Option<String>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// Its rows live without anything referring to them.
    pub root: bool,
    /// Its columns, by name.
    pub columns: BTreeMap<String, Column>,
}

/// A database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    /// Its tables, by name.
    pub tables: BTreeMap<String, Table>,
}

impl Schema {
    /// From the result of `get_schema` (section 4.1.2).
    pub fn from_json(json: &Json) -> Result<Self, Error> {
        let tables = json["tables"].as_object().ok_or_else(|| Error::parse("a schema", json))?;
        let tables = tables.iter().map(|(name, table)| {
            let columns = table["columns"].as_object().ok_or_else(|| Error::parse("a table's schema", table))?;
            let columns = columns.iter().map(|(name, column)| (name.clone(), Column::from_json(&column["type"])));
            Ok((name.clone(), Table { root: table["isRoot"] == json!(true), columns: columns.collect() }))
        });
        Ok(Self { tables: tables.collect::<Result<_, Error>>()? })
    }

    /// A column, if there is one.
    pub fn column(&self, table: &str, column: &str) -> Option<&Column> {
        self.tables.get(table)?.columns.get(column)
    }
}

impl Column {
    fn from_json(kind: &Json) -> Self {
        Self {
            composite: match &kind["max"] {
                Json::String(word) => word == "unlimited",
                number => number.as_u64().is_some_and(|max| max > 1),
            },
            map: !kind["value"].is_null(),
            keeps: match &kind["key"]["refTable"] {
                Json::String(table) if kind["key"]["refType"] != json!("weak") => Some(table.clone()),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_say_how_much_they_hold() {
        let schema = Schema::from_json(&json!({"name": "Open_vSwitch", "version": "8.3.0", "tables": {"Port": {"columns": {
            "name": {"type": "string", "mutable": false},
            "tag": {"type": {"key": {"type": "integer"}, "min": 0, "max": 1}},
            "trunks": {"type": {"key": {"type": "integer"}, "min": 0, "max": 4096}},
            "interfaces": {"type": {"key": {"type": "uuid", "refTable": "Interface"}, "min": 1, "max": "unlimited"}},
            "external_ids": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
        }}}}))
        .unwrap();
        assert_eq!(schema.column("Port", "name"), Some(&Column::default()));
        assert_eq!(schema.column("Port", "tag"), Some(&Column::default()));
        assert!(schema.column("Port", "trunks").unwrap().composite);
        assert_eq!(schema.column("Port", "interfaces").unwrap().keeps.as_deref(), Some("Interface"));
        assert!(schema.column("Port", "external_ids").unwrap().map);
        assert!(!schema.tables["Port"].root);
        assert!(Schema::from_json(&json!({})).is_err());
    }
}

//! An object as policy sees it: its values, and those of the objects that it belongs to.

use super::sql::{Given, Sql};
use access_policy::Target;
use api_schema::{Resource, Stored, python_display, resources};
use serde_json::{Map, Value};
use std::borrow::Cow;
use store::Snapshot;

/// The object that a change is about.
pub struct ObjectTarget<'a> {
    pub resource: &'static Resource,
    pub values: &'a Map<String, Value>,
    pub snapshot: &'a Snapshot<'a>,
    pub given: &'a Given<'a>,
}

impl ObjectTarget<'_> {
    /// A field of a parent. A parent that cannot be read is none, and what has no value meets no rule.
    fn of_parent(&self, parent: &str, field: &str) -> Option<Cow<'_, str>> {
        let parent = self.resource.parent(parent)?;
        let declared = resources::find(parent.name)?;
        let id = self.values.get(parent.attribute)?.as_str()?;
        let mut sql = Sql::new();
        let column = match declared.attribute(field)?.stored {
            Stored::Shared(sharing) => sql.shared(sharing),
            _ => declared.column(field)?.to_owned(),
        };
        let id = sql.bind(id.to_owned());
        let text = format!("SELECT {column} FROM {table} WHERE {table}.id = {id}", table = parent.table);
        let found = self.snapshot.query_opt(&text, &sql.values(self.given, &[]), |row| {
            Ok(match row.value(0)? {
                store::Value::Text(text) => Some(text.into_owned()),
                // Policy looks at texts and booleans only.
                store::Value::Integer(flag) => Some(if flag == 0 { "False" } else { "True" }.to_owned()),
                _ => None,
            })
        });
        match found {
            Ok(value) => value.flatten().map(Cow::Owned),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "policy could not look at a parent");
                None
            }
        }
    }
}

impl Target for ObjectTarget<'_> {
    fn value(&self, key: &str) -> Option<Cow<'_, str>> {
        match key.split_once(':') {
            Some((parent, field)) if self.resource.parent(parent).is_some() => self.of_parent(parent, field),
            _ => self.values.get(key).filter(|value| !value.is_null()).map(|value| Cow::Owned(python_display(value))),
        }
    }

    fn field(&self, collection: &str, field: &str) -> Option<Cow<'_, str>> {
        match self.resource.all_parents().find(|parent| parent.table == collection) {
            Some(parent) => self.of_parent(parent.name, field),
            None => self.value(field),
        }
    }
}

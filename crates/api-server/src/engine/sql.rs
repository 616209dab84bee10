//! Building one SQL statement: text and parameters grow together.

use access_policy::{Condition, Expected};
use api_schema::{Resource, resources};
use store::Value;

/// A statement being built.
#[derive(Debug, Default)]
pub struct Sql {
    /// The text so far.
    pub text: String,
    /// What its `?1`, `?2`, ... are.
    pub params: Vec<Value<'static>>,
    alive_since: Option<usize>,
}

/// Stands in declarations for the instant before which a heartbeat is too old.
const ALIVE_SINCE: &str = ":alive_since";

impl Sql {
    /// Adds a parameter; its placeholder.
    pub fn bind(&mut self, value: impl Into<Value<'static>>) -> String {
        self.params.push(value.into());
        format!("?{}", self.params.len())
    }

    /// Adds text.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// An expression of a declaration, with what it leaves to us filled in.
    pub fn expression(&mut self, expression: &str, alive_since: jiff::Timestamp) -> String {
        if !expression.contains(ALIVE_SINCE) {
            return expression.to_owned();
        }
        let index = match self.alive_since {
            Some(index) => index,
            None => {
                self.params.push(alive_since.into());
                self.alive_since = Some(self.params.len());
                self.params.len()
            }
        };
        expression.replace(ALIVE_SINCE, &format!("?{index}"))
    }

    /// `column IN (?, ?, ...)`.
    pub fn is_one_of(&mut self, column: &str, values: impl IntoIterator<Item = Value<'static>>) -> String {
        let placeholders: Vec<String> = values.into_iter().map(|value| self.bind(value)).collect();
        match placeholders.as_slice() {
            [] => NEVER.to_owned(),
            [one] => format!("{column} = {one}"),
            several => format!("{column} IN ({})", several.join(", ")),
        }
    }

    /// A condition of policy over the rows of a resource.
    pub fn condition(&mut self, resource: &Resource, condition: &Condition) -> String {
        match condition {
            Condition::Always => "1 = 1".to_owned(),
            Condition::Never => NEVER.to_owned(),
            Condition::Equals { key, value } => match key.split_once(':') {
                Some((parent, field)) if resource.parent(parent).is_some() => {
                    self.of_parent(resource, parent, field, &Expected::Exactly(value.clone()))
                }
                _ => self.of_column(resource.column(key), &Expected::Exactly(value.clone())),
            },
            Condition::Field { collection, field, expected } => {
                let parent = resource.all_parents().find(|parent| parent.table == collection);
                match parent {
                    Some(parent) => self.of_parent(resource, parent.name, field, expected),
                    None => self.of_column(resource.column(field), expected),
                }
            }
            Condition::All(conditions) => self.joined(resource, conditions, " AND "),
            Condition::Any(conditions) => self.joined(resource, conditions, " OR "),
            Condition::Not(inner) => format!("NOT ({})", self.condition(resource, inner)),
        }
    }

    fn joined(&mut self, resource: &Resource, conditions: &[Condition], by: &str) -> String {
        let parts: Vec<String> = conditions.iter().map(|condition| self.condition(resource, condition)).collect();
        format!("({})", parts.join(by))
    }

    fn of_column(&mut self, column: Option<&str>, expected: &Expected) -> String {
        // A rule that asks for what the resource does not have is not met.
        let Some(column) = column else { return NEVER.to_owned() };
        match expected {
            Expected::Exactly(value) => {
                let value: Value<'static> = match value.as_str() {
                    "True" => true.into(),
                    "False" => false.into(),
                    text => text.to_owned().into(),
                };
                let placeholder = self.bind(value);
                format!("{column} = {placeholder}")
            }
            Expected::Prefix(prefix) => {
                let length = prefix.chars().count();
                let placeholder = self.bind(prefix.clone());
                format!("substr({column}, 1, {length}) = {placeholder}")
            }
        }
    }

    /// Written as IN over the parents that meet it, so that the database can use the index of the reference.
    fn of_parent(&mut self, resource: &Resource, parent: &str, field: &str, expected: &Expected) -> String {
        let Some(parent) = resource.parent(parent) else { return NEVER.to_owned() };
        let Some(declared) = resources::find(parent.name) else { return NEVER.to_owned() };
        let condition = self.of_column(declared.column(field), expected);
        format!("{} IN (SELECT {table}.id FROM {table} WHERE {condition})", parent.column, table = parent.table)
    }
}

const NEVER: &str = "1 = 0";

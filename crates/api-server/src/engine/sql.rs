//! Building one SQL statement: text and parameters grow together.

use access_policy::{Condition, Credentials, Expected, Policy};
use api_schema::{Resource, Sharing, Stored, resources};
use jiff::Timestamp;
use store::Value;

/// What declarations leave open and a request fills in.
#[derive(Debug, Clone)]
pub struct Given {
    /// `:alive_since`: before that instant a heartbeat is too old.
    pub alive_since: Timestamp,
    /// `:caller_project`: the caller's project.
    pub project: String,
    /// `:dot_domain`: what stands behind the name of a host: a dot and the deployment's domain, or nothing.
    pub dot_domain: String,
    /// `:related_to`: of a list under an object, that object's id.
    pub related_to: Option<String>,
}

/// A statement being built.
#[derive(Debug)]
pub struct Sql {
    /// The text so far.
    pub text: String,
    /// What its `?1`, `?2`, ... are.
    pub params: Vec<Value<'static>>,
    given: Given,
    /// Which of the given ones have their placeholder already.
    bound: Vec<(&'static str, String)>,
}

// What stands for them in declarations.
const ALIVE_SINCE: &str = ":alive_since";
const CALLER_PROJECT: &str = ":caller_project";
const DOT_DOMAIN: &str = ":dot_domain";
const RELATED_TO: &str = ":related_to";

impl Sql {
    /// An empty statement.
    pub fn new(given: &Given) -> Self {
        Self { text: String::new(), params: Vec::new(), given: given.clone(), bound: Vec::new() }
    }

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
    pub fn expression(&mut self, expression: &str) -> String {
        let mut text = expression.to_owned();
        if !text.contains(':') {
            return text;
        }
        for name in [ALIVE_SINCE, CALLER_PROJECT, DOT_DOMAIN, RELATED_TO] {
            if text.contains(name) {
                text = text.replace(name, &self.placeholder(name));
            }
        }
        text
    }

    /// The placeholder of something given.
    fn placeholder(&mut self, name: &'static str) -> String {
        if let Some((_, known)) = self.bound.iter().find(|(known, _)| *known == name) {
            return known.clone();
        }
        let value: Value<'static> = match name {
            ALIVE_SINCE => self.given.alive_since.into(),
            CALLER_PROJECT => self.given.project.clone().into(),
            DOT_DOMAIN => self.given.dot_domain.clone().into(),
            _ => self.given.related_to.clone().map_or(Value::Null, Value::from),
        };
        let mut placeholder = self.bind(value);
        if name == DOT_DOMAIN {
            // PostgreSQL is to know what is put together.
            placeholder = format!("CAST({placeholder} AS TEXT)");
        }
        self.bound.push((name, placeholder.clone()));
        placeholder
    }

    /// The placeholder of the caller's project.
    fn project(&mut self) -> String {
        self.placeholder(CALLER_PROJECT)
    }

    /// 1 or 0: whether each object is shared with the caller.
    pub fn shared(&mut self, sharing: Sharing) -> String {
        let project = self.project();
        format!(
            "CASE WHEN EXISTS (SELECT 1 FROM rbac_policies WHERE object_id = {} AND action = 'access_as_shared'
             AND target_project IN ('*', {project})) THEN 1 ELSE 0 END",
            sharing.object
        )
    }

    /// The objects that the caller may use by one of these actions. A set, so that the database finds them by its entries.
    fn shared_by(&mut self, sharing: Sharing, actions: &[&'static str]) -> String {
        let project = self.project();
        let actions = actions.join("', '");
        format!(
            "{} IN (SELECT object_id FROM rbac_policies WHERE target_project IN ('*', {project}) AND action IN ('{actions}'))",
            sharing.object
        )
    }

    /// The objects that are shared with the caller, or those that are not.
    pub fn is_shared(&mut self, sharing: Sharing, wanted: bool) -> String {
        let shared = self.shared_by(sharing, &["access_as_shared"]);
        if wanted { shared } else { format!("NOT {shared}") }
    }

    /// The objects that are there for a caller: what policy lets see, and of what can be shared only what is the caller's own
    /// or shared with it.
    pub fn visible(&mut self, resource: &Resource, policy: &Policy, who: &Credentials) -> String {
        let allowed = policy.condition(&format!("get_{}", resource.rule()), who);
        let allowed = self.condition(resource, &allowed);
        let (Some(sharing), false) = (resource.sharing(), policy.sees_all_projects(who)) else { return allowed };
        let project = self.project();
        let mut ways = vec![self.shared_by(sharing, sharing.actions)];
        // What says of everything that it is the caller's says nothing.
        let owner = resource.column("project_id").filter(|column| !column.contains(CALLER_PROJECT));
        ways.extend(owner.map(|column| format!("{column} = {project}")));
        // What belongs to an object is its owner's to see too.
        ways.extend(resource.all_parents().filter(|parent| parent.column == sharing.object).map(|parent| {
            format!("{} IN (SELECT id FROM {} WHERE project_id = {project})", parent.column, parent.table)
        }));
        format!("({allowed} AND ({}))", ways.join(" OR "))
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
                _ => self.of_attribute(resource, key, &Expected::Exactly(value.clone())),
            },
            Condition::Field { collection, field, expected } => {
                let parent = resource.all_parents().find(|parent| parent.table == collection);
                match parent {
                    Some(parent) => self.of_parent(resource, parent.name, field, expected),
                    None => self.of_attribute(resource, field, expected),
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

    fn of_attribute(&mut self, resource: &Resource, name: &str, expected: &Expected) -> String {
        let stored = resource.attribute(name).map(|attribute| attribute.stored);
        if let Some(Stored::Shared(sharing)) = stored {
            return match expected {
                Expected::Exactly(value) if value == "True" => self.is_shared(sharing, true),
                Expected::Exactly(value) if value == "False" => self.is_shared(sharing, false),
                Expected::Exactly(_) | Expected::Prefix(_) => NEVER.to_owned(),
            };
        }
        // A rule that asks for what the resource does not have is not met.
        let Some(column) = resource.column(name) else { return NEVER.to_owned() };
        let column = self.expression(column);
        match expected {
            Expected::Exactly(value) => {
                let value: Value<'static> = match (stored, value.as_str()) {
                    (Some(Stored::Boolean(_)), "True") => true.into(),
                    (Some(Stored::Boolean(_)), "False") => false.into(),
                    // A number or a truth value is equal to no other text.
                    (Some(Stored::Integer(_)), text) => text.parse::<i64>().map_or(Value::Null, Value::from),
                    (Some(Stored::Boolean(_)), _) => Value::Null,
                    (_, text) => text.to_owned().into(),
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
        let condition = self.of_attribute(declared, field, expected);
        format!("{} IN (SELECT {table}.id FROM {table} WHERE {condition})", parent.column, table = parent.table)
    }
}

const NEVER: &str = "1 = 0";

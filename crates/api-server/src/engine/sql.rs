//! Building one SQL statement: text and parameters grow together.
//!
//! What differs from request to request is a parameter by name ([`Name`]), so that a statement once built serves others too.

use access_policy::{Condition, Credentials, Expected, Of, Policy};
use api_schema::{Resource, Sharing, Stored, resources};
use jiff::Timestamp;
use store::Value;

/// What a statement leaves open and a request fills in.
#[derive(Debug, Clone)]
pub struct Given<'a> {
    /// Before that instant a heartbeat is too old.
    pub alive_since: Timestamp,
    /// Who asks.
    pub who: &'a Credentials,
    /// What stands behind the name of a host: a dot and the deployment's domain, or nothing.
    pub dot_domain: &'a str,
    /// Of a list under an object, that object's id.
    pub related_to: Option<&'a str>,
    /// What the path names the object by.
    pub key: &'a str,
    /// The id of the object in whose path it stands.
    pub parent: &'a str,
}

/// Something of [`Given`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// `:alive_since` in declarations.
    AliveSince,
    /// The caller's value; of the project `:caller_project` in declarations.
    Own(Of),
    /// `:dot_domain` in declarations.
    DotDomain,
    /// `:related_to` in declarations.
    RelatedTo,
    /// The object of the path.
    Key,
    /// The object that it is inside.
    Parent,
}

/// What a placeholder stands for.
#[derive(Debug, Clone)]
enum Parameter {
    Value(Value<'static>),
    Given(Name),
    /// Of the ids that are looked for, that one; the last again if there are fewer.
    Wanted(usize),
}

/// A statement being built, or built.
#[derive(Debug, Clone, Default)]
pub struct Sql {
    /// The text so far.
    pub text: String,
    /// What its `?1`, `?2`, ... are.
    params: Vec<Parameter>,
    /// Which of the given ones have their placeholder already.
    bound: Vec<(Name, String)>,
}

const CALLER_PROJECT: &str = ":caller_project";
/// What stands for them in declarations.
const IN_DECLARATIONS: [(&str, Name); 4] = [
    (":alive_since", Name::AliveSince),
    (CALLER_PROJECT, Name::Own(Of::Project)),
    (":dot_domain", Name::DotDomain),
    (":related_to", Name::RelatedTo),
];

impl Sql {
    /// An empty statement.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the placeholders stand for in a request; `wanted` are the ids that are looked for.
    pub fn values<'a>(&'a self, given: &'a Given<'_>, wanted: &'a [&str]) -> Vec<Value<'a>> {
        let value = |parameter: &'a Parameter| match parameter {
            // Borrowed: the statement is used again.
            Parameter::Value(Value::Text(text)) => Value::from(&**text),
            Parameter::Value(other) => other.clone(),
            Parameter::Wanted(index) => wanted.get(*index).or(wanted.last()).map_or(Value::Null, |id| (*id).into()),
            Parameter::Given(name) => match name {
                Name::AliveSince => given.alive_since.into(),
                Name::Own(of) => given.who.own(*of).into(),
                Name::DotDomain => given.dot_domain.into(),
                Name::RelatedTo => given.related_to.map_or(Value::Null, Value::from),
                Name::Key => given.key.into(),
                Name::Parent => given.parent.into(),
            },
        };
        self.params.iter().map(value).collect()
    }

    /// Adds a parameter; its placeholder.
    pub fn bind(&mut self, value: impl Into<Value<'static>>) -> String {
        self.parameter(Parameter::Value(value.into()))
    }

    fn parameter(&mut self, parameter: Parameter) -> String {
        self.params.push(parameter);
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
        for (word, name) in IN_DECLARATIONS {
            if text.contains(word) {
                text = text.replace(word, &self.given(name));
            }
        }
        text
    }

    /// The placeholder of something given.
    pub fn given(&mut self, name: Name) -> String {
        if let Some((_, known)) = self.bound.iter().find(|(known, _)| *known == name) {
            return known.clone();
        }
        let mut placeholder = self.parameter(Parameter::Given(name));
        if name == Name::DotDomain {
            // PostgreSQL is to know what is put together.
            placeholder = format!("CAST({placeholder} AS TEXT)");
        }
        self.bound.push((name, placeholder.clone()));
        placeholder
    }

    /// The placeholder of the caller's project.
    fn project(&mut self) -> String {
        self.given(Name::Own(Of::Project))
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
        self.is_among(column, values.into_iter().map(Parameter::Value))
    }

    /// `column IN (?, ?, ...)`: so many of the ids that are looked for.
    pub fn is_wanted(&mut self, column: &str, count: usize) -> String {
        self.is_among(column, (0..count).map(Parameter::Wanted))
    }

    fn is_among(&mut self, column: &str, values: impl Iterator<Item = Parameter>) -> String {
        let placeholders: Vec<String> = values.map(|value| self.parameter(value)).collect();
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
            Condition::Equals { key, value } => self.of_key(resource, key, Wanted::Exactly(value)),
            Condition::Own { key, of, .. } => self.of_key(resource, key, Wanted::Own(*of)),
            Condition::Field { collection, field, expected } => {
                let parent = resource.all_parents().find(|parent| parent.table == collection);
                let expected = match expected {
                    Expected::Exactly(value) => Wanted::Exactly(value),
                    Expected::Prefix(prefix) => Wanted::Prefix(prefix),
                };
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
        let mut parts: Vec<String> = conditions.iter().map(|condition| self.condition(resource, condition)).collect();
        // What needs other tables last: most objects are decided by then.
        parts.sort_by_key(|part| part.contains("SELECT"));
        format!("({})", parts.join(by))
    }

    /// `key`, or `parent:key`.
    fn of_key(&mut self, resource: &Resource, key: &str, wanted: Wanted<'_>) -> String {
        match key.split_once(':') {
            Some((parent, field)) if resource.parent(parent).is_some() => {
                self.of_parent(resource, parent, field, wanted)
            }
            _ => self.of_attribute(resource, key, wanted),
        }
    }

    fn of_attribute(&mut self, resource: &Resource, name: &str, wanted: Wanted<'_>) -> String {
        let stored = resource.attribute(name).map(|attribute| attribute.stored);
        if let Some(Stored::Shared(sharing)) = stored {
            return match wanted {
                Wanted::Exactly("True") => self.is_shared(sharing, true),
                Wanted::Exactly("False") => self.is_shared(sharing, false),
                // No id is a truth value.
                Wanted::Exactly(_) | Wanted::Own(_) | Wanted::Prefix(_) => NEVER.to_owned(),
            };
        }
        // A rule that asks for what the resource does not have is not met.
        let Some(column) = resource.column(name) else { return NEVER.to_owned() };
        let column = self.expression(column);
        match wanted {
            Wanted::Own(of) => match stored {
                Some(Stored::Boolean(_)) => NEVER.to_owned(),
                Some(Stored::Integer(_)) => format!("CAST({column} AS TEXT) = {}", self.given(Name::Own(of))),
                _ => format!("{column} = {}", self.given(Name::Own(of))),
            },
            Wanted::Exactly(value) => {
                let value: Value<'static> = match (stored, value) {
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
            Wanted::Prefix(prefix) => {
                let length = prefix.chars().count();
                let placeholder = self.bind(prefix.to_owned());
                format!("substr({column}, 1, {length}) = {placeholder}")
            }
        }
    }

    /// Written as IN over the parents that meet it, so that the database can use the index of the reference.
    fn of_parent(&mut self, resource: &Resource, parent: &str, field: &str, wanted: Wanted<'_>) -> String {
        let Some(parent) = resource.parent(parent) else { return NEVER.to_owned() };
        let Some(declared) = resources::find(parent.name) else { return NEVER.to_owned() };
        let condition = self.of_attribute(declared, field, wanted);
        format!("{} IN (SELECT {table}.id FROM {table} WHERE {condition})", parent.column, table = parent.table)
    }
}

/// What a value must be.
#[derive(Debug, Clone, Copy)]
enum Wanted<'a> {
    Exactly(&'a str),
    Own(Of),
    Prefix(&'a str),
}

const NEVER: &str = "1 = 0";

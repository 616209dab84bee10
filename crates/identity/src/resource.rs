//! What a resource of the identity API is: one declaration of its attributes drives body checks, filters, SQL and JSON.
//!
//! The declarations themselves stand in `resources.rs`; what is special about a resource (who may see it, what must hold
//! when it changes) is in the functions that its declaration names.

use serde_json::{Map, Value as Json};
use store::{Row, Snapshot, StoreError, Tx, Value, params};

use crate::{IdentityError, TokenInfo};

/// An object as the API shows it, without links.
pub(crate) type Object = Map<String, Json>;

/// What an attribute holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text of so many characters.
    Text { min: usize, max: usize },
    /// `true` or `false`.
    Bool,
    /// The id of another object.
    Id,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A list of different short texts.
    Tags,
    /// A JSON object of named options.
    Options,
}

/// What happens when a create request leaves an attribute out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// The request is refused.
    Refused,
    /// The attribute is null.
    Null,
    /// It is `true` / `false`.
    Bool(bool),
    /// It is this text.
    Text(&'static str),
    /// It is `[]` or `{}`, as its kind says.
    Empty,
    /// The resource's rule provides it.
    ByRule,
}

/// One attribute, which is one column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) absent: Absent,
    /// May it be null in a request?
    pub(crate) nullable: bool,
    /// May it be changed after creation?
    pub(crate) mutable: bool,
    /// Shown as null when it has no value (else left out)?
    pub(crate) show_null: bool,
}

/// A resource of the identity API.
pub(crate) struct Resource {
    /// `project`: the key of a body, the end of the policy's name, the kind in messages.
    pub(crate) singular: &'static str,
    /// `projects`: the path, the key of a list.
    pub(crate) plural: &'static str,
    pub(crate) table: &'static str,
    pub(crate) attributes: &'static [Attribute],
    /// May the client choose the id at creation?
    pub(crate) client_id: bool,
    /// Whether someone who is not an administrator may see this object.
    pub(crate) visible: fn(&TokenInfo, &Object) -> bool,
    /// Whether someone who is not an administrator may list the objects.
    pub(crate) listable: bool,
    /// Checks and completes a new object, inside the transaction.
    pub(crate) on_create: fn(&Tx<'_>, &mut Object) -> Result<(), IdentityError>,
    /// Checks a change (`before`, what changes), inside the transaction.
    pub(crate) on_update: fn(&Tx<'_>, &Object, &mut Object) -> Result<(), IdentityError>,
    /// Checks a deletion and removes what goes with the object, inside the transaction.
    pub(crate) on_delete: fn(&Tx<'_>, &Object) -> Result<(), IdentityError>,
    /// Adds what is shown but not kept.
    pub(crate) derive: fn(&mut Object),
}

/// Longest id: longer ones cannot exist.
pub(crate) const MAX_ID: usize = 64;
/// Longest text of free length.
const MAX_TAG: usize = 255;
const MAX_TAGS: usize = 80;

impl Resource {
    /// Whether this is that resource.
    pub(crate) fn is(&self, other: &Resource) -> bool {
        self.table == other.table
    }

    /// Whether every object must have this attribute.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some_and(|attribute| attribute.absent == Absent::ByRule)
    }

    /// `id, name, ..., extra`.
    fn columns(&self) -> String {
        let mut columns = String::from("id");
        for attribute in self.attributes {
            columns.push_str(", ");
            columns.push_str(attribute.name);
        }
        columns.push_str(", extra");
        columns
    }

    fn object(&self, row: &Row<'_>) -> Result<Object, StoreError> {
        let mut object = Object::new();
        // What clients added on their own comes first, so that it can never stand for a declared attribute.
        if let Json::Object(extra) = row.parse::<Json>(self.attributes.len() + 1)? {
            object = extra;
        }
        object.insert("id".to_owned(), Json::String(row.get(0)?));
        for (index, attribute) in self.attributes.iter().enumerate() {
            let value = match attribute.kind {
                Kind::Bool => Json::Bool(row.get(index + 1)?),
                Kind::Tags | Kind::Options => row.parse(index + 1)?,
                Kind::Text { .. } | Kind::Id | Kind::Choice(_) => {
                    row.get::<Option<String>>(index + 1)?.map_or(Json::Null, Json::String)
                }
            };
            if attribute.show_null || !value.is_null() {
                object.insert(attribute.name.to_owned(), value);
            }
        }
        Ok(object)
    }

    /// The object, if there is one.
    pub(crate) fn find(&self, snapshot: &Snapshot<'_>, id: &str) -> Result<Option<Object>, StoreError> {
        let sql = format!("SELECT {} FROM {} WHERE id = ?1", self.columns(), self.table);
        snapshot.query_opt(&sql, params![id], |row| self.object(row))
    }

    /// The object, or the 404.
    pub(crate) fn get(&self, snapshot: &Snapshot<'_>, id: &str) -> Result<Object, IdentityError> {
        self.find(snapshot, id)?.ok_or_else(|| self.not_found(id))
    }

    pub(crate) fn not_found(&self, id: &str) -> IdentityError {
        IdentityError::NotFound { kind: self.singular, id: id.to_owned() }
    }

    /// The objects that pass every filter of the query. What is no attribute filters nothing, as in Keystone.
    pub(crate) fn list(
        &self,
        snapshot: &Snapshot<'_>,
        query: &[(String, String)],
    ) -> Result<Vec<Object>, IdentityError> {
        let mut sql = format!("SELECT {} FROM {}", self.columns(), self.table);
        let mut values: Vec<Value<'_>> = Vec::new();
        for (name, text) in query {
            let Some(attribute) = self.attributes.iter().find(|attribute| attribute.name == name) else { continue };
            let value = match attribute.kind {
                Kind::Bool => Value::from(parse_flag(name, text)?),
                Kind::Text { .. } | Kind::Id | Kind::Choice(_) => Value::from(text.as_str()),
                Kind::Tags | Kind::Options => continue,
            };
            sql.push_str(if values.is_empty() { " WHERE " } else { " AND " });
            values.push(value);
            let place = values.len();
            sql.push_str(&match name.as_str() {
                "name" => format!("lower(name) = lower(?{place})"),
                _ => format!("{name} = ?{place}"),
            });
        }
        sql.push_str(" ORDER BY id");
        let mut found = snapshot.query(&sql, &values, |row| self.object(row))?;
        for (name, text) in query.iter().filter(|(name, _)| self.attribute(name).is_some_and(|a| a.kind == Kind::Tags))
        {
            let wanted: Vec<&str> = text.split(',').collect();
            found.retain(|object| {
                let tags = object.get(name).and_then(Json::as_array);
                wanted.iter().all(|tag| tags.is_some_and(|tags| tags.iter().any(|have| have == tag)))
            });
        }
        Ok(found)
    }

    fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The inner object of a body `{"project": {...}}`.
    pub(crate) fn unwrap_body<'b>(&self, body: &'b Json) -> Result<&'b Object, IdentityError> {
        body.get(self.singular).and_then(Json::as_object).ok_or_else(|| {
            IdentityError::bad_request(format!("The request body must be an object with the key '{}'.", self.singular))
        })
    }

    /// A new object from a request: every attribute checked or defaulted, the id invented unless the client may choose.
    pub(crate) fn parse_create(&self, given: &Object, new_id: String) -> Result<Object, IdentityError> {
        let mut object = self.parse_attributes(given)?;
        for attribute in self.attributes {
            if object.contains_key(attribute.name) {
                continue;
            }
            let value = match attribute.absent {
                Absent::Refused => {
                    return Err(IdentityError::bad_request(format!("'{}' is a required property", attribute.name)));
                }
                Absent::Null => Json::Null,
                Absent::Bool(value) => Json::Bool(value),
                Absent::Text(text) => Json::String(text.to_owned()),
                Absent::Empty if attribute.kind == Kind::Tags => Json::Array(Vec::new()),
                Absent::Empty => Json::Object(Object::new()),
                Absent::ByRule => continue,
            };
            object.insert(attribute.name.to_owned(), value);
        }
        let id = match given.get("id") {
            Some(Json::String(id)) if self.client_id && !id.is_empty() => {
                check_text("id", id, 1, MAX_ID)?;
                id.clone()
            }
            None | Some(Json::Null) => new_id,
            Some(Json::String(_)) if self.client_id => new_id,
            Some(_) if self.client_id => return Err(IdentityError::bad_request("'id' must be a string")),
            Some(_) => new_id,
        };
        object.insert("id".to_owned(), Json::String(id));
        Ok(object)
    }

    /// The attributes that a request wants to change.
    pub(crate) fn parse_update(&self, given: &Object, before: &Object) -> Result<Object, IdentityError> {
        let changes = self.parse_attributes(given)?;
        for attribute in self.attributes.iter().filter(|attribute| !attribute.mutable) {
            if let Some(wanted) = changes.get(attribute.name)
                && wanted != before.get(attribute.name).unwrap_or(&Json::Null)
            {
                return Err(IdentityError::bad_request(format!("Cannot change '{}'.", attribute.name)));
            }
        }
        if let Some(id) = given.get("id")
            && Some(id) != before.get("id")
        {
            return Err(IdentityError::bad_request("Cannot change 'id'."));
        }
        Ok(changes)
    }

    fn parse_attributes(&self, given: &Object) -> Result<Object, IdentityError> {
        let mut object = Object::new();
        for (name, value) in given {
            match self.attribute(name) {
                Some(attribute) => {
                    attribute.check(value)?;
                    object.insert(name.clone(), value.clone());
                }
                None if matches!(name.as_str(), "id" | "links") => {}
                None => {
                    check_text("name of a property", name, 1, MAX_TAG)?;
                    object.insert(name.clone(), value.clone());
                }
            }
        }
        Ok(object)
    }

    /// Refuses a name that another object has, be it in other letters: names are compared without case, as Keystone does
    /// on the databases that clouds run it on.
    fn check_name(&self, tx: &Tx<'_>, object: &Object) -> Result<(), IdentityError> {
        let text = |name: &str| object.get(name).and_then(Json::as_str).unwrap_or_default();
        // What must have a name is told by it.
        if self.attribute("name").is_none_or(|attribute| attribute.absent != Absent::Refused) {
            return Ok(());
        }
        let sql = format!("SELECT 1 FROM {} WHERE lower(name) = lower(?1) AND id <> ?2", self.table);
        let taken = match self.in_domain() {
            true => {
                tx.exists(&format!("{sql} AND domain_id = ?3"), params![text("name"), text("id"), text("domain_id")])?
            }
            false => tx.exists(&sql, params![text("name"), text("id")])?,
        };
        if taken { Err(self.duplicate(object)) } else { Ok(()) }
    }

    /// Whether its names are those of a domain, not of the whole cloud.
    fn in_domain(&self) -> bool {
        self.attribute("domain_id").is_some_and(|attribute| !attribute.nullable)
    }

    fn duplicate(&self, object: &Object) -> IdentityError {
        let text = |name: &str| object.get(name).and_then(Json::as_str).unwrap_or_default();
        let at = if self.in_domain() { format!(" at domain ID {}", text("domain_id")) } else { String::new() };
        let detail = format!("Duplicate entry found with name {}{at}", text("name"));
        IdentityError::Conflict { kind: self.singular, detail }
    }

    pub(crate) fn insert(&self, tx: &Tx<'_>, object: &Object) -> Result<(), IdentityError> {
        self.check_name(tx, object)?;
        let marks: Vec<String> = (1..=self.attributes.len() + 2).map(|n| format!("?{n}")).collect();
        let sql = format!("INSERT INTO {} ({}) VALUES ({})", self.table, self.columns(), marks.join(", "));
        tx.execute(&sql, &self.values(object)).map_err(|error| self.refused(error, object))?;
        Ok(())
    }

    pub(crate) fn update(&self, tx: &Tx<'_>, object: &Object) -> Result<(), IdentityError> {
        self.check_name(tx, object)?;
        let assignments: Vec<String> = (self.attributes.iter().map(|attribute| attribute.name))
            .chain(["extra"])
            .enumerate()
            .map(|(index, name)| format!("{name} = ?{}", index + 2))
            .collect();
        let sql = format!("UPDATE {} SET {} WHERE id = ?1", self.table, assignments.join(", "));
        tx.execute(&sql, &self.values(object)).map_err(|error| self.refused(error, object))?;
        Ok(())
    }

    pub(crate) fn delete(&self, tx: &Tx<'_>, id: &str) -> Result<(), IdentityError> {
        tx.execute(&format!("DELETE FROM {} WHERE id = ?1", self.table), params![id])?;
        Ok(())
    }

    /// Values in the order of [`Resource::columns`].
    fn values(&self, object: &Object) -> Vec<Value<'static>> {
        let mut values = vec![column(object.get("id"))];
        values.extend(self.attributes.iter().map(|attribute| column(object.get(attribute.name))));
        let extra: Object = object
            .iter()
            .filter(|(name, _)| name.as_str() != "id" && self.attribute(name).is_none())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        values.push(Value::from(Json::Object(extra).to_string()));
        values
    }

    /// A constraint's refusal in Keystone's words.
    fn refused(&self, error: StoreError, object: &Object) -> IdentityError {
        let text = |name: &str| object.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        match error {
            StoreError::UniqueViolation { columns } if columns.contains(".name") => self.duplicate(object),
            StoreError::UniqueViolation { .. } => {
                IdentityError::Conflict { kind: self.singular, detail: format!("Duplicate ID, {}", text("id")) }
            }
            StoreError::ForeignKeyViolation => {
                IdentityError::bad_request(format!("The {} refers to an object that does not exist.", self.singular))
            }
            other => other.into(),
        }
    }
}

fn column(value: Option<&Json>) -> Value<'static> {
    match value {
        None | Some(Json::Null) => Value::Null,
        Some(Json::Bool(value)) => Value::from(*value),
        Some(Json::String(text)) => Value::from(text.clone()),
        Some(other) => Value::from(other.to_string()),
    }
}

/// `?enabled=...`: what Keystone takes for true and false.
fn parse_flag(name: &str, text: &str) -> Result<bool, IdentityError> {
    match text.to_ascii_lowercase().as_str() {
        "" | "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(IdentityError::bad_request(format!("Invalid value for the filter '{name}'."))),
    }
}

/// Checks a text's length in characters and that it can be stored and shown.
pub(crate) fn check_text(name: &str, text: &str, min: usize, max: usize) -> Result<(), IdentityError> {
    let length = text.chars().count();
    if length > max {
        return Err(invalid(name, format_args!("longer than {max} characters")));
    }
    if length < min || (min > 0 && text.trim().is_empty()) {
        return Err(invalid(name, format_args!("too short")));
    }
    if text.contains('\0') {
        return Err(invalid(name, format_args!("a NUL character is not allowed")));
    }
    Ok(())
}

fn invalid(name: &str, why: impl std::fmt::Display) -> IdentityError {
    IdentityError::bad_request(format!("Invalid input for field '{name}': {why}."))
}

impl Attribute {
    fn check(&self, value: &Json) -> Result<(), IdentityError> {
        let wrong = |expected: &str| Err(invalid(self.name, format_args!("it must be {expected}")));
        match (self.kind, value) {
            (_, Json::Null) if self.nullable => Ok(()),
            (Kind::Text { min, max }, Json::String(text)) => check_text(self.name, text, min, max),
            (Kind::Text { .. }, _) => wrong("a string"),
            (Kind::Id, Json::String(text)) => check_text(self.name, text, 1, MAX_ID),
            (Kind::Id, _) => wrong("the ID of an object"),
            (Kind::Bool, Json::Bool(_)) => Ok(()),
            (Kind::Bool, _) => wrong("a boolean"),
            (Kind::Choice(words), Json::String(text)) if words.contains(&text.as_str()) => Ok(()),
            (Kind::Choice(words), _) => wrong(&format!("one of {}", words.join(", "))),
            (Kind::Tags, Json::Array(tags)) if tags.len() <= MAX_TAGS => {
                for (index, tag) in tags.iter().enumerate() {
                    match tag {
                        Json::String(text) if !text.contains(['/', ',']) => check_text(self.name, text, 1, MAX_TAG)?,
                        _ => return wrong("a list of strings without '/' and ','"),
                    }
                    if tags.iter().take(index).any(|earlier| earlier == tag) {
                        return wrong("a list of different strings");
                    }
                }
                Ok(())
            }
            (Kind::Tags, _) => wrong("a list of at most 80 strings"),
            (Kind::Options, Json::Object(_)) => Ok(()),
            (Kind::Options, _) => wrong("an object"),
        }
    }
}

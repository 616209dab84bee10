//! Tags of any object whose declaration has the attribute `tags`.

use super::outcome::Outcome;
use super::place::Place;
use super::plan::Shown;
use crate::api::Api;
use crate::error::ApiError;
use access_policy::Credentials;
use api_schema::{Kind, Refusal, Resource, SchemaError};
use network_store::{Work, tag};
use serde_json::{Value, json};
use store::{Operation, Snapshot};
use uuid::Uuid;

/// A request that changes tags.
#[derive(Debug, Clone)]
pub enum TagChange {
    /// PUT of the list.
    Replace(Vec<String>),
    /// POST of a list.
    Add(Vec<String>),
    /// PUT of one.
    AddOne(String),
    /// DELETE of one.
    Remove(String),
    /// DELETE of the list.
    Clear,
}

/// Longest tag, characters.
const LONGEST: usize = 255;

fn invalid(refusal: Refusal) -> ApiError {
    let (Refusal::Check(reason) | Refusal::Conversion(reason) | Refusal::Plain(reason) | Refusal::Named(_, reason)) =
        refusal;
    SchemaError::InvalidInput(reason).into()
}

/// `{"tags": ["a", "b"]}`
pub fn read_body(body: &Value) -> Result<Vec<String>, ApiError> {
    let tags = body.get("tags").ok_or_else(|| SchemaError::InvalidInput("Invalid tags body".into()))?;
    let tags = Kind::TextList(LONGEST).parse(tags.clone()).map_err(invalid)?;
    Ok(tags.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// One tag, from the path.
pub fn read_one(tag: &str) -> Result<String, ApiError> {
    Kind::Text(LONGEST).parse(tag.into()).map_err(invalid)?;
    Ok(tag.to_owned())
}

/// The tags of an object that the caller may see.
pub fn show(
    api: &Api,
    snapshot: &Snapshot<'_>,
    place: &Place,
    who: &Credentials,
    id: &str,
) -> Result<Vec<String>, ApiError> {
    let resource = place.resource();
    let plan = api.plans.of(resource, Shown::Listed(&[]), &["tags".to_owned()], (api, who));
    let (_, object) = place.look(api, snapshot, who, &plan, id)?;
    let object: Value = serde_json::from_slice(&object)
        .map_err(|error| ApiError::Declaration { resource: resource.name, reason: error.to_string() })?;
    let tags = object.get("tags").and_then(Value::as_array).into_iter().flatten();
    Ok(tags.filter_map(Value::as_str).map(str::to_owned).collect())
}

impl TagChange {
    /// What it does to tags, as policy calls it.
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Add(_) => "create",
            Self::Replace(_) | Self::AddOne(_) => "update",
            Self::Remove(_) | Self::Clear => "delete",
        }
    }

    /// Runs it on an object that is there.
    pub(super) fn run(&self, work: &Work<'_>, resource: &Resource, id: Uuid) -> Result<Outcome, ApiError> {
        let list = || Ok::<_, ApiError>(json!({"tags": tag::of_object(work.tx, id)?}).to_string().into_bytes());
        let outcome = match self {
            Self::Replace(tags) => {
                tag::replace(work, resource.collection, id, tags)?;
                Outcome::Done(list()?)
            }
            Self::Add(tags) => {
                tag::add(work, resource.collection, id, tags)?;
                Outcome::Created(list()?)
            }
            Self::AddOne(one) => {
                tag::add(work, resource.collection, id, std::slice::from_ref(one))?;
                Outcome::Created(b"null".to_vec())
            }
            Self::Remove(one) => {
                tag::remove(work, id, one)?;
                Outcome::Gone
            }
            Self::Clear => {
                tag::replace(work, resource.collection, id, &[])?;
                Outcome::Gone
            }
        };
        work.touch(resource.table, id)?;
        work.log(resource.name, id, Operation::Update, None)?;
        Ok(outcome)
    }
}

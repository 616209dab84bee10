//! Tags of any object whose declaration has the attribute `tags`.

use super::change::{Changing, Outcome};
use super::place::Place;
use super::plan::Shown;
use crate::api::Api;
use crate::error::ApiError;
use access_policy::Credentials;
use api_schema::{Kind, Refusal, SchemaError};
use network_store::tag;
use serde_json::{Map, Value, json};
use store::{Operation, Snapshot, Tx};

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

impl Changing<'_> {
    pub(super) fn tag(&self, tx: &Tx<'_>, id: &str, change: &TagChange) -> Result<Outcome, ApiError> {
        let resource = self.resource();
        let (uuid, object) = self.existing(tx, id)?;
        let verb = match change {
            TagChange::Add(_) => "create",
            TagChange::Replace(_) | TagChange::AddOne(_) => "update",
            TagChange::Remove(_) | TagChange::Clear => "delete",
        };
        self.check_policy(tx, &format!("{verb}_{}:tags", resource.rule()), &object, &Map::new(), &[])?;
        let work = self.work(tx);
        let outcome = match change {
            TagChange::Replace(tags) => {
                tag::replace(&work, resource.collection, uuid, tags)?;
                Outcome::Done(json!({"tags": tag::of_object(tx, uuid)?}).to_string().into_bytes())
            }
            TagChange::Add(tags) => {
                tag::add(&work, resource.collection, uuid, tags)?;
                Outcome::Created(json!({"tags": tag::of_object(tx, uuid)?}).to_string().into_bytes())
            }
            TagChange::AddOne(one) => {
                tag::add(&work, resource.collection, uuid, std::slice::from_ref(one))?;
                Outcome::Created(b"null".to_vec())
            }
            TagChange::Remove(one) => {
                tag::remove(&work, uuid, one)?;
                Outcome::Gone
            }
            TagChange::Clear => {
                tag::replace(&work, resource.collection, uuid, &[])?;
                Outcome::Gone
            }
        };
        work.touch(resource.table, uuid)?;
        work.log(resource.name, uuid, Operation::Update, None)?;
        Ok(outcome)
    }
}

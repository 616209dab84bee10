//! Where each declaration meets the functions that its requests call: a file an area. Nothing else is registered anywhere.

mod agents;
mod l2;
mod l3;
mod logs;
mod metering;
mod pools;
mod qos;
mod security;
mod taps;
mod trunks;

use crate::error::ApiError;
use crate::query::Query;
use api_schema::{Resource, Stored};
use network_store::{NetworkConfig, NetworkError, Work};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use store::{Snapshot, StoreError};
use uuid::Uuid;

/// A checked body's values.
pub type Values = Map<String, Value>;

/// What the requests on one resource call.
pub struct Rules {
    /// The declaration.
    pub resource: &'static Resource,
    /// Makes an object; its id.
    pub create: Option<CreateRule>,
    /// Makes the objects of one request, where that is more than making each of them.
    pub create_together: Option<CreateTogetherRule>,
    /// Changes one.
    pub update: Option<UpdateRule>,
    /// Whether a change that says nothing means something (of floating IPs it ends the association).
    pub empty_update: bool,
    /// Removes one.
    pub delete: Option<DeleteRule>,
    /// Further requests on one object, by name: body in, answer out.
    pub actions: &'static [(&'static str, ActionRule)],
    /// GET requests on one object beside showing it, by name.
    pub looks: &'static [(&'static str, LookRule)],
    /// Gives what no SQL expression does (`Stored::Computed`) of the objects of a page.
    pub computed: Option<ComputedRule>,
    /// What must be there before a list is shown.
    pub before_list: Option<BeforeList>,
}

impl Rules {
    /// A resource that can only be looked at; what else there is goes before `..Rules::of(...)`.
    const fn of(resource: &'static Resource) -> Self {
        Self {
            resource,
            create: None,
            create_together: None,
            update: None,
            empty_update: false,
            delete: None,
            actions: &[],
            looks: &[],
            computed: None,
            before_list: None,
        }
    }
}

/// What a POST calls.
pub type CreateRule = fn(&Work<'_>, Values) -> Result<Uuid, ApiError>;
/// What a POST of several objects calls that depend on each other.
pub type CreateTogetherRule = fn(&Work<'_>, Vec<Values>) -> Result<Vec<Uuid>, ApiError>;
/// What a PUT calls.
pub type UpdateRule = fn(&Work<'_>, Uuid, Values) -> Result<(), ApiError>;
/// What a DELETE calls.
pub type DeleteRule = fn(&Work<'_>, Uuid) -> Result<(), ApiError>;
/// What an action calls.
pub type ActionRule = fn(&Work<'_>, Uuid, Value) -> Result<Answer, ApiError>;
/// What a GET action calls; its answer's body.
pub type LookRule = fn(&Snapshot<'_>, &NetworkConfig, Uuid) -> Result<Value, ApiError>;
/// What gives the computed members of the objects with these ids: each member's name and its JSON, in the order of the ids. It
/// may look at what the list is filtered by.
pub type ComputedRule = fn(&Snapshot<'_>, &[String], &Query) -> Result<Vec<Vec<Computed>>, StoreError>;
/// A member's name and its JSON: a text, since JSON's numbers are larger than a machine's.
pub type Computed = (&'static str, String);

/// What an action is answered with.
pub enum Answer {
    /// This.
    Body(Value),
    /// The object, as it now is.
    Object,
    /// The same, without its name around it.
    Bare,
}

/// Something that a project has without having made it, and that its first list makes (the default security group).
pub struct BeforeList {
    /// The policy rule: who may cause it to be made.
    pub policy: &'static str,
    /// Whether the project has it already.
    pub there: fn(&Snapshot<'_>, &str) -> Result<bool, ApiError>,
    /// Makes it.
    pub make: fn(&Work<'_>, &str) -> Result<(), ApiError>,
}

/// The resources of each area.
static AREAS: &[&[Rules]] = &[
    l2::RULES,
    pools::RULES,
    security::RULES,
    l3::RULES,
    qos::RULES,
    metering::RULES,
    logs::RULES,
    agents::RULES,
    trunks::RULES,
    taps::RULES,
];

/// All resources.
pub fn all() -> impl Iterator<Item = &'static Rules> {
    AREAS.iter().copied().flatten()
}

/// Other objects under an object: `GET /v2.0/networks/ID/dhcp-agents`.
pub struct Relation {
    /// Under which resource.
    pub of: &'static Resource,
    /// The last part of the path.
    pub name: &'static str,
    /// What is listed.
    pub resource: &'static Resource,
    /// Which of them: an SQL condition over the listed resource, `:related_to` being the object.
    pub condition: &'static str,
    /// What is shown of each beside its attributes, and where that comes from (`ha_state` of a router's agents).
    pub also: &'static [(&'static str, Stored)],
    /// The policy rule of the list.
    pub policy: &'static str,
    /// `POST /v2.0/agents/ID/dhcp-networks`: brings two objects together. Its rule gets the body.
    pub add: Option<RelationChange>,
    /// `DELETE /v2.0/agents/ID/dhcp-networks/NETWORK_ID`: parts them. Its rule gets the last part of the path.
    pub remove: Option<RelationChange>,
}

/// A request that brings two objects together, or parts them.
#[derive(Debug)]
pub struct RelationChange {
    /// The policy rule.
    pub policy: &'static str,
    /// Whether the answer is 201 with `null`; otherwise it is 204.
    pub answered: bool,
    /// What it calls: with the first object, and what was given.
    pub run: fn(&Work<'_>, Uuid, Value) -> Result<(), ApiError>,
}

/// All of them.
pub static RELATIONS: &[Relation] = agents::RELATIONS;

/// The relation of this name under objects of a resource.
pub fn relation(of: &Resource, name: &str) -> Option<&'static Relation> {
    RELATIONS.iter().find(|relation| relation.of.name == of.name && relation.name == name)
}

/// The typed request that the rules read. That every checked body can be read is held by a test.
fn typed<T: DeserializeOwned>(resource: &'static str, values: Values) -> Result<T, ApiError> {
    typed_value(resource, Value::Object(values))
}

fn typed_value<T: DeserializeOwned>(resource: &'static str, value: Value) -> Result<T, ApiError> {
    serde_json::from_value(value).map_err(|error| ApiError::Declaration { resource, reason: error.to_string() })
}

fn done(outcome: Result<(), NetworkError>) -> Result<(), ApiError> {
    outcome.map_err(ApiError::from)
}

fn answer(value: impl serde::Serialize) -> Result<Answer, ApiError> {
    serde_json::to_value(value)
        .map(Answer::Body)
        .map_err(|error| ApiError::Declaration { resource: "router", reason: error.to_string() })
}

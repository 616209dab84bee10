//! Where each declaration meets the functions that its requests call. Nothing else is registered anywhere.

use crate::error::ApiError;
use api_schema::{Resource, resources};
use network_store::{NetworkError, Work, network, port, subnet};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use uuid::Uuid;

/// A checked body's values.
pub type Values = Map<String, Value>;

/// What the requests on one resource call.
pub struct Rules {
    /// The declaration.
    pub resource: &'static Resource,
    /// Makes an object; its id.
    pub create: Option<fn(&Work<'_>, Values) -> Result<Uuid, ApiError>>,
    /// Changes one.
    pub update: Option<fn(&Work<'_>, Uuid, Values) -> Result<(), ApiError>>,
    /// Removes one.
    pub delete: Option<fn(&Work<'_>, Uuid) -> Result<(), ApiError>>,
    /// Further requests on one object, by name: body in, answer out.
    pub actions: &'static [(&'static str, ActionRule)],
}

/// What an action calls.
pub type ActionRule = fn(&Work<'_>, Uuid, Value) -> Result<Value, ApiError>;

/// All resources.
pub static ALL: &[Rules] = &[
    Rules {
        resource: &resources::NETWORK,
        create: Some(|work, values| Ok(network::create(work, typed("network", values)?)?.0)),
        update: Some(|work, id, values| done(network::update(work, id.into(), typed("network", values)?))),
        delete: Some(|work, id| done(network::delete(work, id.into()))),
        actions: &[],
    },
    Rules {
        resource: &resources::SUBNET,
        create: Some(|work, values| Ok(subnet::create(work, typed("subnet", values)?)?.0)),
        update: Some(|work, id, values| done(subnet::update(work, id.into(), typed("subnet", values)?))),
        delete: Some(|work, id| done(subnet::delete(work, id.into()))),
        actions: &[],
    },
    Rules {
        resource: &resources::PORT,
        create: Some(|work, values| Ok(port::create(work, typed("port", values)?)?.0)),
        update: Some(|work, id, values| done(port::update(work, id.into(), typed("port", values)?))),
        delete: Some(|work, id| done(port::delete(work, id.into()))),
        actions: &[],
    },
];

/// The rules of a collection as it is written in paths.
pub fn find(collection: &str) -> Option<&'static Rules> {
    ALL.iter().find(|rules| rules.resource.path() == collection || rules.resource.collection == collection)
}

/// The typed request that the rules read. That every checked body can be read is held by a test.
fn typed<T: DeserializeOwned>(resource: &'static str, values: Values) -> Result<T, ApiError> {
    serde_json::from_value(Value::Object(values))
        .map_err(|error| ApiError::Declaration { resource, reason: error.to_string() })
}

fn done(outcome: Result<(), NetworkError>) -> Result<(), ApiError> {
    outcome.map_err(ApiError::from)
}

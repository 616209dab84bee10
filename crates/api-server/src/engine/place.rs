//! Where in the API a request stands: a collection, at the top or inside an object.

use super::plan::{Plan, Shown};
use super::sql::{Given, Name, Sql};
use super::{canonical, given, one};
use crate::api::Api;
use crate::error::ApiError;
use crate::registry::{self, Rules};
use access_policy::Credentials;
use api_schema::{Parent, Resource, resources};
use serde_json::{Map, Value};
use store::{Snapshot, StoreError};
use uuid::Uuid;

/// A collection, and the object in whose path it stands.
#[derive(Clone)]
pub struct Place {
    /// What the requests on it call.
    pub rules: &'static Rules,
    /// The id of the object that it is inside, as the path has it.
    parent: Option<String>,
}

impl Place {
    /// The place that a path (behind `/v2.0/`) begins with, and what is left of the path: an id, an action.
    pub fn find(parts: &[String]) -> Option<(Self, &[String])> {
        // Clients write `-` and `_` as they like, as Neutron lets them.
        let named = |resource: &Resource, part: &str| {
            let same = |(given, known): (u8, u8)| given == known || (given, known) == (b'-', b'_');
            part.len() == resource.collection.len() && part.bytes().zip(resource.collection.bytes()).all(same)
        };
        let top = |rules: &'static Rules| {
            let resource = rules.resource;
            let after = match parts {
                // Neutron has the tags of all objects without the prefix of their collection.
                [first, after @ ..] if named(resource, first) => {
                    let tags = after.get(1).is_some_and(|member| member == "tags");
                    (resource.prefix.is_empty() || tags).then_some(after)
                }
                [first, second, after @ ..] if first == resource.prefix && named(resource, second) => Some(after),
                _ => None,
            };
            after.filter(|_| resource.inside.is_none()).map(|after| (rules, after))
        };
        let (rules, mut rest) = registry::all().find_map(top)?;
        let mut place = Self { rules, parent: None };
        while let [id, member, after @ ..] = rest {
            let inside = |rules: &&Rules| {
                let inside = rules.resource.inside.as_ref();
                inside.is_some_and(|inside| inside.name == place.resource().name) && named(rules.resource, member)
            };
            let Some(rules) = registry::all().find(inside) else { break };
            place = Self { rules, parent: Some(id.clone()) };
            rest = after;
        }
        Some((place, rest))
    }

    /// The declaration.
    pub fn resource(&self) -> &'static Resource {
        self.rules.resource
    }

    /// The object that it is inside: how it is referred to, and its id.
    pub fn parent(&self) -> Option<(&'static Parent, String)> {
        Some((self.resource().inside.as_ref()?, canonical(self.parent.as_deref()?)))
    }

    /// That an object is not there.
    pub fn not_found(&self, id: &str) -> ApiError {
        ApiError::NotFound {
            kind: self.resource().not_found.kind,
            message: self.resource().not_found.message(id, self.parent.as_deref()),
        }
    }

    /// The object that it is inside must be there for the caller.
    pub fn check_parent(&self, api: &Api, snapshot: &Snapshot<'_>, who: &Credentials) -> Result<(), ApiError> {
        let Some((parent, id)) = self.parent() else { return Ok(()) };
        let Some(declared) = resources::find(parent.name) else { return Ok(()) };
        match is_visible(api, snapshot, declared, who, &id)? {
            true => Ok(()),
            false => Err(ApiError::not_found(declared, &id)),
        }
    }

    /// The object that it is inside must be there at all.
    pub fn check_parent_exists(&self, snapshot: &Snapshot<'_>) -> Result<(), ApiError> {
        let Some((parent, id)) = self.parent() else { return Ok(()) };
        let Some(declared) = resources::find(parent.name) else { return Ok(()) };
        let sql = format!("SELECT 1 FROM {table} WHERE {table}.id = ?1", table = parent.table);
        match snapshot.exists(&sql, &[id.as_str().into()])? {
            true => Ok(()),
            false => Err(ApiError::not_found(declared, &id)),
        }
    }

    /// One object here, by what the path names it, if the caller may see it: its id and its JSON.
    pub fn look(
        &self,
        api: &Api,
        snapshot: &Snapshot<'_>,
        who: &Credentials,
        plan: &Plan,
        key: &str,
    ) -> Result<(String, Vec<u8>), ApiError> {
        self.check_parent(api, snapshot, who)?;
        let parent = self.parent().map(|(_, id)| id).unwrap_or_default();
        let given = Given { key: &canonical(key), parent: &parent, ..given(api, who) };
        let found = one(snapshot, plan, plan.named(api, who), &given)?;
        found.ok_or_else(|| self.not_found(key))
    }

    /// The same with everything there is of it, read: what policy looks at.
    pub fn object(
        &self,
        api: &Api,
        snapshot: &Snapshot<'_>,
        who: &Credentials,
        key: &str,
    ) -> Result<(Uuid, Map<String, Value>), ApiError> {
        let resource = self.resource();
        let plan = api.plans.of(resource, Shown::Everything, &[], (api, who));
        let (id, json) = self.look(api, snapshot, who, &plan, key)?;
        let mut object: Map<String, Value> = serde_json::from_slice(&json)
            .map_err(|error| ApiError::Declaration { resource: resource.name, reason: error.to_string() })?;
        self.add_parent(&mut object);
        Ok((Uuid::parse_str(&id).map_err(|_| self.not_found(key))?, object))
    }

    /// What an object here refers to its parent by.
    pub fn add_parent(&self, object: &mut Map<String, Value>) {
        if let Some((parent, id)) = self.parent() {
            object.insert(parent.attribute.to_owned(), id.into());
        }
    }

    /// The SQL condition that says: in the object that places of this resource are inside ([`Name::Parent`]).
    pub fn condition(resource: &Resource, sql: &mut Sql) -> String {
        match &resource.inside {
            Some(parent) => format!("{} = {}", parent.column, sql.given(Name::Parent)),
            None => "1 = 1".to_owned(),
        }
    }
}

/// Whether an object is there for the caller.
pub fn is_visible(
    api: &Api,
    snapshot: &Snapshot<'_>,
    resource: &'static Resource,
    who: &Credentials,
    id: &str,
) -> Result<bool, StoreError> {
    let plan = api.plans.of(resource, Shown::Everything, &[], (api, who));
    let sql = plan.there(api, who);
    let given = Given { key: &canonical(id), ..given(api, who) };
    snapshot.exists(&sql.text, &sql.values(&given, &[]))
}

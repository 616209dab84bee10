//! Changes: body, policy, quota, rules and the answer, in one unit of work.

use super::outcome::Outcome;
use super::place::{Place, is_visible};
use super::plan::{Plan, Shown};
use super::sql::Given;
use super::tags::TagChange;
use super::target::ObjectTarget;
use super::{given, one, wrapped};
use crate::api::Api;
use crate::error::ApiError;
use crate::registry::{Answer, RelationChange, Rules};
use access_policy::{Condition, Credentials, Policy};
use api_schema::body::{self, Author, Creation, Request};
use api_schema::{Attribute, Resource, Visible, resources};
use network_store::{Caller, Work, quota};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Snapshot, StoreError, Tx};
use uuid::Uuid;

/// A request that changes something.
#[derive(Debug, Clone)]
pub enum Change {
    /// POST on a collection.
    Create(Creation),
    /// PUT on an object.
    Update(String, Request),
    /// DELETE of an object.
    Delete(String),
    /// POST or DELETE on a relation.
    Relation(String, &'static RelationChange, Value),
    /// PUT on an object's action.
    Action(String, &'static str, Value),
    /// Any change of an object's tags.
    Tags(String, TagChange),
}

/// Everything that a change needs beside the transaction.
#[derive(Clone, Copy)]
pub struct Changing<'a> {
    api: &'a Api,
    place: &'a Place,
    who: &'a Credentials,
    if_match: Option<u64>,
}

/// Why a change that says nothing new is undone.
enum Tried {
    /// It has changed nothing.
    Nothing,
    /// It may not be.
    Refused(ApiError),
}

impl From<StoreError> for Tried {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl Change {
    /// Reads the body of a POST: before the transaction, so that nobody waits for it.
    pub fn create(api: &Api, rules: &Rules, who: &Credentials, body: Value) -> Result<Self, ApiError> {
        Ok(Self::Create(body::creation(rules.resource, author(api, who), body)?))
    }

    /// Reads the body of a PUT.
    pub fn update(api: &Api, rules: &Rules, who: &Credentials, id: String, body: Value) -> Result<Self, ApiError> {
        Ok(Self::Update(id, body::update(rules.resource, author(api, who), body)?))
    }

    /// Runs the change in an open transaction. `if_match` is the revision that the object must have.
    pub fn run(
        self,
        api: &Api,
        tx: &Tx<'_>,
        place: &Place,
        who: &Credentials,
        if_match: Option<u64>,
    ) -> Result<Outcome, ApiError> {
        let changing = Changing { api, place, who, if_match };
        match self {
            Self::Create(creation) => changing.create(tx, creation),
            Self::Update(id, request) => changing.update(tx, &id, request),
            Self::Delete(id) => changing.delete(tx, &id),
            Self::Relation(id, relation, given) => changing.relate(tx, &id, relation, given),
            Self::Action(id, name, body) => changing.act(tx, &id, name, body),
            Self::Tags(id, change) => changing.tag(tx, &id, &change),
        }
    }
}

fn author<'a>(api: &Api, who: &'a Credentials) -> Author<'a> {
    let any_project =
        api.policy.is_admin(who) || api.policy.condition("context_can_set_project_id", who) == Condition::Always;
    Author { project_id: &who.project_id, any_project }
}

impl Changing<'_> {
    fn resource(&self) -> &'static Resource {
        self.place.resource()
    }

    fn rules(&self) -> &'static Rules {
        self.place.rules
    }

    fn work<'w>(&'w self, tx: &'w Tx<'w>) -> Work<'w> {
        let caller = Caller { project_id: &self.who.project_id, is_admin: self.api.policy.is_admin(self.who) };
        Work::new(tx, &self.api.network, caller)
    }

    fn create(&self, tx: &Tx<'_>, creation: Creation) -> Result<Outcome, ApiError> {
        let resource = self.resource();
        self.place.check_parent_exists(tx)?;
        let (mut requests, bulk) = match creation {
            Creation::One(request) => (vec![request], false),
            Creation::Bulk(requests) => (requests, true),
        };
        let mut wanted: BTreeMap<&str, u64> = BTreeMap::new();
        for request in &mut requests {
            self.place.add_parent(&mut request.values);
            self.check_parents(tx, request)?;
            let action = format!("create_{}", resource.rule());
            self.check_policy(tx, &action, &request.values, &request.values, &request.explicit)?;
            let project = request.values.get("project_id").and_then(Value::as_str).unwrap_or_default();
            *wanted.entry(project).or_default() += 1;
        }
        // Whoever may not create in somebody's object hears that, as in Neutron, though it may not see the object.
        self.place.check_parent(self.api, tx, self.who)?;
        for (project, more) in wanted.into_iter().filter(|_| resource.quota) {
            quota::check(tx, &self.api.network, resource.name, project, more)?;
        }
        let work = self.work(tx);
        let values = requests.into_iter().map(|request| request.values);
        let ids: Vec<Uuid> = match (self.rules().create, self.rules().create_together) {
            (_, Some(create)) => create(&work, values.collect())?,
            (Some(create), None) => values.map(|values| create(&work, values)).collect::<Result<_, _>>()?,
            (None, None) => return Err(ApiError::NoSuchMethod),
        };
        let plan = self.plan(Shown::Made);
        let mut objects = Vec::with_capacity(ids.len());
        for id in ids {
            objects.push(self.written(tx, &plan, id)?);
        }
        Ok(Outcome::Created(match objects.as_slice() {
            [object] if !bulk => wrapped(resource, object),
            several => {
                let mut out = format!("{{\"{}\":[", resource.collection).into_bytes();
                out.extend_from_slice(&several.join(&b','));
                out.extend_from_slice(b"]}");
                out
            }
        }))
    }

    fn update(&self, tx: &Tx<'_>, id: &str, request: Request) -> Result<Outcome, ApiError> {
        let resource = self.resource();
        let Request { values, explicit } = request;
        let (uuid, before) = self.existing(tx, id)?;
        let update = self.rules().update.ok_or(ApiError::NotImplemented)?;
        let mut object = before.clone();
        for (name, value) in &values {
            object.insert(name.clone(), value.clone());
        }
        self.check_policy(tx, &format!("update_{}", resource.rule()), &object, &values, &explicit)?;
        // A change of nothing is mostly none: it raises no revision and wakes nobody.
        if object == before && !values.is_empty() {
            self.confirm(tx, id, &before, || update(&self.work(tx), uuid, values))?;
        } else if !values.is_empty() || self.rules().empty_update {
            update(&self.work(tx), uuid, values)?;
        }
        Ok(Outcome::Done(wrapped(resource, &self.written(tx, &self.plan(Shown::Alone), uuid)?)))
    }

    /// A change that only says what is so. The rules decide, since saying it may be refused or mean more than it says (a host
    /// is asked again to bind a port); but when the object is then what it was, nothing has happened.
    fn confirm(
        &self,
        tx: &Tx<'_>,
        id: &str,
        before: &Map<String, Value>,
        update: impl FnOnce() -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let same = |after: &Map<String, Value>| {
            let says = |name: &str| !matches!(name, "revision_number" | "updated_at");
            before.len() == after.len()
                && before.iter().all(|(name, value)| !says(name) || after.get(name) == Some(value))
        };
        let tried = tx.savepoint(|tx| {
            update().map_err(Tried::Refused)?;
            match self.place.object(self.api, tx, self.who, id).map_err(Tried::Refused)? {
                (_, after) if same(&after) => Err(Tried::Nothing),
                _ => Ok(()),
            }
        });
        match tried {
            Ok(()) | Err(Tried::Nothing) => Ok(()),
            Err(Tried::Refused(error)) => Err(error),
        }
    }

    fn delete(&self, tx: &Tx<'_>, id: &str) -> Result<Outcome, ApiError> {
        let delete = self.rules().delete.ok_or(ApiError::NoSuchMethod)?;
        let (uuid, object) = self.existing(tx, id)?;
        self.check_policy(tx, &format!("delete_{}", self.resource().rule()), &object, &Map::new(), &[])?;
        delete(&self.work(tx), uuid)?;
        Ok(Outcome::Gone)
    }

    fn act(&self, tx: &Tx<'_>, id: &str, name: &'static str, body: Value) -> Result<Outcome, ApiError> {
        let action = self.rules().actions.iter().find(|(known, _)| *known == name).ok_or(ApiError::NoSuchPath)?.1;
        let (uuid, object) = self.existing(tx, id)?;
        // What of the resource's attributes the body has in the resource's own form has rules of its own.
        let given = body.get(self.resource().key()).and_then(Value::as_object).cloned().unwrap_or_default();
        let explicit: Vec<_> = given.keys().filter_map(|name| self.resource().attribute(name)).collect();
        self.check_policy(tx, name, &object, &given, &explicit)?;
        Ok(Outcome::Done(match action(&self.work(tx), uuid, body)? {
            Answer::Body(value) => value.to_string().into_bytes(),
            shown @ (Answer::Object | Answer::Bare) => {
                let object = self.written(tx, &self.plan(Shown::Alone), uuid)?;
                if matches!(shown, Answer::Bare) { object } else { wrapped(self.resource(), &object) }
            }
        }))
    }

    fn relate(&self, tx: &Tx<'_>, id: &str, relation: &RelationChange, given: Value) -> Result<Outcome, ApiError> {
        let (uuid, object) = self.existing(tx, id)?;
        self.check_policy(tx, relation.policy, &object, &Map::new(), &[])?;
        (relation.run)(&self.work(tx), uuid, given).map(|()| match relation.answered {
            true => Outcome::Created(b"null".to_vec()),
            false => Outcome::Gone,
        })
    }

    fn tag(&self, tx: &Tx<'_>, id: &str, change: &TagChange) -> Result<Outcome, ApiError> {
        let (uuid, object) = self.existing(tx, id)?;
        let action = format!("{}_{}:tags", change.verb(), self.resource().rule());
        self.check_policy(tx, &action, &object, &Map::new(), &[])?;
        change.run(&self.work(tx), self.resource(), uuid)
    }

    /// The object as it is, if the caller may see it and it has the revision that the client has seen.
    fn existing(&self, tx: &Tx<'_>, id: &str) -> Result<(Uuid, Map<String, Value>), ApiError> {
        let (uuid, object) = self.place.object(self.api, tx, self.who, id)?;
        if let Some(expected) = self.if_match {
            let current = object.get("revision_number").and_then(Value::as_u64).unwrap_or_default();
            if current != expected {
                return Err(ApiError::RevisionMismatch { expected, current });
            }
        }
        Ok((uuid, object))
    }

    /// The answer to a change: the object as it now is.
    fn written(&self, tx: &Tx<'_>, plan: &Plan, id: Uuid) -> Result<Vec<u8>, ApiError> {
        let id = id.to_string();
        let found = one(tx, plan, plan.by_id(), &Given { key: &id, ..given(self.api, self.who) })?;
        found.map(|(_, json)| json).ok_or_else(|| self.place.not_found(&id))
    }

    fn plan(&self, shown: Shown) -> Arc<Plan> {
        self.api.plans.of(self.resource(), shown, &[], (self.api, self.who))
    }

    /// What a new object shall belong to must exist for the caller.
    fn check_parents(&self, tx: &Snapshot<'_>, request: &Request) -> Result<(), ApiError> {
        for parent in self.resource().parents {
            let Some(id) = request.values.get(parent.attribute).and_then(Value::as_str) else { continue };
            let Some(declared) = resources::find(parent.name) else { continue };
            if !is_visible(self.api, tx, declared, self.who, id)? {
                return Err(ApiError::not_found(declared, id));
            }
        }
        Ok(())
    }

    /// The action's rule, and those of the attributes that the client set and of what is inside them.
    fn check_policy(
        &self,
        tx: &Tx<'_>,
        action: &str,
        object: &Map<String, Value>,
        given: &Map<String, Value>,
        explicit: &[&'static Attribute],
    ) -> Result<(), ApiError> {
        let mut rules = vec![action.to_owned()];
        for attribute in explicit.iter().filter(|attribute| attribute.policy) {
            let rule = format!("{action}:{}", attribute.name);
            inner_rules(&self.api.policy, &rule, given.get(attribute.name), &mut rules);
            rules.push(rule);
        }
        let target = ObjectTarget {
            resource: self.resource(),
            values: object,
            snapshot: tx,
            given: &super::given(self.api, self.who),
        };
        let denied: Vec<&String> =
            rules.iter().filter(|rule| !self.api.policy.condition(rule, self.who).holds(&target)).collect();
        if denied.is_empty() {
            return Ok(());
        }
        // Of an object that is shared without a way to see so, Neutron says to others that it is not there.
        let hidden = |shared: &Attribute| shared.visible == Visible::Never && !shared.filter;
        let hidden = self.resource().attribute("shared").is_some_and(hidden);
        if hidden
            && let Some(id) = object.get("id").and_then(Value::as_str)
            && object.get("project_id").and_then(Value::as_str) != Some(&self.who.project_id)
        {
            return Err(self.place.not_found(id));
        }
        let all: Vec<String> = rules.iter().map(|rule| format!("rule:{rule}")).collect();
        Err(ApiError::Forbidden(match all.as_slice() {
            [one] => one.clone(),
            several => format!("({})", several.join(" and ")),
        }))
    }
}

/// `create_port:fixed_ips:ip_address`: one rule for each member that the client gave. Objects have such rules only where
/// one is written; of members of lists, what is not written falls to the default rule.
fn inner_rules(policy: &Policy, rule: &str, value: Option<&Value>, rules: &mut Vec<String>) {
    let mut add = |name: &String, unwritten: bool| {
        let inner = format!("{rule}:{name}");
        if (unwritten || policy.has(&inner)) && !rules.contains(&inner) {
            rules.push(inner);
        }
    };
    match value {
        Some(Value::Object(members)) => members.keys().for_each(|name| add(name, false)),
        Some(Value::Array(items)) => {
            for name in items.iter().filter_map(Value::as_object).flat_map(Map::keys) {
                add(name, true);
            }
        }
        _ => {}
    }
}

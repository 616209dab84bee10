//! What the engine asks the database for a kind of request, prepared once and kept.
//!
//! What a caller sees and how it is looked up follows from the declaration, from policy and from the caller's standing
//! ([`access_policy::Standing`]): all its values are parameters. Nothing that the database says is kept here, so that nothing
//! can be out of date; and when policy changes the API is another one ([`Api::with_policy`]), with plans of its own.

use super::Place;
use super::render::Fetch;
use super::shape::Shape;
use super::sql::{Name, Sql};
use crate::api::Api;
use access_policy::{Credentials, Standing};
use api_schema::{Resource, Stored};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// As many plans are kept, each of a few thousand bytes: there are as many as kinds of requests, until somebody asks for ever
/// other members (`fields`). Then they are made anew.
const MOST: usize = 512;

/// Values that only one list shows, by name.
type Also = &'static [(&'static str, Stored)];

/// Where objects are shown.
#[derive(Debug, Clone, Copy)]
pub enum Shown {
    /// In a list, with these values beside the resource's own.
    Listed(Also),
    /// Alone.
    Alone,
    /// In the answer to the request that made them.
    Made,
    /// To policy: everything, hidden or not.
    Everything,
}

/// What tells plans apart.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    resource: &'static str,
    shown: u8,
    /// Declarations live as long as the program: where one is tells it from others.
    also: (usize, usize),
    fields: Vec<String>,
    standing: Standing,
}

/// How objects are looked up and shown.
#[derive(Debug)]
pub struct Plan {
    /// Reads and writes them.
    pub fetch: Fetch,
    listed: OnceLock<Sql>,
    named: OnceLock<Sql>,
    by_id: OnceLock<Sql>,
    there: OnceLock<Sql>,
}

impl Plan {
    fn new(shape: Shape) -> Self {
        Self {
            fetch: Fetch::new(shape),
            listed: OnceLock::new(),
            named: OnceLock::new(),
            by_id: OnceLock::new(),
            there: OnceLock::new(),
        }
    }

    /// Those that the caller may see: to be completed with more conditions and an order.
    pub fn listed(&self, api: &Api, who: &Credentials) -> &Sql {
        self.listed.get_or_init(|| {
            let mut sql = self.fetch.select.clone();
            let visible = sql.visible(self.fetch.resource, &api.policy, who);
            sql.push(&format!(" WHERE {visible}"));
            sql
        })
    }

    /// The one in a place that [`Name::Key`] names, if the caller may see it.
    pub fn named(&self, api: &Api, who: &Credentials) -> &Sql {
        self.named.get_or_init(|| {
            let resource = self.fetch.resource;
            let mut sql = self.fetch.select_one.clone();
            let key = sql.given(Name::Key);
            let here = Place::condition(resource, &mut sql);
            let visible = sql.visible(resource, &api.policy, who);
            sql.push(&format!(" WHERE {} = {key} AND {here} AND {visible}", resource.path_column()));
            sql
        })
    }

    /// The one whose id is [`Name::Key`].
    pub fn by_id(&self) -> &Sql {
        self.by_id.get_or_init(|| {
            let mut sql = self.fetch.select_one.clone();
            let key = sql.given(Name::Key);
            sql.push(&format!(" WHERE {}.id = {key}", self.fetch.resource.table));
            sql
        })
    }

    /// A row if [`Name::Key`] names one that the caller may see.
    pub fn there(&self, api: &Api, who: &Credentials) -> &Sql {
        self.there.get_or_init(|| {
            let resource = self.fetch.resource;
            let mut sql = Sql::new();
            let key = sql.given(Name::Key);
            let visible = sql.visible(resource, &api.policy, who);
            let (from, column) = (resource.from, resource.path_column());
            sql.push(&format!("SELECT 1 FROM {from} WHERE {column} = {key} AND {visible}"));
            sql
        })
    }
}

/// All plans that were made.
#[derive(Debug, Default)]
pub struct Plans(RwLock<HashMap<Key, Arc<Plan>>>);

impl Plans {
    /// The plan for objects of a resource and callers like this one; of the members only `fields`, if any are named.
    pub fn of(
        &self,
        resource: &'static Resource,
        shown: Shown,
        fields: &[String],
        (api, who): (&Api, &Credentials),
    ) -> Arc<Plan> {
        let (kind, also) = match shown {
            Shown::Listed(also) => (0, (also.as_ptr() as usize, also.len())),
            Shown::Alone => (1, (0, 0)),
            Shown::Made => (2, (0, 0)),
            Shown::Everything => (3, (0, 0)),
        };
        let standing = api.policy.standing(who);
        let key = Key { resource: resource.name, shown: kind, also, fields: fields.to_vec(), standing };
        if let Some(plan) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(plan);
        }
        let policy = &api.policy;
        let plan = Arc::new(Plan::new(match shown {
            Shown::Listed(also) => Shape::visible(resource, policy, who, fields).with(also, fields),
            Shown::Alone => Shape::alone(resource, policy, who, fields),
            Shown::Made => Shape::made(resource, policy, who),
            Shown::Everything => Shape::everything(resource),
        }));
        let mut plans = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= MOST {
            plans.clear();
        }
        plans.insert(key, Arc::clone(&plan));
        plan
    }
}

//! Lists of what a project has without having made it: it is made when the first list asks for it.

use crate::api::Api;
use crate::error::ApiError;
use crate::query::Query;
use crate::registry::BeforeList;
use access_policy::{Credentials, Target};
use network_store::{Caller, Work};
use std::borrow::Cow;
use store::Tx;

/// The project that a list is of, if it lacks something that the caller may cause to be made.
pub fn lacks(api: &Api, before: &BeforeList, who: &Credentials, query: &Query) -> Result<Option<String>, ApiError> {
    let project = query.last("project_id").or_else(|| query.last("tenant_id")).unwrap_or(&who.project_id);
    let allowed = !project.is_empty() && api.policy.condition(before.policy, who).holds(&Project(project));
    if !allowed || api.store.read_blocking(|snapshot| (before.there)(snapshot, project))? {
        return Ok(None);
    }
    Ok(Some(project.to_owned()))
}

/// Makes it, in a unit of work of its own.
pub fn make_before_list(
    api: &Api,
    tx: &Tx<'_>,
    before: &BeforeList,
    who: &Credentials,
    project: &str,
) -> Result<(), ApiError> {
    let caller = Caller { project_id: &who.project_id, is_admin: api.policy.is_admin(who) };
    (before.make)(&Work::new(tx, &api.network, caller), project)
}

/// All that policy may know of it: whose it is.
struct Project<'a>(&'a str);

impl Target for Project<'_> {
    fn value(&self, key: &str) -> Option<Cow<'_, str>> {
        (key == "project_id").then_some(Cow::Borrowed(self.0))
    }

    fn field(&self, _: &str, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

//! What is not rows of a resource.

pub mod auto_topology;
pub mod extensions;
pub mod instance_metadata;
pub mod openapi;
pub mod quotas;
pub mod tags;
pub mod versions;

use crate::api::Api;
use access_policy::{Credentials, Target};
use std::borrow::Cow;

/// The project that something belongs to.
struct Owner<'a>(&'a str);

impl Target for Owner<'_> {
    fn value(&self, key: &str) -> Option<Cow<'_, str>> {
        (key == "project_id").then_some(Cow::Borrowed(self.0))
    }
    fn field(&self, _: &str, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

/// Whether policy lets the caller do something to what belongs to a project.
fn allowed(api: &Api, who: &Credentials, rule: &str, project: &str) -> bool {
    api.policy.condition(rule, who).holds(&Owner(project))
}

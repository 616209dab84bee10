//! A set of named rules, and what they mean for a caller.

use crate::condition::{Condition, Expected};
use crate::credentials::Credentials;
use crate::defaults;
use crate::language::{PolicyError, Rule};
use std::collections::HashMap;

/// Named rules.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    rules: HashMap<String, Rule>,
}

/// How many references may lead to each other; a circle ends here and denies.
const DEPTH: usize = 16;

impl Policy {
    /// Neutron's default rules.
    pub fn neutron() -> Self {
        let mut policy = Self::default();
        for rule in defaults::all() {
            // A default that cannot be read denies; a test holds that there is none.
            policy.rules.insert(rule.name.into(), rule.check.parse().unwrap_or(Rule::Never));
        }
        policy
    }

    /// Replaces or adds one rule, as an operator's policy file does.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), PolicyError> {
        self.rules.insert(name.to_owned(), text.parse()?);
        Ok(())
    }

    /// Whether a rule of this name exists.
    pub fn has(&self, name: &str) -> bool {
        self.rules.contains_key(name)
    }

    /// Whether the caller is an administrator of the cloud.
    pub fn is_admin(&self, credentials: &Credentials) -> bool {
        self.condition("context_is_admin", credentials) == Condition::Always
    }

    /// Whether objects are there for the caller whichever project they belong to: administrators, services, and whom the
    /// operator gave global access.
    pub fn sees_all_projects(&self, credentials: &Credentials) -> bool {
        ["context_is_admin", "context_with_global_access", "service_api", "context_is_advsvc"]
            .iter()
            .any(|rule| self.condition(rule, credentials) == Condition::Always)
    }

    /// What the target must be for the caller to be allowed. A rule that does not exist is the rule `default`.
    pub fn condition(&self, name: &str, credentials: &Credentials) -> Condition {
        if credentials.is_of_another_scope() {
            return Condition::Never;
        }
        self.named(name, credentials, 0)
    }

    /// Like [`Policy::condition`], but what has no rule of its own is allowed: for showing attributes.
    pub fn condition_or_always(&self, name: &str, credentials: &Credentials) -> Condition {
        if self.has(name) { self.condition(name, credentials) } else { Condition::Always }
    }

    fn named(&self, name: &str, credentials: &Credentials, depth: usize) -> Condition {
        if depth > DEPTH {
            return Condition::Never;
        }
        match self.rules.get(name).or_else(|| self.rules.get("default")) {
            Some(rule) => self.reduce(rule, credentials, depth),
            None => Condition::Never,
        }
    }

    fn reduce(&self, rule: &Rule, credentials: &Credentials, depth: usize) -> Condition {
        let decided = |yes: bool| if yes { Condition::Always } else { Condition::Never };
        match rule {
            Rule::Always => Condition::Always,
            Rule::Never => Condition::Never,
            Rule::Role(role) => decided(credentials.has_role(role)),
            Rule::ServiceRole(role) => decided(credentials.has_service_role(role)),
            Rule::Reference(name) => self.named(name, credentials, depth + 1),
            Rule::Constant { caller, value } => decided(credentials.value(caller) == Some(value)),
            Rule::Matches { caller, target } => match credentials.value(caller) {
                // Without a project nothing is one's own, not even what belongs to nobody.
                None | Some("") => Condition::Never,
                Some(value) => Condition::Equals { key: project(target), value: value.to_owned() },
            },
            Rule::Field { collection, field, expected } => Condition::Field {
                collection: collection.clone(),
                field: field.clone(),
                expected: match expected.strip_prefix("~^") {
                    Some(prefix) => Expected::Prefix(prefix.to_owned()),
                    None => Expected::Exactly(expected.clone()),
                },
            },
            Rule::And(rules) => Condition::all(rules.iter().map(|rule| self.reduce(rule, credentials, depth))),
            Rule::Or(rules) => Condition::any(rules.iter().map(|rule| self.reduce(rule, credentials, depth))),
            Rule::Not(rule) => self.reduce(rule, credentials, depth).negated(),
        }
    }
}

/// Old rules say tenant.
fn project(key: &str) -> String {
    key.strip_suffix("tenant_id").map_or_else(|| key.to_owned(), |before| format!("{before}project_id"))
}

//! A set of named rules, and what they mean for a caller.

use crate::condition::{Condition, Expected, Of};
use crate::credentials::{Credentials, Standing, named};
use crate::defaults;
use crate::file::{self, PolicyFileError};
use crate::language::Rule;
use std::collections::HashMap;

/// Named rules.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    rules: HashMap<String, Source>,
    /// Whether a rule asks for one certain user, project or domain.
    names_callers: bool,
}

/// A rule with what it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub rule: Rule,
    pub text: String,
    pub from_file: bool,
}

/// A rule as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed<'a> {
    /// `create_network`.
    pub name: &'a str,
    /// In oslo.policy's language.
    pub check: &'a str,
    /// Whether the operator's file says it.
    pub from_file: bool,
}

/// How many references may lead to each other; a circle ends here and denies.
pub(crate) const DEPTH: usize = 16;

impl Policy {
    /// Neutron's default rules.
    pub fn neutron() -> Self {
        let mut policy = Self::default();
        for rule in defaults::all() {
            // A default that cannot be read denies; a test holds that there is none.
            let source = Source {
                rule: rule.check.parse().unwrap_or(Rule::Never),
                text: rule.check.to_owned(),
                from_file: false,
            };
            policy.rules.insert(rule.name.into(), source);
        }
        policy.names_callers = policy.rules.values().any(|source| names_callers(&source.rule));
        policy
    }

    /// Neutron's rules, with those of an operator's file over them.
    pub fn with_file(text: &str) -> Result<Self, PolicyFileError> {
        let mut policy = Self::neutron();
        let mut own: HashMap<String, Source> = HashMap::new();
        let mut order = Vec::new();
        for (name, source) in file::read(text)? {
            order.push(name.clone());
            own.insert(name, source);
        }
        // Under its former name a rule counts as long as the present one is not in the file.
        for rule in defaults::all() {
            if let Some(source) = rule.former.filter(|_| !own.contains_key(rule.name)).and_then(|name| own.get(name)) {
                policy.rules.insert(rule.name.to_owned(), source.clone());
            }
        }
        policy.rules.extend(own);
        file::check(&policy.rules, &order)?;
        policy.names_callers = policy.rules.values().any(|source| names_callers(&source.rule));
        Ok(policy)
    }

    /// All rules, by name.
    pub fn rules(&self) -> Vec<Listed<'_>> {
        let mut rules: Vec<Listed<'_>> = self
            .rules
            .iter()
            .map(|(name, source)| Listed { name, check: &source.text, from_file: source.from_file })
            .collect();
        rules.sort_unstable_by_key(|rule| rule.name);
        rules
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

    /// What of the caller [`Policy::condition`] depends on, but for the values in [`Condition::Own`].
    pub fn standing(&self, credentials: &Credentials) -> Standing {
        Standing {
            roles: credentials.roles.clone(),
            service_roles: credentials.service_roles.clone(),
            is_admin_project: credentials.is_admin_project,
            is_of_another_scope: credentials.is_of_another_scope(),
            has: Of::ALL.map(|of| !credentials.own(of).is_empty()),
            named: self.names_callers.then(|| Of::ALL.map(|of| credentials.own(of).to_owned())),
        }
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
            Some(source) => self.reduce(&source.rule, credentials, depth),
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
            // Who is an administrator is a rule itself.
            Rule::Constant { caller, value } if caller == "is_admin" => {
                let is_admin = self.named("context_is_admin", credentials, depth + 1) == Condition::Always;
                decided(value == if is_admin { "True" } else { "False" })
            }
            Rule::Literal { value, target } => Condition::Equals { key: project(target), value: value.clone() },
            Rule::Constant { caller, value } => decided(credentials.value(caller) == Some(value)),
            Rule::Matches { caller, target } => match credentials.value(caller) {
                // Without a project nothing is one's own, not even what belongs to nobody.
                None | Some("") => Condition::Never,
                Some(value) => match named(caller) {
                    Some(of) => Condition::Own { key: project(target), of, value: value.to_owned() },
                    None => Condition::Equals { key: project(target), value: value.to_owned() },
                },
            },
            Rule::Field { collection, field, expected } => Condition::Field {
                collection: collection.clone(),
                field: field.clone(),
                expected: match expected.strip_prefix('~') {
                    // Booleans in any spelling of the case, as Neutron converts them.
                    None if expected.eq_ignore_ascii_case("true") => Expected::Exactly("True".to_owned()),
                    None if expected.eq_ignore_ascii_case("false") => Expected::Exactly("False".to_owned()),
                    Some(prefix) => Expected::Prefix(prefix.trim_start_matches('^').to_owned()),
                    None => Expected::Exactly(expected.clone()),
                },
            },
            Rule::And(rules) => Condition::all(rules.iter().map(|rule| self.reduce(rule, credentials, depth))),
            Rule::Or(rules) => Condition::any(rules.iter().map(|rule| self.reduce(rule, credentials, depth))),
            Rule::Not(rule) => self.reduce(rule, credentials, depth).negated(),
        }
    }
}

/// Whether a rule asks for one certain user, project or domain.
fn names_callers(rule: &Rule) -> bool {
    match rule {
        Rule::Constant { caller, .. } => named(caller).is_some(),
        Rule::And(rules) | Rule::Or(rules) => rules.iter().any(names_callers),
        Rule::Not(rule) => names_callers(rule),
        _ => false,
    }
}

/// Old rules say tenant.
fn project(key: &str) -> String {
    key.strip_suffix("tenant_id").map_or_else(|| key.to_owned(), |before| format!("{before}project_id"))
}

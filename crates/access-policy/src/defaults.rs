//! Neutron's default rules (secure RBAC): all of them, also of what we do not have yet.
//!
//! They are a table of facts, `defaults.tsv`, so that it can be held against Neutron's own, line by line. Beside name and
//! check a line may have the name by which older policy files know the rule, for which we have no use yet.

/// One default rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Default {
    /// `create_network`.
    pub name: &'static str,
    /// In oslo.policy's language.
    pub check: &'static str,
}

/// Every default rule.
pub(crate) fn all() -> impl Iterator<Item = Default> {
    include_str!("defaults.tsv").lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
        let mut fields = line.split('\t');
        let mut next = || fields.next();
        Default { name: next().unwrap_or_default(), check: next().unwrap_or("!") }
    })
}

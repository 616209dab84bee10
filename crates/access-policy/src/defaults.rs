//! Neutron's default rules (secure RBAC): all of them, also of what we do not have yet.
//!
//! They are a table of facts, `defaults.tsv`, so that it can be held against Neutron's own, line by line. Beside name and
//! check a line may have the name by which older policy files know the rule.

/// One default rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Default {
    /// `create_network`.
    pub name: &'static str,
    /// In oslo.policy's language.
    pub check: &'static str,
    /// What it was called before; an operator's rule of that name still counts.
    pub former: Option<&'static str>,
}

/// Every default rule.
pub(crate) fn all() -> impl Iterator<Item = Default> {
    include_str!("defaults.tsv").lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
        let mut fields = line.split('\t');
        let mut next = || fields.next();
        Default { name: next().unwrap_or_default(), check: next().unwrap_or("!"), former: next() }
    })
}

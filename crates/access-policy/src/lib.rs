//! Who may do what: roles x actions x attributes, in oslo.policy's language.
//!
//! **What for.** Every action has a rule, every attribute that needs one has a rule of its own (`update_port:fixed_ips`).
//! The default rules are Neutron's secure-RBAC ones, as text in the same language in which operators override them.
//!
//! **In:** rules, an operator's file, [`Credentials`]. **Out:** a [`Condition`] upon the target, with everything about the caller already decided:
//! often just "always" or "never". A condition is held against one object in memory ([`Condition::holds`]), or turned into
//! SQL by whoever lists, so that lists and single objects obey one rule.
//! **May not:** know resources, SQL or HTTP.
//!
//! ```
//! use access_policy::{Condition, Credentials, Policy};
//! let policy = Policy::neutron();
//! let admin = Credentials { roles: vec!["admin".into()], ..Credentials::default() };
//! assert_eq!(policy.condition("create_network:shared", &admin), Condition::Always);
//! ```

mod condition;
mod credentials;
mod defaults;
mod file;
mod language;
mod policy;

pub use condition::{Condition, Expected, Of, Target};
pub use credentials::{Credentials, Standing};
pub use file::PolicyFileError;
pub use language::{PolicyError, Rule};
pub use policy::{Listed, Policy};

#[cfg(test)]
mod tests;

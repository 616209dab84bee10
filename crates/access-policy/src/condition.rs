//! What remains of a rule when the caller is known: a condition upon the target.

use std::borrow::Cow;

/// What a field must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Exactly this; booleans are `True` and `False`.
    Exactly(String),
    /// It begins so.
    Prefix(String),
}

/// What of a caller differs from that of another of the same [`crate::Standing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Of {
    /// The user's id.
    User,
    /// The project's id.
    Project,
    /// The domain's id.
    Domain,
}

impl Of {
    pub(crate) const ALL: [Self; 3] = [Self::User, Self::Project, Self::Domain];
}

/// A condition upon the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Whatever the target is.
    Always,
    /// No target is good enough.
    Never,
    /// `key` of the target equals `value`; a key `network:project_id` is the `project_id` of the target's network.
    Equals {
        /// The target's key.
        key: String,
        /// What it must be.
        value: String,
    },
    /// `key` of the target equals something of the caller: as [`Condition::Equals`], which callers have in common but for the
    /// value.
    Own {
        /// The target's key.
        key: String,
        /// What of the caller.
        of: Of,
        /// The caller's value.
        value: String,
    },
    /// A field of the target, or of the `collection` that it belongs to.
    Field {
        /// The collection that the rule names.
        collection: String,
        /// The field.
        field: String,
        /// What it must be.
        expected: Expected,
    },
    /// All hold (at least two).
    All(Vec<Condition>),
    /// One holds (at least two).
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
}

/// An object as conditions look at it.
pub trait Target {
    /// The value of a key; `parent:field` for a parent's. Booleans are `True` and `False`.
    fn value(&self, key: &str) -> Option<Cow<'_, str>>;
    /// The value of a field that a rule names with its collection.
    fn field(&self, collection: &str, field: &str) -> Option<Cow<'_, str>>;
}

impl Condition {
    /// Whether the target meets it. What the target does not have is not equal to anything.
    pub fn holds(&self, target: &dyn Target) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Equals { key, value } | Self::Own { key, value, .. } => {
                target.value(key).is_some_and(|found| found == value.as_str())
            }
            Self::Field { collection, field, expected } => {
                target.field(collection, field).is_some_and(|found| match expected {
                    Expected::Exactly(value) => found == value.as_str(),
                    Expected::Prefix(prefix) => found.starts_with(prefix.as_str()),
                })
            }
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(target)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(target)),
            Self::Not(condition) => !condition.holds(target),
        }
    }

    pub(crate) fn all(conditions: impl IntoIterator<Item = Self>) -> Self {
        let mut kept = Vec::new();
        for condition in conditions {
            match condition {
                Self::Always => {}
                Self::Never => return Self::Never,
                Self::All(inner) => kept.extend(inner),
                other => kept.push(other),
            }
        }
        kept.dedup();
        match kept.pop() {
            None => Self::Always,
            Some(only) if kept.is_empty() => only,
            Some(last) => {
                kept.push(last);
                Self::All(kept)
            }
        }
    }

    pub(crate) fn any(conditions: impl IntoIterator<Item = Self>) -> Self {
        let mut kept: Vec<Self> = Vec::new();
        for condition in conditions {
            match condition {
                Self::Never => {}
                Self::Always => return Self::Always,
                Self::Any(inner) => kept.extend(inner),
                other if kept.contains(&other) => {}
                other => kept.push(other),
            }
        }
        match kept.pop() {
            None => Self::Never,
            Some(only) if kept.is_empty() => only,
            Some(last) => {
                kept.push(last);
                Self::Any(kept)
            }
        }
    }

    pub(crate) fn negated(self) -> Self {
        match self {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let joined = |f: &mut std::fmt::Formatter<'_>, conditions: &[Self], by: &str| {
            for (position, condition) in conditions.iter().enumerate() {
                f.write_str(if position > 0 { by } else { "" })?;
                match condition {
                    Self::All(_) | Self::Any(_) => write!(f, "({condition})")?,
                    other => write!(f, "{other}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::Always => f.write_str("always"),
            Self::Never => f.write_str("never"),
            Self::Equals { key, value } | Self::Own { key, value, .. } => write!(f, "{key} is {value}"),
            Self::Field { collection, field, expected: Expected::Exactly(value) } => {
                write!(f, "{collection}:{field} is {value}")
            }
            Self::Field { collection, field, expected: Expected::Prefix(prefix) } => {
                write!(f, "{collection}:{field} begins with {prefix}")
            }
            Self::All(conditions) => joined(f, conditions, " and "),
            Self::Any(conditions) => joined(f, conditions, " or "),
            Self::Not(inner) => write!(f, "not ({inner})"),
        }
    }
}

//! An operator's `policy.yaml` (or `.json`, which YAML reads too): rules in place of the default ones.
//!
//! ```yaml
//! "networking_team": "role:member and project_id:5f9c..."    # a rule of the operator's own, for others to name
//! "create_network": "rule:admin_only or rule:networking_team"
//! "update_port:name": [["role:member", "rule:network_owner"], "role:admin"]   # one of: both of the first, or the last
//! ```
//!
//! Where oslo.policy would quietly let a mistake mean something (a name that nothing asks for, a reference to nothing, no
//! check at all), the whole file is refused here.

use crate::defaults;
use crate::language::{PolicyError, Rule};
use crate::policy::{DEPTH, Source};
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use std::collections::HashMap;

/// Why a policy file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFileError {
    /// It is no YAML.
    #[error("line {line}: {reason}")]
    Yaml {
        /// From 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// It is not a list of names with checks.
    #[error("the file is not a mapping of rule names to checks")]
    NotRules,
    /// A check is neither a text nor lists of texts.
    #[error("rule '{0}': the check is not a text (\"\" allows everybody, \"!\" nobody)")]
    NotAText(String),
    /// A check cannot be read.
    #[error("'{name}': {source}")]
    Unreadable {
        /// The rule.
        name: String,
        /// What is wrong with it.
        source: PolicyError,
    },
    /// Nothing asks for a rule of this name.
    #[error("there is no rule '{name}'{}", did_you_mean(.similar))]
    Unknown {
        /// The name.
        name: String,
        /// A rule whose name is similar.
        similar: Option<String>,
    },
    /// A rule names one that does not exist.
    #[error("rule '{name}' refers to the rule '{reference}', which does not exist")]
    Undefined {
        /// The rule.
        name: String,
        /// What it names.
        reference: String,
    },
    /// A rule refers to itself in the end.
    #[error("rule '{0}' refers to itself in a circle")]
    Circle(String),
}

fn did_you_mean(similar: &Option<String>) -> String {
    similar.as_ref().map(|name| format!("; did you mean '{name}'?")).unwrap_or_default()
}

/// The rules of a file, by name, in the file's order.
pub(crate) fn read(text: &str) -> Result<Vec<(String, Source)>, PolicyFileError> {
    let documents = Yaml::load_from_str(text)
        .map_err(|error| PolicyFileError::Yaml { line: error.marker().line(), reason: error.info().to_owned() })?;
    let rules = match documents.as_slice() {
        [] | [Yaml::Value(Scalar::Null)] => return Ok(Vec::new()),
        [Yaml::Mapping(rules)] => rules,
        _ => return Err(PolicyFileError::NotRules),
    };
    let mut read = Vec::with_capacity(rules.len());
    for (name, check) in rules {
        let name = name.as_str().ok_or(PolicyFileError::NotRules)?.to_owned();
        let text = check_text(check).ok_or_else(|| PolicyFileError::NotAText(name.clone()))?;
        let rule: Rule = text.parse().map_err(|source| PolicyFileError::Unreadable { name: name.clone(), source })?;
        read.push((name, Source { rule, text, from_file: true }));
    }
    Ok(read)
}

/// Checks as lists are an older way to write them: one of the outer list's members must hold, and of an inner list all.
fn check_text(check: &Yaml<'_>) -> Option<String> {
    let any = match check {
        Yaml::Sequence(any) => any,
        other => return other.as_str().map(str::to_owned),
    };
    let mut members = Vec::with_capacity(any.len());
    for member in any {
        members.push(match member {
            Yaml::Sequence(all) => {
                let all: Option<Vec<&str>> = all.iter().map(Yaml::as_str).collect();
                match all?.as_slice() {
                    [] => continue,
                    checks => format!("({})", checks.join(" and ")),
                }
            }
            other => other.as_str()?.to_owned(),
        });
    }
    Some(members.join(" or "))
}

type Rules = HashMap<String, Source>;

/// Holds what the file says (`names`) against all rules there are then.
pub(crate) fn check(rules: &Rules, names: &[String]) -> Result<(), PolicyFileError> {
    names.iter().try_for_each(|name| check_name(rules, name))?;
    names.iter().try_for_each(|name| check_references(rules, name, &mut Vec::new()))
}

/// Something must ask for a rule: the API, or another rule.
fn check_name(rules: &Rules, name: &str) -> Result<(), PolicyFileError> {
    let action = name.split(':').next().unwrap_or_default();
    let known = defaults::all().any(|rule| {
        // Any attribute of an action can have a rule.
        rule.name == name || rule.former == Some(name) || (action != name && rule.name == action)
    });
    if known || rules.values().any(|source| references(&source.rule).contains(&name)) {
        return Ok(());
    }
    let nearest = defaults::all().map(|rule| (distance(name, rule.name), rule.name)).min();
    let similar = nearest.filter(|(distance, _)| distance * 3 <= name.len()).map(|(_, name)| name.to_owned());
    Err(PolicyFileError::Unknown { name: name.to_owned(), similar })
}

/// What a rule refers to must exist, and must not lead back to it (`path`: what has led here).
fn check_references<'a>(rules: &'a Rules, name: &'a str, path: &mut Vec<&'a str>) -> Result<(), PolicyFileError> {
    let Some(source) = rules.get(name) else { return Ok(()) };
    path.push(name);
    for reference in references(&source.rule) {
        if !rules.contains_key(reference) {
            return Err(PolicyFileError::Undefined { name: name.to_owned(), reference: reference.to_owned() });
        }
        if path.contains(&reference) || path.len() >= DEPTH {
            return Err(PolicyFileError::Circle(reference.to_owned()));
        }
        check_references(rules, reference, path)?;
    }
    path.pop();
    Ok(())
}

/// The names of the rules that a rule refers to.
fn references(rule: &Rule) -> Vec<&str> {
    match rule {
        Rule::Reference(name) => vec![name],
        Rule::And(rules) | Rule::Or(rules) => rules.iter().flat_map(references).collect(),
        Rule::Not(rule) => references(rule),
        _ => Vec::new(),
    }
}

/// How many letters must be put in, taken out or changed to make one word of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let (left, above, diagonal) = (
                next.last().copied().unwrap_or(i),
                row.get(j + 1).copied().unwrap_or(j),
                row.get(j).copied().unwrap_or(j),
            );
            next.push((left + 1).min(above + 1).min(diagonal + usize::from(a != *b)));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

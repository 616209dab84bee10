use super::*;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

fn caller(project: &str, roles: &[&str]) -> Credentials {
    Credentials {
        user_id: "u".into(),
        project_id: project.into(),
        roles: roles.iter().map(|r| (*r).to_owned()).collect(),
        ..Credentials::default()
    }
}

struct Object(BTreeMap<&'static str, &'static str>);

impl Target for Object {
    fn value(&self, key: &str) -> Option<Cow<'_, str>> {
        self.0.get(key).map(|v| Cow::Borrowed(*v))
    }
    fn field(&self, _collection: &str, field: &str) -> Option<Cow<'_, str>> {
        self.value(field)
    }
}

#[test]
fn every_default_can_be_read() {
    let mut names = std::collections::BTreeSet::new();
    for rule in defaults::all() {
        assert!(rule.check.parse::<Rule>().is_ok(), "{rule:?}");
        assert!(!rule.name.is_empty() && names.insert(rule.name), "{rule:?}");
    }
    assert_eq!(names.len(), 373);
}

#[test]
fn and_binds_closer_than_or() {
    let rule: Rule = "role:a and role:b or not role:c".parse().unwrap();
    let role = |name: &str| Rule::Role(name.into());
    assert_eq!(rule, Rule::Or(vec![Rule::And(vec![role("a"), role("b")]), Rule::Not(Box::new(role("c")))]));
    assert_eq!("".parse(), Ok(Rule::Always));
    for bad in ["role:a and", "(role:a", "role:a)", "and role:a", "role", "field:ports:x", "field:p:d=~a.*"] {
        assert!(bad.parse::<Rule>().is_err(), "{bad}");
    }
    let deep = "(".repeat(1000) + "role:a" + &")".repeat(1000);
    assert!(deep.parse::<Rule>().is_err());
}

#[test]
fn a_circle_of_rules_denies() {
    let mut policy = Policy::default();
    policy.set("a", "rule:b").unwrap();
    policy.set("b", "rule:a").unwrap();
    assert_eq!(policy.condition("a", &caller("p", &[])), Condition::Never);
}

#[test]
fn a_caller_without_project_owns_nothing() {
    let policy = Policy::neutron();
    assert_eq!(policy.condition("owner", &caller("", &["member"])), Condition::Never);
}

/// The role x action x target matrix, to be read in review: who may do what by default.
#[test]
fn matrix() {
    let policy = Policy::neutron();
    let roles: &[(&str, Credentials)] = &[
        ("admin", caller("adm", &["admin", "manager", "member", "reader"])),
        ("manager", caller("own", &["manager", "member", "reader"])),
        ("member", caller("own", &["member", "reader"])),
        ("reader", caller("own", &["reader"])),
        ("service", caller("svc", &["service"])),
        ("none", caller("own", &[])),
    ];
    let object = |pairs: &[(&'static str, &'static str)]| Object(pairs.iter().copied().collect());
    let targets = [
        ("own", object(&[("project_id", "own"), ("network:project_id", "own"), ("security_group:project_id", "own")])),
        ("other", object(&[("project_id", "x"), ("network:project_id", "x"), ("security_group:project_id", "x")])),
        ("shared", object(&[("project_id", "x"), ("network:project_id", "x"), ("shared", "True")])),
    ];
    let mut text = String::new();
    let mut names: Vec<&str> = defaults::all().map(|rule| rule.name).collect();
    names.sort_unstable();
    for name in names {
        let mut cells = Vec::new();
        for (role, credentials) in roles {
            let condition = policy.condition(name, credentials);
            let allowed: Vec<&str> =
                targets.iter().filter(|(_, target)| condition.holds(target)).map(|(name, _)| *name).collect();
            match allowed.len() {
                0 => {}
                3 => cells.push((*role).to_owned()),
                _ => cells.push(format!("{role}({})", allowed.join(","))),
            }
        }
        writeln!(text, "{name:<60} {}", cells.join(" ")).unwrap();
    }
    insta::assert_snapshot!(text);
}

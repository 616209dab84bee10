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
    assert_eq!(names.len(), 385);
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
fn a_caller_without_project_owns_nothing() {
    let policy = Policy::neutron();
    assert_eq!(policy.condition("owner", &caller("", &["member"])), Condition::Never);
}

fn with(file: &str) -> Policy {
    Policy::with_file(file).unwrap()
}

fn refused(file: &str) -> String {
    Policy::with_file(file).unwrap_err().to_string()
}

#[test]
fn an_operators_rules_replace_the_defaults() {
    let policy = with("# ours\n\"net_team\": \"role:net\"\n\"create_network\": \"rule:admin_only or rule:net_team\"\n");
    assert_eq!(policy.condition("create_network", &caller("p", &["net"])), Condition::Always);
    assert_eq!(policy.condition("create_network", &caller("p", &["member"])), Condition::Never);
    assert_eq!(policy.condition("create_network:shared", &caller("p", &["admin"])), Condition::Always, "others stay");
    for nothing in ["", "# only a comment\n", "{}"] {
        assert_eq!(with(nothing).rules(), Policy::neutron().rules(), "{nothing}");
    }
    let json = with(r#"{"delete_port": "!", "update_port:name": "role:boss"}"#);
    assert_eq!(json.condition("delete_port", &caller("p", &["admin"])), Condition::Never);
    assert_eq!(json.condition("update_port:name", &caller("p", &["boss"])), Condition::Always);
    let changed: Vec<&str> = policy.rules().iter().filter(|rule| rule.from_file).map(|rule| rule.name).collect();
    assert_eq!(changed, ["create_network", "net_team"]);
}

#[test]
fn checks_may_be_lists() {
    let policy = with("create_network: [[\"role:a\", \"role:b\"], \"role:c\"]\ncreate_port: []\n");
    let allowed = |roles: &[&str]| policy.condition("create_network", &caller("p", roles)) == Condition::Always;
    assert!(allowed(&["a", "b"]) && allowed(&["c"]) && !allowed(&["a"]));
    assert_eq!(policy.condition("create_port", &caller("p", &[])), Condition::Always, "no check is none");
}

#[test]
fn a_rule_counts_under_its_former_name() {
    let policy = with("create_networks_tags: role:tagger");
    assert_eq!(policy.condition("create_network:tags", &caller("p", &["tagger"])), Condition::Always);
    let policy = with("create_networks_tags: role:tagger\n\"create_network:tags\": role:new");
    assert_eq!(policy.condition("create_network:tags", &caller("p", &["tagger"])), Condition::Never);
}

#[test]
fn what_a_file_may_not_say() {
    assert_eq!(
        refused("create_network: \"role:a"),
        "line 1: while scanning a quoted scalar, found unexpected end of stream"
    );
    assert_eq!(refused("- create_network"), "the file is not a mapping of rule names to checks");
    assert_eq!(
        refused("create_network:"),
        "rule 'create_network': the check is not a text (\"\" allows everybody, \"!\" nobody)"
    );
    assert_eq!(refused("create_network: role:a and"), "'create_network': rule 'role:a and' ends too early");
    assert_eq!(
        refused("create_network: http://policy.example/%(name)s"),
        "'create_network': rule 'http://policy.example/%(name)s': cannot read the check 'http://policy.example/%(name)s'"
    );
    assert_eq!(refused("create_netwrk: role:a"), "there is no rule 'create_netwrk'; did you mean 'create_network'?");
    assert_eq!(refused("network_team: role:a"), "there is no rule 'network_team'");
    assert_eq!(
        refused("create_network: rule:nobody"),
        "rule 'create_network' refers to the rule 'nobody', which does not exist"
    );
    assert_eq!(refused("create_network: rule:x\nx: not rule:y\ny: rule:x"), "rule 'x' refers to itself in a circle");
}

#[test]
fn checks_that_only_operators_write() {
    let policy = with(concat!(
        "get_port: is_admin:True\n",
        "get_network: \"'compute:nova':%(device_owner)s or True:%(shared)s\"\n",
        "get_subnet: \"user_id:u and not field:subnets:name=~pub\"\n",
    ));
    let reader = caller("p", &["reader"]);
    assert_eq!(policy.condition("get_port", &reader), Condition::Never);
    assert_eq!(policy.condition("get_port", &caller("p", &["admin"])), Condition::Always);
    let object = |pairs: &[(&'static str, &'static str)]| Object(pairs.iter().copied().collect());
    let network = policy.condition("get_network", &reader);
    assert!(
        network.holds(&object(&[("device_owner", "compute:nova")])) && network.holds(&object(&[("shared", "True")]))
    );
    assert!(!network.holds(&object(&[("shared", "False")])));
    let subnet = policy.condition("get_subnet", &reader);
    assert!(subnet.holds(&object(&[("name", "private")])) && !subnet.holds(&object(&[("name", "public")])));
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

use super::*;
use crate::port::{self, PortUpdate};
use crate::security_group_rule::{SecurityGroupRuleCreate, create as create_rules, delete as delete_rule};
use crate::testing::{Cloud, ME, refusal};
use network_model::security_group::{Direction, Ethertype};

fn request(name: &str, stateful: bool) -> SecurityGroupCreate {
    let (project_id, description) = (ME.to_owned(), String::new());
    SecurityGroupCreate { project_id, name: name.to_owned(), description, stateful: Some(stateful) }
}

fn group(cloud: &Cloud, name: &str, stateful: bool) -> SecurityGroupId {
    let request = request(name, stateful);
    cloud.by(ME, move |work| create(work, &request)).unwrap()
}

fn rule(group: SecurityGroupId, protocol: Option<&str>) -> SecurityGroupRuleCreate {
    SecurityGroupRuleCreate {
        project_id: ME.to_owned(),
        security_group_id: group.to_string(),
        description: String::new(),
        direction: Direction::Ingress,
        ethertype: Ethertype::IPv4,
        protocol: protocol.map(str::to_owned),
        port_range_min: None,
        port_range_max: None,
        remote_ip_prefix: None,
        remote_group_id: None,
        remote_address_group_id: None,
    }
}

fn rules_of(cloud: &Cloud, group: SecurityGroupId) -> String {
    cloud.text("SELECT CAST(count(*) AS TEXT) FROM security_group_rules WHERE security_group_id = ?1", group.0)
}

#[test]
fn a_projects_first_group_comes_with_the_default_one() {
    let cloud = Cloud::new();
    let web = group(&cloud, "web", true);
    let default = cloud.by(ME, |work| ensure_default(work, ME)).unwrap();
    assert_eq!(cloud.by(ME, |work| ensure_default(work, ME)).unwrap(), default);
    assert_eq!((rules_of(&cloud, web).as_str(), rules_of(&cloud, default).as_str()), ("2", "4"));
    assert_eq!(cloud.count("SELECT count(*) FROM security_groups"), 2);
    let second = request("DEFAULT", true);
    assert_eq!(refusal(cloud.by(ME, move |work| create(work, &second))), "SecurityGroupDefaultAlreadyExists");
    assert_eq!(refusal(cloud.by(ME, move |work| delete(work, default))), "SecurityGroupCannotRemoveDefault");
    let renamed = SecurityGroupUpdate { name: Some("other".to_owned()), ..SecurityGroupUpdate::default() };
    assert_eq!(
        refusal(cloud.by(ME, move |work| update(work, default, renamed.clone()))),
        "SecurityGroupCannotUpdateDefault"
    );
    cloud.by_admin(move |work| delete(work, default)).unwrap();
}

#[test]
fn a_group_of_a_port_stays_as_it_is() {
    let cloud = Cloud::new();
    let network = cloud.network(false);
    cloud.subnet(network, "10.0.0.0/24");
    let (web, odd) = (group(&cloud, "web", true), group(&cloud, "odd", false));
    let port = cloud.port(network);
    let set = |groups: Vec<SecurityGroupId>| {
        let change = PortUpdate { security_groups: Some(groups), ..PortUpdate::default() };
        cloud.by(ME, move |work| port::update(work, port, change.clone()))
    };
    set(vec![web]).unwrap();
    assert_eq!(refusal(set(vec![web, odd])), "SecurityGroupConflict");
    assert_eq!(refusal(cloud.by(ME, move |work| delete(work, web))), "SecurityGroupInUse");
    let stateless = SecurityGroupUpdate { stateful: Some(false), ..SecurityGroupUpdate::default() };
    assert_eq!(refusal(cloud.by(ME, move |work| update(work, web, stateless.clone()))), "SecurityGroupInUse");
    set(Vec::new()).unwrap();
    cloud.by(ME, move |work| delete(work, web)).unwrap();
}

#[test]
fn rules_are_made_all_or_none() {
    let cloud = Cloud::new();
    let web = group(&cloud, "web", true);
    let make = |requests: Vec<SecurityGroupRuleCreate>| cloud.by(ME, move |work| create_rules(work, requests.clone()));
    assert_eq!(make(vec![rule(web, Some("tcp")), rule(web, Some("udp"))]).unwrap().len(), 2);
    assert_eq!(refusal(make(vec![rule(web, Some("6"))])), "SecurityGroupRuleExists");
    let egress = SecurityGroupRuleCreate { direction: Direction::Egress, ..rule(web, None) };
    assert_eq!(refusal(make(vec![egress])), "SecurityGroupRuleExists", "a rule that came with the group");
    let twice = vec![rule(web, Some("sctp")), rule(web, Some("132"))];
    assert_eq!(refusal(make(twice)), "DuplicateSecurityGroupRuleInPost");
    let bad = SecurityGroupRuleCreate { port_range_min: Some(80), ..rule(web, None) };
    assert_eq!(refusal(make(vec![rule(web, Some("esp")), bad])), "SecurityGroupProtocolRequiredWithPorts");
    assert_eq!(rules_of(&cloud, web), "4", "two that every group has, and two of ours");
    let other = group(&cloud, "other", true);
    assert_eq!(refusal(make(vec![rule(web, Some("ah")), rule(other, Some("ah"))])), "SecurityGroupNotSingleGroupRules");
    let unknown = SecurityGroupRuleCreate { remote_group_id: Some("nonsense".to_owned()), ..rule(web, Some("ah")) };
    assert_eq!(refusal(make(vec![unknown])), "SecurityGroupNotFound");
    let theirs = cloud.by("them", move |work| create_rules(work, vec![rule(web, Some("ah"))]));
    assert_eq!(refusal(theirs), "SecurityGroupNotFound");
}

#[test]
fn prefixes_are_kept_as_given_and_normalised_beside() {
    let cloud = Cloud::new();
    let web = group(&cloud, "web", true);
    let prefix =
        SecurityGroupRuleCreate { remote_ip_prefix: Some("10.1.2.3/8".parse().unwrap()), ..rule(web, Some("tcp")) };
    let id = cloud.by(ME, move |work| create_rules(work, vec![prefix.clone()])).unwrap()[0];
    assert_eq!(cloud.text("SELECT remote_ip_prefix FROM security_group_rules WHERE id = ?1", id.0), "10.1.2.3/8");
    assert_eq!(cloud.text("SELECT normalized_cidr FROM security_group_rules WHERE id = ?1", id.0), "10.0.0.0/8");
    cloud.by(ME, move |work| delete_rule(work, id)).unwrap();
    assert_eq!(refusal(cloud.by(ME, move |work| delete_rule(work, id))), "SecurityGroupRuleNotFound");
}

#[test]
fn a_group_takes_the_rules_that_name_it_along() {
    let cloud = Cloud::new();
    let (web, client) = (group(&cloud, "web", true), group(&cloud, "client", true));
    let from_client = SecurityGroupRuleCreate { remote_group_id: Some(client.to_string()), ..rule(web, Some("tcp")) };
    cloud.by(ME, move |work| create_rules(work, vec![from_client.clone()])).unwrap();
    assert_eq!(rules_of(&cloud, web), "3");
    cloud.by(ME, move |work| delete(work, client)).unwrap();
    assert_eq!(rules_of(&cloud, web), "2");
}

#[test]
fn the_rules_of_a_new_group_count() {
    let cloud = Cloud::new();
    cloud
        .by_admin(|work| {
            let sql = "INSERT INTO quotas (project_id, resource, quota_limit) VALUES (?1, 'security_group_rule', 7)";
            work.tx.execute(sql, store::params![ME])?;
            Ok(())
        })
        .unwrap();
    group(&cloud, "web", true);
    let second = request("other", true);
    assert_eq!(refusal(cloud.by(ME, move |work| create(work, &second))), "OverQuota");
    assert_eq!(cloud.count("SELECT count(*) FROM security_groups"), 2, "the default one and the first");
}

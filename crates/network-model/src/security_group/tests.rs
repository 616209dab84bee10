use super::*;
use proptest::prelude::*;

fn group(n: u128) -> SecurityGroupId {
    SecurityGroupId(Uuid::from_u128(n))
}

/// A rule from words: `ingress IPv6 tcp 80-90 fd00::/8`; `-` leaves a place open.
fn rule(text: &str) -> Rule {
    let mut words = text.split_whitespace();
    let mut word = || words.next().filter(|word| *word != "-");
    let direction = if word() == Some("egress") { Direction::Egress } else { Direction::Ingress };
    let ethertype = word().unwrap_or("IPv4").parse().unwrap();
    let protocol = word().and_then(|name| parse_protocol(name).unwrap());
    let (min, max) = word().and_then(|range| range.split_once('-')).unwrap_or_default();
    let port = |text: &str| (!text.is_empty()).then(|| parse_port(text).unwrap());
    Rule {
        direction,
        ethertype,
        protocol,
        port_range_min: port(min),
        port_range_max: port(max),
        remote_ip_prefix: word().map(|prefix| parse_prefix(prefix).unwrap()),
        remote_group_id: None,
        remote_address_group_id: None,
    }
}

fn refusal(text: &str) -> String {
    let error = rule(text).checked().unwrap_err();
    assert_eq!(error.status(), 400);
    format!("{}: {error}", error.type_name())
}

#[test]
fn protocols_are_read_as_neutron_reads_them() {
    assert_eq!(parse_protocol("TCP"), Ok(Some("tcp".to_owned())));
    assert_eq!(parse_protocol("any"), Ok(None));
    assert_eq!(parse_protocol("255"), Ok(Some("255".to_owned())));
    assert_eq!(protocol_number("vrrp"), Some(112));
    for bad in ["256", "-1", "smtp", ""] {
        let error = parse_protocol(bad).unwrap_err();
        let text =
            format!("Security group rule protocol {bad} not supported. Only protocol values (None, 'any', 'ah', ");
        assert!(error.to_string().starts_with(&text), "{error}");
        assert!(error.to_string().ends_with("'vrrp') and integer representations [0 to 255] are supported."));
    }
}

#[test]
fn values_are_read_as_neutron_reads_them() {
    assert_eq!("ipv6".parse(), Ok(Ethertype::IPv6));
    let error = "ARP".parse::<Ethertype>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "Security group rule for ethertype 'ARP' not supported. Allowed values are ['IPv4', 'IPv6']."
    );
    assert_eq!(parse_port("70000").unwrap_err().to_string(), "Invalid value for port 70000");
    assert_eq!(parse_prefix("10.0.0.5").unwrap().to_string(), "10.0.0.5/32");
    assert_eq!(parse_prefix("10.0.0.5/24").unwrap().to_string(), "10.0.0.5/24");
    assert_eq!(parse_prefix("10.0.0.5/33").unwrap_err().to_string(), "Invalid CIDR 10.0.0.5/33 given as IP prefix.");
}

#[test]
fn ranges_are_checked_as_neutron_does() {
    assert_eq!(
        refusal("ingress IPv4 - 80-80"),
        "SecurityGroupProtocolRequiredWithPorts: Must also specify protocol if port range is given."
    );
    assert_eq!(
        refusal("ingress IPv4 tcp 90-80"),
        "SecurityGroupInvalidPortRange: For TCP/UDP protocols, port_range_min must be <= port_range_max"
    );
    assert!(refusal("ingress IPv4 17 90-").starts_with("SecurityGroupInvalidPortRange"));
    assert_eq!(refusal("ingress IPv4 sctp 0-80"), "SecurityGroupInvalidPortValue: Invalid value for port 0");
    assert_eq!(
        refusal("ingress IPv4 icmp 256-"),
        "SecurityGroupInvalidIcmpValue: Invalid value for ICMP type (port_range_min) 256. It must be 0 to 255."
    );
    assert!(refusal("ingress IPv4 icmp 1-256").contains("ICMP code (port_range_max) 256"));
    assert_eq!(
        refusal("ingress IPv4 icmp -3"),
        "SecurityGroupMissingIcmpType: ICMP code (port-range-max) 3 is provided but ICMP type (port-range-min) is missing."
    );
    assert_eq!(
        refusal("ingress IPv4 vrrp 1-2"),
        "SecurityGroupInvalidProtocolForPort: Ports cannot be specified for protocol 112. \
         Ports are only supported for DCCP, SCTP, TCP, UDP, UDPLITE."
    );
    for fine in ["ingress IPv4 tcp 80-80", "ingress IPv4 icmp 8-", "ingress IPv4 icmp 0-0", "egress IPv6 58 255-255"] {
        assert!(rule(fine).checked().is_ok(), "{fine}");
    }
}

#[test]
fn remotes_and_versions_are_checked_as_neutron_does() {
    assert_eq!(
        refusal("ingress IPv4 tcp 80-80 fd00::/8"),
        "SecurityGroupRuleParameterConflict: Conflicting value ethertype IPv4 for CIDR fd00::/8"
    );
    for protocol in ["icmpv6", "ipv6-icmp", "58", "ipv6-frag"] {
        assert_eq!(
            refusal(&format!("ingress IPv4 {protocol}")),
            format!("SecurityGroupEthertypeConflictWithProtocol: Invalid ethertype IPv4 for protocol {protocol}.")
        );
    }
    let both = Rule { remote_group_id: Some(group(1)), ..rule("ingress IPv4 tcp 80-80 10.0.0.0/8") };
    assert_eq!(both.checked().unwrap_err(), ModelError::SecurityGroupMultipleRemoteEntites);
}

#[test]
fn rules_are_kept_in_one_form() {
    let kept = |text| rule(text).checked().unwrap();
    assert_eq!(kept("ingress IPv6 icmp").protocol.as_deref(), Some("ipv6-icmp"));
    assert_eq!(kept("ingress IPv6 icmpv6").protocol.as_deref(), Some("ipv6-icmp"));
    assert_eq!(kept("ingress IPv6 1").protocol.as_deref(), Some("58"));
    let all = kept("ingress IPv4 tcp 1-65535");
    assert_eq!((all.port_range_min, all.port_range_max), (None, None));
    let host_bits = kept("ingress IPv4 - - 10.1.2.3/8");
    assert_eq!(host_bits.remote_ip_prefix.unwrap().to_string(), "10.1.2.3/8");
    assert_eq!(host_bits.normalized_cidr().unwrap().to_string(), "10.0.0.0/8");
}

#[test]
fn the_same_rule_has_the_same_key_in_whatever_words() {
    let key = |words: &str| rule(words).checked().unwrap().match_key();
    for (one, other) in [
        ("ingress IPv4 tcp 80-80", "ingress IPv4 6 80-80"),
        ("ingress IPv4 - - 0.0.0.0/0", "ingress IPv4"),
        ("egress IPv6 icmpv6", "egress IPv6 58"),
    ] {
        assert_eq!(key(one), key(other));
        let twice = check_duplicates([key(one).as_str(), key(other).as_str()]);
        assert_eq!(twice, Err(ModelError::DuplicateSecurityGroupRuleInPost));
    }
    for (one, other) in [
        ("ingress IPv4 tcp 80-80", "ingress IPv4 tcp 80-81"),
        ("ingress IPv4", "ingress IPv6"),
        ("ingress IPv4", "egress IPv4"),
        ("ingress IPv4 - - 10.0.0.1/8", "ingress IPv4 - - 10.0.0.2/8"),
    ] {
        assert_ne!(key(one), key(other));
        assert_eq!(check_duplicates([key(one).as_str(), key(other).as_str()]), Ok(()));
    }
}

#[test]
fn a_request_is_for_one_group_and_project() {
    assert_eq!(check_single_group([]), Ok(()));
    assert_eq!(check_single_group([(group(1), "a"), (group(1), "a")]), Ok(()));
    let error = check_single_group([(group(1), "a"), (group(2), "a")]);
    assert_eq!(error, Err(ModelError::SecurityGroupNotSingleGroupRules));
    let error = check_single_group([(group(1), "a"), (group(1), "b")]);
    assert_eq!(error, Err(ModelError::SecurityGroupRulesNotSingleProject));
}

#[test]
fn groups_in_use_and_the_default_group_stay() {
    let id = group(1);
    assert_eq!(
        check_group_deletion(id, "web", true, true).unwrap_err().to_string(),
        format!("Security Group {id} in use.")
    );
    assert_eq!(check_group_deletion(id, "default", false, false), Err(ModelError::SecurityGroupCannotRemoveDefault));
    assert!(check_group_deletion(id, "default", false, true).is_ok());
    assert_eq!(check_new_name("Default"), Err(ModelError::SecurityGroupDefaultAlreadyExists));
    assert_eq!(
        check_group_update(id, "default", true, false, false),
        Err(ModelError::SecurityGroupCannotUpdateDefault)
    );
    assert!(check_group_update(id, "default", false, true, false).is_ok());
    assert!(check_group_update(id, "web", false, true, true).is_err());
    assert!(check_same_statefulness([true, true]).is_ok() && check_same_statefulness([]).is_ok());
    assert_eq!(check_same_statefulness([true, false]).unwrap_err().status(), 409);
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let protocol = prop_oneof![
        Just(None),
        proptest::sample::select(vec!["tcp", "udp", "icmp", "icmpv6", "vrrp", "6", "1", "58", "250"]).prop_map(Some)
    ];
    let prefix = proptest::option::of(proptest::sample::select(vec!["10.0.0.1/8", "0.0.0.0/0", "fd00::1/8", "::/0"]));
    let ports = (proptest::option::of(0u16..300), proptest::option::of(0u16..300));
    (any::<bool>(), any::<bool>(), protocol, ports, prefix).prop_map(|(egress, v6, protocol, (min, max), prefix)| {
        Rule {
            direction: if egress { Direction::Egress } else { Direction::Ingress },
            ethertype: if v6 { Ethertype::IPv6 } else { Ethertype::IPv4 },
            protocol: protocol.map(str::to_owned),
            port_range_min: min,
            port_range_max: max,
            remote_ip_prefix: prefix.map(|prefix| prefix.parse().unwrap()),
            remote_group_id: None,
            remote_address_group_id: None,
        }
    })
}

proptest! {
    #[test]
    fn a_kept_rule_is_accepted_again_and_equals_itself(rule in any_rule()) {
        if let Ok(kept) = rule.checked() {
            prop_assert_eq!(kept.clone().checked(), Ok(kept.clone()));
            prop_assert_eq!(kept.clone().checked().map(|rule| rule.match_key()), Ok(kept.match_key()));
        }
    }
}

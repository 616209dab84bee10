use super::*;
use serde_json::json;

fn reason(kind: Kind, value: Value) -> String {
    match kind.parse(value) {
        Ok(value) => panic!("accepted as {value}"),
        Err(Refusal::Check(text) | Refusal::Conversion(text) | Refusal::Plain(text) | Refusal::Named(_, text)) => text,
    }
}

#[test]
fn booleans_are_read_as_neutron_reads_them() {
    for yes in [json!(true), json!("True"), json!(1), json!("on"), json!(" y ")] {
        assert_eq!(Kind::Boolean.parse(yes), Ok(json!(true)));
    }
    assert_eq!(Kind::Boolean.parse(json!("no")), Ok(json!(false)));
    assert_eq!(reason(Kind::Boolean, json!(2)), "'2' cannot be converted to boolean");
    assert_eq!(reason(Kind::Boolean, Value::Null), "'None' cannot be converted to boolean");
    assert_eq!(reason(Kind::Boolean, json!(["a", true])), "'['a', True]' cannot be converted to boolean");
}

#[test]
fn numbers_come_as_text_too() {
    assert_eq!(Kind::Numbers(&[4, 6]).parse(json!("4")), Ok(json!(4)));
    assert_eq!(reason(Kind::Numbers(&[4, 6]), json!(5)), "5 is not in valid_values");
    assert_eq!(reason(Kind::NonNegative, json!(-1)), "'-1' should be non-negative");
    assert_eq!(reason(Kind::NonNegative, json!("x")), "'x' is not an integer");
    assert_eq!(reason(Kind::NonNegative, json!(1e300)), "'1e+300' is not an integer");
    assert_eq!(reason(Kind::Range(1, 3), json!(4)), "'4' is too large - must be no larger than '3'");
}

#[test]
fn names_have_no_edges_and_no_control_characters() {
    assert!(Kind::Name(255).parse(json!("net 1 ü")).is_ok());
    assert!(Kind::Name(255).parse(json!("")).is_ok());
    for bad in [" x", "x ", "a\nb", "a\u{7}"] {
        assert!(Kind::Name(255).parse(json!(bad)).is_err(), "{bad:?}");
    }
    assert_eq!(reason(Kind::Name(3), json!("four")), "'four' exceeds maximum length of 3");
    assert_eq!(reason(Kind::Name(3), json!({"a": null})), "'{'a': None}' is not a valid string");
}

#[test]
fn addresses_are_canonical_afterwards() {
    assert_eq!(Kind::IpAddress.parse(json!("2001:DB8:0::1")), Ok(json!("2001:db8::1")));
    assert_eq!(
        reason(Kind::IpAddress, json!("10.0.0.01")),
        "'10.0.0.01' is not an accepted IP address, '10.0.0.1' is recommended"
    );
    assert_eq!(reason(Kind::IpAddress, json!("10.0.0")), "'10.0.0' is not a valid IP address");
    assert_eq!(Kind::Cidr.parse(json!("2001:DB8::/64")), Ok(json!("2001:db8::/64")));
    assert_eq!(reason(Kind::Cidr, json!("10.0.0.0/33")), "10.0.0.0/33 is not in a CIDR format");
    for mac in ["FA:16:3E:00:00:01", "fa-16-3e-0-0-1", "fa16.3e00.0001", "fa163e000001"] {
        assert_eq!(Kind::MacOrGenerate.parse(json!(mac)), Ok(json!("fa:16:3e:00:00:01")), "{mac}");
    }
    assert_eq!(
        reason(Kind::MacOrGenerate, json!("00:00:00:00:00:00")),
        "'00:00:00:00:00:00' is not a valid MAC address"
    );
}

#[test]
fn lists_of_objects_say_what_is_wrong_in_them() {
    assert_eq!(
        reason(Kind::AllocationPools, json!([{"start": "10.0.0.2"}])),
        "Validation of dictionary's keys failed. Expected keys: {'start', 'end'} Provided keys: {'start'}"
    );
    assert_eq!(reason(Kind::FixedIps, json!({"a": 1})), "Invalid data format for fixed IP: '{'a': 1}'");
    assert_eq!(
        reason(Kind::FixedIps, json!([{"ip_address": "10.0.0.2"}, {"ip_address": "10.0.0.2"}])),
        "Duplicate IP address '10.0.0.2'"
    );
    assert_eq!(
        Kind::AddressPairs.parse(json!([{"ip_address": "10.0.0.0/24"}])),
        Ok(json!([{"ip_address": "10.0.0.0/24"}]))
    );
    assert!(matches!(
        Kind::AddressPairs.parse(json!([{"mac_address": "fa:16:3e:00:00:01"}])),
        Err(Refusal::Named("AllowedAddressPairsMissingIP", _))
    ));
    assert_eq!(
        reason(Kind::AddressPairs, json!([{"ip_address": "224.0.0.5"}])),
        "IP 224.0.0.5 is a multicast address, which is not supported."
    );
    assert_eq!(
        reason(Kind::HostRoutes, json!([{"destination": "10.0.0.1/24", "nexthop": "10.0.0.1"}])),
        "'10.0.0.1/24' is not a valid CIDR"
    );
}

proptest::proptest! {
    /// Whatever comes, a kind answers, and what it accepts it accepts again unchanged.
    #[test]
    fn canonical_values_stay(text in ".{0,20}", number in proptest::num::i64::ANY) {
        const KINDS: &[Kind] = &[
            Kind::Boolean, Kind::NonNegative, Kind::Range(-1, 9), Kind::Numbers(&[4, 6]), Kind::Text(9), Kind::Name(9),
            Kind::Uuid, Kind::UuidList, Kind::IpAddress, Kind::Cidr, Kind::MacOrGenerate, Kind::Object,
            Kind::AllocationPools, Kind::Nameservers, Kind::HostRoutes, Kind::FixedIps, Kind::AddressPairs, Kind::ZoneHints,
        ];
        let values = [json!(text), json!(number), json!([text]), json!([{"ip_address": text}]), json!({"start": text})];
        for kind in KINDS {
            for value in &values {
                if let Ok(first) = kind.parse(value.clone()) {
                    proptest::prop_assert_eq!(kind.parse(first.clone()), Ok(first));
                }
            }
        }
    }
}

#[test]
fn what_long_lists_say_twice_is_found_in_one_pass() {
    let numbers = 0..60_000_u32;
    let addresses: Vec<Value> = numbers.map(|n| std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string().into()).collect();
    let routes = addresses.iter().map(|address| json!({"destination": "192.0.2.0/24", "nexthop": address})).collect();
    for (kind, mut items) in
        [(Kind::TextList(255), addresses.clone()), (Kind::Nameservers, addresses), (Kind::HostRoutes, routes)]
    {
        assert_eq!(kind.parse(Value::Array(items.clone())), Ok(Value::Array(items.clone())));
        items.push(items[0].clone());
        assert!(
            matches!(kind.parse(Value::Array(items)), Err(Refusal::Check(reason)) if reason.starts_with("Duplicate "))
        );
    }
}

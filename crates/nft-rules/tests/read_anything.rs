//! Whatever nft may print one day, reading it never panics, and what is not understood is not silently lost.

#![allow(clippy::unwrap_used)] // in helpers of tests, too

use nft_rules::tables_from_json;
use proptest::prelude::*;
use serde_json::{Value, json};

/// As nft 1.0.6 prints a router's table.
fn sample() -> Value {
    let key = json!({"payload": {"protocol": "ip", "field": "daddr"}});
    let chain = json!({"family": "ip", "table": "t", "name": "c", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100,
        "policy": "accept"});
    let rule = json!({"family": "ip", "table": "t", "chain": "c", "handle": 2, "expr": [
        {"match": {"op": "!=", "left": {"&": [{"meta": {"key": "mark"}}, 65535]}, "right": 2}},
        {"match": {"op": "in", "left": {"ct": {"key": "status"}}, "right": ["dnat", "snat"]}},
        {"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"|": [{"&": [{"meta": {"key": "mark"}}, 1]}, 2]}}},
        {"dnat": {"addr": {"map": {"key": key, "data": "@m"}}, "flags": "fully-random"}}]});
    let map = json!({"family": "ip", "name": "m", "table": "t", "type": "ipv4_addr", "map": "ipv4_addr",
        "elem": [["10.0.0.1", "10.0.0.2"]]});
    let joined = json!({"family": "ip", "name": "j", "table": "t", "type": ["inet_proto", "inet_service"],
        "map": "ipv4_addr . inet_service", "flags": ["interval"],
        "elem": [[{"concat": ["tcp", {"range": [80, 89]}]}, {"concat": ["10.0.0.5", 8080]}]]});
    let limit = json!({"family": "ip", "name": "l", "table": "t", "rate": 128, "per": "second", "inv": true,
        "rate_unit": "kbytes", "burst": 2, "burst_unit": "kbytes"});
    let by_map =
        json!({"map": {"key": {"concat": [{"meta": {"key": "l4proto"}}, {"meta": {"key": "mark"}}]}, "data": "@l"}});
    let marks = json!({"family": "ip", "table": "t", "chain": "c", "handle": 3, "expr": [
        {"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": {"prefix": {"addr": 65536, "len": 16}}}},
        {"mangle": {"key": {"meta": {"key": "mark"}}, "value": by_map.clone()}}, {"limit": by_map}, {"counter": "c"}, {"ct helper": "h"}]});
    let set = json!({"family": "ip", "name": "s", "table": "t", "type": "ipv4_addr", "flags": ["interval"],
        "elem": [{"prefix": {"addr": "10.0.0.0", "len": 8}}]});
    json!({"nftables": [{"metainfo": {}}, {"table": {"family": "ip", "name": "t"}}, {"chain": chain}, {"map": map},
        {"map": joined}, {"limit": limit}, {"set": set}, {"rule": rule}, {"rule": marks}]})
}

/// Every place in a document.
fn places(value: &Value, here: String, found: &mut Vec<String>) {
    found.push(here.clone());
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| places(item, format!("{here}/{n}"), found))
        }
        Value::Object(items) => {
            items.iter().for_each(|(key, item)| places(item, format!("{here}/{}", key.replace('/', "~1")), found));
        }
        _ => {}
    }
}

fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        "[@a-z0-9./:*]{0,8}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!({"prefix": {"addr": "10.0.0.0", "len": 99}})),
    ]
}

proptest! {
    #[test]
    fn a_changed_answer_is_read_otherwise_or_refused(place: prop::sample::Index, value in odd()) {
        let (mut document, mut found) = (sample(), vec![]);
        places(&document, String::new(), &mut found);
        let place = place.get(&found).clone();
        // What does not matter may be anything; a table is there when anything says that it is in it.
        let ignored = ["handle", "metainfo", "/nftables/1"].iter().any(|ignored| place.contains(ignored));
        let matters = !ignored && place != "/nftables/0";
        let old = document.pointer(&place).unwrap().clone();
        *document.pointer_mut(&place).unwrap() = value.clone();
        let before = tables_from_json(&sample().to_string()).unwrap();
        if let Ok(after) = tables_from_json(&document.to_string()) {
            prop_assert!(!matters || old == value || after != before || same_meaning(&old, &value), "{}", place);
        }
    }

    #[test]
    fn any_text_is_an_error(text in ".{0,40}") {
        prop_assert!(tables_from_json(&text).is_err());
    }
}

/// Nothing and an empty list are the same to nft.
fn same_meaning(old: &Value, new: &Value) -> bool {
    let empty = |value: &Value| matches!(value, Value::Null) || value.as_array().is_some_and(Vec::is_empty);
    empty(old) && empty(new)
}

#[test]
fn the_sample_is_understood() {
    let tables = tables_from_json(&sample().to_string()).unwrap();
    assert!(tables.values().all(|table| table.unreadable.is_empty()));
}

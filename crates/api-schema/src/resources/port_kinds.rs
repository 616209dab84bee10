//! The kinds of values that only ports have.

use crate::{Custom, JsonType, Kind, Refusal, python_display};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// `[{"opt_name", "opt_value", "ip_version"}]`, the last optional; a null value takes the option away.
pub(super) const DHCP_OPTIONS: Custom =
    Custom { name: "extra DHCP options", json: JsonType::Array, parse: dhcp_options };
/// `{"openvswitch": {"other_config": {"tx-steering": "thread" | "hash"}}}`, every level optional.
pub(super) const HINTS: Custom = Custom { name: "hints for the switch", json: JsonType::Object, parse: hints };
/// The name of a community of a private VLAN.
pub(super) const COMMUNITY: Custom =
    Custom { name: "private VLAN community", json: JsonType::String, parse: community };

/// Options whose value may be empty, which takes away what DHCP would have told.
const MAY_BE_EMPTY: [&str; 2] = ["router", "classless-static-route"];
const LONGEST_NAME: usize = 64;
const LONGEST_VALUE: usize = 255;
/// Most characters of a community's name.
const LONGEST_COMMUNITY: usize = 232;

fn dhcp_options(value: Value) -> Result<Value, Refusal> {
    let refuse = |reason: String| Refusal::Conversion(reason);
    let Value::Array(items) = value else {
        return Err(refuse(format!("'{}' is not a list", python_display(&value))));
    };
    let mut options: Vec<Value> = Vec::with_capacity(items.len());
    let mut seen = HashSet::new();
    for item in items {
        let option = dhcp_option(&item)?
            .ok_or_else(|| refuse(format!("No valid key specs matched for: {}", python_display(&item))))?;
        if !seen.insert(option.clone()) {
            return Err(refuse(format!("Duplicate items in the list: '{}'", python_display(&item))));
        }
        options.push(option);
    }
    Ok(Value::Array(options))
}

/// One option; none: it is not one.
fn dhcp_option(item: &Value) -> Result<Option<Value>, Refusal> {
    let Value::Object(members) = item else { return Ok(None) };
    if members.keys().any(|key| !matches!(key.as_str(), "opt_name" | "opt_value" | "ip_version")) {
        return Ok(None);
    }
    let Some(name) = members.get("opt_name").and_then(Value::as_str) else { return Ok(None) };
    let Some(value) = members.get("opt_value") else { return Ok(None) };
    let short = |text: &str, most: usize| text.chars().count() <= most && !text.contains('\0');
    let one_line = |text: &str| !text.trim().is_empty() && text.lines().count() == 1;
    let value_fits = match value {
        Value::Null => true,
        Value::String(text) => short(text, LONGEST_VALUE) && (MAY_BE_EMPTY.contains(&name) || one_line(text)),
        _ => false,
    };
    if !(short(name, LONGEST_NAME) && one_line(name) && value_fits) {
        return Ok(None);
    }
    let mut option = Map::new();
    option.insert("opt_name".into(), name.into());
    option.insert("opt_value".into(), value.clone());
    if let Some(version) = members.get("ip_version") {
        match Kind::Numbers(&[4, 6]).parse(version.clone()) {
            Ok(version) => option.insert("ip_version".into(), version),
            Err(Refusal::Conversion(reason)) => return Err(Refusal::Conversion(reason)),
            Err(_) => return Ok(None),
        };
    }
    Ok(Some(Value::Object(option)))
}

fn hints(value: Value) -> Result<Value, Refusal> {
    let mut level = &value;
    for key in ["openvswitch", "other_config", "tx-steering"] {
        let Value::Object(members) = level else {
            return Err(Refusal::Check(format!("'{}' is not a dictionary", python_display(level))));
        };
        let unknown: Vec<&str> = members.keys().map(String::as_str).filter(|known| *known != key).collect();
        if !unknown.is_empty() {
            return Err(Refusal::Check(format!("Unexpected keys supplied: {}", unknown.join(", "))));
        }
        match members.get(key) {
            Some(member) => level = member,
            None => return Ok(value),
        }
    }
    Kind::Words(&["thread", "hash"]).parse(level.clone())?;
    Ok(value)
}

fn community(value: Value) -> Result<Value, Refusal> {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '.';
    let fits = value.as_str().is_some_and(|name| {
        name.starts_with(letter)
            && name.len() <= LONGEST_COMMUNITY
            && name.chars().all(|c| letter(c) || c.is_ascii_digit())
    });
    if fits { Ok(value) } else { Err(Refusal::Check(format!("'{}' is not a valid input", python_display(&value)))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn options_have_a_name_and_a_value() {
        let options = json!([{"opt_name": "bootfile-name", "opt_value": "pxelinux.0"},
            {"opt_name": "router", "opt_value": "", "ip_version": "4"}, {"opt_name": "tftp-server", "opt_value": null}]);
        let read = dhcp_options(options).unwrap();
        assert_eq!(read[1], json!({"opt_name": "router", "opt_value": "", "ip_version": 4}));
        assert_eq!(dhcp_options(read.clone()), Ok(read), "what was accepted stays");
        for wrong in [
            json!({"opt_name": "bootfile-name", "opt_value": ""}),
            json!({"opt_name": " ", "opt_value": "a"}),
            json!({"opt_name": "a", "opt_value": "b\nc"}),
            json!({"opt_name": "a"}),
            json!({"opt_name": "a", "opt_value": "b", "ip_version": 5}),
            json!({"opt_name": "a", "opt_value": "b", "more": 1}),
            json!({"opt_name": "a", "opt_value": "b".repeat(256)}),
            json!("a"),
        ] {
            let refused = dhcp_options(json!([wrong]));
            assert!(
                matches!(&refused, Err(Refusal::Conversion(reason)) if reason.starts_with("No valid key specs matched for: ")),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn hints_are_looked_into() {
        let good = json!({"openvswitch": {"other_config": {"tx-steering": "hash"}}});
        assert_eq!(hints(good.clone()), Ok(good));
        assert_eq!(hints(json!({"openvswitch": {}})), Ok(json!({"openvswitch": {}})));
        assert_eq!(hints(json!({"other": {}})), Err(Refusal::Check("Unexpected keys supplied: other".into())));
        assert_eq!(hints(json!({"openvswitch": 1})), Err(Refusal::Check("'1' is not a dictionary".into())));
        let word = json!({"openvswitch": {"other_config": {"tx-steering": "x"}}});
        assert_eq!(hints(word), Err(Refusal::Check("x is not in valid_values".into())));
    }

    #[test]
    fn communities_are_words() {
        assert!(community(json!("web_1.a")).is_ok() && community(json!(".")).is_ok());
        for wrong in [json!("1a"), json!("a b"), json!(""), json!(1), json!("a".repeat(233))] {
            assert!(community(wrong).is_err());
        }
    }
}

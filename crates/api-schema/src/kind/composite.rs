//! Lists and lists of objects. Whatever must be said once only is looked for in a set: a body may have as many as it likes.

use super::addresses::{parse_cidr, parse_ip, parse_mac};
use super::{Refusal, python_display, scalars};
use ipnet::IpNet;
use serde_json::{Map, Value, json};
use std::collections::HashSet;

type Parsed = Result<Value, Refusal>;

fn check(reason: String) -> Refusal {
    Refusal::Check(reason)
}

fn list(value: Value) -> Result<Vec<Value>, Refusal> {
    match value {
        Value::Array(items) => {
            let (mut seen, mut told) = (HashSet::new(), HashSet::new());
            let duplicates = items.iter().filter(|item| !seen.insert(*item) && told.insert(*item));
            let shown: Vec<String> = duplicates.map(python_display).collect();
            if shown.is_empty() {
                return Ok(items);
            }
            Err(check(format!("Duplicate items in the list: '{}'", shown.join(", "))))
        }
        other => Err(check(format!("'{}' is not a list", python_display(&other)))),
    }
}

pub(super) fn uuids(value: Value) -> Parsed {
    list(value)?.into_iter().map(scalars::uuid).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

pub(super) fn texts(value: Value, most: usize) -> Parsed {
    list(value)?.into_iter().map(|item| scalars::text(item, most)).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

/// An object with exactly these keys.
fn exact(value: Value, keys: &[&str]) -> Result<Map<String, Value>, Refusal> {
    let shown: Vec<String> = keys.iter().map(|k| format!("'{k}'")).collect();
    match value {
        Value::Object(members) => {
            if members.len() == keys.len() && keys.iter().all(|key| members.contains_key(*key)) {
                return Ok(members);
            }
            let given: Vec<String> = members.keys().map(|k| format!("'{k}'")).collect();
            Err(check(format!(
                "Validation of dictionary's keys failed. Expected keys: {{{}}} Provided keys: {{{}}}",
                shown.join(", "),
                given.join(", ")
            )))
        }
        other => Err(check(format!(
            "Invalid input. '{}' must be a dictionary with keys: [{}]",
            python_display(&other),
            shown.join(", ")
        ))),
    }
}

pub(super) fn allocation_pools(value: Value) -> Parsed {
    let refuse = || Refusal::Conversion("Invalid data format for allocation pools".into());
    let Value::Array(items) = value else { return Err(refuse()) };
    if !items.iter().all(Value::is_object) {
        return Err(refuse());
    }
    let mut pools = Vec::with_capacity(items.len());
    for item in items {
        let members = exact(item, &["start", "end"])?;
        let bound = |key: &str| parse_ip(members.get(key).unwrap_or(&Value::Null)).map_err(check);
        pools.push(json!({"start": bound("start")?.to_string(), "end": bound("end")?.to_string()}));
    }
    Ok(Value::Array(pools))
}

pub(super) fn nameservers(value: Value) -> Parsed {
    let Value::Array(items) = value else {
        return Err(check(format!("Invalid data format for nameserver: '{}'", python_display(&value))));
    };
    let mut hosts: Vec<Value> = Vec::with_capacity(items.len());
    let mut seen = HashSet::new();
    for item in items {
        let ip = parse_ip(&item)
            .map_err(|reason| check(format!("'{}' is not a valid nameserver. {reason}", python_display(&item))))?;
        if !seen.insert(ip) {
            return Err(check(format!("Duplicate nameserver '{}'", python_display(&item))));
        }
        hosts.push(Value::String(ip.to_string()));
    }
    Ok(Value::Array(hosts))
}

pub(super) fn host_routes(value: Value) -> Parsed {
    let Value::Array(items) = value else {
        return Err(check(format!("Invalid data format for hostroute: '{}'", python_display(&value))));
    };
    let mut routes: Vec<Value> = Vec::with_capacity(items.len());
    let mut seen = HashSet::new();
    for item in items {
        let shown = python_display(&item);
        let members = exact(item, &["destination", "nexthop"])?;
        let destination = route_destination(members.get("destination").unwrap_or(&Value::Null))?;
        let nexthop = parse_ip(members.get("nexthop").unwrap_or(&Value::Null)).map_err(check)?;
        if !seen.insert((destination, nexthop)) {
            return Err(check(format!("Duplicate hostroute '{shown}'")));
        }
        routes.push(json!({"destination": destination.to_string(), "nexthop": nexthop.to_string()}));
    }
    Ok(Value::Array(routes))
}

fn route_destination(value: &Value) -> Result<IpNet, Refusal> {
    let shown = python_display(value);
    let net = value
        .as_str()
        .and_then(parse_cidr)
        .filter(|net| net.network() == net.addr())
        .ok_or_else(|| check(format!("'{shown}' is not a valid CIDR")))?;
    if net.addr().is_loopback() {
        return Err(check(format!("'{shown}' is not a routable CIDR")));
    }
    Ok(net)
}

pub(super) fn fixed_ips(value: Value) -> Parsed {
    let refuse = |value: &Value| check(format!("Invalid data format for fixed IP: '{}'", python_display(value)));
    let Value::Array(items) = value else { return Err(refuse(&value)) };
    let mut requests = Vec::with_capacity(items.len());
    let mut seen = HashSet::new();
    for item in items {
        let Value::Object(mut members) = item else { return Err(refuse(&item)) };
        let mut request = Map::new();
        if let Some(given) = members.remove("ip_address") {
            let ip = parse_ip(&given).map_err(check)?;
            if !seen.insert(ip) {
                return Err(check(format!("Duplicate IP address '{}'", python_display(&given))));
            }
            request.insert("ip_address".into(), Value::String(ip.to_string()));
        }
        if let Some(given) = members.remove("subnet_id") {
            request.insert("subnet_id".into(), scalars::uuid(given)?);
        }
        requests.push(Value::Object(request));
    }
    Ok(Value::Array(requests))
}

pub(super) fn address_pairs(value: Value) -> Parsed {
    let plain = |message: String| Refusal::Plain(message);
    let Value::Array(items) = value else {
        return Err(plain("Allowed address pairs must be a list.".into()));
    };
    let mut pairs: Vec<Value> = Vec::with_capacity(items.len());
    let mut seen = HashSet::new();
    for item in items {
        let Value::Object(members) = item else {
            return Err(check(format!("'{}' is not a dictionary", python_display(&item))));
        };
        let mut pair = Map::new();
        if let Some(given) = members.get("mac_address") {
            let mac = parse_mac(given).map_err(plain)?;
            if mac.is_multicast() {
                return Err(plain(format!("MAC address {mac} is a multicast address, which is not supported.")));
            }
            pair.insert("mac_address".into(), Value::String(mac.to_string()));
        }
        let Some(given) = members.get("ip_address") else {
            return Err(Refusal::Named(
                "AllowedAddressPairsMissingIP",
                "AllowedAddressPair must contain ip_address".into(),
            ));
        };
        let unknown: Vec<&str> =
            members.keys().map(String::as_str).filter(|k| !matches!(*k, "mac_address" | "ip_address")).collect();
        if !unknown.is_empty() {
            return Err(plain(format!("Unrecognized attribute(s) '{}'", unknown.join(", "))));
        }
        let address = pair_address(given).map_err(plain)?;
        pair.insert("ip_address".into(), Value::String(address));
        let pair = Value::Object(pair);
        if !seen.insert(pair.clone()) {
            let mac = members.get("mac_address").unwrap_or(&Value::Null);
            return Err(Refusal::Named(
                "DuplicateAddressPairInRequest",
                format!(
                    "Request contains duplicate address pair: mac_address {} ip_address {}.",
                    python_display(mac),
                    python_display(given)
                ),
            ));
        }
        pairs.push(pair);
    }
    Ok(Value::Array(pairs))
}

fn pair_address(given: &Value) -> Result<String, String> {
    let shown = python_display(given);
    if !shown.contains('/') {
        let ip = parse_ip(given)?;
        return if ip.is_multicast() {
            Err(format!("IP {ip} is a multicast address, which is not supported."))
        } else {
            Ok(ip.to_string())
        };
    }
    let net = given.as_str().and_then(parse_cidr).ok_or_else(|| format!("'{shown}' is not a valid IP subnet"))?;
    let multicast: IpNet = match net {
        IpNet::V4(_) => IpNet::V4(ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(224, 0, 0, 0), 4)),
        IpNet::V6(_) => IpNet::V6(ipnet::Ipv6Net::new_assert(std::net::Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8)),
    };
    let any = net.prefix_len() == 0 && matches!(net, IpNet::V4(_));
    if !any && (multicast.contains(&net) || net.contains(&multicast)) {
        return Err(format!("Subnet {net} overlaps with multicast range {multicast}, which is not supported."));
    }
    Ok(net.to_string())
}

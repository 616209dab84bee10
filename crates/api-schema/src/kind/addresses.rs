//! IP addresses, prefixes, MAC addresses.

use super::{Refusal, python_display};
use ipnet::IpNet;
use net_types::MacAddr;
use serde_json::Value;
use std::net::IpAddr;

type Parsed = Result<Value, Refusal>;

fn has_space(text: &str) -> bool {
    text.chars().any(char::is_whitespace)
}

/// The address that a text means, strictly; the error is Neutron's reason.
pub(super) fn parse_ip(value: &Value) -> Result<IpAddr, String> {
    let refuse = || format!("'{}' is not a valid IP address", python_display(value));
    let text = value.as_str().ok_or_else(refuse)?;
    if has_space(text) || text.contains('%') {
        return Err(refuse());
    }
    if let Ok(ip) = text.parse() {
        return Ok(ip);
    }
    // Leading zeros: octal to some, decimal to others; Neutron names what it would have read.
    let octets: Option<Vec<u8>> = text
        .split('.')
        .map(|part| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten())
        .collect();
    match octets.as_deref() {
        Some([a, b, c, d]) => Err(format!("'{text}' is not an accepted IP address, '{a}.{b}.{c}.{d}' is recommended")),
        _ => Err(refuse()),
    }
}

pub(super) fn ip(value: Value) -> Parsed {
    parse_ip(&value).map(|ip| Value::String(ip.to_string())).map_err(Refusal::Check)
}

/// Address and prefix length; host bits are kept.
pub(super) fn parse_cidr(text: &str) -> Option<IpNet> {
    (!has_space(text)).then(|| text.parse().ok()).flatten()
}

pub(super) fn cidr(value: Value) -> Parsed {
    let shown = python_display(&value);
    let Some(text) = value.as_str() else {
        return Err(Refusal::Conversion(format!("{shown} is not in a CIDR format")));
    };
    if let Some(net) = parse_cidr(text) {
        return Ok(Value::String(net.to_string()));
    }
    // An address alone is read as a host route by the conversion, then fails the check in the form it then has.
    match parse_ip(&value) {
        Ok(ip) => Ok(Value::String(IpNet::from(ip).to_string())),
        Err(_) => Err(Refusal::Conversion(format!("{shown} is not in a CIDR format"))),
    }
}

/// The MAC address that a text means.
pub(super) fn parse_mac(value: &Value) -> Result<MacAddr, String> {
    let refuse = || format!("'{}' is not a valid MAC address", python_display(value));
    let text = value.as_str().ok_or_else(refuse)?;
    // netaddr reads the common notations: colons, hyphens, Cisco's dots, bare digits.
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-' | '.')).collect();
    let parts: Vec<&str> = text.split([':', '-', '.']).collect();
    let padded = if parts.len() == 6 && parts.iter().all(|p| (1..=2).contains(&p.len())) {
        parts.iter().map(|p| format!("{p:0>2}")).collect::<String>()
    } else if matches!(parts.len(), 1 | 3) && digits.len() == 12 {
        digits
    } else {
        return Err(refuse());
    };
    if !padded.is_ascii() {
        return Err(refuse());
    }
    let colons: Vec<&str> = padded.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok()).collect();
    let mac: MacAddr = colons.join(":").to_ascii_lowercase().parse().map_err(|_| refuse())?;
    match mac.to_string().as_str() {
        "00:00:00:00:00:00" | "ff:ff:ff:ff:ff:ff" => Err(refuse()),
        _ => Ok(mac),
    }
}

pub(super) fn mac(value: Value) -> Parsed {
    parse_mac(&value).map(|mac| Value::String(mac.to_string())).map_err(Refusal::Check)
}

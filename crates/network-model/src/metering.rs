//! Metering: what the rules of a label may count, and that none of them counts what another does.
//!
//! In: prefixes as clients write them. Out: their stored form, or the refusal with Neutron's name.

use crate::ModelError;
use net_types::IpNet;
use std::net::IpAddr;

/// A prefix in the form in which it is stored: `10.0.0.5/24` stays so, `10.0.0.5` is a prefix of one address.
pub fn parse_prefix(text: &str) -> Result<String, String> {
    let net = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    net.map(|net| net.to_string()).ok_or_else(|| format!("'{text}' does not appear to be an IPv4 or IPv6 interface"))
}

/// The prefixes of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefixes<'a> {
    /// The side that is not the instance.
    pub remote: Option<&'a str>,
    /// Where packets come from.
    pub source: Option<&'a str>,
    /// Where packets go to.
    pub destination: Option<&'a str>,
}

impl Prefixes<'_> {
    /// Either the remote side, or source and destination, one of them at least.
    pub fn check(&self) -> Result<(), ModelError> {
        let ends = self.source.is_some() || self.destination.is_some();
        match (self.remote.is_some(), ends) {
            (true, true) => Err(ModelError::Invalid {
                reason: "Cannot use 'remote-ip-prefix' in conjunction with 'source-ip-prefix' or 'destination-ip-prefix'.",
            }),
            (false, false) => Err(ModelError::Invalid {
                reason: "You must define at least one of the following parameters 'remote_ip_prefix', or 'source_ip_prefix' \
                         or 'destination_ip_prefix'.",
            }),
            _ => Ok(()),
        }
    }
}

/// Refuses a remote prefix that shares addresses with one of the label's others of the same direction and sense.
pub fn check_overlap<'a>(new: &str, others: impl IntoIterator<Item = &'a str>) -> Result<(), ModelError> {
    let Ok(net) = new.parse::<IpNet>() else { return Ok(()) };
    let overlaps = |other: &str| {
        other.parse::<IpNet>().is_ok_and(|other| other.contains(&net.network()) || net.contains(&other.network()))
    };
    match others.into_iter().any(overlaps) {
        true => Err(ModelError::MeteringLabelRuleOverlaps { remote_ip_prefix: new.to_owned() }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_kept_as_they_are_written() {
        assert_eq!(parse_prefix("10.0.0.5/24").as_deref(), Ok("10.0.0.5/24"));
        assert_eq!(parse_prefix("10.0.0.5").as_deref(), Ok("10.0.0.5/32"));
        assert_eq!(parse_prefix("FD02::/64").as_deref(), Ok("fd02::/64"));
        assert!(parse_prefix("10.0.0.0/33").is_err());
    }

    #[test]
    fn nested_prefixes_overlap_and_neighbours_do_not() {
        assert!(check_overlap("10.0.0.128/25", ["192.0.2.0/24", "10.0.0.5/24"]).is_err());
        assert!(check_overlap("10.0.0.0/8", ["10.0.0.5/24"]).is_err());
        assert_eq!(check_overlap("10.0.1.0/24", ["10.0.0.0/24", "::/0"]), Ok(()));
    }

    #[test]
    fn a_rule_names_the_remote_side_or_the_two_ends() {
        let prefixes = |remote, source, destination| Prefixes { remote, source, destination }.check().is_ok();
        let some = Some("10.0.0.0/24");
        assert!(prefixes(some, None, None) && prefixes(None, some, None) && prefixes(None, some, some));
        assert!(!prefixes(None, None, None) && !prefixes(some, None, some));
    }
}

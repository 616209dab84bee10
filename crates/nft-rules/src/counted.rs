//! What named counters have counted, as `nft --json list counters` prints it (libnftables-json(5)).

use crate::read_back::family;
use crate::{Error, Family};
use serde_json::Value as Json;

/// One counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Family of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Packets since the table was made.
    pub packets: u64,
    /// Octets since then, from the network layer's header on.
    pub octets: u64,
}

/// The counters in the answer, in its order. Other things than counters are passed over.
pub fn counted_from_json(text: &str) -> Result<Vec<Counted>, Error> {
    let answer: Json = serde_json::from_str(text).map_err(|error| Error::ReadJson(error.to_string()))?;
    let items = answer["nftables"].as_array().ok_or_else(|| Error::ReadJson("no 'nftables' array".into()))?;
    let counter = |body: &Json| {
        Some(Counted {
            family: family(&body["family"])?,
            table: body["table"].as_str()?.to_owned(),
            name: body["name"].as_str()?.to_owned(),
            packets: body["packets"].as_u64()?,
            octets: body["bytes"].as_u64()?,
        })
    };
    let counters = items.iter().filter_map(|item| item.get("counter"));
    counters.map(|body| counter(body).ok_or_else(|| Error::ReadJson(format!("a counter like {body}")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_as_nft_prints_them() {
        let text = r#"{"nftables": [
            {"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}},
            {"counter": {"family": "ip", "name": "label-a", "table": "metering", "handle": 2, "packets": 3, "bytes": 252}},
            {"counter": {"family": "ip6", "name": "label-a", "table": "metering", "handle": 1, "packets": 0, "bytes": 0}}
        ]}"#;
        let counted = |family, packets, octets| {
            let (table, name) = ("metering".to_owned(), "label-a".to_owned());
            Counted { family, table, name, packets, octets }
        };
        assert_eq!(counted_from_json(text).unwrap(), [counted(Family::Ip, 3, 252), counted(Family::Ip6, 0, 0)]);
        for broken in ["", "{}", r#"{"nftables": [{"counter": {"family": "ip", "name": "a", "table": "b"}}]}"#] {
            assert!(counted_from_json(broken).is_err(), "{broken}");
        }
    }
}

//! Reads flows in the notation of `ovs-ofctl`: what `dump-flows` prints (statistics are skipped) and `add-flow` takes.

use super::{
    lex::{self, Token},
    parse_action,
    parse_value::{self, number},
    shared,
};
use crate::{Error, Field, Flow, FlowFlags, Masked, Match, PortNo, eth_type, ip_proto};

/// From a port's name to its number.
pub type PortByName<'a> = &'a dyn Fn(&str) -> Option<PortNo>;

/// Reads one flow, resolving port names. Without `priority` it has OpenFlow's default 0x8000; `actions` may be missing
/// (drop).
pub fn parse_flow(text: &str, ports: PortByName<'_>) -> Result<Flow, Error> {
    let (head, actions) = match lex::find_outside_quotes(text, "actions=") {
        Some(at) => (text.get(..at).unwrap_or(""), text.get(at + "actions=".len()..)),
        None => (text, None),
    };
    let mut flow = Flow::table(0);
    let mut conditions = vec![];
    for token in lex::tokens(head) {
        if !attribute(&mut flow, token)? {
            conditions.push(token);
        }
    }
    flow.matches = conditions_of(&conditions, ports)?;
    let actions = actions.map_or(Ok(vec![]), |actions| parse_action::parse_actions(actions, ports))?;
    Ok(flow.actions(actions))
}

/// Reads a match alone.
pub fn parse_match(text: &str, ports: PortByName<'_>) -> Result<Match, Error> {
    conditions_of(&lex::tokens(text).collect::<Vec<_>>(), ports)
}

pub(super) fn bad<T>(what: &'static str, text: &str) -> Result<T, Error> {
    Err(Error::ParseText { what, text: text.to_owned() })
}

/// Takes what is not part of the match; `false` if the token is a condition.
fn attribute(flow: &mut Flow, token: Token<'_>) -> Result<bool, Error> {
    match (token.key, token.value) {
        ("cookie", Some(value)) => flow.cookie = number("cookie", value)?,
        ("table", Some(value)) => flow.table = number("table", value)?,
        ("priority", Some(value)) => flow.priority = number("priority", value)?,
        ("idle_timeout", Some(value)) => flow.idle_timeout = number("idle_timeout", value)?,
        ("hard_timeout", Some(value)) => flow.hard_timeout = number("hard_timeout", value)?,
        ("duration" | "n_packets" | "n_bytes" | "idle_age" | "hard_age" | "importance", Some(_)) => {}
        // Concerns the moment of adding only.
        ("check_overlap", None) => {}
        (word, None) => match FlowFlags::NAMES.iter().find(|(_, name)| *name == word) {
            Some((flag, _)) => flow.flags = flow.flags | *flag,
            None => return Ok(false),
        },
        _ => return Ok(false),
    }
    Ok(true)
}

/// The Ethernet type and IP protocol that a word stands for.
fn protocol(word: &str) -> Option<(u16, Option<u8>)> {
    Some(match word {
        "arp" => (eth_type::ARP, None),
        "rarp" => (eth_type::RARP, None),
        "ip" => (eth_type::IPV4, None),
        "icmp" => (eth_type::IPV4, Some(ip_proto::ICMP)),
        "igmp" => (eth_type::IPV4, Some(ip_proto::IGMP)),
        "tcp" => (eth_type::IPV4, Some(ip_proto::TCP)),
        "udp" => (eth_type::IPV4, Some(ip_proto::UDP)),
        "sctp" => (eth_type::IPV4, Some(ip_proto::SCTP)),
        "ipv6" => (eth_type::IPV6, None),
        "icmp6" => (eth_type::IPV6, Some(ip_proto::ICMPV6)),
        "tcp6" => (eth_type::IPV6, Some(ip_proto::TCP)),
        "udp6" => (eth_type::IPV6, Some(ip_proto::UDP)),
        "sctp6" => (eth_type::IPV6, Some(ip_proto::SCTP)),
        _ => return None,
    })
}

fn conditions_of(tokens: &[Token<'_>], ports: PortByName<'_>) -> Result<Match, Error> {
    let mut matches = Match::new();
    let mut fields = vec![];
    for token in tokens {
        match (token.value, protocol(token.key)) {
            (Some(value), _) => fields.push((token.key, value)),
            (None, Some((eth_type, protocol))) => {
                matches.set(Field::EthType, eth_type.into());
                if let Some(protocol) = protocol {
                    matches.set(Field::IpProto, protocol.into());
                }
            }
            (None, None) => return bad("match", token.key),
        }
    }
    // What names of several protocols mean depends on the protocol, which may come later in the text.
    for (name, value) in fields.iter().filter(|(name, _)| !shared::is_shared(name)) {
        condition(&mut matches, name, value, ports)?;
    }
    for (name, value) in fields.iter().filter(|(name, _)| shared::is_shared(name)) {
        let Some(field) = shared::field(&matches, name) else { return bad("match field for this protocol", name) };
        matches.set(field, parse_value::masked(field, value, ports)?);
    }
    Ok(matches)
}

fn condition(matches: &mut Match, name: &str, value: &str, ports: PortByName<'_>) -> Result<(), Error> {
    match name {
        "in_port" => matches.set(Field::InPort, parse_value::masked(Field::InPort, value, ports)?),
        "dl_vlan" => match number::<u16>("dl_vlan", value)? {
            // OpenFlow 1.0's way to say "no tag".
            0xffff => matches.set(Field::VlanVid, 0u16.into()),
            vid @ 0..=0x0fff => matches.set(Field::VlanVid, (vid | 0x1000).into()),
            _ => return bad("dl_vlan", value),
        },
        "dl_vlan_pcp" => matches.set(Field::VlanPcp, parse_value::masked(Field::VlanPcp, value, ports)?),
        _ => {
            let field = Field::from_name(name).or_else(|| Field::from_symbol(name.trim_end_matches("[]")));
            let Some(field) = field else { return bad("match field", name) };
            let condition = parse_value::masked(field, value, ports)?;
            if condition == Masked::new(0, 0) {
                return Ok(());
            }
            matches.set(field, condition);
        }
    }
    Ok(())
}

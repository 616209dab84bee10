//! Reads actions in the notation of `ovs-ofctl`.

use super::{
    lex,
    parse::{PortByName, bad},
    parse_learn::parse_learn,
    parse_value::{masked, number, port, subfield},
};
use crate::{Action, Ct, CtZone, Error, Field, Nat, NatPorts, NatSide, PortNo};
use std::net::IpAddr;

/// Lists may stand inside `write_actions` and `ct(exec())`, and no deeper than that makes sense.
const MAX_DEPTH: u8 = 4;

/// Reads a list of actions; `drop` and nothing at all are the empty list.
pub(super) fn parse_actions(text: &str, ports: PortByName<'_>) -> Result<Vec<Action>, Error> {
    list(text, ports, 0)
}

fn list(text: &str, ports: PortByName<'_>, depth: u8) -> Result<Vec<Action>, Error> {
    if text.trim() == "drop" {
        return Ok(vec![]);
    }
    let mut actions = vec![];
    for item in lex::list(text) {
        match item.strip_prefix("set_field:") {
            Some(assignment) => actions.extend(set_field(assignment, ports)?),
            None => actions.push(action(item, ports, depth)?),
        }
    }
    Ok(actions)
}

fn action(text: &str, ports: PortByName<'_>, depth: u8) -> Result<Action, Error> {
    if depth > MAX_DEPTH {
        return bad("action so deeply nested", text);
    }
    if let Some(arguments) = lex::call(text, "ct") {
        return ct(arguments, ports, depth);
    }
    if let Some(arguments) = lex::call(text, "learn") {
        return parse_learn(arguments, ports);
    }
    if let Some(arguments) = lex::call(text, "write_actions") {
        return Ok(Action::WriteActions(list(arguments, ports, depth + 1)?));
    }
    if let Some(arguments) = lex::call(text, "resubmit") {
        return resubmit(arguments, ports);
    }
    if let Some(arguments) = lex::call(text, "conjunction") {
        return conjunction(arguments);
    }
    if let Some(arguments) = lex::call(text, "controller") {
        return match arguments.split_once('=') {
            Some(("meter_id", meter)) => Ok(Action::ControllerMetered(number("meter", meter)?)),
            _ => bad("controller(meter_id=...)", text),
        };
    }
    if let Some(arguments) = lex::call(text, "bundle_load") {
        return first_living(arguments, ports);
    }
    match text {
        "ct" => return Ok(Ct::zone(0).into()),
        "ct_clear" => return Ok(Action::CtClear),
        "pop_vlan" | "strip_vlan" => return Ok(Action::PopVlan),
        "dec_ttl" => return Ok(Action::DecTtl),
        "clear_actions" => return Ok(Action::ClearActions),
        _ => {}
    }
    let Some((name, value)) = text.split_once(':') else {
        // A lone word or number is a port.
        return Ok(Action::output(port(text, ports)?));
    };
    Ok(match name {
        "output" if value.contains('[') => Action::OutputReg(subfield(value)?),
        "output" => Action::output(port(value, ports)?),
        "resubmit" => Action::Resubmit { port: port(value, ports)?, table: None },
        "goto_table" => Action::GotoTable(number("table", value)?),
        "group" => Action::Group(number("group", value)?),
        "meter" => Action::Meter(number("meter", value)?),
        "set_queue" => Action::SetQueue(number("queue", value)?),
        "push_vlan" => Action::PushVlan(number("Ethernet type", value)?),
        "load" => load(value)?,
        "move" => {
            let (from, to) = arrow(value)?;
            let (from, to) = (subfield(from)?, subfield(to)?);
            if from.bits != to.bits {
                return bad("move between equally wide fields", value);
            }
            Action::Move(from, to)
        }
        "note" => note(value)?,
        "write_metadata" => {
            let (value, mask) = value.split_once('/').unwrap_or((value, "0xffffffffffffffff"));
            Action::WriteMetadata(number("metadata", value)?, number("metadata mask", mask)?)
        }
        _ if name.eq_ignore_ascii_case("controller") => Action::Controller(number("octets", value)?),
        _ => return bad("action", text),
    })
}

/// `value->target`; the value may hold colons and slashes, never an arrow.
pub(super) fn arrow(text: &str) -> Result<(&str, &str), Error> {
    match text.split_once("->") {
        Some((value, target)) => Ok((value.trim(), target.trim())),
        None => bad("value->field", text),
    }
}

/// Several actions when the value has a mask with gaps.
fn set_field(text: &str, ports: PortByName<'_>) -> Result<Vec<Action>, Error> {
    let (value, target) = arrow(text)?;
    let Some(field) = Field::from_name(target).or_else(|| Field::from_symbol(target.trim_end_matches("[]"))) else {
        return bad("field", target);
    };
    Ok(Action::set_masked(field, masked(field, value, ports)?))
}

fn load(text: &str) -> Result<Action, Error> {
    let (value, target) = arrow(text)?;
    let (value, target) = (number::<u64>("number", value)?, subfield(target)?);
    let fits = target.bits >= 64 || value >> target.bits == 0;
    if fits && target.bits <= 64 { Ok(Action::Load(value, target)) } else { bad("load into so many bits", text) }
}

fn resubmit(arguments: &str, ports: PortByName<'_>) -> Result<Action, Error> {
    let (into, table) = arguments.split_once(',').unwrap_or((arguments, ""));
    let (into, table) = (into.trim(), table.trim());
    Ok(Action::Resubmit {
        port: if into.is_empty() { PortNo::IN_PORT } else { port(into, ports)? },
        table: if table.is_empty() { None } else { Some(number("table", table)?) },
    })
}

fn conjunction(arguments: &str) -> Result<Action, Error> {
    let clauses = arguments.split_once(',').and_then(|(id, rest)| Some((id, rest.split_once('/')?)));
    let Some((id, (clause, of))) = clauses else { return bad("conjunction", arguments) };
    let (clause, of) = (number("clause", clause.trim())?, number("number of clauses", of.trim())?);
    if clause == 0 || clause > of {
        return bad("conjunction", arguments);
    }
    Ok(Action::Conjunction { id: number("conjunction id", id.trim())?, clause, of })
}

/// `eth_src,0,active_backup,ofport,NXM_NX_REG10[0..15],members:2,3`; older switches say `slaves:`.
fn first_living(arguments: &str, ports: PortByName<'_>) -> Result<Action, Error> {
    let items: Vec<&str> = lex::list(arguments).collect();
    let [fields, _basis, algorithm, kind, into, first, more @ ..] = items.as_slice() else {
        return bad("bundle_load", arguments);
    };
    let first = first.strip_prefix("members:").or_else(|| first.strip_prefix("slaves:"));
    let (true, Some(first)) = ((*fields, *algorithm, *kind) == ("eth_src", "active_backup", "ofport"), first) else {
        return bad("bundle_load of the first living port", arguments);
    };
    let into = subfield(into)?;
    let member = |text: &str| match port(text, ports)?.to_u16() {
        Some(number) if into.bits >= 16 => Ok(number),
        _ => bad("bundle_load", arguments),
    };
    let ports = std::iter::once(first).chain(more.iter().copied()).map(member).collect::<Result<_, _>>()?;
    Ok(Action::FirstLiving { into, ports })
}

fn note(text: &str) -> Result<Action, Error> {
    let octets = text.split('.').filter(|part| !part.is_empty());
    let octets: Result<Vec<u8>, _> = octets.map(|part| u8::from_str_radix(part, 16)).collect();
    match octets {
        Ok(octets) => Ok(Action::note(octets)),
        Err(_) => bad("note", text),
    }
}

fn ct(arguments: &str, ports: PortByName<'_>, depth: u8) -> Result<Action, Error> {
    let mut ct = Ct::zone(0);
    for item in lex::list(arguments) {
        if let Some(actions) = lex::call(item, "exec") {
            ct.exec = list(actions, ports, depth + 1)?;
        } else if let Some(arguments) = lex::call(item, "nat") {
            ct.nat = Some(nat(arguments)?);
        } else {
            match item.split_once('=').unwrap_or((item, "")) {
                ("commit", "") => ct.commit = true,
                ("force", "") => ct.force = true,
                ("nat", "") => ct.nat = Some(Nat::default()),
                ("table", table) => ct.next_table = Some(number("table", table)?),
                ("zone", zone) if zone.contains('[') => ct.zone = CtZone::Field(subfield(zone)?),
                ("zone", zone) => ct.zone = CtZone::Number(number("zone", zone)?),
                ("alg", "ftp") => ct.alg = 21,
                ("alg", "tftp") => ct.alg = 69,
                _ => return bad("argument of ct", item),
            }
        }
    }
    Ok(ct.into())
}

fn nat(arguments: &str) -> Result<Nat, Error> {
    let mut nat = Nat::default();
    for item in lex::list(arguments) {
        let (key, range) = item.split_once('=').unwrap_or((item, ""));
        match key {
            "src" | "dst" => {
                nat.side = Some(if key == "src" { NatSide::Source } else { NatSide::Destination });
                if !range.is_empty() {
                    nat_range(&mut nat, range)?;
                }
            }
            "persistent" => nat.persistent = true,
            "hash" => nat.ports_by = Some(NatPorts::Hash),
            "random" => nat.ports_by = Some(NatPorts::Random),
            _ => return bad("argument of nat", item),
        }
    }
    if nat.is_valid() { Ok(nat) } else { bad("nat with a side", arguments) }
}

/// `10.0.0.1-10.0.0.9:5000-6000`, `[fe80::1]-[fe80::9]:80` or, without ports, `fe80::1-fe80::9`.
fn nat_range(nat: &mut Nat, text: &str) -> Result<(), Error> {
    let bracketed = text.rfind(']');
    let colon = match bracketed {
        Some(end) => text.get(end..).and_then(|rest| rest.find(':')).map(|at| at + end),
        None if text.contains('.') => text.rfind(':'),
        None => None,
    };
    let (addresses, ports) = match colon {
        Some(at) => (text.get(..at).unwrap_or(""), text.get(at + 1..)),
        None => (text, None),
    };
    let address = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let (first, last) = addresses.split_once('-').unwrap_or((addresses, addresses));
    match (address(first), address(last)) {
        (Some(first), Some(last)) if first.is_ipv4() == last.is_ipv4() => nat.addresses = Some((first, last)),
        _ => return bad("NAT range", text),
    }
    if let Some(ports) = ports {
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        nat.ports = Some((number("port", first)?, number("port", last)?));
    }
    Ok(())
}

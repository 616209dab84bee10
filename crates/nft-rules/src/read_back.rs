//! What `nft -j list ruleset` (or `list table ...`) prints, as tables again (libnftables-json(5)).
//!
//! Handles, counter values and the order of set elements do not matter and are left out. A thing that this crate has no
//! type for lands in [`Table::unreadable`], so that its table differs from any plan; tables of other owners are simply
//! never asked for.

use crate::{
    Base, DataType, ElementType, Error, Family, Field, Hook, Key, Kind, Map, Match, Nat, NatAddress, Object, Operator,
    Policy, Rule, Set, Statement, Table, Value,
};
use net_types::PortRange;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The tables in the answer, keyed by family and name.
pub fn tables_from_json(text: &str) -> Result<BTreeMap<(Family, String), Table>, Error> {
    let answer: Json = serde_json::from_str(text).map_err(|error| Error::ReadJson(error.to_string()))?;
    let items = answer["nftables"].as_array().ok_or_else(|| Error::ReadJson("no 'nftables' array".into()))?;
    let mut tables = BTreeMap::new();
    for item in items.iter().filter_map(Json::as_object) {
        let Some((kind, body)) = item.iter().next() else { continue };
        if kind == "metainfo" {
            continue;
        }
        let name = if kind == "table" { &body["name"] } else { &body["table"] };
        let (Some(family), Some(name)) = (family(&body["family"]), name.as_str()) else {
            return Err(Error::ReadJson(format!("a {kind} without family or table")));
        };
        let table = tables.entry((family, name.to_owned())).or_insert_with(|| Table::new(family, name));
        if kind != "table" && put(table, kind, body).is_none() {
            table.unreadable.push(Json::Object(item.clone()).to_string());
        }
    }
    Ok(tables)
}

/// Adds one thing to its table; `None` when it is not understood.
fn put(table: &mut Table, kind: &str, body: &Json) -> Option<()> {
    let name = body["name"].as_str();
    match kind {
        "chain" => {
            table.chains.entry(name?.to_owned()).or_default().base = base(body)?;
        }
        "rule" => {
            let rule = rule(body)?;
            table.chains.entry(body["chain"].as_str()?.to_owned()).or_default().rules.push(rule);
        }
        "set" => {
            let elements = list(&body["elem"]).map(value).collect::<Option<_>>()?;
            let set = Set { of: element_type(&body["type"])?, interval: interval(body)?, elements };
            table.sets.insert(name?.to_owned(), set);
        }
        "map" => {
            let pair = |pair: &Json| Some((value(pair.get(0)?)?, value(pair.get(1)?)?));
            let elements = list(&body["elem"]).map(pair).collect::<Option<_>>()?;
            let (from, to) = (element_type(&body["type"])?, element_type(&body["map"])?);
            table.maps.insert(name?.to_owned(), Map { from, to, interval: interval(body)?, elements });
        }
        "counter" | "limit" | "ct helper" => {
            table.objects.insert(name?.to_owned(), object(kind, body)?);
        }
        _ => return None,
    }
    Some(())
}

fn list(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().into_iter().flatten()
}

pub(crate) fn family(json: &Json) -> Option<Family> {
    let all = [Family::Ip, Family::Ip6, Family::Inet, Family::Arp, Family::Bridge, Family::Netdev];
    all.into_iter().find(|family| json == family.as_str())
}

/// `ipv4_addr`, `["ipv4_addr", "inet_service"]` or, for what maps lead to, `ipv4_addr . inet_service`.
fn element_type(json: &Json) -> Option<ElementType> {
    let one = |word: &str| DataType::ALL.into_iter().find(|kind| word == kind.as_str());
    match json {
        Json::Array(parts) => {
            parts.iter().map(|part| one(part.as_str()?)).collect::<Option<_>>().map(ElementType::Joined)
        }
        Json::String(word) if word.contains(" . ") => {
            word.split(" . ").map(one).collect::<Option<_>>().map(ElementType::Joined)
        }
        _ => one(json.as_str()?).map(ElementType::One),
    }
}

fn object(kind: &str, body: &Json) -> Option<Object> {
    let octets = |number: &str, unit: &str| {
        let factor = match body[unit].as_str()? {
            "bytes" => 1,
            "kbytes" => 1 << 10,
            "mbytes" => 1 << 20,
            _ => return None,
        };
        body[number].as_u64()?.checked_mul(factor)
    };
    let word = |name: &str| body[name].as_str().map(str::to_owned);
    match kind {
        "counter" => Some(Object::Counter),
        "limit" if body["inv"] == true && body["per"] == "second" => {
            Some(Object::Limit { rate: octets("rate", "rate_unit")?, burst: octets("burst", "burst_unit")? })
        }
        "ct helper" => Some(Object::CtHelper { kind: word("type")?, protocol: word("protocol")? }),
        _ => None,
    }
}

/// Whether a set has the flag `interval`; `None` when it has any other.
fn interval(body: &Json) -> Option<bool> {
    let flags: Vec<_> = list(&body["flags"]).collect();
    match flags.as_slice() {
        [] => Some(false),
        [flag] if *flag == "interval" => Some(true),
        _ => None,
    }
}

/// The base of a chain: `Some(None)` for a chain without.
fn base(body: &Json) -> Option<Option<Base>> {
    let Some(hook) = body["hook"].as_str() else { return Some(None) };
    let hooks = [Hook::Ingress, Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];
    let kinds = [Kind::Filter, Kind::Nat, Kind::Route];
    Some(Some(Base {
        kind: kinds.into_iter().find(|kind| body["type"] == kind.as_str())?,
        hook: hooks.into_iter().find(|known| hook == known.as_str())?,
        device: body["dev"].as_str().map(str::to_owned),
        priority: body["prio"].as_i64()?.try_into().ok()?,
        policy: match body["policy"].as_str()? {
            "accept" => Policy::Accept,
            "drop" => Policy::Drop,
            _ => return None,
        },
    }))
}

fn rule(body: &Json) -> Option<Rule> {
    let mut rule = Rule { comment: body["comment"].as_str().map(str::to_owned), ..Rule::default() };
    for part in list(&body["expr"]) {
        let (kind, inner) = part.as_object()?.iter().next()?;
        if kind == "match" {
            // A condition behind a statement would mean something else than what a `Rule` says.
            if !rule.statements.is_empty() {
                return None;
            }
            rule.matches.push(condition(inner)?);
        } else {
            rule.statements.push(statement(kind, inner)?);
        }
    }
    Some(rule)
}

fn condition(json: &Json) -> Option<Match> {
    let left = &json["left"];
    let (field, mask) = match left["&"].as_array().map(Vec::as_slice) {
        Some([inner, mask]) => (field(inner)?, Some(number(mask)?)),
        _ => (field(left)?, None),
    };
    let operator = match (json["op"].as_str()?, field) {
        ("in", Field::CtState | Field::CtStatus) => Operator::Has,
        ("!", _) => Operator::HasNot,
        ("==", _) => Operator::Is,
        ("!=", _) => Operator::IsNot,
        _ => return None,
    };
    // Leading bits are reported as a prefix of a number.
    let right = &json["right"];
    if mask.is_none() && right["prefix"]["addr"].is_number() {
        let length = number(&right["prefix"]["len"]).filter(|length| (1..=32).contains(length))?;
        let value = Value::Number(number(&right["prefix"]["addr"])?);
        return Some(Match { field, mask: Some(u32::MAX << (32 - length)), operator, value });
    }
    Some(Match { field, mask, operator, value: value(right)? })
}

fn field(json: &Json) -> Option<Field> {
    Field::ALL.into_iter().find(|field| {
        let (object, key) = field.words();
        match object {
            "meta" | "ct" => json[object]["key"] == key,
            _ => json["payload"]["protocol"] == object && json["payload"]["field"] == key,
        }
    })
}

fn number(json: &Json) -> Option<u32> {
    json.as_u64()?.try_into().ok()
}

fn value(json: &Json) -> Option<Value> {
    match json {
        Json::Number(_) => number(json).map(Value::Number),
        Json::String(word) => Some(if let Some(set) = word.strip_prefix('@') {
            Value::Set(set.to_owned())
        } else if let Ok(address) = word.parse() {
            Value::Address(address)
        } else if let Ok(mac) = word.parse() {
            Value::Mac(mac)
        } else {
            Value::Word(word.clone())
        }),
        Json::Array(items) => items.iter().map(value).collect::<Option<_>>().map(Value::AnyOf),
        Json::Object(object) if object.contains_key("set") => {
            list(&json["set"]).map(value).collect::<Option<_>>().map(Value::AnyOf)
        }
        Json::Object(object) if object.contains_key("concat") => {
            list(&json["concat"]).map(value).collect::<Option<_>>().map(Value::Joined)
        }
        Json::Object(object) if object.contains_key("range") => {
            let port = |n: usize| number(json["range"].get(n)?)?.try_into().ok();
            PortRange::new(port(0)?, port(1)?).ok().map(Value::Ports)
        }
        Json::Object(object) => {
            let prefix = object.get("prefix")?;
            let length = number(&prefix["len"])?.try_into().ok()?;
            net_types::IpNet::new(prefix["addr"].as_str()?.parse().ok()?, length).ok().map(Value::Prefix)
        }
        _ => None,
    }
}

fn statement(kind: &str, inner: &Json) -> Option<Statement> {
    let target = || inner["target"].as_str().map(str::to_owned);
    Some(match kind {
        "accept" => Statement::Accept,
        "drop" => Statement::Drop,
        "return" => Statement::Return,
        "counter" => match inner {
            Json::String(name) => Statement::Count(name.clone()),
            _ => Statement::Counter,
        },
        "limit" => {
            let (key, map) = look_up(inner)?;
            Statement::LimitByMap { key, map }
        }
        "ct helper" => Statement::CtHelper(inner.as_str()?.to_owned()),
        "jump" => Statement::Jump(target()?),
        "goto" => Statement::Goto(target()?),
        "snat" => Statement::Snat(nat(inner)?),
        "dnat" => Statement::Dnat(nat(inner)?),
        "redirect" => Statement::Redirect(number(&inner["port"])?.try_into().ok()?),
        "mangle" => match field(&inner["key"])? {
            Field::MetaMark => set_mark(&inner["value"])?,
            Field::CtMark => {
                let (value, mask) = masked(&inner["value"], Field::CtMark)?;
                Statement::SetCtMark { value, mask }
            }
            _ => return None,
        },
        _ => return None,
    })
}

fn set_mark(json: &Json) -> Option<Statement> {
    if let Some((key, map)) = look_up(json) {
        return Some(Statement::SetMarkByMap { key, map });
    }
    let (value, mask) = masked(json, Field::MetaMark)?;
    Some(Statement::SetMark { value, mask })
}

/// Value and mask of `N`, or of `FIELD & keep | N`, whose `keep` the kernel reports with the bits of N added.
fn masked(json: &Json, of: Field) -> Option<(u32, u32)> {
    if let Some(value) = number(json) {
        return Some((value, u32::MAX));
    }
    let (masked, value) = match json["|"].as_array().map(Vec::as_slice) {
        Some([masked, value]) => (masked, number(value)?),
        _ => (json, 0),
    };
    match masked["&"].as_array().map(Vec::as_slice) {
        Some([inner, keep]) if field(inner) == Some(of) => Some((value, !(number(keep)? & !value))),
        _ => None,
    }
}

/// `KEY map @NAME`.
fn look_up(json: &Json) -> Option<(Key, String)> {
    let (key, data) = (&json["map"]["key"], json["map"]["data"].as_str()?);
    let key = match key["concat"].as_array() {
        Some(parts) => Key::Joined(parts.iter().map(field).collect::<Option<_>>()?),
        None => Key::One(field(key)?),
    };
    Some((key, data.strip_prefix('@')?.to_owned()))
}

fn nat(json: &Json) -> Option<Nat> {
    let fully_random = match &json["flags"] {
        Json::Null => false,
        flags if flags == "fully-random" => true,
        _ => return None,
    };
    if !json["port"].is_null() {
        return None;
    }
    let to = match &json["addr"] {
        Json::String(address) => NatAddress::Address(address.parse().ok()?),
        other => {
            let (key, map) = look_up(other)?;
            NatAddress::Map { key, map }
        }
    };
    Some(Nat { to, fully_random })
}

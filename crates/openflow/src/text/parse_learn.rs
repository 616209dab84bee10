//! Reads the arguments of `learn(...)`.

use super::{
    lex,
    parse::{PortByName, bad},
    parse_action::arrow,
    parse_value::{masked, number, subfield},
};
use crate::{Action, Error, Field, Learn, LearnSpec, LearnValue, SubField};

pub(super) fn parse_learn(arguments: &str, ports: PortByName<'_>) -> Result<Action, Error> {
    let mut learn = Learn { priority: 0x8000, ..Learn::default() };
    for item in lex::list(arguments) {
        match item.split_once('=').unwrap_or((item, "")) {
            ("table", value) => learn.table = number("table", value)?,
            ("priority", value) => learn.priority = number("priority", value)?,
            ("cookie", value) => learn.cookie = number("cookie", value)?,
            ("idle_timeout", value) => learn.idle_timeout = number("idle_timeout", value)?,
            ("hard_timeout", value) => learn.hard_timeout = number("hard_timeout", value)?,
            ("fin_idle_timeout", value) => learn.fin_idle_timeout = number("fin_idle_timeout", value)?,
            ("fin_hard_timeout", value) => learn.fin_hard_timeout = number("fin_hard_timeout", value)?,
            ("send_flow_rem", "") => learn.send_flow_removed = true,
            ("delete_learned", "") => learn.delete_learned = true,
            (field, value) => learn.specs.push(spec(item, field, value, ports)?),
        }
    }
    Ok(learn.into())
}

fn spec(item: &str, field: &str, value: &str, ports: PortByName<'_>) -> Result<LearnSpec, Error> {
    if let Some(port) = item.strip_prefix("output:") {
        return Ok(LearnSpec::Output(subfield(port)?));
    }
    if let Some(load) = item.strip_prefix("load:") {
        let (from, field) = arrow(load)?;
        let field = subfield(field)?;
        let from = match subfield(from) {
            Ok(from) => LearnValue::Field(from),
            Err(_) => LearnValue::Number(number("number", from)?),
        };
        return checked(item, field, from, LearnSpec::Load { field, from });
    }
    let part = subfield(field)?;
    let from = if value.is_empty() {
        LearnValue::Field(part)
    } else if let Ok(from) = subfield(value) {
        LearnValue::Field(from)
    } else if part == SubField::whole(part.field) {
        // `in_port` in a learned match is the 16-bit field.
        let condition = masked(part.field, value, ports)?;
        if condition.mask() != part.field.full_mask() {
            return bad("learned match", item);
        }
        LearnValue::Number(condition.value())
    } else {
        LearnValue::Number(number("number", value)?)
    };
    checked(item, part, from, LearnSpec::Match { field: part, from })
}

/// Both sides must have as many bits.
fn checked(item: &str, field: SubField, from: LearnValue, spec: LearnSpec) -> Result<LearnSpec, Error> {
    let fits = match from {
        LearnValue::Field(from) => from.bits == field.bits,
        LearnValue::Number(number) => field.bits >= Field::Ipv6Src.info().bits || number >> field.bits == 0,
    };
    if fits { Ok(spec) } else { bad("equally wide sides", item) }
}

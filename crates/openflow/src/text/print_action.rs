//! Actions as `ovs-ofctl` prints them.

use super::{
    Names,
    value::{Hex, write_port, write_subfield, write_table, write_value},
};
use crate::{Action, Ct, CtZone, Learn, LearnSpec, LearnValue, Masked, Nat, NatPorts, NatSide, PortNo, SubField};
use std::{fmt, net::IpAddr};

pub(super) fn write_actions(out: &mut dyn fmt::Write, actions: &[Action], names: &dyn Names) -> fmt::Result {
    if actions.is_empty() {
        return out.write_str("drop");
    }
    for (index, action) in actions.iter().enumerate() {
        out.write_str(if index > 0 { "," } else { "" })?;
        write_action(out, action, names)?;
    }
    Ok(())
}

pub(super) fn write_action(out: &mut dyn fmt::Write, action: &Action, names: &dyn Names) -> fmt::Result {
    match action {
        Action::Output(port) if port.is_ordinary() => {
            out.write_str("output:")?;
            write_port(out, *port, names)
        }
        Action::Output(port) => write_port(out, *port, names),
        Action::OutputReg(source) => {
            out.write_str("output:")?;
            write_subfield(out, *source)
        }
        Action::Controller(max_len) => write!(out, "CONTROLLER:{max_len}"),
        Action::ControllerMetered(meter) => write!(out, "controller(meter_id={meter})"),
        Action::Group(id) => write!(out, "group:{id}"),
        Action::SetQueue(queue) => write!(out, "set_queue:{queue}"),
        Action::PushVlan(eth_type) => write!(out, "push_vlan:{eth_type:#06x}"),
        Action::PopVlan => out.write_str("pop_vlan"),
        Action::DecTtl => out.write_str("dec_ttl"),
        Action::SetField(field, value) => {
            out.write_str("set_field:")?;
            write_value(out, *field, Masked::exact(*value).within(field.full_mask()), names)?;
            write!(out, "->{}", field.info().names.first().unwrap_or(&"?"))
        }
        Action::Load(value, target) => {
            write!(out, "load:{}->", Hex(u128::from(*value)))?;
            write_subfield(out, *target)
        }
        Action::Move(from, to) => {
            out.write_str("move:")?;
            write_subfield(out, *from)?;
            out.write_str("->")?;
            write_subfield(out, *to)
        }
        Action::Resubmit { port, table } => write_resubmit(out, *port, *table, names),
        Action::Ct(ct) => write_ct(out, ct, names),
        Action::CtClear => out.write_str("ct_clear"),
        Action::Learn(learn) => write_learn(out, learn, names),
        Action::Conjunction { id, clause, of } => write!(out, "conjunction({id},{clause}/{of})"),
        Action::FirstLiving { into, ports } => {
            out.write_str("bundle_load(eth_src,0,active_backup,ofport,")?;
            write_subfield(out, *into)?;
            out.write_str(",members:")?;
            for (index, port) in ports.iter().enumerate() {
                out.write_str(if index > 0 { "," } else { "" })?;
                write_port(out, PortNo::from_u16(*port), names)?;
            }
            out.write_char(')')
        }
        Action::Note(octets) => {
            out.write_str("note:")?;
            for (index, octet) in octets.iter().enumerate() {
                write!(out, "{}{octet:02x}", if index > 0 { "." } else { "" })?;
            }
            Ok(())
        }
        Action::Meter(id) => write!(out, "meter:{id}"),
        Action::ClearActions => out.write_str("clear_actions"),
        Action::WriteActions(actions) => {
            out.write_str("write_actions(")?;
            write_actions(out, actions, names)?;
            out.write_char(')')
        }
        Action::WriteMetadata(value, u64::MAX) => write!(out, "write_metadata:{value:#x}"),
        Action::WriteMetadata(value, mask) => write!(out, "write_metadata:{value:#x}/{mask:#x}"),
        Action::GotoTable(table) => {
            out.write_str("goto_table:")?;
            write_table(out, *table, names)
        }
    }
}

fn write_resubmit(out: &mut dyn fmt::Write, port: PortNo, table: Option<u8>, names: &dyn Names) -> fmt::Result {
    if port != PortNo::IN_PORT && table.is_none() {
        out.write_str("resubmit:")?;
        return write_port(out, port, names);
    }
    out.write_str("resubmit(")?;
    if port != PortNo::IN_PORT {
        write_port(out, port, names)?;
    }
    out.write_char(',')?;
    if let Some(table) = table {
        write_table(out, table, names)?;
    }
    out.write_char(')')
}

fn write_ct(out: &mut dyn fmt::Write, ct: &Ct, names: &dyn Names) -> fmt::Result {
    let mut parts: Vec<String> = vec![];
    if ct.commit {
        parts.push("commit".into());
    }
    if ct.force {
        parts.push("force".into());
    }
    if let Some(table) = ct.next_table {
        let mut part = String::from("table=");
        write_table(&mut part, table, names)?;
        parts.push(part);
    }
    match ct.zone {
        CtZone::Number(0) => {}
        CtZone::Number(zone) => parts.push(format!("zone={zone}")),
        CtZone::Field(field) => {
            let mut part = String::from("zone=");
            write_subfield(&mut part, field)?;
            parts.push(part);
        }
    }
    if let Some(nat) = &ct.nat {
        parts.push(nat_text(nat));
    }
    if !ct.exec.is_empty() {
        let mut part = String::from("exec(");
        write_actions(&mut part, &ct.exec, names)?;
        parts.push(part + ")");
    }
    match ct.alg {
        0 => {}
        21 => parts.push("alg=ftp".into()),
        69 => parts.push("alg=tftp".into()),
        other => parts.push(format!("alg={other}")),
    }
    write!(out, "ct({})", parts.join(","))
}

fn nat_text(nat: &Nat) -> String {
    let Some(side) = nat.side else { return "nat".into() };
    let mut text = String::from(match side {
        NatSide::Source => "nat(src",
        NatSide::Destination => "nat(dst",
    });
    if let Some((first, last)) = nat.addresses {
        let bracket = first.is_ipv6() && nat.ports.is_some();
        let show = |address: IpAddr| if bracket { format!("[{address}]") } else { address.to_string() };
        text += &if first == last { format!("={}", show(first)) } else { format!("={}-{}", show(first), show(last)) };
        if let Some((first, last)) = nat.ports {
            text += &if first == last { format!(":{first}") } else { format!(":{first}-{last}") };
        }
    }
    text += if nat.persistent { ",persistent" } else { "" };
    text += match nat.ports_by {
        None => "",
        Some(NatPorts::Hash) => ",hash",
        Some(NatPorts::Random) => ",random",
    };
    text + ")"
}

fn write_learn(out: &mut dyn fmt::Write, learn: &Learn, names: &dyn Names) -> fmt::Result {
    out.write_str("learn(table=")?;
    write_table(out, learn.table, names)?;
    for (name, seconds) in [
        ("idle_timeout", learn.idle_timeout),
        ("hard_timeout", learn.hard_timeout),
        ("fin_idle_timeout", learn.fin_idle_timeout),
        ("fin_hard_timeout", learn.fin_hard_timeout),
    ] {
        if seconds != 0 {
            write!(out, ",{name}={seconds}")?;
        }
    }
    if learn.priority != 0x8000 {
        write!(out, ",priority={}", learn.priority)?;
    }
    if learn.send_flow_removed {
        out.write_str(",send_flow_rem")?;
    }
    if learn.delete_learned {
        out.write_str(",delete_learned")?;
    }
    if learn.cookie != 0 {
        write!(out, ",cookie={:#x}", learn.cookie)?;
    }
    for spec in &learn.specs {
        out.write_char(',')?;
        write_spec(out, spec, names)?;
    }
    out.write_char(')')
}

fn write_spec(out: &mut dyn fmt::Write, spec: &LearnSpec, names: &dyn Names) -> fmt::Result {
    match *spec {
        LearnSpec::Match { field, from: LearnValue::Field(from) } if from == field => write_subfield(out, field),
        LearnSpec::Match { field, from: LearnValue::Field(from) } => {
            write_subfield(out, field)?;
            out.write_char('=')?;
            write_subfield(out, from)
        }
        LearnSpec::Match { field, from: LearnValue::Number(number) } if field == SubField::whole(field.field) => {
            write!(out, "{}=", field.field.info().names.first().unwrap_or(&"?"))?;
            write_value(out, field.field, Masked::exact(number).within(field.field.full_mask()), names)
        }
        LearnSpec::Match { field, from: LearnValue::Number(number) } => {
            write_subfield(out, field)?;
            write!(out, "={}", Hex(number))
        }
        LearnSpec::Load { field, from } => {
            out.write_str("load:")?;
            match from {
                LearnValue::Field(from) => write_subfield(out, from)?,
                LearnValue::Number(number) => write!(out, "{}", Hex(number))?,
            }
            out.write_str("->")?;
            write_subfield(out, field)
        }
        LearnSpec::Output(port) => {
            out.write_str("output:")?;
            write_subfield(out, port)
        }
    }
}

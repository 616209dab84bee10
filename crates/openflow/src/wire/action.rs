//! OpenFlow 1.4's own actions and instructions; Nicira's are in [`super::nicira`].

use super::{
    cursor::{Reader, Writer},
    nicira, oxm,
};
use crate::{Action, Error, PortNo};

const OUTPUT: u16 = 0;
const PUSH_VLAN: u16 = 17;
const POP_VLAN: u16 = 18;
const SET_QUEUE: u16 = 21;
const GROUP: u16 = 22;
const DEC_NW_TTL: u16 = 24;
const SET_FIELD: u16 = 25;
const EXPERIMENTER: u16 = 0xffff;

const GOTO_TABLE: u16 = 1;
const WRITE_METADATA: u16 = 2;
const WRITE_ACTIONS: u16 = 3;
const APPLY_ACTIONS: u16 = 4;
const CLEAR_ACTIONS: u16 = 5;
const METER: u16 = 6;

/// `ct(exec())` is the only place where actions hold actions, and once is enough.
pub(super) const MAX_DEPTH: u8 = 2;

pub(super) fn write_actions(out: &mut Writer, actions: &[Action]) -> Result<(), Error> {
    actions.iter().try_for_each(|action| write_action(out, action))
}

fn write_action(out: &mut Writer, action: &Action) -> Result<(), Error> {
    let what = "action";
    match action {
        Action::Output(port) => out.tlv8(what, OUTPUT, |out| {
            out.u32(port.0);
            // Only means something for the controller; this is what the switch reports.
            out.u16(0);
            Ok(())
        }),
        Action::Controller(max_len) => out.tlv8(what, OUTPUT, |out| {
            out.u32(PortNo::CONTROLLER.0);
            out.u16(*max_len);
            Ok(())
        }),
        Action::Group(id) => out.tlv8(what, GROUP, |out| {
            out.u32(*id);
            Ok(())
        }),
        Action::SetQueue(queue) => out.tlv8(what, SET_QUEUE, |out| {
            out.u32(*queue);
            Ok(())
        }),
        Action::PushVlan(eth_type) => out.tlv8(what, PUSH_VLAN, |out| {
            out.u16(*eth_type);
            Ok(())
        }),
        Action::PopVlan => out.tlv8(what, POP_VLAN, |_| Ok(())),
        Action::DecTtl => out.tlv8(what, DEC_NW_TTL, |_| Ok(())),
        Action::SetField(field, value) => out.tlv8(what, SET_FIELD, |out| {
            oxm::write_value(out, *field, *value);
            Ok(())
        }),
        Action::Meter(_)
        | Action::ClearActions
        | Action::WriteActions(_)
        | Action::WriteMetadata(..)
        | Action::GotoTable(_) => Err(Error::Encode { what, reason: "an instruction stands among actions" }),
        _ => out.tlv8(what, EXPERIMENTER, |out| nicira::write_body(out, action)),
    }
}

/// Reads actions until the end of the input.
pub(super) fn read_actions(mut input: Reader<'_>, depth: u8) -> Result<Vec<Action>, Error> {
    let mut actions = vec![];
    while !input.is_empty() {
        let (kind, body) = input.tlv("action")?;
        // Everything else that follows relies on this alignment.
        if body.len() % 8 != 4 {
            return input.error("length is not a multiple of eight");
        }
        actions.push(read_action(kind, body, depth)?);
    }
    Ok(actions)
}

fn read_action(kind: u16, mut body: Reader<'_>, depth: u8) -> Result<Action, Error> {
    Ok(match kind {
        OUTPUT => match (PortNo(body.u32()?), body.u16()?) {
            (PortNo::CONTROLLER, max_len) => Action::Controller(max_len),
            (port, _) => Action::Output(port),
        },
        GROUP => Action::Group(body.u32()?),
        SET_QUEUE => Action::SetQueue(body.u32()?),
        PUSH_VLAN => Action::PushVlan(body.u16()?),
        POP_VLAN => Action::PopVlan,
        DEC_NW_TTL => Action::DecTtl,
        SET_FIELD => {
            let (field, value) = oxm::read_value(&mut body)?;
            if value.mask() != u128::MAX {
                return body.error("set_field with a mask");
            }
            Action::SetField(field, value.value() & field.full_mask())
        }
        EXPERIMENTER => nicira::read_body(body, depth)?,
        other => return body.unknown(other),
    })
}

/// Instructions of a flow; the ordinary actions become one `apply_actions`, and no instruction at all means drop.
pub(super) fn write_instructions(out: &mut Writer, actions: &[Action]) -> Result<(), Error> {
    // Ordered here too, for a flow may have been made without the builder.
    let mut ordered: Vec<&Action> = actions.iter().collect();
    ordered.sort_by_key(|action| action.instruction_order());
    let first = Action::PopVlan.instruction_order();
    let is_plain = |action: &&Action| action.instruction_order() == first;
    let plain: Vec<Action> = ordered.iter().copied().filter(is_plain).cloned().collect();
    let before = ordered.iter().copied().filter(|action| action.instruction_order() < first);
    let after = ordered.iter().copied().filter(|action| action.instruction_order() > first);
    before.into_iter().try_for_each(|action| write_instruction(out, action))?;
    if !plain.is_empty() {
        write_action_list(out, APPLY_ACTIONS, &plain)?;
    }
    after.into_iter().try_for_each(|action| write_instruction(out, action))
}

fn write_action_list(out: &mut Writer, kind: u16, actions: &[Action]) -> Result<(), Error> {
    out.tlv8("instruction", kind, |out| {
        out.zeros(4);
        write_actions(out, actions)
    })
}

fn write_instruction(out: &mut Writer, instruction: &Action) -> Result<(), Error> {
    let what = "instruction";
    match instruction {
        Action::Meter(id) => out.tlv8(what, METER, |out| {
            out.u32(*id);
            Ok(())
        }),
        Action::ClearActions => out.tlv8(what, CLEAR_ACTIONS, |_| Ok(())),
        Action::WriteActions(actions) => write_action_list(out, WRITE_ACTIONS, actions),
        Action::WriteMetadata(value, mask) => out.tlv8(what, WRITE_METADATA, |out| {
            out.zeros(4);
            out.u64(*value & *mask);
            out.u64(*mask);
            Ok(())
        }),
        Action::GotoTable(table) => out.tlv8(what, GOTO_TABLE, |out| {
            out.u8(*table);
            Ok(())
        }),
        _ => Err(Error::Encode { what, reason: "an action stands among instructions" }),
    }
}

/// Reads instructions until the end of the input, into the order of [`crate::Flow::actions`].
pub(super) fn read_instructions(mut input: Reader<'_>) -> Result<Vec<Action>, Error> {
    let mut actions = vec![];
    while !input.is_empty() {
        let (kind, mut body) = input.tlv("instruction")?;
        match kind {
            GOTO_TABLE => actions.push(Action::GotoTable(body.u8()?)),
            WRITE_METADATA => {
                body.skip(4)?;
                let (value, mask) = (body.u64()?, body.u64()?);
                actions.push(Action::WriteMetadata(value & mask, mask));
            }
            WRITE_ACTIONS | APPLY_ACTIONS => {
                body.skip(4)?;
                let list = read_actions(body, 0)?;
                if kind == APPLY_ACTIONS {
                    actions.extend(list);
                } else {
                    actions.push(Action::WriteActions(list));
                }
            }
            CLEAR_ACTIONS => actions.push(Action::ClearActions),
            METER => actions.push(Action::Meter(body.u32()?)),
            other => return body.unknown(other),
        }
    }
    actions.sort_by_key(Action::instruction_order);
    Ok(actions)
}

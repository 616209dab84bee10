//! What fuzzing and property tests hold of octets and text from outside.

use crate::{
    Flow,
    wire::{Body, Framer, Message},
};

/// Takes any octets for a stream of messages and for a flow in text: nothing may panic, and what was understood must
/// survive being sent or printed and understood again.
#[doc(hidden)]
pub fn fuzz_decode(data: &[u8]) {
    let mut framer = Framer::default();
    framer.push(data);
    while let Ok(Some(frame)) = framer.next_frame() {
        if let Ok(message) = frame.decode() {
            again(&message);
        }
    }
    if let Some(flow) = std::str::from_utf8(data).ok().and_then(|text| text.parse::<Flow>().ok()) {
        assert_eq!(flow.to_string().parse(), Ok(flow));
    }
}

fn again(message: &Message) {
    if let Body::FlowStatsReply(reply) = &message.body
        && !reply.unreadable.is_empty()
    {
        return;
    }
    // Some of what can be received cannot be sent in the same form (a VLAN priority under half a mask).
    if let Ok(octets) = message.encode() {
        assert_eq!(Message::decode(&octets).as_ref(), Ok(message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{generate, wire::FlowMod};
    use proptest::prelude::*;

    /// Octets of a real reply with a few of them changed: deeper than random octets ever get.
    fn damaged() -> impl Strategy<Value = Vec<u8>> {
        let whole = include_str!("../tests/vectors/flow-mods.txt").lines().map(|line| {
            let hex = line.split(' ').next().unwrap_or_default();
            (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect::<Vec<u8>>()
        });
        let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
        (proptest::sample::select(whole.collect::<Vec<_>>()), changes).prop_map(|(mut octets, changes)| {
            for (at, octet) in changes {
                let at = at.index(octets.len());
                // The version and the length of the message stay, else nothing behind them is looked at.
                if !(0..4).contains(&at) {
                    octets[at] = octet;
                }
            }
            octets
        })
    }

    proptest! {
        #[test]
        fn a_flow_survives_text_and_wire(flow in generate::flow()) {
            prop_assert_eq!(flow.to_string().parse(), Ok(flow.clone()));
            let message = Message::new(7, FlowMod::add(flow));
            prop_assert_eq!(Message::decode(&message.encode().unwrap()), Ok(message));
        }

        #[test]
        fn any_octets_do_no_harm(data: Vec<u8>) {
            fuzz_decode(&data);
        }

        #[test]
        fn damaged_messages_do_no_harm(data in damaged()) {
            fuzz_decode(&data);
        }

        #[test]
        fn any_text_does_no_harm(text in "(table=[0-9]{1,3},)?[a-z_,=0-9/:.\\[\\]\"é-]{0,40}(actions=[a-z_(),=0-9/:.>\\[\\]é-]{0,40})?") {
            fuzz_decode(text.as_bytes());
        }
    }
}

//! What the connection tracker says of a packet: as it is told, or by remembering connections as the real one does.

use crate::Packet;
use openflow::{Field, Masked, Nat, NatSide, eth_type, ip_proto};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

const NEW: u128 = 0x01;
const EST: u128 = 0x02;
const RPL: u128 = 0x08;
const INV: u128 = 0x10;
const TRK: u128 = 0x20;

/// What a look into the connection tracker gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracked {
    /// Bits of `ct_state`.
    pub state: u128,
    /// `ct_mark`; none: what the packet bears already.
    pub mark: Option<u32>,
}

/// A connection tracker.
pub trait Connections {
    /// `ct(table=...)`: the state of the packet's connection.
    fn look(&mut self, zone: u16, packet: &Packet) -> Tracked;

    /// `ct(commit)`: remember the packet's connection, and its mark if one is set.
    fn commit(&mut self, zone: u16, packet: &Packet, mark: Option<Masked>);

    /// `ct(nat)`: gives a packet that was looked at the addresses that its connection has on the other side; with `commit`, as
    /// `nat` wants them of a new one. Whether that was understood.
    fn translate(&mut self, zone: u16, packet: &mut Packet, nat: &Nat, commit: bool) -> bool;
}

/// The states of the coming looks, in order, as `ofproto/trace --ct-next` takes them; afterwards every connection is new.
#[derive(Debug, Clone, Default)]
pub struct Given(VecDeque<u128>);

impl Given {
    /// Looks see these states in order.
    pub fn states(states: impl IntoIterator<Item = openflow::CtState>) -> Self {
        Self(states.into_iter().map(|state| Masked::from(state).value()).collect())
    }
}

impl Connections for Given {
    fn look(&mut self, _zone: u16, _packet: &Packet) -> Tracked {
        Tracked { state: self.0.pop_front().unwrap_or(TRK | NEW), mark: None }
    }

    fn commit(&mut self, _zone: u16, _packet: &Packet, _mark: Option<Masked>) {}

    /// As `ofproto/trace` simulates it: what is wanted is done, whatever the state.
    fn translate(&mut self, _zone: u16, packet: &mut Packet, nat: &Nat, _commit: bool) -> bool {
        nat.side.is_none() || wanted_target(nat).map(|target| packet.set(Field::Ipv4Dst, target)).is_some()
    }
}

/// The IPv4 address that a translation of destinations leads to; none: it is of another kind.
fn wanted_target(nat: &Nat) -> Option<u128> {
    match (nat.side, nat.addresses, nat.ports) {
        (Some(NatSide::Destination), Some((IpAddr::V4(first), IpAddr::V4(last))), None) if first == last => {
            Some(u32::from(first).into())
        }
        _ => None,
    }
}

/// Zone, protocol, and both ends: address and port.
type Key = (u16, u128, (u128, u128), (u128, u128));

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Entry {
    answered: bool,
    mark: u32,
}

/// A connection tracker of its own: what was committed is known; a connection is established once it was answered.
/// ICMP errors are about connections that their payload names, which a [`Packet`] lacks: they are invalid here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tracker {
    entries: BTreeMap<Key, Entry>,
    /// Of connections whose destination is translated: as the other side sees them, and as they began.
    translated: BTreeMap<Key, Key>,
}

impl Tracker {
    /// Forgets a packet's connection, whichever direction it has.
    pub fn forget(&mut self, zone: u16, packet: &Packet) {
        if let Some(key) = key(zone, packet) {
            self.entries.remove(&key);
            self.entries.remove(&reverse(key));
        }
    }

    /// The mark of a packet's connection, whichever direction it has.
    pub fn mark(&self, zone: u16, packet: &Packet) -> Option<u32> {
        let key = key(zone, packet)?;
        self.entries.get(&key).or_else(|| self.entries.get(&reverse(key))).map(|entry| entry.mark)
    }

    /// The connection of a packet, in its direction; of an answer to a translated one, as if it had not been.
    fn known(&self, zone: u16, packet: &Packet) -> Option<Key> {
        let key = key(zone, packet)?;
        Some(self.translated.get(&reverse(key)).map_or(key, |began| reverse(*began)))
    }

    /// How many connections are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn key(zone: u16, packet: &Packet) -> Option<Key> {
    let (source, target) = match packet.get(Field::EthType) as u16 {
        eth_type::IPV4 => (Field::Ipv4Src, Field::Ipv4Dst),
        eth_type::IPV6 => (Field::Ipv6Src, Field::Ipv6Dst),
        _ => return None,
    };
    let protocol = packet.get(Field::IpProto);
    let of = |field: Option<Field>| field.map_or(0, |field| packet.get(field));
    // Requests and answers of ICMP bear different types: what one side sends is what the other may answer with.
    let (from, to) = match protocol as u8 {
        ip_proto::ICMP => asked(packet.get(Field::Icmpv4Type), &[(8, 0), (13, 14), (15, 16), (17, 18)])?,
        ip_proto::ICMPV6 => asked(packet.get(Field::Icmpv6Type), &[(128, 129)])?,
        protocol => (of(Field::transport_src(protocol)), of(Field::transport_dst(protocol))),
    };
    Some((zone, protocol, (packet.get(source), from), (packet.get(target), to)))
}

fn is_icmp_answer(packet: &Packet) -> bool {
    match packet.get(Field::IpProto) as u8 {
        ip_proto::ICMP => matches!(packet.get(Field::Icmpv4Type), 0 | 14 | 16 | 18),
        ip_proto::ICMPV6 => packet.get(Field::Icmpv6Type) == 129,
        _ => false,
    }
}

/// Type of a message and of its counterpart.
fn asked(kind: u128, pairs: &[(u128, u128)]) -> Option<(u128, u128)> {
    pairs.iter().find_map(|(request, answer)| match kind {
        kind if kind == *request => Some((*request, *answer)),
        kind if kind == *answer => Some((*answer, *request)),
        _ => None,
    })
}

fn reverse((zone, protocol, from, to): Key) -> Key {
    (zone, protocol, to, from)
}

impl Connections for Tracker {
    fn look(&mut self, zone: u16, packet: &Packet) -> Tracked {
        let Some(key) = self.known(zone, packet) else { return Tracked { state: TRK | INV, mark: Some(0) } };
        if let Some(entry) = self.entries.get(&key) {
            let state = if entry.answered { EST } else { NEW };
            return Tracked { state: TRK | state, mark: Some(entry.mark) };
        }
        match self.entries.get_mut(&reverse(key)) {
            Some(entry) => {
                entry.answered = true;
                Tracked { state: TRK | EST | RPL, mark: Some(entry.mark) }
            }
            // An answer to nothing is no connection.
            None if is_icmp_answer(packet) => Tracked { state: TRK | INV, mark: Some(0) },
            None => Tracked { state: TRK | NEW, mark: Some(0) },
        }
    }

    fn commit(&mut self, zone: u16, packet: &Packet, mark: Option<Masked>) {
        let Some(key) = self.known(zone, packet) else { return };
        let key = if self.entries.contains_key(&reverse(key)) { reverse(key) } else { key };
        let entry = self.entries.entry(key).or_default();
        if let Some(mark) = mark {
            entry.mark = (u128::from(entry.mark) & !mark.mask() | mark.value()) as u32;
        }
    }

    fn translate(&mut self, zone: u16, packet: &mut Packet, nat: &Nat, commit: bool) -> bool {
        let Some(key) = key(zone, packet) else { return true };
        if let Some(began) = self.translated.get(&reverse(key)) {
            packet.set(Field::Ipv4Src, began.3.0);
            return true;
        }
        if let Some((there, _)) = self.translated.iter().find(|(_, began)| **began == key) {
            packet.set(Field::Ipv4Dst, there.3.0);
            return true;
        }
        if !commit || nat.side.is_none() {
            return nat.side.is_none();
        }
        let Some(target) = wanted_target(nat) else { return false };
        self.translated.insert((key.0, key.1, key.2, (target, key.3.1)), key);
        packet.set(Field::Ipv4Dst, target);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_new_until_it_is_answered() {
        let mut tracker = Tracker::default();
        let there = Packet::parse("tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,tcp_src=5,tcp_dst=22").unwrap();
        let back = Packet::parse("tcp,nw_src=10.0.0.2,nw_dst=10.0.0.1,tcp_src=22,tcp_dst=5").unwrap();
        let state = |tracker: &mut Tracker, packet| tracker.look(1, packet).state & !TRK;
        assert_eq!(state(&mut tracker, &there), NEW);
        assert_eq!(state(&mut tracker, &back), NEW);
        tracker.commit(1, &there, None);
        assert_eq!(state(&mut tracker, &there), NEW);
        assert_eq!(tracker.clone().look(2, &back).state & !TRK, NEW, "another zone");
        assert_eq!(state(&mut tracker, &back), EST | RPL);
        assert_eq!(state(&mut tracker, &there), EST);
        tracker.commit(1, &back, Some(Masked::exact(1)));
        assert_eq!((tracker.look(1, &there).mark, tracker.len()), (Some(1), 1));
        tracker.forget(1, &back);
        assert!(tracker.is_empty());
    }
}

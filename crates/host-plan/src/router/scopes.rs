//! Address scopes: between two of them nothing is routed but by translation.
//!
//! ```text
//! prerouting (filter, -155)   mark := iifname map @device_scopes           upper half: the scope that a packet is from
//! forward (filter, 0)         answers, and what came in by a floating IP: pass
//!                             from an address with a floating IP: pass                     (to the outside)
//!                             out by a device whose scope is another one: drop
//! source_nat (nat)            out by the gateway, from its own scope: no translation       (IPv4)
//! ```
//! In: the scopes of the subnets that the router's ports stand on. Out: those chains, in the table of each family. All
//! that is in no scope is in one together, 0x400 as in Neutron; other numbers follow from the scopes' ids. The filter is
//! only there while a router has more than one; the gateway is not filtered where its source translation makes everything
//! the outside's own (IPv4 with `enable_snat`).

use crate::ids;
use host_view::{HostView, Router};
use net_types::{AddressScopeId, PortId};
use nft_rules::{Chain, DataType, Field, Hook, Kind, Map, Rule, Set, Statement, Table, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Bits of the packet mark that say which scope a packet is from (Neutron's `ADDRESS_SCOPE_MARK_MASK`).
const MASK: u32 = 0xffff_0000;
/// The scope of all that is in none (Neutron's `ADDRESS_SCOPE_MARK_ID_MIN`).
const NO_SCOPE: u32 = 0x400;
/// Numbers of scopes are not much beyond the first one's.
const SPREAD: u32 = 0x3fff;

const DEVICE_SCOPES: &str = "device_scopes";
const WITH_FLOATING_IP: &str = "with_floating_ip";

/// The scopes of a router's devices in one family, as marks.
#[derive(Debug, Clone, Default)]
pub(super) struct Scopes {
    devices: BTreeMap<String, u32>,
    /// Those that lead outside, and whether their scope has a name.
    gateways: BTreeMap<String, bool>,
}

impl Scopes {
    /// Of the devices that have an address of the family.
    pub(super) fn of(view: &HostView, router: &Router, devices: &BTreeMap<String, PortId>, is_v4: bool) -> Self {
        let subnets = |port: &PortId| {
            let fixed = view.ports.get(port).into_iter().flat_map(|port| &port.fixed_ips);
            fixed.filter_map(|fixed| view.subnets.get(&fixed.subnet)).collect::<Vec<_>>()
        };
        // Numbers are given over both families, so that they are the same in both tables.
        let all = devices.values().flat_map(subnets).map(|subnet| subnet.address_scope);
        let numbers = numbers(all);
        let mut scopes = Self::default();
        for (device, port) in devices {
            let of_family = subnets(port).into_iter().find(|subnet| subnet.cidr.addr().is_ipv4() == is_v4);
            let Some(scope) = of_family.map(|subnet| subnet.address_scope) else { continue };
            let mark = numbers.get(&scope).copied().unwrap_or(NO_SCOPE) << 16;
            if router.gateways().any(|gateway| gateway.port == *port) {
                scopes.gateways.insert(device.clone(), scope.is_some());
            }
            scopes.devices.insert(device.clone(), mark);
        }
        scopes
    }

    /// Marks what comes in, and drops what leaves its scope, but for the gateways that translate whatever leaves by them.
    pub(super) fn add(
        &self,
        table: &mut Table,
        translating: &BTreeSet<&str>,
        with_floating_ip: impl Iterator<Item = IpAddr>,
    ) {
        if self.devices.is_empty() {
            return;
        }
        let elements = self.devices.iter().map(|(device, mark)| (device.as_str().into(), (*mark).into())).collect();
        let by_device = Statement::SetMarkByMap { key: Field::IifName.into(), map: DEVICE_SCOPES.into() };
        table
            .map(DEVICE_SCOPES, Map { elements, ..Map::new(DataType::Ifname, DataType::Mark) })
            .chain("scope", Chain::base(Kind::Filter, Hook::Prerouting, -155).rule(Rule::new().then(by_device)));
        if self.devices.values().collect::<BTreeSet<_>>().len() < 2 {
            return;
        }
        let mut filter = Chain::base(Kind::Filter, Hook::Forward, 0)
            .rule(Rule::new().is(Field::CtDirection, "reply").then(Statement::Return))
            .rule(Rule::new().has(Field::CtStatus, "dnat").then(Statement::Return));
        let translates = |device: &String| translating.contains(device.as_str());
        let with_floating_ip: BTreeSet<Value> = with_floating_ip.map(Value::from).collect();
        if !with_floating_ip.is_empty() {
            for gateway in self.gateways.keys().filter(|gateway| !translates(gateway)) {
                let from = Rule::new().is(Field::OifName, gateway.as_str());
                let from = from.is(Field::IpSaddr, Value::Set(WITH_FLOATING_IP.into()));
                filter = filter.rule(from.then(Statement::Return));
                let elements = with_floating_ip.clone();
                table.set(WITH_FLOATING_IP, Set { of: DataType::Ipv4Addr.into(), interval: false, elements });
            }
        }
        for (device, mark) in self.devices.iter().filter(|(device, _)| !translates(device)) {
            let leaves = Rule::new().is(Field::OifName, device.as_str()).masked_is_not(Field::MetaMark, MASK, *mark);
            filter = filter.rule(leaves.then(Statement::Drop));
        }
        table.chain("scope_filter", filter);
    }

    /// What leaves by a gateway in that gateway's own scope needs no translation: the outside knows the way back.
    pub(super) fn untranslated(&self) -> impl Iterator<Item = Rule> {
        let scoped = self.gateways.iter().filter(|(_, is_scoped)| **is_scoped);
        scoped.filter_map(|(gateway, _)| {
            let mark = self.devices.get(gateway)?;
            let own = Rule::new().is(Field::OifName, gateway.as_str()).masked_is(Field::MetaMark, MASK, *mark);
            Some(own.then(Statement::Return))
        })
    }
}

/// A number for each scope: the same ones whatever other scopes there are, as far as they do not collide.
fn numbers(scopes: impl Iterator<Item = Option<AddressScopeId>>) -> BTreeMap<Option<AddressScopeId>, u32> {
    let wish = |scope: Option<AddressScopeId>| match scope {
        // Sorts before all others, so that nobody has its number.
        None => NO_SCOPE,
        Some(id) => NO_SCOPE + 1 + ids::hash(id.0.as_bytes()) % SPREAD,
    };
    ids::assign(scopes.chain([None]).map(|scope| (scope, wish(scope))))
}

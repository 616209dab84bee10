//! Several gateways: a connection keeps to the one that it began by, whichever the default route is.
//!
//! ```text
//! prerouting (filter, -140)    in by qg-, new:                 connection mark := the gateway's
//!                              not in by qg-, connection has the mark of a gateway: packet mark := it
//!                              new, from an address that has a floating IP on a gateway: packet mark := that gateway's
//! output (route, -140)         connection has the mark of a gateway: packet mark := it     (what the router itself answers)
//! postrouting (filter, 90)     out by qg-, new:                connection mark := the gateway's
//!
//! ip rule  100: lookup main suppress_prefixlength 0       whatever leads anywhere but by default
//!          101: fwmark MARK/0xff00 lookup MARK            the gateway's own default route
//!        32766: lookup main                               new connections of everybody else: the default routes
//! ```
//! So an answer leaves by where the question came from, with the address that it was asked under, and an instance with a floating
//! IP speaks out by the network that the floating IP is of. With one gateway there is nothing to choose, and none of this.
//!
//! A gateway's mark is in bits 8 to 15 of the packet's and of the connection's, and follows from its port's id, so that others may
//! come and go. In: the gateways with their floating IPs, in tables `ip` and `ip6`. Out: those chains, and [`Route`]s with marks.

use super::Way;
use super::nat::MARK_MASK;
use crate::host_plan::Route;
use crate::ids;
use crate::namespaces::{default_routes, subnets_of};
use host_view::HostView;
use net_types::PortId;
use nft_rules::{Chain, DataType, Family, Field, Hook, Kind, Rule, Set, Statement, Table, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Marks are at first not beyond this one, so that those that collide have room.
const SPREAD: u32 = 0xc0;

/// The mark of each gateway, if there are several.
fn marks(ways: &[Way<'_>]) -> BTreeMap<PortId, u32> {
    let several = ways.iter().filter(|_| ways.len() > 1);
    let numbers = ids::assign(several.map(|way| (way.id, 1 + ids::hash(way.id.0.as_bytes()) % SPREAD)));
    numbers
        .into_iter()
        .map(|(id, number)| (id, (number << 8) & Route::MARK_MASK))
        .filter(|(_, mark)| *mark != 0)
        .collect()
}

/// The default routes of each gateway for what has its mark.
pub(super) fn routes(view: &HostView, ways: &[Way<'_>]) -> BTreeSet<Route> {
    let marks = marks(ways);
    let marked = ways.iter().filter_map(|way| Some((way, *marks.get(&way.id)?)));
    let own = marked.flat_map(|(way, mark)| {
        let routes = default_routes(subnets_of(view, way.port), &way.device);
        routes.into_iter().map(move |route| Route { mark: Some(mark), ..route })
    });
    own.filter(|route| route.destination.prefix_len() == 0).collect()
}

/// Adds the chains to the table of a family, for the gateways that have a default route in it.
pub(super) fn add(table: &mut Table, view: &HostView, ways: &[Way<'_>]) {
    let is_v4 = table.family == Family::Ip;
    let marks = marks(ways);
    let has_default = |way: &&Way<'_>| {
        default_routes(subnets_of(view, way.port), &way.device)
            .iter()
            .any(|route| route.destination.prefix_len() == 0 && route.destination.addr().is_ipv4() == is_v4)
    };
    let known: Vec<(&Way<'_>, u32)> =
        ways.iter().filter(has_default).filter_map(|way| Some((way, *marks.get(&way.id)?))).collect();
    if known.is_empty() {
        return;
    }
    let mask = Route::MARK_MASK;
    let mut arriving = Chain::base(Kind::Filter, Hook::Prerouting, -140);
    let mut answering = Chain::base(Kind::Route, Hook::Output, -140);
    let mut leaving = Chain::base(Kind::Filter, Hook::Postrouting, 90);
    let remember = |value: u32| Statement::SetCtMark { value, mask };
    let choose = |value: u32| Statement::SetMark { value, mask };
    // What has a mark already comes from outside, or goes to the metadata proxy.
    let unmarked = || Rule::new().masked_is(Field::MetaMark, MARK_MASK, 0);
    for (way, mark) in &known {
        let (device, mark) = (way.device.as_str(), *mark);
        arriving =
            arriving.rule(Rule::new().is(Field::IifName, device).has(Field::CtState, "new").then(remember(mark)));
        leaving = leaving.rule(Rule::new().is(Field::OifName, device).has(Field::CtState, "new").then(remember(mark)));
        answering = answering.rule(Rule::new().masked_is(Field::CtMark, mask, mark).then(choose(mark)));
    }
    for (way, mark) in &known {
        arriving = arriving.rule(unmarked().masked_is(Field::CtMark, mask, *mark).then(choose(*mark)));
        let floating: BTreeSet<Value> =
            way.floating.iter().filter(|address| address.is_ipv4() == is_v4).map(|address| (*address).into()).collect();
        if !floating.is_empty() {
            let name = format!("floating_by_{:x}", mark >> 8);
            table.set(&name, Set { of: DataType::Ipv4Addr.into(), interval: false, elements: floating });
            let from = unmarked().has(Field::CtState, "new").is(Field::IpSaddr, Value::Set(name));
            arriving = arriving.rule(from.then(choose(*mark)));
        }
    }
    table.chain("way_in", arriving).chain("way_back", answering).chain("way_out", leaving);
}

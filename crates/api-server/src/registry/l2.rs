//! Networks, subnets, ports, how many addresses are used, and who may use what is not theirs.

use super::{Rules, done, typed};
use api_schema::resources;
use network_store::{ip_availability, network, port, rbac, subnet};

pub(super) static RULES: &[Rules] = &[
    Rules {
        create: Some(|work, values| Ok(network::create(work, typed("network", values)?)?.0)),
        update: Some(|work, id, values| done(network::update(work, id.into(), typed("network", values)?))),
        delete: Some(|work, id| done(network::delete(work, id.into()))),
        ..Rules::of(&resources::NETWORK)
    },
    Rules {
        create: Some(|work, values| Ok(subnet::create(work, typed("subnet", values)?)?.0)),
        update: Some(|work, id, values| done(subnet::update(work, id.into(), typed("subnet", values)?))),
        delete: Some(|work, id| done(subnet::delete(work, id.into()))),
        ..Rules::of(&resources::SUBNET)
    },
    Rules {
        create: Some(|work, values| Ok(port::create(work, typed("port", values)?)?.0)),
        update: Some(|work, id, values| done(port::update(work, id.into(), typed("port", values)?))),
        delete: Some(|work, id| done(port::delete(work, id.into()))),
        ..Rules::of(&resources::PORT)
    },
    Rules {
        computed: Some(|snapshot, networks, query| {
            // What is no number is no version of any subnet.
            let versions: Vec<i64> = query.all("ip_version").map(|version| version.parse().unwrap_or(-1)).collect();
            ip_availability::members(snapshot, networks, &versions)
        }),
        ..Rules::of(&resources::NETWORK_IP_AVAILABILITY)
    },
    Rules {
        create: Some(|work, values| Ok(rbac::create(work, &typed("rbac_policy", values)?)?)),
        update: Some(|work, id, values| done(rbac::update(work, id, &typed("rbac_policy", values)?))),
        delete: Some(|work, id| done(rbac::delete(work, id))),
        ..Rules::of(&resources::RBAC_POLICY)
    },
];

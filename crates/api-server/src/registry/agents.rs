//! Agents, availability zones, and which agent serves what.

use super::{Relation, Rules, done, typed};
use api_schema::resources;
use network_store::agent;

pub(super) static RULES: &[Rules] = &[
    Rules {
        update: Some(|work, id, values| done(agent::update(work, id, typed("agent", values)?))),
        delete: Some(|work, id| done(agent::delete(work, id))),
        ..Rules::of(&resources::AGENT)
    },
    Rules::of(&resources::AVAILABILITY_ZONE),
];

pub(super) static RELATIONS: &[Relation] = &[
    Relation {
        of: &resources::NETWORK,
        name: "dhcp-agents",
        resource: &resources::AGENT,
        condition: "agents.id IN (SELECT agent_id FROM dhcp_agent_networks WHERE network_id = :id)",
        policy: "get_dhcp-agents",
        add: None,
        remove: None,
    },
    Relation {
        of: &resources::AGENT,
        name: "dhcp-networks",
        resource: &resources::NETWORK,
        condition: "networks.id IN (SELECT network_id FROM dhcp_agent_networks WHERE agent_id = :id)",
        policy: "get_dhcp-networks",
        add: None,
        remove: None,
    },
    Relation {
        of: &resources::ROUTER,
        name: "l3-agents",
        resource: &resources::AGENT,
        condition: "agents.id IN (SELECT agent_id FROM l3_agent_routers WHERE router_id = :id)",
        policy: "get_l3-agents",
        add: None,
        remove: None,
    },
    Relation {
        of: &resources::AGENT,
        name: "l3-routers",
        resource: &resources::ROUTER,
        condition: "routers.id IN (SELECT router_id FROM l3_agent_routers WHERE agent_id = :id)",
        policy: "get_l3-routers",
        add: None,
        remove: None,
    },
];

//! Agents, availability zones, and which agent serves what.

use super::{Relation, RelationChange, Rules, done, typed};
use crate::error::ApiError;
use api_schema::{Stored, resources};
use network_store::{agent, dhcp_agent, l3_agent};
use serde_json::Value;
use uuid::Uuid;

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
        condition: "agents.id IN (SELECT agent_id FROM dhcp_agent_networks WHERE network_id = :related_to)",
        also: &[],
        policy: "get_dhcp-agents",
        add: None,
        remove: None,
    },
    Relation {
        of: &resources::AGENT,
        name: "dhcp-networks",
        resource: &resources::NETWORK,
        condition: "networks.id IN (SELECT network_id FROM dhcp_agent_networks WHERE agent_id = :related_to)",
        also: &[],
        policy: "get_dhcp-networks",
        add: Some(RelationChange {
            policy: "create_dhcp-network",
            answered: true,
            run: |work, agent, body| {
                done(dhcp_agent::add_network(work, agent, id_of("network_id", body.get("network_id"))?.into()))
            },
        }),
        remove: Some(RelationChange {
            policy: "delete_dhcp-network",
            answered: false,
            run: |work, agent, id| {
                done(dhcp_agent::remove_network(work, agent, id_of("network_id", Some(&id))?.into()))
            },
        }),
    },
    Relation {
        of: &resources::ROUTER,
        name: "l3-agents",
        resource: &resources::AGENT,
        condition: "agents.id IN (SELECT agent_id FROM l3_agent_routers WHERE router_id = :related_to)",
        also: &[("ha_state", Stored::Text(HA_STATE))],
        policy: "get_l3-agents",
        add: None,
        remove: None,
    },
    Relation {
        of: &resources::AGENT,
        name: "l3-routers",
        resource: &resources::ROUTER,
        condition: "routers.id IN (SELECT router_id FROM l3_agent_routers WHERE agent_id = :related_to)",
        also: &[],
        policy: "get_l3-routers",
        add: Some(RelationChange {
            policy: "create_l3-router",
            answered: true,
            run: |work, agent, body| {
                done(l3_agent::add_router(work, agent, id_of("router_id", body.get("router_id"))?.into()))
            },
        }),
        remove: Some(RelationChange {
            policy: "delete_l3-router",
            answered: false,
            run: |work, agent, id| done(l3_agent::remove_router(work, agent, id_of("router_id", Some(&id))?.into())),
        }),
    },
];

/// Whether an agent is the active one of a highly available router; null of routers that have only one.
const HA_STATE: &str =
    "(SELECT ha_state FROM l3_agent_routers WHERE router_id = :related_to AND l3_agent_routers.agent_id = agents.id)";

/// The id that a body or path gives; what is none is found nowhere, as Neutron would look for it.
fn id_of(name: &'static str, given: Option<&Value>) -> Result<Uuid, ApiError> {
    let given = given.ok_or_else(|| ApiError::bad(format!("Unable to find '{name}' in request body")))?;
    let id = given.as_str().and_then(|text| Uuid::parse_str(text).ok());
    id.ok_or_else(|| {
        let id = api_schema::python_display(given);
        ApiError::not_found(if name == "router_id" { &resources::ROUTER } else { &resources::NETWORK }, &id)
    })
}

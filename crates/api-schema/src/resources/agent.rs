//! Agents: the processes on the hosts. They register themselves over the host feed; the API shows and switches them.

use super::standard;
use crate::{Attribute, Kind, Methods, NotFound, Resource, Stored};

/// See the module.
pub static AGENT: Resource = Resource {
    name: "agent",
    collection: "agents",
    not_found: NotFound::new("AgentNotFound", "Agent "),
    alias: Some("agent"),
    table: "agents",
    from: "agents",
    parents: &[],
    methods: Methods { create: false, update: true, delete: true },
    actions: &[],
    quota: false,
    attributes: &[
        standard::id("agents.id"),
        Attribute::new("agent_type", Kind::Text(255), Stored::Text("agents.agent_type")).sort().any_case(),
        Attribute::new("binary", Kind::Text(255), Stored::Text("agents.\"binary\"")).sort(),
        Attribute::new("topic", Kind::Text(255), Stored::Text("agents.topic")).sort(),
        Attribute::new("host", Kind::Text(255), Stored::Text("agents.host")).sort(),
        Attribute::new("admin_state_up", Kind::Boolean, Stored::Boolean("agents.admin_state_up")).put().sort(),
        Attribute::new("created_at", Kind::Text(32), Stored::AgentTime("agents.created_at")).sort(),
        Attribute::new("started_at", Kind::Text(32), Stored::AgentTime("agents.started_at")).sort(),
        Attribute::new("heartbeat_timestamp", Kind::Text(32), Stored::AgentTime("agents.heartbeat_timestamp")).sort(),
        // :alive_since is bound by the engine: the instant before which a heartbeat is too old (agent_down_time).
        Attribute::new(
            "alive",
            Kind::Boolean,
            Stored::Boolean("CASE WHEN agents.heartbeat_timestamp >= :alive_since THEN 1 ELSE 0 END"),
        )
        .sort(),
        Attribute::new("configurations", Kind::Object, Stored::Json("agents.configurations")),
        Attribute::new("resources_synced", Kind::Boolean, Stored::Boolean("agents.resources_synced"))
            .from_extension("agent-resources-synced"),
        Attribute::new("description", Kind::Text(255), Stored::Text("agents.description")).nullable().put().sort(),
        Attribute::new("availability_zone", Kind::Text(255), Stored::Text("agents.availability_zone"))
            .filter()
            .from_extension("availability_zone"),
    ],
    ..Resource::BASE
};

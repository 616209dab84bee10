//! Availability zones: what the agents say of themselves, gathered.

use crate::{Attribute, Kind, Methods, NotFound, Resource, Stored};

/// A zone is available for a kind of resource when an agent that hosts such resources is switched on in it.
const FROM: &str =
    "(SELECT agents.availability_zone || '/' || agents.agent_type AS id, agents.availability_zone AS name,
    CASE agents.agent_type WHEN 'DHCP agent' THEN 'network' ELSE 'router' END AS resource,
    CASE max(agents.admin_state_up) WHEN 1 THEN 'available' ELSE 'unavailable' END AS state
    FROM agents WHERE agents.availability_zone IS NOT NULL AND agents.agent_type IN ('DHCP agent', 'L3 agent')
    GROUP BY agents.availability_zone, agents.agent_type) AS availability_zones";

/// See the module.
pub static AVAILABILITY_ZONE: Resource = Resource {
    name: "availability_zone",
    collection: "availability_zones",
    segment: "availability_zones",
    not_found: NotFound::new("AvailabilityZoneNotFound", "AvailabilityZone "),
    alias: Some("availability_zone"),
    table: "availability_zones",
    from: FROM,
    parents: &[],
    methods: Methods::READ,
    actions: &[],
    quota: false,
    attributes: &[
        Attribute::new("name", Kind::Text(255), Stored::Text("availability_zones.name")).filter(),
        Attribute::new("resource", Kind::Text(255), Stored::Text("availability_zones.resource")).filter(),
        Attribute::new("state", Kind::Text(255), Stored::Text("availability_zones.state")).filter(),
    ],
    ..Resource::BASE
};

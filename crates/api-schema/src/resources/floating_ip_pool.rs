//! Floating IP pools: the IPv4 subnets of external networks, as places to take floating IPs from. Whoever sees the network
//! sees its pools.

use crate::{Attribute, Kind, Methods, NotFound, Parent, Resource, Sharing, Stored};

const FROM: &str =
    "(SELECT subnets.id AS id, subnets.name AS name, subnets.network_id AS network_id, subnets.cidr AS cidr
    FROM subnets JOIN networks ON networks.id = subnets.network_id
    WHERE networks.external = 1 AND subnets.ip_version = 4) AS floatingip_pools";

const SHARING: Sharing =
    Sharing { object: "floatingip_pools.network_id", actions: &["access_as_shared", "access_as_external"] };

/// See the module.
pub static FLOATING_IP_POOL: Resource = Resource {
    name: "floatingip_pool",
    collection: "floatingip_pools",
    not_found: NotFound::new("FloatingIPPoolNotFound", "Floating IP pool "),
    alias: Some("floatingip-pools"),
    table: "floatingip_pools",
    from: FROM,
    parents: &[Parent {
        name: "network",
        attribute: "network_id",
        table: "networks",
        column: "floatingip_pools.network_id",
    }],
    methods: Methods::READ,
    attributes: &[
        Attribute::new("subnet_id", Kind::Uuid, Stored::Text("floatingip_pools.id")).filter(),
        Attribute::new("subnet_name", Kind::Text(255), Stored::Text("floatingip_pools.name")).filter(),
        Attribute::new("network_id", Kind::Uuid, Stored::Text("floatingip_pools.network_id")).filter(),
        Attribute::new("cidr", Kind::Text(64), Stored::Text("floatingip_pools.cidr")).filter(),
        Attribute::new("shared", Kind::Boolean, Stored::Shared(SHARING)).hidden(),
        // Of whoever asks.
        Attribute::new("project_id", Kind::Text(255), Stored::Text("CAST(:caller_project AS TEXT)")).filter(),
    ],
    ..Resource::BASE
};

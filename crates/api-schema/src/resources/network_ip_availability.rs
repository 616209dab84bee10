//! How many addresses of networks are used, for administrators. The objects are the networks; what is counted of them is
//! counted when it is asked for.

use crate::{Attribute, Children, JsonType, Kind, Methods, NotFound, Resource, Stored};

/// As texts: what is no version of IP then finds nothing.
const VERSIONS: Children = Children {
    table: "subnets",
    owner: "subnets.network_id",
    fields: &[("", "CAST(subnets.ip_version AS TEXT)")],
    order: "subnets.ip_version",
};

/// A count, or what is made of counts.
const fn counted(name: &'static str, json: JsonType) -> Attribute {
    Attribute::new(name, Kind::Object, Stored::Computed(json))
}

/// See the module.
pub static NETWORK_IP_AVAILABILITY: Resource = Resource {
    name: "network_ip_availability",
    collection: "network_ip_availabilities",
    path_key: "network_id",
    not_found: NotFound::new("NetworkNotFound", "Network "),
    alias: Some("network-ip-availability"),
    table: "networks",
    from: "networks",
    methods: Methods::READ,
    attributes: &[
        Attribute::new("network_id", Kind::Uuid, Stored::Text("networks.id")).sort(),
        Attribute::new("network_name", Kind::Text(255), Stored::Text("networks.name")).filter(),
        Attribute::new("project_id", Kind::Text(255), Stored::Text("networks.project_id")).filter(),
        counted("subnet_ip_availability", JsonType::Array),
        counted("used_ips", JsonType::Integer),
        counted("total_ips", JsonType::Integer),
        counted("ip_availability_details", JsonType::Object).from_extension("network-ip-availability-details"),
        // Networks with such a subnet; and of these only such subnets are counted.
        Attribute::new("ip_version", Kind::Text(1), Stored::Children(VERSIONS)).filter().hidden(),
    ],
    ..Resource::BASE
};

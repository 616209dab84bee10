//! Flavors of services: by which a project chooses how its routers are made, and the profiles behind them.

use super::standard;
use crate::{
    Attribute, Children, Custom, JsonType, Kind, Literal, Methods, NotFound, Parent, Refusal, Resource, Stored,
    python_display,
};
use serde_json::Value;

const SERVICE_PROFILES: Children = Children {
    table: "flavor_service_profiles",
    owner: "flavor_id",
    fields: &[("", "service_profile_id")],
    order: "position",
};
const FLAVORS: Children = Children {
    table: "flavor_service_profiles",
    owner: "service_profile_id",
    fields: &[("", "flavor_id")],
    order: "flavor_id",
};

/// The services that there are, under the names that Neutron's plugins have.
const SERVICE_TYPES: [&str; 13] = [
    "CORE",
    "L3_ROUTER_NAT",
    "FLAVORS",
    "QOS",
    "METERING",
    "LOGGING",
    "PORTFORWARDING",
    "FLOATINGIPPOOL",
    "CONNTRACKHELPER",
    "NDPPROXY",
    "LOCAL_IP",
    "NETWORK_SEGMENT_RANGE",
    "segments",
];
const SERVICE_TYPE: Custom = Custom { name: "service type", json: JsonType::String, parse: service_type };

fn service_type(value: Value) -> Result<Value, Refusal> {
    if value.as_str().is_some_and(|name| SERVICE_TYPES.contains(&name)) {
        return Ok(value);
    }
    Err(Refusal::Named("InvalidServiceType", format!("Invalid service type: {}.", python_display(&value))))
}

/// Flavors.
pub static FLAVOR: Resource = Resource {
    name: "flavor",
    collection: "flavors",
    not_found: NotFound::new("FlavorNotFound", "Flavor "),
    alias: Some("flavors"),
    table: "flavors",
    from: "flavors",
    methods: Methods::ALL,
    attributes: &[
        standard::id("flavors.id"),
        standard::name("flavors.name"),
        Attribute::new("description", Kind::Text(1024), Stored::Text("flavors.description"))
            .nullable()
            .default(Literal::Text(""))
            .put()
            .sort(),
        Attribute::new("service_type", Kind::Custom(&SERVICE_TYPE), Stored::Text("flavors.service_type"))
            .required()
            .sort(),
        // Neutron takes it and does nothing with it: profiles are brought to a flavor by requests of their own.
        Attribute::new("service_profiles", Kind::UuidList, Stored::Children(SERVICE_PROFILES))
            .default(Literal::EmptyList)
            .put(),
        Attribute::new("enabled", Kind::Boolean, Stored::Boolean("flavors.enabled"))
            .default(Literal::Bool(true))
            .put()
            .sort(),
    ],
    ..Resource::BASE
};

/// Service profiles.
pub static SERVICE_PROFILE: Resource = Resource {
    name: "service_profile",
    collection: "service_profiles",
    segment: "service_profiles",
    not_found: NotFound::new("ServiceProfileNotFound", "Service Profile "),
    alias: Some("flavors"),
    table: "service_profiles",
    from: "service_profiles",
    methods: Methods::ALL,
    attributes: &[
        standard::id("service_profiles.id"),
        Attribute::new("description", Kind::Text(1024), Stored::Text("service_profiles.description"))
            .nullable()
            .default(Literal::Text(""))
            .put()
            .sort(),
        Attribute::new("driver", Kind::Text(1024), Stored::Text("service_profiles.driver"))
            .default(Literal::Text(""))
            .put()
            .sort(),
        Attribute::new("metainfo", Kind::Text(4096), Stored::Text("service_profiles.metainfo"))
            .default(Literal::Text(""))
            .put()
            .sort(),
        Attribute::new("enabled", Kind::Boolean, Stored::Boolean("service_profiles.enabled"))
            .default(Literal::Bool(true))
            .put()
            .sort(),
        Attribute::new("flavors", Kind::UuidList, Stored::Children(FLAVORS)),
    ],
    ..Resource::BASE
};

/// A service profile of a flavor: `/v2.0/flavors/ID/service_profiles/ID`.
pub static FLAVOR_SERVICE_PROFILE: Resource = Resource {
    name: "flavor_service_profile",
    key: "service_profile",
    rule: "flavor_service_profile",
    collection: "service_profiles",
    inside: Some(Parent {
        name: "flavor",
        attribute: "flavor_id",
        column: "flavor_service_profiles.flavor_id",
        table: "flavors",
    }),
    path_key: "service_profile_id",
    not_found: NotFound {
        kind: "FlavorServiceProfileBindingNotFound",
        before: "Service Profile ",
        after: " is not associated with flavor {parent}.",
    },
    alias: Some("flavors"),
    table: "flavor_service_profiles",
    from: "flavor_service_profiles",
    methods: Methods { create: true, update: false, delete: true },
    listed: false,
    attributes: &[
        Attribute::new("id", Kind::Uuid, Stored::Text("flavor_service_profiles.service_profile_id")).required(),
        Attribute::new("service_profile_id", Kind::Uuid, Stored::Text("flavor_service_profiles.service_profile_id")),
    ],
    ..Resource::BASE
};

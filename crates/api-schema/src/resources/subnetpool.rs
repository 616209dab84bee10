//! Subnet pools: prefixes out of which the subnets of networks are cut.

use super::standard;
use crate::{
    Action, Attribute, Children, Custom, JsonType, Kind, Literal, Methods, NotFound, Refusal, Resource, Stored,
    python_display,
};
use serde_json::Value;
use std::collections::HashSet;

const PREFIXES: Children =
    Children { table: "subnetpool_prefixes", owner: "subnetpool_id", fields: &[("", "cidr")], order: "position" };

const NAME: Custom = Custom { name: "name that is not blank", json: JsonType::String, parse: name };
/// Prefixes of a pool, which its actions take too.
pub static PREFIX_LIST: Custom = Custom { name: "list of different prefixes", json: JsonType::Array, parse: prefixes };

/// See the module.
pub static SUBNETPOOL: Resource = Resource {
    name: "subnetpool",
    collection: "subnetpools",
    not_found: NotFound::new("SubnetPoolNotFound", "Subnet pool "),
    alias: Some("subnet_allocation"),
    table: "subnetpools",
    from: "subnetpools",
    methods: Methods::ALL,
    actions: &[
        Action { name: "onboard_network_subnets", method: "PUT" },
        Action { name: "add_prefixes", method: "PUT" },
        Action { name: "remove_prefixes", method: "PUT" },
    ],
    quota: true,
    attributes: &[
        standard::id("subnetpools.id"),
        Attribute::new("name", Kind::Custom(&NAME), Stored::Text("subnetpools.name")).required().put().sort(),
        standard::project("subnetpools.project_id"),
        Attribute::new("prefixes", Kind::Custom(&PREFIX_LIST), Stored::Children(PREFIXES)).required().put(),
        Attribute::new("default_quota", Kind::NonNegative, Stored::Integer("subnetpools.default_quota"))
            .optional()
            .put()
            .sort(),
        Attribute::new("ip_version", Kind::Numbers(&[4, 6]), Stored::Integer("subnetpools.ip_version")).sort(),
        Attribute::new("default_prefixlen", Kind::NonNegative, Stored::IntegerText("subnetpools.default_prefixlen"))
            .optional()
            .put()
            .sort(),
        Attribute::new("min_prefixlen", Kind::NonNegative, Stored::IntegerText("subnetpools.min_prefixlen"))
            .optional()
            .put()
            .sort(),
        Attribute::new("max_prefixlen", Kind::NonNegative, Stored::IntegerText("subnetpools.max_prefixlen"))
            .optional()
            .put()
            .sort(),
        Attribute::new("is_default", Kind::Boolean, Stored::Boolean("subnetpools.is_default"))
            .default(Literal::Bool(false))
            .put()
            .sort()
            .policy()
            .from_extension("default-subnetpools"),
        standard::shared("subnetpools.id").default(Literal::Bool(false)).policy(),
        Attribute::new("address_scope_id", Kind::Uuid, Stored::Text("subnetpools.address_scope_id"))
            .nullable()
            .optional()
            .put()
            .sort()
            .from_extension("address-scope"),
        standard::description("subnetpools.description"),
        standard::tags(),
        standard::created_at("subnetpools.created_at"),
        standard::updated_at("subnetpools.updated_at"),
        standard::revision("subnetpools.revision_number"),
    ],
    ..Resource::BASE
};

fn name(value: Value) -> Result<Value, Refusal> {
    if value.as_str().is_some_and(|text| text.trim().is_empty()) {
        return Err(Refusal::Check(format!("'{}' Blank strings are not permitted", python_display(&value))));
    }
    Kind::Name(255).parse(value)
}

fn prefixes(value: Value) -> Result<Value, Refusal> {
    let shown = python_display(&value);
    let Value::Array(items) = value else { return Err(Refusal::Check(format!("'{shown}' is not a list"))) };
    let mut prefixes = Vec::with_capacity(items.len());
    let mut seen = HashSet::new();
    for item in items {
        let refuse = |_| Refusal::Check(format!("'{}' is not a valid IP subnet", python_display(&item)));
        let prefix = Kind::Cidr.parse(item.clone()).map_err(refuse)?;
        if !seen.insert(prefix.clone()) {
            return Err(Refusal::Check(format!("Duplicate items in the list: '{}'", python_display(&item))));
        }
        prefixes.push(prefix);
    }
    Ok(Value::Array(prefixes))
}

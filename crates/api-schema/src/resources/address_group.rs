//! Address groups: prefixes under one name, which security group rules can refer to.

use super::standard;
use crate::{
    Action, Attribute, Children, Custom, JsonType, Kind, Literal, Methods, NotFound, Refusal, Resource, Stored,
    python_display,
};
use serde_json::Value;
use std::collections::HashSet;

const ADDRESSES: Children = Children {
    table: "address_group_addresses",
    owner: "address_group_id",
    fields: &[("", "address")],
    order: "address",
};
const ADDRESS_LIST: Custom =
    Custom { name: "list of different prefixes, each with its length", json: JsonType::Array, parse: addresses };

/// See the module.
pub static ADDRESS_GROUP: Resource = Resource {
    name: "address_group",
    collection: "address_groups",
    not_found: NotFound::new("AddressGroupNotFound", "Address group "),
    alias: Some("address-group"),
    table: "address_groups",
    from: "address_groups",
    methods: Methods::ALL,
    actions: &[Action { name: "add_addresses", method: "PUT" }, Action { name: "remove_addresses", method: "PUT" }],
    attributes: &[
        standard::id("address_groups.id"),
        standard::name("address_groups.name"),
        Attribute::new("description", Kind::Text(255), Stored::Text("address_groups.description"))
            .default(Literal::Text(""))
            .put()
            .sort(),
        standard::project("address_groups.project_id"),
        Attribute::new("addresses", Kind::Custom(&ADDRESS_LIST), Stored::Children(ADDRESSES))
            .null_is_empty()
            .optional(),
        // As in Neutron neither shown nor a filter: only policy asks for it.
        Attribute { filter: false, ..standard::shared("address_groups.id").hidden() },
        standard::created_at("address_groups.created_at"),
        standard::updated_at("address_groups.updated_at"),
        standard::revision("address_groups.revision_number"),
    ],
    ..Resource::BASE
};

fn addresses(value: Value) -> Result<Value, Refusal> {
    let shown = python_display(&value);
    let Value::Array(items) = value else { return Err(Refusal::Check(format!("'{shown}' is not a list"))) };
    let mut addresses = Vec::with_capacity(items.len());
    let mut seen = HashSet::new();
    for item in items {
        let refuse = || Refusal::Check(format!("'{}' is not a valid IP subnet", python_display(&item)));
        // An address alone is none: its length must be said.
        let address = item.as_str().filter(|text| text.contains('/')).ok_or_else(refuse)?;
        let address = Kind::Cidr.parse(address.into()).map_err(|_| refuse())?;
        if !seen.insert(address.clone()) {
            return Err(Refusal::Check(format!("Duplicate items in the list: '{}'", python_display(&item))));
        }
        addresses.push(address);
    }
    Ok(Value::Array(addresses))
}

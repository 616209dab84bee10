//! Address scopes: within one, no address is in two subnet pools, so that its networks can be routed without translation.

use super::standard;
use crate::{Attribute, Kind, Literal, Methods, NotFound, Resource, Stored};

/// See the module.
pub static ADDRESS_SCOPE: Resource = Resource {
    name: "address_scope",
    collection: "address_scopes",
    not_found: NotFound::new("AddressScopeNotFound", "Address scope "),
    alias: Some("address-scope"),
    table: "address_scopes",
    from: "address_scopes",
    methods: Methods::ALL,
    attributes: &[
        standard::id("address_scopes.id"),
        standard::name("address_scopes.name"),
        standard::project("address_scopes.project_id"),
        standard::shared("address_scopes.id").default(Literal::Bool(false)).put().policy(),
        Attribute::new("ip_version", Kind::Numbers(&[4, 6]), Stored::Integer("address_scopes.ip_version"))
            .required()
            .sort(),
    ],
    ..Resource::BASE
};

//! Metering labels: what the traffic of routers is counted under.

use super::standard;
use crate::{Attribute, Kind, Literal, Methods, NotFound, Resource, Stored};

/// See the module.
pub static METERING_LABEL: Resource = Resource {
    name: "metering_label",
    collection: "metering_labels",
    prefix: "metering",
    not_found: NotFound { kind: "MeteringLabelNotFound", before: "Metering label '", after: "' does not exist." },
    alias: Some("metering"),
    table: "metering_labels",
    from: "metering_labels",
    methods: Methods { create: true, update: false, delete: true },
    attributes: &[
        standard::id("metering_labels.id"),
        Attribute::new("name", Kind::Name(255), Stored::Text("metering_labels.name")).default(Literal::Text("")).sort(),
        Attribute::new("description", Kind::Text(1024), Stored::Text("metering_labels.description"))
            .default(Literal::Text(""))
            .sort(),
        standard::project("metering_labels.project_id"),
        Attribute::new("shared", Kind::Boolean, Stored::Boolean("metering_labels.shared"))
            .default(Literal::Bool(false))
            .sort(),
    ],
    ..Resource::BASE
};

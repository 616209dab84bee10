//! Rules of metering labels: which traffic is counted under them.

use super::standard;
use crate::python_display;
use crate::{Attribute, Custom, JsonType, Kind, Literal, Methods, NotFound, Parent, Refusal, Resource, Stored};
use network_model::metering;
use serde_json::Value;

/// An address, with or without the length of a prefix; empty is none.
const PREFIX: Custom = Custom {
    name: "IP prefix",
    json: JsonType::String,
    parse: |value| match value.as_str() {
        Some("") => Ok(Value::Null),
        _ => {
            let given = python_display(&value);
            metering::parse_prefix(&given).map(Value::from).map_err(|reason| Refusal::Named("Invalid", reason))
        }
    },
};

const fn prefix(name: &'static str, column: &'static str) -> Attribute {
    Attribute::new(name, Kind::Custom(&PREFIX), Stored::Text(column)).nullable().default(Literal::Null).sort()
}

/// See the module.
pub static METERING_LABEL_RULE: Resource = Resource {
    name: "metering_label_rule",
    collection: "metering_label_rules",
    prefix: "metering",
    not_found: NotFound {
        kind: "MeteringLabelRuleNotFound",
        before: "Metering label rule '",
        after: "' does not exist.",
    },
    alias: Some("metering"),
    table: "metering_label_rules",
    from: "metering_label_rules",
    parents: &[Parent {
        name: "metering_label",
        attribute: "metering_label_id",
        column: "metering_label_rules.metering_label_id",
        table: "metering_labels",
    }],
    methods: Methods { create: true, update: false, delete: true },
    attributes: &[
        standard::id("metering_label_rules.id"),
        standard::project("metering_label_rules.project_id"),
        Attribute::new("metering_label_id", Kind::Uuid, Stored::Text("metering_label_rules.metering_label_id"))
            .required()
            .sort(),
        Attribute::new(
            "direction",
            Kind::Words(&["ingress", "egress"]),
            Stored::Text("metering_label_rules.direction"),
        )
        .required()
        .sort(),
        Attribute::new("excluded", Kind::Boolean, Stored::Boolean("metering_label_rules.excluded"))
            .default(Literal::Bool(false))
            .sort(),
        prefix("remote_ip_prefix", "metering_label_rules.remote_ip_prefix"),
        prefix("source_ip_prefix", "metering_label_rules.source_ip_prefix")
            .from_extension("metering_source_and_destination_fields"),
        prefix("destination_ip_prefix", "metering_label_rules.destination_ip_prefix")
            .from_extension("metering_source_and_destination_fields"),
    ],
    ..Resource::BASE
};

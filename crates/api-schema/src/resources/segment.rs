//! Segments: what carries a network on the wire, as objects of their own.

use super::standard;
use crate::{Attribute, Kind, Literal, Methods, NotFound, Parent, Resource, Stored};

/// See the module.
pub static SEGMENT: Resource = Resource {
    name: "segment",
    collection: "segments",
    not_found: NotFound::new("SegmentNotFound", "Segment "),
    alias: Some("segment"),
    table: "network_segments",
    from: "network_segments",
    parents: &[Parent {
        name: "network",
        attribute: "network_id",
        column: "network_segments.network_id",
        table: "networks",
    }],
    methods: Methods::ALL,
    attributes: &[
        standard::id("network_segments.id"),
        Attribute::new("project_id", Kind::Text(255), Stored::Nowhere).optional().hidden(),
        Attribute::new("network_id", Kind::Uuid, Stored::Text("network_segments.network_id")).required().sort(),
        Attribute::new("physical_network", Kind::Text(64), Stored::Text("network_segments.physical_network"))
            .optional()
            .sort(),
        Attribute::new("network_type", Kind::Text(32), Stored::Text("network_segments.network_type")).required().sort(),
        Attribute::new(
            "segmentation_id",
            Kind::Range(i64::MIN, i64::MAX),
            Stored::Integer("network_segments.segmentation_id"),
        )
        .optional()
        .sort(),
        Attribute::new("name", Kind::Name(255), Stored::Text("network_segments.name"))
            .nullable()
            .optional()
            .put()
            .sort(),
        Attribute::new("description", Kind::Text(255), Stored::Text("network_segments.description"))
            .default(Literal::Text(""))
            .put()
            .filter()
            .from_extension("standard-attr-segment"),
        standard::tags().from_extension("standard-attr-segment"),
        standard::created_at("network_segments.created_at"),
        standard::updated_at("network_segments.updated_at"),
        standard::revision("network_segments.revision_number"),
    ],
    ..Resource::BASE
};

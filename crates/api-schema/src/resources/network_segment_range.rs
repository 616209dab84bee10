//! Network segment ranges: which VLAN ids, VNIs and GRE keys the networks of projects may get.

use super::standard;
use crate::{Attribute, Kind, Literal, Methods, NotFound, Resource, Stored};

const TYPES: &[&str] = &["vlan", "vxlan", "gre", "geneve"];

/// Which networks have ids of the range, and whose they are.
const USED: &str = r#"(SELECT COALESCE('{' || string_agg('"' || CAST(s.segmentation_id AS TEXT) || '":"'
        || replace(replace(networks.project_id, '\', '\\'), '"', '\"') || '"', ',') || '}', '{}')
    FROM network_segments AS s JOIN networks ON networks.id = s.network_id
    WHERE s.network_type = network_segment_ranges.network_type
    AND COALESCE(s.physical_network, '') = network_segment_ranges.physical_network
    AND COALESCE(s.segmentation_id, 0) BETWEEN network_segment_ranges.minimum AND network_segment_ranges.maximum
    AND s.network_type <> 'local')"#;

/// The free ids. Of a range of millions nobody reads all: the list ends after the first 65,536 ids of the range.
const AVAILABLE: &str = "(WITH RECURSIVE ids (n) AS (
        SELECT network_segment_ranges.minimum
        UNION ALL SELECT n + 1 FROM ids WHERE n < network_segment_ranges.maximum AND n < network_segment_ranges.minimum + 65535)
    SELECT COALESCE('[' || string_agg(CAST(n AS TEXT), ',') || ']', '[]') FROM ids
    WHERE NOT EXISTS (SELECT 1 FROM network_segments AS s WHERE s.network_type = network_segment_ranges.network_type
        AND COALESCE(s.physical_network, '') = network_segment_ranges.physical_network
        AND COALESCE(s.segmentation_id, 0) = n AND s.network_type <> 'local'))";

/// See the module.
pub static NETWORK_SEGMENT_RANGE: Resource = Resource {
    name: "network_segment_range",
    collection: "network_segment_ranges",
    segment: "network_segment_ranges",
    not_found: NotFound::new("NetworkSegmentRangeNotFound", "Network Segment Range "),
    alias: Some("network-segment-range"),
    table: "network_segment_ranges",
    from: "network_segment_ranges",
    methods: Methods::ALL,
    attributes: &[
        standard::id("network_segment_ranges.id"),
        // Those of the configuration have no name.
        standard::name("CASE WHEN network_segment_ranges.is_default = 0 THEN network_segment_ranges.name END"),
        Attribute::new("default", Kind::Boolean, Stored::Boolean("network_segment_ranges.is_default")).filter(),
        Attribute::new("shared", Kind::Boolean, Stored::Boolean("network_segment_ranges.shared"))
            .default(Literal::Bool(true))
            .filter(),
        standard::project("NULLIF(network_segment_ranges.project_id, '')"),
        Attribute::new("network_type", Kind::Words(TYPES), Stored::Text("network_segment_ranges.network_type"))
            .required()
            .filter(),
        Attribute::new("physical_network", Kind::Text(64), Stored::Text("network_segment_ranges.physical_network"))
            .default(Literal::Text(""))
            .filter(),
        Attribute::new("minimum", Kind::Range(1, 4_294_967_295), Stored::Integer("network_segment_ranges.minimum"))
            .required()
            .put()
            .filter(),
        Attribute::new("maximum", Kind::Range(1, 4_294_967_295), Stored::Integer("network_segment_ranges.maximum"))
            .required()
            .put()
            .filter(),
        Attribute::new("used", Kind::Object, Stored::Json(USED)),
        Attribute::new("available", Kind::TextList(16), Stored::Json(AVAILABLE)),
        standard::description("network_segment_ranges.description"),
        standard::tags(),
        standard::created_at("network_segment_ranges.created_at"),
        standard::updated_at("network_segment_ranges.updated_at"),
        standard::revision("network_segment_ranges.revision_number"),
    ],
    ..Resource::BASE
};

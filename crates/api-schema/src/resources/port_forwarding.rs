//! Port forwardings: `/v2.0/floatingips/ID/port_forwardings`.

use super::standard;
use crate::{
    Attribute, Children, Custom, JsonType, Kind, Literal, Methods, NotFound, Parent, Refusal, Resource, Stored,
};
use crate::{TRANSPORT_PROTOCOLS, python_display};
use serde_json::Value;

const EXTERNAL_PORT: &str = "CASE WHEN port_forwardings.external_port_first = port_forwardings.external_port_last
    THEN port_forwardings.external_port_first END";
const INTERNAL_PORT: &str = "CASE WHEN port_forwardings.internal_port_first = port_forwardings.internal_port_last
    THEN port_forwardings.internal_port_first END";
const EXTERNAL_RANGE: &str = "(CAST(port_forwardings.external_port_first AS TEXT) || ':'
    || CAST(port_forwardings.external_port_last AS TEXT))";
const INTERNAL_RANGE: &str = "(CAST(port_forwardings.internal_port_first AS TEXT) || ':'
    || CAST(port_forwardings.internal_port_last AS TEXT))";

/// The port forwardings of a floating IP, as it shows them.
pub(super) const OF_FLOATING_IP: Children = Children {
    table: "port_forwardings",
    owner: "port_forwardings.floatingip_id",
    fields: &[
        ("id", "port_forwardings.id"),
        ("internal_ip_address", "port_forwardings.internal_ip_address"),
        ("protocol", "port_forwardings.protocol"),
        ("internal_port", INTERNAL_PORT),
        ("external_port", EXTERNAL_PORT),
        ("internal_port_id", "port_forwardings.internal_port_id"),
    ],
    order: "port_forwardings.id",
};

/// A port number, or two with a colon between them.
const RANGE: Custom = Custom { name: "port range", json: JsonType::String, parse: range };

fn range(value: Value) -> Result<Value, Refusal> {
    let refuse = |reason: String| Err(Refusal::Check(reason));
    let text = python_display(&value);
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() > 2 || parts.iter().any(|part| part.is_empty()) {
        return refuse("Port range must be two integers separated by a colon".to_owned());
    }
    let mut ports = Vec::with_capacity(parts.len());
    for part in parts {
        match part.parse::<u16>() {
            Ok(0) => return refuse("Invalid port: 0, the port must be in the range [1, 65535]".to_owned()),
            Ok(port) => ports.push(port),
            Err(_) => return refuse(format!("Invalid port: {part}")),
        }
    }
    if ports.first() > ports.last() {
        return refuse("First port in a port range must be lower than the second port".to_owned());
    }
    Ok(text.into())
}

/// See the module.
pub static PORT_FORWARDING: Resource = Resource {
    name: "port_forwarding",
    rule: "floatingip_port_forwarding",
    collection: "port_forwardings",
    inside: Some(Parent {
        name: "floatingip",
        attribute: "floatingip_id",
        column: "port_forwardings.floatingip_id",
        table: "floating_ips",
    }),
    not_found: NotFound::new("PortForwardingNotFound", "Port Forwarding "),
    alias: Some("floating-ip-port-forwarding"),
    table: "port_forwardings",
    from: "port_forwardings JOIN floating_ips AS forwarded ON forwarded.id = port_forwardings.floatingip_id",
    methods: Methods::ALL,
    attributes: &[
        standard::id("port_forwardings.id"),
        standard::project("forwarded.project_id").hidden(),
        Attribute::new("external_port", Kind::Range(1, 65535), Stored::Integer(EXTERNAL_PORT))
            .nullable()
            .default(Literal::Null)
            .put()
            .sort(),
        Attribute::new("internal_port", Kind::Range(1, 65535), Stored::Integer(INTERNAL_PORT))
            .nullable()
            .default(Literal::Null)
            .put(),
        Attribute::new("internal_ip_address", Kind::IpAddress, Stored::Text("port_forwardings.internal_ip_address"))
            .required()
            .put(),
        Attribute::new("protocol", Kind::Words(TRANSPORT_PROTOCOLS), Stored::Text("port_forwardings.protocol"))
            .required()
            .put()
            .sort(),
        Attribute::new("internal_port_id", Kind::Uuid, Stored::Text("port_forwardings.internal_port_id"))
            .required()
            .put()
            .sort(),
        Attribute::new("description", Kind::Text(1024), Stored::Text("port_forwardings.description"))
            .default(Literal::Text(""))
            .put()
            .filter()
            .from_extension("floating-ip-port-forwarding-description"),
        Attribute::new("external_port_range", Kind::Custom(&RANGE), Stored::Text(EXTERNAL_RANGE))
            .nullable()
            .default(Literal::Null)
            .put()
            .sort()
            .from_extension("floating-ip-port-forwarding-port-ranges"),
        Attribute::new("internal_port_range", Kind::Custom(&RANGE), Stored::Text(INTERNAL_RANGE))
            .nullable()
            .default(Literal::Null)
            .put()
            .from_extension("floating-ip-port-forwarding-port-ranges"),
    ],
    ..Resource::BASE
};

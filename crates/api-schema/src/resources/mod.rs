//! The declarations.

mod address_group;
mod address_scope;
mod agent;
mod availability_zone;
mod conntrack_helper;
mod default_security_group_rule;
mod default_statefulness;
mod flavor;
mod floating_ip;
mod floating_ip_pool;
mod local_ip;
mod log;
mod metering_label;
mod metering_label_rule;
mod ndp_proxy;
mod network;
mod network_ip_availability;
mod network_segment_range;
mod port;
mod port_binding;
mod port_forwarding;
mod port_kinds;
mod qos_policy;
mod qos_rule;
mod qos_rule_type;
mod rbac_policy;
mod router;
mod router_gateway;
mod security_group;
mod security_group_rule;
mod segment;
mod service_provider;
mod standard;
mod subnet;
mod subnetpool;
mod tap;
mod trunk;

pub use address_group::ADDRESS_GROUP;
pub use address_scope::ADDRESS_SCOPE;
pub use agent::AGENT;
pub use availability_zone::AVAILABILITY_ZONE;
pub use conntrack_helper::CONNTRACK_HELPER;
pub use default_security_group_rule::DEFAULT_SECURITY_GROUP_RULE;
pub use default_statefulness::DEFAULT_STATEFULNESS;
pub use flavor::{FLAVOR, FLAVOR_SERVICE_PROFILE, SERVICE_PROFILE};
pub use floating_ip::FLOATING_IP;
pub use floating_ip_pool::FLOATING_IP_POOL;
pub use local_ip::{LOCAL_IP, LOCAL_IP_ASSOCIATION};
pub use log::{LOG, LOGGABLE_RESOURCE};
pub use metering_label::METERING_LABEL;
pub use metering_label_rule::METERING_LABEL_RULE;
pub use ndp_proxy::NDP_PROXY;
pub use network::NETWORK;
pub use network_ip_availability::NETWORK_IP_AVAILABILITY;
pub use network_segment_range::NETWORK_SEGMENT_RANGE;
pub use port::PORT;
pub use port_binding::PORT_BINDING;
pub use port_forwarding::PORT_FORWARDING;
pub use qos_policy::QOS_POLICY;
pub use qos_rule::{
    ALIAS_BANDWIDTH_LIMIT_RULE, ALIAS_DSCP_MARKING_RULE, ALIAS_MINIMUM_BANDWIDTH_RULE, ALIAS_MINIMUM_PACKET_RATE_RULE,
    QOS_BANDWIDTH_LIMIT_RULE, QOS_DSCP_MARKING_RULE, QOS_MINIMUM_BANDWIDTH_RULE, QOS_MINIMUM_PACKET_RATE_RULE,
    QOS_PACKET_RATE_LIMIT_RULE,
};
pub use qos_rule_type::QOS_RULE_TYPE;
pub use rbac_policy::RBAC_POLICY;
pub use router::ROUTER;
pub use router_gateway::ROUTER_GATEWAY;
pub use security_group::SECURITY_GROUP;
pub use security_group_rule::SECURITY_GROUP_RULE;
pub use segment::SEGMENT;
pub use service_provider::SERVICE_PROVIDER;
pub use subnet::SUBNET;
pub use subnetpool::{PREFIX_LIST, SUBNETPOOL};
pub use tap::{TAP_FLOW, TAP_MIRROR, TAP_SERVICE};
pub use trunk::{SUBPORT_LIST, TRUNK};

use crate::Resource;

/// Every resource of the API, in the order in which documentation shows them.
pub static ALL: &[&Resource] = &[
    &NETWORK,
    &SUBNET,
    &PORT,
    &NETWORK_IP_AVAILABILITY,
    &SEGMENT,
    &NETWORK_SEGMENT_RANGE,
    &SUBNETPOOL,
    &ADDRESS_SCOPE,
    &SECURITY_GROUP,
    &SECURITY_GROUP_RULE,
    &DEFAULT_SECURITY_GROUP_RULE,
    &DEFAULT_STATEFULNESS,
    &ADDRESS_GROUP,
    &ROUTER,
    &FLOATING_IP,
    &PORT_BINDING,
    &TRUNK,
    &RBAC_POLICY,
    &FLOATING_IP_POOL,
    &PORT_FORWARDING,
    &CONNTRACK_HELPER,
    &NDP_PROXY,
    &LOCAL_IP,
    &LOCAL_IP_ASSOCIATION,
    &FLAVOR,
    &FLAVOR_SERVICE_PROFILE,
    &SERVICE_PROFILE,
    &SERVICE_PROVIDER,
    &QOS_POLICY,
    &QOS_BANDWIDTH_LIMIT_RULE,
    &QOS_DSCP_MARKING_RULE,
    &QOS_MINIMUM_BANDWIDTH_RULE,
    &QOS_MINIMUM_PACKET_RATE_RULE,
    &QOS_PACKET_RATE_LIMIT_RULE,
    &ALIAS_BANDWIDTH_LIMIT_RULE,
    &ALIAS_DSCP_MARKING_RULE,
    &ALIAS_MINIMUM_BANDWIDTH_RULE,
    &ALIAS_MINIMUM_PACKET_RATE_RULE,
    &QOS_RULE_TYPE,
    &METERING_LABEL,
    &METERING_LABEL_RULE,
    &LOG,
    &LOGGABLE_RESOURCE,
    &TAP_SERVICE,
    &TAP_FLOW,
    &TAP_MIRROR,
    &AGENT,
    &AVAILABILITY_ZONE,
];

/// What is only shown as part of other objects, and is in no path.
pub static PARTS: &[&Resource] = &[&ROUTER_GATEWAY];

/// The declaration of this name.
pub fn find(name: &str) -> Option<&'static Resource> {
    ALL.iter().chain(PARTS).find(|resource| resource.name == name).copied()
}

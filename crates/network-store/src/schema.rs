//! The tables of networking, one file per resource in the order in which they refer to each other.
//!
//! Every column is explained in the SQL. Who reads them: the API's engine (by the declarations), this crate's units of
//! work, and host-feed (what a host must realise).

use store::Migration;

/// What [`crate::prepare`] passes to [`store::Store::migrate`]; the names are what a database remembers and never change.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration { name: "network/0001-network", sql: include_str!("schema/network.sql") },
    Migration { name: "network/0002-subnet", sql: include_str!("schema/subnet.sql") },
    Migration { name: "network/0003-security-group", sql: include_str!("schema/security_group.sql") },
    Migration { name: "network/0004-port", sql: include_str!("schema/port.sql") },
    Migration { name: "network/0005-agent", sql: include_str!("schema/agent.sql") },
    Migration { name: "network/host-report", sql: include_str!("schema/host_report.sql") },
    Migration { name: "network/0006-router", sql: include_str!("schema/router.sql") },
    Migration { name: "network/0007-floating-ip", sql: include_str!("schema/floating_ip.sql") },
    Migration { name: "network/0008-quota", sql: include_str!("schema/quota.sql") },
    Migration { name: "network/0009-router-kind", sql: include_str!("schema/router_kind.sql") },
    Migration { name: "network/0010-subnetpool", sql: include_str!("schema/subnetpool.sql") },
    Migration { name: "network/0011-rbac-policy", sql: include_str!("schema/rbac_policy.sql") },
    Migration { name: "network/0012-security-group-rule-key", sql: include_str!("schema/security_group_rule_key.sql") },
    Migration { name: "network/0013-rbac-pools", sql: include_str!("schema/rbac_pools.sql") },
    Migration { name: "network/port-attributes", sql: include_str!("schema/port_attributes.sql") },
    Migration { name: "network/flavor", sql: include_str!("schema/flavor.sql") },
    Migration { name: "network/qos", sql: include_str!("schema/qos.sql") },
    Migration { name: "network/metering", sql: include_str!("schema/metering.sql") },
    Migration { name: "network/nova-event", sql: include_str!("schema/nova_event.sql") },
    Migration { name: "network/trunk", sql: include_str!("schema/trunk.sql") },
    Migration { name: "network/port-forwarding", sql: include_str!("schema/port_forwarding.sql") },
    Migration { name: "network/segment", sql: include_str!("schema/segment.sql") },
    Migration { name: "network/address-group", sql: include_str!("schema/address_group.sql") },
    Migration {
        name: "network/default-security-group-rule",
        sql: include_str!("schema/default_security_group_rule.sql"),
    },
    Migration { name: "network/auto-topology", sql: include_str!("schema/auto_topology.sql") },
    Migration { name: "network/ndp-proxy", sql: include_str!("schema/ndp_proxy.sql") },
    Migration { name: "network/local-ip", sql: include_str!("schema/local_ip.sql") },
    Migration { name: "network/segment-range", sql: include_str!("schema/segment_range.sql") },
    Migration { name: "network/log", sql: include_str!("schema/log.sql") },
    Migration { name: "network/wired-binding", sql: include_str!("schema/wired_binding.sql") },
    Migration { name: "network/router-gateway", sql: include_str!("schema/router_gateway.sql") },
    Migration { name: "network/router-election", sql: include_str!("schema/router_election.sql") },
    Migration { name: "network/instance-metadata", sql: include_str!("schema/instance_metadata.sql") },
    Migration { name: "network/default-route-ecmp", sql: include_str!("schema/default_route_ecmp.sql") },
    Migration { name: "network/tap", sql: include_str!("schema/tap.sql") },
    Migration { name: "network/fixed-ips-of-port", sql: include_str!("schema/fixed_ips_of_port.sql") },
    Migration { name: "network/narrow-indexes", sql: include_str!("schema/narrow_indexes.sql") },
];

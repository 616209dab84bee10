//! A valid body of each resource: what the walk begins with.

use crate::server::{ADMIN, DEMO, DEMO_PROJECT, MANAGER, OTHER_PROJECT, SERVICE, Server, add_l2_agent, id};
use api_schema::Resource;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};

/// Whose token may make such an object.
pub fn owner(resource: &str) -> &'static str {
    match resource {
        "port_binding" => SERVICE,
        everybodys if is_everybodys(everybodys) => ADMIN,
        "segment" | "network_segment_range" | "security_groups_default_statefulness" => ADMIN,
        profile if profile.ends_with("service_profile") => ADMIN,
        managed if ["qos_", "metering_", "log"].iter().any(|area| managed.starts_with(area)) => MANAGER,
        _ => DEMO,
    }
}

/// Whether everybody may look at such objects, though only an administrator changes them.
pub fn is_everybodys(resource: &str) -> bool {
    matches!(resource, "flavor" | "default_security_group_rule")
}

/// Who may say everything that there is to say of such an object.
pub fn powerful(resource: &str) -> &'static str {
    if owner(resource) == SERVICE { SERVICE } else { ADMIN }
}

/// Members of a valid POST of what such an object stands in.
pub async fn around(server: &Server, token: &str, resource: &Resource) -> Value {
    let parent = resource.inside.as_ref().map_or("", |inside| inside.name);
    let mut sample = create(server, token, parent).await;
    if resource.name == "port_binding" {
        sample["device_owner"] = json!("compute:nova");
    }
    sample
}

/// Members of a valid POST; what it refers to is made first, by the same caller.
pub async fn create(server: &Server, token: &str, resource: &str) -> Value {
    match resource {
        "network" => json!({"name": "n"}),
        "subnet" => {
            let network = server.create(token, "network", json!({})).await;
            json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.0.0.0/24"})
        }
        "port" => {
            let network = server.create(token, "network", json!({})).await;
            server
                .create(token, "subnet", json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.0.0.0/24"}))
                .await;
            json!({"network_id": id(&network), "fixed_ips": [{"ip_address": "10.0.0.9"}]})
        }
        "segment" => {
            let network = server.create(token, "network", json!({})).await;
            json!({"network_id": id(&network), "network_type": "vlan", "physical_network": "physnet1"})
        }
        "network_segment_range" => json!({"network_type": "gre", "minimum": 10, "maximum": 20}),
        "subnetpool" => json!({"name": "p", "prefixes": ["10.0.0.0/16"], "min_prefixlen": 24}),
        "address_scope" => json!({"name": "s", "ip_version": 4}),
        "security_group" => json!({"name": "g"}),
        "security_group_rule" => {
            let group = server.create(token, "security_group", json!({"name": "g"})).await;
            json!({"security_group_id": id(&group), "direction": "ingress", "protocol": "tcp", "port_range_min": 22,
                   "port_range_max": 22})
        }
        "default_security_group_rule" => {
            json!({"direction": "ingress", "protocol": "tcp", "port_range_min": 23, "port_range_max": 23,
                   "used_in_default_sg": false, "used_in_non_default_sg": true})
        }
        "security_groups_default_statefulness" => json!({"stateful": false}),
        "address_group" => json!({"name": "a", "addresses": ["192.0.2.0/25"]}),
        "rbac_policy" => {
            let network = server.create(token, "network", json!({})).await;
            json!({"object_type": "network", "object_id": id(&network), "action": "access_as_shared",
                   "target_tenant": OTHER_PROJECT})
        }
        "router" => json!({"name": "r"}),
        // Of the floating IP that there is: its network must be within the port's reach.
        "port_forwarding" => {
            let floating_ips = server.get(token, "/v2.0/floatingips").await.expect(200);
            let network = &floating_ips["floatingips"][0]["floating_network_id"];
            let router = json!({"external_gateway_info": {"network_id": network}});
            let router = server.create(token, "router", router).await;
            let inside = server.create(token, "network", json!({})).await;
            let subnet = json!({"network_id": id(&inside), "ip_version": 4, "cidr": "10.3.0.0/24"});
            let subnet = server.create(token, "subnet", subnet).await;
            let add = format!("/v2.0/routers/{}/add_router_interface", id(&router));
            server.put(token, &add, json!({"subnet_id": id(&subnet)})).await.expect(200);
            let port = server.create(token, "port", json!({"network_id": id(&inside)})).await;
            json!({"internal_port_id": id(&port), "internal_ip_address": port["fixed_ips"][0]["ip_address"],
                   "protocol": "tcp", "internal_port": 80, "external_port": 8080})
        }
        "ndp_proxy" => {
            let scope = json!({"name": "s", "ip_version": 6, "shared": true});
            let scope = server.create(ADMIN, "address_scope", scope).await;
            let pool = json!({"name": "p", "prefixes": ["2001:db8::/48"], "default_prefixlen": 64, "shared": true,
                              "address_scope_id": id(&scope)});
            let pool = server.create(ADMIN, "subnetpool", pool).await;
            let outside = server.create(ADMIN, "network", json!({"router:external": true})).await;
            let inside = server.create(token, "network", json!({})).await;
            let of = |network: &Value| json!({"network_id": id(network), "ip_version": 6, "subnetpool_id": id(&pool)});
            server.create(ADMIN, "subnet", of(&outside)).await;
            let subnet = server.create(token, "subnet", of(&inside)).await;
            let info = json!({"network_id": id(&outside)});
            let router = json!({"external_gateway_info": info, "enable_ndp_proxy": true});
            let router = server.create(token, "router", router).await;
            let add = format!("/v2.0/routers/{}/add_router_interface", id(&router));
            server.put(token, &add, json!({"subnet_id": id(&subnet)})).await.expect(200);
            let port = server.create(token, "port", json!({"network_id": id(&inside)})).await;
            json!({"router_id": id(&router), "port_id": id(&port)})
        }
        "local_ip" | "local_ip_association" => {
            let network = server.create(token, "network", json!({})).await;
            let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.4.0.0/24"});
            server.create(token, "subnet", subnet).await;
            if resource == "local_ip" {
                return json!({"network_id": id(&network)});
            }
            let port = server.create(token, "port", json!({"network_id": id(&network)})).await;
            json!({"fixed_port_id": id(&port)})
        }
        "conntrack_helper" => json!({"protocol": "udp", "port": 69, "helper": "tftp"}),
        "flavor" => json!({"name": "f", "service_type": "L3_ROUTER_NAT"}),
        "service_profile" => json!({"metainfo": "{}"}),
        "flavor_service_profile" => {
            let profile = server.create(token, "service_profile", json!({"metainfo": "{}"})).await;
            json!({"id": id(&profile)})
        }
        "trunk" => {
            let network = server.create(token, "network", json!({})).await;
            let parent = server.create(token, "port", json!({"network_id": id(&network)})).await;
            json!({"port_id": id(&parent)})
        }
        "tap_service" | "tap_flow" | "tap_mirror" => {
            let network = server.create(token, "network", json!({})).await;
            let port = server.create(token, "port", json!({"network_id": id(&network)})).await;
            match resource {
                "tap_service" => json!({"port_id": id(&port)}),
                "tap_mirror" => {
                    // No two mirrors share a number.
                    static NEXT: AtomicU32 = AtomicU32::new(1);
                    let number = NEXT.fetch_add(1, Ordering::Relaxed);
                    json!({"port_id": id(&port), "directions": {"IN": number}, "remote_ip": "192.0.2.9", "mirror_type": "gre"})
                }
                _ => {
                    let service = server.create(token, "tap_service", json!({"port_id": id(&port)})).await;
                    json!({"tap_service_id": id(&service), "source_port": id(&port), "direction": "BOTH"})
                }
            }
        }
        "port_binding" => {
            add_l2_agent(server, "destination", json!({"tunnel_types": ["vxlan"]})).await;
            json!({"host": "destination"})
        }
        "floatingip" => {
            let network = server.create(ADMIN, "network", json!({"router:external": true})).await;
            let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": "198.51.100.0/24"});
            server.create(ADMIN, "subnet", subnet).await;
            json!({"floating_network_id": id(&network)})
        }
        "qos_policy" => json!({"name": "p"}),
        "qos_bandwidth_limit_rule" => json!({"max_kbps": 1000, "max_burst_kbps": 100, "direction": "ingress"}),
        "qos_dscp_marking_rule" => json!({"dscp_mark": 26}),
        "qos_minimum_bandwidth_rule" => json!({"min_kbps": 500}),
        "qos_minimum_packet_rate_rule" => json!({"min_kpps": 5, "direction": "any"}),
        "qos_packet_rate_limit_rule" => json!({"max_kpps": 5}),
        "metering_label" => json!({"name": "m", "description": "d"}),
        "log" => json!({"name": "l", "resource_type": "security_group"}),
        "metering_label_rule" => {
            let label = server.create(token, "metering_label", json!({})).await;
            json!({"metering_label_id": id(&label), "direction": "ingress", "remote_ip_prefix": "192.0.2.0/24"})
        }
        other => panic!("write a sample of {other}"),
    }
}

/// Members of a PUT that the owner may make.
pub fn update(resource: &str) -> Value {
    match resource {
        "conntrack_helper" => json!({"port": 6969}),
        "port_forwarding" => json!({"internal_port": 81}),
        "agent" | "service_profile" => json!({"description": "d"}),
        "floatingip" => json!({"description": "d"}),
        "security_groups_default_statefulness" => json!({"stateful": true}),
        "rbac_policy" => json!({"target_tenant": DEMO_PROJECT}),
        "qos_bandwidth_limit_rule" | "alias_bandwidth_limit_rule" => json!({"max_kbps": 2000}),
        "qos_dscp_marking_rule" | "alias_dscp_marking_rule" => json!({"dscp_mark": 10}),
        "qos_minimum_bandwidth_rule" | "alias_minimum_bandwidth_rule" => json!({"direction": "ingress"}),
        "qos_minimum_packet_rate_rule" | "alias_minimum_packet_rate_rule" => json!({"min_kpps": 6}),
        "qos_packet_rate_limit_rule" => json!({"max_kpps": 6}),
        "port_binding" => json!({"profile": {"a": 1}}),
        _ => json!({"name": "renamed"}),
    }
}

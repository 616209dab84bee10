//! From the store's rows to [`RowChange`]s: everything at start, and what a page of the change log names afterwards.
//!
//! Both take the same way; the only difference is a `WHERE`.

use crate::row::{FloatingIpRow, HostRow, NetworkRow, PortRow, RouterRow, RowChange};
use host_view::{
    AddressPair, Direction, EtherType, FixedIp, HostRoute, Network, Port, Remote, RuleMatch, SecurityGroup,
    SecurityGroupRule, Segment, Subnet,
};
use net_types::{IpNet, NetworkId, PortRange, SecurityGroupId, SecurityGroupRuleId, VlanId, Vni};
use network_model::security_group::protocol_number;
use network_model::subnet_pool::PREFIX_DELEGATION;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;
use store::{Change, Row, Snapshot, StoreError, Value, params};
use uuid::Uuid;

/// Every row that matters.
pub fn everything(snapshot: &Snapshot<'_>) -> Result<Vec<RowChange>, StoreError> {
    let mut rows = Vec::new();
    networks(snapshot, None, &mut rows)?;
    subnets(snapshot, None, &mut rows)?;
    groups(snapshot, None, &mut rows)?;
    ports(snapshot, None, &mut rows)?;
    routers(snapshot, None, &mut rows)?;
    floating_ips(snapshot, None, &mut rows)?;
    hosts(snapshot, None, &mut rows)?;
    agent_hosts(snapshot, Bound::Networks, None, &mut rows)?;
    agent_hosts(snapshot, Bound::Routers, None, &mut rows)?;
    Ok(rows)
}

/// The present state of every row that `changes` name, each once.
pub fn changed(snapshot: &Snapshot<'_>, changes: &[Change]) -> Result<Vec<RowChange>, StoreError> {
    let mut rows = Vec::new();
    let mut seen = BTreeSet::new();
    let mut groups_of_rules = BTreeSet::new();
    for change in changes {
        if !seen.insert((change.resource.as_str(), change.id.as_str())) {
            continue;
        }
        let id = change.id.as_str();
        let before = rows.len();
        match change.resource.as_str() {
            "network" => {
                networks(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::Network(id, None));
            }
            "subnet" => {
                subnets(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::Subnet(id, None));
            }
            "port" => {
                ports(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::Port(id, None));
            }
            "security_group" => {
                groups(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::Group(id, None));
            }
            "security_group_rule" => {
                // Many rules of one group often come together.
                if let Some(group) = rule_group(snapshot, change)?.filter(|group| groups_of_rules.insert(*group)) {
                    let group = group.to_string();
                    groups(snapshot, Some(&group), &mut rows)?;
                    gone(&mut rows, before, &group, |id| RowChange::Group(id, None));
                }
            }
            "address_group" => {
                for group in groups_that_name(snapshot, id)?.into_iter().filter(|g| groups_of_rules.insert(*g)) {
                    groups(snapshot, Some(&group.to_string()), &mut rows)?;
                }
            }
            "router" => {
                routers(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::Router(id, None));
            }
            "floatingip" => {
                floating_ips(snapshot, Some(id), &mut rows)?;
                gone(&mut rows, before, id, |id| RowChange::FloatingIp(id, None));
            }
            "agent" => agent(snapshot, change, &mut rows)?,
            "dhcp_agent_network" => agent_hosts(snapshot, Bound::Networks, Some(id), &mut rows)?,
            "l3_agent_router" => agent_hosts(snapshot, Bound::Routers, Some(id), &mut rows)?,
            // Kinds that no host realises (quotas, ...).
            _ => {}
        }
    }
    Ok(rows)
}

/// When a look-up by id added nothing, the row is gone.
fn gone<Id: FromStr>(rows: &mut Vec<RowChange>, before: usize, id: &str, change: impl Fn(Id) -> RowChange) {
    if rows.len() == before
        && let Ok(id) = id.parse()
    {
        rows.push(change(id));
    }
}

/// A query over all rows, or over those with `column` equal to an id.
fn select(all: &str, column: &str, id: Option<&str>, order: &str) -> (String, Vec<Value<'static>>) {
    match id {
        Some(id) => (format!("{all} WHERE {column} = ?1 {order}"), vec![Value::from(id.to_owned())]),
        None => (format!("{all} {order}"), Vec::new()),
    }
}

/// Reads a child table into lists by parent, in the order of the query.
fn children<P: Ord, T>(
    snapshot: &Snapshot<'_>,
    (sql, params): (String, Vec<Value<'static>>),
    read: impl Fn(&Row<'_>) -> Result<(P, T), StoreError>,
) -> Result<BTreeMap<P, Vec<T>>, StoreError> {
    let mut found: BTreeMap<P, Vec<T>> = BTreeMap::new();
    snapshot.for_each(&sql, &params, |row| {
        let (parent, child) = read(row)?;
        found.entry(parent).or_default().push(child);
        Ok(())
    })?;
    Ok(found)
}

/// A column that holds what nobody should have written.
fn malformed(index: usize, expected: &'static str, found: impl Display) -> StoreError {
    StoreError::Column { index, expected, found: found.to_string() }
}

fn networks(snapshot: &Snapshot<'_>, id: Option<&str>, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let (sql, params) = select(
        "SELECT n.id, n.mtu, n.admin_state_up, n.external, s.network_type, s.physical_network, s.segmentation_id
         FROM networks n JOIN network_segments s ON s.network_id = n.id",
        "n.id",
        id,
        "ORDER BY n.id, s.position",
    );
    snapshot.for_each(&sql, &params, |row| {
        let id: NetworkId = row.parse(0)?;
        let segment = match segment(&row.text(4)?, row.get(5)?, row.get(6)?) {
            Ok(segment) => segment,
            Err(error) => {
                tracing::error!(%id, error, "a network's segment cannot be read");
                return Ok(());
            }
        };
        match rows.last_mut() {
            Some(RowChange::Network(before, Some(network))) if *before == id => network.further.push(segment),
            _ => {
                let network = Network { segment, mtu: row.get(1)?, admin_state_up: row.get(2)?, external: row.get(3)? };
                rows.push(RowChange::Network(id, Some(NetworkRow { network, further: Vec::new() })));
            }
        }
        Ok(())
    })
}

fn segment(kind: &str, physical_network: Option<String>, number: Option<u32>) -> Result<Segment, String> {
    let physical = || physical_network.clone().ok_or_else(|| format!("no physical network for {kind}"));
    let number = || number.ok_or_else(|| format!("no segmentation id for {kind}"));
    Ok(match kind {
        "local" => Segment::Local,
        "flat" => Segment::Flat { physical_network: physical()? },
        "vlan" => Segment::Vlan {
            physical_network: physical()?,
            vlan: u16::try_from(number()?).ok().and_then(|n| VlanId::new(n).ok()).ok_or("no VLAN id")?,
        },
        "vxlan" => Segment::Vxlan { vni: Vni::new(number()?).map_err(|e| e.to_string())? },
        "geneve" => Segment::Geneve { vni: Vni::new(number()?).map_err(|e| e.to_string())? },
        "gre" => Segment::Gre { key: number()? },
        other => return Err(format!("unknown network type '{other}'")),
    })
}

fn subnets(snapshot: &Snapshot<'_>, id: Option<&str>, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let mut dns = children(
        snapshot,
        select(
            "SELECT subnet_id, address FROM subnet_dns_nameservers",
            "subnet_id",
            id,
            "ORDER BY subnet_id, position",
        ),
        |row| Ok((row.get::<String>(0)?, row.parse(1)?)),
    )?;
    let mut routes = children(
        snapshot,
        select(
            "SELECT subnet_id, destination, nexthop FROM subnet_host_routes",
            "subnet_id",
            id,
            "ORDER BY subnet_id, position",
        ),
        |row| Ok((row.get::<String>(0)?, HostRoute { destination: row.parse(1)?, nexthop: row.parse(2)? })),
    )?;
    let (sql, params) = select(
        "SELECT id, network_id, cidr, gateway_ip, enable_dhcp, ipv6_address_mode, ipv6_ra_mode, subnetpool_id FROM subnets",
        "id",
        id,
        "",
    );
    snapshot.for_each(&sql, &params, |row| {
        let key: String = row.get(0)?;
        if row.get::<Option<String>>(7)?.as_deref() == Some(PREFIX_DELEGATION) {
            // Until it has been delegated its prefix there is nothing that a host could realise.
            return Ok(());
        }
        let subnet = Subnet {
            network: row.parse(1)?,
            cidr: row.parse(2)?,
            gateway: row.parse_opt(3)?,
            enable_dhcp: row.get(4)?,
            dns_nameservers: dns.remove(&key).unwrap_or_default(),
            host_routes: routes.remove(&key).unwrap_or_default(),
            ipv6_address_mode: row.get(5)?,
            ipv6_ra_mode: row.get(6)?,
        };
        rows.push(RowChange::Subnet(row.parse(0)?, Some(subnet)));
        Ok(())
    })
}

fn ports(snapshot: &Snapshot<'_>, id: Option<&str>, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let mut fixed_ips = children(
        snapshot,
        select("SELECT port_id, subnet_id, ip_address FROM fixed_ips", "port_id", id, "ORDER BY port_id, position"),
        |row| Ok((row.get::<String>(0)?, FixedIp { subnet: row.parse(1)?, address: row.parse(2)? })),
    )?;
    let mut groups = children(
        snapshot,
        select("SELECT port_id, security_group_id FROM port_security_groups", "port_id", id, ""),
        |row| Ok((row.get::<String>(0)?, row.parse(1)?)),
    )?;
    let mut pairs = children(
        snapshot,
        select("SELECT port_id, mac_address, ip_address FROM port_address_pairs", "port_id", id, ""),
        |row| {
            let text = row.text(2)?;
            let prefix = text.parse().or_else(|_| text.parse().map(|address: std::net::IpAddr| address.into()));
            let address = prefix.map_err(|_| malformed(2, "an address or a prefix", text))?;
            Ok((row.get::<String>(0)?, AddressPair { mac: row.parse(1)?, address }))
        },
    )?;
    let (sql, params) = select(
        "SELECT id, network_id, mac_address, device_owner, device_id, admin_state_up, port_security_enabled,
                binding_host, binding_vif_type, status, dns_name
         FROM ports",
        "id",
        id,
        "",
    );
    snapshot.for_each(&sql, &params, |row| {
        let key: String = row.get(0)?;
        let bound = row.text(8)? == "ovs";
        let port = PortRow {
            port: Port {
                network: row.parse(1)?,
                mac: row.parse(2)?,
                fixed_ips: fixed_ips.remove(&key).unwrap_or_default(),
                device_owner: row.get(3)?,
                device_id: row.get(4)?,
                admin_state_up: row.get(5)?,
                port_security: row.get(6)?,
                security_groups: groups.remove(&key).unwrap_or_default().into_iter().collect(),
                allowed_address_pairs: pairs.remove(&key).unwrap_or_default().into_iter().collect(),
            },
            host: Some(row.get::<String>(7)?).filter(|host| bound && !host.is_empty()),
            hostname: Some(row.text(10)?).filter(|name| !name.is_empty()).map(|name| first_label(&name)),
            active: row.text(9)? == "ACTIVE",
        };
        rows.push(RowChange::Port(row.parse(0)?, Some(port)));
        Ok(())
    })
}

/// What a host is called inside its domain: of a full name that is the first label.
fn first_label(name: &str) -> String {
    match name.strip_suffix('.') {
        Some(full) => full.split('.').next().unwrap_or_default().to_owned(),
        None => name.to_owned(),
    }
}

fn groups(snapshot: &Snapshot<'_>, id: Option<&str>, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let mut rules = children(
        snapshot,
        select(
            "SELECT rules.security_group_id, rules.id, rules.direction, rules.ethertype, rules.protocol,
                    rules.port_range_min, rules.port_range_max, rules.remote_ip_prefix, rules.remote_group_id,
                    rules.remote_address_group_id, addresses.address
             FROM security_group_rules AS rules LEFT JOIN address_group_addresses AS addresses
                 ON addresses.address_group_id = rules.remote_address_group_id",
            "rules.security_group_id",
            id,
            "",
        ),
        |row| {
            // One that cannot be read allows nothing, and must not keep all others from the hosts.
            let id: SecurityGroupRuleId = row.parse(1)?;
            let rule = rule(row).and_then(|rule| one_of_address_group(id, rule, row));
            let rule = rule.inspect_err(|error| tracing::error!(%id, %error, "a rule cannot be read")).ok();
            Ok((row.get::<String>(0)?, rule.flatten()))
        },
    )?;
    let (sql, params) = select("SELECT id, stateful FROM security_groups", "id", id, "");
    snapshot.for_each(&sql, &params, |row| {
        let key: String = row.get(0)?;
        let rules = rules.remove(&key).unwrap_or_default().into_iter().flatten().collect();
        rows.push(RowChange::Group(row.parse(0)?, Some(SecurityGroup { stateful: row.get(1)?, rules })));
        Ok(())
    })
}

/// A rule with an address group becomes one for each of its prefixes of the rule's IP version, with ids made of both; hosts
/// know no address groups. `None`: this prefix is of the other version, or the group is empty.
fn one_of_address_group(
    id: SecurityGroupRuleId,
    rule: SecurityGroupRule,
    row: &Row<'_>,
) -> Result<Option<(SecurityGroupRuleId, SecurityGroupRule)>, StoreError> {
    if row.get::<Option<String>>(9)?.is_none() {
        return Ok(Some((id, rule)));
    }
    let Some(prefix) = row.parse_opt::<IpNet>(10)? else { return Ok(None) };
    let version = if prefix.addr().is_ipv4() { EtherType::IPv4 } else { EtherType::IPv6 };
    if version != rule.ethertype {
        return Ok(None);
    }
    let own = Uuid::new_v5(&id.0, prefix.to_string().as_bytes());
    Ok(Some((SecurityGroupRuleId(own), SecurityGroupRule { remote: Remote::Prefix(prefix), ..rule })))
}

/// The columns of `groups`' query from the direction on.
fn rule(row: &Row<'_>) -> Result<SecurityGroupRule, StoreError> {
    let direction = match row.text(2)?.as_ref() {
        "ingress" => Direction::Ingress,
        "egress" => Direction::Egress,
        other => return Err(malformed(2, "a direction", other)),
    };
    let ethertype = match row.text(3)?.as_ref() {
        "IPv4" => EtherType::IPv4,
        "IPv6" => EtherType::IPv6,
        other => return Err(malformed(3, "an ethertype", other)),
    };
    let protocol = match row.get::<Option<String>>(4)? {
        // A protocol that is not understood must not become every protocol.
        Some(name) => Some(protocol_number(&name).ok_or_else(|| malformed(4, "an IP protocol", name))?),
        None => None,
    };
    let protocol = match (protocol, ethertype) {
        // `ip` and its number 0 stand for every protocol, as in Neutron.
        (Some(0), _) => None,
        // ICMP, of an IPv6 rule, stands for ICMPv6.
        (Some(1), EtherType::IPv6) => Some(58),
        (protocol, _) => protocol,
    };
    let remote = match (row.parse_opt(7)?, row.parse_opt(8)?) {
        (_, Some(group)) => Remote::Group(group),
        (Some(prefix), None) => Remote::Prefix(prefix),
        (None, None) => Remote::Any,
    };
    Ok(SecurityGroupRule {
        direction,
        ethertype,
        protocol,
        matching: matching(protocol, row.get(5)?, row.get(6)?)?,
        remote,
    })
}

/// `port_range_min` and `port_range_max` are ports, or an ICMP type and code.
fn matching(protocol: Option<u8>, first: Option<u16>, last: Option<u16>) -> Result<RuleMatch, StoreError> {
    /// ICMP and ICMPv6 (IANA protocol numbers).
    const ICMP: [u8; 2] = [1, 58];
    let is_icmp = protocol.is_some_and(|number| ICMP.contains(&number));
    let small = |number: u16| u8::try_from(number).map_err(|_| malformed(5, "an ICMP type or code", number));
    match (first, last) {
        (None, None) => Ok(RuleMatch::Any),
        (Some(kind), code) if is_icmp => Ok(RuleMatch::Icmp { kind: small(kind)?, code: code.map(small).transpose()? }),
        (first, last) => {
            let first = first.or(last).unwrap_or_default();
            PortRange::new(first, last.unwrap_or(first))
                .map(RuleMatch::Ports)
                .map_err(|e| malformed(5, "a port range", e))
        }
    }
}

fn rule_group(snapshot: &Snapshot<'_>, change: &Change) -> Result<Option<SecurityGroupId>, StoreError> {
    let noted = change.extra.as_ref().and_then(|extra| extra.get("security_group_id")).and_then(|id| id.as_str());
    if let Some(id) = noted {
        return Ok(id.parse().ok());
    }
    snapshot.query_opt("SELECT security_group_id FROM security_group_rules WHERE id = ?1", params![&change.id], |row| {
        row.parse(0)
    })
}

/// The security groups with a rule that names this address group.
fn groups_that_name(snapshot: &Snapshot<'_>, address_group: &str) -> Result<Vec<SecurityGroupId>, StoreError> {
    snapshot.query(
        "SELECT DISTINCT security_group_id FROM security_group_rules WHERE remote_address_group_id = ?1",
        params![address_group],
        |row| row.parse(0),
    )
}

fn routers(snapshot: &Snapshot<'_>, id: Option<&str>, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let mut routes = children(
        snapshot,
        select("SELECT router_id, destination, nexthop FROM router_routes", "router_id", id, ""),
        |row| Ok((row.get::<String>(0)?, HostRoute { destination: row.parse(1)?, nexthop: row.parse(2)? })),
    )?;
    let (sql, params) = select("SELECT id, admin_state_up, enable_snat FROM routers", "id", id, "");
    snapshot.for_each(&sql, &params, |row| {
        let key: String = row.get(0)?;
        let routes = routes.remove(&key).unwrap_or_default().into_iter().collect();
        rows.push(RowChange::Router(
            row.parse(0)?,
            Some(RouterRow { admin_state_up: row.get(1)?, enable_snat: row.get(2)?, routes }),
        ));
        Ok(())
    })
}

fn floating_ips(snapshot: &Snapshot<'_>, id: Option<&str>, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let (sql, params) =
        select("SELECT id, floating_ip_address, fixed_ip_address, router_id, status FROM floating_ips", "id", id, "");
    snapshot.for_each(&sql, &params, |row| {
        let floating_ip = FloatingIpRow {
            floating_address: row.parse(1)?,
            fixed_address: row.parse_opt(2)?,
            router: row.parse_opt(3)?,
            active: row.text(4)? == "ACTIVE",
        };
        rows.push(RowChange::FloatingIp(row.parse(0)?, Some(floating_ip)));
        Ok(())
    })
}

/// Hosts with an L2 agent.
fn hosts(snapshot: &Snapshot<'_>, host: Option<&str>, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let mut sql = "SELECT host, configurations FROM agents WHERE agent_type = ?1".to_owned();
    let mut params = params![crate::agents::L2_AGENT].to_vec();
    if let Some(host) = host {
        sql += " AND host = ?2";
        params.push(Value::from(host));
    }
    snapshot.for_each(&sql, &params, |row| {
        let name: String = row.get(0)?;
        let configurations: serde_json::Value =
            serde_json::from_str(&row.text(1)?).map_err(|e| malformed(1, "a JSON object", e))?;
        rows.push(RowChange::Host(name, Some(host_row(&configurations))));
        Ok(())
    })
}

/// What `crate::agents` wrote into `configurations`.
fn host_row(configurations: &serde_json::Value) -> HostRow {
    fn text<T: FromStr>(configurations: &serde_json::Value, key: &str) -> Option<T> {
        configurations.get(key).and_then(|value| value.as_str()).and_then(|text| text.parse().ok())
    }
    let types = configurations.get("tunnel_types").and_then(|value| value.as_array());
    let mappings = configurations.get("bridge_mappings").and_then(|value| value.as_object());
    HostRow {
        tunnel_address: text(configurations, "tunneling_ip"),
        endpoint_mac: text(configurations, "endpoint_mac"),
        tunnel_types: types.into_iter().flatten().filter_map(|kind| kind.as_str()?.parse().ok()).collect(),
        physical_networks: mappings.into_iter().flatten().map(|(name, _)| name.clone()).collect(),
    }
}

fn agent(snapshot: &Snapshot<'_>, change: &Change, rows: &mut Vec<RowChange>) -> Result<(), StoreError> {
    let noted = change.extra.as_ref().and_then(|extra| extra.get("host")).and_then(|host| host.as_str());
    let host = match noted {
        Some(host) => Some(host.to_owned()),
        None => snapshot.query_opt("SELECT host FROM agents WHERE id = ?1", params![&change.id], |row| row.get(0))?,
    };
    let Some(host) = host else { return Ok(()) };
    let before = rows.len();
    hosts(snapshot, Some(&host), rows)?;
    gone(rows, before, &host, |host| RowChange::Host(host, None));
    Ok(())
}

/// What is bound to agents.
#[derive(Clone, Copy)]
enum Bound {
    Networks,
    Routers,
}

fn agent_hosts(
    snapshot: &Snapshot<'_>,
    bound: Bound,
    id: Option<&str>,
    rows: &mut Vec<RowChange>,
) -> Result<(), StoreError> {
    let (all, column) = match bound {
        Bound::Networks => (
            "SELECT b.network_id, a.host FROM dhcp_agent_networks b JOIN agents a ON a.id = b.agent_id",
            "b.network_id",
        ),
        // A host on which a router only stands by forwards nothing for it.
        Bound::Routers => (
            "SELECT b.router_id, a.host FROM l3_agent_routers b
             JOIN agents a ON a.id = b.agent_id AND COALESCE(b.ha_state, 'active') = 'active'",
            "b.router_id",
        ),
    };
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    // An id whose last binding went has no row, and must be told all the same.
    found.extend(id.map(|id| (id.to_owned(), BTreeSet::new())));
    let (sql, params) = select(all, column, id, "");
    snapshot.for_each(&sql, &params, |row| {
        found.entry(row.get(0)?).or_default().insert(row.get(1)?);
        Ok(())
    })?;
    for (id, hosts) in found {
        rows.extend(match bound {
            Bound::Networks => id.parse().ok().map(|id| RowChange::DhcpHosts(id, hosts)),
            Bound::Routers => id.parse().ok().map(|id| RowChange::RouterHosts(id, hosts)),
        });
    }
    Ok(())
}

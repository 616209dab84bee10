//! DNS: what the network's ports are called, and who is asked for other names.
//!
//! ```text
//! [dhcp] of the agent's file         a name that is not the network's own
//!   dns_servers = [..]               is forwarded to these
//!   local_resolv = true              is forwarded to the host's resolvers
//!   (neither)                        is refused
//! dns_nameservers of the subnet      its instances are told those, and do not come here
//! ```
//! In: the network's DHCP port and clients, the operator's choice. Out: a [`DnsServer`] at the port's addresses.

use super::hostname;
use crate::names;
use crate::services::DnsServer;
use crate::wiring::Wiring;
use host_view::{Dhcp, DhcpClient, Port};
use net_types::NetworkId;

pub(super) fn server(
    wiring: &Wiring<'_>,
    network: NetworkId,
    dhcp: &Dhcp,
    port: &Port,
    clients: &[&DhcpClient],
) -> Option<DnsServer> {
    if port.fixed_ips.is_empty() {
        return None;
    }
    let names = clients
        .iter()
        .flat_map(|client| client.fixed_ips.iter().map(|fixed| (fixed.address, hostname(client, fixed.address))))
        .collect();
    Some(DnsServer {
        network,
        device: names::tap(dhcp.port),
        addresses: port.fixed_ips.iter().map(|fixed| fixed.address).collect(),
        domain: dhcp.domain.clone(),
        names,
        upstream: wiring.config.dns_upstream.clone(),
    })
}

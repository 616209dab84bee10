//! The agent's part of the configuration file (TOML), with a default for everything but the host's name and the server.
//!
//! ```toml
//! [agent]
//! host = "compute1"                  # default: the machine's host name
//! server = "http://192.0.2.1:9696"   # or several that share a database: ["http://192.0.2.1:9696", "http://192.0.2.2:9696"]
//! secret_file = "/etc/neutronium/agent.secret"
//! roles = ["l2"]                     # l2, dhcp, l3
//!
//! [ovs]
//! local_ip = "198.51.100.11"         # absent: no tunnels
//! bridge_mappings = { physnet1 = "br-ex" }
//!
//! [dhcp]
//! dns_servers = ["192.0.2.53"]       # whom DNS in the networks asks; or local_resolv = true; neither: nobody
//!
//! [metadata]                         # see `MetadataSection`
//! nova_metadata_host = "192.0.2.9"   # absent: the server's own metadata service
//!
//! [network_log]                      # what security groups accept and refuse, see `NetworkLogSection`
//! local_output_log_base = "/var/log/neutronium/security-groups.log"
//!
//! [sflow]                            # what br-int tells collectors; [ipfix] and [netflow] are like it: see `host_plan::Exports`
//! targets = ["192.0.2.7:6343"]
//! sampling = 400
//! ```

mod metadata;
mod network_log;

use crate::AgentError;
use host_plan::{Datapath, DnsUpstream, Exports, HostConfig, Ipfix, NetFlow, SFlow, TunnelEndpoint};
use host_view::{AgentRole, L3Mode};
pub use metadata::{MetadataSection, RateLimitSection};
use net_types::{MacAddr, NetworkType};
pub use network_log::NetworkLogSection;
use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that an operator can set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// `[agent]`: who this is and whom it serves.
    pub agent: AgentSection,
    /// `[ovs]`: the switch.
    #[serde(default)]
    pub ovs: OvsSection,
    /// `[dhcp]`: what runs beside DHCP.
    #[serde(default)]
    pub dhcp: DhcpSection,
    /// `[l3]`: routers.
    #[serde(default)]
    pub l3: L3Section,
    /// `[metadata]`: how instances reach the metadata service.
    #[serde(default)]
    pub metadata: MetadataSection,
    /// `[network_log]`: what is logged of security groups.
    #[serde(default)]
    pub network_log: NetworkLogSection,
    /// `[sflow]`: samples of packets for sFlow collectors; absent: none.
    pub sflow: Option<SFlow>,
    /// `[ipfix]`: flow records for IPFIX collectors; absent: none.
    pub ipfix: Option<Ipfix>,
    /// `[netflow]`: flow records for NetFlow collectors; absent: none.
    pub netflow: Option<NetFlow>,
}

/// `[agent]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentSection {
    /// Name under which ports are bound to this host; default: the machine's host name.
    #[serde(default = "host_name")]
    pub host: String,
    /// `http://ADDRESS:PORT` of the server, or of each of several: the agent goes over to another when its own is gone.
    #[serde(default = "default_server", deserialize_with = "one_or_several")]
    pub server: Vec<String>,
    /// File with the token that the agents share with the server; surrounding white space does not count.
    #[serde(default = "default_secret_file")]
    pub secret_file: PathBuf,
    /// Parts played.
    #[serde(default = "default_roles")]
    pub roles: BTreeSet<AgentRole>,
    /// Where the last known view is kept.
    #[serde(default = "default_state_dir")]
    pub state_dir: PathBuf,
    /// Seconds between heartbeats.
    #[serde(default = "default_report_interval")]
    pub report_interval: u32,
    /// Seconds between looks at what is really installed.
    #[serde(default = "default_audit_interval")]
    pub audit_interval: u32,
    /// Availability zone of the DHCP and L3 parts.
    #[serde(default = "default_availability_zone")]
    pub availability_zone: String,
}

/// `[ovs]`; names are Neutron's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OvsSection {
    /// Directory of Open vSwitch's sockets.
    pub rundir: PathBuf,
    /// Socket of ovsdb-server; default: `db.sock` in `rundir`.
    pub db: Option<PathBuf>,
    /// `system` (kernel) or `netdev` (userspace).
    pub datapath_type: Datapath,
    /// The bridge that instances are plugged into.
    pub integration_bridge: String,
    /// The bridge that carries tunnels.
    pub tunnel_bridge: String,
    /// Physical network to bridge.
    pub bridge_mappings: BTreeMap<String, String>,
    /// This host's tunnel endpoint; absent: no tunnels.
    pub local_ip: Option<IpAddr>,
    /// Tunnel types carried.
    pub tunnel_types: BTreeSet<NetworkType>,
    /// With the userspace datapath: the bridge whose own port carries `local_ip`.
    pub endpoint: Option<Endpoint>,
}

/// `[l3]`; names are Neutron's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct L3Section {
    /// `legacy`: routers are scheduled to this host. `dvr`: it has the distributed routers that lead to its own ports, and no
    /// others. `dvr_snat`: both.
    pub agent_mode: L3Mode,
}

/// `[dhcp]`; Neutron's names are these with `dnsmasq_` before them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DhcpSection {
    /// Whom DNS in the networks asks for names that are not the network's own, in order.
    pub dns_servers: Vec<IpAddr>,
    /// When there are none of those: whether it asks the resolvers of this host.
    pub local_resolv: bool,
}

impl DhcpSection {
    fn dns_upstream(&self) -> DnsUpstream {
        match (self.dns_servers.is_empty(), self.local_resolv) {
            (false, _) => DnsUpstream::Servers(self.dns_servers.clone()),
            (true, true) => DnsUpstream::HostResolvers,
            (true, false) => DnsUpstream::Nobody,
        }
    }
}

/// Where the tunnel endpoint's address lives (userspace datapath only).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The bridge that the underlay's device is a port of.
    pub bridge: String,
    /// Length of the underlay's prefix.
    pub prefix_len: u8,
}

impl Default for OvsSection {
    fn default() -> Self {
        Self {
            rundir: PathBuf::from("/run/openvswitch"),
            db: None,
            datapath_type: Datapath::System,
            integration_bridge: "br-int".to_owned(),
            tunnel_bridge: "br-tun".to_owned(),
            bridge_mappings: BTreeMap::new(),
            local_ip: None,
            tunnel_types: BTreeSet::from([NetworkType::Vxlan]),
            endpoint: None,
        }
    }
}

impl OvsSection {
    /// Socket of ovsdb-server.
    pub fn db(&self) -> PathBuf {
        self.db.clone().unwrap_or_else(|| self.rundir.join("db.sock"))
    }
}

impl AgentConfig {
    /// Reads the text of a configuration file.
    pub fn parse(text: &str) -> Result<Self, AgentError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            AgentError::Configuration { reason: format!("line {line}: {}", error.message()) }
        })?;
        config.check()?;
        Ok(config)
    }

    /// Reads a configuration file.
    pub fn load(path: &Path) -> Result<Self, AgentError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| AgentError::ReadFile { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// What the parts mean together.
    fn check(&self) -> Result<(), AgentError> {
        let wrong = |reason: String| Err(AgentError::Configuration { reason });
        let (agent, ovs) = (&self.agent, &self.ovs);
        if agent.host.is_empty() {
            return wrong("[agent] host is empty".to_owned());
        }
        if agent.server.is_empty() {
            return wrong("[agent] server names no server".to_owned());
        }
        if agent.roles.is_empty() {
            return wrong("[agent] roles names no role; l2, dhcp and l3 are known".to_owned());
        }
        if !self.plays(AgentRole::L2) {
            return wrong("[agent] roles: dhcp and l3 need l2 on the same host".to_owned());
        }
        if agent.report_interval == 0 || agent.audit_interval == 0 {
            return wrong("[agent] report_interval and audit_interval are at least 1 second".to_owned());
        }
        if let Some(kind) = ovs.tunnel_types.iter().find(|kind| !is_tunnel(**kind)) {
            return wrong(format!("[ovs] tunnel_types: '{kind}' is not a tunnel type; vxlan, gre and geneve are"));
        }
        if let Some(endpoint) = &ovs.endpoint {
            let Some(local_ip) = ovs.local_ip else {
                return wrong("[ovs] endpoint needs local_ip".to_owned());
            };
            if ovs.datapath_type != Datapath::Netdev {
                return wrong("[ovs] endpoint is for datapath_type = \"netdev\" only".to_owned());
            }
            if ipnet::IpNet::new(local_ip, endpoint.prefix_len).is_err() {
                return wrong(format!("[ovs] endpoint: {local_ip}/{} is not a prefix", endpoint.prefix_len));
            }
        }
        check_exports(&self.exports()).or_else(wrong)?;
        self.network_log.check().or_else(wrong)?;
        self.metadata.check().map_or(Ok(()), wrong)
    }

    fn exports(&self) -> Exports {
        Exports { sflow: self.sflow.clone(), ipfix: self.ipfix.clone(), netflow: self.netflow.clone() }
    }

    /// What the planner must know.
    pub fn host_config(&self) -> HostConfig {
        let ovs = &self.ovs;
        let tunnel = ovs.local_ip.map(|local_ip| TunnelEndpoint {
            local_ip,
            types: ovs.tunnel_types.clone(),
            bridge: ovs.endpoint.as_ref().map(|endpoint| endpoint.bridge.clone()),
            prefix_len: ovs.endpoint.as_ref().map_or(0, |endpoint| endpoint.prefix_len),
            mac: ovs.endpoint.as_ref().map(|_| endpoint_mac(local_ip)),
        });
        HostConfig {
            integration_bridge: ovs.integration_bridge.clone(),
            tunnel_bridge: ovs.tunnel_bridge.clone(),
            bridge_mappings: ovs.bridge_mappings.clone(),
            tunnel,
            datapath: ovs.datapath_type,
            roles: self.agent.roles.clone(),
            dns_upstream: self.dhcp.dns_upstream(),
            metadata: self.metadata.plan(),
            exports: self.exports(),
            network_log: self.network_log.limits(),
        }
    }

    /// Time between heartbeats.
    pub fn report_interval(&self) -> Duration {
        Duration::from_secs(self.agent.report_interval.into())
    }

    /// Time between looks at what is really installed.
    pub fn audit_interval(&self) -> Duration {
        Duration::from_secs(self.agent.audit_interval.into())
    }

    /// Whether this agent plays a part.
    pub fn plays(&self, role: AgentRole) -> bool {
        self.agent.roles.contains(&role)
    }
}

/// What Open vSwitch would silently not do.
fn check_exports(exports: &Exports) -> Result<(), String> {
    let check = |section: &str, targets: &BTreeSet<String>, sampling: Option<u32>| {
        if targets.is_empty() {
            return Err(format!("[{section}] targets names no collector"));
        }
        if let Some(target) = targets.iter().find(|target| target.parse::<std::net::SocketAddr>().is_err()) {
            return Err(format!("[{section}] targets: '{target}' is not an address and a port"));
        }
        if sampling == Some(0) {
            return Err(format!("[{section}] sampling is at least 1: every packet"));
        }
        Ok(())
    };
    if let Some(SFlow { targets, sampling, .. }) = &exports.sflow {
        check("sflow", targets, *sampling)?;
    }
    if let Some(Ipfix { targets, sampling, .. }) = &exports.ipfix {
        check("ipfix", targets, *sampling)?;
    }
    exports.netflow.as_ref().map_or(Ok(()), |netflow| check("netflow", &netflow.targets, None))
}

fn is_tunnel(kind: NetworkType) -> bool {
    matches!(kind, NetworkType::Vxlan | NetworkType::Gre | NetworkType::Geneve)
}

/// A locally administered MAC that follows from the endpoint's address, so that it survives every restart and differs
/// between the hosts of one underlay.
fn endpoint_mac(local_ip: IpAddr) -> MacAddr {
    let [a, b, c, d] = match local_ip {
        IpAddr::V4(address) => address.octets(),
        // The last 32 bits are what differs within an underlay's prefix.
        IpAddr::V6(address) => (address.to_bits() as u32).to_be_bytes(),
    };
    MacAddr([0x02, 0x4e, a, b, c, d])
}

fn host_name() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default()
}

fn default_server() -> Vec<String> {
    vec!["http://127.0.0.1:9696".to_owned()]
}

/// A text or a list of texts.
fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "`server` is a URL or a list of URLs")]
    enum Given {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Given::deserialize(deserializer)? {
        Given::One(url) => vec![url],
        Given::Several(urls) => urls,
    })
}

fn default_secret_file() -> PathBuf {
    PathBuf::from("/etc/neutronium/agent.secret")
}

fn default_state_dir() -> PathBuf {
    PathBuf::from("/var/lib/neutronium/agent")
}

fn default_roles() -> BTreeSet<AgentRole> {
    BTreeSet::from([AgentRole::L2])
}

fn default_report_interval() -> u32 {
    10
}

fn default_audit_interval() -> u32 {
    5
}

fn default_availability_zone() -> String {
    "nova".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_leaves_out_has_a_default() {
        let config = AgentConfig::parse("[agent]\nhost = 'compute1'\n").unwrap();
        assert_eq!(config.agent.roles, BTreeSet::from([AgentRole::L2]));
        assert_eq!(config.ovs.db(), PathBuf::from("/run/openvswitch/db.sock"));
        assert_eq!((config.ovs.integration_bridge.as_str(), config.agent.report_interval), ("br-int", 10));
    }

    #[test]
    fn everything_can_be_said() {
        let config = AgentConfig::parse(
            r#"
            [agent]
            host = "network"
            server = "http://192.0.2.1:9696"
            secret_file = "/s"
            roles = ["l2", "dhcp", "l3"]
            state_dir = "/v"
            report_interval = 3
            audit_interval = 7
            [ovs]
            rundir = "/run/ovs2"
            db = "/run/other.sock"
            datapath_type = "netdev"
            integration_bridge = "br-int"
            tunnel_bridge = "br-tun"
            bridge_mappings = { physnet1 = "br-ex" }
            local_ip = "198.51.100.11"
            tunnel_types = ["vxlan"]
            endpoint = { bridge = "br-phys", prefix_len = 24 }
            [metadata]
            nova_metadata_host = "192.0.2.9"
            nova_metadata_protocol = "https"
            force_metadata = true
            rate_limit = { base_query_rate_limit = 10 }
            "#,
        )
        .unwrap();
        assert_eq!(config.agent.server, ["http://192.0.2.1:9696"]);
        let several = AgentConfig::parse("[agent]\nhost = 'x'\nserver = ['http://a:1', 'http://b:1']").unwrap();
        assert_eq!(several.agent.server, ["http://a:1", "http://b:1"]);
        assert_eq!(config.ovs.endpoint, Some(Endpoint { bridge: "br-phys".to_owned(), prefix_len: 24 }));
        assert_eq!(config.ovs.bridge_mappings["physnet1"], "br-ex");
        assert!(config.plays(AgentRole::L3));
        assert!(config.host_config().metadata.force && config.host_config().metadata.isolated);
        assert_eq!(config.metadata.nova(), Some("https://192.0.2.9:8775".to_owned()));
        assert_eq!(config.metadata.rate_limit.limit().map(|limit| limit.base.requests), Some(10));
        let tunnel = config.host_config().tunnel.unwrap();
        assert_eq!(tunnel.mac, Some("02:4e:c6:33:64:0b".parse().unwrap()));
        assert_eq!(tunnel.address(), Some("198.51.100.11/24".parse().unwrap()));
    }

    #[test]
    fn what_is_wrong_is_said_by_name() {
        for (text, named) in [
            ("[agent]\nhots = 'x'", "hots"),
            ("[agent]\nserver = []", "server"),
            ("[agent]\nserver = 1", "server"),
            ("[agent]\nroles = ['l4']", "l4"),
            ("[agent]\nroles = []", "roles"),
            ("[agent]\nroles = ['dhcp']", "l2"),
            ("[agent]\nhost = ''", "host"),
            ("[agent]\nreport_interval = 0", "report_interval"),
            ("[agent]\n[metadata]\nnova_metadata_protocol = 'ftp'", "nova_metadata_protocol"),
            ("[agent]\n[metadata]\nrate_limit = { base_window_duration = 0 }", "base_window_duration"),
            ("[agent]\n[network_log]\nrate_limit = 99", "rate_limit"),
            ("[agent]\n[network_log]\nburst_limit = 1", "burst_limit"),
            ("[agent]\n[ovs]\ntunnel_types = ['vlan']", "vlan"),
            ("[agent]\n[ovs]\nendpoint = { bridge = 'b', prefix_len = 24 }", "local_ip"),
            ("[agent]\n[ovs]\nlocal_ip = '10.0.0.1'\nendpoint = { bridge = 'b', prefix_len = 24 }", "netdev"),
            (
                "[agent]\n[ovs]\ndatapath_type='netdev'\nlocal_ip = '10.0.0.1'\nendpoint = { bridge = 'b', prefix_len = 33 }",
                "10.0.0.1/33",
            ),
        ] {
            let error = AgentConfig::parse(text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}

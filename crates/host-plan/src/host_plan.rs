//! The plan as a value: everything that the agent has to make true on the host, layer by layer.

use crate::exports::Exports;
use crate::logs::Logged;
use crate::services::NamespaceServices;
use host_view::{PortState, RouterState};
use net_types::{IpNet, MacAddr, NetworkId, NetworkType, PortId, RouterId, VlanId};
use openflow::{CookieOwner, Flow, Meter};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// The cookie of every planned flow: its upper half says that the flow is ours.
pub const FLOW_OWNER: CookieOwner = CookieOwner::new(0x4e65_7574_0000_0000, 0xffff_ffff_0000_0000);

/// The numbers of our meters on the integration bridge; those below are somebody else's.
pub const OUR_METERS: RangeInclusive<u32> = crate::qos::FIRST_METER..=0xffff_0000;

/// Key in `external_ids` of bridges and ports that we made; only those are ever deleted. Its value is `agent`.
pub const OWNER_KEY: &str = "neutronium-owner";

/// The table of the integration bridge that refused packets end in.
pub const DROPPED_TABLE: u8 = 93;

/// The VLAN of ports that must carry nothing.
pub const DEAD_VLAN: u16 = 4095;

/// Everything that one host must look like.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HostPlan {
    /// Local VLAN of each network that is wired on this host; to be given back in the next
    /// [`LocalState`](crate::LocalState).
    pub local_vlans: BTreeMap<NetworkId, VlanId>,
    /// OVSDB: bridges and the ports that we make on them, by name.
    pub bridges: BTreeMap<String, Bridge>,
    /// OVSDB: VLAN tags of ports of the integration bridge and of trunks' bridges, by port name, whoever made the port.
    pub tags: BTreeMap<String, PortTag>,
    /// OpenFlow: all of our flows, by bridge; sorted by table, falling priority and match.
    pub flows: BTreeMap<String, Vec<Flow>>,
    /// OpenFlow: all of our meters, by bridge and number; bridges without any are left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub meters: BTreeMap<String, BTreeMap<u32, Meter>>,
    /// What packets that flows send to the agent are logged as, by the lower half of the flows' cookies.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub logged: BTreeMap<u32, Logged>,
    /// Which address the flows translate into which, by the connection tracker's zone. Other connections of such zones must be
    /// forgotten.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub translations: BTreeMap<u16, BTreeMap<IpAddr, IpAddr>>,
    /// Network namespaces, by name.
    pub namespaces: BTreeMap<String, Namespace>,
    /// What runs in the namespaces, by their name; a namespace without services is left out.
    pub services: BTreeMap<String, NamespaceServices>,
    /// Address and MAC of tunnel peers, for `ovs-appctl tnl/neigh/set <endpoint bridge>` (userspace datapath only).
    pub tunnel_neighbours: BTreeMap<IpAddr, MacAddr>,
    /// The tunnel endpoint's address in the host's own namespace, when it is ours to set.
    pub endpoint: Option<Endpoint>,
    /// What can be reported of each port of this host once the rest of the plan is applied.
    pub ports: BTreeMap<PortId, PortState>,
    /// Highly available routers: whether this host is the active one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub routers: BTreeMap<RouterId, RouterState>,
    /// What cannot be realised beyond single ports, one sentence each.
    pub errors: BTreeSet<String>,
}

/// A bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// Made, and removed, by us. A physical bridge is not: only ports are put on it, and its `fail_mode` is set.
    pub ours: bool,
    /// `datapath_type`, when it is ours.
    pub datapath_type: Option<String>,
    /// `fail_mode`: `secure`, so that a bridge without flows forwards nothing; but trunks' bridges, which have no flows, are
    /// `standalone`.
    pub fail_mode: String,
    /// `protocols`; empty leaves the column alone.
    pub protocols: BTreeSet<String>,
    /// Ports that we make, by name. Other ports are left alone, unless they carry [`OWNER_KEY`].
    pub ports: BTreeMap<String, BridgePort>,
    /// Mirrors that we make, by name. Others' are left alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mirrors: BTreeMap<String, Mirror>,
    /// What it tells collectors of its traffic.
    #[serde(default, skip_serializing_if = "Exports::is_empty")]
    pub exports: Exports,
}

/// A mirror of a bridge: copies of packets go out by a port that serves nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// `select_src_port`: ports of which what comes in is copied.
    pub from: BTreeSet<String>,
    /// `select_dst_port`: ports of which what goes out is copied.
    pub to: BTreeSet<String>,
    /// `select_vlan`: only frames of these VLANs, 0 for untagged ones; empty: of all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub vlans: BTreeSet<u16>,
    /// `output_port`.
    pub output: String,
}

/// A port that we make, with one interface of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgePort {
    /// What it is.
    pub kind: PortKind,
    /// `external_ids` of the interface (`iface-id`, `attached-mac`, `iface-status`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub external_ids: BTreeMap<String, String>,
    /// `bfd` of the interface: settings of a session with the other end of a tunnel.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bfd: BTreeMap<String, String>,
}

/// What a port of a bridge is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum PortKind {
    /// One end of a patch.
    Patch {
        /// Name of the other end.
        peer: String,
    },
    /// A tunnel; its OVSDB interface type is the name of the network type.
    Tunnel {
        /// `vxlan`, `geneve` or `gre`.
        tunnel: NetworkType,
        /// `options` of the interface.
        options: BTreeMap<String, String>,
    },
    /// A tunnel to a collector of ERSPAN.
    Erspan {
        /// `options` of the interface.
        options: BTreeMap<String, String>,
    },
    /// The host's end of a veth pair whose other end, of the same name, is in a namespace. The device must be made
    /// before the port.
    Veth,
    /// An internal port, whose device is moved into a namespace after the port is made.
    Internal,
}

/// The VLAN of an access port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortTag {
    /// `tag`: local VLAN, or [`DEAD_VLAN`]; on a trunk's bridge that of a subport, or 0; of ports for copies 0, there
    /// [`DEAD_VLAN`]. A dead port has `trunks` set to the same, others have none.
    pub tag: u16,
    /// `other_config` as Neutron keeps it: `net_uuid`, `network_type`, `physical_network`, `segmentation_id`, `tag`;
    /// empty for dead ports. Read after a restart to give networks their local VLANs again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub other_config: BTreeMap<String, String>,
}

/// How a namespace's device hangs on the integration bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attachment {
    /// By a veth pair with the same name on both ends.
    Veth,
    /// By an internal port that is moved into the namespace.
    Internal,
}

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Namespace {
    /// Kernel parameters of the namespace, dotted; set before any device is there. The loopback device is always up.
    pub sysctls: BTreeMap<String, String>,
    /// Devices, by name.
    pub devices: BTreeMap<String, Device>,
    /// Routes beyond those that addresses bring.
    pub routes: BTreeSet<Route>,
    /// Packet filter tables that are ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nft: Vec<nft_rules::Table>,
    /// Floating address to fixed address, as the packet filter translates them: when an entry goes, so must the
    /// connections that it carried.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub floating_ips: BTreeMap<IpAddr, IpAddr>,
    /// Other hosts have the same: whenever its devices begin to announce, all their addresses have come over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moves: bool,
}

/// A device in a namespace; always administratively up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The port that it realises.
    pub port: PortId,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Bytes of the largest IP packet.
    pub mtu: u16,
    /// Its addresses, with their prefix length.
    pub addresses: BTreeSet<IpNet>,
    /// Others' addresses that it answers for (`ip neigh show proxy`).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub proxied: BTreeSet<IpAddr>,
    /// How it hangs on the switch.
    pub attachment: Attachment,
    /// False: transmit checksums must be computed in software, for the switch will not do it (`ethtool -K ... tx off`).
    pub checksum_offload: bool,
    /// Whether neighbours are told of a new address (gratuitous ARP, unsolicited neighbour advertisement).
    pub announce: bool,
    /// Kernel parameters of the device, dotted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
}

/// A route of a namespace. Several to one destination are used side by side: the kernel chooses among them by connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    /// Where to; the default route is `0.0.0.0/0` or `::/0`.
    pub destination: IpNet,
    /// By whom; none: directly.
    pub via: Option<IpAddr>,
    /// Through which device.
    pub device: String,
    /// Only for packets whose mark is such in [`Route::MARK_MASK`], where no other route but a default one leads. None: for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<u32>,
}

impl Route {
    /// The bits of a packet's mark that choose among default routes.
    pub const MARK_MASK: u32 = 0xff00;
}

/// Where a tunnel endpoint's address is set in the host's own namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The bridge's own port; also what tunnel neighbours are seeded for.
    pub device: String,
    /// The address.
    pub address: IpNet,
    /// `other_config:hwaddr` of the bridge.
    pub mac: Option<MacAddr>,
}

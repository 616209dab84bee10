//! Rows of Open vSwitch's tables as far as we look at them (ovs-vswitchd.conf.db(5)).

use crate::Row;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Text to text, as `external_ids`, `other_config` and `options` are.
pub type StringMap = BTreeMap<String, String>;

/// A table that we look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableName {
    /// The one row of the switch itself.
    OpenVSwitch,
    /// Bridges.
    Bridge,
    /// Ports of bridges.
    Port,
    /// Interfaces of ports: one, unless the port is a bond.
    Interface,
    /// Mirrors of bridges.
    Mirror,
    /// Packets that a bridge samples for sFlow collectors.
    SFlow,
    /// Flow records that a bridge sends by IPFIX.
    Ipfix,
    /// Flow records that a bridge sends by NetFlow.
    NetFlow,
}

impl TableName {
    /// As in the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenVSwitch => "Open_vSwitch",
            Self::Bridge => "Bridge",
            Self::Port => "Port",
            Self::Interface => "Interface",
            Self::Mirror => "Mirror",
            Self::SFlow => "sFlow",
            Self::Ipfix => "IPFIX",
            Self::NetFlow => "NetFlow",
        }
    }
}

/// A typed row.
pub trait TypedRow: PartialEq {
    /// Its table.
    const TABLE: TableName;
    /// From columns; what is missing or of another type is as if not set.
    fn from_row(uuid: Uuid, row: &Row) -> Self;
    /// What it is found by; the empty text for the one row of the switch itself.
    fn name(&self) -> &str;
}

/// The switch itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenVSwitch {
    /// Row.
    pub uuid: Uuid,
    /// Rows of its bridges.
    pub bridges: BTreeSet<Uuid>,
    /// For others: `system-id`, `ovn-...`, `hostname`.
    pub external_ids: StringMap,
    /// Settings.
    pub other_config: StringMap,
    /// Counts changes of the configuration that somebody waits for.
    pub next_cfg: i64,
    /// The last `next_cfg` that ovs-vswitchd has put into effect.
    pub cur_cfg: i64,
    /// Of ovs-vswitchd, such as `3.1.0`; none before it first ran.
    pub ovs_version: Option<String>,
    /// What `datapath_type` may be: `netdev`, `system`.
    pub datapath_types: BTreeSet<String>,
    /// What an interface's `type` may be.
    pub iface_types: BTreeSet<String>,
}

impl TypedRow for OpenVSwitch {
    const TABLE: TableName = TableName::OpenVSwitch;

    fn from_row(uuid: Uuid, row: &Row) -> Self {
        let row = Columns(row);
        Self {
            uuid,
            bridges: row.uuids("bridges"),
            external_ids: row.map("external_ids"),
            other_config: row.map("other_config"),
            next_cfg: row.integer("next_cfg").unwrap_or(0),
            cur_cfg: row.integer("cur_cfg").unwrap_or(0),
            ovs_version: row.text("ovs_version"),
            datapath_types: row.texts("datapath_types"),
            iface_types: row.texts("iface_types"),
        }
    }

    fn name(&self) -> &str {
        ""
    }
}

/// A bridge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bridge {
    /// Row.
    pub uuid: Uuid,
    /// Name, unique.
    pub name: String,
    /// Rows of its ports.
    pub ports: BTreeSet<Uuid>,
    /// `netdev` or `system`; empty is `system`.
    pub datapath_type: String,
    /// Sixteen hexadecimal digits; none before ovs-vswitchd has made the bridge.
    pub datapath_id: Option<String>,
    /// `secure` or `standalone`; none is `standalone`.
    pub fail_mode: Option<String>,
    /// OpenFlow versions that it speaks, such as `OpenFlow14`; none for the default.
    pub protocols: BTreeSet<String>,
    /// Rows of its mirrors.
    pub mirrors: BTreeSet<Uuid>,
    /// Row of its sFlow agent.
    pub sflow: Option<Uuid>,
    /// Row of its IPFIX exporter.
    pub ipfix: Option<Uuid>,
    /// Row of its NetFlow exporter.
    pub netflow: Option<Uuid>,
    /// For others.
    pub external_ids: StringMap,
    /// Settings, such as `hwaddr`.
    pub other_config: StringMap,
}

impl TypedRow for Bridge {
    const TABLE: TableName = TableName::Bridge;

    fn from_row(uuid: Uuid, row: &Row) -> Self {
        let row = Columns(row);
        Self {
            uuid,
            name: row.text("name").unwrap_or_default(),
            ports: row.uuids("ports"),
            datapath_type: row.text("datapath_type").unwrap_or_default(),
            datapath_id: row.text("datapath_id"),
            fail_mode: row.text("fail_mode"),
            protocols: row.texts("protocols"),
            mirrors: row.uuids("mirrors"),
            sflow: row.uuids("sflow").into_iter().next(),
            ipfix: row.uuids("ipfix").into_iter().next(),
            netflow: row.uuids("netflow").into_iter().next(),
            external_ids: row.map("external_ids"),
            other_config: row.map("other_config"),
        }
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// A port of a bridge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Port {
    /// Row.
    pub uuid: Uuid,
    /// Name, unique.
    pub name: String,
    /// Rows of its interfaces.
    pub interfaces: BTreeSet<Uuid>,
    /// The VLAN of an access port.
    pub tag: Option<u16>,
    /// The VLANs of a trunk; none for all.
    pub trunks: BTreeSet<u16>,
    /// `access`, `trunk`, ...; none to go by `tag`.
    pub vlan_mode: Option<String>,
    /// For others.
    pub external_ids: StringMap,
    /// Settings, and what Neutron keeps there (`net_uuid`, `segmentation_id`, ...).
    pub other_config: StringMap,
}

impl TypedRow for Port {
    const TABLE: TableName = TableName::Port;

    fn from_row(uuid: Uuid, row: &Row) -> Self {
        let row = Columns(row);
        Self {
            uuid,
            name: row.text("name").unwrap_or_default(),
            interfaces: row.uuids("interfaces"),
            tag: row.number("tag"),
            trunks: row.numbers("trunks"),
            vlan_mode: row.text("vlan_mode"),
            external_ids: row.map("external_ids"),
            other_config: row.map("other_config"),
        }
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// An interface of a port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interface {
    /// Row.
    pub uuid: Uuid,
    /// Name, unique; the device's, where there is one.
    pub name: String,
    /// `type`: empty or `system` for a device of the kernel, else `internal`, `patch`, `vxlan`, ...
    pub kind: String,
    /// Of tunnels and patches.
    pub options: StringMap,
    /// Settings of its BFD session (RFC 5880); empty: it keeps none.
    pub bfd: StringMap,
    /// How that session stands: `forwarding`, `state`, `remote_state`, ...
    pub bfd_status: StringMap,
    /// `iface-id`, `attached-mac`, `iface-status`, `vm-uuid`.
    pub external_ids: StringMap,
    /// Settings.
    pub other_config: StringMap,
    /// OpenFlow number; none before ovs-vswitchd has given one, or when it could not open the device (see `error`).
    pub ofport: Option<u32>,
    /// The device's number in the kernel; 0: it is gone, or of a kind that has none.
    pub ifindex: Option<u32>,
    /// The OpenFlow number that was asked for.
    pub ofport_request: Option<u32>,
    /// The MAC address that was asked for.
    pub mac: Option<String>,
    /// The device's MAC address.
    pub mac_in_use: Option<String>,
    /// The device's MTU.
    pub mtu: Option<u32>,
    /// The MTU that was asked for.
    pub mtu_request: Option<u32>,
    /// `up` or `down`.
    pub admin_state: Option<String>,
    /// `up` or `down`: whether there is carrier.
    pub link_state: Option<String>,
    /// Why ovs-vswitchd could not put it into effect.
    pub error: Option<String>,
}

impl TypedRow for Interface {
    const TABLE: TableName = TableName::Interface;

    fn from_row(uuid: Uuid, row: &Row) -> Self {
        let row = Columns(row);
        Self {
            uuid,
            name: row.text("name").unwrap_or_default(),
            kind: row.text("type").unwrap_or_default(),
            options: row.map("options"),
            bfd: row.map("bfd"),
            bfd_status: row.map("bfd_status"),
            external_ids: row.map("external_ids"),
            other_config: row.map("other_config"),
            // -1 stands for "could not be opened" and so is no number.
            ofport: row.number("ofport"),
            ifindex: row.number("ifindex"),
            ofport_request: row.number("ofport_request"),
            mac: row.text("mac"),
            mac_in_use: row.text("mac_in_use"),
            mtu: row.number("mtu"),
            mtu_request: row.number("mtu_request"),
            admin_state: row.text("admin_state"),
            link_state: row.text("link_state"),
            error: row.text("error"),
        }
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// A mirror of a bridge: copies of some ports' packets go out by another port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mirror {
    /// Row.
    pub uuid: Uuid,
    /// Name; unique only within a bridge.
    pub name: String,
    /// Ports whose incoming packets are copied.
    pub select_src_port: BTreeSet<Uuid>,
    /// Ports whose outgoing packets are copied.
    pub select_dst_port: BTreeSet<Uuid>,
    /// Only packets of these VLANs; empty: of all.
    pub select_vlan: BTreeSet<u16>,
    /// Where the copies go.
    pub output_port: Option<Uuid>,
    /// For others.
    pub external_ids: StringMap,
}

impl TypedRow for Mirror {
    const TABLE: TableName = TableName::Mirror;

    fn from_row(uuid: Uuid, row: &Row) -> Self {
        let row = Columns(row);
        Self {
            uuid,
            name: row.text("name").unwrap_or_default(),
            select_src_port: row.uuids("select_src_port"),
            select_dst_port: row.uuids("select_dst_port"),
            select_vlan: row.numbers("select_vlan"),
            output_port: row.uuids("output_port").into_iter().next(),
            external_ids: row.map("external_ids"),
        }
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// What a bridge tells collectors of its traffic: a row of one of three tables, which a bridge has at most one of.
pub trait Export: TypedRow {
    /// Row.
    fn uuid(&self) -> Uuid;
    /// Its columns, `external_ids` among them.
    fn columns(&self) -> &Row;
}

macro_rules! export {
    ($name:ident, $table:ident, $what:literal) => {
        #[doc = $what]
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct $name {
            /// Row.
            pub uuid: Uuid,
            /// All columns that are monitored.
            pub columns: Row,
        }

        impl TypedRow for $name {
            const TABLE: TableName = TableName::$table;

            fn from_row(uuid: Uuid, row: &Row) -> Self {
                Self { uuid, columns: row.clone() }
            }

            fn name(&self) -> &str {
                ""
            }
        }

        impl Export for $name {
            fn uuid(&self) -> Uuid {
                self.uuid
            }

            fn columns(&self) -> &Row {
                &self.columns
            }
        }
    };
}

export!(SFlow, SFlow, "An sFlow agent.");
export!(Ipfix, Ipfix, "An IPFIX exporter.");
export!(NetFlow, NetFlow, "A NetFlow exporter.");

struct Columns<'a>(&'a Row);

impl Columns<'_> {
    fn text(&self, column: &str) -> Option<String> {
        self.0.get(column)?.as_str().map(str::to_owned)
    }

    fn integer(&self, column: &str) -> Option<i64> {
        self.0.get(column)?.as_i64()
    }

    fn number<N: TryFrom<i64>>(&self, column: &str) -> Option<N> {
        N::try_from(self.integer(column)?).ok()
    }

    fn numbers(&self, column: &str) -> BTreeSet<u16> {
        let atoms = self.0.get(column).into_iter().flat_map(crate::Value::atoms);
        atoms.filter_map(|atom| crate::Value::from(atom.clone()).as_i64()?.try_into().ok()).collect()
    }

    fn texts(&self, column: &str) -> BTreeSet<String> {
        self.0.get(column).map(crate::Value::strings).unwrap_or_default()
    }

    fn uuids(&self, column: &str) -> BTreeSet<Uuid> {
        self.0.get(column).map(crate::Value::uuids).unwrap_or_default()
    }

    fn map(&self, column: &str) -> StringMap {
        self.0.get(column).map(crate::Value::string_map).unwrap_or_default()
    }
}

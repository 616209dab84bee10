//! The difference between two views, entry by entry.
//!
//! The law: `delta(a, b)` applied to `a` gives `b`, and `delta(b, b)` is empty.

use crate::view::{
    Dhcp, DhcpClient, HostView, LocalIp, Log, MetadataClient, Network, Port, PortQos, RemotePort, Router,
    SecurityGroup, Subnet, TapMirror, TapService, Trunk, TunnelPeer,
};
use net_types::{IpNet, NetworkId, PortId, RouterId, SecurityGroupId, SubnetId, TrunkId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What to set and what to forget in one map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapDelta<K: Ord, V> {
    /// Entries that are new or differ.
    #[serde(default = "BTreeMap::new", skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<K, V>,
    /// Entries that are gone.
    #[serde(default = "BTreeSet::new", skip_serializing_if = "BTreeSet::is_empty")]
    pub unset: BTreeSet<K>,
}

impl<K: Ord, V> Default for MapDelta<K, V> {
    fn default() -> Self {
        Self { set: BTreeMap::new(), unset: BTreeSet::new() }
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> MapDelta<K, V> {
    /// What turns `old` into `new`.
    pub fn between(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>) -> Self {
        Self {
            set: new.iter().filter(|(k, v)| old.get(k) != Some(v)).map(|(k, v)| (k.clone(), v.clone())).collect(),
            unset: old.keys().filter(|k| !new.contains_key(k)).cloned().collect(),
        }
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.unset.is_empty()
    }

    /// Makes the change.
    pub fn apply(self, map: &mut BTreeMap<K, V>) {
        for key in &self.unset {
            map.remove(key);
        }
        map.extend(self.set);
    }
}

macro_rules! view_delta {
    ($($field:ident: $key:ty => $value:ty,)*) => {
        /// What turns one [`HostView`] into another; fields are those of the view.
        #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(default)]
        #[allow(missing_docs)] // each is the field of the same name in HostView
        pub struct HostViewDelta {
            $(#[serde(skip_serializing_if = "MapDelta::is_empty")] pub $field: MapDelta<$key, $value>,)*
        }

        impl HostViewDelta {
            /// What turns `old` into `new`.
            pub fn between(old: &HostView, new: &HostView) -> Self {
                // Naming every field makes a forgotten one a compile error.
                let HostView { $($field),* } = old;
                Self { $($field: MapDelta::between($field, &new.$field),)* }
            }

            /// Whether it changes nothing.
            pub fn is_empty(&self) -> bool {
                $(self.$field.is_empty())&&*
            }

            /// Makes the change.
            pub fn apply(self, view: &mut HostView) {
                $(self.$field.apply(&mut view.$field);)*
            }
        }
    };
}

view_delta! {
    networks: NetworkId => Network,
    subnets: SubnetId => Subnet,
    ports: PortId => Port,
    remote_ports: PortId => RemotePort,
    security_groups: SecurityGroupId => SecurityGroup,
    group_members: SecurityGroupId => BTreeSet<IpNet>,
    dhcp: NetworkId => Dhcp,
    dhcp_clients: PortId => DhcpClient,
    metadata_clients: PortId => MetadataClient,
    routers: RouterId => Router,
    tunnel_peers: String => TunnelPeer,
    qos: PortId => PortQos,
    trunks: TrunkId => Trunk,
    tap_services: Uuid => TapService,
    tap_mirrors: Uuid => TapMirror,
    local_ips: Uuid => LocalIp,
    logs: Uuid => Log,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn peers() -> impl Strategy<Value = HostView> {
        proptest::collection::btree_map(0u8..6, 0u8..3, 0..6).prop_map(|entries| HostView {
            tunnel_peers: entries
                .into_iter()
                .map(|(host, last)| {
                    let address = IpAddr::from([10, 0, 0, last]);
                    (format!("host{host}"), TunnelPeer { address, mac: None, types: BTreeSet::new(), watched: false })
                })
                .collect(),
            ..HostView::default()
        })
    }

    proptest! {
        #[test]
        fn delta_leads_to_the_new_view(old in peers(), new in peers()) {
            let delta = HostViewDelta::between(&old, &new);
            let over_the_wire: HostViewDelta =
                serde_json::from_str(&serde_json::to_string(&delta).unwrap()).unwrap();
            let mut view = old;
            over_the_wire.apply(&mut view);
            prop_assert!(HostViewDelta::between(&view, &new).is_empty());
            prop_assert_eq!(view, new);
        }
    }
}

//! The tunnel endpoint of the userspace datapath: its address on the bridge's own port, and the peers' MAC addresses.
//!
//! ovs-vswitchd makes the bridge's own port anew when it starts, without address and down, and knows no neighbour then: both
//! are looked at again and again. A packet to a peer whose MAC is not known would be lost while it is asked for.

use host_drivers::links::{LinkChange, Links};
use host_drivers::{DriverError, Place, unixctl};
use host_plan::Endpoint;
use net_types::{IpNet, MacAddr};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// Open vSwitch forgets a neighbour after fifteen minutes.
const REFRESH: Duration = Duration::from_secs(120);

/// What was set, as far as is known.
pub(super) struct EndpointKeeper {
    rundir: PathBuf,
    links: Option<Links>,
    seeded: BTreeMap<IpAddr, (MacAddr, Instant)>,
}

impl EndpointKeeper {
    pub(super) fn new(rundir: &Path) -> Self {
        Self { rundir: rundir.to_owned(), links: None, seeded: BTreeMap::new() }
    }

    /// The switch was restarted: it knows no neighbour any more.
    pub(super) fn forget(&mut self) {
        self.seeded.clear();
    }

    /// Asks the switch whom it still knows; who is missing, or known by another MAC, is set again by the next look.
    pub(super) async fn audit(&mut self) {
        if self.seeded.is_empty() {
            return;
        }
        match unixctl::run(&self.rundir, "tnl/neigh/show", &[]).await {
            Ok(said) => {
                let known = crate::audit::neighbours(&said);
                let knows =
                    |address: &IpAddr, mac: &MacAddr| known.iter().any(|((_, of), at)| (of, at) == (address, mac));
                self.seeded.retain(|address, (mac, _)| knows(address, mac));
            }
            // It is being restarted: then it knows nobody.
            Err(_) => self.seeded.clear(),
        }
    }

    /// Sets what is missing.
    pub(super) async fn keep(
        &mut self,
        endpoint: &Endpoint,
        neighbours: &BTreeMap<IpAddr, MacAddr>,
    ) -> Result<(), DriverError> {
        self.keep_address(&endpoint.device, endpoint.address).await?;
        self.seeded.retain(|address, _| neighbours.contains_key(address));
        for (address, mac) in neighbours {
            let now = Instant::now();
            let fresh = |(known, at): &(MacAddr, Instant)| known == mac && now.duration_since(*at) < REFRESH;
            if !self.seeded.get(address).is_some_and(fresh) {
                let words = [endpoint.device.as_str(), &address.to_string(), &mac.to_string()];
                unixctl::run(&self.rundir, "tnl/neigh/set", &words).await?;
                self.seeded.insert(*address, (*mac, now));
            }
        }
        Ok(())
    }

    async fn keep_address(&mut self, device: &str, address: IpNet) -> Result<(), DriverError> {
        let links = match self.links.take() {
            Some(links) => links,
            None => Links::open(&Place::Host).await?,
        };
        let links = self.links.insert(links);
        let Some(link) = links.get(device).await? else {
            return Err(DriverError::Netlink {
                what: format!("give {device} the tunnel endpoint's address"),
                place: Place::Host.to_string(),
                reason: "the switch has not made it".to_owned(),
                errno: None,
            });
        };
        if !link.up {
            links.set(link.index, LinkChange { up: Some(true), ..LinkChange::default() }).await?;
        }
        let has_it = links.addresses().await?.get(&link.index).is_some_and(|held| held.contains(&address));
        if !has_it {
            links.add_address(link.index, address).await?;
        }
        Ok(())
    }
}

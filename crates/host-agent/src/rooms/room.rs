//! One namespace: looked at, compared, made what the plan says.
//!
//! The order is what keeps it safe at every moment: kernel parameters and filters before there is a device to forward
//! through, addresses before routes, connections of a floating IP forgotten only after its translation is gone, a new
//! address announced once the switch carries its port. A device that fails is its port's misfortune only.

use super::difference::{Change, Found, device, routes, stale_devices};
use super::ears::{Ears, Heard};
use super::is_our_table;
use super::services::Services;
use crate::AgentError;
use error_text::sentence;
use host_drivers::attach::{self, Attached};
use host_drivers::changes::Changed;
use host_drivers::links::{Link, Links};
use host_drivers::sysctl::Parameters;
use host_drivers::{DriverError, Place, announce, conntrack, netns, nft};
use host_plan::{Attachment, Forwarded, NAT_TABLE, Namespace, NamespaceServices, is_optional};
use host_services::MetadataService;
use host_view::PortState;
use net_types::{MacAddr, PortId};
use nft_rules::{Family, Table, Value, tables_from_json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// The loopback device's number in every namespace.
const LOOPBACK: u32 = 1;
/// How often an address is announced: once may be lost.
const ANNOUNCEMENTS: u8 = 2;

/// What a namespace must be, and how far the switch is with its devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoomPlan {
    pub namespace: Namespace,
    pub services: NamespaceServices,
    /// Devices that are ports of the switch.
    pub plugged: Vec<String>,
    /// Ports that the switch carries traffic of.
    pub wired: Vec<PortId>,
}

/// How a look at a namespace ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Outcome {
    /// Ports whose part here is complete, or failed.
    pub ports: BTreeMap<PortId, PortState>,
    /// What failed beyond single ports.
    pub error: Option<String>,
    /// What this host cannot do, while everything else is done.
    pub warnings: Vec<String>,
    /// Devices whose end in the host is ready to be a port of the switch.
    pub devices: Vec<String>,
}

impl Outcome {
    pub(super) fn failed(&self) -> bool {
        self.error.is_some()
            || !self.warnings.is_empty()
            || self.ports.values().any(|state| matches!(state, PortState::Failed { .. }))
    }
}

/// An open namespace and what is known of it.
#[derive(Debug)]
pub(super) struct Room {
    name: String,
    place: Place,
    parameters: Arc<Parameters>,
    /// Tells a namespace from another one of the same name.
    inode: u64,
    /// The filters, as last written or read.
    tables: Option<BTreeMap<(Family, String), Table>>,
    floating_ips: BTreeMap<IpAddr, IpAddr>,
    /// Floating addresses some of whose forwarded ports lead elsewhere now, while their connections do not know it.
    moved: BTreeSet<IpAddr>,
    sysctls: BTreeMap<String, String>,
    /// Device parameters that are set, and the number of the device that they were set on.
    device_sysctls: BTreeMap<String, (u32, BTreeMap<String, String>)>,
    unannounced: Vec<Announcement>,
    /// Devices whose addresses were this host's to announce at the last look.
    announcing: BTreeSet<String>,
    services: Services,
    /// None: a kernel that has no such sockets; the timed looks must do.
    ears: Option<Ears>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Announcement {
    port: PortId,
    device: String,
    mac: MacAddr,
    address: IpAddr,
    left: u8,
}

impl Announcement {
    fn of(name: &str, device: &host_plan::Device, address: IpAddr) -> Self {
        Self { port: device.port, device: name.to_owned(), mac: device.mac, address, left: ANNOUNCEMENTS }
    }
}

fn inode(name: &str) -> Option<u64> {
    std::fs::metadata(format!("/run/netns/{name}")).ok().map(|file| file.ino())
}

impl Room {
    /// Opens the namespace, making it where it is missing.
    pub(super) async fn open(
        name: &str,
        metadata: Arc<MetadataService>,
        tell: UnboundedSender<Heard>,
    ) -> Result<Self, DriverError> {
        netns::create(name)?;
        let place = Place::named(name);
        let ears = Ears::open(name, &place, tell).await;
        if let Err(error) = &ears {
            tracing::warn!(namespace = name, error = sentence(error), "changes by others are not heard");
        }
        let up = host_drivers::links::LinkChange { up: Some(true), ..Default::default() };
        Links::open(&place).await?.set(LOOPBACK, up).await?;
        let parameters = Parameters::open(&place).await?;
        Ok(Self {
            name: name.to_owned(),
            place,
            parameters,
            inode: inode(name).unwrap_or_default(),
            tables: None,
            floating_ips: BTreeMap::new(),
            moved: BTreeSet::new(),
            sysctls: BTreeMap::new(),
            device_sysctls: BTreeMap::new(),
            unannounced: vec![],
            announcing: BTreeSet::new(),
            services: Services::new(metadata),
            ears: ears.ok(),
        })
    }

    /// Whether the namespace is still the one that was opened.
    pub(super) fn is_current(&self) -> bool {
        netns::exists(&self.name).unwrap_or(false) && inode(&self.name) == Some(self.inode)
    }

    /// Its kernel parameters.
    pub(super) fn parameters(&self) -> &Arc<Parameters> {
        &self.parameters
    }

    /// Changes what the services answer, when that is all that has to change. False: that takes a look.
    pub(super) fn take_services(&self, old: &NamespaceServices, new: &NamespaceServices) -> bool {
        self.services.take(old, new)
    }

    /// Forgets what is known of what may have been changed by others, so that it is read. (Devices, addresses and routes
    /// always are.)
    pub(super) fn distrust(&mut self, changed: Changed) {
        if changed.filters {
            self.tables = None;
        }
        self.sysctls.clear();
        self.device_sysctls.clear();
    }

    /// Makes it so, as far as it can be. Also what was changed there meanwhile, by this or by others.
    pub(super) async fn realise(&mut self, plan: &RoomPlan) -> (Outcome, Changed) {
        let mut outcome = Outcome::default();
        self.ears.iter().for_each(Ears::ignore);
        if let Err(error) = self.realise_all(plan, &mut outcome).await {
            outcome.error = Some(sentence(&error));
        }
        (outcome, self.ears.as_ref().map(Ears::listen).unwrap_or_default())
    }

    async fn realise_all(&mut self, plan: &RoomPlan, outcome: &mut Outcome) -> Result<(), AgentError> {
        let namespace = &plan.namespace;
        if self.sysctls != namespace.sysctls {
            self.parameters.set(&namespace.sysctls).await?;
            self.sysctls.clone_from(&namespace.sysctls);
        }
        outcome.warnings = self.filters(&namespace.nft).await?;
        // For this look only: its buffers are larger than all else that is kept of a namespace.
        let links = Links::open(&self.place).await?;
        let host = outer_ends(namespace).await?;
        let before = self.look(&links).await?;
        self.remove_stale(plan, &before).await?;
        let mut failures = BTreeMap::new();
        for (name, wanted) in &namespace.devices {
            match self.attach(name, wanted, &host, &before, plan).await {
                Ok(true) => outcome.devices.push(name.clone()),
                // An internal port comes into being by the switch; until then its port is simply not up.
                Ok(false) => {}
                Err(error) => {
                    failures.insert(wanted.port, sentence(&error));
                }
            }
        }
        let found = self.look(&links).await?;
        let mut complete = vec![];
        for (name, wanted) in &namespace.devices {
            let Some(link) = found.links.get(name) else { continue };
            let came_over = namespace.moves && wanted.announce && !self.announcing.contains(name);
            match self.settle(&links, (name, wanted), came_over, &found, link).await {
                Ok(()) => complete.push(wanted.port),
                Err(error) => {
                    failures.insert(wanted.port, sentence(&error));
                }
            }
        }
        for change in routes(namespace, &self.look(&links).await?) {
            make(&links, change).await?;
        }
        self.forget_floating_ips(namespace).await?;
        self.forget_forwardings(&namespace.nft).await?;
        self.services.realise(&self.place, &plan.services, &found).await?;
        self.announce(plan).await;
        outcome.ports.extend(complete.into_iter().map(|port| (port, PortState::Up)));
        outcome.ports.extend(failures.into_iter().map(|(port, reason)| (port, PortState::Failed { reason })));
        Ok(())
    }

    async fn look(&self, links: &Links) -> Result<Found, DriverError> {
        Ok(Found {
            links: links.list().await?,
            addresses: links.addresses().await?,
            routes: links.routes().await?,
            // Only routers ever have any.
            rules: match self.name.starts_with("qrouter-") {
                true => links.policy_rules().await?,
                false => BTreeSet::new(),
            },
            proxied: links.proxied().await?,
        })
    }

    /// Filters: read once, then written only where they differ; a table is replaced as a whole or not at all. Tables of ours
    /// that nobody wants go. The answer: what of the optional ones this kernel cannot do.
    async fn filters(&mut self, wanted: &[Table]) -> Result<Vec<String>, AgentError> {
        let installed = match self.tables.take() {
            Some(known) => known,
            // Where there never are any, nobody need look.
            None if wanted.is_empty() && !self.name.starts_with("qrouter-") => BTreeMap::new(),
            None => {
                let json = nft::list(&self.place).await?;
                // What cannot be read differs from every plan, and is replaced.
                let read = tables_from_json(&String::from_utf8_lossy(&json)).unwrap_or_default();
                if self.floating_ips.is_empty() {
                    self.floating_ips = translated(&read);
                }
                read
            }
        };
        let key = |table: &Table| (table.family, table.name.clone());
        let (mut now, mut warnings) = (BTreeMap::new(), vec![]);
        let is_wanted = |known: &Table| wanted.iter().any(|table| key(table) == key(known));
        let stale = installed.values().filter(|known| is_our_table(&known.name) && !is_wanted(known));
        let mut script: String = stale.map(Table::remove_script).collect();
        for table in wanted {
            let known = installed.get(&key(table));
            let change = match known {
                Some(known) if known == table => String::new(),
                Some(known) if table.has_counters() => table.update_script(known),
                _ => table.install_script(),
            };
            if !is_optional(table) {
                script += &change;
            } else if !change.is_empty()
                && let Err(error) = nft::apply(&self.place, change).await
            {
                warnings.push(format!("{} is not possible here: {}", table.name, sentence(&error)));
                continue;
            }
            now.insert(key(table), table.clone());
        }
        if !script.is_empty() {
            nft::apply(&self.place, script).await?;
        }
        self.moved.extend(Forwarded::of(installed.values()).moved(&Forwarded::of(wanted)));
        self.tables = Some(now);
        Ok(warnings)
    }

    /// Devices that nobody wants any more go once they are no ports of the switch any more.
    async fn remove_stale(&self, plan: &RoomPlan, found: &Found) -> Result<(), AgentError> {
        for name in stale_devices(&plan.namespace, found) {
            if !plan.plugged.contains(name) {
                attach::remove_veth(name).await?;
            }
        }
        Ok(())
    }

    /// Whether the device is there afterwards.
    async fn attach(
        &self,
        name: &str,
        wanted: &host_plan::Device,
        host: &BTreeMap<String, Link>,
        found: &Found,
        plan: &RoomPlan,
    ) -> Result<bool, AgentError> {
        let attached = Attached {
            name: name.to_owned(),
            place: self.place.clone(),
            mac: wanted.mac,
            mtu: wanted.mtu,
            checksum_offload: wanted.checksum_offload,
        };
        let inner = found.links.get(name);
        match wanted.attachment {
            Attachment::Veth => {
                let whole = inner.zip(host.get(name)).is_some_and(|(inner, outer)| {
                    let are_a_pair = inner.peer == Some(outer.index) && outer.peer == Some(inner.index);
                    are_a_pair && outer.up && outer.mtu == u32::from(wanted.mtu)
                });
                if !whole {
                    attach::veth(&attached).await?;
                }
                Ok(true)
            }
            Attachment::Internal if inner.is_some() => Ok(true),
            Attachment::Internal if plan.plugged.iter().any(|plugged| plugged == name) && host.contains_key(name) => {
                attach::internal(&attached).await?;
                Ok(true)
            }
            Attachment::Internal => Ok(false),
        }
    }

    /// Addresses and parameters of a device that is there.
    async fn settle(
        &mut self,
        links: &Links,
        (name, wanted): (&str, &host_plan::Device),
        came_over: bool,
        found: &Found,
        link: &Link,
    ) -> Result<(), AgentError> {
        let set = (link.index, wanted.sysctls.clone());
        if self.device_sysctls.get(name) != Some(&set) {
            self.parameters.set(&wanted.sysctls).await?;
            self.device_sysctls.insert(name.to_owned(), set);
        }
        for change in device(wanted, found, link) {
            let new = match &change {
                Change::AddAddress { address, .. } => Some(address.addr()),
                Change::AddProxy { address, .. } => Some(*address),
                _ => None,
            };
            if let Some(address) = new.filter(|_| wanted.announce && !came_over) {
                self.unannounced.push(Announcement::of(name, wanted, address));
            }
            make(links, change).await?;
        }
        if came_over {
            self.unannounced.retain(|told| told.device != name);
            let addresses = wanted.addresses.iter().map(|net| net.addr()).chain(wanted.proxied.iter().copied());
            self.unannounced.extend(addresses.map(|address| Announcement::of(name, wanted, address)));
        }
        match wanted.announce {
            true => self.announcing.insert(name.to_owned()),
            false => self.announcing.remove(name),
        };
        Ok(())
    }

    /// Connections of floating IPs that are gone, or that lead elsewhere now.
    async fn forget_floating_ips(&mut self, namespace: &Namespace) -> Result<(), DriverError> {
        let gone =
            self.floating_ips.iter().filter(|(floating, fixed)| namespace.floating_ips.get(*floating) != Some(*fixed));
        for (floating, fixed) in gone {
            conntrack::forget_floating_ip(&self.place, *floating, *fixed).await?;
        }
        self.floating_ips.clone_from(&namespace.floating_ips);
        Ok(())
    }

    /// Connections through forwarded ports that lead elsewhere now, or nowhere.
    async fn forget_forwardings(&mut self, tables: &[Table]) -> Result<(), DriverError> {
        let forwarded = Forwarded::of(tables);
        while let Some(floating) = self.moved.first().copied() {
            for connection in conntrack::connections_to(&self.place, floating).await? {
                let leads = forwarded.lookup(&connection.protocol, floating, connection.destination.port());
                let went = (connection.answerer.ip(), connection.answerer.port());
                if went.0 != floating && leads != Some(went) {
                    conntrack::forget(&self.place, &connection).await?;
                }
            }
            self.moved.remove(&floating);
        }
        Ok(())
    }

    /// Tells the neighbours, once the switch carries what is told. Who cannot be told finds out by itself.
    async fn announce(&mut self, plan: &RoomPlan) {
        for told in self.unannounced.iter_mut().filter(|told| plan.wired.contains(&told.port)) {
            let device = plan.namespace.devices.get(&told.device);
            let has_it = device.is_some_and(|device| {
                device.proxied.contains(&told.address) || device.addresses.iter().any(|net| net.addr() == told.address)
            });
            told.left = if has_it { told.left.saturating_sub(1) } else { 0 };
            if has_it && let Err(error) = announce::send(&self.place, &told.device, told.mac, told.address).await {
                tracing::warn!(namespace = self.name, address = %told.address, error = sentence(&error), "not announced");
            }
        }
        self.unannounced.retain(|told| told.left > 0 && plan.namespace.devices.contains_key(&told.device));
    }
}

/// The devices' ends in the host, by name. The host may have thousands of others.
async fn outer_ends(namespace: &Namespace) -> Result<BTreeMap<String, Link>, DriverError> {
    let host = Links::open(&Place::Host).await?;
    let mut found = BTreeMap::new();
    for name in namespace.devices.keys() {
        found.extend(host.get(name).await?.map(|link| (name.clone(), link)));
    }
    Ok(found)
}

async fn make(links: &Links, change: Change) -> Result<(), DriverError> {
    match change {
        Change::Set { index, change } => links.set(index, change).await,
        Change::AddAddress { index, address } => links.add_address(index, address).await,
        Change::DeleteAddress { index, address } => links.delete_address(index, address).await,
        Change::AddProxy { index, address } => links.add_proxied(index, address).await,
        Change::DeleteProxy { index, address } => links.delete_proxied(index, address).await,
        Change::ReplaceRoute { destination, ways } => links.replace_route(destination, &ways).await,
        Change::DeleteRoute { destination, ways } => links.delete_route(destination, &ways).await,
        Change::AddRule(rule) => links.add_policy_rule(rule).await,
        Change::DeleteRule(rule) => links.delete_policy_rule(rule).await,
    }
}

/// Floating IPs that an earlier process translated: their connections may have to be forgotten.
fn translated(tables: &BTreeMap<(Family, String), Table>) -> BTreeMap<IpAddr, IpAddr> {
    let nat = tables.get(&(Family::Ip, NAT_TABLE.to_owned()));
    let map = nat.and_then(|table| table.maps.get("floating_to_fixed"));
    let pairs = map.into_iter().flat_map(|map| &map.elements);
    pairs
        .filter_map(|(floating, fixed)| match (floating, fixed) {
            (Value::Address(floating), Value::Address(fixed)) => Some((*floating, *fixed)),
            _ => None,
        })
        .collect()
}

/// Removes a namespace that nobody wants any more, its devices first. False: a device is still a port of the switch.
pub(crate) async fn remove(name: &str, plugged: &[String]) -> Result<bool, AgentError> {
    if netns::exists(name)? {
        let links = Links::open(&Place::named(name)).await?;
        let found = Found { links: links.list().await?, ..Found::default() };
        let nothing = Namespace::default();
        let devices = stale_devices(&nothing, &found);
        if devices.iter().any(|device| plugged.contains(device)) {
            return Ok(false);
        }
        for device in devices {
            attach::remove_veth(device).await?;
        }
    }
    netns::delete(name)?;
    Ok(true)
}

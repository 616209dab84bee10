//! What runs in a namespace beside the kernel: each service started, given new content, stopped.
//!
//! ```text
//! plan: NamespaceServices ──▶ per service: wanted? seat there? ── same seat ──▶ set(content), no socket touched
//!                                   │              └── another seat, device made anew ──▶ stop, start
//!                                   └── no ──▶ stop
//! ```
//! A service is bound to its seat (devices, addresses). To add one: a field in `host_plan::NamespaceServices`, a field in
//! [`Services`] with a line in each of its three functions, and an `impl Service`.

use super::difference::Found;
use crate::AgentError;
use host_drivers::Place;
use host_plan::{
    Dhcp6Server as Dhcp6Plan, DhcpServer as DhcpPlan, DnsServer as DnsPlan, MetadataProxy, NamespaceServices,
    RouterAdvertisement,
};
use host_services::{
    Dhcp6Server, Dhcp6Sockets, DhcpServer, DhcpSockets, DnsServer, DnsSockets, MetadataServer, MetadataService,
    MetadataSockets, RaServer, RaSocket,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What a service's sockets are bound to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Seat {
    /// All of them must be there before the service starts.
    devices: Vec<String>,
    /// Addresses of its own, when it listens on them one by one.
    addresses: BTreeSet<IpAddr>,
}

/// A service as the room sees it.
trait Service: Sized {
    /// Its part of the plan.
    type Content;

    /// What it shares with its like in other namespaces.
    type Means;

    fn seat(content: &Self::Content) -> Seat;

    /// Opens its sockets in the namespace and begins to answer.
    async fn start(place: &Place, content: &Self::Content, means: &Self::Means) -> Result<Self, AgentError>;

    /// Answers by this from now on; often called with what is known.
    fn set(&self, content: &Self::Content);

    /// Its sockets are closed when this returns.
    async fn stop(self);
}

/// A service that runs, and on what.
#[derive(Debug)]
struct Running<S> {
    service: S,
    seat: Seat,
    /// Numbers of the seat's devices: sockets on a device that was made anew are deaf.
    links: Vec<u32>,
}

/// The services of one namespace. Dropping them stops them.
#[derive(Debug)]
pub(super) struct Services {
    dhcp: Option<Running<DhcpServer>>,
    dhcp6: Option<Running<Dhcp6Server>>,
    dns: Option<Running<DnsServer>>,
    /// By device.
    ra: BTreeMap<String, Running<RaServer>>,
    metadata: Option<Running<MetadataServer>>,
    metadata_service: Arc<MetadataService>,
}

impl Services {
    /// None runs yet; metadata proxies will ask this service.
    pub(super) fn new(metadata_service: Arc<MetadataService>) -> Self {
        Self { dhcp: None, dhcp6: None, dns: None, ra: BTreeMap::new(), metadata: None, metadata_service }
    }

    /// Makes it so. One that fails keeps no other from running; the first error is told.
    pub(super) async fn realise(
        &mut self,
        place: &Place,
        wanted: &NamespaceServices,
        found: &Found,
    ) -> Result<(), AgentError> {
        let results = [
            realise(&mut self.dhcp, place, wanted.dhcp.as_ref(), &(), found).await,
            realise(&mut self.dhcp6, place, wanted.dhcp6.as_ref(), &(), found).await,
            realise(&mut self.dns, place, wanted.dns.as_ref(), &(), found).await,
            realise_each(&mut self.ra, place, &wanted.ra, found).await,
            realise(&mut self.metadata, place, wanted.metadata.as_ref(), &self.metadata_service, found).await,
        ];
        results.into_iter().collect()
    }

    /// Hands over `new`, when nothing but content differs from `old`, which is realised. False: that takes a look.
    pub(super) fn take(&self, old: &NamespaceServices, new: &NamespaceServices) -> bool {
        // Nothing is handed over before all of it can be.
        let same_seats = same_seat::<DhcpServer>(old.dhcp.as_ref(), new.dhcp.as_ref())
            && same_seat::<Dhcp6Server>(old.dhcp6.as_ref(), new.dhcp6.as_ref())
            && same_seat::<DnsServer>(old.dns.as_ref(), new.dns.as_ref())
            && same_seat::<MetadataServer>(old.metadata.as_ref(), new.metadata.as_ref())
            && old.ra.keys().eq(new.ra.keys());
        same_seats
            && set(self.dhcp.as_ref(), new.dhcp.as_ref())
            && set(self.dhcp6.as_ref(), new.dhcp6.as_ref())
            && set(self.dns.as_ref(), new.dns.as_ref())
            && set(self.metadata.as_ref(), new.metadata.as_ref())
            && set_each(&self.ra, &new.ra)
    }
}

async fn realise<S: Service>(
    slot: &mut Option<Running<S>>,
    place: &Place,
    wanted: Option<&S::Content>,
    means: &S::Means,
    found: &Found,
) -> Result<(), AgentError> {
    let seat = wanted.map(S::seat);
    let link = |device: &String| found.links.get(device).map(|link| link.index);
    // None: a device is not there yet, and the look that finds it starts the service.
    let links: Option<Vec<u32>> = seat.iter().flat_map(|seat| &seat.devices).map(link).collect();
    let fits = |running: &Running<S>| seat.as_ref() == Some(&running.seat) && links.as_ref() == Some(&running.links);
    if let Some(running) = slot.take_if(|running| !fits(running)) {
        running.service.stop().await;
    }
    let (Some(content), Some(seat), Some(links)) = (wanted, seat, links) else { return Ok(()) };
    match slot {
        Some(running) => running.service.set(content),
        None => *slot = Some(Running { service: S::start(place, content, means).await?, seat, links }),
    }
    Ok(())
}

/// Services of one kind, one to a key: those that nobody wants are stopped, each other one is realised.
async fn realise_each<S: Service<Means = ()>>(
    slots: &mut BTreeMap<String, Running<S>>,
    place: &Place,
    wanted: &BTreeMap<String, S::Content>,
    found: &Found,
) -> Result<(), AgentError> {
    let keys: BTreeSet<String> = slots.keys().chain(wanted.keys()).cloned().collect();
    let mut result = Ok(());
    for key in keys {
        let mut slot = slots.remove(&key);
        let realised = realise(&mut slot, place, wanted.get(&key), &(), found).await;
        slots.extend(slot.map(|running| (key, running)));
        result = result.and(realised);
    }
    result
}

fn same_seat<S: Service>(old: Option<&S::Content>, new: Option<&S::Content>) -> bool {
    old.map(S::seat) == new.map(S::seat)
}

/// Whether what is wanted runs, and has its content now.
fn set<S: Service>(slot: Option<&Running<S>>, wanted: Option<&S::Content>) -> bool {
    match (slot, wanted) {
        (Some(running), Some(content)) => {
            running.service.set(content);
            true
        }
        (None, None) => true,
        _ => false,
    }
}

/// [`set`], for services of one kind.
fn set_each<S: Service>(slots: &BTreeMap<String, Running<S>>, wanted: &BTreeMap<String, S::Content>) -> bool {
    slots.keys().eq(wanted.keys()) && wanted.iter().all(|(key, content)| set(slots.get(key), Some(content)))
}

impl Service for DhcpServer {
    type Content = DhcpPlan;
    type Means = ();

    fn seat(content: &DhcpPlan) -> Seat {
        Seat { devices: vec![content.device.clone()], ..Seat::default() }
    }

    async fn start(place: &Place, content: &DhcpPlan, (): &()) -> Result<Self, AgentError> {
        let device = content.device.clone();
        let sockets = place.run(move || DhcpSockets::open(&device)).await??;
        Ok(Self::start(&content.network.to_string(), sockets, content.leases.clone())?)
    }

    fn set(&self, content: &DhcpPlan) {
        self.set_leases(content.leases.clone());
    }

    async fn stop(self) {
        self.stop().await;
    }
}

impl Service for Dhcp6Server {
    type Content = Dhcp6Plan;
    type Means = ();

    fn seat(content: &Dhcp6Plan) -> Seat {
        Seat { devices: vec![content.device.clone()], ..Seat::default() }
    }

    async fn start(place: &Place, content: &Dhcp6Plan, (): &()) -> Result<Self, AgentError> {
        let device = content.device.clone();
        let sockets = place.run(move || Dhcp6Sockets::open(&device)).await??;
        Ok(Self::start(sockets, content.clone())?)
    }

    fn set(&self, content: &Dhcp6Plan) {
        self.set(content);
    }

    async fn stop(self) {
        self.stop().await;
    }
}

impl Service for DnsServer {
    type Content = DnsPlan;
    type Means = ();

    fn seat(content: &DnsPlan) -> Seat {
        Seat { devices: vec![content.device.clone()], addresses: content.addresses.clone() }
    }

    async fn start(place: &Place, content: &DnsPlan, (): &()) -> Result<Self, AgentError> {
        let (device, addresses) = (content.device.clone(), content.addresses.clone());
        let sockets = place.run(move || DnsSockets::open(&device, &addresses)).await??;
        Ok(Self::start(sockets, content.clone())?)
    }

    fn set(&self, content: &DnsPlan) {
        self.set(content);
    }

    async fn stop(self) {
        self.stop().await;
    }
}

impl Service for RaServer {
    type Content = RouterAdvertisement;
    type Means = ();

    fn seat(content: &RouterAdvertisement) -> Seat {
        Seat { devices: vec![content.device.clone()], ..Seat::default() }
    }

    async fn start(place: &Place, content: &RouterAdvertisement, (): &()) -> Result<Self, AgentError> {
        let device = content.device.clone();
        let socket = place.run(move || RaSocket::open(&device)).await??;
        Ok(Self::start(&content.device, socket, content.clone())?)
    }

    fn set(&self, content: &RouterAdvertisement) {
        self.set(content);
    }

    async fn stop(self) {
        self.stop().await;
    }
}

impl Service for MetadataServer {
    type Content = MetadataProxy;
    type Means = Arc<MetadataService>;

    fn seat(content: &MetadataProxy) -> Seat {
        let addresses = content.listens.iter().map(SocketAddr::ip).collect();
        Seat { devices: content.device.iter().cloned().collect(), addresses }
    }

    async fn start(place: &Place, content: &MetadataProxy, means: &Self::Means) -> Result<Self, AgentError> {
        let (device, listens) = (content.device.clone(), content.listens.clone());
        let sockets = place.run(move || MetadataSockets::open(device.as_deref(), &listens)).await??;
        Ok(Self::start(&content.name, sockets, content.clients.clone(), means.clone())?)
    }

    fn set(&self, content: &MetadataProxy) {
        self.set_clients(content.clients.clone());
    }

    async fn stop(self) {
        self.stop().await;
    }
}

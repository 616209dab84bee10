//! The host's side of a probe, run inside the host: plugging as Nova's os-vif does it, addressing as an instance would.
//!
//! A probe is the namespace `qprobe-PORT` with `eth0`, whose other end `tapXXXXXXXXXXX` (11 characters of the port's id) is
//! a port of br-int (or, when its port is the parent of a trunk, of the trunk's bridge). What is known of it lies in [`FOLDER`] on its host.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use host_drivers::links::{Link, LinkChange, Links, Way};
use host_drivers::{DriverError, Place, attach, netns, offload, sysctl};
use ipnet::{IpNet, Ipv4Net};
use net_types::MacAddr;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::dhcp::{self, DhcpError, Lease};

/// Where a host keeps its probes, one file each.
pub const FOLDER: &str = "/var/lib/neutronium/probes";
/// Where `ip netns exec` looks for a namespace's own `/etc`.
const NETNS_ETC: &str = "/etc/netns";
const BRIDGE: &str = "br-int";
const DEVICE: &str = "eth0";
/// How long the agent is given to make a trunk's bridge.
const BRIDGE_PATIENCE: Duration = Duration::from_secs(10);

/// What to plug.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Probe {
    /// Unique in the lab, or on the host.
    pub name: String,
    /// Host it is on.
    pub host: String,
    /// Its port.
    pub port_id: Uuid,
    /// The bridge that it is plugged into: `bridge_name` of the port's binding.
    #[serde(default = "integration_bridge")]
    pub bridge: String,
    /// Its port was there before, and stays when the probe goes.
    #[serde(default)]
    pub keeps_port: bool,
    /// What stands for an instance's id.
    pub device_id: Uuid,
    /// The network's name, for people.
    pub network: String,
    /// The port's MAC.
    pub mac: MacAddr,
    /// The network's MTU.
    pub mtu: u16,
    /// Addresses that the API gave.
    pub addresses: Vec<IpNet>,
    /// Next hop for a network without DHCP.
    pub gateway: Option<IpAddr>,
    /// Whether to ask DHCP; else the addresses are set as they are.
    pub dhcp: bool,
    /// What DHCP granted.
    pub lease: Option<Lease>,
    /// From plugging to the address being set, milliseconds.
    pub addressed_after_ms: u64,
}

/// The bridge of ordinary ports.
pub fn integration_bridge() -> String {
    BRIDGE.to_owned()
}

impl Probe {
    /// Its namespace's name.
    pub fn namespace(&self) -> String {
        format!("qprobe-{}", self.port_id)
    }

    /// Its device's name on the host, as Nova names it.
    fn tap(&self) -> String {
        format!("tap{}", self.port_id).chars().take(14).collect()
    }

    fn file(&self) -> PathBuf {
        Path::new(FOLDER).join(format!("{}.json", self.name))
    }
}

/// What failed on the host.
#[derive(Debug, thiserror::Error)]
pub enum PlugError {
    /// There is no bridge to plug into.
    #[error("host {0} has no {1}: is its agent running?")]
    NoBridge(String, String),
    /// A tool said no.
    #[error("`{0}` failed: {1}")]
    Tool(String, String),
    /// A driver said no.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// DHCP gave nothing.
    #[error(transparent)]
    Dhcp(#[from] DhcpError),
    /// A file could not be written.
    #[error("cannot write {0}")]
    File(PathBuf, #[source] std::io::Error),
}

/// Plugs and addresses a probe; removes what it made if that fails.
pub async fn plug(mut probe: Probe, patience: Duration) -> Result<Probe, PlugError> {
    match attempt(&mut probe, patience).await {
        Ok(()) => Ok(probe),
        Err(error) => {
            unplug(&probe).await?;
            Err(error)
        }
    }
}

/// The bridge's `datapath_type`, empty without the bridge. A trunk's is made by the agent once the port is bound.
async fn datapath_of(bridge: &str) -> Result<String, PlugError> {
    let until = Instant::now() + if bridge == BRIDGE { Duration::ZERO } else { BRIDGE_PATIENCE };
    loop {
        let datapath = vsctl(&["--if-exists", "get", "Bridge", bridge, "datapath_type"])?;
        if !datapath.trim().is_empty() || Instant::now() >= until {
            return Ok(datapath);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn attempt(probe: &mut Probe, patience: Duration) -> Result<(), PlugError> {
    let datapath = datapath_of(&probe.bridge).await?;
    if datapath.trim().is_empty() {
        return Err(PlugError::NoBridge(probe.host.clone(), probe.bridge.clone()));
    }
    let offload_works = !datapath.contains("netdev");
    save(probe)?;

    let start = Instant::now();
    let (namespace, tap) = (probe.namespace(), probe.tap());
    let place = Place::named(&namespace);
    netns::create(&namespace)?;
    let (outside, inside) = (Links::open(&Place::Host).await?, Links::open(&place).await?);
    outside.add_veth(&tap, &place, DEVICE, probe.mac, probe.mtu).await?;
    attach::prepare_outer(&tap, offload_works).await?;
    if !offload_works {
        offload::disable(&place, DEVICE).await?;
    }
    // An instance takes addresses from router advertisements, and routes as long as they are, as NetworkManager and
    // systemd-networkd do: the one to the metadata address. Everything else as the kernel does it.
    let parameters = [("accept_dad", "0"), ("accept_ra_rt_info_max_plen", "128")];
    let parameters = parameters.map(|(name, value)| (format!("net.ipv6.conf.eth0.{name}"), value.to_owned()));
    sysctl::set(&place, &BTreeMap::from(parameters)).await?;
    raise(&inside, "lo").await?;
    let device = raise(&inside, DEVICE).await?;
    raise(&outside, &tap).await?;

    let set = |key: &str, value: &dyn std::fmt::Display| format!("external_ids:{key}=\"{value}\"");
    vsctl(&[
        "--no-wait",
        "--may-exist",
        "add-port",
        &probe.bridge,
        &tap,
        "--",
        "set",
        "Interface",
        &tap,
        &set("iface-id", &probe.port_id),
        &set("iface-status", &"active"),
        &set("attached-mac", &probe.mac),
        &set("vm-uuid", &probe.device_id),
    ])?;

    if probe.dhcp {
        let (mac, id) = (probe.mac, probe.port_id.as_fields().0);
        let lease = place.run(move || dhcp::acquire(DEVICE, mac, id, patience)).await??;
        configure(&inside, &device, &lease).await?;
        resolver(&namespace, &lease)?;
        probe.lease = Some(lease);
    } else {
        for address in &probe.addresses {
            inside.add_address(device.index, *address).await?;
        }
        if let Some(gateway) = probe.gateway {
            let way = Way { via: Some(gateway), device: device.index };
            inside.replace_route(IpNet::V4(Ipv4Net::default()).into(), &[way].into()).await?;
        }
    }
    probe.addressed_after_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    save(probe)
}

/// Removes a probe from its host; fine when parts of it are gone already.
pub async fn unplug(probe: &Probe) -> Result<(), PlugError> {
    let (namespace, tap) = (probe.namespace(), probe.tap());
    vsctl(&["--if-exists", "del-port", &tap])?;
    for pid in pids(&namespace) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
    attach::remove_veth(&tap).await?;
    netns::delete(&namespace)?;
    let _ = std::fs::remove_dir_all(Path::new(NETNS_ETC).join(&namespace));
    match std::fs::remove_file(probe.file()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(PlugError::File(probe.file(), error)),
        _ => Ok(()),
    }
}

/// Processes that somebody left running inside.
fn pids(namespace: &str) -> Vec<i32> {
    let output = Command::new("ip").args(["netns", "pids", namespace]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

async fn raise(links: &Links, name: &str) -> Result<Link, PlugError> {
    let link =
        links.get(name).await?.ok_or_else(|| PlugError::Tool(format!("find {name}"), "it is not there".to_owned()))?;
    links.set(link.index, LinkChange { up: Some(true), ..LinkChange::default() }).await?;
    Ok(link)
}

/// Sets what the lease says: MTU, address, routes; those to next hops come after those that say where the hops are.
async fn configure(inside: &Links, device: &Link, lease: &Lease) -> Result<(), PlugError> {
    if let Some(mtu) = lease.mtu {
        inside.set(device.index, LinkChange { mtu: Some(mtu), ..LinkChange::default() }).await?;
    }
    inside.add_address(device.index, IpNet::V4(lease.address)).await?;
    let mut routes = lease.routes.clone();
    routes.sort_by_key(|(_, via)| !via.is_unspecified());
    for (destination, via) in routes {
        let via = (!via.is_unspecified()).then_some(IpAddr::V4(via));
        inside.replace_route(IpNet::V4(destination).into(), &[Way { via, device: device.index }].into()).await?;
    }
    Ok(())
}

fn resolver(namespace: &str, lease: &Lease) -> Result<(), PlugError> {
    let mut text = String::new();
    if let Some(domain) = &lease.domain {
        text.push_str(&format!("search {domain}\n"));
    }
    for server in &lease.dns {
        text.push_str(&format!("nameserver {server}\n"));
    }
    let folder = Path::new(NETNS_ETC).join(namespace);
    let file = folder.join("resolv.conf");
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&file, text))
        .map_err(|error| PlugError::File(file, error))
}

fn save(probe: &Probe) -> Result<(), PlugError> {
    let file = probe.file();
    let json = serde_json::to_vec_pretty(probe).unwrap_or_default();
    let draft = file.with_extension("new");
    std::fs::create_dir_all(FOLDER)
        .and_then(|()| std::fs::write(&draft, json))
        .and_then(|()| std::fs::rename(&draft, &file))
        .map_err(|error| PlugError::File(file, error))
}

fn vsctl(arguments: &[&str]) -> Result<String, PlugError> {
    let line = || format!("ovs-vsctl {}", arguments.join(" "));
    let output = Command::new("ovs-vsctl")
        .arg("--timeout=20")
        .args(arguments)
        .output()
        .map_err(|error| PlugError::Tool(line(), error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(PlugError::Tool(line(), String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")))
}

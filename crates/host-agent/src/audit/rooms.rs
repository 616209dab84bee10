//! What of a plan the namespaces have: devices, addresses, routes, kernel parameters, filters, listening sockets.

use super::{Finding, How, Layer};
use crate::AgentError;
use crate::rooms::difference::{Change, Found, device, routes, stale_devices};
use crate::rooms::{is_our_table, is_ours};
use futures_util::{StreamExt, TryStreamExt, stream};
use host_drivers::links::{Destination, Link, Links, PolicyRule, Way};
use host_drivers::listening::listening;
use host_drivers::{Place, netns, nft, offload, sysctl};
use host_plan::{Attachment, Device, HostPlan, Namespace, NamespaceServices};
use host_view::AgentRole;
use nft_rules::tables_from_json;
use std::collections::{BTreeMap, BTreeSet};

/// Namespaces that are looked at together.
const AT_ONCE: usize = 8;

/// All of them, and those that should not be.
pub(super) async fn all(plan: &HostPlan, roles: &BTreeSet<AgentRole>) -> Result<Vec<Finding>, AgentError> {
    let there: BTreeSet<String> = netns::list()?.into_iter().collect();
    let strays = there.iter().filter(|name| is_ours(name, roles) && !plan.namespaces.contains_key(*name));
    let mut findings: Vec<Finding> =
        strays.map(|name| Finding::unexpected(Layer::Namespace, name, "namespace")).collect();
    let none = NamespaceServices::default();
    let host = Host::read().await?;
    let looks = plan.namespaces.iter().map(|(name, namespace)| {
        let (host, services) = (&host, plan.services.get(name).unwrap_or(&none));
        async move { one(name, namespace, services, host).await }
    });
    let found: Vec<Vec<Finding>> = stream::iter(looks).buffer_unordered(AT_ONCE).try_collect().await?;
    findings.extend(found.into_iter().flatten());
    Ok(findings)
}

/// The host's own namespace, as far as devices of others have an end in it.
struct Host {
    links: BTreeMap<String, Link>,
    /// Devices that the host's own stack does not hear.
    quiet: BTreeSet<String>,
}

impl Host {
    async fn read() -> Result<Self, AgentError> {
        let links = Links::open(&Place::Host).await?.list().await?;
        Ok(Self { links, quiet: nft::quiet_chains(&Place::Host).await?.into_values().flatten().collect() })
    }
}

async fn one(
    name: &str,
    plan: &Namespace,
    services: &NamespaceServices,
    host: &Host,
) -> Result<Vec<Finding>, AgentError> {
    if !netns::exists(name)? {
        return Ok(vec![Finding::missing(Layer::Namespace, name, "namespace")]);
    }
    let place = Place::named(name);
    let links = Links::open(&place).await?;
    let found = Found {
        links: links.list().await?,
        addresses: links.addresses().await?,
        routes: links.routes().await?,
        rules: links.policy_rules().await?,
        proxied: links.proxied().await?,
    };
    let mut findings = vec![];
    if found.links.get("lo").is_some_and(|lo| !lo.up) {
        findings.push(Finding::different(Layer::Device, name, "lo", "up", "down"));
    }
    let devices = plan.devices.iter().filter(|(device, _)| found.links.contains_key(*device));
    let wanted = plan.sysctls.iter().chain(devices.flat_map(|(_, device)| &device.sysctls));
    findings.extend(parameters(&place, name, wanted.map(|(a, b)| (a.clone(), b.clone())).collect()).await?);
    findings.extend(filters(&place, name, plan).await?);
    for stale in stale_devices(plan, &found) {
        findings.push(Finding::unexpected(Layer::Device, name, stale));
    }
    for (device, wanted) in &plan.devices {
        match found.links.get(device) {
            None => findings.push(Finding::missing(Layer::Device, name, device)),
            Some(link) => {
                findings.extend(inner(name, device, wanted, link, &found));
                if wanted.attachment == Attachment::Veth {
                    findings.extend(outer(&place, device, wanted, link, host).await?);
                }
            }
        }
    }
    findings.extend(ways(name, plan, &found));
    let sockets = services.sockets();
    let listening = if sockets.is_empty() { BTreeSet::new() } else { listening(&place).await? };
    for ((protocol, port), service) in sockets.iter().filter(|(socket, _)| !listening.contains(*socket)) {
        findings.push(Finding::missing(Layer::Service, name, format!("{service}: a socket on {protocol} port {port}")));
    }
    Ok(findings)
}

async fn parameters(place: &Place, name: &str, wanted: BTreeMap<String, String>) -> Result<Vec<Finding>, AgentError> {
    let now = sysctl::get(place, wanted.keys().cloned().collect()).await?;
    let differing = wanted.iter().filter(|(parameter, value)| now.get(*parameter) != Some(*value));
    Ok(differing
        .map(|(parameter, value)| match now.get(parameter) {
            Some(found) => Finding::different(Layer::Sysctl, name, parameter, value, found),
            None => Finding::missing(Layer::Sysctl, name, format!("{parameter} = {value}")),
        })
        .collect())
}

async fn filters(place: &Place, name: &str, plan: &Namespace) -> Result<Vec<Finding>, AgentError> {
    let json = nft::list(place).await?;
    let found = match tables_from_json(&String::from_utf8_lossy(&json)) {
        Ok(found) => found,
        Err(error) => return Ok(vec![Finding::different(Layer::Filter, name, "ruleset", "readable", error)]),
    };
    let wanted: BTreeMap<_, _> = plan.nft.iter().map(|table| ((table.family, table.name.clone()), table)).collect();
    let shown = |(family, table): &(nft_rules::Family, String)| format!("table {} {table}", family.as_str());
    let mut findings = vec![];
    for (key, table) in &wanted {
        match found.get(key) {
            Some(now) if now == *table => {}
            Some(now) => {
                let (planned, now) = (table.install_script(), now.install_script());
                findings.push(Finding::different(Layer::Filter, name, shown(key), planned, now));
            }
            None => findings.push(Finding::missing(Layer::Filter, name, shown(key))),
        }
    }
    let strange = found.keys().filter(|key| is_our_table(&key.1) && !wanted.contains_key(*key));
    findings.extend(strange.map(|key| Finding::unexpected(Layer::Filter, name, shown(key))));
    Ok(findings)
}

/// The end in the namespace.
fn inner(name: &str, shown: &str, plan: &Device, link: &Link, found: &Found) -> Vec<Finding> {
    let mut findings = vec![];
    for change in device(plan, found, link) {
        match change {
            Change::Set { change, .. } => {
                if let Some(mac) = change.mac {
                    findings.push(Finding::different(Layer::Device, name, format!("{shown} MAC"), mac, link.mac));
                }
                if let Some(mtu) = change.mtu {
                    findings.push(Finding::different(Layer::Device, name, format!("{shown} MTU"), mtu, link.mtu));
                }
                if change.up.is_some() {
                    findings.push(Finding::different(Layer::Device, name, shown, "up", "down"));
                }
            }
            Change::AddAddress { address, .. } => {
                findings.push(Finding::missing(Layer::Address, name, format!("{address} on {shown}")));
            }
            Change::DeleteAddress { address, .. } => {
                findings.push(Finding::unexpected(Layer::Address, name, format!("{address} on {shown}")));
            }
            Change::AddProxy { address, .. } => {
                findings.push(Finding::missing(Layer::Address, name, format!("proxy for {address} on {shown}")));
            }
            Change::DeleteProxy { address, .. } => {
                findings.push(Finding::unexpected(Layer::Address, name, format!("proxy for {address} on {shown}")));
            }
            Change::ReplaceRoute { .. } | Change::DeleteRoute { .. } | Change::AddRule(_) | Change::DeleteRule(_) => {}
        }
    }
    findings
}

/// The end in the host, and what keeps the host's stack away from it.
async fn outer(
    place: &Place,
    name: &str,
    plan: &Device,
    inner: &Link,
    host: &Host,
) -> Result<Vec<Finding>, AgentError> {
    const HOST: &str = "host";
    let Some(link) = host.links.get(name) else {
        return Ok(vec![Finding::missing(Layer::Device, HOST, name)]);
    };
    let mut findings = vec![];
    if inner.peer != Some(link.index) || link.peer != Some(inner.index) {
        let what = format!("{name} and its namesake in {place}");
        findings.push(Finding::different(Layer::Device, HOST, what, "one pair", "strangers"));
    }
    if !link.up {
        findings.push(Finding::different(Layer::Device, HOST, name, "up", "down"));
    }
    if link.mtu != u32::from(plan.mtu) {
        findings.push(Finding::different(Layer::Device, HOST, format!("{name} MTU"), plan.mtu, link.mtu));
    }
    let silent = format!("net.ipv6.conf.{}.disable_ipv6", name.replace('.', "/"));
    findings.extend(parameters(&Place::Host, HOST, [(silent, "1".to_owned())].into()).await?);
    if !plan.checksum_offload {
        if !host.quiet.contains(name) {
            findings.push(Finding::missing(
                Layer::Filter,
                HOST,
                format!("chain that keeps the host from hearing {name}"),
            ));
        }
        for place in [&Place::Host, place] {
            if offload::computes_checksums(place, name).await? {
                let what = format!("{name} checksum offload in {place}");
                findings.push(Finding::new(Layer::Device, HOST, How::Unexpected, what));
            }
        }
    }
    Ok(findings)
}

fn ways(name: &str, plan: &Namespace, found: &Found) -> Vec<Finding> {
    let device = |index: u32| {
        let named = found.links.iter().find(|(_, link)| link.index == index);
        named.map_or_else(|| index.to_string(), |(name, _)| name.clone())
    };
    let shown = |destination: Destination, ways: &BTreeSet<Way>| {
        let way = |way: &Way| {
            let via = way.via.map(|via| format!(" via {via}")).unwrap_or_default();
            format!("{via} dev {}", device(way.device))
        };
        format!("{destination}{}", ways.iter().map(way).collect::<Vec<_>>().join(" and"))
    };
    let said = |rule: PolicyRule| {
        let which = if rule.v6 { "IPv6" } else { "IPv4" };
        match rule.mark {
            Some(mark) => format!("rule for {which} packets with mark {mark:#x}"),
            None => format!("rule that {which} packets with marks go by what is no default route first"),
        }
    };
    let told = routes(plan, found).into_iter().filter_map(|change| match change {
        Change::ReplaceRoute { destination, ways } => Some(match found.routes.get(&destination) {
            Some(known) => {
                let what = format!("route to {destination}");
                Finding::different(Layer::Route, name, what, shown(destination, &ways), shown(destination, known))
            }
            None => Finding::missing(Layer::Route, name, shown(destination, &ways)),
        }),
        Change::DeleteRoute { destination, ways } => {
            Some(Finding::unexpected(Layer::Route, name, shown(destination, &ways)))
        }
        Change::AddRule(rule) => Some(Finding::missing(Layer::Route, name, said(rule))),
        Change::DeleteRule(rule) => Some(Finding::unexpected(Layer::Route, name, said(rule))),
        _ => None,
    });
    // A route through a device that is not there is the device's misfortune, and told there.
    told.collect()
}

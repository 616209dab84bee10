//! The documents, by path: pure.
//!
//! ```text
//! /                      1.0 ... 2009-04-04, latest
//! /VERSION/              meta-data/, user-data (when there is some)
//! /VERSION/meta-data/    hostname, instance-id, local-hostname, local-ipv4, public-hostname, public-ipv4, public-keys/,
//!                        placement/
//! /openstack             2012-08-10 ... latest
//! /openstack/VERSION/    meta_data.json, network_data.json, user_data, vendor_data.json, vendor_data2.json
//! ```
//! A list says one name a line, directories end in `/`, keys are `0=name`, as at EC2 and Nova.

use net_types::IpNet;
use network_store::instance_metadata::{InstanceAddress, InstanceData, InstancePort};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// EC2's versions that Nova lists.
const EC2: [&str; 9] = [
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
];
/// OpenStack's.
const OPENSTACK: [&str; 9] = [
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
];
const LATEST: &str = "latest";
const TEXT: &str = "text/plain; charset=UTF-8";
const JSON: &str = "application/json";
const OCTETS: &str = "application/octet-stream";

/// What is known of an instance.
pub(crate) struct Known<'a> {
    pub(crate) id: &'a str,
    pub(crate) data: &'a InstanceData,
    pub(crate) ports: &'a [InstancePort],
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) kind: &'static str,
    pub(crate) body: Vec<u8>,
}

/// A tree of EC2's.
enum Node {
    Directory(BTreeMap<String, Node>),
    Text(String),
    Octets(Vec<u8>),
    /// A directory that is listed as `0=name`.
    Named(String, BTreeMap<String, Node>),
}

/// The document at a path; none: there is none.
pub(crate) fn answer(known: &Known<'_>, path: &str) -> Option<Document> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [] => Some(lines(EC2.into_iter().chain([LATEST]))),
        ["openstack"] => Some(lines(OPENSTACK.into_iter().chain([LATEST]))),
        ["openstack", version, rest @ ..] if is_one(&OPENSTACK, version) => openstack(known, rest),
        [version, rest @ ..] if is_one(&EC2, version) => ec2(known).look(rest),
        _ => None,
    }
}

fn is_one(versions: &[&str], version: &str) -> bool {
    version == LATEST || versions.contains(&version)
}

fn lines<'a>(lines: impl Iterator<Item = &'a str>) -> Document {
    Document { kind: TEXT, body: lines.collect::<Vec<_>>().join("\n").into_bytes() }
}

impl Known<'_> {
    fn addresses(&self) -> impl Iterator<Item = &InstanceAddress> {
        self.ports.iter().flat_map(|port| &port.addresses)
    }

    /// The name that was given, or one that follows from the first address.
    fn hostname(&self) -> String {
        if !self.data.hostname.is_empty() {
            return self.data.hostname.clone();
        }
        let first = self.addresses().next().map(|fixed| fixed.address.to_string());
        format!("host-{}", first.unwrap_or_default().replace(['.', ':'], "-"))
    }
}

fn ec2(known: &Known<'_>) -> Node {
    let text = |text: String| Node::Text(text);
    let directory = |entries: Vec<(&str, Node)>| {
        Node::Directory(entries.into_iter().map(|(name, node)| (name.to_owned(), node)).collect())
    };
    let local = known.addresses().map(|fixed| fixed.address).find(IpAddr::is_ipv4);
    let public = known.ports.iter().flat_map(|port| &port.floating).find(|address| address.is_ipv4());
    let short: String = known.id.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    let mut meta_data = vec![
        ("hostname", text(known.hostname())),
        ("instance-id", text(format!("i-{short}"))),
        ("local-hostname", text(known.hostname())),
        ("local-ipv4", text(local.map(|address| address.to_string()).unwrap_or_default())),
        ("placement", directory(vec![("availability-zone", text("nova".to_owned()))])),
        ("public-hostname", text(known.hostname())),
        ("public-ipv4", text(public.map(|address| address.to_string()).unwrap_or_default())),
    ];
    if !known.data.public_keys.is_empty() {
        let keys = known.data.public_keys.iter().enumerate().map(|(index, (name, key))| {
            let openssh = BTreeMap::from([("openssh-key".to_owned(), text(key.clone()))]);
            (index.to_string(), Node::Named(name.clone(), openssh))
        });
        meta_data.push(("public-keys", Node::Directory(keys.collect())));
    }
    let mut root = vec![("meta-data", directory(meta_data))];
    root.extend(known.data.user_data.clone().map(|octets| ("user-data", Node::Octets(octets))));
    directory(root)
}

impl Node {
    fn look(&self, path: &[&str]) -> Option<Document> {
        match (self, path) {
            (Self::Directory(entries) | Self::Named(_, entries), [first, rest @ ..]) => entries.get(*first)?.look(rest),
            (Self::Directory(entries) | Self::Named(_, entries), []) => {
                let names: Vec<String> = entries.iter().map(|(name, node)| node.listed(name)).collect();
                Some(lines(names.iter().map(String::as_str)))
            }
            (Self::Text(text), []) => Some(Document { kind: TEXT, body: text.clone().into_bytes() }),
            (Self::Octets(octets), []) => Some(Document { kind: OCTETS, body: octets.clone() }),
            _ => None,
        }
    }

    fn listed(&self, name: &str) -> String {
        match self {
            Self::Directory(_) => format!("{name}/"),
            Self::Named(label, _) => format!("{name}={label}"),
            Self::Text(_) | Self::Octets(_) => name.to_owned(),
        }
    }
}

fn openstack(known: &Known<'_>, path: &[&str]) -> Option<Document> {
    let json = |value: Value| Some(Document { kind: JSON, body: value.to_string().into_bytes() });
    match path {
        [] => {
            let user_data = known.data.user_data.as_ref().map(|_| "user_data");
            let all = ["meta_data.json", "network_data.json"].into_iter().chain(user_data);
            Some(lines(all.chain(["vendor_data.json", "vendor_data2.json"])))
        }
        ["meta_data.json"] => json(meta_data(known)),
        ["network_data.json"] => json(network_data(known)),
        ["user_data"] => known.data.user_data.clone().map(|body| Document { kind: OCTETS, body }),
        ["vendor_data.json" | "vendor_data2.json"] => json(json!({})),
        _ => None,
    }
}

fn meta_data(known: &Known<'_>) -> Value {
    let keys = known.data.public_keys.iter();
    let keys: Vec<Value> = keys.map(|(name, key)| json!({"name": name, "type": "ssh", "data": key})).collect();
    let mut value = json!({
        "uuid": known.id,
        "hostname": known.hostname(),
        "name": known.hostname(),
        "launch_index": 0,
        "availability_zone": "nova",
        "project_id": known.ports.first().map(|port| port.project.as_str()).unwrap_or_default(),
        "devices": [],
    });
    if !keys.is_empty() {
        value["public_keys"] = json!(known.data.public_keys);
        value["keys"] = json!(keys);
    }
    value
}

/// As Nova describes them: a link for each port, a network for each address.
fn network_data(known: &Known<'_>) -> Value {
    let (mut links, mut networks, mut services) = (Vec::new(), Vec::new(), Vec::new());
    for port in known.ports {
        let link = format!("tap{}", port.id.get(..11).unwrap_or(&port.id));
        links.push(json!({
            "id": link,
            "vif_id": port.id,
            "type": "ovs",
            "mtu": port.mtu,
            "ethernet_mac_address": port.mac.to_string(),
        }));
        for fixed in &port.addresses {
            networks.push(network(port, &link, fixed, networks.len()));
            services.extend(fixed.dns.iter().map(|address| json!({"type": "dns", "address": address})));
        }
    }
    services.dedup();
    json!({"links": links, "networks": networks, "services": services})
}

fn network(port: &InstancePort, link: &str, fixed: &InstanceAddress, index: usize) -> Value {
    let family = if fixed.address.is_ipv4() { "ipv4" } else { "ipv6" };
    let id = format!("network{index}");
    if fixed.dhcp && fixed.address.is_ipv4() {
        return json!({"id": id, "type": "ipv4_dhcp", "link": link, "network_id": port.network});
    }
    let everything = if fixed.address.is_ipv4() { "0.0.0.0" } else { "::" };
    let routes: Vec<Value> = fixed
        .gateway
        .map(|gateway| json!({"network": everything, "netmask": everything, "gateway": gateway}))
        .into_iter()
        .collect();
    json!({
        "id": id,
        "type": family,
        "link": link,
        "network_id": port.network,
        "ip_address": fixed.address,
        "netmask": netmask(fixed.cidr),
        "routes": routes,
    })
}

fn netmask(cidr: IpNet) -> IpAddr {
    cidr.netmask()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> InstanceData {
        InstanceData {
            hostname: "web".into(),
            user_data: Some(b"#!/bin/sh\r\n\xff\x00".to_vec()),
            public_keys: BTreeMap::from([("mine".into(), "ssh-ed25519 AAAA me".into())]),
        }
    }

    fn port() -> InstancePort {
        let address = |address: &str, cidr: &str, dhcp| InstanceAddress {
            address: address.parse().unwrap(),
            cidr: cidr.parse().unwrap(),
            gateway: Some("10.0.0.1".parse().unwrap()),
            dhcp,
            dns: vec!["192.0.2.53".parse().unwrap()],
        };
        InstancePort {
            id: "739c4cf2-0b00-4000-8000-000000000000".into(),
            project: "p1".into(),
            mac: "fa:16:3e:c3:ac:c9".parse().unwrap(),
            network: "n1".into(),
            mtu: 1450,
            addresses: vec![address("10.0.0.5", "10.0.0.0/24", true), address("10.0.1.5", "10.0.1.0/26", false)],
            floating: vec!["198.51.100.7".parse().unwrap()],
        }
    }

    fn text(path: &str) -> Option<String> {
        let (data, ports) = (data(), [port()]);
        let known = Known { id: "6a1f7b52-90c1", data: &data, ports: &ports };
        answer(&known, path).map(|document| String::from_utf8_lossy(&document.body).into_owned())
    }

    #[test]
    fn amazons_tree_is_there_in_every_version() {
        let versions = text("/").unwrap();
        assert!(versions.starts_with("1.0\n2007-01-19\n") && versions.ends_with("2009-04-04\nlatest"), "{versions}");
        for version in ["1.0", "2009-04-04", "latest"] {
            assert_eq!(text(&format!("/{version}/")).unwrap(), "meta-data/\nuser-data");
        }
        assert_eq!(
            text("/latest/meta-data/").unwrap(),
            "hostname\ninstance-id\nlocal-hostname\nlocal-ipv4\nplacement/\npublic-hostname\npublic-ipv4\npublic-keys/"
        );
        for (path, said) in [
            ("instance-id", "i-6a1f7b52"),
            ("local-ipv4", "10.0.0.5"),
            ("public-ipv4", "198.51.100.7"),
            ("hostname", "web"),
            ("public-keys", "0=mine"),
            ("public-keys/0", "openssh-key"),
            ("public-keys/0/openssh-key", "ssh-ed25519 AAAA me"),
            ("placement/availability-zone", "nova"),
        ] {
            assert_eq!(text(&format!("/1.0/meta-data/{path}")).as_deref(), Some(said), "{path}");
        }
        for path in ["/1.1/", "/1.0/meta-data/public-keys/1", "/1.0/meta-data/hostname/x", "/openstack/1.0", "/x"] {
            assert_eq!(text(path), None, "{path}");
        }
    }

    #[test]
    fn user_data_is_byte_for_byte_what_was_given_and_nothing_when_nothing_was() {
        let (data, ports) = (data(), [port()]);
        let none = InstanceData { user_data: None, ..data.clone() };
        for path in ["/latest/user-data", "/2009-04-04/user-data", "/openstack/latest/user_data"] {
            let with = answer(&Known { id: "a", data: &data, ports: &ports }, path).unwrap();
            assert_eq!((with.kind, with.body), (OCTETS, b"#!/bin/sh\r\n\xff\x00".to_vec()));
            assert_eq!(answer(&Known { id: "a", data: &none, ports: &ports }, path), None);
        }
    }

    #[test]
    fn openstacks_documents_say_what_the_ports_are() {
        assert!(text("/openstack").unwrap().ends_with("2020-10-14\nlatest"));
        assert!(text("/openstack/latest/").unwrap().starts_with("meta_data.json\nnetwork_data.json\nuser_data\n"));
        let document = |name: &str| -> Value {
            serde_json::from_str(&text(&format!("/openstack/2018-08-27/{name}")).unwrap()).unwrap()
        };
        let meta_data = document("meta_data.json");
        assert_eq!(meta_data["uuid"], "6a1f7b52-90c1");
        assert_eq!(meta_data["project_id"], "p1");
        assert_eq!(meta_data["public_keys"], json!({"mine": "ssh-ed25519 AAAA me"}));
        assert_eq!(document("vendor_data.json"), json!({}));
        assert_eq!(
            document("network_data.json"),
            json!({
                "links": [{
                    "id": "tap739c4cf2-0b", "vif_id": "739c4cf2-0b00-4000-8000-000000000000", "type": "ovs", "mtu": 1450,
                    "ethernet_mac_address": "fa:16:3e:c3:ac:c9",
                }],
                "networks": [
                    {"id": "network0", "type": "ipv4_dhcp", "link": "tap739c4cf2-0b", "network_id": "n1"},
                    {
                        "id": "network1", "type": "ipv4", "link": "tap739c4cf2-0b", "network_id": "n1",
                        "ip_address": "10.0.1.5", "netmask": "255.255.255.192",
                        "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"}],
                    },
                ],
                "services": [{"type": "dns", "address": "192.0.2.53"}],
            })
        );
    }
}

//! The drivers against the kernel, in a network and mount namespace of the test's own: nothing of the machine's is touched.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use host_drivers::attach::{self, Attached};
use host_drivers::links::{Destination, Links, PolicyRule, Way};
use host_drivers::testing::in_a_host_of_its_own;
use host_drivers::{Place, announce, conntrack, netns, nft, sysctl};
use net_types::IpNet;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn namespaces_come_and_go_as_iproute2_knows_them() {
    in_a_host_of_its_own(|| async {
        assert_eq!(netns::list().unwrap(), Vec::<String>::new());
        netns::create("qrouter-a").unwrap();
        netns::create("qrouter-a").unwrap();
        let seen = std::process::Command::new("ip").args(["netns", "list"]).output().unwrap();
        assert!(String::from_utf8_lossy(&seen.stdout).contains("qrouter-a"));
        assert!(netns::exists("qrouter-a").unwrap());
        // The rest of an attempt that broke off.
        std::fs::write("/run/netns/qrouter-b", "").unwrap();
        assert!(!netns::exists("qrouter-b").unwrap());
        netns::create("qrouter-b").unwrap();
        assert!(netns::exists("qrouter-b").unwrap());
        for name in ["qrouter-a", "qrouter-b", "qrouter-b"] {
            netns::delete(name).unwrap();
        }
        assert_eq!(netns::list().unwrap(), Vec::<String>::new());
        for bad in ["", "..", "a/b"] {
            assert!(netns::create(bad).is_err(), "{bad}");
        }
        assert!(Place::named("nowhere").run(|| ()).await.is_err());
    })
    .unwrap();
}

fn wanted(mac: &str, mtu: u16) -> Attached {
    Attached {
        name: "qr-4ff3a089-76".into(),
        place: Place::named("qrouter-a"),
        mac: mac.parse().unwrap(),
        mtu,
        checksum_offload: false,
    }
}

#[test]
fn a_device_is_attached_mended_and_removed() {
    in_a_host_of_its_own(|| async {
        netns::create("qrouter-a").unwrap();
        let place = Place::named("qrouter-a");
        let index = attach::veth(&wanted("fa:16:3e:1a:28:4f", 1450)).await.unwrap();
        assert_eq!(attach::veth(&wanted("fa:16:3e:1a:28:4f", 1450)).await.unwrap(), index, "what is right stays");
        assert_eq!(
            attach::veth(&wanted("fa:16:3e:1a:28:50", 1400)).await.unwrap(),
            index,
            "settings are changed in place"
        );

        let inside = Links::open(&place).await.unwrap();
        let link = inside.get("qr-4ff3a089-76").await.unwrap().unwrap();
        assert_eq!(
            (link.mac.to_string().as_str(), link.mtu, link.up, link.carrier),
            ("fa:16:3e:1a:28:50", 1400, true, true)
        );
        let ruleset = String::from_utf8(nft::list(&Place::Host).await.unwrap()).unwrap();
        assert!(ruleset.contains("in_qr_4ff3a089_76"), "the host's stack must not hear the port: {ruleset}");
        let offloads = std::process::Command::new("ethtool").args(["-k", "qr-4ff3a089-76"]).output().unwrap();
        let offloads = String::from_utf8_lossy(&offloads.stdout).into_owned();
        assert!(offloads.contains("tx-checksumming: off"), "{offloads}");

        let others = "2001:db8::5".parse().unwrap();
        for _ in 0..2 {
            inside.add_proxied(link.index, others).await.unwrap();
            assert_eq!(inside.proxied().await.unwrap(), [(link.index, [others].into())].into());
        }
        for _ in 0..2 {
            inside.delete_proxied(link.index, others).await.unwrap();
            assert!(inside.proxied().await.unwrap().is_empty());
        }

        // Half of it goes: a stranger has the name in the host.
        let host = Links::open(&Place::Host).await.unwrap();
        host.delete(host.get("qr-4ff3a089-76").await.unwrap().unwrap().index).await.unwrap();
        assert!(inside.get("qr-4ff3a089-76").await.unwrap().is_none());
        host.add_veth("qr-4ff3a089-76", &Place::Host, "stranger", "fa:16:3e:00:00:01".parse().unwrap(), 1500)
            .await
            .unwrap();
        attach::veth(&wanted("fa:16:3e:1a:28:4f", 1450)).await.unwrap();
        assert!(inside.get("qr-4ff3a089-76").await.unwrap().unwrap().carrier);

        // An attempt that broke off after the pair was made: nothing is prepared, both ends are down.
        host.delete(host.get("qr-4ff3a089-76").await.unwrap().unwrap().index).await.unwrap();
        nft::apply(&Place::Host, "delete table netdev neutronium-quiet\n".into()).await.unwrap();
        let mac = "fa:16:3e:1a:28:4f".parse().unwrap();
        host.add_veth("qr-4ff3a089-76", &place, "qr-4ff3a089-76", mac, 1450).await.unwrap();
        attach::veth(&wanted("fa:16:3e:1a:28:4f", 1450)).await.unwrap();
        let ruleset = String::from_utf8(nft::list(&Place::Host).await.unwrap()).unwrap();
        assert!(ruleset.contains("in_qr_4ff3a089_76"), "{ruleset}");
        for place in [&Place::Host, &place] {
            let offloads = place.run(|| std::process::Command::new("ethtool").args(["-k", "qr-4ff3a089-76"]).output());
            let offloads = String::from_utf8(offloads.await.unwrap().unwrap().stdout).unwrap();
            assert!(offloads.contains("tx-checksumming: off"), "{place}: {offloads}");
        }

        attach::remove_veth("qr-4ff3a089-76").await.unwrap();
        attach::remove_veth("qr-4ff3a089-76").await.unwrap();
        let ruleset = String::from_utf8(nft::list(&Place::Host).await.unwrap()).unwrap();
        assert!(!ruleset.contains("in_qr_4ff3a089_76"), "nothing is left: {ruleset}");
        assert!(inside.get("qr-4ff3a089-76").await.unwrap().is_none());
    })
    .unwrap();
}

#[test]
fn addresses_routes_and_parameters_are_set_read_and_removed() {
    in_a_host_of_its_own(|| async {
        netns::create("qrouter-a").unwrap();
        let place = Place::named("qrouter-a");
        let index = attach::veth(&wanted("fa:16:3e:1a:28:4f", 1450)).await.unwrap();
        let links = Links::open(&place).await.unwrap();
        let address = "10.10.0.1/16".parse().unwrap();
        let address6 = "2001:db8::1/64".parse().unwrap();
        for _ in 0..2 {
            links.add_address(index, address).await.unwrap();
            links.add_address(index, address6).await.unwrap();
        }
        assert_eq!(links.addresses().await.unwrap()[&index], BTreeSet::from([address, address6]));

        let route = |destination: &str, hops: &[&str]| {
            let way = |hop: &&str| Way { via: Some(hop.parse().unwrap()), device: index };
            (Destination::from(destination.parse::<IpNet>().unwrap()), hops.iter().map(way).collect::<BTreeSet<_>>())
        };
        let (out, out6) = ("0.0.0.0/0", "::/0");
        // One way, several side by side in its place, and one again.
        for (hops, hops6) in [
            (&["10.10.0.254"][..], &["2001:db8::9"][..]),
            (&["10.10.0.252", "10.10.0.253"], &["2001:db8::7", "2001:db8::8", "2001:db8::9"]),
            (&["10.10.0.254"], &["2001:db8::8"]),
        ] {
            let routes = [route(out, hops), route("192.0.2.0/24", &["10.10.0.9"]), route(out6, hops6)];
            for (destination, ways) in routes.iter().chain(&routes) {
                links.replace_route(*destination, ways).await.unwrap();
            }
            assert_eq!(links.routes().await.unwrap(), BTreeMap::from(routes));
        }
        let several = [route(out, &["10.10.0.7", "10.10.0.8"]), route(out6, &["2001:db8::7", "2001:db8::8"])];
        for (destination, ways) in &several {
            links.replace_route(*destination, ways).await.unwrap();
        }
        let by_hand =
            || std::process::Command::new("ip").args(["route", "add", "198.51.100.0/24", "via", "10.10.0.9"]).status();
        assert!(place.run(by_hand).await.unwrap().unwrap().success());
        for (destination, ways) in several.into_iter().chain([route("198.51.100.0/24", &["10.10.0.9"])]) {
            links.delete_route(destination, &ways).await.unwrap();
            links.delete_route(destination, &ways).await.unwrap();
        }
        assert_eq!(links.routes().await.unwrap(), BTreeMap::from([route("192.0.2.0/24", &["10.10.0.9"])]));

        // For packets with a mark.
        let marked = |(destination, ways): (Destination, _)| (Destination { mark: Some(0xc100), ..destination }, ways);
        for (destination, ways) in [marked(route(out, &["10.10.0.7"])), marked(route(out6, &["2001:db8::7"]))] {
            links.replace_route(destination, &ways).await.unwrap();
            assert_eq!(links.routes().await.unwrap().get(&destination), Some(&ways));
            let rules = [None, Some(0xc100)].map(|mark| PolicyRule { v6: destination.net.addr().is_ipv6(), mark });
            for rule in rules.into_iter().chain(rules) {
                links.add_policy_rule(rule).await.unwrap();
            }
            assert_eq!(links.policy_rules().await.unwrap(), rules.into());
            for rule in rules.into_iter().chain(rules) {
                links.delete_policy_rule(rule).await.unwrap();
            }
            links.delete_route(destination, &ways).await.unwrap();
        }
        assert_eq!((links.routes().await.unwrap().len(), links.policy_rules().await.unwrap()), (1, BTreeSet::new()));

        let forwarding = BTreeMap::from([("net.ipv4.ip_forward".to_owned(), "1".to_owned())]);
        sysctl::set(&place, &forwarding).await.unwrap();
        let read = || std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
        assert_eq!(place.run(read).await.unwrap(), "1\n");
        assert_eq!(Place::Host.run(read).await.unwrap(), "0\n");

        announce::send(&place, "qr-4ff3a089-76", "fa:16:3e:1a:28:4f".parse().unwrap(), address.addr()).await.unwrap();
        announce::send(&place, "qr-4ff3a089-76", "fa:16:3e:1a:28:4f".parse().unwrap(), address6.addr()).await.unwrap();
        conntrack::forget_floating_ip(&place, "198.51.100.9".parse().unwrap(), "10.10.0.5".parse().unwrap())
            .await
            .unwrap();
        assert!(nft::apply(&place, "add rule ip nowhere nothing drop\n".into()).await.is_err());

        links.delete_address(index, address).await.unwrap();
        links.delete_address(index, address).await.unwrap();
        assert_eq!(links.addresses().await.unwrap()[&index], BTreeSet::from([address6]));
    })
    .unwrap();
}

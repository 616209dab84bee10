//! The lab `dhcp-dns`: how instances come by their addresses and names, with DHCP clients and a kernel that are not ours.
//!
//! ```text
//! compute1   vm-a   10.0.0.x by DHCP, 2001:db8:1::/64 made of advertisements, 2001:db8:2::y by DHCPv6
//!            vm-b   a neighbour
//! node1      qrouter-  advertises          qdhcp-  answers          a resolver on 127.0.0.1, which knows www.example.org
//! ```

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use system_tests::lab::{DISCOVER, Probe, Seen};
use system_tests::{Client, Failure, Lab};

struct Guard {
    lab: Lab,
    resolver: Option<Child>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut resolver) = self.resolver.take() {
            let _ = resolver.kill();
            let _ = resolver.wait();
        }
        let _ = self.lab.run(&["lab", "down"]);
    }
}

/// A resolver of one name, which refuses to speak to anybody but its own host.
const RESOLVER: &str = r"
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('127.0.0.1', 53))
while True:
    query, client = server.recvfrom(4096)
    end = query.index(b'\0', 12) + 5
    known = query[12:end] == b'\x03www\x07example\x03org\0\0\x01\0\x01'
    answer = b'\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\2\x50' if known else b''
    flags = b'\x81\x80' if known else b'\x81\x83'
    if client[0] == '127.0.0.1':
        server.sendto(query[:2] + flags + b'\0\1\0' + bytes([known]) + b'\0\0\0\0' + query[12:end] + answer, client)
";

/// What dhclient was told: its script's variables.
fn dhclient(probe: &Probe, version: &str) -> Result<BTreeMap<String, String>, Failure> {
    let files = format!("/tmp/{}-{}{version}", probe.name, std::process::id());
    let (leases, pid) = (format!("{files}.leases"), format!("{files}.pid"));
    // Its script says what it would set, and sets nothing. Once bound it goes on in the background, until the probe goes.
    let script = format!(
        ": > {leases}; exec timeout 60 dhclient {version} -1 -sf /usr/bin/env -cf /etc/dhcp/dhclient.conf -lf {leases} -pf {pid} eth0"
    );
    let said = probe.run(&["sh", "-c", &script]);
    let _ = std::fs::remove_file(&leases);
    let _ = std::fs::remove_file(&pid);
    // The last word counts: that of the bound lease.
    Ok(said?.lines().filter_map(|line| line.split_once('=')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect())
}

/// Asks for an address, as the MAC `as_if` or as its own, and says which one is offered.
fn discover(probe: &Probe, as_if: &str) -> Result<Option<String>, Failure> {
    let output = system_tests::command::output(&mut probe.command(&["python3", "-c", DISCOVER, as_if]))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(output.status.success().then_some(said))
}

/// The port's addresses by subnet's name.
fn addresses(client: &Client, port: &str, subnets: &[&str]) -> Result<Vec<String>, Failure> {
    let shown = client.json(&["port", "show", port])?;
    let mut found = vec![];
    for subnet in subnets {
        let id = client.text("id", &["subnet", "show", subnet])?;
        let fixed = shown["fixed_ips"].as_array().into_iter().flatten().find(|fixed| fixed["subnet_id"] == *id);
        let address = fixed.and_then(|fixed| fixed["ip_address"].as_str());
        found.push(
            address
                .ok_or_else(|| Failure::Unexpected { command: subnet.to_string(), what: shown.to_string() })?
                .to_owned(),
        );
    }
    Ok(found)
}

#[test]
fn instances_get_their_addresses_and_names() -> Result<(), Failure> {
    let mut guard = Guard { lab: Lab::new("addresses-test"), resolver: None };
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/lab/topologies/dhcp-dns.toml");
    guard.lab.run(&["lab", "up", file])?;
    let lab = guard.lab.clone();
    let mut resolver: Command = lab.exec_command("node1", &["python3", "-c", RESOLVER]);
    guard.resolver = resolver.stdin(Stdio::null()).stdout(Stdio::null()).spawn().ok();

    let admin = Client::new(&lab, "admin", None, "admin")?;
    admin.run(&["network", "create", "dual"])?;
    admin.run(&["subnet", "create", "four", "--network", "dual", "--subnet-range", "10.0.0.0/24"])?;
    for (name, prefix, mode) in
        [("slaac", "2001:db8:1::/64", "slaac"), ("stateful", "2001:db8:2::/64", "dhcpv6-stateful")]
    {
        let modes = ["--ip-version", "6", "--ipv6-ra-mode", mode, "--ipv6-address-mode", mode];
        admin
            .run(&[&["subnet", "create", name, "--network", "dual", "--subnet-range", prefix], &modes[..]].concat())?;
    }
    admin.run(&["router", "create", "edge"])?;
    for subnet in ["four", "slaac", "stateful"] {
        admin.run(&["router", "add", "subnet", "edge", subnet])?;
    }
    let extra = ["--extra-dhcp-option", "name=ntp-server,value=192.0.2.123,ip-version=4"];
    let extra6 = ["--extra-dhcp-option", "name=sntp-server,value=2001:db8::123,ip-version=6"];
    let search = ["--extra-dhcp-option", "name=domain-search,value=lab.example,ip-version=4"];
    let port = ["port", "create", "a", "--network", "dual", "--dns-name", "vm-a"];
    admin.run(&[&port[..], &extra, &extra6, &search].concat())?;
    let a = lab.plug_probe(&admin, "vm-a", "a", "compute1")?;
    let b = lab.create_probe(&admin, "vm-b", "dual", "node1", &[])?;
    let [four, slaac, stateful] = &addresses(&admin, "a", &["four", "slaac", "stateful"])?[..] else { unreachable!() };

    // The kernel makes its address, its way out and its MTU of what the router says.
    lab.wait_until("an address made of an advertisement", || {
        Ok(a.run(&["ip", "-6", "addr", "show", "dev", "eth0", "scope", "global"])?.contains(&format!("{slaac}/64")))
    })?;
    let route = a.run(&["ip", "-6", "route", "show", "default"])?;
    assert!(route.contains("via fe80::f816:3eff:") && route.contains("proto ra"), "{route}");
    let mtu = admin.text("mtu", &["network", "show", "dual"])?;
    assert_eq!(a.run(&["cat", "/proc/sys/net/ipv6/conf/eth0/mtu"])?.trim(), mtu);
    let [b_four, b_slaac] = &addresses(&admin, &b.port, &["four", "slaac"])?[..] else { unreachable!() };
    lab.wait_until("the neighbour by IPv6", || Ok(a.ping(b_slaac)? == Seen::Answer(String::new())))?;

    // What the API gave, by DHCP of both versions, and the port's own options.
    let told = dhclient(&a, "-4")?;
    assert_eq!(&told["new_ip_address"], four);
    assert_eq!((told["new_host_name"].as_str(), told["new_domain_name"].as_str()), ("vm-a", "cloud.example"));
    assert_eq!(told["new_ntp_servers"], "192.0.2.123");
    assert_eq!(told["new_domain_search"].trim_end_matches('.'), "lab.example");
    assert!(told["new_domain_name_servers"].starts_with("10.0.0."), "{told:?}");
    let plain =
        ["new_subnet_mask", "new_broadcast_address", "new_routers", "new_interface_mtu"].map(|name| &told[name]);
    assert_eq!(plain, ["255.255.255.0", "10.0.0.255", "10.0.0.1", &mtu]);
    // 169.254.169.254/32, and the default route, as dhclient writes octets.
    let routes = &told["new_rfc3442_classless_static_routes"];
    assert!(routes.contains("32 169 254 169 254 10 0 0 1") && routes.contains(" 0 10 0 0 1"), "{routes}");
    // A MAC that no port has is not answered. (On vm-a dhclient keeps the client's port.)
    assert_eq!(discover(&b, "")?.as_ref(), Some(b_four));
    assert_eq!(discover(&b, "02:00:00:00:00:99")?, None);
    let told = dhclient(&a, "-6")?;
    assert_eq!(&told["new_ip6_address"], stateful);
    assert_eq!(told["new_dhcp6_domain_search"].trim_end_matches('.'), "cloud.example");
    assert_eq!(told["new_dhcp6_sntp_servers"], "2001:db8::123");
    assert!(told["new_dhcp6_name_servers"].starts_with("2001:db8:2:"), "{told:?}");

    // Names: its own and its neighbour's, both ways; others from outside; never the host's.
    let resolved = |database: &str, name: &str| a.run(&["getent", database, name]);
    assert!(resolved("ahostsv4", "vm-a.cloud.example")?.starts_with(four.as_str()));
    let six = resolved("ahostsv6", "vm-a")?;
    assert!(six.contains(slaac.as_str()) && six.contains(stateful.as_str()), "{six}");
    assert!(resolved("hosts", stateful)?.contains("vm-a.cloud.example"));
    let dashed = format!("host-{}", b_four.replace('.', "-"));
    assert!(resolved("ahostsv4", &dashed)?.starts_with(b_four.as_str()));
    assert!(resolved("ahostsv4", "www.example.org")?.starts_with("192.0.2.80"));
    // `hosts` says what the host calls itself and what stands in its /etc/hosts; getent ends with an error for each.
    let own = lab.exec("node1", &["sh", "-c", "hostname; grep -v '^#' /etc/hosts | tr '\\t' '\\n' | tr ' ' '\\n'"])?;
    let names: Vec<&str> =
        own.lines().filter(|name| name.contains(char::is_alphabetic) && !name.contains(':')).collect();
    assert!(names.contains(&"node1"), "{own}");
    for name in names.into_iter().filter(|name| !name.contains("localhost")) {
        assert!(resolved("ahosts", &format!("{name}.")).is_err(), "the host's own name {name} is told");
    }
    Ok(())
}

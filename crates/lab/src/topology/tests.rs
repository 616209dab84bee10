use super::*;

fn refused(from: &str, to: &str) -> String {
    assert!(DEFAULT_TOPOLOGY.contains(from), "the test changes what is not there: {from}");
    Topology::parse(&DEFAULT_TOPOLOGY.replacen(from, to, 1), "my.toml").unwrap_err().to_string()
}

#[test]
fn the_default_is_the_lab_with_a_network_node() {
    let topology = Topology::lab10().unwrap();
    let roles: Vec<_> = topology.hosts.iter().map(|host| (host.name.as_str(), host.roles.clone())).collect();
    assert_eq!(
        roles,
        [
            ("controller", vec![Role::Server]),
            ("network", vec![Role::L2, Role::Dhcp, Role::L3]),
            ("compute1", vec![Role::L2]),
            ("compute2", vec![Role::L2]),
            ("world", vec![Role::World]),
        ]
    );
    assert_eq!(topology.server_address(), Some(Ipv4Addr::new(192, 168, 1, 11)));
    assert_eq!(topology.endpoints().len(), 3);
}

#[test]
fn each_mistake_gets_one_sentence_with_its_place() {
    insta::assert_snapshot!(
        [
            refused("datapath = \"netdev\"", "datapath = \"warp\""),
            refused("[[network]]\nname = \"underlay\"", "[[network]]\ncolour = 1\nname = \"underlay\""),
            refused(
                "network = \"outside\", address = \"203.0.113.2\"",
                "network = \"moon\", address = \"203.0.113.2\""
            ),
            refused("address = \"192.168.1.22\"", "address = \"192.168.1.21\""),
            refused("192.168.2.22/24", "192.168.2.21/24"),
            refused("address = \"192.168.1.22\"", "address = \"10.0.0.1\""),
            refused("ports = [\"eth1\"]\n", "ports = [\"eth9\"]\n"),
            refused("ports = [\"eth1\"]\n", ""),
            refused("endpoint = \"br-phys\"", "endpoint = \"br-ex2\""),
            refused("masquerade = \"eth2\"", "masquerade = \"eth1\""),
            refused("name = \"compute2\"", "name = \"compute1\""),
            refused("name = \"compute2\"", "name = \"../x\""),
            refused("hub = \"network\"", "hub = \"controller\""),
            refused("hub = \"network\"", "hub = \"compute1\""),
            refused("vni = 100", "vni = 16777216"),
            refused("roles = [\"l2\"]", "roles = [\"server\"]"),
            refused("roles = [\"world\"]", "roles = [\"world\", \"l2\"]"),
        ]
        .join("\n")
    );
}

#[test]
fn every_topology_of_ours_is_sound() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let topology = Topology::parse(&std::fs::read_to_string(&path).unwrap(), &path.to_string_lossy()).unwrap();
        assert_eq!(path.file_stem().unwrap(), topology.name.as_str());
    }
}

//! The notation against what the real switch printed.

use super::*;
use std::collections::BTreeMap;

/// What Neutron programmed into Open vSwitch 3.1, as `ovs-ofctl -O OpenFlow14 --names --no-stats dump-flows` printed it.
const DUMPS: [(&str, &str); 4] = [
    ("br-int", include_str!("../../tests/vectors/br-int.flows")),
    ("br-tun", include_str!("../../tests/vectors/br-tun.flows")),
    ("br-tun of another host", include_str!("../../tests/vectors/br-tun-other-host.flows")),
    ("br-phys", include_str!("../../tests/vectors/br-phys.flows")),
];

/// Numbers every name that appears quoted.
#[derive(Default)]
struct Ports(BTreeMap<String, u32>);

impl Ports {
    fn of(text: &str) -> Self {
        let names = text.split('"').skip(1).step_by(2);
        let mut ports = Self::default();
        for name in names {
            let next = ports.0.len() as u32 + 1;
            ports.0.entry(name.to_owned()).or_insert(next);
        }
        ports
    }
}

impl Names for Ports {
    fn port(&self, port: PortNo) -> Option<String> {
        self.0.iter().find(|(_, number)| **number == port.0).map(|(name, _)| name.clone())
    }
}

#[test]
fn every_flow_that_neutron_programs_is_read_and_printed_back_alike() {
    for (bridge, dump) in DUMPS {
        let ports = Ports::of(dump);
        for line in dump.lines() {
            let flow = parse_flow(line, &|name| ports.0.get(name).map(|number| PortNo(*number)))
                .unwrap_or_else(|error| panic!("{bridge}: {line}: {error}"));
            assert_eq!(print_flow(&flow, &ports), line, "{bridge}");
            assert_eq!(flow.to_string().parse(), Ok(flow), "{bridge}: {line}, by numbers");
        }
    }
}

#[test]
fn ports_and_tables_are_shown_by_name() {
    struct Known;
    impl Names for Known {
        fn port(&self, port: PortNo) -> Option<String> {
            (port == PortNo(7)).then(|| "tap 7".into())
        }
        fn table(&self, table: u8) -> Option<String> {
            (table == 60).then(|| "transient".into())
        }
    }
    let flow: Flow = "table=60,in_port=7 actions=resubmit(7,60),output:7,output:8,LOCAL".parse().unwrap();
    assert_eq!(
        print_flow(&flow, &Known),
        r#"table=transient, in_port="tap 7" actions=resubmit("tap 7",transient),output:"tap 7",output:8,LOCAL"#
    );
}

/// Each as `ovs-ofctl -O OpenFlow14` 3.1.0 prints it after reading it.
#[test]
fn flows_beyond_neutrons_are_printed_as_ovs_ofctl_does() {
    for line in include_str!("../../tests/vectors/various.flows").lines() {
        let flow: Flow = line.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(flow.to_string(), line);
    }
}

#[test]
fn other_spellings_mean_the_same() {
    for (given, printed) in [
        ("tp_dst=22,tcp,actions=drop", "tcp,tp_dst=22 actions=drop"),
        ("eth_type=0x86dd,ip_proto=58,icmpv6_type=135", "icmp6,icmp_type=135 actions=drop"),
        ("dl_type=0x0806,nw_src=10.0.0.1", "arp,arp_spa=10.0.0.1 actions=drop"),
        ("vlan_vid=0x1005/0x1fff", "dl_vlan=5 actions=drop"),
        ("dl_vlan=0xffff", "vlan_tci=0x0000/0x1fff actions=drop"),
        ("vlan_tci=0", "vlan_tci=0x0000/0x1fff actions=drop"),
        ("vlan_tci=0x1064/0x1fff,dl_vlan_pcp=3", "dl_vlan=100,dl_vlan_pcp=3 actions=drop"),
        ("ip,ip_dscp=46", "ip,nw_tos=184 actions=drop"),
        ("xreg0=0x100000002", "reg0=0x1,reg1=0x2 actions=drop"),
        ("ct_state=0x21/0x21", "ct_state=+new+trk actions=drop"),
        ("ip,nw_src=0.0.0.0/0", "ip actions=drop"),
        ("actions=set_field:0x5/0xf0f->reg3", "actions=load:0x5->NXM_NX_REG3[0..3],load:0->NXM_NX_REG3[8..11]"),
        ("actions=set_field:ffff::/16->ipv6_src", "actions=load:0xffff->NXM_NX_IPV6_SRC[112..127]"),
        ("in_port=local actions=strip_vlan,in_port,7", "in_port=LOCAL actions=pop_vlan,IN_PORT,output:7"),
        ("actions=goto_table:2,normal,meter:4", "actions=meter:4,NORMAL,goto_table:2"),
        (
            " cookie=0x5, duration=3.1s, table=0, n_packets=1, n_bytes=2, idle_age=7, priority=3 actions=LOCAL",
            "cookie=0x5, priority=3 actions=LOCAL",
        ),
    ] {
        let flow: Flow = given.parse().unwrap_or_else(|error| panic!("{given}: {error}"));
        assert_eq!(flow.to_string(), printed, "{given}");
    }
}

#[test]
fn nonsense_is_refused() {
    for text in [
        "dl_vlan=4096",
        "reg16=1",
        "reg5=0x100000000",
        "table=256",
        "tp_dst=5",
        "frobnicate",
        "in_port=nowhere",
        "priority=+5",
        "actions=load:5->NXM_NX_REG0[0..1]",
        "actions=load:1->NXM_NX_REG0[30..33]",
        "actions=load:1->NXM_NX_XXREG0[]",
        "actions=move:NXM_NX_REG0[]->NXM_OF_ETH_SRC[]",
        "actions=conjunction(1,3/2)",
        "actions=output:",
        "actions=ct(zone=NXM_NX_REG6[15..0])",
        "actions=ct(exec(ct(exec(ct(exec(ct(exec(ct(exec(ct_clear))))))))))",
        "actions=learn(table=1,NXM_OF_VLAN_TCI[0..11]=NXM_OF_ETH_SRC[])",
        "actions=ct(commit,nat(hash))",
        "actions=set_field:5",
        "actions=set_field:é->reg0",
    ] {
        assert!(text.parse::<Flow>().is_err(), "{text}");
    }
}

//! Whole plans of the states in `shared/facts/flows`, as text that is read beside Neutron's own dumps.
//!
//! Known and wanted differences are listed in `docs/dataplane/flows.md`.
#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests, too

mod support;

use support::{Host, flows_text};

/// The plan as people read it: flows per bridge with port names, and everything else as JSON.
fn text(host: &mut Host) -> String {
    let plan = host.settle();
    let mut text = String::new();
    for bridge in plan.flows.keys() {
        text += &format!("== flows of {bridge}\n{}\n", flows_text(&plan, &host.state, bridge));
    }
    for (name, namespace) in &plan.namespaces {
        for table in &namespace.nft {
            text += &format!("== nftables of {name}\n{}\n", table.install_script());
        }
    }
    let mut rest = plan;
    rest.flows.clear();
    rest.namespaces.values_mut().for_each(|namespace| namespace.nft.clear());
    text + "== everything else\n" + &serde_json::to_string_pretty(&rest).unwrap()
}

macro_rules! snapshots {
    ($($name:ident: $state:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(text(&mut $state));
        }
    )*};
}

snapshots! {
    s01_empty: Host::empty();
    s03_vxlan_port_without_security: Host::vxlan_port_without_security();
    s04_vxlan_port_with_group: Host::vxlan_port_with_group();
    s05_remote_group_member: Host::remote_group_member();
    s06_vlan_port_with_address_pair: Host::vlan_port_with_address_pair();
    s07_router_with_floating_ip: Host::router_with_floating_ip();
    s08_second_host: Host::second_host();
}

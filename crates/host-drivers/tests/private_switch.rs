//! The switch that other tests stand on is itself what it says: private, restartable, and gone afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use host_drivers::netns;
use host_drivers::testing::PrivateSwitch;

#[test]
fn a_private_switch_carries_flows_survives_faults_and_leaves_nothing() {
    let mut switch = PrivateSwitch::start().unwrap();
    switch
        .vsctl(&["add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev", "fail_mode=secure"])
        .unwrap();
    switch.wait_for_bridge("br-int").unwrap();
    assert!(switch.run(&["ip", "link", "show", "br-int"]).is_ok(), "its devices are in its own namespace");
    switch.ofctl_with(&["add-flows", "br-int", "-"], "table=7,priority=3,arp,actions=drop\n").unwrap();
    assert!(switch.ofctl(&["dump-flows", "br-int"]).unwrap().contains("table=7"));

    switch.restart_vswitchd().unwrap();
    switch.wait_for_bridge("br-int").unwrap();
    assert!(!switch.ofctl(&["dump-flows", "br-int"]).unwrap().contains("table=7"), "flows are gone with the process");
    switch.restart_ovsdb_server().unwrap();
    assert_eq!(switch.vsctl(&["list-br"]).unwrap().trim(), "br-int");

    let (extra, own, folder) =
        (switch.extra_namespace().unwrap(), switch.namespace().to_owned(), switch.rundir().to_owned());
    assert!(netns::exists(&extra).unwrap() && netns::exists(&own).unwrap());
    drop(switch);
    assert!(!netns::exists(&extra).unwrap() && !netns::exists(&own).unwrap());
    assert!(!folder.exists());
}

#[test]
fn switches_do_not_see_each_other() {
    let (one, other) = (PrivateSwitch::start().unwrap(), PrivateSwitch::start().unwrap());
    one.vsctl(&["add-br", "br-a", "--", "set", "bridge", "br-a", "datapath_type=netdev"]).unwrap();
    one.wait_for_bridge("br-a").unwrap();
    assert_eq!(other.vsctl(&["list-br"]).unwrap(), "");
    assert!(other.run(&["ip", "link", "show", "br-a"]).is_err());
}

//! The OpenFlow client against the real switch.

#![allow(clippy::unwrap_used)]

use host_drivers::DriverError;
use host_drivers::openflow::OpenFlow;
use host_drivers::testing::PrivateSwitch;
use openflow::{CookieOwner, Flow, diff};

const OURS: CookieOwner = CookieOwner::new(0x4e00_0000_0000_0000, 0xff00_0000_0000_0000);

fn switch() -> PrivateSwitch {
    let switch = PrivateSwitch::start().unwrap();
    let bridge = ["add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev", "fail_mode=secure"];
    switch.vsctl(&bridge).unwrap();
    switch.wait_for_bridge("br-int").unwrap();
    switch
}

fn flows(text: &[&str]) -> Vec<Flow> {
    text.iter().map(|line| format!("cookie=0x4e00000000000001, {line}").parse().unwrap()).collect()
}

#[tokio::test]
async fn flows_are_changed_together_and_read_back_equal() {
    let switch = switch();
    let mut connection = OpenFlow::connect(switch.rundir(), "br-int").await.unwrap();
    switch.ofctl(&["add-flow", "br-int", "table=9,priority=9,actions=drop"]).unwrap();

    let first = flows(&[
        "table=0,priority=10,in_port=1 actions=resubmit(,71)",
        "table=71,priority=65,ip,reg5=0x6,nw_src=10.0.0.5 actions=ct(table=72,zone=NXM_NX_REG6[0..15])",
        "table=72,priority=73,conj_id=22,ip actions=NORMAL",
    ]);
    let change = diff(&connection.dump_flows().await.unwrap(), &first, OURS);
    assert_eq!((change.add.len(), change.delete.len()), (3, 0));
    connection.apply(&change).await.unwrap();
    assert!(diff(&connection.dump_flows().await.unwrap(), &first, OURS).is_empty());

    let second = flows(&["table=0,priority=10,in_port=1 actions=drop", "table=0,priority=0 actions=NORMAL"]);
    let change = diff(&connection.dump_flows().await.unwrap(), &second, OURS);
    connection.apply(&change).await.unwrap();
    let installed = connection.dump_flows().await.unwrap();
    assert!(diff(&installed, &second, OURS).is_empty());
    assert_eq!(installed.len(), 3, "the foreign flow of table 9 is still there: {installed:#?}");
}

#[tokio::test]
async fn a_refused_flow_takes_nothing_with_it() {
    let switch = switch();
    let mut connection = OpenFlow::connect(switch.rundir(), "br-int").await.unwrap();
    let good = flows(&["table=0,priority=1 actions=drop", "table=3,priority=1 actions=drop"]);
    // A goto to a table that does not come later is refused by the switch.
    let bad = flows(&["table=5,priority=1 actions=goto_table:5"]);
    let mut change = diff(&[], &good, OURS);
    change.add.splice(1..1, bad);
    let refused = connection.apply(&change).await;
    let Err(DriverError::OpenFlowRefused { said, .. }) = &refused else { panic!("{refused:?}") };
    assert!(said.contains("table=5"), "the refused flow is named: {said}");
    assert!(connection.dump_flows().await.unwrap().is_empty(), "nothing of it took effect");
    connection.apply(&diff(&[], &good, OURS)).await.unwrap();
    assert_eq!(connection.dump_flows().await.unwrap().len(), 2, "the connection is still good");
}

#[tokio::test]
async fn many_flows_arrive_and_zones_are_flushed() {
    let switch = switch();
    let mut connection = OpenFlow::connect(switch.rundir(), "br-int").await.unwrap();
    let many: Vec<String> = (0..20_000u32)
        .map(|n| {
            format!("table=20,priority=2,dl_vlan=1,dl_dst=fa:16:3e:00:{:02x}:{:02x} actions=drop", n >> 8, n & 255)
        })
        .collect();
    let many = flows(&many.iter().map(String::as_str).collect::<Vec<_>>());
    connection.apply(&diff(&[], &many, OURS)).await.unwrap();
    assert!(diff(&connection.dump_flows().await.unwrap(), &many, OURS).is_empty());
    connection.flush_zone(7).await.unwrap();
}

#[tokio::test]
async fn a_switch_that_goes_is_noticed() {
    let mut switch = switch();
    let connection = OpenFlow::connect(switch.rundir(), "br-int").await.unwrap();
    let mut closed = connection.closed();
    assert!(!*closed.borrow());
    switch.kill_vswitchd();
    closed.wait_for(|closed| *closed).await.unwrap();
    assert!(matches!(OpenFlow::connect(switch.rundir(), "br-int").await, Err(DriverError::OpenFlowLost { .. })));
}

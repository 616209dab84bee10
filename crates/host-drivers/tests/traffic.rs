//! What the drivers attach carries traffic through the real switch: the sum of veth pairs, offloads, quieting, OVSDB and
//! OpenFlow, also after the switch was killed.

#![allow(clippy::unwrap_used)]

use host_drivers::attach::{self, Attached};
use host_drivers::links::Links;
use host_drivers::openflow::OpenFlow;
use host_drivers::ovsdb::Database;
use host_drivers::testing::PrivateSwitch;
use host_drivers::{Place, netns, unixctl};
use openflow::{CookieOwner, Flow, diff};
use ovsdb::{Desired, DesiredBridge, DesiredPort, Owner, Plan};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

const DEVICES: [&str; 2] = ["tap00000000-01", "tap00000000-02"];
const OURS: CookieOwner = CookieOwner::EVERYONE;

fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, u8::try_from(number).unwrap() + 1)
}

fn desired() -> Desired {
    let ports = DEVICES.map(|name| (name.to_owned(), DesiredPort::default()));
    let bridge = DesiredBridge {
        create: true,
        datapath_type: Some("netdev".into()),
        fail_mode: Some("secure".into()),
        protocols: ["OpenFlow14".to_owned(), "OpenFlow13".to_owned()].into(),
        ports: ports.into(),
        ..DesiredBridge::default()
    };
    Desired {
        bridges: [("br-int".to_owned(), bridge)].into(),
        ..Desired::nothing(Owner::new("neutronium-owner", "agent"))
    }
}

async fn load_flows(switch: &PrivateSwitch) {
    let mut connection = OpenFlow::connect(switch.rundir(), "br-int").await.unwrap();
    let flows: Vec<Flow> = vec!["table=0,priority=1 actions=NORMAL".parse().unwrap()];
    let change = diff(&connection.dump_flows().await.unwrap(), &flows, OURS);
    connection.apply(&change).await.unwrap();
}

/// A megabyte by TCP from the first instance to the second: wrong checksums or frames that are too large would stall it.
async fn transfer(places: &[Place]) {
    let amount = 1_000_000usize;
    let listener = places[1].run(move || TcpListener::bind((address(1), 5000)).unwrap()).await.unwrap();
    let receiver = tokio::task::spawn_blocking(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        received.len()
    });
    let sent = places[0].run(move || {
        let mut stream = TcpStream::connect_timeout(&(address(1), 5000).into(), Duration::from_secs(60)).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(&vec![7; amount]).unwrap();
    });
    sent.await.unwrap();
    assert_eq!(receiver.await.unwrap(), amount);
}

#[test]
fn attached_namespaces_talk_through_the_switch_and_do_so_again_after_it_was_killed() {
    let mut switch = PrivateSwitch::start().unwrap();
    // This thread, and the runtime on it, is the host.
    nix::sched::setns(switch.place().open().unwrap(), nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut places = Vec::new();
        for (number, name) in DEVICES.into_iter().enumerate() {
            let place = Place::named(switch.extra_namespace().unwrap());
            let attached = Attached {
                name: name.into(),
                place: place.clone(),
                mac: format!("fa:16:3e:00:00:0{number}").parse().unwrap(),
                mtu: 1450,
                checksum_offload: false,
            };
            let index = attach::veth(&attached).await.unwrap();
            let links = Links::open(&place).await.unwrap();
            links.add_address(index, format!("{}/24", address(number)).parse().unwrap()).await.unwrap();
            places.push(place);
        }
        let mut database = Database::new(&switch.db_socket());
        let cache = database.cache().await.unwrap();
        let outcomes = database.transact(ovsdb::plan(&cache, &desired()).transaction.unwrap()).await.unwrap();
        database.wait_for_switch(Plan::next_cfg(&outcomes).unwrap()).await.unwrap();
        for name in DEVICES {
            let cache = database.cache().await.unwrap();
            let interface = cache.interface(name).unwrap();
            assert!(interface.ofport.is_some() && interface.error.is_none(), "{interface:?}");
        }
        load_flows(&switch).await;
        transfer(&places).await;
        let learned = unixctl::run(switch.rundir(), "fdb/show", &["br-int"]).await.unwrap();
        assert!(learned.contains("fa:16:3e:00:00:01"), "{learned}");
        assert!(unixctl::run(switch.rundir(), "fdb/show", &["nowhere"]).await.is_err());

        switch.kill_vswitchd();
        switch.start_vswitchd().unwrap();
        switch.wait_for_bridge("br-int").unwrap();
        load_flows(&switch).await;
        transfer(&places).await;

        for (name, place) in DEVICES.into_iter().zip(&places) {
            attach::remove_veth(name).await.unwrap();
            assert!(Links::open(place).await.unwrap().get(name).await.unwrap().is_none());
        }
        assert!(places.iter().all(|place| netns::exists(&place.to_string()).unwrap()));
    });
}

/// As with the kernel's datapath: the switch makes the device, which is moved into its namespace.
#[test]
fn an_internal_port_talks_from_its_namespace() {
    let switch = PrivateSwitch::start().unwrap();
    nix::sched::setns(switch.place().open().unwrap(), nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut wanted = desired();
        for port in wanted.bridges.values_mut().flat_map(|bridge| bridge.ports.values_mut()) {
            port.kind = "internal".into();
        }
        let mut places = Vec::new();
        let mut database = Database::new(&switch.db_socket());
        for (number, name) in DEVICES.into_iter().enumerate() {
            let attached = Attached {
                name: name.into(),
                place: Place::named(switch.extra_namespace().unwrap()),
                mac: format!("fa:16:3e:00:00:0{number}").parse().unwrap(),
                mtu: 1450,
                checksum_offload: true,
            };
            if number == 0 {
                assert!(attach::internal(&attached).await.is_err(), "the switch has not made it");
                let cache = database.cache().await.unwrap();
                let outcomes = database.transact(ovsdb::plan(&cache, &wanted).transaction.unwrap()).await.unwrap();
                database.wait_for_switch(Plan::next_cfg(&outcomes).unwrap()).await.unwrap();
            }
            let index = attach::internal(&attached).await.unwrap();
            assert_eq!(attach::internal(&attached).await.unwrap(), index, "what is right stays");
            let links = Links::open(&attached.place).await.unwrap();
            let link = links.get(name).await.unwrap().unwrap();
            assert_eq!((link.mac, link.mtu, link.up), (attached.mac, 1450, true));
            links.add_address(index, format!("{}/24", address(number)).parse().unwrap()).await.unwrap();
            places.push(attached.place);
        }
        load_flows(&switch).await;
        transfer(&places).await;
        let cache = database.cache().await.unwrap();
        let nothing = Desired::nothing(wanted.owner);
        let outcomes = database.transact(ovsdb::plan(&cache, &nothing).transaction.unwrap()).await.unwrap();
        database.wait_for_switch(Plan::next_cfg(&outcomes).unwrap()).await.unwrap();
        for (name, place) in DEVICES.into_iter().zip(&places) {
            assert!(Links::open(place).await.unwrap().get(name).await.unwrap().is_none(), "gone with its port");
        }
    });
}

//! What the neighbours of a namespace notice: announcements arrive, connections of a floating IP that has gone are forgotten.

#![allow(clippy::unwrap_used)]

use host_drivers::attach::{self, Attached};
use host_drivers::links::{LinkChange, Links};
use host_drivers::testing::in_a_host_of_its_own;
use host_drivers::{Place, announce, conntrack, netns, nft};
use std::time::{Duration, Instant};

async fn run(place: &Place, command: &str) -> String {
    let argv: Vec<String> = command.split_whitespace().map(String::from).collect();
    let output =
        place.run(move || std::process::Command::new(&argv[0]).args(&argv[1..]).output().unwrap()).await.unwrap();
    let said = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    assert!(output.status.success(), "{command}: {}", said(&output.stderr));
    said(&output.stdout)
}

/// A veth pair between the host and a namespace, with an address on the host's end; the host hears it.
async fn pair() -> Place {
    netns::create("qrouter-a").unwrap();
    let attached = Attached {
        name: "qg-0".into(),
        place: Place::named("qrouter-a"),
        mac: "fa:16:3e:00:00:01".parse().unwrap(),
        mtu: 1500,
        checksum_offload: true,
    };
    attach::veth(&attached).await.unwrap();
    let host = Links::open(&Place::Host).await.unwrap();
    let outer = host.get("qg-0").await.unwrap().unwrap();
    host.set(outer.index, LinkChange { up: Some(true), ..LinkChange::default() }).await.unwrap();
    host.add_address(outer.index, "198.51.100.1/24".parse().unwrap()).await.unwrap();
    attached.place
}

#[test]
fn an_announcement_corrects_what_neighbours_believed() {
    in_a_host_of_its_own(|| async {
        let place = pair().await;
        run(&Place::Host, "ip neigh replace 198.51.100.9 lladdr 02:00:00:00:00:99 dev qg-0 nud stale").await;
        announce::send(&place, "qg-0", "fa:16:3e:00:00:01".parse().unwrap(), "198.51.100.9".parse().unwrap())
            .await
            .unwrap();
        let start = Instant::now();
        loop {
            let known = run(&Place::Host, "ip neigh show 198.51.100.9").await;
            if known.contains("fa:16:3e:00:00:01") {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{known}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let nowhere = announce::send(&place, "qg-1", Default::default(), "198.51.100.9".parse().unwrap()).await;
        assert!(nowhere.is_err());
    })
    .unwrap();
}

#[test]
fn connections_of_a_floating_ip_are_forgotten_and_only_those() {
    in_a_host_of_its_own(|| async {
        let place = pair().await;
        // The kernel tracks only where somebody asks for it.
        let track = "add table ip t\nadd chain ip t c { type filter hook input priority 0; }\nadd rule ip t c ct state new accept\n";
        nft::apply(&place, track.into()).await.unwrap();
        let connection = |origin: &str, destination: &str, answer_from: &str, answer_to: &str| {
            format!(
                "conntrack -I -p udp -t 600 -s {origin} -d {destination} --sport 1 --dport 2 \
                 -r {answer_from} -q {answer_to} --reply-port-src 2 --reply-port-dst 1"
            )
        };
        let (peer, floating, fixed) = ("198.51.100.50", "198.51.100.9", "10.0.0.5");
        for command in [
            connection(peer, floating, fixed, peer),                 // came in by the floating IP
            connection(fixed, peer, peer, floating),                 // left with it
            connection("10.0.0.6", peer, peer, "198.51.100.8"),      // another's
            connection(fixed, "10.0.0.6", "10.0.0.6", fixed),        // of the same instance, without it
        ] {
            run(&place, &command).await;
        }
        conntrack::forget_floating_ip(&place, floating.parse().unwrap(), fixed.parse().unwrap()).await.unwrap();
        let left = run(&place, "conntrack -L").await;
        assert_eq!(left.lines().count(), 2, "{left}");
        assert!(!left.contains(floating), "{left}");
        // Nothing to forget is fine.
        conntrack::forget_floating_ip(&place, floating.parse().unwrap(), fixed.parse().unwrap()).await.unwrap();
    })
    .unwrap();
}

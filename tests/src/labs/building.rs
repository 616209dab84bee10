//! What most labs are built of: networks with a subnet, ways outside, routers, rules, instances.
//!
//! The functions give commands of the client, so that a story sends all of a chapter's in one session.

use crate::lab::Probe;
use crate::story::Story;
use crate::{Client, Failure, Lab};

/// A network and its one subnet, called `NAME-subnet`; `more` goes with the subnet's command.
pub(super) fn network(name: &str, range: &str, more: &str) -> [String; 2] {
    [
        format!("network create {name} -f json"),
        format!("subnet create {name}-subnet --network {name} --subnet-range {range} {more} -f json"),
    ]
}

/// A flat network outside, on a physical network, for all projects; `more` goes with the subnet's command (its gateway, its pool).
pub(super) fn outside(name: &str, physical: &str, range: &str, more: &str) -> [String; 2] {
    let [network, subnet] = network(name, range, more);
    let flat = format!(" --external --share --provider-network-type flat --provider-physical-network {physical}");
    [network + &flat, subnet]
}

/// A router with its gateway on `external`, and in each of these networks' subnets.
pub(super) fn router(name: &str, external: &str, networks: &[&str]) -> Vec<String> {
    let inside = networks.iter().map(|network| format!("router add subnet {name} {network}-subnet"));
    std::iter::once(format!("router create {name} --external-gateway {external} -f json")).chain(inside).collect()
}

/// What a group lets in, each as the client's options say it (`--protocol icmp`).
pub(super) fn lets_in(group: &str, rules: &[&str]) -> Vec<String> {
    rules.iter().map(|rule| format!("security group rule create {group} {rule}")).collect()
}

/// An instance that is wanted: name, network, host, and further options of `probe create`.
pub(super) type Wanted<'a> = (&'a str, &'a str, &'a str, &'a [&'a str]);

/// Makes instances, all at once as a cloud does; told as one step.
pub(super) fn instances<const N: usize>(
    lab: &Lab,
    client: &Client,
    story: &mut Story,
    wanted: [Wanted<'_>; N],
) -> Result<[Probe; N], Failure> {
    let told = wanted.map(|(name, network, host, _)| format!("{name} ({network}, {host})")).join(", ");
    let make = || {
        std::thread::scope(|scope| {
            let threads = wanted.map(|(name, network, host, options)| {
                scope.spawn(move || lab.create_probe(client, name, network, host, options))
            });
            let broken = || Failure::Unexpected { command: "probe create".into(), what: "broke off".into() };
            threads.map(|thread| thread.join().unwrap_or_else(|_| Err(broken())))
        })
    };
    let all = || make().into_iter().collect::<Result<Vec<_>, _>>();
    let made = story.does(&format!("instances {told}"), all, |probes| {
        format!("leases {}", probes.iter().map(|probe| probe.address.as_str()).collect::<Vec<_>>().join(", "))
    })?;
    made.try_into().map_err(|_| Failure::Unexpected { command: "probe create".into(), what: "not all".into() })
}

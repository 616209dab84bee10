//! Scripts against the real nft, each in a network namespace of its own that ends with the command: accepted, read back
//! equal, and foreign tables left alone.
#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests, too

use net_types::IpNet;
use nft_rules::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};

/// Runs shell commands in a new namespace with these scripts in `$1`, `$2`, ...; what they printed.
fn in_namespace(commands: &str, scripts: &[&str]) -> Result<String, String> {
    let output = Command::new("unshare")
        .args(["--net", "sh", "-ec", commands, "sh"])
        .args(scripts)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

const LOAD_AND_LIST: &str = r#"printf %s "$1" | nft -c -f -; printf %s "$1" | nft -f -; nft --json list ruleset"#;

fn round_trip(table: &Table) -> Table {
    let script = table.install_script();
    let listed = in_namespace(LOAD_AND_LIST, &[&script]).unwrap_or_else(|error| panic!("{error}\n{script}"));
    tables_from_json(&listed).unwrap().remove(&(table.family, table.name.clone())).unwrap()
}

fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

/// Every type of this crate at least once.
fn everything() -> Table {
    let mut table = Table::new(Family::Ip, "neutronium");
    let pairs: BTreeMap<Value, Value> = (1..5).map(|n| (address(n).into(), address(n + 100).into())).collect();
    table
        .map("floating_to_fixed", Map { elements: pairs, ..Map::new(DataType::Ipv4Addr, DataType::Ipv4Addr) })
        .map("empty", Map::new(DataType::Ipv4Addr, DataType::Ipv4Addr))
        .set(
            "inside",
            Set {
                of: DataType::Ipv4Addr.into(),
                interval: true,
                elements: ["10.0.0.0/8", "192.0.2.1/32"].map(|net| Value::from(net.parse::<IpNet>().unwrap())).into(),
            },
        )
        .chain(
            "a_first",
            Chain::base(Kind::Filter, Hook::Prerouting, -150)
                .rule(Rule::new().is(Field::IifName, "qg-1").then(Statement::SetMark { value: 2, mask: 0xffff }))
                .rule(Rule::new().is(Field::IifName, "qr-*").then(Statement::SetMark { value: 7, mask: u32::MAX }))
                .rule(Rule::new().has(Field::CtState, "established").then(Statement::Counter).then(Statement::Accept))
                .rule(Rule::new().has_not(Field::CtStatus, "dnat").then(Statement::Return))
                .rule(
                    Rule::new()
                        .is(Field::IpSaddr, Value::Set("inside".into()))
                        .is_not(Field::IpDaddr, "10.1.0.0/16".parse::<IpNet>().map(Value::from).unwrap())
                        .is(Field::UdpDport, 53)
                        .then(Statement::Drop),
                )
                .rule(Rule::new().masked_is(Field::MetaMark, 0xffff, 2).then(Statement::Goto("z_last".into()))),
        )
        .chain(
            "prerouting",
            Chain::base(Kind::Nat, Hook::Prerouting, -100)
                .rule(Rule::new().then(Statement::Dnat(Nat::map(Field::IpDaddr, "floating_to_fixed"))))
                .rule(Rule::new().is(Field::TcpDport, 80).then(Statement::Redirect(9697))),
        )
        .chain(
            "postrouting",
            Chain::base(Kind::Nat, Hook::Postrouting, 100)
                .rule(Rule::new().has(Field::CtStatus, "dnat").then(Statement::Jump("sources".into()))),
        )
        .chain(
            "sources",
            Chain::new()
                .rule(Rule::new().then(Statement::Snat(Nat::map(Field::IpSaddr, "empty").fully_random())))
                .rule(
                    Rule::new()
                        .masked_is_not(Field::MetaMark, 0xffff, 2)
                        .then(Statement::Snat(Nat::to(address(1)).fully_random()))
                        .comment("hairpin"),
                ),
        )
        .chain("z_last", Chain::new());
    table
}

#[test]
fn everything_is_accepted_and_read_back_equal() {
    let table = everything();
    assert_eq!(round_trip(&table), table);
}

/// Joined keys and values, ranges, named objects, marks of connections.
fn with_objects() -> Table {
    let number = |n: u32| Value::from(n);
    let endpoint =
        |protocol: &str, last: u8, ports: Value| Value::Joined(vec![protocol.into(), address(last).into(), ports]);
    let ports = |first, last| Value::from(net_types::PortRange::new(first, last).unwrap());
    let service = [DataType::InetProto, DataType::Ipv4Addr, DataType::InetService];
    let looked_up = [Field::MetaL4Proto, Field::IpDaddr, Field::ThDport];
    let mut table = Table::new(Family::Ip, "neutronium");
    table
        .object("fast", Object::Limit { rate: 125_000, burst: 12_500 })
        .object("round", Object::Limit { rate: 131_072, burst: 2 << 20 })
        .object("l-1", Object::Counter)
        .object("ftp-21", Object::CtHelper { kind: "ftp".into(), protocol: "tcp".into() })
        .map(
            "exact",
            Map {
                elements: [
                    (endpoint("tcp", 1, number(80)), Value::Joined(vec![address(5).into(), number(8080)])),
                    (endpoint("sctp", 1, number(80)), Value::Joined(vec![address(6).into(), number(81)])),
                ]
                .into(),
                ..Map::new(service, [DataType::Ipv4Addr, DataType::InetService])
            },
        )
        .map(
            "ranges",
            Map {
                elements: [
                    (endpoint("udp", 1, ports(80, 89)), address(5).into()),
                    (endpoint("udp", 1, ports(90, 90)), address(6).into()),
                ]
                .into(),
                ..Map::intervals(service, DataType::Ipv4Addr)
            },
        )
        .map(
            "limits",
            Map {
                elements: [(address(1).into(), "fast".into()), (address(2).into(), "round".into())].into(),
                ..Map::new(DataType::Ipv4Addr, DataType::Limit)
            },
        )
        .map(
            "marks",
            Map {
                elements: [("qr-1".into(), number(0x400_0000))].into(),
                ..Map::new(DataType::Ifname, DataType::Mark)
            },
        )
        .chain(
            "nat",
            Chain::base(Kind::Nat, Hook::Prerouting, -100)
                .rule(Rule::new().then(Statement::Dnat(Nat::map(looked_up, "exact"))))
                .rule(Rule::new().then(Statement::Dnat(Nat::map(looked_up, "ranges")))),
        )
        .chain(
            "pass",
            Chain::base(Kind::Filter, Hook::Forward, 0)
                .rule(Rule::new().then(Statement::SetMarkByMap { key: Field::IifName.into(), map: "marks".into() }))
                .rule(Rule::new().is(Field::CtDirection, "reply").then(Statement::Return))
                .rule(Rule::new().masked_is(Field::CtMark, 0xffff_0000, 0).then(Statement::Counter))
                .rule(
                    Rule::new()
                        .is(Field::OifName, "qr-1")
                        .masked_is_not(Field::MetaMark, 0xffff_0000, 0x400_0000)
                        .then(Statement::Drop),
                )
                .rule(
                    Rule::new()
                        .then(Statement::LimitByMap { key: Field::IpSaddr.into(), map: "limits".into() })
                        .then(Statement::Drop),
                )
                .rule(Rule::new().is(Field::IpSaddr, address(7)).then(Statement::Count("l-1".into())))
                .rule(Rule::new().is(Field::TcpDport, 21).then(Statement::CtHelper("ftp-21".into()))),
        );
    table
}

#[test]
fn joined_keys_and_named_objects_are_read_back_equal() {
    let table = with_objects();
    assert_eq!(round_trip(&table), table);
}

#[test]
fn an_updated_table_is_what_it_shall_be_and_keeps_what_was_counted() {
    let old = with_objects();
    let mut new = old.clone();
    new.chains.remove("nat");
    new.maps.remove("exact");
    new.maps.get_mut("marks").unwrap().elements.clear();
    new.objects.remove("ftp-21");
    new.object("round", Object::Limit { rate: 1000, burst: 2000 }).object("l-2", Object::Counter);
    let pass = new.chains.get_mut("pass").unwrap();
    pass.base.as_mut().unwrap().priority = 5;
    pass.rules.pop();
    let count = "add rule ip neutronium pass counter name \"l-1\"; add chain ip neutronium o { type filter hook output priority 0; }; \
        add rule ip neutronium o counter name \"l-1\"";
    let commands = r#"ip link set lo up; printf %s "$1" | nft -f -; printf %s "$3" | nft -f -
        ping -qc 3 -i 0.01 127.0.0.1 >/dev/null
        nft delete chain ip neutronium o 2>/dev/null || { nft flush chain ip neutronium o; nft delete chain ip neutronium o; }
        printf %s "$2" | nft -f -; nft list counter ip neutronium l-1 >&2; nft --json list ruleset; nft list counter ip neutronium l-1 | grep -q 'packets [1-9]'"#;
    let listed = in_namespace(commands, &[&old.install_script(), &new.update_script(&old), count]).unwrap();
    assert_eq!(tables_from_json(&listed).unwrap().into_values().collect::<Vec<_>>(), [new]);
}

#[test]
fn an_ingress_chain_hangs_on_its_device() {
    let mut table = Table::new(Family::Netdev, "quiet");
    table.chain("in_lo", Chain::ingress("lo", -500, Policy::Drop));
    let mut found = round_trip(&table);
    let base = found.chains.get_mut("in_lo").unwrap().base.as_mut().unwrap();
    // nft 1.0.6 does not say it; later versions do.
    assert!(base.device.as_deref().is_none_or(|device| device == "lo"));
    base.device = Some("lo".into());
    assert_eq!(found, table);
}

#[test]
fn installing_replaces_only_the_table_itself() {
    let (mut table, mut other) = (everything(), Table::new(Family::Ip, "somebody-elses"));
    other.chain("input", Chain::base(Kind::Filter, Hook::Input, 0));
    let first = other.install_script() + &table.install_script();
    table.chains.remove("postrouting");
    table.maps.get_mut("floating_to_fixed").unwrap().elements.pop_first();
    let commands = r#"printf %s "$1" | nft -f -; printf %s "$2" | nft -f -; nft --json list ruleset"#;
    let listed = tables_from_json(&in_namespace(commands, &[&first, &table.install_script()]).unwrap()).unwrap();
    assert_eq!(listed.values().collect::<Vec<_>>(), [&table, &other]);
    let listed = tables_from_json(&in_namespace(commands, &[&first, &table.remove_script()]).unwrap()).unwrap();
    assert_eq!(listed.values().collect::<Vec<_>>(), [&other]);
    // Also when it was not there.
    in_namespace(r#"printf %s "$1" | nft -f -"#, &[&table.remove_script()]).unwrap();
}

#[test]
fn drift_of_any_kind_is_seen() {
    let table = everything();
    let changes = [
        "add rule ip neutronium prerouting tcp dport 22 drop",
        "add rule ip neutronium prerouting meta length 100 accept",
        "add element ip neutronium empty { 10.9.9.9 : 10.9.9.8 }",
        "delete element ip neutronium floating_to_fixed { 10.0.0.1 }",
        "add chain ip neutronium more",
        "add counter ip neutronium c",
        "flush chain ip neutronium postrouting",
        "delete table ip neutronium",
    ];
    let commands = r#"printf %s "$1" | nft -f -; printf %s "$2" | nft -f -; nft --json list ruleset"#;
    for change in changes {
        let listed = in_namespace(commands, &[&table.install_script(), change]).unwrap();
        let found = tables_from_json(&listed).unwrap().remove(&(table.family, table.name.clone()));
        assert_ne!(found.as_ref(), Some(&table), "{change}");
    }
}

#[test]
fn ten_thousand_floating_ips_are_one_script() {
    let mut table = Table::new(Family::Ip, "neutronium");
    let pairs = (0..10_000u32).map(|n| (IpAddr::from(Ipv4Addr::from_bits(0xc633_0000 + n)), n));
    let elements: BTreeMap<Value, Value> = pairs
        .map(|(floating, n)| (floating.into(), IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + n)).into()))
        .collect();
    table.map("floating_to_fixed", Map { elements, ..Map::new(DataType::Ipv4Addr, DataType::Ipv4Addr) });
    // Too long for an argument: over standard input, as the driver does it.
    let mut child = Command::new("unshare")
        .args(["--net", "sh", "-ec", "nft -f -; nft --json list ruleset"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(table.install_script().as_bytes()).unwrap();
    let listed = child.wait_with_output().unwrap();
    let tables = tables_from_json(&String::from_utf8(listed.stdout).unwrap()).unwrap();
    assert_eq!(tables.into_values().collect::<Vec<_>>(), [table]);
}

#[test]
fn what_is_not_nfts_answer_is_an_error_and_never_a_panic() {
    for text in ["", "{}", "[]", r#"{"nftables": 3}"#, r#"{"nftables": [{"rule": {}}]}"#] {
        assert!(tables_from_json(text).is_err(), "{text}");
    }
    let odd = r#"{"nftables": [{"rule": {"family": "ip", "table": "t", "expr": [{"match": null}]}}]}"#;
    let tables = tables_from_json(odd).unwrap();
    assert_eq!(tables.values().map(|table| table.unreadable.len()).collect::<BTreeSet<_>>(), [1].into());
}

//! The arrows run one way: vocabulary <- model <- planners <- drivers <- agent and server <- the binary, and nothing below
//! the drivers knows an async runtime, SQL, sockets, the clock or randomness.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The floors of the house, lowest first. A crate may depend on crates of lower floors, and on those of its own floor
/// that stand before it.
const FLOORS: &[(&str, &[&str])] = &[
    ("vocabulary", &["net-types", "secret", "error-text"]),
    (
        "model and wire formats",
        &["network-model", "api-schema", "access-policy", "openflow", "ovsdb", "nft-rules", "host-view"],
    ),
    ("planners", &["host-plan", "packet-trace"]),
    ("drivers and store", &["host-drivers", "tls-trust", "store"]),
    ("services", &["network-store", "host-services", "identity", "keystone-client"]),
    ("agent and server", &["host-agent", "host-feed", "nova-notifier", "instance-metadata", "api-server"]),
    ("lab", &["lab"]),
    ("binary", &["neutronium"]),
];

/// Floors below this one are pure.
const FIRST_IMPURE: &str = "drivers and store";

/// What a pure crate must not know.
const IMPURE: &[&str] =
    &["tokio", "axum", "hyper", "rusqlite", "nix", "socket2", "rtnetlink", "rand", "jiff", "tracing", "argon2"];

fn dependencies(manifest: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(manifest).unwrap();
    let table: toml::Table = text.parse().unwrap();
    table.get("dependencies").and_then(|d| d.as_table()).map(|d| d.keys().cloned().collect()).unwrap_or_default()
}

fn crates() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), dependencies(&entry.path().join("Cargo.toml"))))
        .collect()
}

#[test]
fn every_crate_has_a_floor_and_every_arrow_points_down() {
    let order: Vec<&str> = FLOORS.iter().flat_map(|(_, crates)| crates.iter().copied()).collect();
    let crates = crates();
    let mut wrong = Vec::new();
    for (name, dependencies) in &crates {
        let Some(own) = order.iter().position(|c| c == name) else {
            wrong.push(format!("{name} stands on no floor"));
            continue;
        };
        for dependency in dependencies.iter().filter(|d| crates.contains_key(*d)) {
            if order.iter().position(|c| c == dependency).is_none_or(|other| other >= own) {
                wrong.push(format!("{name} -> {dependency} points up"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn pure_crates_know_no_runtime_no_sql_no_clock_no_dice() {
    let crates = crates();
    let pure = FLOORS.iter().take_while(|(floor, _)| *floor != FIRST_IMPURE).flat_map(|(_, crates)| crates.iter());
    let wrong: Vec<String> = pure
        .filter_map(|name| crates.get(*name).map(|dependencies| (name, dependencies)))
        .flat_map(|(name, dependencies)| {
            dependencies.iter().filter(|d| IMPURE.contains(&d.as_str())).map(move |d| format!("{name} -> {d}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn unsafe_code_is_denied_everywhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    for name in crates().keys() {
        let text = std::fs::read_to_string(root.join(name).join("Cargo.toml")).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let inherits = table["lints"]["workspace"].as_bool();
        assert_eq!(inherits, Some(true), "{name} must take the workspace's lints");
    }
}

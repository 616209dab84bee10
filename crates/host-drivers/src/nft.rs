//! nftables of a namespace: one script is one transaction.

use crate::{DriverError, Place, program};
use std::collections::BTreeMap;

/// Applies a script; all of it or nothing.
pub async fn apply(place: &Place, script: String) -> Result<(), DriverError> {
    program::run(place, "nft", vec!["-f".into(), "-".into()], script.into_bytes()).await.map(drop)
}

/// The whole ruleset as `nft --json` prints it.
pub async fn list(place: &Place) -> Result<Vec<u8>, DriverError> {
    let arguments = ["--json", "--stateless", "list", "ruleset"].map(String::from);
    program::run(place, "nft", arguments.into(), Vec::new()).await
}

/// What all named counters have counted, as `nft --json` prints it.
pub async fn counters(place: &Place) -> Result<Vec<u8>, DriverError> {
    let arguments = ["--json", "list", "counters"].map(String::from);
    program::run(place, "nft", arguments.into(), Vec::new()).await
}

/// The script that keeps the kernel from hearing what Open vSwitch reads from `device` by AF_PACKET (userspace datapath):
/// the host's stack would answer ARP and forward what the switch already takes care of. Open vSwitch still sees every
/// frame, for its tap comes first.
///
/// The chain is made anew, in the same transaction: one of a device that has gone is bound to nothing. Applying the script
/// twice is fine.
pub fn quiet(device: &str) -> String {
    let (add, delete) = quiet_chain(device);
    format!("{add}{delete}{add}")
}

/// [`quiet`] for a device whose name no chain bears yet; refused when one does. For this nft need not read all other
/// chains.
pub fn quiet_anew(device: &str) -> String {
    quiet_chain(device).0.replace("add chain", "create chain")
}

/// The script that takes back [`quiet`]; while the device is still there (older kernels refuse to name one that is not).
/// Fine when there is nothing to take back.
pub fn no_longer_quiet(device: &str) -> String {
    let (add, delete) = quiet_chain(device);
    format!("{add}{delete}")
}

/// Chains of [`quiet`] in a place, and the devices that they are in force for: one whose device is gone has none.
pub async fn quiet_chains(place: &Place) -> Result<BTreeMap<String, Option<String>>, DriverError> {
    // As text, for JSON leaves the device out (nft 1.0.6).
    let arguments = ["--stateless", "list", "table", "netdev", "neutronium-quiet"].map(String::from);
    match program::run(place, "nft", arguments.into(), Vec::new()).await {
        Ok(text) => Ok(chains_of(&String::from_utf8_lossy(&text))),
        Err(DriverError::Program { said, .. }) if said.contains("No such file") => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}

/// `chain in_tap1 {`, and in it `type filter hook ingress device "tap1" priority -500; policy drop;`.
fn chains_of(text: &str) -> BTreeMap<String, Option<String>> {
    let mut chains = BTreeMap::new();
    let mut current = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("chain ").and_then(|rest| rest.strip_suffix(" {")) {
            chains.insert(name.to_owned(), None);
            current = Some(name.to_owned());
        } else if let (Some(chain), Some((_, rest))) = (&current, line.split_once("hook ingress device "))
            && line.contains("policy drop")
        {
            let device = rest.split_whitespace().next().map(|word| word.trim_matches('"').to_owned());
            chains.insert(chain.clone(), device);
        }
    }
    chains
}

/// The script that takes away these chains of a table that has `all`, and the table with the last of them.
pub fn forget_quiet(gone: &[&String], all: usize) -> String {
    if gone.len() == all {
        return "add table netdev neutronium-quiet\ndelete table netdev neutronium-quiet\n".to_owned();
    }
    gone.iter().map(|chain| format!("delete chain netdev neutronium-quiet {chain}\n")).collect()
}

fn quiet_chain(device: &str) -> (String, String) {
    let chain = format!("in_{}", device.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
    let add = format!(
        "add table netdev neutronium-quiet\nadd chain netdev neutronium-quiet {chain} \
         {{ type filter hook ingress device \"{device}\" priority -500; policy drop; }}\n"
    );
    (add, format!("delete chain netdev neutronium-quiet {chain}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_read_as_nft_prints_them() {
        let text = "table netdev neutronium-quiet {\n\tchain in_tap1 {\n\t\ttype filter hook ingress device \"tap1\" \
                    priority -500; policy drop;\n\t}\n\n\tchain in_gone {\n\t\ttype filter hook ingress priority -500; \
                    policy drop;\n\t}\n}\n";
        let chains = chains_of(text);
        assert_eq!(chains, [("in_gone".to_owned(), None), ("in_tap1".to_owned(), Some("tap1".to_owned()))].into());
    }
}

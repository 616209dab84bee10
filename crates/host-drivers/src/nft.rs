//! nftables of a namespace: one script is one transaction.

use crate::{DriverError, Place, program};

/// Applies a script; all of it or nothing.
pub async fn apply(place: &Place, script: String) -> Result<(), DriverError> {
    program::run(place, "nft", vec!["-f".into(), "-".into()], script.into_bytes()).await.map(drop)
}

/// The whole ruleset as `nft --json` prints it.
pub async fn list(place: &Place) -> Result<Vec<u8>, DriverError> {
    let arguments = ["--json", "--stateless", "list", "ruleset"].map(String::from);
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

/// The script that takes back [`quiet`]; while the device is still there (older kernels refuse to name one that is not).
/// Fine when there is nothing to take back.
pub fn no_longer_quiet(device: &str) -> String {
    let (add, delete) = quiet_chain(device);
    format!("{add}{delete}")
}

fn quiet_chain(device: &str) -> (String, String) {
    let chain = format!("in_{}", device.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
    let add = format!(
        "add table netdev neutronium-quiet\nadd chain netdev neutronium-quiet {chain} \
         {{ type filter hook ingress device \"{device}\" priority -500; policy drop; }}\n"
    );
    (add, format!("delete chain netdev neutronium-quiet {chain}\n"))
}

//! Where a lab keeps what it must find again. Everything derives from the lab's name.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::Error;

/// `node.json` and the control socket as the node itself sees them.
pub(crate) const RECORD_INSIDE: &str = "/run/lab/node.json";
/// Folder of a host's logs as the host itself sees it.
pub(crate) const LOG_INSIDE: &str = "/var/log/neutronium";

/// Folder of all labs.
const BASE: &str = "/run/neutronium/labs";

/// A lab's name: 1 to 20 letters, digits or hyphens, starting with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabName(String);

impl LabName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LabName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let good = text.len() <= 20
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if good { Ok(Self(text.to_owned())) } else { Err(Error::LabName(text.to_owned())) }
    }
}

/// Paths of one lab, as the machine (not its hosts) sees them.
#[derive(Debug, Clone)]
pub struct Paths {
    name: LabName,
}

impl Paths {
    /// Paths of the lab of that name.
    #[must_use]
    pub fn new(name: LabName) -> Self {
        Self { name }
    }

    /// The lab's name.
    #[must_use]
    pub fn name(&self) -> &LabName {
        &self.name
    }

    /// Folder of all labs.
    #[must_use]
    pub fn base() -> &'static Path {
        Path::new(BASE)
    }

    /// Everything of this lab lies here.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        Path::new(BASE).join(self.name.as_str())
    }

    /// Held by the command that changes the lab; beside the folder, so that it outlives it.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        Path::new(BASE).join(format!(".{}.lock", self.name))
    }

    /// The lab as it was ordered.
    #[must_use]
    pub fn record(&self) -> PathBuf {
        self.state().join("lab.json")
    }

    /// The administrator's password and the agents' secret; for root only.
    #[must_use]
    pub fn credentials(&self) -> PathBuf {
        self.state().join("credentials.json")
    }

    /// Folder of one host or switch.
    #[must_use]
    pub fn node(&self, node: &str) -> PathBuf {
        self.state().join("nodes").join(node)
    }

    /// What a node's supervisor says of itself.
    #[must_use]
    pub fn node_record(&self, node: &str) -> PathBuf {
        self.run(node).join("lab/node.json")
    }

    /// Where a node's supervisor takes orders.
    #[must_use]
    pub fn control(&self, node: &str) -> PathBuf {
        self.run(node).join("lab/control")
    }

    /// What the node sees as `/run`.
    #[must_use]
    pub fn run(&self, node: &str) -> PathBuf {
        self.node(node).join("run")
    }

    /// What the node sees as `/etc/neutronium`.
    #[must_use]
    pub fn etc(&self, node: &str) -> PathBuf {
        self.node(node).join("etc")
    }

    /// What the node sees as `/var/lib/neutronium`.
    #[must_use]
    pub fn var(&self, node: &str) -> PathBuf {
        self.node(node).join("var")
    }

    /// What the node sees as `/etc/openvswitch`: the Open vSwitch database.
    #[must_use]
    pub fn ovs_db(&self, node: &str) -> PathBuf {
        self.node(node).join("openvswitch")
    }

    /// What the node sees as `/var/log/neutronium`: one file per process.
    #[must_use]
    pub fn log(&self, node: &str) -> PathBuf {
        self.node(node).join("log")
    }
}

/// Names of the labs that have a state folder, whole or not.
pub fn labs() -> Vec<LabName> {
    let Ok(entries) = std::fs::read_dir(BASE) else { return Vec::new() };
    let mut labs: Vec<LabName> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    labs.sort();
    labs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leads_out_of_the_folder() {
        for bad in ["", ".", "..", "a/b", "1a", "-a", "a b", "aaaaaaaaaaaaaaaaaaaaa", ".lab.lock"] {
            assert!(bad.parse::<LabName>().is_err(), "{bad:?}");
        }
        let longest = "abcdefghijklmnopqrst";
        let paths = Paths::new(longest.parse().unwrap());
        // The longest socket of a host, which must fit into a Unix socket's 108 bytes.
        assert!(paths.run(longest).join("openvswitch/br-tun.mgmt").as_os_str().len() < 108);
    }
}

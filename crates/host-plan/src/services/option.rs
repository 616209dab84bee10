//! DHCP options of one port, beyond what all ports are told (`extra_dhcp_opts`).

use serde::{Deserialize, Serialize};

/// An option with its octets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraOption {
    /// Its number; of DHCP for IPv4 255 (which marks the end of options and can be none) stands for the address of the
    /// next server (`siaddr`), as in dnsmasq.
    pub code: u16,
    /// What is told; empty: nothing is told, not even what all ports are told.
    pub data: Vec<u8>,
    /// Told only to who meets all of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<Tag>,
}

/// What the client's message must show, or must not. A tag that nobody knows is never there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// `ipxe`: it has option 175; `ipxe6`: its user class is iPXE (both as Neutron's dnsmasq knows them).
    pub name: String,
    /// It must not be there.
    pub absent: bool,
}

impl ExtraOption {
    /// The number of the next server's address, see [`ExtraOption::code`].
    pub const NEXT_SERVER: u16 = 255;

    /// Whether it is meant for who shows these tags.
    pub fn applies(&self, tags: &[&str]) -> bool {
        self.when.iter().all(|tag| tags.contains(&tag.name.as_str()) != tag.absent)
    }
}

//! Who asks, as a proxy says and signs it.

use axum::http::HeaderMap;
use hmac::{Hmac, Mac};
use network_store::instance_metadata::InstancePort;
use sha2::Sha256;
use std::net::{IpAddr, Ipv6Addr};

/// A request whose signature is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) instance: String,
    project: String,
    address: IpAddr,
}

impl Asked {
    /// None: a header is missing, or the signature is not that of the instance's id under the secret.
    pub(crate) fn read(headers: &HeaderMap, secret: &[u8]) -> Option<Self> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let instance = header("x-instance-id").filter(|id| !id.is_empty() && !secret.is_empty())?;
        let signature = octets(header("x-instance-id-signature")?)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
        mac.update(instance.as_bytes());
        // Takes a time that does not tell where they differ.
        mac.verify_slice(&signature).ok()?;
        let project = header("x-tenant-id")?.to_owned();
        Some(Self { instance: instance.to_owned(), project, address: header("x-forwarded-for")?.parse().ok()? })
    }

    /// Whether one of these ports, which are the instance's, is of the project and has the address that was asked from.
    pub(crate) fn is_of(&self, ports: &[InstancePort]) -> bool {
        ports.iter().filter(|port| port.project == self.project).any(|port| {
            let own = port.addresses.iter().any(|fixed| fixed.address == self.address);
            let has_v6 = port.addresses.iter().any(|fixed| fixed.address.is_ipv6());
            own || has_v6 && self.address == IpAddr::V6(link_local(port.mac.0))
        })
    }
}

/// The address that a device gives itself (EUI-64, RFC 4291 appendix A).
fn link_local([a, b, c, d, e, f]: [u8; 6]) -> Ipv6Addr {
    let id = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Ipv6Addr::from_bits(0xfe80 << 112 | u128::from(id))
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

//! MAC addresses for ports that do not bring their own.

use crate::ModelError;
use net_types::{MacAddr, NetworkId};

/// Neutron's `base_mac` when nothing is configured.
pub const DEFAULT_BASE_MAC: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 0]);

/// How many times [`pick_mac`] is worth asking: with 2^24 addresses a network is as good as full after so many misses.
pub const ATTEMPTS: usize = 16;

/// The address that `random` gives under `base`: its first three octets stay, the fourth too unless it is zero
/// (Neutron's `base_mac`).
pub fn mac_from(base: MacAddr, random: [u8; 3]) -> MacAddr {
    let [a, b, c, fourth, ..] = base.0;
    let [d, e, f] = random;
    MacAddr([a, b, c, if fourth == 0 { d } else { fourth }, e, f])
}

/// A MAC address that no port of the network has.
///
/// `random` draws three octets; `is_taken` looks into the network's ports.
pub fn pick_mac<E: From<ModelError>>(
    net_id: NetworkId,
    base: MacAddr,
    mut random: impl FnMut() -> [u8; 3],
    mut is_taken: impl FnMut(MacAddr) -> Result<bool, E>,
) -> Result<MacAddr, E> {
    for _ in 0..ATTEMPTS {
        let mac = mac_from(base, random());
        if !is_taken(mac)? {
            return Ok(mac);
        }
    }
    Err(ModelError::MacAddressGenerationFailure { net_id }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net_id() -> NetworkId {
        "5a0fa2a2-6d5c-4a2c-8f0e-0d0c1c1d2e3f".parse().unwrap()
    }

    #[test]
    fn keeps_the_configured_octets() {
        assert_eq!(mac_from(DEFAULT_BASE_MAC, [1, 2, 3]).to_string(), "fa:16:3e:01:02:03");
        assert_eq!(mac_from(MacAddr([0xfa, 0x16, 0x3e, 0x4f, 0, 0]), [1, 2, 3]).to_string(), "fa:16:3e:4f:02:03");
    }

    #[test]
    fn draws_again_until_one_is_free_and_gives_up_when_none_is() {
        let mut draws = 0u8;
        let mut random = || {
            draws += 1;
            [0, 0, draws]
        };
        let taken = |mac: MacAddr| Ok::<_, ModelError>(mac.0[5] < 3);
        assert_eq!(pick_mac(net_id(), DEFAULT_BASE_MAC, &mut random, taken).unwrap().0[5], 3);
        let full = pick_mac(net_id(), DEFAULT_BASE_MAC, random, |_| Ok::<_, ModelError>(true));
        assert_eq!(full, Err(ModelError::MacAddressGenerationFailure { net_id: net_id() }));
    }
}

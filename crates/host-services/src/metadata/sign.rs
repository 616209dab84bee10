//! How a metadata service knows that it is a proxy of this deployment that speaks.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt::Write;

/// `X-Instance-ID-Signature`: HMAC-SHA256 (RFC 2104) of the instance's id under `metadata_proxy_shared_secret`, in small
/// hexadecimal digits.
pub fn sign_instance_id(secret: &[u8], instance: &str) -> String {
    let mut hex = String::with_capacity(64);
    // A key of any length is one.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) {
        mac.update(instance.as_bytes());
        for octet in mac.finalize().into_bytes() {
            let _ = write!(hex, "{octet:02x}");
        }
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_rfc() {
        // RFC 4231, test cases 2 and 6.
        assert_eq!(
            sign_instance_id(b"Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            sign_instance_id(&[0xaa; 131], "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
        // Without a secret, as Neutron's default.
        assert_eq!(sign_instance_id(b"", "").len(), 64);
    }
}

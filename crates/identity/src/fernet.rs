//! Fernet: authenticated encryption of a short message, as <https://github.com/fernet/spec/blob/master/Spec.md> has it.
//!
//! ```text
//! base64url( 0x80 | seconds since 1970, 64 bits big endian | IV, 16 bytes | AES-128-CBC, PKCS7 | HMAC-SHA256, 32 bytes )
//! key: 16 bytes for signing, 16 bytes for encryption, written as base64url of the 32
//! ```
//!
//! Pure: the time and the IV come in. Keystone drops the `=` padding of its tokens; so do we, and accept both.

use aes::Aes128;
use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit};
use hmac::{Hmac, Mac};
use sha2::Sha256;

const VERSION: u8 = 0x80;
const IV: usize = 16;
const BLOCK: usize = 16;
const HEADER: usize = 1 + 8 + IV;
const TAG: usize = 32;

/// URL-safe, written without padding, read with or without it; trailing bits must be zero as the spec demands.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

/// One Fernet key. Its bytes never show in logs.
#[derive(Clone)]
pub(crate) struct Key {
    signing: [u8; 16],
    encryption: [u8; 16],
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// From 32 random bytes.
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        let (mut signing, mut encryption) = ([0; 16], [0; 16]);
        let (first, second) = bytes.split_at(16);
        signing.copy_from_slice(first);
        encryption.copy_from_slice(second);
        Self { signing, encryption }
    }

    /// From its usual writing; `None` when it is not 32 bytes of base64url.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = BASE64.decode(text.trim()).ok()?.try_into().ok()?;
        Some(Self::from_bytes(bytes))
    }

    fn mac(&self) -> Option<Hmac<Sha256>> {
        <Hmac<Sha256> as Mac>::new_from_slice(&self.signing).ok()
    }

    /// Encrypts and signs `message`. The IV must be fresh random bytes.
    pub(crate) fn seal(&self, message: &[u8], seconds: u64, iv: [u8; IV]) -> Option<String> {
        let mut token = Vec::with_capacity(HEADER + message.len() + BLOCK + TAG);
        token.push(VERSION);
        token.extend_from_slice(&seconds.to_be_bytes());
        token.extend_from_slice(&iv);
        let mut cipher_text = vec![0; message.len() + BLOCK];
        let cipher = cbc::Encryptor::<Aes128>::new(&self.encryption.into(), &iv.into());
        token.extend_from_slice(cipher.encrypt_padded_b2b_mut::<Pkcs7>(message, &mut cipher_text).ok()?);
        let mut mac = self.mac()?;
        mac.update(&token);
        token.extend_from_slice(&mac.finalize().into_bytes());
        Some(BASE64.encode(token))
    }

    /// The message and its time in seconds, if this key made the token. Says nothing about age: that is the caller's.
    pub(crate) fn open(&self, token: &str) -> Option<(Vec<u8>, u64)> {
        let bytes = BASE64.decode(token).ok()?;
        let (signed, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        let (header, cipher_text) = signed.split_at_checked(HEADER)?;
        if header.first() != Some(&VERSION) {
            return None;
        }
        let mut mac = self.mac()?;
        mac.update(signed);
        // Constant time, and before anything is decrypted.
        mac.verify_slice(tag).ok()?;
        if cipher_text.is_empty() || !cipher_text.len().is_multiple_of(BLOCK) {
            return None;
        }
        let seconds = u64::from_be_bytes(header.get(1..9)?.try_into().ok()?);
        let iv: [u8; IV] = header.get(9..)?.try_into().ok()?;
        let mut message = vec![0; cipher_text.len()];
        let cipher = cbc::Decryptor::<Aes128>::new(&self.encryption.into(), &iv.into());
        let length = cipher.decrypt_padded_b2b_mut::<Pkcs7>(cipher_text, &mut message).ok()?.len();
        message.truncate(length);
        Some((message, seconds))
    }
}

/// Writes 32 bytes as a key is written.
pub(crate) fn write_key(bytes: [u8; 32]) -> String {
    base64::engine::general_purpose::URL_SAFE.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // https://github.com/fernet/spec: generate.json, verify.json, invalid.json
    const SECRET: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    const TOKEN: &str =
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
    const SECONDS: u64 = 499_162_800;

    #[test]
    fn the_specification_s_token_is_made_and_read() {
        let key = Key::parse(SECRET).unwrap();
        let iv: [u8; 16] = std::array::from_fn(|i| i as u8);
        assert_eq!(key.seal(b"hello", SECONDS, iv).unwrap(), TOKEN.trim_end_matches('='));
        assert_eq!(key.open(TOKEN).unwrap(), (b"hello".to_vec(), SECONDS));
        assert_eq!(key.open(TOKEN.trim_end_matches('=')).unwrap(), (b"hello".to_vec(), SECONDS));
    }

    #[test]
    fn the_specification_s_invalid_tokens_are_refused() {
        let key = Key::parse(SECRET).unwrap();
        for (why, token) in [
            (
                "incorrect mac",
                "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykQUFBQUFBQUFBQQ==",
            ),
            ("too short", "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPA=="),
            (
                "invalid base64",
                "%%%%%%%%%%%%%AECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykRtfsH-p1YsUD2Q==",
            ),
            (
                "payload size not multiple of block size",
                "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPOm73QeoCk9uGib28Xe5vz6oxq5nmxbx_v7mrfyudzUm",
            ),
            (
                "payload padding error",
                "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0ODz4LEpdELGQAad7aNEHbf-JkLPIpuiYRLQ3RtXatOYREu2FWke6CnJNYIbkuKNqOhw==",
            ),
            (
                "incorrect IV (causes padding error)",
                "gAAAAAAdwJ6xBQECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAkLhFLHpGtDBRLRTZeUfWgHSv49TF2AUEZ1TIvcZjK1zQ==",
            ),
            ("empty", ""),
        ] {
            assert!(key.open(token).is_none(), "{why}");
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_nothing_else_does(
            bytes: [u8; 32], iv: [u8; 16], seconds: u64,
            message in proptest::collection::vec(any::<u8>(), 0..200),
            position: proptest::sample::Index, bit in 0_u8..8,
        ) {
            let key = Key::from_bytes(bytes);
            let token = key.seal(&message, seconds, iv).unwrap();
            prop_assert_eq!(key.open(&token), Some((message, seconds)));
            let mut raw = BASE64.decode(&token).unwrap();
            let place = position.index(raw.len());
            raw[place] ^= 1 << bit;
            prop_assert_eq!(key.open(&BASE64.encode(raw)), None);
            let mut other = bytes;
            other[0] ^= 1;
            prop_assert_eq!(Key::from_bytes(other).open(&token), None);
        }

        #[test]
        fn any_text_is_survived(text in "\\PC{0,300}") {
            prop_assert!(Key::from_bytes([7; 32]).open(&text).is_none());
        }
    }
}

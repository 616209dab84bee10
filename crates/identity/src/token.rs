//! What stands inside a token: who, for what scope, until when. Compact, because it travels with every request.
//!
//! ```text
//! 1 (format) | methods | issued, expires: microseconds, 64 bits each | audit ids: count, 16 bytes each
//!            | user id | scope: 0 none, 1 project, 2 domain | scope id
//! id: 0xff and 16 bytes (32 hexadecimal digits), else length and text
//! ```
//!
//! Names, roles and the catalogue are not in it: they are read when the token is used, so that it never says what is no
//! longer so. Pure: no time, no randomness, no database.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use uuid::Uuid;

const FORMAT: u8 = 1;
const ID_IS_UUID: u8 = 0xff;
/// A rescoped token has its own audit id and the first of its chain.
const MAX_AUDIT_IDS: usize = 2;

/// How the user proved who they are. Kept along a chain of rescoped tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// By password.
    Password,
    /// By an earlier token.
    Token,
}

impl Method {
    pub(crate) const ALL: [Self; 2] = [Self::Password, Self::Token];

    /// Keystone's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Token => "token",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Password => 1,
            Self::Token => 2,
        }
    }
}

/// What a token is good for, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScopeId {
    Unscoped,
    Project(String),
    Domain(String),
}

/// Names one token for ever: 16 random bytes, shown as 22 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AuditId(pub(crate) [u8; 16]);

impl AuditId {
    pub(crate) fn to_text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) user_id: String,
    pub(crate) scope: ScopeId,
    pub(crate) methods: Vec<Method>,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// Own first, then the first of the chain if this token was made from another.
    pub(crate) audit_ids: Vec<AuditId>,
}

impl Payload {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT, self.methods.iter().fold(0, |bits, method| bits | method.bit())];
        out.extend_from_slice(&self.issued_at.as_microsecond().to_be_bytes());
        out.extend_from_slice(&self.expires_at.as_microsecond().to_be_bytes());
        let audit_ids = self.audit_ids.iter().take(MAX_AUDIT_IDS);
        out.push(u8::try_from(audit_ids.len()).unwrap_or(0));
        audit_ids.for_each(|id| out.extend_from_slice(&id.0));
        encode_id(&mut out, &self.user_id);
        match &self.scope {
            ScopeId::Unscoped => out.push(0),
            ScopeId::Project(id) => {
                out.push(1);
                encode_id(&mut out, id);
            }
            ScopeId::Domain(id) => {
                out.push(2);
                encode_id(&mut out, id);
            }
        }
        out
    }

    /// `None` for anything that [`Payload::encode`] does not write.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        if take::<1>(&mut rest)? != [FORMAT] {
            return None;
        }
        let [bits] = take::<1>(&mut rest)?;
        let methods = Method::ALL.into_iter().filter(|method| bits & method.bit() != 0).collect();
        let issued_at = Timestamp::from_microsecond(i64::from_be_bytes(take(&mut rest)?)).ok()?;
        let expires_at = Timestamp::from_microsecond(i64::from_be_bytes(take(&mut rest)?)).ok()?;
        let [count] = take::<1>(&mut rest)?;
        if !(1..=MAX_AUDIT_IDS).contains(&usize::from(count)) {
            return None;
        }
        let audit_ids = (0..count).map(|_| take(&mut rest).map(AuditId)).collect::<Option<_>>()?;
        let user_id = decode_id(&mut rest)?;
        let scope = match take::<1>(&mut rest)? {
            [0] => ScopeId::Unscoped,
            [1] => ScopeId::Project(decode_id(&mut rest)?),
            [2] => ScopeId::Domain(decode_id(&mut rest)?),
            _ => return None,
        };
        rest.is_empty().then_some(Self { user_id, scope, methods, issued_at, expires_at, audit_ids })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, others) = rest.split_first_chunk::<N>()?;
    *rest = others;
    Some(*first)
}

fn encode_id(out: &mut Vec<u8>, id: &str) {
    // Only the exact writing comes back from the short form.
    match Uuid::try_parse(id) {
        Ok(uuid) if uuid.simple().to_string() == id => {
            out.push(ID_IS_UUID);
            out.extend_from_slice(uuid.as_bytes());
        }
        _ => {
            // Ids have at most 64 characters (the schema holds it), so nothing is ever cut.
            let text = id.as_bytes().get(..254).unwrap_or(id.as_bytes());
            out.push(u8::try_from(text.len()).unwrap_or(0));
            out.extend_from_slice(text);
        }
    }
}

fn decode_id(rest: &mut &[u8]) -> Option<String> {
    match take::<1>(rest)? {
        [ID_IS_UUID] => Some(Uuid::from_bytes(take(rest)?).simple().to_string()),
        [length] => {
            let (text, others) = rest.split_at_checked(usize::from(length))?;
            *rest = others;
            String::from_utf8(text.to_vec()).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id() -> impl Strategy<Value = String> {
        prop_oneof!["[0-9a-f]{32}", "[a-zA-Z0-9_-]{1,64}", "[0-9A-F]{32}"]
    }

    prop_compose! {
        fn payload()(
            user_id in id(),
            scope in prop_oneof![Just(ScopeId::Unscoped), id().prop_map(ScopeId::Project), id().prop_map(ScopeId::Domain)],
            bits in 0_usize..4, issued in 0_i64..4_000_000_000_000_000, life in 0_i64..4_000_000_000_000_000,
            audit_ids in proptest::collection::vec(any::<[u8; 16]>(), 1..=2),
        ) -> Payload {
            Payload {
                user_id, scope,
                methods: Method::ALL.into_iter().filter(|method| bits & usize::from(method.bit()) != 0).collect(),
                issued_at: Timestamp::from_microsecond(issued).unwrap(),
                expires_at: Timestamp::from_microsecond(issued + life).unwrap(),
                audit_ids: audit_ids.into_iter().map(AuditId).collect(),
            }
        }
    }

    proptest! {
        #[test]
        fn every_payload_comes_back(payload in payload()) {
            prop_assert_eq!(Payload::decode(&payload.encode()), Some(payload));
        }

        #[test]
        fn cut_or_lengthened_payloads_are_refused(payload in payload(), cut: proptest::sample::Index) {
            let mut bytes = payload.encode();
            prop_assert_eq!(Payload::decode(&bytes[..cut.index(bytes.len())]), None);
            bytes.push(0);
            prop_assert_eq!(Payload::decode(&bytes), None);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Payload::decode(&bytes);
        }
    }

    #[test]
    fn an_ordinary_payload_is_short() {
        let id = Uuid::from_u128(1).simple().to_string();
        let payload = Payload {
            user_id: id.clone(),
            scope: ScopeId::Project(id),
            methods: vec![Method::Password],
            issued_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::UNIX_EPOCH,
            audit_ids: vec![AuditId([0; 16])],
        };
        assert_eq!(payload.encode().len(), 70);
    }
}

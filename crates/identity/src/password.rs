//! Passwords: argon2id, off the asynchronous threads, a few at a time.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::{self, Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::Semaphore;

use crate::{IdentityConfig, IdentityError};

/// Keystone's `max_password_length`, in bytes.
pub(crate) const MAX_LENGTH: usize = 4096;
/// So many hashes at a time: each takes a processor for some tens of milliseconds, and its own memory.
const AT_ONCE: usize = 2;

/// Hashes and checks passwords.
#[derive(Clone)]
pub(crate) struct Passwords {
    inner: Arc<Inner>,
}

struct Inner {
    params: Params,
    permits: Semaphore,
    /// Working memory, used again and again: given back to the allocator it would stay with the process once for every
    /// thread that ever hashed.
    memory: Mutex<Vec<Vec<Block>>>,
    /// Checked when there is no such user, so that the answer takes as long as for one who exists.
    nobody: String,
}

impl Passwords {
    pub(crate) fn new(config: &IdentityConfig) -> Result<Self, IdentityError> {
        let params = Params::new(config.password_hash_memory_kib, config.password_hash_passes, 1, Some(OUTPUT))
            .map_err(|error| IdentityError::PasswordHash(error.to_string()))?;
        let mut inner =
            Inner { params, permits: Semaphore::new(AT_ONCE), memory: Mutex::default(), nobody: String::new() };
        inner.nobody = inner.hash(&uuid::Uuid::new_v4().to_string())?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The PHC string to store.
    pub(crate) async fn hash(&self, password: String) -> Result<String, IdentityError> {
        self.run(move |inner| inner.hash(&password)).await
    }

    /// [`Passwords::hash`] where blocking is all right.
    pub(crate) fn hash_blocking(&self, password: &str) -> Result<String, IdentityError> {
        self.inner.hash(password)
    }

    /// Whether `password` is the one behind `stored`; always `false`, after the same time, without one.
    pub(crate) async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, IdentityError> {
        self.run(move |inner| {
            let equal = inner.matches(&password, stored.as_deref().unwrap_or(&inner.nobody))?;
            Ok(equal && stored.is_some())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, IdentityError> + Send + 'static,
    ) -> Result<T, IdentityError> {
        let failed = |what: &str| IdentityError::PasswordHash(what.to_owned());
        let _permit = self.inner.permits.acquire().await.map_err(|_| failed("shutting down"))?;
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner)).await.map_err(|_| failed("the hashing task ended"))?
    }
}

/// Bytes of a hash.
const OUTPUT: usize = 32;

impl Inner {
    fn hash(&self, password: &str) -> Result<String, IdentityError> {
        let salt: [u8; 16] = rand::random();
        let made = || -> password_hash::Result<String> {
            let text = SaltString::encode_b64(&salt)?;
            let hash = PasswordHash {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: ParamsString::try_from(&self.params)?,
                salt: Some(text.as_salt()),
                hash: Some(self.compute(
                    Algorithm::Argon2id,
                    Version::V0x13,
                    &self.params,
                    password,
                    text.as_salt(),
                )?),
            };
            Ok(hash.to_string())
        };
        made().map_err(|error| IdentityError::PasswordHash(error.to_string()))
    }

    fn matches(&self, password: &str, stored: &str) -> Result<bool, IdentityError> {
        let compared = || -> password_hash::Result<bool> {
            let stored = PasswordHash::new(stored)?;
            let algorithm = Algorithm::try_from(stored.algorithm)?;
            let version = stored.version.map_or(Ok(Version::V0x13), Version::try_from)?;
            let params = Params::try_from(&stored)?;
            let (Some(salt), Some(hash)) = (stored.salt, stored.hash) else {
                return Err(password_hash::Error::PhcStringField);
            };
            // `Output` compares in constant time.
            Ok(self.compute(algorithm, version, &params, password, salt)? == hash)
        };
        compared().map_err(|error| IdentityError::PasswordHash(error.to_string()))
    }

    fn compute(
        &self,
        algorithm: Algorithm,
        version: Version,
        params: &Params,
        password: &str,
        salt: Salt<'_>,
    ) -> password_hash::Result<Output> {
        let mut salt_bytes = [0; Salt::MAX_LENGTH];
        let salt_bytes = salt.decode_b64(&mut salt_bytes)?;
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        memory.resize(params.block_count(), Block::default());
        let mut output = vec![0; params.output_len().unwrap_or(OUTPUT)];
        let computed = Argon2::new(algorithm, version, params.clone()).hash_password_into_with_memory(
            password.as_bytes(),
            salt_bytes,
            &mut output,
            &mut memory,
        );
        let mut idle = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < AT_ONCE {
            idle.push(memory);
        }
        computed?;
        Output::new(&output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::PasswordVerifier;

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let config = IdentityConfig { password_hash_memory_kib: 8, password_hash_passes: 1, ..Default::default() };
        let passwords = Passwords::new(&config).unwrap();
        let stored = passwords.hash("pässword".into()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{stored}");
        assert_ne!(stored, passwords.hash("pässword".into()).await.unwrap(), "salted");
        assert!(passwords.verify("pässword".into(), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify("passwort".into(), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify(String::new(), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify("anything".into(), None).await.unwrap());
        assert!(passwords.verify("x".into(), Some("no hash".into())).await.is_err());

        // Others read what we write, and we what others wrote with other settings.
        let parsed = PasswordHash::new(&stored).unwrap();
        Argon2::default().verify_password("pässword".as_bytes(), &parsed).unwrap();
        let other = "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$";
        let made = argon2::PasswordHasher::hash_password(
            &Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 2, 1, None).unwrap()),
            b"abc",
            &SaltString::encode_b64(b"somesalt").unwrap(),
        )
        .unwrap()
        .to_string();
        assert!(made.starts_with(other), "{made}");
        assert!(passwords.verify("abc".into(), Some(made)).await.unwrap());
    }
}

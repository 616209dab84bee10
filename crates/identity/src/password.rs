//! Passwords: argon2id, off the asynchronous threads, a few at a time.

use std::sync::Arc;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::{IdentityConfig, IdentityError};

/// Keystone's `max_password_length`.
pub(crate) const MAX_LENGTH: usize = 4096;

/// Hashes and checks passwords. Each takes some tens of milliseconds and some megabytes on purpose, so that no more run
/// at once than there are processors: more would only make all of them slower and the process larger.
#[derive(Clone)]
pub(crate) struct Passwords {
    inner: Arc<Inner>,
}

struct Inner {
    argon2: Argon2<'static>,
    permits: Semaphore,
    /// Checked when there is no such user, so that the answer takes as long as for one who exists.
    nobody: String,
}

impl Passwords {
    pub(crate) fn new(config: &IdentityConfig) -> Result<Self, IdentityError> {
        let params = Params::new(config.password_hash_memory_kib, config.password_hash_passes, 1, None)
            .map_err(|error| IdentityError::PasswordHash(error.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hash(&argon2, &uuid::Uuid::new_v4().to_string())?;
        let at_once = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self { inner: Arc::new(Inner { argon2, permits: Semaphore::new(at_once), nobody }) })
    }

    /// The PHC string to store.
    pub(crate) async fn hash(&self, password: String) -> Result<String, IdentityError> {
        self.run(move |inner| hash(&inner.argon2, &password)).await
    }

    /// [`Passwords::hash`] where blocking is all right.
    pub(crate) fn hash_blocking(&self, password: &str) -> Result<String, IdentityError> {
        hash(&self.inner.argon2, password)
    }

    /// Whether `password` is the one behind `stored`; always `false`, after the same time, without one.
    pub(crate) async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, IdentityError> {
        self.run(move |inner| {
            let parsed = PasswordHash::new(stored.as_deref().unwrap_or(&inner.nobody))
                .map_err(|error| IdentityError::PasswordHash(error.to_string()))?;
            // The parameters are those of the stored hash; the comparison is in constant time.
            let equal = inner.argon2.verify_password(password.as_bytes(), &parsed).is_ok();
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

fn hash(argon2: &Argon2<'_>, password: &str) -> Result<String, IdentityError> {
    let salt: [u8; 16] = rand::random();
    SaltString::encode_b64(&salt)
        .and_then(|salt| argon2.hash_password(password.as_bytes(), &salt).map(|hash| hash.to_string()))
        .map_err(|error| IdentityError::PasswordHash(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let config = IdentityConfig { password_hash_memory_kib: 8, password_hash_passes: 1, ..Default::default() };
        let passwords = Passwords::new(&config).unwrap();
        let stored = passwords.hash("pässword".into()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{stored}");
        assert_ne!(stored, passwords.hash("pässword".into()).await.unwrap(), "salted");
        assert!(passwords.verify("pässword".into(), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify("passwort".into(), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify(String::new(), Some(stored)).await.unwrap());
        assert!(!passwords.verify("anything".into(), None).await.unwrap());
        assert!(passwords.verify("x".into(), Some("no hash".into())).await.is_err());
    }
}

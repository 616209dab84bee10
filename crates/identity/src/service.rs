//! [`Identity`]: opening, issuing and checking tokens. What HTTP looks like is in `http/`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use store::{Snapshot, Store, StoreError, params};

use crate::grants::{self, Target};
use crate::info::{InDomain, Named};
use crate::keys::{KeyRing, write_secret};
use crate::password::Passwords;
use crate::token::{AuditId, Method, Payload, ScopeId};
use crate::{IdentityConfig, IdentityError, Scope, TokenInfo, bootstrap, schema};

/// Longer texts are no tokens of ours; not worth decoding.
const MAX_TOKEN: usize = 1024;
/// Checked tokens kept in memory, some hundred bytes each.
const MAX_CACHED: usize = 10_000;

/// How long after its end a token can still be vouched for: Keystone's `[token] allow_expired_window`.
const EXPIRED_WINDOW: SignedDuration = SignedDuration::from_hours(48);

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The identity service. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) config: IdentityConfig,
    pub(crate) passwords: Passwords,
    keys: KeyRing,
    clock: Clock,
    /// Grows with every change; a cached token of an older generation is checked again. On a shared database it is the
    /// database's (`identity_generation`), else it counts the changes made through this server.
    generation: AtomicU64,
    /// The revision of a shared database at which `generation` was read.
    looked_at: AtomicU64,
    cache: Mutex<HashMap<[u8; 32], Cached>>,
}

struct Cached {
    info: Arc<TokenInfo>,
    generation: u64,
    checked_at: Timestamp,
}

impl Identity {
    /// Opens the service on `store`: brings its tables up to date, makes the key file and fills a new database. `folder`
    /// is the database's, where relative paths of the configuration are. Blocks; for the program's start.
    pub fn open(store: &Store, config: IdentityConfig, folder: &Path) -> Result<Self, IdentityError> {
        Self::open_with_clock(store, config, folder, Arc::new(Timestamp::now))
    }

    /// [`Identity::open`] with another clock, for tests of expiry.
    pub fn open_with_clock(
        store: &Store,
        config: IdentityConfig,
        folder: &Path,
        clock: Clock,
    ) -> Result<Self, IdentityError> {
        if !config.service_token_roles_required {
            tracing::warn!(
                "[identity] service_token_roles_required is false: any good token counts as a service token"
            );
        }
        store.migrate(schema::MIGRATIONS)?;
        let key_path = folder.join(&config.key_file);
        let keys = KeyRing::find(store, &key_path)?;
        let passwords = Passwords::new(&config)?;
        if store.read_blocking(bootstrap::is_needed)? {
            let invented = folder.join("admin-password");
            let password = match &config.admin_password {
                Some(password) => password.reveal().to_owned(),
                None => invent_admin_password(&invented)?,
            };
            let hash = passwords.hash_blocking(&password)?;
            let settings = config.clone();
            let is_ours = store.write_blocking(move |tx| {
                let is_needed = bootstrap::is_needed(tx)?;
                bootstrap::fill(tx, &settings, &hash).map(|()| is_needed)
            })?;
            if !is_ours && config.admin_password.is_none() {
                // Another server was faster: the password is in its file, this one is nobody's.
                std::fs::remove_file(&invented)
                    .map_err(|source| IdentityError::KeyFile { path: invented.clone(), source })?;
            }
        }
        let inner = Inner {
            store: store.clone(),
            config,
            passwords,
            keys,
            clock,
            generation: AtomicU64::new(0),
            looked_at: AtomicU64::new(u64::MAX),
            cache: Mutex::new(HashMap::new()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Checks a token: what it says, or why it is no good. A token that was checked a moment ago costs one hash (well under
    /// a microsecond), any other its decryption and four reads by key on this thread (well under a tenth of a millisecond).
    pub fn validate(&self, token: &str) -> Result<Arc<TokenInfo>, IdentityError> {
        if token.len() > MAX_TOKEN {
            return Err(IdentityError::unauthorized("the token is too long"));
        }
        let now = self.now();
        // Read before the database is: a change in between leaves the entry already outdated.
        let generation = self.generation()?;
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let lifetime = SignedDuration::from_secs(i64::from(self.inner.config.token_cache_seconds));
        if let Some(cached) = self.cache().get(&key)
            && cached.generation == generation
            && now.duration_since(cached.checked_at) < lifetime
            && now < cached.info.expires_at
        {
            return Ok(Arc::clone(&cached.info));
        }
        let info = Arc::new(self.check(token, now)?);
        let mut cache = self.cache();
        if cache.len() >= MAX_CACHED {
            cache.retain(|_, cached| {
                cached.generation == generation && now.duration_since(cached.checked_at) < lifetime
            });
            if cache.len() >= MAX_CACHED {
                cache.clear();
            }
        }
        cache.insert(key, Cached { info: Arc::clone(&info), generation, checked_at: now });
        Ok(info)
    }

    /// Checks a token that may have expired not long ago, for a service that finishes what its bearer began.
    pub fn validate_expired(&self, token: &str) -> Result<Arc<TokenInfo>, IdentityError> {
        if token.len() > MAX_TOKEN {
            return Err(IdentityError::unauthorized("the token is too long"));
        }
        self.check(token, self.now().saturating_sub(EXPIRED_WINDOW).unwrap_or(Timestamp::MIN)).map(Arc::new)
    }

    /// Checks the tokens of a request that a service may pass on for a user: the user's token, and the service's. A service
    /// token that does not count spoils the request, as keystonemiddleware has it.
    pub fn validate_both(
        &self,
        token: &str,
        service_token: Option<&str>,
    ) -> Result<(Arc<TokenInfo>, Option<Arc<TokenInfo>>), IdentityError> {
        let Some(service_token) = service_token else { return Ok((self.validate(token)?, None)) };
        let IdentityConfig { service_token_roles, service_token_roles_required, .. } = &self.inner.config;
        let service = self.validate(service_token)?;
        let vouches = service_token_roles.iter().any(|role| service.has_role(role));
        if !vouches && *service_token_roles_required {
            return Err(IdentityError::unauthorized("the service token is not a service's"));
        }
        // A service may finish what it began when the user's token was good.
        let user = match self.validate(token) {
            Err(_) if vouches => self.validate_expired(token)?,
            validated => validated?,
        };
        Ok((user, Some(service)))
    }

    /// See [`Inner::generation`]. Nothing is read while nothing has changed anywhere.
    fn generation(&self) -> Result<u64, IdentityError> {
        let inner = &self.inner;
        if inner.store.is_shared() {
            let revision = *inner.store.revision_watch().borrow();
            if inner.looked_at.load(Ordering::SeqCst) != revision {
                let number = inner.store.read_blocking(|snapshot| {
                    snapshot.count("SELECT number FROM identity_generation", &[]).map_err(IdentityError::from)
                })?;
                inner.generation.fetch_max(number, Ordering::SeqCst);
                inner.looked_at.store(revision, Ordering::SeqCst);
            }
        }
        Ok(inner.generation.load(Ordering::SeqCst))
    }

    /// What the token says if it had not expired at `now`.
    fn check(&self, token: &str, now: Timestamp) -> Result<TokenInfo, IdentityError> {
        let payload = (self.inner.keys.open_token(token))
            .and_then(|message| Payload::decode(&message))
            .ok_or(IdentityError::unauthorized("the token is not ours"))?;
        if payload.expires_at <= now {
            return Err(IdentityError::unauthorized("the token has expired"));
        }
        self.inner.store.read_blocking(|snapshot| {
            for id in payload.audit_ids.iter().take(1) {
                if snapshot.exists("SELECT 1 FROM identity_revoked_token WHERE audit_id = ?1", params![id.to_text()])? {
                    return Err(IdentityError::unauthorized("the token is revoked"));
                }
            }
            describe(snapshot, &payload)
        })
    }

    /// Seals a new token for the user; what it says. Refuses users and scopes that are disabled, absent or without roles.
    pub(crate) fn issue(
        &self,
        snapshot: &Snapshot<'_>,
        user_id: &str,
        scope: ScopeId,
        methods: Vec<Method>,
        parent: Option<&TokenInfo>,
    ) -> Result<(String, TokenInfo), IdentityError> {
        let now = self.now();
        let lifetime = SignedDuration::from_secs(i64::from(self.inner.config.token_lifetime_seconds));
        let latest = now.checked_add(lifetime).map_err(|_| IdentityError::Seal)?;
        // Whole seconds, as clients read them; and never beyond the token that it was made from.
        let latest = Timestamp::from_second(latest.as_second()).map_err(|_| IdentityError::Seal)?;
        let expires_at = parent.map_or(latest, |parent| latest.min(parent.expires_at));
        let first = parent.and_then(|parent| AuditId::parse(parent.audit_ids.last()?));
        let payload = Payload {
            user_id: user_id.to_owned(),
            scope,
            methods,
            issued_at: now,
            expires_at,
            audit_ids: std::iter::once(AuditId(rand::random())).chain(first).collect(),
        };
        let info = describe(snapshot, &payload)?;
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let token = self.inner.keys.seal(&payload.encode(), seconds).ok_or(IdentityError::Seal)?;
        Ok((token, info))
    }

    /// Makes the token no good from now on. Others of its chain stay.
    pub(crate) async fn revoke(&self, info: &TokenInfo) -> Result<(), IdentityError> {
        let Some(audit_id) = info.audit_ids.first().cloned() else { return Ok(()) };
        let (expires_at, now) = (info.expires_at, self.now());
        self.change(move |tx| {
            // What has expired need not be remembered longer than a service may vouch for it.
            let forgotten = now.saturating_sub(EXPIRED_WINDOW).unwrap_or(Timestamp::MIN);
            tx.execute("DELETE FROM identity_revoked_token WHERE expires_at <= ?1", params![forgotten])?;
            tx.execute(
                "INSERT INTO identity_revoked_token (audit_id, expires_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                params![&audit_id, expires_at],
            )?;
            Ok(())
        })
        .await
    }

    /// A unit of work that changes what tokens mean.
    pub(crate) async fn change<T, F>(&self, work: F) -> Result<T, IdentityError>
    where
        T: Send + 'static,
        F: FnMut(&store::Tx<'_>) -> Result<T, IdentityError> + Send + 'static,
    {
        let mut work = work;
        let is_shared = self.inner.store.is_shared();
        let work = move |tx: &store::Tx<'_>| {
            let done = work(tx)?;
            if is_shared {
                // Tells the other servers: the entry in the log wakes them, the number says that it concerns tokens.
                tx.execute("UPDATE identity_generation SET number = number + 1", &[])?;
                tx.log_change("identity", "", store::Operation::Update, None)?;
            }
            Ok(done)
        };
        // A task of its own: if the client goes away after COMMIT, cached tokens must become outdated all the same.
        let identity = self.clone();
        let changed = tokio::spawn(async move {
            let outcome = identity.inner.store.write(work).await;
            if is_shared {
                identity.inner.looked_at.store(u64::MAX, Ordering::SeqCst);
            } else {
                identity.inner.generation.fetch_add(1, Ordering::SeqCst);
            }
            outcome
        });
        changed.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }

    fn cache(&self) -> MutexGuard<'_, HashMap<[u8; 32], Cached>> {
        self.inner.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

/// A password for `admin` that somebody with access to the folder can read; one that is there already is kept.
fn invent_admin_password(path: &Path) -> Result<String, IdentityError> {
    let failed = |source| IdentityError::KeyFile { path: path.to_owned(), source };
    let random: [u8; 18] = rand::random();
    let invented = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, random);
    write_secret(path, &(invented + "\n")).map_err(failed)?;
    tracing::info!(path = %path.display(), "the password of user admin is in this file");
    Ok(std::fs::read_to_string(path).map_err(failed)?.trim().to_owned())
}

/// What the token says, by what the database holds now: the one place that decides whether user, scope and roles are good.
fn describe(snapshot: &Snapshot<'_>, payload: &Payload) -> Result<TokenInfo, IdentityError> {
    let user = snapshot
        .query_opt(
            "SELECT u.id, u.name, d.id, d.name, u.enabled * d.enabled, u.tokens_valid_from
             FROM identity_user u JOIN identity_domain d ON d.id = u.domain_id WHERE u.id = ?1",
            params![&payload.user_id],
            |row| Ok((in_domain(row)?, row.get::<bool>(4)?, row.get::<Timestamp>(5)?)),
        )?
        .filter(|(_, enabled, _)| *enabled);
    let Some((user, _, valid_from)) = user else {
        return Err(IdentityError::unauthorized("the user or its domain is gone or disabled"));
    };
    if payload.issued_at < valid_from {
        return Err(IdentityError::unauthorized("the user's earlier tokens are revoked"));
    }
    let (scope, roles) = match &payload.scope {
        ScopeId::Unscoped => (Scope::Unscoped, Vec::new()),
        ScopeId::Project(id) => {
            let project = snapshot
                .query_opt(
                    "SELECT p.id, p.name, d.id, d.name, p.enabled * d.enabled
                     FROM identity_project p JOIN identity_domain d ON d.id = p.domain_id WHERE p.id = ?1",
                    params![id],
                    |row| Ok((in_domain(row)?, row.get::<bool>(4)?)),
                )?
                .filter(|(_, enabled)| *enabled);
            let Some((project, _)) = project else {
                return Err(IdentityError::unauthorized("the project or its domain is gone or disabled"));
            };
            (Scope::Project(project), grants::effective(snapshot, Target::Project, id, &user.id)?)
        }
        ScopeId::Domain(id) => {
            let domain = snapshot
                .query_opt("SELECT id, name, enabled FROM identity_domain WHERE id = ?1", params![id], |row| {
                    Ok((Named { id: row.get(0)?, name: row.get(1)? }, row.get::<bool>(2)?))
                })?
                .filter(|(_, enabled)| *enabled);
            let Some((domain, _)) = domain else {
                return Err(IdentityError::unauthorized("the domain is gone or disabled"));
            };
            (Scope::Domain(domain), grants::effective(snapshot, Target::Domain, id, &user.id)?)
        }
    };
    if scope != Scope::Unscoped && roles.is_empty() {
        return Err(IdentityError::unauthorized("the user has no role on the scope"));
    }
    Ok(TokenInfo {
        user,
        scope,
        roles,
        methods: payload.methods.clone(),
        audit_ids: payload.audit_ids.iter().map(|id| id.to_text()).collect(),
        issued_at: payload.issued_at,
        expires_at: payload.expires_at,
    })
}

fn in_domain(row: &store::Row<'_>) -> Result<InDomain, StoreError> {
    Ok(InDomain { id: row.get(0)?, name: row.get(1)?, domain: Named { id: row.get(2)?, name: row.get(3)? } })
}

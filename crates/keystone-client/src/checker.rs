//! Whether tokens are good: Keystone is asked in the name of the service user, and its word is believed for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use secret::Secret;
use tokio::sync::OnceCell;

use crate::cache::{Cache, Known, Question};
use crate::session::sensitive;
use crate::{Call, CheckError, CheckerConfig, Clock, KeystoneError, Session, To, TokenInfo, access_rules};

const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");
/// Tells Keystone that we hold tokens of restricted application credentials to their rules; without it they are refused.
const ACCESS_RULES: HeaderName = HeaderName::from_static("openstack-identity-access-rules");
/// The type of the service that requests are for.
const SERVICE: &str = "network";
/// Longer texts are no tokens; Keystone need not be troubled.
const LONGEST: usize = 16 << 10;

/// The tokens of a request, and what it wants: restricted tokens may do only some things.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// `X-Auth-Token`.
    pub token: &'a str,
    /// `X-Service-Token`.
    pub service_token: Option<&'a str>,
    /// The verb.
    pub method: &'a str,
    /// The whole path.
    pub path: &'a str,
}

/// Tokens that are good.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Who makes the request.
    pub user: Arc<TokenInfo>,
    /// The service that passes it on.
    pub service: Option<Arc<TokenInfo>>,
}

/// What one asking of Keystone gave; shared by all who wait for it.
type Asked = OnceCell<Result<Known, KeystoneError>>;

/// Checks tokens by an external Keystone.
#[derive(Debug)]
pub struct TokenChecker {
    session: Session,
    config: CheckerConfig,
    state: Mutex<State>,
}

struct State {
    cache: Cache,
    asking: HashMap<Question, Arc<Asked>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("asking", &self.asking.len()).finish_non_exhaustive()
    }
}

impl TokenChecker {
    /// A checker by the machine's clock. Asks nobody yet.
    pub fn new(config: CheckerConfig) -> Result<Self, KeystoneError> {
        Self::with_clock(config, Arc::new(Timestamp::now))
    }

    /// A checker by another clock.
    pub fn with_clock(config: CheckerConfig, clock: Clock) -> Result<Self, KeystoneError> {
        let session = Session::with_clock(config.account.clone(), clock)?;
        if !config.service_token_roles_required {
            tracing::warn!(
                "[identity] service_token_roles_required is false: any good token counts as a service token"
            );
        }
        let cache = Cache::new(config.cache_seconds, config.negative_cache_seconds);
        Ok(Self { session, config, state: Mutex::new(State { cache, asking: HashMap::new() }) })
    }

    /// Checks the tokens of a request. A service token that is no good spoils the user's.
    pub async fn check(&self, presented: Presented<'_>) -> Result<Checked, CheckError> {
        let mut service = None;
        let mut vouched = false;
        if let Some(token) = presented.service_token {
            let info = self.look(token, false).await?;
            vouched = info.roles.iter().any(|role| self.config.service_token_roles.contains(role));
            if !vouched && self.config.service_token_roles_required {
                return Err(CheckError::Invalid);
            }
            service = Some(info);
        }
        let user = self.look(presented.token, vouched).await?;
        if let Some(rules) = &user.access_rules
            // What a service passes on is no longer what the user asked for.
            && service.is_none()
            && !access_rules::allow(rules, SERVICE, presented.method, presented.path)
        {
            return Err(CheckError::Invalid);
        }
        Ok(Checked { user, service })
    }

    async fn look(&self, token: &str, allow_expired: bool) -> Result<Arc<TokenInfo>, CheckError> {
        let token = token.trim();
        if token.is_empty() || token.len() > LONGEST {
            return Err(CheckError::Invalid);
        }
        let question = Question::new(token, allow_expired);
        let waiting = {
            let mut state = self.state();
            if let Some(known) = state.cache.get(&question, self.session.now()) {
                return known.ok_or(CheckError::Invalid);
            }
            let cell = Arc::clone(state.asking.entry(question).or_default());
            Waiting { checker: self, question, cell }
        };
        // If whoever asks goes away in the middle, the next one who waits asks.
        let known = waiting.cell.get_or_init(|| self.ask(question, token)).await.clone();
        let known = known.map_err(CheckError::Unavailable)?;
        // It may have expired while we waited.
        let now = self.session.now();
        known.filter(|token| allow_expired || token.expires_at > now).ok_or(CheckError::Invalid)
    }

    async fn ask(&self, question: Question, token: &str) -> Result<Known, KeystoneError> {
        let asked = self.session.now();
        // Somebody else's answer may have come between our look at the cache and now.
        if let Some(known) = self.state().cache.get(&question, asked) {
            return Ok(known);
        }
        let Some(subject) = sensitive(&Secret::new(token)) else { return Ok(None) };
        let mut call = Call::get(match question.allow_expired {
            true => "/auth/tokens?nocatalog&allow_expired=1",
            false => "/auth/tokens?nocatalog",
        });
        call.headers.insert(SUBJECT_TOKEN, subject);
        call.headers.insert(ACCESS_RULES, HeaderValue::from_static("1"));
        let to = To::Service { kind: "identity", interface: self.config.interface };
        let answer = self.session.call(to, &call).await.inspect_err(|error| {
            tracing::error!(%error, "tokens cannot be checked");
        })?;
        let refused = |message: String| KeystoneError::Refused {
            url: "Keystone's validation of tokens".to_owned(),
            status: answer.status,
            message,
        };
        let known = match answer.status {
            200 => {
                let read = TokenInfo::parse(&answer.body);
                let info = read.inspect_err(|reason| tracing::warn!(reason, "Keystone described a token badly")).ok();
                info.map(Arc::new)
            }
            404 => None,
            status => {
                let error = refused(answer.message());
                tracing::error!(status, %error, "tokens cannot be checked");
                return Err(error);
            }
        };
        // From the moment of asking: what happened since may not be in the answer.
        self.state().cache.put(question, known.clone(), asked);
        Ok(known)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every use leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits for an answer; the last one to go clears the place.
struct Waiting<'a> {
    checker: &'a TokenChecker,
    question: Question,
    cell: Arc<Asked>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.checker.state();
        // An answered question is nobody's any more; one that all have left need not be kept.
        let ours = |cell: &Arc<Asked>| Arc::ptr_eq(cell, &self.cell);
        if (self.cell.initialized() || Arc::strong_count(&self.cell) <= 2)
            && state.asking.get(&self.question).is_some_and(ours)
        {
            state.asking.remove(&self.question);
        }
    }
}

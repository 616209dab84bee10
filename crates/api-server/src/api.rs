//! What every request needs.

use crate::auth::Authenticator;
use crate::config::ApiConfig;
use crate::engine::Plans;
use access_policy::Policy;
use network_model::dns;
use network_store::NetworkConfig;
use std::sync::{Arc, PoisonError, RwLock};
use store::Store;

/// The API's state; shared by all requests.
pub struct Api {
    /// The database.
    pub store: Store,
    /// Checks tokens.
    pub authenticator: Arc<dyn Authenticator>,
    /// Who may do what.
    pub policy: Policy,
    /// How the API behaves.
    pub config: ApiConfig,
    /// What networks may be.
    pub network: Arc<NetworkConfig>,
    /// What follows from all these and need not be thought of again.
    pub(crate) plans: Plans,
    /// What stands behind the name of a host: a dot and the deployment's domain, or nothing.
    pub(crate) dot_domain: String,
}

impl Api {
    /// An API with Neutron's default policy.
    pub fn new(
        store: Store,
        authenticator: Arc<dyn Authenticator>,
        config: ApiConfig,
        network: Arc<NetworkConfig>,
    ) -> Arc<Self> {
        let domain = dns::with_dot(&network.dns_domain);
        let dot_domain = if domain.is_empty() { domain } else { format!(".{domain}") };
        let policy = Policy::neutron();
        Arc::new(Self { store, authenticator, policy, config, network, plans: Plans::default(), dot_domain })
    }

    /// The same with other rules of policy.
    pub fn with_policy(&self, policy: Policy) -> Arc<Self> {
        Arc::new(Self {
            store: self.store.clone(),
            authenticator: Arc::clone(&self.authenticator),
            policy,
            config: self.config.clone(),
            network: Arc::clone(&self.network),
            plans: Plans::default(),
            dot_domain: self.dot_domain.clone(),
        })
    }
}

/// The API as it is now. Policy can change while it runs; a request keeps the one that it began with.
#[derive(Clone)]
pub struct Current(Arc<RwLock<Arc<Api>>>);

impl Current {
    /// The API for one request.
    pub(crate) fn get(&self) -> Arc<Api> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on these rules hold.
    pub fn set_policy(&self, policy: Policy) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *current = current.with_policy(policy);
    }
}

impl From<Arc<Api>> for Current {
    fn from(api: Arc<Api>) -> Self {
        Self(Arc::new(RwLock::new(api)))
    }
}

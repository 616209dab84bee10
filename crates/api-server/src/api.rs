//! What every request needs.

use crate::auth::Authenticator;
use crate::config::ApiConfig;
use access_policy::Policy;
use network_store::NetworkConfig;
use std::sync::Arc;
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
}

impl Api {
    /// An API with Neutron's default policy.
    pub fn new(
        store: Store,
        authenticator: Arc<dyn Authenticator>,
        config: ApiConfig,
        network: Arc<NetworkConfig>,
    ) -> Arc<Self> {
        Arc::new(Self { store, authenticator, policy: Policy::neutron(), config, network })
    }
}

//! The server's `[nova]` section.

use keystone_client::{Account, Interface, KeystoneError};
use network_store::nova::NovaEvents;
use serde::Deserialize;

/// Whether, where and as whom Nova is told. The names are those of Neutron's `[nova]` and `[DEFAULT]` where they have them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NovaConfig {
    /// Whether Nova is told anything.
    pub enabled: bool,
    /// The user that signs in; without `auth_url` it is `[identity]`'s, if that names an external Keystone.
    #[serde(flatten)]
    pub account: Account,
    /// Which of Nova's endpoints in the catalogue is used.
    pub endpoint_type: Interface,
    /// Nova's address (`http://controller:8774/v2.1`), in place of the catalogue's.
    pub url: Option<String>,
    /// Whether Nova hears of ports that become ACTIVE or cease to be.
    pub notify_nova_on_port_status_changes: bool,
    /// Whether Nova hears of changed and removed ports and of floating IPs.
    pub notify_nova_on_port_data_changes: bool,
}

impl Default for NovaConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            account: Account::default(),
            endpoint_type: Interface::Public,
            url: None,
            notify_nova_on_port_status_changes: true,
            notify_nova_on_port_data_changes: true,
        }
    }
}

impl NovaConfig {
    /// What has to be written down for Nova.
    #[must_use]
    pub fn events(&self) -> NovaEvents {
        NovaEvents {
            status: self.enabled && self.notify_nova_on_port_status_changes,
            data: self.enabled && self.notify_nova_on_port_data_changes,
        }
    }

    /// The same, signing in as `other` if nobody else is named.
    #[must_use]
    pub fn or_as(mut self, other: &Account) -> Self {
        if self.account.auth_url.is_empty() && self.account.username.is_empty() {
            let region = self.account.region_name.take();
            self.account = other.clone();
            self.account.region_name = region.or_else(|| other.region_name.clone());
        }
        self
    }

    /// Refuses what cannot work.
    pub fn check(&self) -> Result<(), KeystoneError> {
        if self.enabled { self.account.check() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystone_client::Secret;

    #[test]
    fn nothing_is_told_unless_asked_for() {
        let read = |text: &str| toml::from_str::<NovaConfig>(text).unwrap();
        assert_eq!(read("").events(), NovaEvents::default());
        assert_eq!(read("enabled = true").events(), NovaEvents { status: true, data: true });
        let only = read("enabled = true\nnotify_nova_on_port_data_changes = false");
        assert_eq!(only.events(), NovaEvents { status: true, data: false });
        assert!(toml::from_str::<NovaConfig>("endpoint = 'x'").is_err());
    }

    #[test]
    fn the_user_is_identitys_unless_another_is_named() {
        let identity = Account {
            auth_url: "http://k".into(),
            username: "neutron".into(),
            password: Some(Secret::new("p")),
            region_name: Some("One".into()),
            ..Account::default()
        };
        let read = |text: &str| toml::from_str::<NovaConfig>(text).unwrap().or_as(&identity).account;
        assert_eq!(read(""), identity);
        assert_eq!(read("region_name = 'Two'").region_name.as_deref(), Some("Two"));
        assert_eq!(read("auth_url = 'http://other'\nusername = 'nova'").username, "nova");
        assert!(NovaConfig { enabled: true, ..NovaConfig::default() }.check().is_err());
        assert!(NovaConfig::default().check().is_ok());
    }
}

//! What the operator writes: `[identity]` with `provider = "keystone"`, and the part of it that `[nova]` has too.

use std::path::PathBuf;
use std::time::Duration;

use secret::Secret;
use serde::Deserialize;

use crate::{Interface, KeystoneError};

/// Who we are to Keystone, and how it is reached. The names are those of `[keystone_authtoken]` where it has them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct Account {
    /// Keystone's address, with or without `/v3`.
    pub auth_url: String,
    /// The service user.
    pub username: String,
    /// Its password.
    pub password: Option<Secret>,
    /// A file with its password, read with every signing in, so that a changed password needs no restart.
    pub password_file: Option<PathBuf>,
    /// The project that the user signs in to.
    pub project_name: String,
    /// The name of the user's domain.
    pub user_domain_name: String,
    /// Its id, in place of its name.
    pub user_domain_id: Option<String>,
    /// The name of the project's domain.
    pub project_domain_name: String,
    /// Its id, in place of its name.
    pub project_domain_id: Option<String>,
    /// Which region's endpoints are used; none: the first ones that the catalogue has.
    pub region_name: Option<String>,
    /// A PEM file with the authorities that HTTPS servers are trusted by; none: those of the system.
    pub cafile: Option<PathBuf>,
    /// Whether any certificate is believed. For tests only.
    pub insecure: bool,
    /// How long one attempt may take, seconds.
    pub http_request_timeout: u32,
    /// How often a connection that cannot be made is tried again.
    pub http_request_max_retries: u32,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            auth_url: String::new(),
            username: String::new(),
            password: None,
            password_file: None,
            project_name: "service".to_owned(),
            user_domain_name: "Default".to_owned(),
            user_domain_id: None,
            project_domain_name: "Default".to_owned(),
            project_domain_id: None,
            region_name: None,
            cafile: None,
            insecure: false,
            http_request_timeout: 30,
            http_request_max_retries: 3,
        }
    }
}

impl Account {
    /// Refuses what cannot work, by the setting's name.
    pub fn check(&self) -> Result<(), KeystoneError> {
        let refuse = |what: &str| Err(KeystoneError::Config(what.to_owned()));
        if self.auth_url.is_empty() {
            return refuse("auth_url is missing");
        }
        if self.username.is_empty() {
            return refuse("username is missing");
        }
        match (&self.password, &self.password_file) {
            (None, None) => refuse("password or password_file is missing"),
            (Some(_), Some(_)) => refuse("password and password_file cannot both be given"),
            _ => self.password().map(drop),
        }
    }

    /// The password, from wherever it is.
    pub(crate) fn password(&self) -> Result<Secret, KeystoneError> {
        match (&self.password, &self.password_file) {
            (Some(password), _) => Ok(password.clone()),
            (None, Some(path)) => {
                std::fs::read_to_string(path).map(|text| Secret::new(text.trim_end_matches(['\r', '\n']))).map_err(
                    |error| KeystoneError::Config(format!("cannot read password_file {}: {error}", path.display())),
                )
            }
            (None, None) => Err(KeystoneError::Config("password or password_file is missing".to_owned())),
        }
    }

    /// `http://keystone:5000/v3`, whichever way it was written.
    pub(crate) fn v3(&self) -> String {
        v3(&self.auth_url)
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.http_request_timeout.max(1).into())
    }
}

/// The address of Keystone's third API below an address of Keystone.
pub(crate) fn v3(url: &str) -> String {
    let url = url.trim_end_matches('/');
    if url.ends_with("/v3") { url.to_owned() } else { format!("{url}/v3") }
}

/// `[identity]` with `provider = "keystone"`: how tokens are checked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckerConfig {
    /// The service user that may validate tokens (role `service` or `admin`).
    #[serde(flatten)]
    pub account: Account,
    /// Which of Keystone's endpoints is asked.
    pub interface: Interface,
    /// How long a token that Keystone found good is believed, seconds: a revocation is noticed so late at most.
    /// keystonemiddleware's `token_cache_time`.
    pub cache_seconds: u32,
    /// How long a token that Keystone did not know is refused without asking again, seconds.
    pub negative_cache_seconds: u32,
    /// Roles of which a service token must have one, to be a service's and to vouch for users' expired tokens.
    pub service_token_roles: Vec<String>,
    /// Whether a service token without such a role is refused, or taken for what it is.
    pub service_token_roles_required: bool,
}

impl Default for CheckerConfig {
    fn default() -> Self {
        Self {
            account: Account::default(),
            interface: Interface::Internal,
            cache_seconds: 300,
            negative_cache_seconds: 5,
            service_token_roles: vec!["service".to_owned()],
            service_token_roles_required: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_setting_is_refused() {
        let read = |text: &str| toml::from_str::<CheckerConfig>(text);
        let config = read("auth_url = 'http://k'\nusername = 'neutron'\npassword = 'p'\ncache_seconds = 7").unwrap();
        assert_eq!((config.account.username.as_str(), config.cache_seconds), ("neutron", 7));
        assert!(read("auth_url = 'http://k'\nusrname = 'neutron'").unwrap_err().message().contains("usrname"));
        assert!(read("interface = 'inside'").is_err());
    }

    #[test]
    fn what_is_missing_is_named() {
        let said = |account: Account| account.check().unwrap_err().to_string();
        let url = Account { auth_url: "http://k".into(), ..Account::default() };
        let user = Account { username: "neutron".into(), ..url.clone() };
        let both = Account { password: Some(Secret::new("p")), password_file: Some("/x".into()), ..user.clone() };
        assert!(said(Account::default()).contains("auth_url"));
        assert!(said(url).contains("username"));
        assert!(said(user.clone()).contains("password"));
        assert!(said(both).contains("both"));
        assert!(said(Account { password_file: Some("/nowhere".into()), ..user }).contains("/nowhere"));
    }

    #[test]
    fn the_password_of_a_file_ends_before_the_line_does() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "with space \n").unwrap();
        let account = Account { password_file: Some(file.path().to_owned()), ..Account::default() };
        assert_eq!(account.password().unwrap().reveal(), "with space ");
        assert!(!format!("{:?}", Account { password: Some(Secret::new("hunter2")), ..account }).contains("hunter2"));
    }

    #[test]
    fn the_address_may_be_written_either_way() {
        for url in ["http://k:5000", "http://k:5000/", "http://k:5000/v3", "http://k:5000/v3/"] {
            assert_eq!(v3(url), "http://k:5000/v3");
        }
    }
}

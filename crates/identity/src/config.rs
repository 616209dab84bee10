//! The server's `[identity]` section.

use std::path::PathBuf;

use secret::Secret;
use serde::Deserialize;

/// How the built-in identity service behaves. Every field has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityConfig {
    /// How long a token is good for, in seconds; a token made from another ends with it. Keystone's `[token] expiration`.
    pub token_lifetime_seconds: u32,
    /// How long a checked token may be believed without asking the database, in seconds. Changes made through this
    /// server are seen at once; this bounds how late it notices those of another server on the same database.
    pub token_cache_seconds: u32,
    /// Roles of which a service token (`X-Service-Token`) must have one, to be a service's and to vouch for users' tokens that
    /// have expired. keystonemiddleware's name, as the next.
    pub service_token_roles: Vec<String>,
    /// Whether a service token without such a role is refused, or counts though it vouches for nothing.
    pub service_token_roles_required: bool,
    /// The password that user `admin` gets when the database is new. Without it one is invented and written to
    /// `admin-password` beside the key file, readable by the owner only. Later changes of it here have no effect.
    pub admin_password: Option<Secret>,
    /// The keys that tokens are sealed with, one per line, base64url; the first seals, all open. Made on the first start.
    /// Relative paths are beside the database. Servers that share a database need no file: they keep the keys there, unless
    /// each of them is given the same file.
    pub key_file: PathBuf,
    /// The region of the endpoints that a new database's catalogue gets.
    pub region: String,
    /// What the catalogue's addresses and all links begin with (`https://cloud.example.org`), when it must not be the
    /// address that the client used.
    pub public_url: Option<String>,
    /// Where the server hangs the networking API: the path of the endpoint that a new database's catalogue gets. Change it
    /// later by `openstack endpoint set`.
    pub network_path: String,
    /// Memory of one password hash in KiB (argon2id). OWASP's password storage cheat sheet holds 7168 KiB with 5 passes to
    /// be as strong as 19456 KiB with 2; two hashes run at a time, and their memory stays with the process.
    pub password_hash_memory_kib: u32,
    /// Passes over that memory.
    pub password_hash_passes: u32,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            token_lifetime_seconds: 3600,
            token_cache_seconds: 5,
            service_token_roles: vec!["service".to_owned()],
            service_token_roles_required: true,
            admin_password: None,
            key_file: PathBuf::from("fernet-keys"),
            region: "RegionOne".to_owned(),
            public_url: None,
            network_path: "/networking".to_owned(),
            password_hash_memory_kib: 7168,
            password_hash_passes: 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_configuration_does_not_show() {
        let config = IdentityConfig { admin_password: Some(Secret::new("hunter2")), ..IdentityConfig::default() };
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}

//! The server's one TOML file. Everything has a default.
//!
//! ```toml
//! [server]
//! listen = ["0.0.0.0:9696"]           # addresses; sockets handed over by an init system (LISTEN_FDS) come on top
//! state_dir = "/var/lib/neutronium"   # the database and the token keys
//! database = "postgresql://neutronium@db.example/neutronium"   # instead of SQLite in state_dir; several servers may share it
//! database_password_file = "/etc/neutronium/database.password" # its password, if it has one
//!
//! [identity]                          # who knows users and checks tokens
//! provider = "builtin"                # the default: this server itself; more keys: identity::IdentityConfig
//! # provider = "keystone"             # an external Keystone; more keys: keystone_client::CheckerConfig
//! [api]                               # api_server::ApiConfig
//! [network]                           # network_store::NetworkOptions
//! [ml2]                               # its type drivers and ranges, under Neutron's names
//! [agents]                            # host_feed::FeedConfig
//! secret_file = "/etc/neutronium/agents.secret"
//! [nova]                              # nova_notifier::NovaConfig
//! enabled = true
//! ```

use std::path::{Path, PathBuf};

use api_server::ApiConfig;
use host_feed::FeedConfig;
use identity::IdentityConfig;
use keystone_client::CheckerConfig;
use network_store::NetworkOptions;
use nova_notifier::NovaConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;

const DEFAULT_FILE: &str = "/etc/neutronium/server.toml";

/// What the server is started with.
pub struct ServerConfig {
    /// Addresses to listen on.
    pub listen: Vec<String>,
    /// Where files of our own are: token keys, and the database unless it is elsewhere.
    pub state_dir: PathBuf,
    /// What `Store::open` takes: a path or a URL. Not to be shown, a URL may hold a password.
    pub database: PathBuf,
    /// `[identity]`.
    pub identity: IdentityProvider,
    /// `[api]`.
    pub api: ApiConfig,
    /// `[network]` and `[ml2]`.
    pub network: NetworkOptions,
    /// `[agents]`.
    pub agents: FeedConfig,
    /// `[nova]`.
    pub nova: NovaConfig,
}

/// Who knows users and checks tokens.
pub enum IdentityProvider {
    /// This server itself.
    Builtin(IdentityConfig),
    /// An external Keystone.
    Keystone(CheckerConfig),
}

/// The file as it is written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ServerFile {
    server: ServerSection,
    identity: toml::Table,
    api: ApiConfig,
    network: toml::Table,
    ml2: toml::Table,
    agents: toml::Table,
    nova: toml::Table,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ServerSection {
    listen: Vec<String>,
    state_dir: PathBuf,
    database: Option<String>,
    database_password_file: Option<PathBuf>,
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            listen: vec!["0.0.0.0:9696".to_owned()],
            state_dir: PathBuf::from("/var/lib/neutronium"),
            database: None,
            database_password_file: None,
        }
    }
}

impl ServerSection {
    fn database(&self) -> Result<PathBuf, String> {
        let Some(database) = &self.database else { return Ok(self.state_dir.join("neutronium.db")) };
        let Some(file) = &self.database_password_file else { return Ok(database.into()) };
        let password = std::fs::read_to_string(file)
            .map_err(|error| format!("[server] database_password_file {}: {error}", file.display()))?;
        let encoded: String = password.trim().bytes().map(|octet| format!("%{octet:02x}")).collect();
        let separator = if database.contains('?') { '&' } else { '?' };
        Ok(format!("{database}{separator}password={encoded}").into())
    }
}

impl ServerConfig {
    /// Reads the file; none given and none at the usual place: the defaults. The error is one sentence.
    pub fn load(path: Option<&Path>) -> Result<Self, String> {
        let place = path.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match std::fs::read_to_string(place) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && path.is_none() => String::new(),
            Err(error) => return Err(format!("cannot read {}: {error}", place.display())),
        };
        Self::parse(&text).map_err(|reason| format!("{}: {reason}", place.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut file: ServerFile = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map_or(1, |span| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1);
            format!("line {line}: {}", error.message().replace('\n', " "))
        })?;
        let identity = identity(file.identity)?;
        if let IdentityProvider::Keystone(checker) = &identity
            && file.api.www_authenticate_uri.is_empty()
        {
            file.api.www_authenticate_uri.clone_from(&checker.account.auth_url);
        }
        if !file.ml2.is_empty() {
            file.network.insert("ml2".to_owned(), file.ml2.into());
        }
        if let Some(secret_file) = file.agents.remove("secret_file") {
            let path = secret_file.as_str().ok_or("[agents] secret_file is the name of a file")?;
            let secret =
                std::fs::read_to_string(path).map_err(|error| format!("[agents] secret_file {path}: {error}"))?;
            file.agents.insert("secret".to_owned(), secret.trim().into());
        }
        let mut nova: NovaConfig = section("nova", file.nova)?;
        if let IdentityProvider::Keystone(checker) = &identity {
            nova = nova.or_as(&checker.account);
        }
        nova.check().map_err(|error| format!("[nova]: {error}"))?;
        Ok(Self {
            database: file.server.database()?,
            listen: file.server.listen,
            state_dir: file.server.state_dir,
            identity,
            api: file.api,
            network: section("network] or [ml2", file.network)?,
            agents: section("agents", file.agents)?,
            nova,
        })
    }
}

fn identity(mut table: toml::Table) -> Result<IdentityProvider, String> {
    let provider = table.remove("provider");
    match provider.as_ref().map_or(Some("builtin"), toml::Value::as_str) {
        Some("builtin") => {
            // The networking API hangs at the root of the port, so that is what the catalogue says.
            table.entry("network_path").or_insert_with(|| String::new().into());
            Ok(IdentityProvider::Builtin(section("identity", table)?))
        }
        Some("keystone") => {
            let config: CheckerConfig = section("identity", table)?;
            config.account.check().map_err(|error| format!("[identity]: {error}"))?;
            Ok(IdentityProvider::Keystone(config))
        }
        _ => Err("[identity] provider is \"builtin\" or \"keystone\"".to_owned()),
    }
}

fn section<T: DeserializeOwned>(name: &str, table: toml::Table) -> Result<T, String> {
    table.try_into().map_err(|error: toml::de::Error| format!("[{name}]: {}", error.message().replace('\n', " ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builtin(config: &ServerConfig) -> &IdentityConfig {
        match &config.identity {
            IdentityProvider::Builtin(builtin) => builtin,
            IdentityProvider::Keystone(_) => panic!("keystone"),
        }
    }

    #[test]
    fn an_external_keystone_is_where_clients_are_sent() {
        let keystone = "[identity]\nprovider = 'keystone'\nauth_url = 'http://k/v3'\nusername = 'u'\npassword = 'p'\n";
        let config = ServerConfig::parse(keystone).unwrap();
        assert!(matches!(&config.identity, IdentityProvider::Keystone(checker) if checker.account.username == "u"));
        assert_eq!(config.api.www_authenticate_uri, "http://k/v3");
        let config = ServerConfig::parse(&format!("{keystone}[nova]\nenabled = true")).unwrap();
        assert_eq!(config.nova.account.username, "u", "Nova's is the same");
        let config = ServerConfig::parse(&format!("{keystone}[api]\nwww_authenticate_uri = 'http://public'")).unwrap();
        assert_eq!(config.api.www_authenticate_uri, "http://public");
    }

    #[test]
    fn nothing_need_be_said() {
        let config = ServerConfig::parse("").unwrap();
        assert_eq!(config.listen, ["0.0.0.0:9696"]);
        assert_eq!(builtin(&config).network_path, "");
    }

    #[test]
    fn every_section_reaches_its_part() {
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), "s3cret\n").unwrap();
        let text = format!(
            "[server]\nlisten = ['127.0.0.1:1']\n[identity]\nregion = 'R'\n[network]\ndns_domain = 'x.'\n[ml2]\nvni_ranges = ['1:2']\n\
             [api]\npagination_max_limit = 5\n[agents]\nsecret_file = '{}'\ndhcp_lease_duration = 60\n",
            secret.path().display()
        );
        let config = ServerConfig::parse(&text).unwrap();
        assert_eq!(builtin(&config).region, "R");
        assert_eq!(config.network.dns_domain, "x.");
        assert_eq!(config.network.ml2.vni_ranges, ["1:2"]);
        assert_eq!(config.api.pagination_max_limit, 5);
        assert_eq!((config.agents.secret.as_str(), config.agents.dhcp_lease_duration), ("s3cret", 60));
    }

    #[test]
    fn the_database_is_a_file_of_ours_or_where_one_says() {
        let database = |text: &str| ServerConfig::parse(text).map(|config| config.database);
        assert_eq!(database("[server]\nstate_dir = '/x'"), Ok("/x/neutronium.db".into()));
        let password = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(password.path(), "a?b\n").unwrap();
        let text = format!(
            "[server]\ndatabase = 'postgresql://me@h/d'\ndatabase_password_file = '{}'",
            password.path().display()
        );
        assert_eq!(database(&text), Ok("postgresql://me@h/d?password=%61%3f%62".into()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            (
                "[server]\ndatabase = 'x'\ndatabase_password_file = '/nowhere'",
                "[server] database_password_file /nowhere",
            ),
            ("[server]\nlistn = []", "line 2: unknown field `listn`"),
            ("[identity]\nregoin = 'x'", "[identity]: unknown field `regoin`"),
            ("[identity]\nprovider = 'ldap'", "[identity] provider is"),
            ("[identity]\nprovider = 'keystone'", "[identity]: auth_url is missing"),
            ("[identity]\nprovider = 'keystone'\nregion = 'x'", "[identity]: unknown field `region`"),
            ("[nova]\nenabled = true", "[nova]: auth_url is missing"),
            ("[ml2]\nvni = 1", "[network] or [ml2]: unknown field `vni`"),
            ("[agents]\nsecret_file = '/nowhere'", "[agents] secret_file /nowhere"),
        ] {
            let Err(said) = ServerConfig::parse(text) else { panic!("{text} was taken") };
            assert!(said.contains(named), "{said}");
        }
    }
}

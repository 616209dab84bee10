//! Where a PostgreSQL database is: a URL taken apart, its password out of sight.

use std::fmt;
use std::path::PathBuf;

use tls_trust::{Authorities, Trust};

/// The port that is meant when the URL names none.
const DEFAULT_PORT: u16 = 5432;

/// One database of one server, and who we are there.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: Option<String>,
    pub(super) database: String,
    /// Whom to believe over TLS; `None`: no TLS.
    pub(super) tls: Option<Trust>,
}

/// What to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// A host name or an address, over TCP.
    Name(String),
    /// The folder of a Unix socket: `.s.PGSQL.<port>` in it.
    Folder(PathBuf),
}

impl Target {
    /// Whether the text is meant as a URL of PostgreSQL rather than as a file's path.
    pub(crate) fn is_meant_by(text: &str) -> bool {
        text.starts_with("postgresql://") || text.starts_with("postgres://")
    }

    /// Reads `postgresql://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?host=FOLDER&port=N&sslmode=M&sslrootcert=FILE]`, as libpq does. Parts
    /// may be percent-encoded; a host that starts with `/` is the folder of a Unix socket. The error never shows the URL.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let rest = url.split_once("://").map(|(_, rest)| rest).ok_or("a PostgreSQL URL starts with postgresql://")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (who, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match who.split_once(':') {
            Some((user, password)) => (decode(user)?, Some(decode(password)?)),
            None => (decode(who)?, None),
        };
        let (host, port) = split_port(place)?;
        let mut target = Self {
            host: host_of(decode(host)?),
            port: port.unwrap_or(DEFAULT_PORT),
            database: decode(database)?,
            user,
            password,
            tls: None,
        };
        let (mut mode, mut authorities) = ("prefer".to_owned(), None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(value)?;
            match name {
                "host" => target.host = host_of(value),
                "port" => target.port = value.parse().map_err(|_| "the URL's port is not a number".to_owned())?,
                "user" => target.user = value,
                "password" => target.password = Some(value),
                "dbname" => target.database = value,
                "sslmode" => mode = value,
                "sslrootcert" if value == "system" => authorities = Some(Authorities::System),
                "sslrootcert" => authorities = Some(Authorities::File(value.into())),
                other => return Err(format!("the URL's parameter {other:?} is not known")),
            }
        }
        target.tls = trust(&mode, authorities)?;
        if target.user.is_empty() {
            return Err("the URL names no user".to_owned());
        }
        if target.database.is_empty() {
            target.database.clone_from(&target.user);
        }
        Ok(target)
    }
}

/// What libpq's `sslmode` and `sslrootcert` ask for. Where libpq leaves TLS to chance, we have none; and without a file
/// `verify-full` believes the system's authorities.
fn trust(mode: &str, authorities: Option<Authorities>) -> Result<Option<Trust>, String> {
    Ok(Some(match (mode, authorities) {
        ("disable" | "allow" | "prefer", _) => return Ok(None),
        ("require", None) => Trust::Anybody,
        ("verify-full", authorities) => Trust::Named(authorities.unwrap_or(Authorities::System)),
        ("require" | "verify-ca", Some(file @ Authorities::File(_))) => Trust::AnyName(file),
        ("require" | "verify-ca", _) => {
            return Err(format!("the URL's sslmode {mode:?} needs a file as sslrootcert, or verify-full in its place"));
        }
        (other, _) => return Err(format!("the URL's sslmode {other:?} is not known")),
    }))
}

/// The URL without its password: for messages and logs.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "postgresql://{}@{name}:{}/{}", self.user, self.port, self.database),
            Host::Folder(folder) => {
                write!(f, "postgresql://{}@/{}?host={}&port={}", self.user, self.database, folder.display(), self.port)
            }
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn host_of(host: String) -> Host {
    match host.as_str() {
        "" => Host::Folder(PathBuf::from("/run/postgresql")),
        folder if folder.starts_with('/') => Host::Folder(PathBuf::from(folder)),
        _ => Host::Name(host),
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
fn split_port(place: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match place.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = port.map(|port| port.parse().map_err(|_| "the URL's port is not a number".to_owned()));
    Ok((host, port.transpose()?))
}

/// Undoes percent-encoding (RFC 3986).
fn decode(text: &str) -> Result<String, String> {
    let wrong = || "the URL holds a broken percent-encoding".to_owned();
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let mut digit = || rest.next().and_then(|octet| char::from(octet).to_digit(16)).ok_or_else(wrong);
        let value = digit()? * 16 + digit()?;
        octets.push(u8::try_from(value).map_err(|_| wrong())?);
    }
    String::from_utf8(octets).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_libpq_reads_them() {
        let full = Target::parse("postgresql://ne%40t:p%3Aw@db.example:5433/net?sslmode=prefer").unwrap();
        assert_eq!((full.user.as_str(), full.password.as_deref()), ("ne@t", Some("p:w")));
        assert_eq!((&full.host, full.port), (&Host::Name("db.example".to_owned()), 5433));
        assert_eq!(full.database, "net");

        let socket = Target::parse("postgres://me@/net?host=/tmp/x&port=1").unwrap();
        assert_eq!((&socket.host, socket.port), (&Host::Folder("/tmp/x".into()), 1));
        assert_eq!(Target::parse("postgres://me@%2Ftmp%2Fx/net").unwrap().host, Host::Folder("/tmp/x".into()));
        let short = Target::parse("postgresql://me@[::1]").unwrap();
        assert_eq!((short.host, short.port, short.database.as_str()), (Host::Name("::1".to_owned()), 5432, "me"));
    }

    #[test]
    fn sslmode_says_whom_to_believe() {
        let trust = |query: &str| Target::parse(&format!("postgresql://u@h/db?{query}")).unwrap().tls;
        let file = || Authorities::File("/a b.pem".into());
        assert_eq!((trust(""), trust("sslmode=prefer"), trust("sslrootcert=/a")), (None, None, None));
        assert_eq!(trust("sslmode=require"), Some(Trust::Anybody));
        assert_eq!(trust("sslrootcert=/a%20b.pem&sslmode=require"), Some(Trust::AnyName(file())));
        assert_eq!(trust("sslmode=verify-ca&sslrootcert=/a%20b.pem"), Some(Trust::AnyName(file())));
        assert_eq!(trust("sslmode=verify-full&sslrootcert=/a%20b.pem"), Some(Trust::Named(file())));
        assert_eq!(trust("sslmode=verify-full"), Some(Trust::Named(Authorities::System)));
        assert_eq!(trust("sslmode=verify-full&sslrootcert=system"), Some(Trust::Named(Authorities::System)));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for url in [
            "postgresql://:s3cret@h/db",
            "postgresql://u:s3cret@h:x/db",
            "postgresql://u:s3cret%zz@h/db",
            "postgresql://u:s3cret@h/db?sslmode=verify-ca",
            "postgresql://u:s3cret@h/db?sslmode=require&sslrootcert=system",
            "postgresql://u:s3cret@h/db?sslmode=always",
            "postgresql://u:s3cret@h/db?sslrot=x",
        ] {
            let said = Target::parse(url).unwrap_err();
            assert!(!said.contains("s3cret"), "{said}");
        }
        let target = Target::parse("postgresql://u:s3cret@h/db").unwrap();
        assert_eq!(format!("{target} {target:?}"), "postgresql://u@h:5432/db postgresql://u@h:5432/db");
    }
}

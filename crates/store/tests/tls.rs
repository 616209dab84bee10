//! TLS to a real PostgreSQL: who is believed, and that all goes on as it does without.

#![allow(clippy::unwrap_used, clippy::panic)] // The helpers are tests too.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use store::testing::Server;
use store::{Migration, Operation, Store, StoreError, Tx, params};

const SCHEMA: Migration =
    Migration { name: "test/0001", sql: "CREATE TABLE item (id BIGINT PRIMARY KEY, text TEXT NOT NULL)" };
const READS: usize = 50;

fn openssl(folder: &Path, arguments: &str) {
    let done = Command::new("openssl").args(arguments.split_whitespace()).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A server that takes encrypted connections only.
struct Encrypted {
    server: Server,
    /// `authority.pem`, by which its certificate is, and `stranger.pem`.
    certificates: tempfile::TempDir,
    /// What the certificate names, and what it does not name.
    named: Ipv4Addr,
    unnamed: Ipv4Addr,
}

impl Encrypted {
    fn start() -> Self {
        // Addresses that nobody else takes at the same time.
        let [_, second, third, ..] = *uuid::Uuid::new_v4().as_bytes();
        let (named, unnamed) = (Ipv4Addr::new(127, second, third, 2), Ipv4Addr::new(127, second, third, 3));
        let certificates = tempfile::tempdir().unwrap();
        let here = certificates.path();
        let new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        for name in ["authority", "stranger"] {
            openssl(here, &format!("req -x509 {new} -keyout {name}.key -out {name}.pem -days 2 -subj /CN={name}"));
        }
        openssl(here, &format!("req {new} -keyout server.key -out server.csr -subj /CN=database"));
        std::fs::write(here.join("names"), format!("subjectAltName=IP:{named}\nbasicConstraints=CA:FALSE\n")).unwrap();
        let sign = "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial";
        openssl(here, &format!("{sign} -extfile names -out server.pem -days 2"));

        let server = Server::start(false);
        let data = server.folder().join("data");
        let owner = data.metadata().unwrap();
        for name in ["server.pem", "server.key"] {
            let installed = data.join(name);
            std::fs::copy(here.join(name), &installed).unwrap();
            std::fs::set_permissions(&installed, PermissionsExt::from_mode(0o600)).unwrap();
            chown(&installed, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        std::fs::write(data.join("pg_hba.conf"), "local all all trust\nhostssl all all 127.0.0.0/8 scram-sha-256\n")
            .unwrap();
        server.run("ALTER ROLE neutronium PASSWORD 's3cret'");
        server.run("ALTER SYSTEM SET ssl = on");
        server.run("ALTER SYSTEM SET ssl_cert_file = 'server.pem'");
        server.run("ALTER SYSTEM SET ssl_key_file = 'server.key'");
        server.run(&format!("ALTER SYSTEM SET listen_addresses = '{named},{unnamed}'"));
        server.crash();
        let since = Instant::now();
        while let Err(error) = Store::open(server.url()) {
            let log = std::fs::read_to_string(server.folder().join("log")).unwrap_or_default();
            assert!(since.elapsed() < Duration::from_secs(60), "{error}: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { server, certificates, named, unnamed }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.certificates.path().join(name)
    }

    fn open(&self, address: Ipv4Addr, query: &str) -> Result<Store, StoreError> {
        Store::open(format!("postgresql://neutronium:s3cret@{address}/postgres?{query}"))
    }

    fn refused(&self, address: Ipv4Addr, query: &str) -> String {
        let Err(error) = self.open(address, query) else { panic!("{query} is believed") };
        let mut said = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            said = format!("{said}: {inner}");
            cause = inner.source();
        }
        assert!(!said.contains("s3cret"), "{said}");
        said
    }
}

/// Whether this session is encrypted, and its process.
fn session(store: &Store) -> (i64, i64) {
    let sql = "SELECT CASE WHEN ssl THEN 1 ELSE 0 END, pid::bigint FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let found: Vec<(i64, i64)> = store
        .read_blocking(|snapshot| snapshot.query(sql, &[], |row| Ok::<_, StoreError>((row.get(0)?, row.get(1)?))))
        .unwrap();
    found[0]
}

fn change(tx: &Tx<'_>, how: Operation) -> Result<u64, StoreError> {
    tx.log_change("item", "1", how, None)
}

#[test]
fn certificates_are_believed_as_the_url_says() {
    let server = Encrypted::start();
    let (authority, stranger) = (server.file("authority.pem"), server.file("stranger.pem"));
    let (authority, stranger) = (authority.display(), stranger.display());
    for (address, query) in [
        (server.unnamed, "sslmode=require".to_owned()),
        (server.unnamed, format!("sslmode=require&sslrootcert={authority}")),
        (server.unnamed, format!("sslmode=verify-ca&sslrootcert={authority}")),
        (server.named, format!("sslmode=verify-full&sslrootcert={authority}")),
    ] {
        let store = server.open(address, &query).unwrap_or_else(|error| panic!("{query}: {error:?}"));
        assert_eq!(session(&store).0, 1, "{query}");
    }
    for (address, query, why) in [
        (server.named, format!("sslmode=verify-full&sslrootcert={stranger}"), "UnknownIssuer"),
        (server.named, format!("sslmode=verify-ca&sslrootcert={stranger}"), "UnknownIssuer"),
        (server.named, format!("sslmode=require&sslrootcert={stranger}"), "UnknownIssuer"),
        (server.unnamed, format!("sslmode=verify-full&sslrootcert={authority}"), "not valid for name"),
        (server.named, "sslmode=verify-full&sslrootcert=/nowhere.pem".to_owned(), "/nowhere.pem"),
        (server.named, "sslmode=disable".to_owned(), "no encryption"),
    ] {
        let said = server.refused(address, &query);
        assert!(said.contains(why), "{query}: {said}");
    }
}

#[test]
fn an_encrypted_store_works_as_any() {
    let server = Encrypted::start();
    let authority = server.file("authority.pem");
    let query = format!("sslmode=verify-full&sslrootcert={}", authority.display());
    let store = server.open(server.named, &query).unwrap();
    store.migrate(&[SCHEMA]).unwrap();

    // Longer than a record of TLS, and than what rustls keeps by itself.
    let long = "x".repeat(300_000);
    let written = long.clone();
    let revision = store
        .write_blocking(move |tx| {
            tx.execute("INSERT INTO item (id, text) VALUES (?1, ?2)", params![1, &written])?;
            change(tx, Operation::Create)
        })
        .unwrap();
    let text = || -> Result<Vec<String>, StoreError> {
        store.read_blocking(|snapshot| snapshot.query("SELECT text FROM item", &[], |row| row.get(0)))
    };
    assert_eq!(text().unwrap(), [long.as_str()]);

    // A connection that is quiet is used again, though the server has sent tickets on it.
    let sessions: BTreeSet<i64> = (0..READS).map(|_| session(&store).1).collect();
    assert!(sessions.len() < READS / 2, "{sessions:?}");

    // Another server hears of changes over its own encrypted connection.
    let other = server.open(server.named, &query).unwrap();
    let mut watch = other.revision_watch();
    let next = store.write_blocking(|tx| change(tx, Operation::Update)).unwrap();
    assert!(next > revision);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { watch.wait_for(|seen| *seen >= next).await.map(drop) }).unwrap();

    // Connections that ended meanwhile are replaced before they are used.
    server.server.crash();
    assert!(store.write_blocking(|tx| change(tx, Operation::Update)).unwrap() > next);
    assert_eq!(text().unwrap(), [long.as_str()]);
    assert_eq!(session(&store).0, 1);
}

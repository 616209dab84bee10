//! Databases for tests: new and empty, on the store that the run is for.
//!
//! A test says [`TestDatabase::new`] and runs on SQLite, or on PostgreSQL when it is run by `tools/with-postgres`. One that
//! is about several servers says [`TestDatabase::shared`] and gets PostgreSQL always, if need be a server of its own. Each
//! test has a database of its own and removes it at its end.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Store;
use crate::postgres::Administration;

/// Set by `tools/with-postgres`.
const SERVER: &str = "NEUTRONIUM_TEST_POSTGRES";

/// A PostgreSQL server that ends with this value, and with this process.
pub struct Server {
    /// The URL of its database `postgres`.
    url: String,
    keeper: Option<Child>,
}

impl Server {
    /// The one that this run was given, or one of its own.
    pub fn any() -> Self {
        match std::env::var(SERVER) {
            Ok(url) => Self { url, keeper: None },
            Err(_) => Self::start(false),
        }
    }

    /// One of its own: to be killed, or, with `sync`, to be trusted with what it has answered.
    pub fn start(sync: bool) -> Self {
        let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/with-postgres");
        let mut keeper = Command::new(tool)
            // Lives until its input ends, which it does even when this process is killed.
            .args(["sh", "-c", &format!("echo ${SERVER}; exec cat >/dev/null")])
            .env("SYNC", if sync { "on" } else { "off" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut url).unwrap();
        assert!(!url.is_empty(), "{tool} could not start a server");
        Self { url: url.trim().to_owned(), keeper: Some(keeper) }
    }

    /// Runs a statement in its database `postgres`, as one who may do anything.
    pub fn run(&self, sql: &str) {
        Administration::connect(&self.url).run(sql);
    }

    /// The URL of its database `postgres`, over its Unix socket.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its folder: `data` in it.
    pub fn folder(&self) -> PathBuf {
        self.url.split_once("host=").map(|(_, folder)| PathBuf::from(folder)).unwrap()
    }

    /// Kills the server as a crash would, and lets it start again; returns when the first process is gone.
    pub fn crash(&self) {
        assert!(self.keeper.is_some(), "the server of the whole run is not ours to kill");
        let pid = || {
            let text = std::fs::read_to_string(self.folder().join("data/postmaster.pid")).ok()?;
            text.lines().next()?.parse::<i32>().ok()
        };
        let before = pid().unwrap();
        std::fs::write(self.folder().join("again"), "").unwrap();
        // Immediate shutdown: no goodbye to the disk, recovery at the next start.
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(before), nix::sys::signal::Signal::SIGQUIT).unwrap();
        let since = Instant::now();
        while pid().is_none_or(|pid| pid == before) {
            assert!(since.elapsed() < Duration::from_secs(60), "the server does not come back");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A new database in it.
    pub fn database(self) -> TestDatabase {
        self.database_with("")
    }

    /// A new database, with clauses of `CREATE DATABASE`.
    pub fn database_with(self, clauses: &str) -> TestDatabase {
        let name = format!("t{}", uuid::Uuid::new_v4().simple());
        Administration::connect(&self.url).run(&format!("CREATE DATABASE {name} {clauses}"));
        let place = self.url.replacen("/postgres?", &format!("/{name}?"), 1);
        TestDatabase { place: place.into(), home: Home::Server { server: self, name } }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

/// A database that nobody else uses. It must outlive the stores opened on it.
pub struct TestDatabase {
    place: PathBuf,
    home: Home,
}

enum Home {
    Folder(#[allow(dead_code)] tempfile::TempDir),
    Server { server: Server, name: String },
}

impl TestDatabase {
    /// On the store that this run is for.
    pub fn new() -> Self {
        if Self::is_postgres() { Server::any().database() } else { Self::file() }
    }

    /// One that several servers may open at once: always PostgreSQL.
    pub fn shared() -> Self {
        Server::any().database()
    }

    /// A file of SQLite, whatever the run is for.
    pub fn file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { place: folder.path().join("test.db"), home: Home::Folder(folder) }
    }

    /// Whether [`TestDatabase::new`] gives PostgreSQL.
    pub fn is_postgres() -> bool {
        std::env::var_os(SERVER).is_some()
    }

    /// A path or a URL, for [`Store::open`].
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// The server that it is in.
    pub fn server(&self) -> &Server {
        match &self.home {
            Home::Server { server, .. } => server,
            Home::Folder(_) => panic!("SQLite has no server"),
        }
    }

    pub fn open(&self) -> Store {
        Store::open(&self.place).unwrap()
    }
}

impl Default for TestDatabase {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A server of its own goes as a whole.
        if let Home::Server { server, name } = &self.home
            && server.keeper.is_none()
            && !std::thread::panicking()
        {
            Administration::connect(&server.url).run(&format!("DROP DATABASE {name} WITH (FORCE)"));
        }
    }
}

//! A server of the bench's own: a database of its own on the disk, a free port of 127.0.0.1, no agent.

use super::http::{Answer, Connection, Request, header};
use super::load::Target;
use super::{cannot, unexpected};
use crate::Failure;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Password of every user here: the server lives for minutes and listens on the loopback.
const PASSWORD: &str = "bench";

const QUOTAS: [&str; 7] =
    ["network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule"];

/// A database server in place of SQLite.
#[derive(Debug, Clone)]
pub struct Database {
    /// `postgresql://...`, of an empty database.
    pub url: String,
    /// Its first process; what that one and its children use is counted.
    pub pid: u32,
}

/// A running server; its end, and that of its files, when dropped.
pub struct Server {
    child: Child,
    folder: PathBuf,
    /// Process of the database server, if it is apart.
    database: Option<u32>,
    /// Where it listens.
    pub address: SocketAddr,
    /// How long it took from the start of the process to the first answer, on an empty database.
    pub started_after: Duration,
}

impl Server {
    /// Starts `neutronium server` with its state in a new folder of `place`, which should be on a disk.
    pub fn start(binary: &Path, place: &Path, database: Option<&Database>) -> Result<Self, Failure> {
        let folder = place.join(format!("neutronium-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(cannot(&format!("make {}", folder.display())))?;
        // Free now; the server takes it in a moment.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(cannot("find a free port"))?;
        let address = listener.local_addr().map_err(cannot("find a free port"))?;
        drop(listener);
        let file = folder.join("server.toml");
        // Limits that are never reached, but are checked.
        let quotas = QUOTAS.map(|name| format!("{name} = 1000000\n")).concat();
        let elsewhere = database.map(|database| format!("database = \"{}\"\n", database.url)).unwrap_or_default();
        let config = format!(
            "[server]\nlisten = [\"{address}\"]\nstate_dir = \"{}\"\n{elsewhere}\
             [identity]\nadmin_password = \"{PASSWORD}\"\n\
             [ml2]\nvni_ranges = [\"1:1000000\"]\nflat_networks = [\"physnet1\"]\n\
             [network.quotas]\n{quotas}",
            folder.display()
        );
        std::fs::write(&file, config).map_err(cannot(&format!("write {}", file.display())))?;
        let log = std::fs::File::create(folder.join("server.log")).map_err(cannot("write the server's log"))?;
        let start = Instant::now();
        let child = Command::new(binary)
            .arg("server")
            .arg("--config")
            .arg(&file)
            .env("NEUTRONIUM_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| {
                // Nobody else will: there is no server yet whose end would do it.
                let _ = std::fs::remove_dir_all(&folder);
                cannot(&format!("{} server", binary.display()))(error)
            })?;
        let database = database.map(|database| database.pid);
        let mut server = Self { child, folder, database, address, started_after: Duration::ZERO };
        while Connection::open(address).is_err() {
            let ended = server.child.try_wait().map_err(cannot("wait for the server"))?;
            if ended.is_some() || start.elapsed() > Duration::from_secs(30) {
                let said = std::fs::read_to_string(server.folder.join("server.log")).unwrap_or_default();
                return Err(unexpected("neutronium server", format!("does not listen: {said}")));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        server.started_after = start.elapsed();
        Ok(server)
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// As what it is measured: SQLite is in the process, a database server beside it.
    pub fn target(&self) -> Target {
        Target { address: self.address, pids: vec![self.pid()], family: self.database }
    }

    /// The administrator, in the project admin.
    pub fn admin(&self) -> Result<User, Failure> {
        User::sign_in(self.address, "admin", PASSWORD, "admin")
    }

    /// Makes a project and a user of the same name with the role member, and signs in.
    pub fn member(&self, admin: &mut User, name: &str) -> Result<User, Failure> {
        let project = admin.make("/identity/v3/projects", "project", &json!({ "name": name }))?;
        let user = admin.make("/identity/v3/users", "user", &json!({ "name": name, "password": PASSWORD }))?;
        let roles = admin.ask("GET", "/identity/v3/roles?name=member", None)?;
        let role = text(&roles["roles"][0], "id")?;
        let path = format!("/identity/v3/projects/{}/users/{}/roles/{role}", text(&project, "id")?, text(&user, "id")?);
        admin.ask("PUT", &path, None)?;
        User::sign_in(self.address, name, PASSWORD, name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It was ours alone: nothing is to be kept, and nothing can be done about a failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Somebody who is signed in.
pub struct User {
    connection: Connection,
    address: SocketAddr,
    /// What every request shows; none where headers say who asks.
    pub token: Option<Arc<str>>,
    /// Further headers of every request.
    headers: String,
}

impl User {
    /// Signs in by password at a server; domains are the default one.
    pub fn sign_in(address: SocketAddr, name: &str, password: &str, project: &str) -> Result<Self, Failure> {
        let mut connection = Connection::open(address)?;
        let answer = connection.call(&password_request(name, password, project))?;
        let token = subject_token(&answer)?;
        Ok(Self { connection, address, token: Some(token), headers: String::new() })
    }

    /// Somebody whom a server takes at his word: Neutron behind `X-User-Id`, `X-Project-Id` and `X-Roles`.
    pub fn trusted(address: SocketAddr, project: &str, roles: &str) -> Self {
        let headers = format!("x-user-id: {project}\r\nx-project-id: {project}\r\nx-roles: {roles}\r\n");
        Self { connection: Connection::later(address), address, token: None, headers }
    }

    /// Where the server is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A request with the token.
    pub fn request(&self, method: &'static str, path: impl Into<String>, body: Option<&Value>) -> Request {
        Request {
            method,
            path: path.into(),
            token: self.token.clone(),
            headers: self.headers.clone(),
            body: body.map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// Asks and takes the answer; one from 400 upward is a failure. No body: null.
    pub fn ask(&mut self, method: &'static str, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let request = self.request(method, path, body);
        let answer = self.connection.call(&request)?;
        let said = || String::from_utf8_lossy(&answer.body).into_owned();
        if answer.status >= 400 {
            return Err(unexpected(&format!("{method} {path}"), format!("{} {}", answer.status, said())));
        }
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer.body).map_err(|error| unexpected(path, format!("{error}: {}", said())))
    }

    /// Creates one object; what the server made of it.
    pub fn make(&mut self, path: &str, kind: &str, body: &Value) -> Result<Value, Failure> {
        let mut answer = self.ask("POST", path, Some(&json!({ kind: body })))?;
        Ok(answer[kind].take())
    }
}

/// Signing in by password.
pub fn password_request(name: &str, password: &str, project: &str) -> Request {
    let domain = json!({ "id": "default" });
    let user = json!({ "name": name, "password": password, "domain": domain });
    let identity = json!({ "methods": ["password"], "password": { "user": user } });
    let scope = json!({ "project": { "name": project, "domain": domain } });
    auth_request(&json!({ "auth": { "identity": identity, "scope": scope } }))
}

/// Signing in by another token, to the same project.
pub fn token_request(token: &str, project: &str) -> Request {
    let identity = json!({ "methods": ["token"], "token": { "id": token } });
    let scope = json!({ "project": { "name": project, "domain": { "id": "default" } } });
    auth_request(&json!({ "auth": { "identity": identity, "scope": scope } }))
}

fn auth_request(body: &Value) -> Request {
    let path = "/identity/v3/auth/tokens".to_owned();
    Request { method: "POST", path, token: None, headers: String::new(), body: body.to_string() }
}

/// The token that an answer grants.
pub fn subject_token(answer: &Answer) -> Result<Arc<str>, Failure> {
    let refused = || unexpected("sign in", format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)));
    header(&answer.head, "x-subject-token").map(Arc::from).ok_or_else(refused)
}

/// A text field of an object.
pub fn text<'a>(object: &'a Value, key: &str) -> Result<&'a str, Failure> {
    object[key].as_str().ok_or_else(|| unexpected(key, format!("not in {object}")))
}

/// The password of the bench's own users.
pub fn password() -> &'static str {
    PASSWORD
}

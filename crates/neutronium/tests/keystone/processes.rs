//! The processes of these tests: a real Keystone, Neutronium's server, the real client. Each ends with the test.

use crate::http::{Answer, request};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_neutronium");
/// What `tests/keystone/serve.py` gives to user `admin`.
pub const ADMIN_PASSWORD: &str = "the administrator's password";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A Python script of `tests/keystone`, in the environment that `tools/install-deps --tests` makes.
pub fn python(script: &str) -> Command {
    let own = repository().join(".venv-keystone/bin/python");
    let python = std::env::var_os("KEYSTONE_PYTHON").map_or(own, PathBuf::from);
    assert!(python.exists(), "{} is missing: run tools/install-deps --tests", python.display());
    let mut command = Command::new(python);
    command.arg(repository().join("tests/keystone").join(script));
    command
}

/// A child that is killed with its owner.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A real Keystone.
pub struct Keystone {
    folder: PathBuf,
    pub port: u16,
    process: Option<Process>,
}

impl Keystone {
    pub fn start(folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        let mut keystone = Self { folder, port: 0, process: None };
        keystone.come_back();
        keystone
    }

    /// Starts it, on the port that it had.
    pub fn come_back(&mut self) {
        let mut command = python("serve.py");
        command.arg(&self.folder).arg(self.port.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(port) = line.trim().parse() else {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("Keystone does not start: {said}");
        };
        // Nobody reads on: the pipe would fill.
        let mut stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        self.port = port;
        self.process = Some(Process(child));
    }

    pub fn go_away(&mut self) {
        self.process = None;
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v3", self.port)
    }

    /// Signs in.
    pub fn token(&self, user: &str, password: &str, scope: Value) -> String {
        sign_in(&self.url(), by_password(user, password), scope)
    }

    /// A token of a project's member that lives for a second.
    pub fn short_token(&self, user: &str, password: &str, scope: Value) -> String {
        sign_in(&format!("http://127.0.0.1:{}/short/v3", self.port), by_password(user, password), scope)
    }
}

pub fn by_password(user: &str, password: &str) -> Value {
    json!({"methods": ["password"], "password": {"user": {
        "name": user, "domain": {"name": "Default"}, "password": password,
    }}})
}

pub fn project(name: &str) -> Value {
    json!({"project": {"name": name, "domain": {"name": "Default"}}})
}

/// A token of Keystone or of what stands in for it, at its address.
pub fn sign_in(url: &str, identity: Value, scope: Value) -> String {
    let mut auth = json!({ "identity": identity });
    if !scope.is_null() {
        auth["scope"] = scope;
    }
    let answer = request("POST", &format!("{url}/auth/tokens"), &[], &json!({ "auth": auth })).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.header("x-subject-token").to_owned()
}

/// An administrator at an identity service.
pub struct Admin {
    pub url: String,
    pub token: String,
}

impl Admin {
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        request(method, &format!("{}{path}", self.url), &[("x-auth-token", &self.token)], body).unwrap()
    }

    /// Makes an object; its id.
    pub fn create(&self, plural: &str, kind: &str, members: Value) -> String {
        let made = self.call("POST", &format!("/{plural}"), &json!({ kind: members })).expect(201);
        made[kind]["id"].as_str().unwrap().to_owned()
    }

    /// The id of what has this name.
    pub fn id(&self, plural: &str, name: &str) -> String {
        let found = self.call("GET", &format!("/{plural}?name={name}"), &Value::Null).expect(200);
        found[plural][0]["id"].as_str().unwrap_or_else(|| panic!("{plural} {name}: {found}")).to_owned()
    }

    /// A user with a role on a project; its id.
    pub fn person(&self, name: &str, password: &str, project: &str, role: &str) -> String {
        let members = json!({"name": name, "password": password, "domain_id": "default"});
        let user = self.create("users", "user", members);
        self.grant(&user, project, role);
        user
    }

    pub fn grant(&self, user: &str, project: &str, role: &str) {
        let role = self.id("roles", role);
        self.call("PUT", &format!("/projects/{project}/users/{user}/roles/{role}"), &Value::Null).expect(204);
    }
}

/// Neutronium's server.
pub struct Server {
    _process: Process,
    log: Arc<Mutex<String>>,
    pub url: String,
}

impl Server {
    /// Starts it with these sections besides `[server]`, and reads from its log where it listens.
    pub fn start(folder: &Path, sections: &str) -> Self {
        Self::start_at("127.0.0.1:0", folder, sections)
    }

    /// Starts it at an address.
    pub fn start_at(address: &str, folder: &Path, sections: &str) -> Self {
        let config = folder.join("server.toml");
        let state = folder.join("state");
        let server = format!("[server]\nlisten = ['{address}']\nstate_dir = '{}'\n", state.display());
        std::fs::write(&config, server + sections).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["server", "--config"]).arg(&config).env("NEUTRONIUM_LOG", "debug");
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let process = Process(child);
        let log = Arc::new(Mutex::new(String::new()));
        let mut url = None;
        while url.is_none() {
            let line = lines.next().unwrap_or_else(|| panic!("the server ended: {}", log.lock().unwrap())).unwrap();
            url = line
                .split_once("listening address=\"")
                .and_then(|(_, rest)| Some(format!("http://{}", rest.split('"').next()?)));
            log.lock().unwrap().push_str(&(line + "\n"));
        }
        let rest = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                rest.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { _process: process, log, url: url.unwrap() }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        request(method, &format!("{}{path}", self.url), headers, body).unwrap()
    }

    pub fn get(&self, path: &str, token: &str) -> Answer {
        self.call("GET", path, &[("x-auth-token", token)], &Value::Null)
    }

    pub fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.call("POST", path, &[("x-auth-token", token)], body)
    }
}

/// keystonemiddleware before an application.
pub struct Middleware(Process);

impl Middleware {
    pub fn start(auth_url: &str, user: &str, password: &str) -> Self {
        let mut command = python("middleware.py");
        command.args([auth_url, user, password]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self(Process(command.spawn().unwrap()))
    }

    /// What it makes of tokens.
    pub fn ask(&mut self, tokens: &[&str]) -> Value {
        let child = &mut self.0.0;
        writeln!(child.stdin.as_mut().unwrap(), "{}", tokens.join(" ")).unwrap();
        let mut line = String::new();
        // It answers with one line: nothing is lost in the buffer.
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("keystonemiddleware said {line:?}"))
    }
}

/// Runs a command to its end; it must succeed.
pub fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {said}");
    String::from_utf8(stdout).unwrap()
}

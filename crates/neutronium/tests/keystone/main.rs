//! Neutronium beside a real Keystone, and the built-in identity under the real keystonemiddleware.

#![allow(clippy::unwrap_used, clippy::panic, reason = "the configured allowance covers only functions marked as tests")]

mod http;
mod nova;
mod processes;

use processes::{ADMIN_PASSWORD, Admin, Keystone, Middleware, PROGRAM, Server, by_password, project, run, sign_in};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const SERVICE_PASSWORD: &str = "the service user's password";
const PASSWORD: &str = "a person's password";

/// A command of a person or administrator with the usual environment.
fn as_user(program: &str, keystone: &Keystone, user: &str, password: &str, project: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OS_")) {
        command.env_remove(name);
    }
    command.envs([
        ("OS_AUTH_URL", keystone.url().as_str()),
        ("OS_IDENTITY_API_VERSION", "3"),
        ("OS_USERNAME", user),
        ("OS_PASSWORD", password),
        ("OS_PROJECT_NAME", project),
        ("OS_USER_DOMAIN_NAME", "Default"),
        ("OS_PROJECT_DOMAIN_ID", "default"),
    ]);
    command
}

/// Runs `neutronium keystone register`; kind, name and outcome of every entry.
fn register(keystone: &Keystone, arguments: &[&str]) -> Vec<(String, String, String)> {
    let mut command = as_user(PROGRAM, keystone, "admin", ADMIN_PASSWORD, "admin");
    let said = run(command.args(["keystone", "register", "--json"]).args(arguments));
    assert!(!said.contains(ADMIN_PASSWORD) && !said.contains(SERVICE_PASSWORD));
    let entries: Vec<Value> = serde_json::from_str(&said).unwrap();
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
    entries.iter().map(|entry| (text(entry, "kind"), text(entry, "name"), text(entry, "outcome"))).collect()
}

fn outcomes(entries: &[(String, String, String)]) -> Vec<&str> {
    entries.iter().map(|(_, _, outcome)| outcome.as_str()).collect()
}

fn server_beside(folder: &Path, keystone: &Keystone) -> Server {
    // Nothing is believed longer than it is asked about: what Keystone says at the moment is what is tested here.
    let identity = format!(
        "[identity]\nprovider = 'keystone'\nauth_url = '{}'\nusername = 'neutron'\npassword = \"{SERVICE_PASSWORD}\"\n\
         cache_seconds = 0\nnegative_cache_seconds = 0\nhttp_request_max_retries = 0\n[ml2]\nvni_ranges = ['1:1000']\n",
        keystone.url()
    );
    Server::start(folder, &identity)
}

#[test]
#[allow(clippy::too_many_lines, reason = "one story: starting a Keystone takes longer than telling it")]
fn a_real_keystone_decides_who_may_do_what() {
    let folder = tempfile::tempdir().unwrap();
    let mut keystone = Keystone::start(folder.path().join("keystone"));
    let server = server_beside(folder.path(), &keystone);
    let admin = Admin { url: keystone.url(), token: keystone.token("admin", ADMIN_PASSWORD, project("admin")) };

    // Keystone does not know the service user yet: nobody can be let in, and nobody is refused.
    let answer = server.get("/v2.0/networks", &admin.token);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body["error"]["message"], "The Keystone service is temporarily unavailable.");

    // The catalogue.
    let password_file = folder.path().join("service.password");
    std::fs::write(&password_file, format!("{SERVICE_PASSWORD}\n")).unwrap();
    let user = ["--service-user", "neutron", "--service-password-file", password_file.to_str().unwrap()];
    let all = [&["--url", server.url.as_str()], user.as_slice()].concat();
    let entries = register(&keystone, &all);
    let kinds: Vec<&str> = entries.iter().map(|(kind, _, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["region", "service", "endpoint", "endpoint", "endpoint", "project", "user", "role"]);
    assert_eq!(
        outcomes(&entries),
        ["unchanged", "created", "created", "created", "created", "created", "created", "created"]
    );
    assert_eq!(outcomes(&register(&keystone, &all)), ["unchanged"; 8]);
    let moved = register(&keystone, &["--url", &server.url, "--admin-url", "http://127.0.0.1:1"]);
    assert_eq!(outcomes(&moved), ["unchanged", "unchanged", "unchanged", "unchanged", "updated"]);

    // Roles.
    let demo = admin.create("projects", "project", json!({"name": "demo", "domain_id": "default"}));
    let member_id = admin.person("member", PASSWORD, &demo, "member");
    admin.person("reader", PASSWORD, &demo, "reader");
    let member = keystone.token("member", PASSWORD, project("demo"));
    let reader = keystone.token("reader", PASSWORD, project("demo"));
    let network = json!({"network": {"name": "blue"}});
    let made = server.post("/v2.0/networks", &member, &network).expect(201);
    assert_eq!(made["network"]["project_id"], demo.as_str());
    server.post("/v2.0/networks", &reader, &network).expect(403);
    assert_eq!(server.get("/v2.0/networks", &reader).expect(200)["networks"][0]["name"], "blue");
    server.post("/v2.0/networks", &member, &json!({"network": {"shared": true}})).expect(403);
    server.post("/v2.0/networks", &admin.token, &json!({"network": {"shared": true}})).expect(201);

    // Tokens that are not for a project, whatever their roles.
    for scope in [json!({"system": {"all": true}}), json!("unscoped")] {
        let token = keystone.token("admin", ADMIN_PASSWORD, scope);
        server.post("/v2.0/networks", &token, &network).expect(403);
    }

    // What is no token.
    for headers in [&[("x-auth-token", "gAAAAABnotatoken")][..], &[]] {
        let answer = server.call("GET", "/v2.0/networks", headers, &Value::Null);
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), format!("Keystone uri=\"{}\"", keystone.url()));
        assert_eq!(answer.body["error"]["title"], "Unauthorized");
    }

    // The real client finds us in the catalogue.
    let openstack = std::env::var("OPENSTACK").unwrap_or_else(|_| "openstack".to_owned());
    let mut client = as_user(&openstack, &keystone, "member", PASSWORD, "demo");
    let listed: Value = serde_json::from_str(&run(client.args(["network", "list", "-f", "json"]))).unwrap();
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|one| one["Name"].as_str().unwrap()).collect();
    assert!(names.contains(&"blue"), "{listed}");

    // Service tokens: a service's, a user's; and what a service vouches for.
    let service = keystone.token("neutron", SERVICE_PASSWORD, project("service"));
    let with = |token: &str, service: &str| {
        let headers = [("x-auth-token", token), ("x-service-token", service)];
        server.call("GET", "/v2.0/networks", &headers, &Value::Null)
    };
    with(&member, &service).expect(200);
    with(&member, &reader).expect(401);
    let short = keystone.short_token("member", PASSWORD, project("demo"));
    let subject = [("x-auth-token", admin.token.as_str()), ("x-subject-token", short.as_str())];
    let tokens = format!("{}/auth/tokens", keystone.url());
    while http::request("GET", &tokens, &subject, &Value::Null).unwrap().status != 404 {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    server.get("/v2.0/networks", &short).expect(401);
    with(&short, &service).expect(200);

    // A restricted application credential.
    let rules = json!([{"service": "network", "method": "GET", "path": "/v2.0/networks"}]);
    let owner = Admin { url: keystone.url(), token: member.clone() };
    let made = json!({"application_credential": {"name": "narrow", "secret": "s", "access_rules": rules}});
    let made = owner.call("POST", &format!("/users/{member_id}/application_credentials"), &made).expect(201);
    let id = &made["application_credential"]["id"];
    let identity = json!({"methods": ["application_credential"], "application_credential": {"id": id, "secret": "s"}});
    let narrow = sign_in(&keystone.url(), identity, Value::Null);
    server.get("/v2.0/networks", &narrow).expect(200);
    server.get("/v2.0/ports", &narrow).expect(401);

    // What is revoked, and whose user is disabled.
    let revoked = keystone.token("reader", PASSWORD, project("demo"));
    server.get("/v2.0/networks", &revoked).expect(200);
    let subject = [("x-auth-token", revoked.as_str()), ("x-subject-token", revoked.as_str())];
    http::request("DELETE", &tokens, &subject, &Value::Null).unwrap().expect(204);
    server.get("/v2.0/networks", &revoked).expect(401);
    server.get("/v2.0/networks", &reader).expect(200);
    let reader_id = admin.id("users", "reader");
    admin.call("PATCH", &format!("/users/{reader_id}"), &json!({"user": {"enabled": false}})).expect(200);
    server.get("/v2.0/networks", &reader).expect(401);

    // Keystone goes and comes back.
    keystone.go_away();
    server.get("/v2.0/networks", &member).expect(503);
    keystone.come_back();
    server.get("/v2.0/networks", &member).expect(200);

    let log = server.log();
    for secret in [SERVICE_PASSWORD, PASSWORD, &member, &service, &admin.token] {
        assert!(!log.contains(secret), "the log has a secret");
    }
    assert!(log.contains("tokens cannot be checked"), "{log}");
}

#[test]
fn the_built_in_identity_serves_keystonemiddleware() {
    const ADMIN: &str = "the built-in administrator's password";
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &format!("[identity]\nadmin_password = \"{ADMIN}\"\n"));
    let url = format!("{}/identity/v3", server.url);
    let token = |user: &str, password: &str, scope: &str| sign_in(&url, by_password(user, password), project(scope));
    let admin = Admin { url: url.clone(), token: token("admin", ADMIN, "admin") };
    let service_project = admin.id("projects", "service");
    admin.person("nova", SERVICE_PASSWORD, &service_project, "service");
    let demo = admin.create("projects", "project", json!({"name": "demo", "domain_id": "default"}));
    let member_id = admin.person("member", PASSWORD, &demo, "member");

    let mut middleware = Middleware::start(&url, "nova", SERVICE_PASSWORD);
    let member = token("member", PASSWORD, "demo");
    let answer = middleware.ask(&[&member]);
    assert_eq!(answer["status"], 200, "{answer}");
    let seen = &answer["seen"];
    assert_eq!(seen["X-Identity-Status"], "Confirmed");
    assert_eq!((&seen["X-User-Id"], &seen["X-User-Name"]), (&json!(member_id), &json!("member")));
    assert_eq!((&seen["X-Project-Id"], &seen["X-Project-Name"]), (&json!(demo), &json!("demo")));
    let mut roles: Vec<&str> = seen["X-Roles"].as_str().unwrap().split(',').collect();
    roles.sort_unstable();
    assert_eq!(roles, ["member", "reader"]);

    let service = token("nova", SERVICE_PASSWORD, "service");
    let answer = middleware.ask(&[&member, &service]);
    assert_eq!((&answer["status"], &answer["seen"]["X-Service-User-Name"]), (&json!(200), &json!("nova")), "{answer}");
    assert_eq!(middleware.ask(&[&member, &member])["status"], 401);

    let answer = middleware.ask(&["gAAAAABnotatoken"]);
    assert_eq!((&answer["status"], &answer["challenge"]), (&json!(401), &json!(format!("Keystone uri=\"{url}\""))));
    let subject = [("x-auth-token", member.as_str()), ("x-subject-token", member.as_str())];
    http::request("DELETE", &format!("{url}/auth/tokens"), &subject, &Value::Null).unwrap().expect(204);
    assert_eq!(middleware.ask(&[&member])["status"], 401);
}

//! The real [schemathesis](https://schemathesis.readthedocs.io) reads our OpenAPI description, makes requests out of it, right
//! ones and wrong ones, and holds the answers to it: no failure of ours, no status and no body that is not described.
//!
//! The program is the one that `SCHEMATHESIS` names, else the one in `.venv` that `make test` installs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // The helpers are tests too.

use access_policy::Credentials;
use api_server::{Api, ApiConfig, Authentication, Authenticator, Caller, Presented};
use network_store::{NetworkConfig, NetworkOptions};
use std::future::ready;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use store::testing::TestDatabase;

/// Everybody who shows a token is the administrator, for whom most requests go deepest.
struct Admin;

impl Authenticator for Admin {
    fn authenticate<'a>(&'a self, _: Presented<'a>) -> Authentication<'a> {
        let credentials = Credentials {
            user_id: "admin".into(),
            project_id: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".into(),
            roles: ["admin", "manager", "member", "reader"].map(str::to_owned).into(),
            ..Credentials::default()
        };
        Box::pin(ready(Ok(Caller { credentials })))
    }
}

#[test]
fn requests_made_from_the_description_are_answered_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let database = TestDatabase::new();
    let store = database.open();
    network_store::prepare(&store).unwrap();
    let network = Arc::new(NetworkConfig::new(&NetworkOptions::default()).unwrap());
    let api = Api::new(store, Arc::new(Admin), ApiConfig::default(), network);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/openapi.json", listener.local_addr().unwrap());
    runtime.spawn(async move { axum::serve(listener, api_server::router(api)).await });

    let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.venv/bin/schemathesis");
    let program = std::env::var_os("SCHEMATHESIS").map_or_else(|| installed.into(), PathBuf::from);
    let checks = [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "use_after_free",
        "ensure_resource_availability",
    ];
    let output = Command::new(&program)
        .current_dir(folder.path())
        .args(["run", &url, "--header", "X-Auth-Token: any", "--checks", &checks.join(",")])
        // The deterministic cases at the edges of every schema, and a few random ones on top.
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "3", "--seed", "1"])
        .args(["--no-shrink", "--continue-on-failure", "--no-color", "--warnings", "off"])
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; run `make test`", program.display()));
    let said = String::from_utf8_lossy(&output.stdout);
    // The beginning names the operations, the end counts.
    let tail = said.len().saturating_sub(20_000);
    let tail = (tail..said.len()).find(|at| said.is_char_boundary(*at)).unwrap_or(0);
    assert!(output.status.success(), "{}\n{}", &said[tail..], String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("Coverage") && said.contains("Fuzzing"), "{said}");
}

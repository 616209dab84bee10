//! What the API costs in processor time, without a network: requests go to the router in this process.
//!
//! `cargo run --release -p api-server --example measure_api -- [PORTS]`. CPU time is that of the whole process: API and database.

use access_policy::Credentials;
use api_server::{Api, ApiConfig, Authentication, Authenticator, Caller, Presented};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use network_store::{NetworkConfig, NetworkOptions};
use serde_json::{Value, json};
use std::future::ready;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;
use tower::ServiceExt;

struct Anyone;

impl Authenticator for Anyone {
    fn authenticate<'a>(&'a self, _: Presented<'a>) -> Authentication<'a> {
        let roles = ["member", "reader"].map(str::to_owned).to_vec();
        let credentials = Credentials { project_id: "p".into(), roles, ..Credentials::default() };
        Box::pin(ready(Ok(Caller { credentials })))
    }
}

/// User and system time of this process so far, milliseconds.
fn cpu() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    // Clock ticks are hundredths of a second on Linux.
    Ok((ticks(11) + ticks(12)) * 10.0)
}

async fn call(router: &Router, method: &str, path: &str, body: Value) -> Result<Value, Box<dyn std::error::Error>> {
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let request = Request::builder().method(method).uri(path).header("x-auth-token", "t").body(body)?;
    let response = router.clone().oneshot(request).await?;
    let status = response.status();
    let bytes = to_bytes(response.into_body(), usize::MAX).await?;
    if !status.is_success() {
        return Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&bytes)).into());
    }
    Ok(if method == "POST" { serde_json::from_slice(&bytes)? } else { Value::Null })
}

async fn measure(
    router: &Router,
    what: &str,
    times: u32,
    method: &str,
    path: &str,
    body: Value,
) -> Result<(), Box<dyn std::error::Error>> {
    let (start, before) = (Instant::now(), cpu()?);
    for _ in 0..times {
        call(router, method, path, body.clone()).await?;
    }
    let times = f64::from(times);
    let (wall, cpu) = (start.elapsed().as_secs_f64() * 1000.0 / times, (cpu()? - before) / times);
    writeln!(std::io::stdout(), "{what:<28} {cpu:>8.3} ms CPU {wall:>8.3} ms wall")?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ports: u32 = std::env::args().nth(1).map_or(Ok(1000), |text| text.parse())?;
    let folder = std::env::temp_dir().join(format!("neutronium-measure-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let store = store::Store::open(folder.join("neutronium.db"))?;
    network_store::prepare(&store)?;
    let quotas = ["network", "subnet", "port"].map(|name| (name.to_owned(), -1)).into();
    let options = NetworkOptions { quotas, ..NetworkOptions::default() };
    let network = Arc::new(NetworkConfig::new(&options)?);
    let router = api_server::router(Api::new(store, Arc::new(Anyone), ApiConfig::default(), network));

    let made = call(&router, "POST", "/v2.0/networks", json!({"network": {"name": "n"}})).await?;
    let id = made["network"]["id"].as_str().unwrap_or_default().to_owned();
    let subnet = json!({"subnet": {"network_id": &id, "ip_version": 4, "cidr": "10.0.0.0/16"}});
    call(&router, "POST", "/v2.0/subnets", subnet).await?;
    let port = json!({"port": {"network_id": &id, "name": "p"}});
    let made = call(&router, "POST", "/v2.0/ports", port.clone()).await?;
    let one = format!("/v2.0/ports/{}", made["port"]["id"].as_str().unwrap_or_default());

    measure(&router, "network create", 100, "POST", "/v2.0/networks", json!({"network": {"name": "n"}})).await?;
    measure(&router, "port create, first 200", 200, "POST", "/v2.0/ports", port.clone()).await?;
    for _ in 0..ports.saturating_sub(400) {
        call(&router, "POST", "/v2.0/ports", port.clone()).await?;
    }
    measure(&router, "port create, last 200", 200, "POST", "/v2.0/ports", port).await?;
    measure(&router, "port show", 500, "GET", &one, Value::Null).await?;
    measure(&router, "port update (name)", 200, "PUT", &one, json!({"port": {"name": "q"}})).await?;
    measure(&router, "list all ports", 20, "GET", "/v2.0/ports", Value::Null).await?;
    measure(&router, "list all ports, fields=id", 20, "GET", "/v2.0/ports?fields=id", Value::Null).await?;
    measure(&router, "list 100 of them", 50, "GET", "/v2.0/ports?limit=100", Value::Null).await?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

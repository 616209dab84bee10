//! The real `openstack` client against identity and the networking API: what a person types, and what comes of it.
//!
//! The client is the one that `OPENSTACK` names, else the one in `.venv` that `make deps` installs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // The helpers are tests too.

use api_server::{Api, ApiConfig};
use identity::{Identity, IdentityConfig, Secret};
use network_store::{NetworkConfig, NetworkOptions};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use store::testing::TestDatabase;

const PASSWORD: &str = "client-test";

/// A server of its own, and the administrator's client.
struct Cloud {
    url: String,
    client: PathBuf,
    _runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
    _database: TestDatabase,
}

impl Cloud {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::new();
        let store = database.open();
        network_store::prepare(&store).unwrap();
        let settings = IdentityConfig {
            network_path: String::new(),
            admin_password: Some(Secret::new(PASSWORD)),
            ..IdentityConfig::default()
        };
        let identity = Identity::open(&store, settings, folder.path()).unwrap();
        let network = Arc::new(NetworkConfig::new(&NetworkOptions::default()).unwrap());
        let api = Api::new(store, Arc::new(identity.clone()), ApiConfig::default(), network);
        let app = identity.router().merge(api_server::router(api));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/identity/v3", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, app).await });
        let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.venv/bin/openstack");
        let client = std::env::var_os("OPENSTACK").map_or_else(|| installed.into(), PathBuf::from);
        let cloud = Self { url, client, _runtime: runtime, _folder: folder, _database: database };
        cloud.run("network create --external public");
        cloud.run("subnet create --network public --subnet-range 203.0.113.0/24 --no-dhcp public-subnet");
        cloud.run("network create inside");
        cloud.run("subnet create --network inside --subnet-range 10.0.0.0/24 inside-subnet");
        cloud
    }

    fn output(&self, line: &str) -> Output {
        let mut command = Command::new(&self.client);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent").args(line.split_whitespace());
        for (name, value) in [
            ("OS_AUTH_URL", self.url.as_str()),
            ("OS_USERNAME", "admin"),
            ("OS_PASSWORD", PASSWORD),
            ("OS_PROJECT_NAME", "admin"),
            ("OS_USER_DOMAIN_ID", "default"),
            ("OS_PROJECT_DOMAIN_ID", "default"),
            ("OS_IDENTITY_API_VERSION", "3"),
        ] {
            command.env(name, value);
        }
        command.output().unwrap_or_else(|error| panic!("{}: {error}; run `make deps`", self.client.display()))
    }

    /// A command that must succeed; what it said.
    #[track_caller]
    fn run(&self, line: &str) -> String {
        let output = self.output(line);
        let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "openstack {line}: {complaint}{said}");
        said.into_owned()
    }

    /// The same, read as JSON.
    #[track_caller]
    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.run(&format!("{line} -f json"))).unwrap()
    }

    /// A command that must be refused with these words.
    #[track_caller]
    fn refused(&self, line: &str, words: &str) {
        let output = self.output(line);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && complaint.contains(words), "openstack {line}: {complaint}");
    }
}

#[test]
fn security_groups() {
    let cloud = Cloud::new();
    let group = cloud.json("security group create --description d web");
    assert_eq!((group["description"].as_str(), group["stateful"].as_bool()), (Some("d"), Some(true)));
    let ssh = "security group rule create --protocol tcp --dst-port 22 --remote-ip 10.0.0.0/8 web";
    let rule = cloud.json(ssh);
    assert_eq!((rule["port_range_min"].as_u64(), rule["remote_ip_prefix"].as_str()), (Some(22), Some("10.0.0.0/8")));
    cloud.refused(ssh, "Security group rule already exists. Rule id is");
    cloud.run("security group rule create --protocol icmp --icmp-type 8 --egress web");
    cloud.run("security group rule create --protocol icmpv6 --ethertype IPv6 --remote-group web web");
    let rules = cloud.json("security group rule list web");
    assert_eq!(rules.as_array().unwrap().len(), 5, "two that every group has, and ours: {rules}");
    cloud.run("security group set --name www --stateless web");
    assert_eq!(cloud.json("security group show www")["stateful"], false);
    let names: Vec<String> = cloud.run("security group list -f value -c Name").lines().map(str::to_owned).collect();
    assert_eq!(names.iter().filter(|name| *name == "default").count(), 1, "{names:?}");
    cloud.run("port create --network inside --security-group www vm");
    cloud.refused("security group delete www", "in use.");
    cloud.run("port delete vm");
    cloud.run(&format!("security group rule delete {}", rule["id"].as_str().unwrap()));
    cloud.run("security group delete www");
}

#[test]
fn routers() {
    let cloud = Cloud::new();
    cloud.run("router create --external-gateway public r1");
    cloud.run("router set --external-gateway public --fixed-ip subnet=public-subnet,ip-address=203.0.113.99 r1");
    cloud.run("router set --external-gateway public --disable-snat r1");
    cloud.run("router add subnet r1 inside-subnet");
    cloud.run("router add route --route destination=192.168.5.0/24,gateway=10.0.0.77 r1");
    cloud.run("router set --route destination=192.168.6.0/24,gateway=10.0.0.78 r1");
    let router = cloud.json("router show r1");
    let gateway = &router["external_gateway_info"];
    assert_eq!(gateway["external_fixed_ips"][0]["ip_address"], "203.0.113.99");
    assert_eq!(gateway["enable_snat"], false);
    assert_eq!(router["interfaces_info"][0]["ip_address"], "10.0.0.1");
    assert_eq!(router["routes"].as_array().unwrap().len(), 2);
    cloud.refused("router remove subnet r1 inside-subnet", "it is required by one or more routes");
    cloud.run("router remove route --route destination=192.168.5.0/24,gateway=10.0.0.77 r1");
    cloud.run("router unset --route destination=192.168.6.0/24,gateway=10.0.0.78 r1");
    cloud.refused("router delete r1", "has ports still attached");
    cloud.run("router remove subnet r1 inside-subnet");
    cloud.run("port create --network inside --fixed-ip subnet=inside-subnet,ip-address=10.0.0.9 second");
    cloud.run("router add port r1 second");
    cloud.run("router remove port r1 second");
    cloud.run("router unset --external-gateway r1");
    cloud.run("router set --name r2 --disable r1");
    let router = cloud.json("router show r2");
    assert_eq!((&router["external_gateway_info"], &router["admin_state_up"]), (&Value::Null, &Value::Bool(false)));
    cloud.run("router delete r2");
    assert_eq!(cloud.json("port list"), Value::Array(Vec::new()), "nothing is left behind");
}

#[test]
fn floating_ips() {
    let cloud = Cloud::new();
    cloud.run("router create --external-gateway public r1");
    cloud.run("router add subnet r1 inside-subnet");
    cloud.run("port create --network inside vm");
    let made = cloud.json("floating ip create --port vm --floating-ip-address 203.0.113.200 public");
    assert_eq!((made["floating_ip_address"].as_str(), made["status"].as_str()), (Some("203.0.113.200"), Some("DOWN")));
    let other = cloud.json("floating ip create --description spare public");
    let other = other["floating_ip_address"].as_str().unwrap();
    cloud.refused(&format!("floating ip set --port vm {other}"), "already has a floating IP on external network");
    cloud.refused("router unset --external-gateway r1", "required by one or more floating IPs");
    assert_eq!(cloud.json("floating ip list --port vm").as_array().unwrap().len(), 1);
    cloud.run("floating ip unset --port 203.0.113.200");
    assert_eq!(cloud.json("floating ip show 203.0.113.200")["port_id"], Value::Null);
    cloud.run(&format!("floating ip set --port vm {other}"));
    let shown = cloud.json(&format!("floating ip show {other}"));
    assert_eq!(shown["port_details"]["name"], "vm");
    cloud.run("port delete vm");
    assert_eq!(cloud.json(&format!("floating ip show {other}"))["port_id"], Value::Null, "the port took it along");
    cloud.run(&format!("floating ip delete {other} 203.0.113.200"));
    assert_eq!(cloud.json("floating ip list"), Value::Array(Vec::new()));
}

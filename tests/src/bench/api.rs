//! What each operation of the API costs the server, by one client and by several at once.

use super::http::Request;
use super::load::{self, Measured};
use super::peer::{self, PeerCost};
use super::server::{self, Server, User, text};
use super::table::{Cell, Table};
use crate::Failure;
use serde_json::{Value, json};

/// Ports of the project whose lists are measured.
const LISTED: usize = 1000;

/// Rules that a group gets: the default quota.
const RULES: usize = 100;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// Requests per operation and number of clients.
    pub requests: usize,
    /// Requests per list of 1,000 ports.
    pub lists: usize,
}

/// Runs all operations by 1 client and by 8.
pub fn run(server: &Server, amount: Amount) -> Result<Vec<Table>, Failure> {
    let mut admin = server.admin()?;
    let mut user = server.member(&mut admin, "bench")?;
    let mut operations = Table::new(
        "API operations",
        &format!(
            "{} requests each over kept-alive connections; cpu: processor ms of the server per request, SQLite included; \
             p50, p99: ms for the client; Neutron: processor ms of uwsgi and MariaDB in another run.",
            amount.requests
        ),
        &["operation", "clients", "cpu ms", "p50 ms", "p99 ms", "per s", "Neutron cpu ms", "Neutron / ours"],
    );
    let external = external_network(&mut admin)?;
    for clients in [1, 8] {
        every_operation(server, &mut user, &external, clients, amount.requests, &mut operations)?;
    }
    let tokens = tokens(server, &mut user, amount.requests)?;
    let lists = lists(server, &mut admin, amount.lists)?;
    Ok(vec![operations, lists, tokens])
}

fn external_network(admin: &mut User) -> Result<String, Failure> {
    let network = json!({ "name": "external", "router:external": true });
    let id = text(&admin.make("/v2.0/networks", "network", &network)?, "id")?.to_owned();
    let subnet = json!({ "network_id": id, "cidr": "172.24.0.0/16", "ip_version": 4, "enable_dhcp": false });
    admin.make("/v2.0/subnets", "subnet", &subnet)?;
    Ok(id)
}

/// The requests of an operation, run and written into the table.
struct Runner<'a> {
    server: &'a Server,
    clients: usize,
    table: &'a mut Table,
}

impl Runner<'_> {
    fn run(&mut self, name: &str, requests: &[Request]) -> Result<Vec<Value>, Failure> {
        let measured = load::run(self.server.address, self.server.pid(), self.clients, requests)?;
        let peer = peer::operation(name).and_then(|cost: PeerCost| cost.at(self.clients));
        self.table.row([
            name.into(),
            self.clients.into(),
            measured.cpu_ms.into(),
            measured.percentile(0.5).into(),
            measured.percentile(0.99).into(),
            measured.per_second.into(),
            peer.into(),
            peer.map(|peer| (peer / measured.cpu_ms).round()).into(),
        ]);
        Ok(measured.answers)
    }

    /// Creates objects; their ids.
    fn create(&mut self, name: &str, kind: &str, requests: &[Request]) -> Result<Vec<String>, Failure> {
        self.run(name, requests)?.iter().map(|answer| Ok(text(&answer[kind], "id")?.to_owned())).collect()
    }
}

fn every_operation(
    server: &Server,
    user: &mut User,
    external: &str,
    clients: usize,
    count: usize,
    table: &mut Table,
) -> Result<(), Failure> {
    let big = text(&user.make("/v2.0/networks", "network", &json!({ "name": "big" }))?, "id")?.to_owned();
    user.make("/v2.0/subnets", "subnet", &json!({ "network_id": big, "cidr": "10.64.0.0/16", "ip_version": 4 }))?;
    let groups = (0..count.div_ceil(RULES))
        .map(|_| {
            let group = user.make("/v2.0/security-groups", "security_group", &json!({ "name": "bench" }))?;
            Ok(text(&group, "id")?.to_owned())
        })
        .collect::<Result<Vec<String>, Failure>>()?;
    let post = |kind: &str, path: &str, body: Value| user.request("POST", path, Some(&json!({ kind: body })));
    let mut on = Runner { server, clients, table };
    let all = |each: &dyn Fn(usize) -> Request| (0..count).map(each).collect::<Vec<_>>();

    let networks = on.create(
        "network create",
        "network",
        &all(&|i| post("network", "/v2.0/networks", json!({ "name": format!("n{i}") }))),
    )?;
    let cidr = |i: usize| format!("10.{}.{}.0/24", clients * 8 + (i >> 8), i & 255);
    let subnet = |(i, network): (usize, &String)| {
        post("subnet", "/v2.0/subnets", json!({ "network_id": network, "cidr": cidr(i), "ip_version": 4 }))
    };
    let subnets: Vec<Request> = networks.iter().enumerate().map(subnet).collect();
    let subnets = on.create("subnet create", "subnet", &subnets)?;
    let device = |i: usize| format!("device-{clients}-{i}");
    let port = |i: usize| json!({ "network_id": big, "name": "bench", "device_id": device(i) });
    let ports = on.create("port create", "port", &all(&|i| post("port", "/v2.0/ports", port(i))))?;
    let each = |method: &'static str, body: Option<Value>| -> Vec<Request> {
        ports.iter().map(|id| user.request(method, format!("/v2.0/ports/{id}"), body.as_ref())).collect()
    };
    on.run("port show", &each("GET", None))?;
    on.run("port update (name)", &each("PUT", Some(json!({ "port": { "name": "renamed" } }))))?;
    let by_device = |i: usize| user.request("GET", format!("/v2.0/ports?device_id={}", device(i)), None);
    on.run("list ports by device_id", &all(&by_device))?;
    let rule = |i: usize| {
        let rule = json!({ "security_group_id": groups.get(i / RULES), "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
            "port_range_min": 1000 + i, "port_range_max": 1000 + i });
        post("security_group_rule", "/v2.0/security-group-rules", rule)
    };
    on.run("security group rule create", &all(&rule))?;
    let router = |i: usize| post("router", "/v2.0/routers", json!({ "name": format!("r{i}") }));
    let routers = on.create("router create", "router", &all(&router))?;
    let join = |(router, subnet): (&String, &String)| {
        let path = format!("/v2.0/routers/{router}/add_router_interface");
        user.request("PUT", path, Some(&json!({ "subnet_id": subnet })))
    };
    on.run("router add interface", &routers.iter().zip(&subnets).map(join).collect::<Vec<_>>())?;
    let floating = |_| post("floatingip", "/v2.0/floatingips", json!({ "floating_network_id": external }));
    on.run("floating IP create", &all(&floating))?;
    on.run("port delete", &each("DELETE", None))?;
    Ok(())
}

/// What tokens cost: with a request that shows one for the first time, with one that showed it before, and without any.
fn tokens(server: &Server, user: &mut User, count: usize) -> Result<Table, Failure> {
    let network = user.make("/v2.0/networks", "network", &json!({ "name": "tokens" }))?;
    let path = format!("/v2.0/networks/{}?fields=id", text(&network, "id")?);
    let mut table = Table::new(
        "Tokens",
        "One client. A new token is one that no request has shown yet: the difference of the first two rows is what checking a \
         token costs. The hash of a password (argon2) is meant to be expensive.",
        &["operation", "n", "cpu ms", "p50 ms", "p99 ms"],
    );
    let mut row = |name: &str, requests: &[Request]| -> Result<Measured, Failure> {
        let measured = load::run(server.address, server.pid(), 1, requests)?;
        table.row([
            name.into(),
            requests.len().into(),
            measured.cpu_ms.into(),
            measured.percentile(0.5).into(),
            measured.percentile(0.99).into(),
        ]);
        Ok(measured)
    };
    let show = user.request("GET", path, None);
    let mut own = super::http::Connection::open(server.address)?;
    let mut fresh = Vec::new();
    for _ in 0..count {
        let answer = own.call(&server::token_request(&user.token, "bench"))?;
        fresh.push(Request { token: Some(server::subject_token(&answer)?), ..show.clone() });
    }
    row("network show (one field), token seen before", &vec![show.clone(); count])?;
    row("network show (one field), new token each time", &fresh)?;
    let versions = Request { token: None, path: "/".to_owned(), ..show.clone() };
    row("API versions, no token", &vec![versions; count])?;
    let mut check = user.request("GET", "/identity/v3/auth/tokens", None);
    check.headers = format!("x-subject-token: {}\r\n", user.token);
    row("token validation by the identity API", &vec![check; count])?;
    row("token from token", &vec![server::token_request(&user.token, "bench"); count])?;
    row("token from password", &vec![server::password_request("bench", server::password(), "bench"); 20])?;
    Ok(table)
}

/// Lists of a project that has exactly 1,000 ports.
fn lists(server: &Server, admin: &mut User, count: usize) -> Result<Table, Failure> {
    let mut user = server.member(admin, "lister")?;
    let network = user.make("/v2.0/networks", "network", &json!({ "name": "listed" }))?;
    let network = text(&network, "id")?;
    user.make("/v2.0/subnets", "subnet", &json!({ "network_id": network, "cidr": "10.0.0.0/16", "ip_version": 4 }))?;
    let port = json!({ "network_id": network, "name": "listed" });
    for _ in 0..LISTED / 100 {
        user.ask("POST", "/v2.0/ports", Some(&json!({ "ports": vec![&port; 100] })))?;
    }
    let mut table = Table::new(
        "Lists of 1,000 ports",
        &format!("One client, {count} requests each; columns as above."),
        &["list", "items", "KiB", "cpu ms", "p50 ms", "p99 ms", "Neutron cpu ms", "Neutron / ours"],
    );
    for (name, query, peer) in [
        ("all ports of the project", String::new(), Some(peer::LIST_ALL)),
        ("all ports of the project, fields=id", "?fields=id".to_owned(), Some(peer::LIST_IDS)),
        ("ports of the network", format!("?network_id={network}"), None),
        ("first page, limit=100", "?limit=100".to_owned(), None),
    ] {
        let requests = vec![user.request("GET", format!("/v2.0/ports{query}"), None); count];
        let measured = load::run(server.address, server.pid(), 1, &requests)?;
        let first = measured.answers.first();
        let items = first.and_then(|answer| answer["ports"].as_array()).map(Vec::len);
        let size = first.map(|answer| answer.to_string().len() as f64 / 1024.0);
        table.row([
            Cell::from(name),
            items.into(),
            size.into(),
            measured.cpu_ms.into(),
            measured.percentile(0.5).into(),
            measured.percentile(0.99).into(),
            peer.into(),
            peer.map(|peer| (peer / measured.cpu_ms).round()).into(),
        ]);
    }
    Ok(table)
}

//! What each operation of the API costs the server, by one client and by several at once.

use super::http::Request;
use super::load::{self, Measured, Target};
use super::peer::{self, PeerCost};
use super::server::{self, Server, User, text};
use super::table::{Cell, Table};
use crate::Failure;
use serde_json::{Value, json};

/// Ports of the project whose lists are measured.
const LISTED: usize = 1000;

/// How many of them are on one network.
const ON_ONE_NETWORK: usize = 540;

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

/// A server under measurement, and who asks it.
struct Side {
    target: Target,
    admin: User,
    /// Of one project, which has nothing yet.
    user: User,
    /// Of another, whose lists are measured.
    lister: User,
}

impl Side {
    fn ours(server: &Server) -> Result<Self, Failure> {
        let mut admin = server.admin()?;
        let (user, lister) = (server.member(&mut admin, "bench")?, server.member(&mut admin, "lister")?);
        Ok(Self { target: server.target(), admin, user, lister })
    }

    /// Neutron that takes headers at their word.
    fn theirs(target: &Target) -> Self {
        let trusted = |project, roles| User::trusted(target.address, project, roles);
        Self {
            target: target.clone(),
            admin: trusted("admin", "admin,member,reader"),
            user: trusted("bench", "member,reader"),
            lister: trusted("lister", "member,reader"),
        }
    }
}

/// Runs all operations by 1 client and by 8, lists and tokens; `peer` is a Neutron to ask the same of in the same run.
pub fn run(server: &Server, amount: Amount, peer: Option<(&Target, Amount)>) -> Result<Vec<Table>, Failure> {
    let mut ours = Side::ours(server)?;
    let (ours_operations, tokens, ours_lists) = (
        operations(&mut ours, amount.requests)?,
        tokens(server, &mut ours.user, amount.requests)?,
        lists(&mut ours, amount.lists)?,
    );
    let (their_operations, their_lists) = match peer {
        None => (None, None),
        Some((target, amount)) => {
            let mut theirs = Side::theirs(target);
            (Some(operations(&mut theirs, amount.requests)?), Some(lists(&mut theirs, amount.lists)?))
        }
    };
    let whose = match peer {
        None => "Neutron: processor ms of uwsgi and MariaDB in another run".to_owned(),
        Some((_, amount)) => format!(
            "Neutron: uwsgi and MariaDB, the same client in the same run, {} requests each ({} per list)",
            amount.requests, amount.lists
        ),
    };
    let mut operations = Table::new(
        "API operations",
        &format!(
            "{} requests each over kept-alive connections; cpu: processor ms of the server per request, SQLite included; \
             p50, p99: ms for the client. {whose}.",
            amount.requests
        ),
        &[
            "operation",
            "clients",
            "cpu ms",
            "p50 ms",
            "p99 ms",
            "per s",
            "Neutron cpu ms",
            "Neutron p50 ms",
            "Neutron / ours",
        ],
    );
    for ((name, clients), measured) in &ours_operations {
        let theirs = their_operations.as_ref().and_then(|all| all.iter().find(|(key, _)| key == &(*name, *clients)));
        let cpu = theirs
            .map(|(_, measured)| measured.cpu_ms)
            .or_else(|| peer::operation(name).and_then(|cost: PeerCost| cost.at(*clients)));
        operations.row([
            (*name).into(),
            (*clients).into(),
            measured.cpu_ms.into(),
            measured.percentile(0.5).into(),
            measured.percentile(0.99).into(),
            measured.per_second.into(),
            cpu.into(),
            theirs.map(|(_, measured)| measured.percentile(0.5)).into(),
            cpu.map(|peer| (peer / measured.cpu_ms).round()).into(),
        ]);
    }
    let mut lists = Table::new(
        "Lists of 1,000 ports",
        &format!(
            "A project's 1,000 ports on 231 networks, 540 of them on one. One client, {} requests each; columns as above.",
            amount.lists
        ),
        &["list", "items", "KiB", "cpu ms", "p50 ms", "p99 ms", "Neutron cpu ms", "Neutron / ours"],
    );
    for (name, measured) in &ours_lists {
        let theirs = their_lists.as_ref().and_then(|all| all.iter().find(|(key, _)| key == name));
        let known = peer::list(name).filter(|_| their_lists.is_none());
        let cpu = theirs.map(|(_, measured)| measured.cpu_ms).or(known);
        let first = measured.answers.first();
        lists.row([
            Cell::from(*name),
            first.and_then(|answer| answer["ports"].as_array()).map(Vec::len).into(),
            first.map(|answer| answer.to_string().len() as f64 / 1024.0).into(),
            measured.cpu_ms.into(),
            measured.percentile(0.5).into(),
            measured.percentile(0.99).into(),
            cpu.into(),
            cpu.map(|peer| (peer / measured.cpu_ms).round()).into(),
        ]);
    }
    Ok(vec![operations, lists, tokens])
}

fn external_network(admin: &mut User) -> Result<String, Failure> {
    let network = json!({ "name": "external", "router:external": true });
    let id = text(&admin.make("/v2.0/networks", "network", &network)?, "id")?.to_owned();
    let subnet = json!({ "network_id": id, "cidr": "172.24.0.0/16", "ip_version": 4, "enable_dhcp": false });
    admin.make("/v2.0/subnets", "subnet", &subnet)?;
    Ok(id)
}

/// What each operation cost, by its name and the number of clients.
type Costs = Vec<((&'static str, usize), Measured)>;

fn operations(side: &mut Side, count: usize) -> Result<Costs, Failure> {
    let external = external_network(&mut side.admin)?;
    let mut costs = Costs::new();
    for clients in [1, 8] {
        every_operation(side, &external, clients, count, &mut costs)?;
    }
    Ok(costs)
}

/// The requests of an operation, run and noted.
struct Runner<'a> {
    target: &'a Target,
    clients: usize,
    costs: &'a mut Costs,
}

impl Runner<'_> {
    fn run(&mut self, name: &'static str, requests: &[Request]) -> Result<Vec<Value>, Failure> {
        let mut measured = load::run(self.target, self.clients, requests)?;
        let answers = std::mem::take(&mut measured.answers);
        self.costs.push(((name, self.clients), measured));
        Ok(answers)
    }

    /// Creates objects; their ids.
    fn create(&mut self, name: &'static str, kind: &str, requests: &[Request]) -> Result<Vec<String>, Failure> {
        self.run(name, requests)?.iter().map(|answer| Ok(text(&answer[kind], "id")?.to_owned())).collect()
    }
}

fn every_operation(
    side: &mut Side,
    external: &str,
    clients: usize,
    count: usize,
    costs: &mut Costs,
) -> Result<(), Failure> {
    let (target, user) = (&side.target, &mut side.user);
    let big = text(&user.make("/v2.0/networks", "network", &json!({ "name": "big" }))?, "id")?.to_owned();
    user.make("/v2.0/subnets", "subnet", &json!({ "network_id": big, "cidr": "10.64.0.0/16", "ip_version": 4 }))?;
    let groups = (0..count.div_ceil(RULES))
        .map(|_| {
            let group = user.make("/v2.0/security-groups", "security_group", &json!({ "name": "bench" }))?;
            Ok(text(&group, "id")?.to_owned())
        })
        .collect::<Result<Vec<String>, Failure>>()?;
    let post = |kind: &str, path: &str, body: Value| user.request("POST", path, Some(&json!({ kind: body })));
    let mut on = Runner { target, clients, costs };
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
        let measured = load::run(&server.target(), 1, requests)?;
        table.row([
            name.into(),
            requests.len().into(),
            measured.cpu_ms.into(),
            measured.percentile(0.5).into(),
            measured.percentile(0.99).into(),
        ]);
        Ok(measured)
    };
    let token = user.token.clone().unwrap_or_default();
    let show = user.request("GET", path, None);
    let mut own = super::http::Connection::open(server.address)?;
    let mut fresh = Vec::new();
    for _ in 0..count {
        let answer = own.call(&server::token_request(&token, "bench"))?;
        fresh.push(Request { token: Some(server::subject_token(&answer)?), ..show.clone() });
    }
    row("network show (one field), token seen before", &vec![show.clone(); count])?;
    row("network show (one field), new token each time", &fresh)?;
    let versions = Request { token: None, path: "/".to_owned(), ..show.clone() };
    row("API versions, no token", &vec![versions; count])?;
    let mut check = user.request("GET", "/identity/v3/auth/tokens", None);
    check.headers = format!("x-subject-token: {token}\r\n");
    row("token validation by the identity API", &vec![check; count])?;
    row("token from token", &vec![server::token_request(&token, "bench"); count])?;
    row("token from password", &vec![server::password_request("bench", server::password(), "bench"); 20])?;
    Ok(table)
}

/// Lists of a project that has exactly 1,000 ports: some on one network, the others on many, two each, as a project that has
/// been lived in has them. (Neutron asks of each network whose it is: a list costs it the more, the more networks it touches.)
fn lists(side: &mut Side, count: usize) -> Result<Vec<(&'static str, Measured)>, Failure> {
    let (target, user) = (&side.target, &mut side.lister);
    let mut network_with = |ports: usize| -> Result<String, Failure> {
        let network = user.make("/v2.0/networks", "network", &json!({ "name": "listed" }))?;
        let id = text(&network, "id")?.to_owned();
        user.make("/v2.0/subnets", "subnet", &json!({ "network_id": id, "cidr": "10.0.0.0/16", "ip_version": 4 }))?;
        let port = json!({ "network_id": id, "name": "listed" });
        for at in (0..ports).step_by(20) {
            let some = vec![&port; 20.min(ports - at)];
            user.ask("POST", "/v2.0/ports", Some(&json!({ "ports": some })))?;
        }
        Ok(id)
    };
    for _ in 0..(LISTED - ON_ONE_NETWORK) / 2 {
        network_with(2)?;
    }
    let network = network_with(ON_ONE_NETWORK)?;
    [
        ("all ports of the project", String::new()),
        ("all ports of the project, fields=id", "?fields=id".to_owned()),
        ("ports of the network", format!("?network_id={network}")),
        ("first page, limit=100", "?limit=100".to_owned()),
    ]
    .into_iter()
    .map(|(name, query)| {
        let requests = vec![user.request("GET", format!("/v2.0/ports{query}"), None); count];
        Ok((name, load::run(target, 1, &requests)?))
    })
    .collect()
}

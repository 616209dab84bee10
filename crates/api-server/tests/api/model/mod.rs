//! The API against a plain model of its rules, which knows nothing of databases.
//!
//! * [`alone`]: one request after the other; the model says what each must be answered with.
//! * [`together`]: several clients at once; what they were told must fit together: no address twice, no quota passed, no
//!   reference to nothing, revisions that only grow, and every change once and in order in the change log.
//!
//! Each project has a handful of networks with tiny subnets and small quotas, so that everything runs out quickly.

mod alone;
mod clients;
mod rules;
mod together;

use crate::server::{ADMIN, DEMO, DEMO_PROJECT, OTHER, OTHER_PROJECT, Server};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The two projects, as token and id.
const CLIENTS: [(&str, &str); 2] = [(DEMO, DEMO_PROJECT), (OTHER, OTHER_PROJECT)];
/// Limits of each project.
const LIMITS: [(&str, usize); 4] = [("network", 3), ("subnet", 4), ("port", 7), ("router", 2)];
/// Subnets that a network may get; the last overlaps the first. The first address is the gateway's.
const CIDRS: [&str; 4] = ["10.0.0.0/29", "10.0.1.0/29", "10.0.2.0/29", "10.0.0.0/28"];

/// A request. Numbers choose among the objects that there ever were, so that some of them are gone.
#[derive(Debug, Clone, Copy)]
enum Request {
    CreateNetwork,
    RenameNetwork(usize),
    DeleteNetwork(usize),
    CreateSubnet { network: usize, cidr: usize },
    DeleteSubnet(usize),
    CreatePort { network: usize, address: Option<(u8, u8)> },
    MovePort { port: usize, address: (u8, u8) },
    DeletePort(usize),
    CreateRouter,
    DeleteRouter(usize),
    AddInterface { router: usize, subnet: usize },
    RemoveInterface { router: usize, subnet: usize },
}

fn request() -> impl Strategy<Value = Request> {
    use Request::*;
    let n = || 0usize..256;
    let address = || (0u8..3, 2u8..7);
    prop_oneof![
        2 => Just(CreateNetwork),
        1 => n().prop_map(RenameNetwork),
        1 => n().prop_map(DeleteNetwork),
        4 => (n(), 0..CIDRS.len()).prop_map(|(network, cidr)| CreateSubnet { network, cidr }),
        1 => n().prop_map(DeleteSubnet),
        8 => (n(), proptest::option::of(address())).prop_map(|(network, address)| CreatePort { network, address }),
        2 => (n(), address()).prop_map(|(port, address)| MovePort { port, address }),
        3 => n().prop_map(DeletePort),
        1 => Just(CreateRouter),
        1 => n().prop_map(DeleteRouter),
        3 => (n(), n()).prop_map(|(router, subnet)| AddInterface { router, subnet }),
        2 => (n(), n()).prop_map(|(router, subnet)| RemoveInterface { router, subnet }),
    ]
}

/// `10.0.third.last`.
fn text((third, last): (u8, u8)) -> String {
    format!("10.0.{third}.{last}")
}

async fn server() -> Server {
    let server = Server::new();
    let limits: serde_json::Map<String, Value> =
        LIMITS.iter().map(|(name, limit)| ((*name).to_owned(), json!(limit))).collect();
    for (_, project) in CLIENTS {
        let path = format!("/v2.0/quotas/{project}");
        server.put(ADMIN, &path, json!({"quota": limits})).await.expect(200);
    }
    server
}

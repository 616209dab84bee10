//! A request of the model as HTTP, and what its answer tells.

use super::{CIDRS, Request, text};
use crate::server::{Answer, Server};
use serde_json::{Value, json};

/// The ids that clients know, also of what is gone.
#[derive(Debug, Default, Clone)]
pub struct Known {
    pub networks: Vec<String>,
    pub subnets: Vec<String>,
    pub ports: Vec<String>,
    pub routers: Vec<String>,
}

impl Known {
    /// What the answer to a request that was granted tells.
    pub fn learn(&mut self, request: Request, answer: &Answer) {
        match request {
            Request::CreateNetwork => self.networks.push(string(object(answer), "id")),
            Request::CreateSubnet { .. } => self.subnets.push(string(object(answer), "id")),
            Request::CreatePort { .. } => self.ports.push(string(object(answer), "id")),
            Request::CreateRouter => self.routers.push(string(object(answer), "id")),
            Request::AddInterface { .. } => self.ports.push(string(&answer.body, "port_id")),
            _ => {}
        }
    }
}

/// One of the ids; while there is none, one that nobody has.
fn pick(ids: &[String], index: usize) -> String {
    match ids.len() {
        0 => "00000000-0000-0000-0000-000000000000".to_owned(),
        length => ids[index % length].clone(),
    }
}

/// A request with its ids.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: &'static str,
    pub path: String,
    pub body: Value,
    /// What it is about: network, subnet, port or router, and a subnet.
    pub ids: (String, String),
}

impl Call {
    pub fn new(request: Request, known: &Known) -> Self {
        let call = |method, path: String, body, id: String| Self { method, path, body, ids: (id, String::new()) };
        match request {
            Request::CreateNetwork => {
                call("POST", "/v2.0/networks".into(), json!({"network": {"name": "n"}}), String::new())
            }
            Request::RenameNetwork(index) => {
                let id = pick(&known.networks, index);
                call("PUT", format!("/v2.0/networks/{id}"), json!({"network": {"name": format!("n{index}")}}), id)
            }
            Request::DeleteNetwork(index) => {
                let id = pick(&known.networks, index);
                call("DELETE", format!("/v2.0/networks/{id}"), Value::Null, id)
            }
            Request::CreateSubnet { network, cidr } => {
                let id = pick(&known.networks, network);
                let body = json!({"subnet": {"network_id": id, "ip_version": 4, "cidr": CIDRS[cidr]}});
                call("POST", "/v2.0/subnets".into(), body, id)
            }
            Request::DeleteSubnet(index) => {
                let id = pick(&known.subnets, index);
                call("DELETE", format!("/v2.0/subnets/{id}"), Value::Null, id)
            }
            Request::CreatePort { network, address } => {
                let id = pick(&known.networks, network);
                let mut body = json!({"port": {"network_id": id}});
                if let Some(address) = address {
                    body["port"]["fixed_ips"] = json!([{"ip_address": text(address)}]);
                }
                call("POST", "/v2.0/ports".into(), body, id)
            }
            Request::MovePort { port, address } => {
                let id = pick(&known.ports, port);
                let body = json!({"port": {"fixed_ips": [{"ip_address": text(address)}]}});
                call("PUT", format!("/v2.0/ports/{id}"), body, id)
            }
            Request::DeletePort(index) => {
                let id = pick(&known.ports, index);
                call("DELETE", format!("/v2.0/ports/{id}"), Value::Null, id)
            }
            Request::CreateRouter => {
                call("POST", "/v2.0/routers".into(), json!({"router": {"name": "r"}}), String::new())
            }
            Request::DeleteRouter(index) => {
                let id = pick(&known.routers, index);
                call("DELETE", format!("/v2.0/routers/{id}"), Value::Null, id)
            }
            Request::AddInterface { router, subnet } | Request::RemoveInterface { router, subnet } => {
                let (id, subnet) = (pick(&known.routers, router), pick(&known.subnets, subnet));
                let verb = if matches!(request, Request::AddInterface { .. }) { "add" } else { "remove" };
                let path = format!("/v2.0/routers/{id}/{verb}_router_interface");
                Self { method: "PUT", path, body: json!({"subnet_id": subnet}), ids: (id, subnet) }
            }
        }
    }

    pub async fn send(&self, server: &Server, token: &str) -> Answer {
        let body = if self.body.is_null() { Vec::new() } else { self.body.to_string().into_bytes() };
        server.raw(self.method, &self.path, Some(token), body).await
    }
}

/// The only member of an answer: the object.
pub fn object(answer: &Answer) -> &Value {
    answer.body.as_object().and_then(|members| members.values().next()).unwrap()
}

pub fn string(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_else(|| panic!("no {name} in {object}")).to_owned()
}

/// The addresses of a port.
pub fn addresses(port: &Value) -> Vec<String> {
    port["fixed_ips"].as_array().unwrap().iter().map(|entry| string(entry, "ip_address")).collect()
}

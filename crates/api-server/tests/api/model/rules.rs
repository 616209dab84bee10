//! The rules as a model keeps them: maps, and for each request the refusals that are due.

use super::clients::{Call, addresses, string};
use super::{CIDRS, CLIENTS, LIMITS, Request, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone)]
pub struct Subnet {
    pub project: String,
    pub network: String,
    pub cidr: &'static str,
}

#[derive(Debug, Clone)]
pub struct Port {
    pub project: String,
    pub network: String,
    pub addresses: BTreeSet<String>,
    /// The router that it belongs to.
    pub router: Option<String>,
}

/// Everything that there is.
#[derive(Debug, Default)]
pub struct Model {
    /// Project by id.
    pub networks: BTreeMap<String, String>,
    pub subnets: BTreeMap<String, Subnet>,
    pub ports: BTreeMap<String, Port>,
    /// Project by id.
    pub routers: BTreeMap<String, String>,
    /// The last revision that was seen, by id.
    pub revisions: BTreeMap<String, i64>,
}

/// The addresses that a subnet gives out, without the gateway's.
fn pool(cidr: &str) -> impl Iterator<Item = String> + use<> {
    let third = cidr.split('.').nth(2).unwrap().parse::<u8>().unwrap();
    let most = if cidr.ends_with("/28") { 14 } else { 6 };
    (2..=most).map(move |last| text((third, last)))
}

fn overlap(a: &str, b: &str) -> bool {
    a.split('.').nth(2) == b.split('.').nth(2)
}

fn gateway(cidr: &str) -> String {
    format!("10.0.{}.1", cidr.split('.').nth(2).unwrap())
}

impl Model {
    fn used(&self, network: &str) -> BTreeSet<&String> {
        self.ports.values().filter(|port| port.network == network).flat_map(|port| &port.addresses).collect()
    }

    fn subnets_of(&self, network: &str) -> Vec<&Subnet> {
        self.subnets.values().filter(|subnet| subnet.network == network).collect()
    }

    fn over_quota(&self, kind: &str, project: &str) -> bool {
        let limit = LIMITS.iter().find(|(name, _)| *name == kind).unwrap().1;
        let has = match kind {
            "network" => self.networks.values().filter(|owner| *owner == project).count(),
            "subnet" => self.subnets.values().filter(|subnet| subnet.project == project).count(),
            "port" => self.ports.values().filter(|port| port.project == project).count(),
            _ => self.routers.values().filter(|owner| *owner == project).count(),
        };
        has >= limit
    }

    /// The statuses with which the request may be refused; none: it must succeed. Several reasons may hold at once, and
    /// which of them is told is not the model's business.
    pub fn refusals(&self, request: Request, call: &Call, project: &str) -> BTreeSet<u16> {
        let mut due = BTreeSet::new();
        let (id, subnet) = &call.ids;
        let mut when = |holds: bool, status: u16| {
            if holds {
                due.insert(status);
            }
        };
        let own_network = |id: &str| self.networks.get(id).is_some_and(|owner| owner == project);
        match request {
            Request::CreateNetwork => when(self.over_quota("network", project), 409),
            Request::RenameNetwork(_) => when(!own_network(id), 404),
            Request::DeleteNetwork(_) => {
                when(!own_network(id), 404);
                when(self.ports.values().any(|port| port.network == *id), 409);
            }
            Request::CreateSubnet { cidr, .. } => {
                when(!own_network(id), 404);
                when(self.subnets_of(id).iter().any(|other| overlap(other.cidr, CIDRS[cidr])), 400);
                when(self.over_quota("subnet", project), 409);
            }
            Request::DeleteSubnet(_) => match self.subnets.get(id).filter(|subnet| subnet.project == project) {
                None => when(true, 404),
                Some(subnet) => {
                    let taken = self.used(&subnet.network).into_iter().any(|address| overlap(address, subnet.cidr));
                    when(taken, 409);
                }
            },
            Request::CreatePort { address, .. } => {
                when(!own_network(id), 404);
                when(self.over_quota("port", project), 409);
                match address {
                    Some(address) => self.address_refusals(id, &text(address), &BTreeSet::new(), &mut when),
                    None => {
                        let subnets = self.subnets_of(id);
                        let used = self.used(id);
                        let full = subnets.iter().all(|s| pool(s.cidr).all(|address| used.contains(&address)));
                        when(!subnets.is_empty() && full, 409);
                    }
                }
            }
            Request::MovePort { address, .. } => match self.ports.get(id).filter(|port| port.project == project) {
                None => when(true, 404),
                Some(port) => {
                    // What a router's port may do is not this model's subject, as long as it is not a failure.
                    when(port.router.is_some(), 400);
                    when(port.router.is_some(), 409);
                    self.address_refusals(&port.network, &text(address), &port.addresses, &mut when);
                }
            },
            Request::DeletePort(_) => match self.ports.get(id).filter(|port| port.project == project) {
                None => when(true, 404),
                Some(port) => when(port.router.is_some(), 409),
            },
            Request::CreateRouter => when(self.over_quota("router", project), 409),
            Request::DeleteRouter(_) => {
                when(self.routers.get(id).is_none_or(|owner| owner != project), 404);
                when(self.interfaces(id).next().is_some(), 409);
            }
            Request::AddInterface { .. } => {
                when(self.routers.get(id).is_none_or(|owner| owner != project), 404);
                match self.subnets.get(subnet).filter(|subnet| subnet.project == project) {
                    None => when(true, 404),
                    Some(subnet) => {
                        // The subnet is on the router already, or one that overlaps it.
                        let there = self
                            .interfaces(id)
                            .any(|port| port.addresses.iter().any(|address| overlap(address, subnet.cidr)));
                        when(there, 400);
                        // No quota is asked for the port of an interface, as in Neutron.
                        when(self.used(&subnet.network).contains(&gateway(subnet.cidr)), 409);
                    }
                }
            }
            Request::RemoveInterface { .. } => {
                when(self.routers.get(id).is_none_or(|owner| owner != project), 404);
                let there = self.subnets.get(subnet).is_some_and(|subnet| {
                    self.interfaces(id).any(|port| {
                        port.network == subnet.network && port.addresses.iter().any(|a| overlap(a, subnet.cidr))
                    })
                });
                when(!there, 404);
            }
        }
        due
    }

    fn address_refusals(&self, network: &str, address: &str, own: &BTreeSet<String>, when: &mut impl FnMut(bool, u16)) {
        let in_a_subnet = self.subnets_of(network).iter().any(|subnet| overlap(address, subnet.cidr));
        when(!in_a_subnet, 400);
        when(!own.contains(address) && self.used(network).contains(&address.to_owned()), 409);
    }

    fn interfaces<'a>(&'a self, router: &'a str) -> impl Iterator<Item = &'a Port> {
        self.ports.values().filter(move |port| port.router.as_deref() == Some(router))
    }

    /// What a success has changed; the answer must fit.
    pub fn apply(&mut self, request: Request, call: &Call, project: &str, answer: &Value) {
        let (id, subnet) = &call.ids;
        let object = answer.as_object().and_then(|members| members.values().next());
        if let Some(revision) = object.and_then(|object| object["revision_number"].as_i64()) {
            let object_id = string(object.unwrap(), "id");
            let before = self.revisions.insert(object_id, revision);
            assert!(before.is_none_or(|before| revision >= before), "revision {revision} after {before:?}: {answer}");
        }
        match request {
            Request::CreateNetwork => {
                self.networks.insert(string(object.unwrap(), "id"), project.to_owned());
            }
            Request::DeleteNetwork(_) => {
                self.networks.remove(id);
                self.subnets.retain(|_, subnet| subnet.network != *id);
            }
            Request::CreateSubnet { cidr, .. } => {
                let created = Subnet { project: project.to_owned(), network: id.clone(), cidr: CIDRS[cidr] };
                self.subnets.insert(string(object.unwrap(), "id"), created);
            }
            Request::DeleteSubnet(_) => {
                self.subnets.remove(id);
            }
            Request::CreatePort { address, .. } => {
                let given: BTreeSet<String> = addresses(object.unwrap()).into_iter().collect();
                match address {
                    Some(address) => assert_eq!(given, BTreeSet::from([text(address)])),
                    None => {
                        let (subnets, used) = (self.subnets_of(id), self.used(id));
                        assert_eq!(given.len(), usize::from(!subnets.is_empty()), "{answer}");
                        for address in &given {
                            assert!(!used.contains(address), "{address} was given twice");
                            assert!(subnets.iter().any(|s| pool(s.cidr).any(|free| free == *address)), "{answer}");
                        }
                    }
                }
                let port = Port { project: project.to_owned(), network: id.clone(), addresses: given, router: None };
                self.ports.insert(string(object.unwrap(), "id"), port);
            }
            Request::MovePort { .. } => {
                let given = addresses(object.unwrap()).into_iter().collect();
                self.ports.get_mut(id).unwrap().addresses = given;
            }
            Request::DeletePort(_) => {
                self.ports.remove(id);
            }
            Request::CreateRouter => {
                self.routers.insert(string(object.unwrap(), "id"), project.to_owned());
            }
            Request::DeleteRouter(_) => {
                self.routers.remove(id);
            }
            Request::AddInterface { .. } => {
                let on = &self.subnets[subnet];
                let port = Port {
                    project: project.to_owned(),
                    network: on.network.clone(),
                    addresses: BTreeSet::from([gateway(on.cidr)]),
                    router: Some(id.clone()),
                };
                self.ports.insert(string(answer, "port_id"), port);
            }
            Request::RemoveInterface { .. } => {
                self.ports.remove(&string(answer, "port_id")).expect("an interface that the model knows");
            }
            Request::RenameNetwork(_) => {}
        }
    }
}

#[test]
fn the_model_counts_right() {
    assert_eq!(gateway("10.0.2.0/29"), "10.0.2.1");
    assert_eq!(gateway("10.0.0.0/28"), "10.0.0.1");
    assert_eq!(pool("10.0.1.0/29").collect::<Vec<_>>().last().unwrap(), "10.0.1.6");
    assert!(overlap("10.0.0.0/29", "10.0.0.9") && !overlap("10.0.0.0/29", "10.0.1.0/29"));
    assert_eq!(CLIENTS.len(), 2);
}

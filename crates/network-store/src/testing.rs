//! A small cloud for the tests of this crate: a real store, and units of work by whom one likes.

use crate::floating_ip::{self, FloatingIpCreate};
use crate::network::NetworkCreate;
use crate::nova::NovaEvents;
use crate::port::PortCreate;
use crate::router::{self, GatewayInfo, RouterCreate};
use crate::subnet::SubnetCreate;
use crate::{Caller, NetworkConfig, NetworkError, NetworkOptions, Work, network, port, subnet};
use net_types::{FloatingIpId, IpNet, NetworkId, PortId, SubnetId};
use network_model::router::InterfaceRequest;
use std::net::IpAddr;
use std::sync::Arc;
use store::Store;
use store::testing::TestDatabase;

/// The project that the helpers below work for.
pub const ME: &str = "me";

/// A store of its own.
pub struct Cloud {
    store: Store,
    config: Arc<NetworkConfig>,
    _database: TestDatabase,
}

impl Cloud {
    pub fn new() -> Self {
        Self::telling_nova(NovaEvents::default())
    }

    /// One that writes down what Nova must hear.
    pub fn telling_nova(events: NovaEvents) -> Self {
        let database = TestDatabase::new();
        let store = database.open();
        crate::prepare(&store).unwrap();
        let config = NetworkConfig::new(&NetworkOptions::default()).unwrap();
        let config = Arc::new(NetworkConfig { nova: events, ..config });
        Self { store, config, _database: database }
    }

    /// One unit of work by a project.
    pub fn by<T: Send + 'static>(
        &self,
        project_id: &'static str,
        work: impl Fn(&Work<'_>) -> Result<T, NetworkError> + Send + 'static,
    ) -> Result<T, NetworkError> {
        self.run(Caller { project_id, is_admin: false }, work)
    }

    /// One unit of work by an administrator.
    pub fn by_admin<T: Send + 'static>(
        &self,
        work: impl Fn(&Work<'_>) -> Result<T, NetworkError> + Send + 'static,
    ) -> Result<T, NetworkError> {
        self.run(Caller { project_id: "admin", is_admin: true }, work)
    }

    fn run<T: Send + 'static>(
        &self,
        caller: Caller<'static>,
        work: impl Fn(&Work<'_>) -> Result<T, NetworkError> + Send + 'static,
    ) -> Result<T, NetworkError> {
        let config = Arc::clone(&self.config);
        self.store.write_blocking(move |tx| work(&Work::new(tx, &config, caller)))
    }

    /// A network of [`ME`]; external ones are an administrator's.
    pub fn network(&self, external: bool) -> NetworkId {
        let request = NetworkCreate {
            project_id: if external { "admin" } else { ME }.to_owned(),
            external,
            ..NetworkCreate::of_service()
        };
        self.by_admin(move |work| network::create(work, request.clone())).unwrap()
    }

    /// A subnet with the gateway that its prefix gives.
    pub fn subnet(&self, network_id: NetworkId, cidr: &str) -> SubnetId {
        let request = subnet_request(network_id, cidr.parse().unwrap());
        self.by_admin(move |work| subnet::create(work, request.clone())).unwrap()
    }

    /// A port of [`ME`] with whatever addresses it gets.
    pub fn port(&self, network_id: NetworkId) -> PortId {
        self.by(ME, move |work| port::create(work, PortCreate::of_service(network_id, ME, "", ""))).unwrap()
    }

    /// A port behind a router, and a floating IP of the router's external network that leads nowhere yet.
    pub fn routed_port_and_floating_ip(&self) -> (PortId, FloatingIpId) {
        let (inside, outside) = (self.network(false), self.network(true));
        let subnet = self.subnet(inside, "10.0.0.0/24");
        self.subnet(outside, "192.0.2.0/24");
        let port = self.port(inside);
        let floating_ip = self
            .by(ME, move |work| {
                let id = router::create(work, router_request(Some(outside)))?;
                router::add_interface(work, id, InterfaceRequest::Subnet(subnet))?;
                floating_ip::create(work, &floating_ip_request(outside))
            })
            .unwrap();
        (port, floating_ip)
    }

    /// The addresses of a port.
    pub fn addresses(&self, port: PortId) -> Vec<IpAddr> {
        let ips = self.by_admin(move |work| Ok(port::addresses::of_port(work.tx, port)?)).unwrap();
        ips.into_iter().map(|ip| ip.ip_address).collect()
    }

    /// One text that a query finds; empty when there is none or NULL.
    pub fn text(&self, sql: &'static str, id: uuid::Uuid) -> String {
        let found = self.by_admin(move |work| {
            Ok(work.tx.query_opt(sql, store::params![id], |row| row.get::<Option<String>>(0))?)
        });
        found.unwrap().flatten().unwrap_or_default()
    }

    /// How many rows a query counts.
    pub fn count(&self, sql: &'static str) -> u64 {
        self.by_admin(move |work| Ok(work.tx.count(sql, &[])?)).unwrap()
    }

    /// Whether a query finds anything.
    pub fn finds(&self, sql: &'static str) -> bool {
        self.by_admin(move |work| Ok(work.tx.exists(sql, &[])?)).unwrap()
    }
}

/// A subnet of [`ME`] of which only the prefix is said.
pub fn subnet_request(network_id: NetworkId, cidr: IpNet) -> SubnetCreate {
    SubnetCreate { project_id: ME.to_owned(), ..SubnetCreate::of_service(network_id, cidr) }
}

/// A router of [`ME`], perhaps with a gateway.
pub fn router_request(gateway: Option<NetworkId>) -> RouterCreate {
    RouterCreate {
        project_id: ME.to_owned(),
        name: String::new(),
        description: String::new(),
        admin_state_up: true,
        external_gateway_info: gateway.map(gateway_info),
        availability_zone_hints: Vec::new(),
        distributed: None,
        ha: None,
        flavor_id: None,
        enable_ndp_proxy: None,
        enable_default_route_ecmp: None,
    }
}

/// A gateway on a network, of which nothing else is said.
pub fn gateway_info(network_id: NetworkId) -> GatewayInfo {
    GatewayInfo { network_id, external_fixed_ips: Vec::new(), enable_snat: None, qos_policy_id: None }
}

/// A floating IP of [`ME`] of which only the network is said.
pub fn floating_ip_request(floating_network_id: NetworkId) -> FloatingIpCreate {
    FloatingIpCreate {
        project_id: ME.to_owned(),
        description: String::new(),
        floating_network_id,
        floating_ip_address: None,
        subnet_id: None,
        port_id: None,
        fixed_ip_address: None,
        qos_policy_id: None,
        router_id: None,
    }
}

/// The refusal's name in Neutron.
pub fn refusal<T: std::fmt::Debug>(outcome: Result<T, NetworkError>) -> &'static str {
    match outcome {
        Err(NetworkError::Refused(error)) => error.type_name(),
        Err(NetworkError::Named { kind, .. }) => kind,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

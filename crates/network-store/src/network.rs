//! What requests on networks do.

use crate::qos::attach;
use crate::segment::{self, Used};
use crate::{NetworkConfig, NetworkError, Work, agent, floating_ip, ha_network, port, rbac, security_group, subnet};
use net_types::{NetworkId, PortId, SubnetId};
use network_model::in_use::{self, PortUse};
use network_model::segment::{ProviderAttributes, Segment};
use network_model::{ModelError, pvlan, subnet::check_mtu};
use serde::Deserialize;
use store::{Operation, Snapshot, StoreError, params};
use uuid::Uuid;

use crate::request::nullable;

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct NetworkCreate {
    pub project_id: String,
    pub name: String,
    pub description: String,
    pub admin_state_up: bool,
    pub mtu: u32,
    pub shared: bool,
    #[serde(rename = "router:external")]
    pub external: bool,
    pub is_default: bool,
    pub port_security_enabled: bool,
    pub dns_domain: String,
    pub pvlan: bool,
    pub availability_zone_hints: Vec<String>,
    /// It shall be the HA network of the caller's project.
    #[serde(default)]
    pub ha: bool,
    #[serde(rename = "provider:network_type")]
    pub network_type: Option<String>,
    #[serde(rename = "provider:physical_network")]
    pub physical_network: Option<String>,
    #[serde(rename = "provider:segmentation_id")]
    pub segmentation_id: Option<i64>,
    pub qos_policy_id: Option<Uuid>,
    pub segments: Option<Vec<ProviderSegment>>,
}

/// One of several segments of a new network.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The members of the declaration.
pub struct ProviderSegment {
    #[serde(rename = "provider:network_type")]
    pub network_type: Option<String>,
    #[serde(rename = "provider:physical_network")]
    pub physical_network: Option<String>,
    #[serde(rename = "provider:segmentation_id")]
    pub segmentation_id: Option<i64>,
}

impl NetworkCreate {
    /// A network that belongs to nobody: everything else is filled in by the caller with `..`.
    pub fn of_service() -> Self {
        Self {
            project_id: String::new(),
            name: String::new(),
            description: String::new(),
            admin_state_up: true,
            mtu: 0,
            shared: false,
            external: false,
            is_default: false,
            port_security_enabled: true,
            dns_domain: String::new(),
            pvlan: false,
            availability_zone_hints: Vec::new(),
            ha: false,
            network_type: None,
            physical_network: None,
            segmentation_id: None,
            qos_policy_id: None,
            segments: None,
        }
    }
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct NetworkUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
    pub admin_state_up: Option<bool>,
    pub mtu: Option<u32>,
    pub shared: Option<bool>,
    #[serde(rename = "router:external")]
    pub external: Option<bool>,
    pub is_default: Option<bool>,
    pub port_security_enabled: Option<bool>,
    pub dns_domain: Option<String>,
    pub pvlan: Option<bool>,
    #[serde(rename = "provider:network_type")]
    pub network_type: Option<String>,
    #[serde(rename = "provider:physical_network", deserialize_with = "nullable")]
    pub physical_network: Option<Option<String>>,
    #[serde(rename = "provider:segmentation_id", deserialize_with = "nullable")]
    pub segmentation_id: Option<Option<i64>>,
    #[serde(deserialize_with = "nullable")]
    pub qos_policy_id: Option<Option<Uuid>>,
}

/// What other rules ask of a network.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // Its columns.
pub struct Network {
    pub id: NetworkId,
    pub project_id: String,
    pub name: String,
    pub mtu: u32,
    pub external: bool,
    pub port_security_enabled: bool,
    /// An administrator has taken it off a DHCP agent: only hands schedule it.
    pub dhcp_hold: bool,
    pub pvlan: bool,
    pub qos_policy_id: Option<Uuid>,
}

/// The network, or that it is not there.
pub fn get(snapshot: &Snapshot<'_>, id: NetworkId) -> Result<Network, NetworkError> {
    let found = snapshot.query_opt(
        "SELECT project_id, name, mtu, external, port_security_enabled, dhcp_hold, pvlan, qos_policy_id
         FROM networks WHERE id = ?1",
        params![id.0],
        |row| {
            Ok(Network {
                id,
                project_id: row.get(0)?,
                name: row.get(1)?,
                mtu: row.get(2)?,
                external: row.get(3)?,
                port_security_enabled: row.get(4)?,
                dhcp_hold: row.get(5)?,
                pvlan: row.get(6)?,
                qos_policy_id: row.parse_opt(7)?,
            })
        },
    )?;
    found.ok_or_else(|| ModelError::NetworkNotFound { net_id: id }.into())
}

/// Has the network's DHCP servers scheduled again: it has got something new to serve.
pub(crate) fn end_dhcp_hold(work: &Work<'_>, network: &Network) -> Result<(), NetworkError> {
    work.set("networks", network.id.0, "dhcp_hold", network.dhcp_hold.then_some(false))
}

/// The network, or that it is not there for this caller: an administrator, its owner, and whoever may use it in some way know
/// of it.
pub(crate) fn get_visible(work: &Work<'_>, id: NetworkId) -> Result<Network, NetworkError> {
    let network = get(work.tx, id)?;
    let gateways = || rbac::is_shared_with(work.tx, id.0, rbac::EXTERNAL, work.caller.project_id);
    if rbac::may_use(work, id.0, &network.project_id)? || gateways()? {
        return Ok(network);
    }
    Err(ModelError::NetworkNotFound { net_id: id }.into())
}

/// A number that is out of every range is refused by the range check of the network's type, in that type's words.
pub(crate) fn segmentation_id(given: i64) -> u32 {
    u32::try_from(given).unwrap_or(u32::MAX)
}

/// Chooses what shall carry a new network: one segment, or the several that the request describes.
fn new_segments(work: &Work<'_>, request: &NetworkCreate) -> Result<Vec<Segment>, NetworkError> {
    let one = ProviderAttributes {
        network_type: request.network_type.clone(),
        physical_network: request.physical_network.clone(),
        segmentation_id: request.segmentation_id.map(segmentation_id),
    };
    let mut used = Used::new(work.tx);
    let Some(several) = request.segments.as_ref().filter(|several| !several.is_empty()) else {
        return Ok(vec![segment::choose(work, &one, request.external, &request.project_id, &mut used)?]);
    };
    if one.any() {
        return Err(ModelError::SegmentsSetInConjunctionWithProviders.into());
    }
    let asked: Vec<ProviderAttributes> = several
        .iter()
        .map(|segment| ProviderAttributes {
            network_type: segment.network_type.clone(),
            physical_network: segment.physical_network.clone(),
            segmentation_id: segment.segmentation_id.map(segmentation_id),
        })
        .collect();
    check_different(work.config, &asked)?;
    for one in &asked {
        let chosen = segment::choose(work, one, request.external, &request.project_id, &mut used)?;
        used.chosen.push(chosen);
    }
    Ok(used.chosen)
}

/// Of several segments those that leave nothing open must differ.
fn check_different(config: &NetworkConfig, asked: &[ProviderAttributes]) -> Result<(), NetworkError> {
    let mut seen: Vec<Segment> = Vec::with_capacity(asked.len());
    for one in asked {
        let segment = config.segments.validate(one)?;
        if seen.contains(&segment) && !segment.is_partial() {
            return Err(ModelError::SegmentsContainDuplicateEntry.into());
        }
        seen.push(segment);
    }
    Ok(())
}

/// The smallest MTU that all of the segments have, unless a smaller one is asked for.
fn mtu_of(work: &Work<'_>, segments: &[Segment], asked: u32) -> Result<u32, NetworkError> {
    let config = work.config.segments.mtu();
    let mtus = segments.iter().map(|segment| config.of_network(segment, asked));
    Ok(mtus.collect::<Result<Vec<_>, _>>()?.into_iter().min().unwrap_or(asked))
}

/// Makes a network and takes its segments.
pub fn create(work: &Work<'_>, request: NetworkCreate) -> Result<NetworkId, NetworkError> {
    let id = NetworkId(work.new_id());
    // Only an external network can be the default one; of others it is not kept.
    let is_default = request.is_default && request.external;
    if is_default {
        check_only_default(work, id)?;
    }
    if request.pvlan && !request.port_security_enabled {
        return Err(ModelError::PVLANNetworkPortSecurityDisabled { network_id: id }.into());
    }
    for zone in &request.availability_zone_hints {
        agent::check_zone(work.tx, agent::DHCP_AGENT, zone)?;
    }
    let segments = new_segments(work, &request)?;
    let mtu = mtu_of(work, &segments, request.mtu)?;
    work.tx.execute(
        "INSERT INTO networks (id, project_id, name, description, admin_state_up, status, mtu, external, is_default,
             port_security_enabled, vlan_transparent, availability_zone_hints, dns_domain, pvlan, revision_number,
             created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 'ACTIVE', ?6, ?7, ?8, ?9, NULL, ?10, ?11, ?12, 1, ?13, ?13)",
        params![
            id.0,
            &request.project_id,
            &request.name,
            &request.description,
            request.admin_state_up,
            mtu,
            request.external,
            is_default,
            request.port_security_enabled,
            serde_json::json!(request.availability_zone_hints).to_string(),
            &request.dns_domain,
            request.pvlan,
            work.now
        ],
    )?;
    for (position, segment) in (0..).zip(&segments) {
        segment::insert(work, id, position, segment)?;
    }
    if segments.len() > 1 {
        segment::note_count(work, id)?;
    }
    for (_, action) in
        [(request.shared, rbac::SHARED), (request.external, rbac::EXTERNAL)].iter().filter(|(yes, _)| *yes)
    {
        rbac::allow_everybody(work, rbac::kind("network")?, id.0, action)?;
    }
    if !request.project_id.is_empty() {
        if let Some(policy) = attach::of_new_network(work, &request.project_id, request.qos_policy_id)? {
            work.set("networks", id.0, "qos_policy_id", Some(policy))?;
        }
        security_group::ensure_default(work, &request.project_id)?;
    }
    if request.ha {
        ha_network::claim(work, work.caller.project_id, id)?;
    }
    work.log("network", id, Operation::Create, None)?;
    Ok(id)
}

fn check_only_default(work: &Work<'_>, id: NetworkId) -> Result<(), NetworkError> {
    let other: Option<String> =
        work.tx
            .query_opt("SELECT id FROM networks WHERE is_default = 1 AND id <> ?1", params![id.0], |row| row.get(0))?;
    match other {
        Some(other) => Err(NetworkError::named(
            "DefaultExternalNetworkExists",
            409,
            format!("A default external network already exists: {other}."),
        )),
        None => Ok(()),
    }
}

/// Changes a network.
pub fn update(work: &Work<'_>, id: NetworkId, request: NetworkUpdate) -> Result<(), NetworkError> {
    let network = get(work.tx, id)?;
    let provider =
        request.network_type.is_some() || request.physical_network.is_some() || request.segmentation_id.is_some();
    if provider {
        change_segment(work, id, &request)?;
    }
    let mtu = match request.mtu {
        Some(asked) => {
            let mtu = mtu_of(work, &segment::of_network(work.tx, id)?, asked)?;
            let versions =
                work.tx
                    .query("SELECT ip_version FROM subnets WHERE network_id = ?1", params![id.0], |row| row.get(0))?;
            check_mtu(id, mtu, versions)?;
            Some(mtu)
        }
        None => None,
    };
    if let Some(shared) = request.shared {
        set_shared(work, &network, shared)?;
    }
    if let Some(external) = request.external.filter(|external| *external != network.external) {
        make_external(work, id, external)?;
    }
    let external = request.external.unwrap_or(network.external);
    let is_default = if external { request.is_default } else { Some(false) };
    if is_default == Some(true) {
        check_only_default(work, id)?;
    }
    if let Some(pvlan) = request.pvlan {
        set_pvlan(work, &network, request.port_security_enabled, pvlan)?;
    }
    work.set("networks", id.0, "name", request.name)?;
    work.set("networks", id.0, "description", request.description)?;
    work.set("networks", id.0, "admin_state_up", request.admin_state_up)?;
    work.set("networks", id.0, "mtu", mtu)?;
    work.set("networks", id.0, "is_default", is_default)?;
    work.set("networks", id.0, "port_security_enabled", request.port_security_enabled)?;
    work.set("networks", id.0, "dns_domain", request.dns_domain)?;
    if let Some(policy) = request.qos_policy_id {
        attach::change_network(work, id, policy)?;
    }
    work.touch("networks", id.0)?;
    work.log("network", id, Operation::Update, None)
}

/// Makes a network a private VLAN, all of whose ports are promiscuous until told otherwise, or an ordinary one again.
fn set_pvlan(work: &Work<'_>, network: &Network, security: Option<bool>, pvlan: bool) -> Result<(), NetworkError> {
    if pvlan && !security.unwrap_or(network.port_security_enabled) {
        return Err(ModelError::PVLANNetworkPortSecurityDisabled { network_id: network.id }.into());
    }
    if pvlan != network.pvlan {
        let kind = pvlan.then_some(pvlan::PROMISCUOUS);
        work.tx.execute(
            "UPDATE ports SET pvlan_type = ?2, pvlan_community = NULL WHERE network_id = ?1",
            params![network.id.0, kind],
        )?;
        work.set("networks", network.id.0, "pvlan", Some(pvlan))?;
    }
    Ok(())
}

/// Shares the network with everybody, or no longer: those who are on it and may not by other entries prevent that.
fn set_shared(work: &Work<'_>, network: &Network, shared: bool) -> Result<(), NetworkError> {
    let id = network.id;
    match (rbac::has_entry(work.tx, id.0, rbac::SHARED, rbac::EVERYBODY)?, shared) {
        (false, true) => rbac::allow_everybody(work, rbac::kind("network")?, id.0, rbac::SHARED),
        (true, false) => {
            let users: Vec<String> = work.tx.query(
                "SELECT DISTINCT project_id FROM ports WHERE network_id = ?1 AND device_owner NOT LIKE 'network:%' AND project_id <> ''
                 UNION SELECT project_id FROM subnets WHERE network_id = ?1",
                params![id.0],
                |row| row.get(0),
            )?;
            let mut allowed = rbac::targets(work.tx, id.0, rbac::SHARED)?;
            allowed.push(network.project_id.clone());
            in_use::check_unshare(&network.name, &allowed, &users)?;
            rbac::forbid_everybody(work, id.0, rbac::SHARED)
        }
        _ => Ok(()),
    }
}

/// Opens the network for everybody's gateways, or closes it for anybody's.
fn make_external(work: &Work<'_>, id: NetworkId, external: bool) -> Result<(), NetworkError> {
    if external {
        rbac::allow_everybody(work, rbac::kind("network")?, id.0, rbac::EXTERNAL)?;
    } else if has_gateways(work, id)? {
        return Err(NetworkError::named(
            "ExternalNetworkInUse",
            409,
            format!(
                "External network {id} cannot be updated to be made non-external, since it has existing gateway ports."
            ),
        ));
    } else {
        work.tx.execute(
            "DELETE FROM rbac_policies WHERE object_id = ?1 AND action = 'access_as_external'",
            params![id.0],
        )?;
    }
    work.set("networks", id.0, "external", Some(external))
}

/// After its entries have changed: without any for gateways the network is not external, unless gateways are on it.
pub(crate) fn set_external(work: &Work<'_>, id: NetworkId, external: bool) -> Result<(), NetworkError> {
    if external || !has_gateways(work, id)? {
        work.set("networks", id.0, "external", Some(external))?;
    }
    Ok(())
}

fn has_gateways(work: &Work<'_>, id: NetworkId) -> Result<bool, StoreError> {
    work.tx.exists(
        "SELECT 1 FROM ports WHERE network_id = ?1 AND device_owner IN ('network:router_gateway', 'network:floatingip')",
        params![id.0],
    )
}

fn change_segment(work: &Work<'_>, id: NetworkId, request: &NetworkUpdate) -> Result<(), NetworkError> {
    let segments = segment::of_network(work.tx, id)?;
    let [current] = segments.as_slice() else {
        let error_message = "Provider network attributes can be updated only of networks with one segment".to_owned();
        return Err(ModelError::InvalidInput { error_message }.into());
    };
    // Saying again what is so changes nothing.
    let same_type = request.network_type.as_deref().is_none_or(|kind| kind == current.network_type.as_str());
    let same_physnet = request.physical_network.as_ref().is_none_or(|name| *name == current.physical_network);
    let asked = request.segmentation_id.map_or(current.segmentation_id, |id| id.map(segmentation_id));
    if same_type && same_physnet && asked == current.segmentation_id {
        return Ok(());
    }
    let asked = Some(asked).filter(|_| same_type && same_physnet).flatten();
    let changed: Segment = work.config.segments.change_vlan_id(current, asked, &mut Used::new(work.tx))?;
    work.tx.execute(
        "UPDATE network_segments SET segmentation_id = ?2 WHERE network_id = ?1",
        params![id.0, changed.segmentation_id],
    )?;
    Ok(())
}

/// Removes a network with its subnets and the ports that go with it.
pub fn delete(work: &Work<'_>, id: NetworkId) -> Result<(), NetworkError> {
    get(work.tx, id)?;
    floating_ip::delete_unused(work, id)?;
    let ports = ports(work.tx, id)?;
    in_use::check_network_deletion(id, &ports)?;
    for port in ports {
        port::remove(work, port.id)?;
    }
    let subnets: Vec<SubnetId> =
        work.tx.query("SELECT id FROM subnets WHERE network_id = ?1", params![id.0], |row| row.parse(0))?;
    for subnet in subnets {
        subnet::remove(work, subnet)?;
    }
    rbac::forget(work, id.0)?;
    work.tx.execute("DELETE FROM tags WHERE object_id = ?1", params![id.0])?;
    work.tx.execute("DELETE FROM networks WHERE id = ?1", params![id.0])?;
    work.log("network", id, Operation::Delete, None)
}

fn ports(snapshot: &Snapshot<'_>, id: NetworkId) -> Result<Vec<PortUse>, StoreError> {
    snapshot.query("SELECT id, device_owner FROM ports WHERE network_id = ?1 ORDER BY id", params![id.0], |row| {
        Ok(PortUse { id: row.parse::<PortId>(0)?, device_owner: row.get(1)? })
    })
}

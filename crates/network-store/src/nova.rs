//! What Nova has to be told: events written in the transaction of the change that they tell of, and the queue from which
//! one server sends them.
//!
//! An event is an entry of the change log too: its revision is its place in the order, and the sender is woken as everybody
//! else who follows the log. Events leave the queue when Nova has answered, not before: none is lost, one may come twice.

use crate::{NetworkError, Work};
use jiff::Timestamp;
use net_types::PortId;
use network_model::nova_event;
use store::{Operation, Snapshot, Tx, params};
use uuid::Uuid;

/// The name of events in the change log.
pub const RESOURCE: &str = "nova_event";

/// What Nova wants to hear; nothing unless the operator says so. Neutron's options of these names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NovaEvents {
    /// `notify_nova_on_port_status_changes`.
    pub status: bool,
    /// `notify_nova_on_port_data_changes`.
    pub data: bool,
}

/// An event in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NovaEvent {
    /// Its place.
    pub revision: u64,
    /// The instance.
    pub server_id: String,
    /// What happened.
    pub name: String,
    /// How it ended, where that is told.
    pub status: Option<String>,
    /// The port.
    pub port_id: String,
}

/// A port as it was before a change that Nova may have to hear of.
pub(crate) struct Before {
    id: PortId,
    status: String,
}

/// A port as Nova sees it.
struct Seen {
    status: String,
    device_id: String,
    device_owner: String,
}

fn seen(work: &Work<'_>, id: Uuid) -> Result<Option<Seen>, NetworkError> {
    let sql = "SELECT status, device_id, device_owner FROM ports WHERE id = ?1";
    Ok(work.tx.query_opt(sql, params![id], |row| {
        Ok(Seen { status: row.get(0)?, device_id: row.get(1)?, device_owner: row.get(2)? })
    })?)
}

/// Looks at a port before it is changed; nothing when Nova is not told of it anyhow.
pub(crate) fn before(work: &Work<'_>, id: PortId) -> Result<Option<Before>, NetworkError> {
    if !work.config.nova.status && !work.config.nova.data {
        return Ok(None);
    }
    Ok(seen(work, id.0)?.map(|port| Before { id, status: port.status }))
}

/// A port's status may have changed.
pub(crate) fn after_status(work: &Work<'_>, before: Option<&Before>) -> Result<(), NetworkError> {
    let Some(before) = before.filter(|_| work.config.nova.status) else { return Ok(()) };
    let Some(port) = seen(work, before.id.0)? else { return Ok(()) };
    match nova_event::of_status(&before.status, &port.status) {
        Some((name, status)) => add(work, before.id, &port, name, Some(status)),
        None => Ok(()),
    }
}

/// A port was changed: its status perhaps, and its data, of which Nova is told whatever they are.
pub(crate) fn after_update(work: &Work<'_>, before: Option<&Before>) -> Result<(), NetworkError> {
    after_status(work, before)?;
    match before {
        Some(before) => changed(work, before.id),
        None => Ok(()),
    }
}

/// The addresses of a port, floating ones included, may have changed.
pub(crate) fn changed(work: &Work<'_>, id: PortId) -> Result<(), NetworkError> {
    of_data(work, id, nova_event::CHANGED)
}

/// A client removes a port; called before its row goes.
pub(crate) fn deleting(work: &Work<'_>, id: PortId) -> Result<(), NetworkError> {
    of_data(work, id, nova_event::DELETED)
}

/// The device of a port is there on the host that the port is about to move to, before the port is bound to it: the
/// hypervisor may begin to move the instance.
pub(crate) fn plugged_ahead(work: &Work<'_>, id: PortId) -> Result<(), NetworkError> {
    if !work.config.nova.status {
        return Ok(());
    }
    match seen(work, id.0)? {
        Some(port) => add(work, id, &port, nova_event::PLUGGED, Some("completed")),
        None => Ok(()),
    }
}

fn of_data(work: &Work<'_>, id: PortId, name: &str) -> Result<(), NetworkError> {
    if !work.config.nova.data {
        return Ok(());
    }
    match seen(work, id.0)? {
        Some(port) => add(work, id, &port, name, None),
        None => Ok(()),
    }
}

fn add(work: &Work<'_>, id: PortId, port: &Seen, name: &str, status: Option<&str>) -> Result<(), NetworkError> {
    if !nova_event::is_of_instance(&port.device_id, &port.device_owner) {
        return Ok(());
    }
    let revision = work.tx.log_change(RESOURCE, &id.to_string(), Operation::Create, None)?;
    work.tx.execute(
        "INSERT INTO nova_events (revision, server_id, name, status, port_id) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![revision, &port.device_id, name, status, id.0],
    )?;
    Ok(())
}

/// The oldest events, at most `limit`.
pub fn pending(snapshot: &Snapshot<'_>, limit: usize) -> Result<Vec<NovaEvent>, NetworkError> {
    let sql = "SELECT revision, server_id, name, status, port_id FROM nova_events ORDER BY revision LIMIT ?1";
    Ok(snapshot.query(sql, params![limit], |row| {
        Ok(NovaEvent {
            revision: row.get(0)?,
            server_id: row.get(1)?,
            name: row.get(2)?,
            status: row.get(3)?,
            port_id: row.get(4)?,
        })
    })?)
}

/// Takes out of the queue what Nova has answered.
pub fn settle(tx: &Tx<'_>, events: &[NovaEvent]) -> Result<(), NetworkError> {
    for event in events {
        tx.execute("DELETE FROM nova_events WHERE revision = ?1", params![event.revision])?;
    }
    Ok(())
}

/// Makes `holder` the one that sends, until `until`, unless another one is. The instant until which the other one is.
pub fn claim(tx: &Tx<'_>, holder: &str, now: Timestamp, until: Timestamp) -> Result<Option<Timestamp>, NetworkError> {
    let taken = tx.execute(
        "UPDATE nova_sender SET holder = ?1, held_until = ?2 WHERE only_row = 1 AND (holder = ?1 OR held_until <= ?3)",
        params![holder, until, now],
    )?;
    if taken > 0 {
        return Ok(None);
    }
    Ok(tx.query_opt("SELECT held_until FROM nova_sender WHERE only_row = 1", &[], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floating_ip::{self, FloatingIpUpdate};
    use crate::port::{self, PortUpdate};
    use crate::testing::Cloud;

    const SERVER: &str = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";
    const ALL: NovaEvents = NovaEvents { status: true, data: true };

    /// An instance's port; what was written because it became one is forgotten.
    fn instance(cloud: &Cloud) -> PortId {
        let network = cloud.network(false);
        let id = cloud.port(network);
        attach(cloud, id);
        id
    }

    fn attach(cloud: &Cloud, id: PortId) {
        cloud
            .by_admin(move |work| {
                let device = PortUpdate {
                    device_id: Some(SERVER.into()),
                    device_owner: Some("compute:nova".into()),
                    ..PortUpdate::default()
                };
                port::update(work, id, device)?;
                settle(work.tx, &pending(work.tx, 10)?)
            })
            .unwrap();
    }

    fn told(cloud: &Cloud) -> Vec<(String, Option<String>)> {
        let events = cloud.by_admin(|work| pending(work.tx, 100)).unwrap();
        assert!(events.is_sorted_by_key(|event| event.revision));
        assert!(events.iter().all(|event| event.server_id == SERVER));
        events.into_iter().map(|event| (event.name, event.status)).collect()
    }

    fn event(name: &str, status: Option<&str>) -> (String, Option<String>) {
        (name.to_owned(), status.map(str::to_owned))
    }

    #[test]
    fn statuses_changes_and_the_end_of_a_port_are_told_in_order() {
        let cloud = Cloud::telling_nova(ALL);
        let id = instance(&cloud);
        cloud.by_admin(move |work| port::set_status(work, id, "ACTIVE")).unwrap();
        cloud.by_admin(move |work| port::set_status(work, id, "ACTIVE")).unwrap();
        let named = move |work: &Work<'_>| {
            port::update(work, id, PortUpdate { name: Some("x".into()), ..PortUpdate::default() })
        };
        cloud.by_admin(named).unwrap();
        cloud.by_admin(move |work| port::set_status(work, id, "DOWN")).unwrap();
        cloud.by_admin(move |work| port::delete(work, id)).unwrap();
        let expected = [
            event("network-vif-plugged", Some("completed")),
            event("network-changed", None),
            event("network-vif-unplugged", Some("completed")),
            event("network-vif-deleted", None),
        ];
        assert_eq!(told(&cloud), expected);
    }

    #[test]
    fn a_port_that_moves_to_another_host_is_unplugged() {
        let cloud = Cloud::telling_nova(ALL);
        let id = instance(&cloud);
        cloud.by_admin(move |work| port::set_status(work, id, "ACTIVE")).unwrap();
        let moved = move |work: &Work<'_>| {
            port::update(work, id, PortUpdate { binding_host: Some(Some("elsewhere".into())), ..PortUpdate::default() })
        };
        cloud.by_admin(moved).unwrap();
        let expected = [
            event("network-vif-plugged", Some("completed")),
            event("network-vif-unplugged", Some("completed")),
            event("network-changed", None),
        ];
        assert_eq!(told(&cloud), expected);
    }

    /// A second binding of a port, on another host.
    fn bind_elsewhere(work: &Work<'_>, id: PortId, binding: Uuid) -> Result<(), NetworkError> {
        work.tx.execute(
            "INSERT INTO port_bindings (id, port_id, host, vnic_type, profile, vif_type, vif_details)
             VALUES (?1, ?2, 'elsewhere', 'normal', '{}', 'ovs', '{}')",
            params![binding, id.0],
        )?;
        Ok(())
    }

    #[test]
    fn a_port_whose_other_binding_is_activated_is_unplugged() {
        let cloud = Cloud::telling_nova(ALL);
        let id = instance(&cloud);
        let binding = Uuid::from_u128(7);
        cloud
            .by_admin(move |work| {
                port::set_status(work, id, "ACTIVE")?;
                bind_elsewhere(work, id, binding)?;
                port::bindings::activate(work, binding)
            })
            .unwrap();
        let expected =
            [event("network-vif-plugged", Some("completed")), event("network-vif-unplugged", Some("completed"))];
        assert_eq!(told(&cloud), expected);
    }

    #[test]
    fn a_device_that_is_there_before_its_port_is_told_each_time_it_comes() {
        let cloud = Cloud::telling_nova(ALL);
        let id = instance(&cloud);
        let binding = Uuid::from_u128(7);
        let wired = move |is: bool| {
            move |work: &Work<'_>| {
                port::bindings::set_wired(work, id, "elsewhere", is)?;
                port::bindings::set_wired(work, id, "nowhere", is)
            }
        };
        cloud
            .by_admin(move |work| {
                port::set_status(work, id, "ACTIVE")?;
                bind_elsewhere(work, id, binding)?;
                settle(work.tx, &pending(work.tx, 10)?)
            })
            .unwrap();
        let plugged = event("network-vif-plugged", Some("completed"));
        for (is, times) in [(true, 1), (true, 1), (false, 1), (true, 2)] {
            cloud.by_admin(wired(is)).unwrap();
            assert_eq!(told(&cloud), vec![plugged.clone(); times]);
        }
        // The port itself stays as it is on the host that has it.
        let shown = |work: &Work<'_>| -> Result<String, NetworkError> {
            Ok(work
                .tx
                .query_opt("SELECT status FROM ports WHERE device_id = ?1", params![SERVER], |row| row.get(0))?
                .unwrap_or_default())
        };
        assert_eq!(cloud.by_admin(shown).unwrap(), "ACTIVE");
    }

    #[test]
    fn nova_is_told_only_of_what_the_operator_wants() {
        for (wanted, expected) in [
            (NovaEvents { status: true, data: false }, &["network-vif-plugged"][..]),
            (NovaEvents { status: false, data: true }, &["network-changed", "network-vif-deleted"]),
            (NovaEvents::default(), &[]),
        ] {
            let cloud = Cloud::telling_nova(wanted);
            let id = instance(&cloud);
            cloud.by_admin(move |work| port::set_status(work, id, "ACTIVE")).unwrap();
            let named = move |work: &Work<'_>| {
                port::update(work, id, PortUpdate { name: Some("x".into()), ..PortUpdate::default() })
            };
            cloud.by_admin(named).unwrap();
            cloud.by_admin(move |work| port::delete(work, id)).unwrap();
            let names: Vec<String> = told(&cloud).into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, expected);
        }
    }

    #[test]
    fn ports_of_others_are_not_told() {
        let cloud = Cloud::telling_nova(ALL);
        let network = cloud.network(false);
        let id = cloud.port(network);
        cloud.by_admin(move |work| port::set_status(work, id, "ACTIVE")).unwrap();
        cloud.by_admin(move |work| port::delete(work, id)).unwrap();
        assert_eq!(told(&cloud), []);
    }

    #[test]
    fn a_change_that_fails_tells_nothing() {
        let cloud = Cloud::telling_nova(ALL);
        let id = instance(&cloud);
        let failed = cloud.by_admin(move |work| {
            port::set_status(work, id, "ACTIVE")?;
            port::delete(work, PortId(uuid::Uuid::nil()))
        });
        assert!(failed.is_err());
        assert_eq!(told(&cloud), []);
    }

    #[test]
    fn the_instance_of_a_floating_ip_is_told_of_it() {
        let cloud = Cloud::telling_nova(ALL);
        let (port, floating_ip) = cloud.routed_port_and_floating_ip();
        attach(&cloud, port);
        let lead = |to: Option<PortId>| {
            move |work: &Work<'_>| {
                floating_ip::update(
                    work,
                    floating_ip,
                    FloatingIpUpdate { port_id: Some(to), ..FloatingIpUpdate::default() },
                )
            }
        };
        let changed = event("network-changed", None);
        cloud.by_admin(lead(Some(port))).unwrap();
        assert_eq!(told(&cloud), vec![changed.clone(); 1]);
        cloud.by_admin(lead(None)).unwrap();
        assert_eq!(told(&cloud), vec![changed.clone(); 2]);
        cloud.by_admin(lead(Some(port))).unwrap();
        cloud.by_admin(move |work| floating_ip::delete(work, floating_ip)).unwrap();
        assert_eq!(told(&cloud), vec![changed; 4]);
    }

    #[test]
    fn one_server_sends_until_its_time_is_over() {
        let cloud = Cloud::new();
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let claim = |holder: &'static str, now: i64| {
            cloud.by_admin(move |work| claim(work.tx, holder, at(now), at(now + 30))).unwrap()
        };
        assert_eq!(claim("a", 100), None);
        assert_eq!(claim("b", 110), Some(at(130)));
        assert_eq!(claim("a", 120), None);
        assert_eq!(claim("b", 149), Some(at(150)));
        assert_eq!(claim("b", 150), None);
        assert_eq!(claim("a", 151), Some(at(180)));
    }
}

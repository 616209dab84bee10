//! Laws of the units of work, against a real store.

use crate::port::{self, PortCreate};
use crate::testing::{Cloud, ME};
use crate::{NetworkError, Work};
use net_types::{NetworkId, PortId};
use network_model::ModelError;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::net::IpAddr;
use store::StoreError;

fn free_runs(work: &Work<'_>) -> Result<Vec<(String, String)>, StoreError> {
    work.tx.query("SELECT first_ip, last_ip FROM ip_free_ranges ORDER BY last_ip", &[], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// Makes and removes ports as `steps` say; what is held at the end is removed too.
fn churn(work: &Work<'_>, network: NetworkId, steps: &[u8]) -> Result<(), NetworkError> {
    let before = free_runs(work)?;
    let mut held: Vec<(PortId, IpAddr)> = Vec::new();
    for step in steps {
        if step % 3 == 0 && !held.is_empty() {
            let (id, _) = held.swap_remove(usize::from(*step) % held.len());
            port::remove(work, id)?;
            continue;
        }
        match port::create(work, PortCreate::of_service(network, ME, "", "")) {
            Ok(id) => {
                let ips = port::addresses::of_port(work.tx, id)?;
                assert_eq!(ips.len(), 1);
                held.push((id, ips[0].ip_address));
            }
            // A refused creation has written nothing that counts: the unit of work would end here otherwise.
            Err(NetworkError::Refused(ModelError::IpAddressGenerationFailure { .. })) => assert_eq!(held.len(), 13),
            Err(error) => return Err(error),
        }
        let distinct: BTreeSet<IpAddr> = held.iter().map(|(_, ip)| *ip).collect();
        assert_eq!(distinct.len(), held.len(), "an address was given twice");
    }
    for (id, _) in held {
        port::remove(work, id)?;
    }
    assert_eq!(free_runs(work)?, before, "what was given back is free as it was");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn addresses_are_given_once_and_come_back(steps in proptest::collection::vec(any::<u8>(), 60)) {
        let cloud = Cloud::new();
        let network = cloud.network(false);
        cloud.subnet(network, "10.0.0.0/28");
        cloud.by_admin(move |work| churn(work, network, &steps)).unwrap();
    }
}

#[test]
fn a_status_that_does_not_change_wakes_nobody() {
    let cloud = Cloud::new();
    let network = cloud.network(false);
    let id = cloud.port(network);
    let changes = |cloud: &Cloud| cloud.count("SELECT max(revision) FROM change_log");
    assert!(cloud.by_admin(move |work| port::set_status(work, id, "ACTIVE")).unwrap());
    let after = changes(&cloud);
    assert!(!cloud.by_admin(move |work| port::set_status(work, id, "ACTIVE")).unwrap());
    assert_eq!(changes(&cloud), after);
    assert_eq!(cloud.text("SELECT status FROM ports WHERE id = ?1", id.0), "ACTIVE");
}

#[test]
fn a_unit_of_work_that_fails_leaves_nothing() {
    let cloud = Cloud::new();
    let network = cloud.network(false);
    let rows = "SELECT (SELECT count(*) FROM ports) + (SELECT count(*) FROM change_log)";
    let before = cloud.count(rows);
    let failed = cloud.by_admin(move |work| {
        port::create(work, PortCreate::of_service(network, ME, "", ""))?;
        Err::<(), _>(ModelError::NetworkNotFound { net_id: network }.into())
    });
    assert!(failed.is_err());
    assert_eq!(cloud.count(rows), before);
}

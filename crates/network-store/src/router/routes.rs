//! Extra routes in the store.

use super::{Loaded, changed, load};
use crate::{NetworkError, Work};
use net_types::RouterId;
use network_model::quota;
use network_model::router::{add_routes, check_routes, remove_routes};
use network_model::subnet::Route;
use store::{Snapshot, StoreError, params};

/// The quota's name: how many extra routes one router may have.
const QUOTA: &str = "router_route";

pub(super) fn of_router(snapshot: &Snapshot<'_>, id: RouterId) -> Result<Vec<Route>, StoreError> {
    snapshot.query(
        "SELECT destination, nexthop FROM router_routes WHERE router_id = ?1 ORDER BY destination, nexthop",
        params![id.0],
        |row| Ok(Route { destination: row.parse(0)?, nexthop: row.parse(1)? }),
    )
}

/// Gives the router exactly these routes.
pub(super) fn replace(work: &Work<'_>, loaded: &Loaded, routes: &[Route]) -> Result<(), NetworkError> {
    let router = &loaded.router;
    check_routes(router, routes)?;
    let limit = crate::quota::limit(work.tx, work.config, &loaded.project_id, QUOTA)?;
    quota::check([(QUOTA, limit, 0, routes.len() as u64)])?;
    work.tx.execute("DELETE FROM router_routes WHERE router_id = ?1", params![router.id.0])?;
    for route in routes {
        work.tx.execute(
            "INSERT INTO router_routes (router_id, destination, nexthop) VALUES (?1, ?2, ?3)",
            params![router.id.0, route.destination.to_string(), route.nexthop.to_string()],
        )?;
    }
    Ok(())
}

/// Adds routes to those that the router has.
pub fn add_extra_routes(work: &Work<'_>, id: RouterId, more: &[Route]) -> Result<(), NetworkError> {
    let loaded = load(work.tx, id)?;
    replace(work, &loaded, &add_routes(&loaded.router.routes, more))?;
    changed(work, id)
}

/// Removes routes; those that the router does not have are no matter.
pub fn remove_extra_routes(work: &Work<'_>, id: RouterId, gone: &[Route]) -> Result<(), NetworkError> {
    let loaded = load(work.tx, id)?;
    replace(work, &loaded, &remove_routes(&loaded.router.routes, gone))?;
    changed(work, id)
}

//! Port mirroring.

use super::{Rules, done, typed};
use api_schema::resources;
use network_store::{tap, tap_mirror};

pub(super) static RULES: &[Rules] = &[
    Rules {
        create: Some(|work, values| Ok(tap::create_service(work, &typed("tap_service", values)?)?)),
        update: Some(|work, id, values| done(tap::update_service(work, id, typed("tap_service", values)?))),
        delete: Some(|work, id| done(tap::delete_service(work, id))),
        ..Rules::of(&resources::TAP_SERVICE)
    },
    Rules {
        create: Some(|work, values| Ok(tap::create_flow(work, &typed("tap_flow", values)?)?)),
        update: Some(|work, id, values| done(tap::update_flow(work, id, typed("tap_flow", values)?))),
        delete: Some(|work, id| done(tap::delete_flow(work, id))),
        ..Rules::of(&resources::TAP_FLOW)
    },
    Rules {
        create: Some(|work, values| Ok(tap_mirror::create(work, &typed("tap_mirror", values)?)?)),
        update: Some(|work, id, values| done(tap_mirror::update(work, id, typed("tap_mirror", values)?))),
        delete: Some(|work, id| done(tap_mirror::delete(work, id))),
        ..Rules::of(&resources::TAP_MIRROR)
    },
];

//! Logs of what security groups let pass.

use super::{Rules, done, typed};
use api_schema::resources;
use network_store::log;

pub(super) static RULES: &[Rules] = &[
    Rules {
        create: Some(|work, values| Ok(log::create(work, &typed("log", values)?)?)),
        update: Some(|work, id, values| done(log::update(work, id, typed("log", values)?))),
        delete: Some(|work, id| done(log::delete(work, id))),
        ..Rules::of(&resources::LOG)
    },
    Rules::of(&resources::LOGGABLE_RESOURCE),
];

//! Metering labels and their rules.

use super::{Rules, done, typed};
use api_schema::resources;
use network_store::metering;

pub(super) static RULES: &[Rules] = &[
    Rules {
        create: Some(|work, values| Ok(metering::create_label(work, &typed("metering_label", values)?)?)),
        delete: Some(|work, id| done(metering::delete_label(work, id))),
        ..Rules::of(&resources::METERING_LABEL)
    },
    Rules {
        create: Some(|work, values| Ok(metering::create_rule(work, &typed("metering_label_rule", values)?)?)),
        delete: Some(|work, id| done(metering::delete_rule(work, id))),
        ..Rules::of(&resources::METERING_LABEL_RULE)
    },
];

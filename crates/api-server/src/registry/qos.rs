//! QoS policies, their rules, and the types of rules.

use super::{Rules, done, typed};
use api_schema::resources;
use network_model::qos::RuleKind;
use network_store::qos::{self, rule};

/// Rules of one kind.
macro_rules! rules_of {
    ($kind:ident, $resource:ident) => {
        Rules {
            create: Some(|work, values| Ok(rule::create(work, RuleKind::$kind, &typed("qos_rule", values)?)?)),
            ..rules_alias!($resource)
        }
    };
}

/// The same rules without their policy's path.
macro_rules! rules_alias {
    ($resource:ident) => {
        Rules {
            update: Some(|work, id, values| done(rule::update(work, id, &typed("qos_rule", values)?))),
            delete: Some(|work, id| done(rule::delete(work, id))),
            ..Rules::of(&resources::$resource)
        }
    };
}

pub(super) static RULES: &[Rules] = &[
    Rules {
        create: Some(|work, values| Ok(qos::create(work, &typed("qos_policy", values)?)?)),
        update: Some(|work, id, values| done(qos::update(work, id, typed("qos_policy", values)?))),
        delete: Some(|work, id| done(qos::delete(work, id))),
        ..Rules::of(&resources::QOS_POLICY)
    },
    rules_of!(BandwidthLimit, QOS_BANDWIDTH_LIMIT_RULE),
    rules_of!(DscpMarking, QOS_DSCP_MARKING_RULE),
    rules_of!(MinimumBandwidth, QOS_MINIMUM_BANDWIDTH_RULE),
    rules_of!(MinimumPacketRate, QOS_MINIMUM_PACKET_RATE_RULE),
    rules_of!(PacketRateLimit, QOS_PACKET_RATE_LIMIT_RULE),
    rules_alias!(ALIAS_BANDWIDTH_LIMIT_RULE),
    rules_alias!(ALIAS_DSCP_MARKING_RULE),
    rules_alias!(ALIAS_MINIMUM_BANDWIDTH_RULE),
    rules_alias!(ALIAS_MINIMUM_PACKET_RATE_RULE),
    Rules::of(&resources::QOS_RULE_TYPE),
];

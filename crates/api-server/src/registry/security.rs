//! Security groups, their rules, those that new groups begin with, and address groups.

use super::{Answer, BeforeList, Rules, done, typed};
use crate::error::ApiError;
use api_schema::{python_display, resources};
use net_types::IpNet;
use network_model::security_group::parse_prefix;
use network_store::{
    address_group, default_security_group_rule, default_statefulness, security_group, security_group_rule,
};
use serde_json::Value;

const STATEFULNESS: &str = "security_groups_default_statefulness";

const DEFAULT_GROUP: BeforeList = BeforeList {
    policy: "create_default_security_group",
    there: |snapshot, project| Ok(security_group::default_of(snapshot, project)?.is_some()),
    make: |work, project| done(security_group::ensure_default(work, project).map(drop)),
};

pub(super) static RULES: &[Rules] = &[
    Rules {
        create: Some(|work, values| Ok(security_group::create(work, &typed("security_group", values)?)?.0)),
        update: Some(|work, id, values| {
            done(security_group::update(work, id.into(), typed("security_group", values)?))
        }),
        delete: Some(|work, id| done(security_group::delete(work, id.into()))),
        before_list: Some(DEFAULT_GROUP),
        ..Rules::of(&resources::SECURITY_GROUP)
    },
    Rules {
        create_together: Some(|work, several| {
            let requests = several.into_iter().map(|values| typed("security_group_rule", values));
            let ids = security_group_rule::create(work, requests.collect::<Result<_, _>>()?)?;
            Ok(ids.into_iter().map(|id| id.0).collect())
        }),
        delete: Some(|work, id| done(security_group_rule::delete(work, id.into()))),
        before_list: Some(DEFAULT_GROUP),
        ..Rules::of(&resources::SECURITY_GROUP_RULE)
    },
    Rules {
        create: Some(|work, values| {
            let request = typed("default_security_group_rule", values)?;
            Ok(default_security_group_rule::create(work, &request)?)
        }),
        delete: Some(|work, id| done(default_security_group_rule::delete(work, id))),
        ..Rules::of(&resources::DEFAULT_SECURITY_GROUP_RULE)
    },
    Rules {
        create: Some(|work, values| Ok(default_statefulness::create(work, &typed(STATEFULNESS, values)?)?)),
        update: Some(|work, id, values| done(default_statefulness::update(work, id, &typed(STATEFULNESS, values)?))),
        delete: Some(|work, id| done(default_statefulness::delete(work, id))),
        ..Rules::of(&resources::DEFAULT_STATEFULNESS)
    },
    Rules {
        create: Some(|work, values| Ok(address_group::create(work, typed("address_group", values)?)?)),
        update: Some(|work, id, values| done(address_group::update(work, id, typed("address_group", values)?))),
        delete: Some(|work, id| done(address_group::delete(work, id))),
        actions: &[
            ("add_addresses", |work, id, body| {
                address_group::add_addresses(work, id, &addresses(&body)?)?;
                Ok(Answer::Object)
            }),
            ("remove_addresses", |work, id, body| {
                address_group::remove_addresses(work, id, &addresses(&body)?)?;
                Ok(Answer::Object)
            }),
        ],
        ..Rules::of(&resources::ADDRESS_GROUP)
    },
];

/// `{"addresses": [...]}`: prefixes, or single addresses.
fn addresses(body: &Value) -> Result<Vec<IpNet>, ApiError> {
    let missing = || ApiError::bad("Request body contains invalid data");
    let given = body.get("addresses").and_then(Value::as_array).ok_or_else(missing)?;
    let read = |value: &Value| {
        let text = python_display(value);
        parse_prefix(&text).map_err(|_| ApiError::bad(format!("invalid IPNetwork {text}")))
    };
    given.iter().map(read).collect()
}

//! Subnet pools, address scopes and segments.

use super::{Answer, Rules, done, typed};
use crate::error::ApiError;
use api_schema::{Kind, SchemaError, resources};
use net_types::{IpNet, NetworkId};
use network_model::ModelError;
use network_store::{address_scope, segment, subnetpool};
use serde_json::{Value, json};

pub(super) static RULES: &[Rules] = &[
    Rules {
        create: Some(|work, values| Ok(subnetpool::create(work, &typed("subnetpool", values)?)?)),
        update: Some(|work, id, values| done(subnetpool::update(work, id, typed("subnetpool", values)?))),
        delete: Some(|work, id| done(subnetpool::delete(work, id))),
        actions: &[
            ("onboard_network_subnets", |work, id, body| {
                let subnets = subnetpool::onboard(work, id, network(&body)?)?;
                let shown = subnets.iter().map(|(id, cidr)| json!({"id": id, "cidr": cidr}));
                Ok(Answer::Body(shown.collect()))
            }),
            ("add_prefixes", |work, id, body| answer(&subnetpool::add_prefixes(work, id, prefixes(body)?)?)),
            ("remove_prefixes", |work, id, body| answer(&subnetpool::remove_prefixes(work, id, prefixes(body)?)?)),
        ],
        ..Rules::of(&resources::SUBNETPOOL)
    },
    Rules {
        create: Some(|work, values| Ok(address_scope::create(work, &typed("address_scope", values)?)?)),
        update: Some(|work, id, values| done(address_scope::update(work, id, typed("address_scope", values)?))),
        delete: Some(|work, id| done(address_scope::delete(work, id))),
        ..Rules::of(&resources::ADDRESS_SCOPE)
    },
    Rules {
        create: Some(|work, values| Ok(segment::create(work, typed("segment", values)?)?)),
        update: Some(|work, id, values| done(segment::update(work, id, typed("segment", values)?))),
        delete: Some(|work, id| done(segment::delete(work, id))),
        ..Rules::of(&resources::SEGMENT)
    },
    Rules {
        create: Some(|work, values| Ok(segment::range::create(work, &typed("network_segment_range", values)?)?)),
        update: Some(|work, id, values| {
            done(segment::range::update(work, id, typed("network_segment_range", values)?))
        }),
        delete: Some(|work, id| done(segment::range::delete(work, id))),
        ..Rules::of(&resources::NETWORK_SEGMENT_RANGE)
    },
];

/// `{"network_id"}`
fn network(body: &Value) -> Result<NetworkId, ApiError> {
    let given = body.get("network_id").filter(|id| !id.is_null()).map(api_schema::python_display);
    let Some(given) = given else {
        let error_message = "network_id must be specified.".to_owned();
        return Err(network_store::NetworkError::from(ModelError::InvalidInput { error_message }).into());
    };
    given.parse().map_err(|_| ApiError::not_found(&resources::NETWORK, &given))
}

/// `{"prefixes": [...]}`
fn prefixes(mut body: Value) -> Result<Vec<IpNet>, ApiError> {
    let given = body.get_mut("prefixes").map(Value::take).filter(|list| list.as_array().is_some_and(|l| !l.is_empty()));
    let given = given.ok_or_else(|| ApiError::bad("Request body contains invalid data"))?;
    let kind = Kind::Custom(&resources::PREFIX_LIST);
    let given = kind.parse(given).map_err(|refusal| SchemaError::refused("prefixes", refusal))?;
    super::typed_value("subnetpool", given)
}

fn answer(prefixes: &[IpNet]) -> Result<Answer, ApiError> {
    Ok(Answer::Body(json!({"prefixes": prefixes})))
}

//! Routers and floating IPs.

use super::{Answer, Rules, answer, done, typed, typed_value};
use crate::error::ApiError;
use api_schema::{SchemaError, resources};
use network_model::router::InterfaceRequest;
use network_model::subnet::Route;
use network_store::router::GatewayInfo;
use network_store::{conntrack_helper, flavor, floating_ip, local_ip, ndp_proxy, port_forwarding, router};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashSet;

pub(super) static RULES: &[Rules] = &[
    Rules {
        create: Some(|work, values| Ok(router::create(work, typed("router", values)?)?.0)),
        update: Some(|work, id, values| done(router::update(work, id.into(), typed("router", values)?))),
        delete: Some(|work, id| done(router::delete(work, id.into()))),
        actions: &[
            ("add_router_interface", |work, id, body| {
                answer(router::add_interface(work, id.into(), interface(&body, false)?)?)
            }),
            ("remove_router_interface", |work, id, body| {
                answer(router::remove_interface(work, id.into(), interface(&body, true)?)?)
            }),
            ("add_extraroutes", |work, id, body| {
                router::add_extra_routes(work, id.into(), &extra_routes(body)?)?;
                Ok(Answer::Object)
            }),
            ("remove_extraroutes", |work, id, body| {
                router::remove_extra_routes(work, id.into(), &extra_routes(body)?)?;
                Ok(Answer::Object)
            }),
            ("add_external_gateways", |work, id, body| {
                router::add_external_gateways(work, id.into(), gateways(body)?)?;
                Ok(Answer::Object)
            }),
            ("update_external_gateways", |work, id, body| {
                router::update_external_gateways(work, id.into(), gateways(body)?)?;
                Ok(Answer::Object)
            }),
            ("remove_external_gateways", |work, id, body| {
                router::remove_external_gateways(work, id.into(), &gateways(body)?)?;
                Ok(Answer::Object)
            }),
        ],
        ..Rules::of(&resources::ROUTER)
    },
    Rules {
        create: Some(|work, values| Ok(floating_ip::create(work, &typed("floatingip", values)?)?.0)),
        update: Some(|work, id, values| done(floating_ip::update(work, id.into(), typed("floatingip", values)?))),
        empty_update: true,
        delete: Some(|work, id| done(floating_ip::delete(work, id.into()))),
        ..Rules::of(&resources::FLOATING_IP)
    },
    Rules::of(&resources::FLOATING_IP_POOL),
    Rules {
        create: Some(|work, values| Ok(port_forwarding::create(work, &typed("port_forwarding", values)?)?)),
        update: Some(|work, id, values| done(port_forwarding::update(work, id, typed("port_forwarding", values)?))),
        delete: Some(|work, id| done(port_forwarding::delete(work, id))),
        ..Rules::of(&resources::PORT_FORWARDING)
    },
    Rules {
        create: Some(|work, values| Ok(conntrack_helper::create(work, &typed("conntrack_helper", values)?)?)),
        update: Some(|work, id, values| done(conntrack_helper::update(work, id, typed("conntrack_helper", values)?))),
        delete: Some(|work, id| done(conntrack_helper::delete(work, id))),
        ..Rules::of(&resources::CONNTRACK_HELPER)
    },
    Rules {
        create: Some(|work, values| Ok(ndp_proxy::create(work, &typed("ndp_proxy", values)?)?)),
        update: Some(|work, id, values| done(ndp_proxy::update(work, id, typed("ndp_proxy", values)?))),
        delete: Some(|work, id| done(ndp_proxy::delete(work, id))),
        ..Rules::of(&resources::NDP_PROXY)
    },
    Rules {
        create: Some(|work, values| Ok(local_ip::create(work, &typed("local_ip", values)?)?)),
        update: Some(|work, id, values| done(local_ip::update(work, id, typed("local_ip", values)?))),
        delete: Some(|work, id| done(local_ip::delete(work, id))),
        ..Rules::of(&resources::LOCAL_IP)
    },
    Rules {
        create: Some(|work, values| Ok(local_ip::associate(work, typed("local_ip_association", values)?)?)),
        delete: Some(|work, id| done(local_ip::dissociate(work, id))),
        ..Rules::of(&resources::LOCAL_IP_ASSOCIATION)
    },
    Rules {
        create: Some(|work, values| Ok(flavor::create(work, &typed("flavor", values)?)?)),
        update: Some(|work, id, values| done(flavor::update(work, id, typed("flavor", values)?))),
        delete: Some(|work, id| done(flavor::delete(work, id))),
        ..Rules::of(&resources::FLAVOR)
    },
    Rules {
        create: Some(|work, values| Ok(flavor::create_profile(work, &typed("service_profile", values)?)?)),
        update: Some(|work, id, values| done(flavor::update_profile(work, id, typed("service_profile", values)?))),
        delete: Some(|work, id| done(flavor::delete_profile(work, id))),
        ..Rules::of(&resources::SERVICE_PROFILE)
    },
    Rules {
        create: Some(|work, values| Ok(flavor::bind(work, typed("flavor_service_profile", values)?)?)),
        delete: Some(|work, id| done(flavor::unbind(work, id))),
        ..Rules::of(&resources::FLAVOR_SERVICE_PROFILE)
    },
    Rules::of(&resources::SERVICE_PROVIDER),
];

/// `{"port_id"}` or `{"subnet_id"}`; what is no text is no UUID either.
fn interface(body: &Value, for_removal: bool) -> Result<InterfaceRequest, ApiError> {
    let member = |name: &str| body.get(name).map(api_schema::python_display);
    let (port, subnet) = (member("port_id"), member("subnet_id"));
    Ok(InterfaceRequest::new(port.as_deref(), subnet.as_deref(), for_removal)?)
}

/// `{"router": {"routes": [...]}}`; a route that is said twice is said once.
fn extra_routes(mut body: Value) -> Result<Vec<Route>, ApiError> {
    if let Some(routes) = body.pointer_mut("/router/routes").and_then(Value::as_array_mut) {
        let mut seen = HashSet::new();
        routes.retain(|route| seen.insert(route.to_string()));
    }
    attribute(body, "routes")
}

/// `{"router": {"external_gateways": [...]}}`.
fn gateways(body: Value) -> Result<Vec<GatewayInfo>, ApiError> {
    attribute(body, "external_gateways")
}

/// One of a router's attributes out of `{"router": {...}}`.
fn attribute<T: DeserializeOwned>(mut body: Value, name: &'static str) -> Result<T, ApiError> {
    let missing = || ApiError::bad(format!("Unable to find '{name}' in request body"));
    let given = body.get_mut("router").and_then(|router| router.get_mut(name)).map(Value::take).ok_or_else(missing)?;
    let kind = resources::ROUTER.attribute(name).ok_or_else(missing)?.kind;
    let value = kind.parse(given).map_err(|refusal| SchemaError::refused(name, refusal))?;
    typed_value("router", value)
}

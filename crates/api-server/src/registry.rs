//! Where each declaration meets the functions that its requests call. Nothing else is registered anywhere.

use crate::error::ApiError;
use api_schema::{Kind, Resource, SchemaError, resources};
use network_model::router::InterfaceRequest;
use network_model::subnet::Route;
use network_store::{
    NetworkError, Work, agent, floating_ip, network, port, router, security_group, security_group_rule, subnet,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use store::Snapshot;
use uuid::Uuid;

/// A checked body's values.
pub type Values = Map<String, Value>;

/// What the requests on one resource call.
pub struct Rules {
    /// The declaration.
    pub resource: &'static Resource,
    /// Makes an object; its id.
    pub create: Option<CreateRule>,
    /// Makes the objects of one request, where that is more than making each of them.
    pub create_together: Option<CreateTogetherRule>,
    /// Changes one.
    pub update: Option<UpdateRule>,
    /// Whether a change that says nothing means something (of floating IPs it ends the association).
    pub empty_update: bool,
    /// Removes one.
    pub delete: Option<DeleteRule>,
    /// Further requests on one object, by name: body in, answer out.
    pub actions: &'static [(&'static str, ActionRule)],
    /// What must be there before a list is shown.
    pub before_list: Option<BeforeList>,
}

impl Rules {
    /// A resource that can only be looked at; what else there is goes before `..Rules::of(...)`.
    const fn of(resource: &'static Resource) -> Self {
        Self {
            resource,
            create: None,
            create_together: None,
            update: None,
            empty_update: false,
            delete: None,
            actions: &[],
            before_list: None,
        }
    }
}

/// What a POST calls.
pub type CreateRule = fn(&Work<'_>, Values) -> Result<Uuid, ApiError>;
/// What a POST of several objects calls that depend on each other.
pub type CreateTogetherRule = fn(&Work<'_>, Vec<Values>) -> Result<Vec<Uuid>, ApiError>;
/// What a PUT calls.
pub type UpdateRule = fn(&Work<'_>, Uuid, Values) -> Result<(), ApiError>;
/// What a DELETE calls.
pub type DeleteRule = fn(&Work<'_>, Uuid) -> Result<(), ApiError>;
/// What an action calls.
pub type ActionRule = fn(&Work<'_>, Uuid, Value) -> Result<Answer, ApiError>;

/// What an action is answered with.
pub enum Answer {
    /// This.
    Body(Value),
    /// The object, as it now is.
    Object,
}

/// Something that a project has without having made it, and that its first list makes (the default security group).
pub struct BeforeList {
    /// The policy rule: who may cause it to be made.
    pub policy: &'static str,
    /// Whether the project has it already.
    pub there: fn(&Snapshot<'_>, &str) -> Result<bool, ApiError>,
    /// Makes it.
    pub make: fn(&Work<'_>, &str) -> Result<(), ApiError>,
}

const DEFAULT_GROUP: BeforeList = BeforeList {
    policy: "create_default_security_group",
    there: |snapshot, project| Ok(security_group::default_of(snapshot, project)?.is_some()),
    make: |work, project| done(security_group::ensure_default(work, project).map(drop)),
};

/// All resources.
pub static ALL: &[Rules] = &[
    Rules {
        create: Some(|work, values| Ok(network::create(work, typed("network", values)?)?.0)),
        update: Some(|work, id, values| done(network::update(work, id.into(), typed("network", values)?))),
        delete: Some(|work, id| done(network::delete(work, id.into()))),
        ..Rules::of(&resources::NETWORK)
    },
    Rules {
        create: Some(|work, values| Ok(subnet::create(work, typed("subnet", values)?)?.0)),
        update: Some(|work, id, values| done(subnet::update(work, id.into(), typed("subnet", values)?))),
        delete: Some(|work, id| done(subnet::delete(work, id.into()))),
        ..Rules::of(&resources::SUBNET)
    },
    Rules {
        create: Some(|work, values| Ok(port::create(work, typed("port", values)?)?.0)),
        update: Some(|work, id, values| done(port::update(work, id.into(), typed("port", values)?))),
        delete: Some(|work, id| done(port::delete(work, id.into()))),
        ..Rules::of(&resources::PORT)
    },
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
    Rules {
        update: Some(|work, id, values| done(agent::update(work, id, typed("agent", values)?))),
        delete: Some(|work, id| done(agent::delete(work, id))),
        ..Rules::of(&resources::AGENT)
    },
    Rules::of(&resources::AVAILABILITY_ZONE),
];

/// A list of other objects under an object: `GET /v2.0/networks/ID/dhcp-agents`.
pub struct Relation {
    /// Under which resource.
    pub of: &'static Resource,
    /// The last part of the path.
    pub name: &'static str,
    /// What is listed.
    pub resource: &'static Resource,
    /// Which of them: an SQL condition over the listed resource, `:id` being the object.
    pub condition: &'static str,
    /// The policy rule.
    pub policy: &'static str,
}

/// All of them.
pub static RELATIONS: &[Relation] = &[
    Relation {
        of: &resources::NETWORK,
        name: "dhcp-agents",
        resource: &resources::AGENT,
        condition: "agents.id IN (SELECT agent_id FROM dhcp_agent_networks WHERE network_id = :id)",
        policy: "get_dhcp-agents",
    },
    Relation {
        of: &resources::AGENT,
        name: "dhcp-networks",
        resource: &resources::NETWORK,
        condition: "networks.id IN (SELECT network_id FROM dhcp_agent_networks WHERE agent_id = :id)",
        policy: "get_dhcp-networks",
    },
    Relation {
        of: &resources::ROUTER,
        name: "l3-agents",
        resource: &resources::AGENT,
        condition: "agents.id IN (SELECT agent_id FROM l3_agent_routers WHERE router_id = :id)",
        policy: "get_l3-agents",
    },
    Relation {
        of: &resources::AGENT,
        name: "l3-routers",
        resource: &resources::ROUTER,
        condition: "routers.id IN (SELECT router_id FROM l3_agent_routers WHERE agent_id = :id)",
        policy: "get_l3-routers",
    },
];

/// The rules of a collection as it is written in paths.
pub fn find(collection: &str) -> Option<&'static Rules> {
    ALL.iter().find(|rules| rules.resource.path() == collection || rules.resource.collection == collection)
}

/// The typed request that the rules read. That every checked body can be read is held by a test.
fn typed<T: DeserializeOwned>(resource: &'static str, values: Values) -> Result<T, ApiError> {
    typed_value(resource, Value::Object(values))
}

fn typed_value<T: DeserializeOwned>(resource: &'static str, value: Value) -> Result<T, ApiError> {
    serde_json::from_value(value).map_err(|error| ApiError::Declaration { resource, reason: error.to_string() })
}

fn done(outcome: Result<(), NetworkError>) -> Result<(), ApiError> {
    outcome.map_err(ApiError::from)
}

fn answer(value: impl serde::Serialize) -> Result<Answer, ApiError> {
    serde_json::to_value(value)
        .map(Answer::Body)
        .map_err(|error| ApiError::Declaration { resource: "router", reason: error.to_string() })
}

/// `{"port_id"}` or `{"subnet_id"}`; what is no text is no UUID either.
fn interface(body: &Value, for_removal: bool) -> Result<InterfaceRequest, ApiError> {
    let member = |name: &str| body.get(name).map(api_schema::python_display);
    let (port, subnet) = (member("port_id"), member("subnet_id"));
    Ok(InterfaceRequest::new(port.as_deref(), subnet.as_deref(), for_removal)?)
}

/// `{"router": {"routes": [...]}}`.
fn extra_routes(mut body: Value) -> Result<Vec<Route>, ApiError> {
    let routes = body.get_mut("router").and_then(|router| router.get_mut("routes")).map(Value::take);
    let routes = routes.ok_or_else(|| ApiError::bad("Unable to find 'routes' in request body"))?;
    let routes = Kind::HostRoutes.parse(routes).map_err(|refusal| SchemaError::refused("routes", refusal))?;
    typed_value("router", routes)
}

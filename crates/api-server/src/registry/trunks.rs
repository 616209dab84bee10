//! Trunks, and the bindings of ports.

use super::{Answer, Rules, done, typed, typed_value};
use crate::error::ApiError;
use api_schema::{Kind, Refusal, SchemaError, resources};
use network_store::port::bindings;
use network_store::trunk::{self, Subport};
use serde_json::Value;

pub(super) static RULES: &[Rules] = &[
    Rules {
        create: Some(|work, values| Ok(trunk::create(work, typed("trunk", values)?)?.0)),
        update: Some(|work, id, values| done(trunk::update(work, id.into(), typed("trunk", values)?))),
        delete: Some(|work, id| done(trunk::delete(work, id.into()))),
        actions: &[
            ("add_subports", |work, id, body| {
                trunk::add_subports(work, id.into(), subports(body)?)?;
                Ok(Answer::Bare)
            }),
            ("remove_subports", |work, id, body| {
                trunk::check_enabled(work, id.into())?;
                let ports: Vec<_> = subports(body)?.into_iter().map(|subport| subport.port_id).collect();
                trunk::remove_subports(work, id.into(), &ports)?;
                Ok(Answer::Bare)
            }),
        ],
        looks: &[("get_subports", |snapshot, _, id| Ok(trunk::show_subports(snapshot, id.into())?))],
        ..Rules::of(&resources::TRUNK)
    },
    Rules {
        create: Some(|work, values| Ok(bindings::create(work, typed("port_binding", values)?)?)),
        update: Some(|work, id, values| done(bindings::update(work, id, typed("port_binding", values)?))),
        delete: Some(|work, id| done(bindings::delete(work, id))),
        actions: &[("activate", |work, id, _| Ok(Answer::Body(bindings::activate(work, id)?)))],
        ..Rules::of(&resources::PORT_BINDING)
    },
];

/// `{"sub_ports": [...]}`.
fn subports(mut body: Value) -> Result<Vec<Subport>, ApiError> {
    let given = body.get_mut("sub_ports").map(Value::take);
    let given = given.ok_or_else(|| ApiError::bad("Unable to find 'sub_ports' in request body"))?;
    let read = Kind::Custom(&resources::SUBPORT_LIST).parse(given).map_err(|refusal| match refusal {
        // Said without the name that it would have in a POST.
        Refusal::Check(reason) => SchemaError::InvalidInput(reason),
        other => SchemaError::refused("sub_ports", other),
    })?;
    typed_value("trunk", read)
}

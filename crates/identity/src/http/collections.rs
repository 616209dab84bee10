//! The ordinary five calls of every resource: list, create, show, update, delete.

use serde_json::{Value as Json, json};
use store::params;
use uuid::Uuid;

use super::{Answer, Answered, Call, passwords};
use crate::resource::{Object, Resource};
use crate::resources::{USER, default_domain, text};
use crate::{Identity, IdentityError};

/// The object as the API shows it: what is derived and the link to itself added.
pub(super) fn presented(resource: &Resource, mut object: Object, call: &Call) -> Json {
    (resource.derive)(&mut object);
    let link = format!("{}/{}/{}", call.v3(), resource.plural, text(&object, "id"));
    object.insert("links".to_owned(), json!({"self": link}));
    Json::Object(object)
}

fn wrapped(resource: &Resource, object: Object, call: &Call) -> Json {
    json!({resource.singular: presented(resource, object, call)})
}

/// `GET /v3/projects?name=...`
pub(super) async fn list(identity: &Identity, call: Call, resource: &'static Resource) -> Answered {
    let action = format!("identity:list_{}", resource.plural);
    if resource.listable {
        identity.caller(&call)?;
    } else {
        identity.administrator(&call, &action)?;
    }
    let body = identity
        .inner
        .store
        .read(move |snapshot| {
            let found = resource.list(snapshot, &call.query)?;
            let objects: Vec<Json> = found.into_iter().map(|object| presented(resource, object, &call)).collect();
            Ok::<_, IdentityError>(json!({resource.plural: objects, "links": call.list_links()}))
        })
        .await?;
    Ok(Answer::ok(body))
}

/// `GET /v3/projects/{id}`
pub(super) async fn show(identity: &Identity, call: Call, resource: &'static Resource, id: &str) -> Answered {
    let caller = identity.caller(&call)?;
    let id = id.to_owned();
    let found = identity.inner.store.read(move |snapshot| resource.find(snapshot, &id).map(|found| (found, id))).await;
    let forbidden = || IdentityError::forbidden(format!("identity:get_{}", resource.singular));
    match found.map_err(IdentityError::from)? {
        (Some(object), _) if caller.is_admin() || (resource.visible)(&caller, &object) => {
            Ok(Answer::ok(wrapped(resource, object, &call)))
        }
        // Who may not see all must not learn which ids exist.
        _ if !caller.is_admin() && !resource.listable => Err(forbidden()),
        (_, id) => Err(resource.not_found(&id)),
    }
}

/// `POST /v3/projects`
pub(super) async fn create(identity: &Identity, call: Call, resource: &'static Resource) -> Answered {
    let caller = identity.administrator(&call, &format!("identity:create_{}", resource.singular))?;
    let body = call.json()?;
    let mut given = resource.unwrap_body(&body)?.clone();
    let password = if resource.is(&USER) { passwords::take(identity, &mut given).await? } else { None };
    let mut object = resource.parse_create(&given, Uuid::new_v4().simple().to_string())?;
    if resource.has("domain_id") && !object.contains_key("domain_id") {
        object.insert("domain_id".to_owned(), Json::String(default_domain(&caller).to_owned()));
    }
    let created = identity
        .change(move |tx| {
            let mut object = object.clone();
            (resource.on_create)(tx, &mut object)?;
            resource.insert(tx, &object)?;
            let id = text(&object, "id");
            if let Some(hash) = &password {
                passwords::store(tx, id, hash.as_deref())?;
            }
            // As it is kept, which is how every later call shows it.
            resource.get(tx, id)
        })
        .await?;
    Ok(Answer::created(wrapped(resource, created, &call)))
}

/// `PATCH /v3/projects/{id}`
pub(super) async fn update(identity: &Identity, call: Call, resource: &'static Resource, id: &str) -> Answered {
    identity.administrator(&call, &format!("identity:update_{}", resource.singular))?;
    let body = call.json()?;
    let mut given = resource.unwrap_body(&body)?.clone();
    let password = if resource.is(&USER) { passwords::take(identity, &mut given).await? } else { None };
    let (id, now) = (id.to_owned(), identity.now());
    let updated = identity
        .change(move |tx| {
            let mut object = resource.get(tx, &id)?;
            let mut changes = resource.parse_update(&given, &object)?;
            (resource.on_update)(tx, &object, &mut changes)?;
            let disabled = changes.get("enabled") == Some(&Json::Bool(false));
            object.extend(changes);
            resource.update(tx, &object)?;
            if let Some(hash) = &password {
                passwords::store(tx, &id, hash.as_deref())?;
            }
            if resource.is(&USER) && (disabled || password.is_some()) {
                passwords::revoke_tokens_of(tx, &id, now)?;
            }
            resource.get(tx, &id)
        })
        .await?;
    Ok(Answer::ok(wrapped(resource, updated, &call)))
}

/// `DELETE /v3/projects/{id}`
pub(super) async fn delete(identity: &Identity, call: Call, resource: &'static Resource, id: &str) -> Answered {
    identity.administrator(&call, &format!("identity:delete_{}", resource.singular))?;
    let id = id.to_owned();
    identity
        .change(move |tx| {
            let object = resource.get(tx, &id)?;
            (resource.on_delete)(tx, &object)?;
            resource.delete(tx, &id)
        })
        .await?;
    Ok(Answer::no_content())
}

/// `GET /v3/users/{id}/groups`: there are no groups, but there must be such a user.
pub(super) async fn groups_of(identity: &Identity, call: &Call, user: &str) -> Answered {
    identity.self_or_administrator(call, user, "identity:list_groups_for_user")?;
    let id = user.to_owned();
    let known = identity
        .inner
        .store
        .read(move |snapshot| snapshot.exists("SELECT 1 FROM identity_user WHERE id = ?1", params![&id]))
        .await;
    match known.map_err(IdentityError::from)? {
        true => Ok(Answer::ok(json!({"groups": [], "links": call.list_links()}))),
        false => Err(USER.not_found(user)),
    }
}

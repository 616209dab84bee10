//! What a new database holds: the default domain, the roles that OpenStack's policies speak of, an administrator, and the
//! catalogue of this server.

use serde_json::{Value as Json, json};
use store::{Tx, params};
use uuid::Uuid;

use crate::catalog::BASE_URL;
use crate::grants::{self, Target};
use crate::resource::Resource;
use crate::resources::{DOMAIN, ENDPOINT, PROJECT, REGION, ROLE, SERVICE, USER};
use crate::{IdentityConfig, IdentityError};

/// The id of the first domain, the same in every OpenStack cloud.
pub(crate) const DEFAULT_DOMAIN: &str = "default";

/// Each role with the next weaker one that it implies.
const ROLES: [(&str, Option<&str>); 5] = [
    ("admin", Some("manager")),
    ("manager", Some("member")),
    ("member", Some("reader")),
    ("reader", None),
    ("service", None),
];

/// Whether the database still has to be filled.
pub(crate) fn is_needed(snapshot: &store::Snapshot<'_>) -> Result<bool, IdentityError> {
    Ok(DOMAIN.find(snapshot, DEFAULT_DOMAIN)?.is_none())
}

/// Fills a new database; does nothing to one that is filled.
pub(crate) fn fill(tx: &Tx<'_>, config: &IdentityConfig, admin_password_hash: &str) -> Result<(), IdentityError> {
    if !is_needed(tx)? {
        return Ok(());
    }
    let immutable = json!({"options": {"immutable": true}});
    add(tx, &DOMAIN, &json!({"id": DEFAULT_DOMAIN, "name": "Default", "description": "The default domain"}))?;
    let mut role_ids = Vec::new();
    for (name, _) in ROLES {
        let mut role = immutable.clone();
        role["name"] = json!(name);
        role_ids.push((name, add(tx, &ROLE, &role)?));
    }
    let role_id = |name: &str| role_ids.iter().find(|(known, _)| *known == name).map_or("", |(_, id)| id.as_str());
    for (prior, implied) in ROLES {
        if let Some(implied) = implied {
            grants::imply(tx, role_id(prior), role_id(implied))?;
        }
    }

    let project =
        |name: &str, description: &str| json!({"name": name, "domain_id": DEFAULT_DOMAIN, "description": description});
    let admin_project = add(tx, &PROJECT, &project("admin", "Bootstrap project for initializing the cloud."))?;
    add(tx, &PROJECT, &project("service", "Service users of this cloud."))?;
    let admin =
        add(tx, &USER, &json!({"name": "admin", "domain_id": DEFAULT_DOMAIN, "default_project_id": admin_project}))?;
    tx.execute("UPDATE identity_user SET password_hash = ?2 WHERE id = ?1", params![&admin, admin_password_hash])?;
    grants::grant(tx, Target::Project, &admin_project, &admin, role_id("admin"))?;
    grants::grant(tx, Target::Domain, DEFAULT_DOMAIN, &admin, role_id("admin"))?;

    add(tx, &REGION, &json!({"id": config.region}))?;
    for (service_type, name, path) in
        [("identity", "keystone", format!("{}/v3", crate::PATH)), ("network", "neutron", config.network_path.clone())]
    {
        let service = add(tx, &SERVICE, &json!({"type": service_type, "name": name}))?;
        for interface in ["public", "internal", "admin"] {
            add(
                tx,
                &ENDPOINT,
                &json!({"service_id": service, "interface": interface, "region_id": config.region,
                        "url": format!("{BASE_URL}{path}")}),
            )?;
        }
    }
    Ok(())
}

/// Adds an object by the same rules as a request, but with the id that it names; its id.
fn add(tx: &Tx<'_>, resource: &Resource, given: &Json) -> Result<String, IdentityError> {
    let empty = crate::resource::Object::new();
    let given = given.as_object().unwrap_or(&empty);
    let id = given.get("id").and_then(Json::as_str).map_or_else(|| Uuid::new_v4().simple().to_string(), str::to_owned);
    let mut object = resource.parse_create(given, id.clone())?;
    (resource.on_create)(tx, &mut object)?;
    resource.insert(tx, &object)?;
    Ok(id)
}

//! What requests on flavors and service profiles do, and what a flavor means to a router.

use crate::request::nullable;
use crate::{NetworkError, Work};
use network_model::ModelError;
use network_model::router::Provider;
use serde::Deserialize;
use store::{Operation, params};
use uuid::Uuid;

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct FlavorCreate {
    pub name: String,
    pub description: Option<String>,
    pub service_type: String,
    pub enabled: bool,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct FlavorUpdate {
    pub name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
    pub enabled: Option<bool>,
}

/// A checked POST body.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct ServiceProfileCreate {
    pub description: Option<String>,
    pub driver: String,
    pub metainfo: String,
    pub enabled: bool,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct ServiceProfileUpdate {
    #[serde(deserialize_with = "nullable")]
    pub description: Option<Option<String>>,
    pub driver: Option<String>,
    pub metainfo: Option<String>,
    pub enabled: Option<bool>,
}

/// A checked POST body: which profile is brought to which flavor.
#[derive(Debug, Clone, Copy, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct Binding {
    pub id: Uuid,
    pub flavor_id: Uuid,
}

/// Makes a flavor.
pub fn create(work: &Work<'_>, request: &FlavorCreate) -> Result<Uuid, NetworkError> {
    let id = work.new_id();
    work.tx.execute(
        "INSERT INTO flavors (id, name, description, service_type, enabled) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id, &request.name, request.description.as_deref(), &request.service_type, request.enabled],
    )?;
    work.log("flavor", id, Operation::Create, None)?;
    Ok(id)
}

/// Changes a flavor.
pub fn update(work: &Work<'_>, id: Uuid, request: FlavorUpdate) -> Result<(), NetworkError> {
    work.set("flavors", id, "name", request.name)?;
    work.set("flavors", id, "description", request.description)?;
    work.set("flavors", id, "enabled", request.enabled)?;
    work.log("flavor", id, Operation::Update, None)
}

/// Removes a flavor that no router has.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    if work.tx.exists("SELECT 1 FROM routers WHERE flavor_id = ?1", params![id])? {
        return Err(NetworkError::named("FlavorInUse", 409, format!("Flavor {id} is used by some service instance.")));
    }
    work.tx.execute("DELETE FROM flavors WHERE id = ?1", params![id])?;
    work.log("flavor", id, Operation::Delete, None)
}

/// Makes a service profile.
pub fn create_profile(work: &Work<'_>, request: &ServiceProfileCreate) -> Result<Uuid, NetworkError> {
    check_driver(&request.driver)?;
    if request.driver.is_empty() && request.metainfo.is_empty() {
        let message = "Service Profile needs either a driver or metainfo.";
        return Err(NetworkError::named("ServiceProfileEmpty", 400, message));
    }
    let id = work.new_id();
    work.tx.execute(
        "INSERT INTO service_profiles (id, description, driver, metainfo, enabled) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id, request.description.as_deref(), &request.driver, &request.metainfo, request.enabled],
    )?;
    work.log("service_profile", id, Operation::Create, None)?;
    Ok(id)
}

/// Changes a service profile that no flavor has.
pub fn update_profile(work: &Work<'_>, id: Uuid, request: ServiceProfileUpdate) -> Result<(), NetworkError> {
    check_driver(request.driver.as_deref().unwrap_or_default())?;
    check_profile_unused(work, id)?;
    work.set("service_profiles", id, "description", request.description)?;
    work.set("service_profiles", id, "driver", request.driver)?;
    work.set("service_profiles", id, "metainfo", request.metainfo)?;
    work.set("service_profiles", id, "enabled", request.enabled)?;
    work.log("service_profile", id, Operation::Update, None)
}

/// Removes a service profile that no flavor has.
pub fn delete_profile(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    check_profile_unused(work, id)?;
    work.tx.execute("DELETE FROM service_profiles WHERE id = ?1", params![id])?;
    work.log("service_profile", id, Operation::Delete, None)
}

fn check_driver(driver: &str) -> Result<(), NetworkError> {
    if driver.is_empty() || Provider::of_driver(driver).is_some() { Ok(()) } else { Err(driver_not_found(driver)) }
}

fn driver_not_found(driver: &str) -> NetworkError {
    let message = format!("Service Profile driver {driver} could not be found.");
    NetworkError::named("ServiceProfileDriverNotFound", 404, message)
}

fn check_profile_unused(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    if work.tx.exists("SELECT 1 FROM flavor_service_profiles WHERE service_profile_id = ?1", params![id])? {
        let message = format!("Service Profile {id} is used by some service instance.");
        return Err(NetworkError::named("ServiceProfileInUse", 409, message));
    }
    Ok(())
}

/// Brings a profile to a flavor.
pub fn bind(work: &Work<'_>, request: Binding) -> Result<Uuid, NetworkError> {
    let Binding { id: profile, flavor_id } = request;
    if !work.tx.exists("SELECT 1 FROM service_profiles WHERE id = ?1", params![profile])? {
        let message = format!("Service Profile {profile} could not be found.");
        return Err(NetworkError::named("ServiceProfileNotFound", 404, message));
    }
    let id = work.new_id();
    let added = work.tx.execute(
        "INSERT INTO flavor_service_profiles (id, position, flavor_id, service_profile_id)
         VALUES (?1, (SELECT COALESCE(max(position), 0) + 1 FROM flavor_service_profiles WHERE flavor_id = ?2), ?2, ?3)
         ON CONFLICT (flavor_id, service_profile_id) DO NOTHING",
        params![id, flavor_id, profile],
    )?;
    if added == 0 {
        let message = format!("Service Profile {profile} is already associated with flavor {flavor_id}.");
        return Err(NetworkError::named("FlavorServiceProfileBindingExists", 409, message));
    }
    work.log("flavor_service_profile", id, Operation::Create, None)?;
    Ok(id)
}

/// Takes a profile away from a flavor; `id` is that of the binding.
pub fn unbind(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    work.tx.execute("DELETE FROM flavor_service_profiles WHERE id = ?1", params![id])?;
    work.log("flavor_service_profile", id, Operation::Delete, None)
}

/// Who makes routers of a flavor: the driver of its first profile.
pub(crate) fn provider(work: &Work<'_>, flavor: Uuid) -> Result<Provider, NetworkError> {
    if !work.tx.exists("SELECT 1 FROM flavors WHERE id = ?1", params![flavor])? {
        let message = format!("Flavor {flavor} could not be found.");
        return Err(NetworkError::named("FlavorNotFound", 404, message));
    }
    let first: Option<(String, bool)> = work.tx.query_opt(
        "SELECT p.driver, p.enabled FROM flavor_service_profiles b JOIN service_profiles p ON p.id = b.service_profile_id
         WHERE b.flavor_id = ?1 ORDER BY b.position LIMIT 1",
        params![flavor],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let Some((driver, enabled)) = first else {
        let message = format!("Service Profile  is not associated with flavor {flavor}.");
        return Err(NetworkError::named("FlavorServiceProfileBindingNotFound", 404, message));
    };
    if !enabled {
        return Err(NetworkError::named("ServiceProfileDisabled", 503, "Service Profile is not enabled."));
    }
    Provider::of_driver(&driver).ok_or_else(|| driver_not_found(&driver))
}

/// Whether a router of this flavor may become of another kind: only of the one that its provider makes.
pub(crate) fn check_kind_change(
    work: &Work<'_>,
    flavor: Uuid,
    distributed: Option<bool>,
    ha: Option<bool>,
) -> Result<(), NetworkError> {
    if distributed.is_none() && ha.is_none() || provider(work, flavor)?.check(distributed, ha).is_ok() {
        return Ok(());
    }
    let error_message =
        "Changing the 'ha' and 'distributed' attributes on a router associated with a flavor is not supported"
            .to_owned();
    Err(ModelError::InvalidInput { error_message }.into())
}

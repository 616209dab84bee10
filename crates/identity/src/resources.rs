//! The resources of the identity API: what each is made of, and the rules that are its own.

use serde_json::{Value as Json, json};
use store::{Tx, params};

use crate::resource::{Absent, Attribute, Kind, Object, Resource};
use crate::{IdentityError, Scope, TokenInfo};

const fn attribute(name: &'static str, kind: Kind, absent: Absent) -> Attribute {
    Attribute { name, kind, absent, nullable: false, mutable: true, show_null: true }
}
impl Attribute {
    const fn nullable(self) -> Self {
        Self { nullable: true, ..self }
    }
    const fn fixed(self) -> Self {
        Self { mutable: false, ..self }
    }
    const fn hidden_when_null(self) -> Self {
        Self { show_null: false, ..self }
    }
}

const NAME_64: Attribute = attribute("name", Kind::Text { min: 1, max: 64 }, Absent::Refused);
const NAME_255: Attribute = attribute("name", Kind::Text { min: 1, max: 255 }, Absent::Refused);
const TEXT: Kind = Kind::Text { min: 0, max: 4096 };
const DESCRIPTION: Attribute = attribute("description", TEXT, Absent::Text("")).nullable();
const ENABLED: Attribute = attribute("enabled", Kind::Bool, Absent::Bool(true));
const DOMAIN_ID: Attribute = attribute("domain_id", Kind::Id, Absent::ByRule).fixed();
const TAGS: Attribute = attribute("tags", Kind::Tags, Absent::Empty);
const OPTIONS: Attribute = attribute("options", Kind::Options, Absent::Empty);

/// Every resource with the ordinary five calls.
static ALL: [&Resource; 7] = [&DOMAIN, &PROJECT, &USER, &ROLE, &REGION, &SERVICE, &ENDPOINT];

/// The resource whose collection is at `/v3/{plural}`.
pub(crate) fn by_plural(plural: &str) -> Option<&'static Resource> {
    ALL.into_iter().find(|resource| resource.plural == plural)
}

/// A name space of projects and users.
pub(crate) static DOMAIN: Resource = Resource {
    singular: "domain",
    plural: "domains",
    table: "identity_domain",
    attributes: &[NAME_64, DESCRIPTION, ENABLED, TAGS, OPTIONS],
    client_id: false,
    visible: |token, domain| {
        let id = text(domain, "id");
        token.user.domain.id == id || token.scope.domain_id() == Some(id)
    },
    listable: false,
    on_create: |_, _| Ok(()),
    on_update: |_, before, changes| immutable(before, changes, "domain"),
    on_delete: |_, domain| {
        immutable_delete(domain, "domain")?;
        if domain.get("enabled") == Some(&Json::Bool(true)) {
            return Err(IdentityError::forbidden("cannot delete a domain that is enabled, please disable it first"));
        }
        // Its users, projects and all their roles go with it by the references of the tables.
        Ok(())
    },
    derive: |_| {},
};

/// What owns networks, ports, ...
pub(crate) static PROJECT: Resource = Resource {
    singular: "project",
    plural: "projects",
    table: "identity_project",
    attributes: &[
        NAME_64,
        DOMAIN_ID,
        DESCRIPTION,
        ENABLED,
        attribute("parent_id", Kind::Id, Absent::Null).nullable().fixed(),
        attribute("is_domain", Kind::Bool, Absent::Bool(false)).fixed(),
        TAGS,
        OPTIONS,
    ],
    client_id: false,
    visible: |token, project| token.project_id() == Some(text(project, "id")),
    listable: false,
    on_create: |tx, project| {
        domain_exists(tx, project)?;
        if project.get("is_domain") == Some(&Json::Bool(true)) {
            return Err(IdentityError::bad_request("Projects that act as domains are not supported: create a domain."));
        }
        let domain_id = text(project, "domain_id").to_owned();
        let parent_id = match project.get("parent_id").and_then(Json::as_str) {
            None => domain_id,
            Some(parent) if parent == domain_id => domain_id,
            Some(parent) => {
                let found = PROJECT.get(tx, parent)?;
                if text(&found, "domain_id") != domain_id {
                    return Err(IdentityError::bad_request("The parent project is in another domain."));
                }
                parent.to_owned()
            }
        };
        project.insert("parent_id".to_owned(), Json::String(parent_id));
        Ok(())
    },
    on_update: |_, before, changes| immutable(before, changes, "project"),
    on_delete: |tx, project| {
        immutable_delete(project, "project")?;
        if tx.exists("SELECT 1 FROM identity_project WHERE parent_id = ?1", params![text(project, "id")])? {
            return Err(IdentityError::forbidden(format!(
                "cannot delete the project {} since it is not a leaf in the hierarchy",
                text(project, "id")
            )));
        }
        Ok(())
    },
    derive: |_| {},
};

/// Who can authenticate.
pub(crate) static USER: Resource = Resource {
    singular: "user",
    plural: "users",
    table: "identity_user",
    attributes: &[
        NAME_255,
        DOMAIN_ID,
        ENABLED,
        attribute("default_project_id", Kind::Id, Absent::Null).nullable().hidden_when_null(),
        attribute("description", TEXT, Absent::Null).nullable().hidden_when_null(),
        attribute("email", Kind::Text { min: 0, max: 255 }, Absent::Null).nullable().hidden_when_null(),
        OPTIONS,
    ],
    client_id: false,
    visible: |token, user| token.user.id == text(user, "id"),
    listable: false,
    on_create: domain_exists_rule,
    on_update: |_, _, _| Ok(()),
    on_delete: |_, _| Ok(()),
    derive: |user| {
        user.insert("password_expires_at".to_owned(), Json::Null);
    },
};

/// A name that policies speak of.
pub(crate) static ROLE: Resource = Resource {
    singular: "role",
    plural: "roles",
    table: "identity_role",
    attributes: &[
        NAME_255,
        attribute("domain_id", Kind::Id, Absent::Null).nullable().fixed(),
        attribute("description", TEXT, Absent::Null).nullable(),
        OPTIONS,
    ],
    client_id: false,
    visible: |_, _| false,
    listable: false,
    on_create: |_, role| match role.get("domain_id") {
        None | Some(Json::Null) => Ok(()),
        Some(_) => Err(IdentityError::bad_request("Roles of a domain are not supported.")),
    },
    on_update: |_, before, changes| immutable(before, changes, "role"),
    on_delete: |_, role| immutable_delete(role, "role"),
    derive: |_| {},
};

/// A part of the cloud with its own endpoints.
pub(crate) static REGION: Resource = Resource {
    singular: "region",
    plural: "regions",
    table: "identity_region",
    attributes: &[
        attribute("description", TEXT, Absent::Text("")),
        attribute("parent_region_id", Kind::Id, Absent::Null).nullable(),
    ],
    client_id: true,
    visible: |_, _| true,
    listable: true,
    on_create: |tx, region| not_its_own_ancestor(tx, text(region, "id"), region),
    on_update: |tx, before, changes| not_its_own_ancestor(tx, text(before, "id"), changes),
    on_delete: |tx, region| {
        let used = tx.exists(
            "SELECT 1 FROM identity_endpoint WHERE region_id = ?1 UNION SELECT 1 FROM identity_region WHERE parent_region_id = ?1",
            params![text(region, "id")],
        )?;
        if used {
            return Err(IdentityError::forbidden(format!(
                "unable to delete region {} because it or its child regions have associated endpoints",
                text(region, "id")
            )));
        }
        Ok(())
    },
    derive: |_| {},
};

/// A service of the catalogue.
pub(crate) static SERVICE: Resource = Resource {
    singular: "service",
    plural: "services",
    table: "identity_service",
    attributes: &[
        attribute("type", Kind::Text { min: 1, max: 255 }, Absent::Refused),
        attribute("name", Kind::Text { min: 0, max: 255 }, Absent::Null).nullable().hidden_when_null(),
        attribute("description", TEXT, Absent::Null).nullable().hidden_when_null(),
        ENABLED,
    ],
    client_id: false,
    visible: |_, _| false,
    listable: false,
    on_create: |_, _| Ok(()),
    on_update: |_, _, _| Ok(()),
    on_delete: |_, _| Ok(()),
    derive: |_| {},
};

/// Where a service of the catalogue can be reached.
pub(crate) static ENDPOINT: Resource = Resource {
    singular: "endpoint",
    plural: "endpoints",
    table: "identity_endpoint",
    attributes: &[
        attribute("service_id", Kind::Id, Absent::Refused),
        attribute("interface", Kind::Choice(&["public", "internal", "admin"]), Absent::Refused),
        attribute("region_id", Kind::Id, Absent::Null).nullable(),
        attribute("url", Kind::Text { min: 1, max: 4096 }, Absent::Refused),
        ENABLED,
    ],
    client_id: false,
    visible: |_, _| false,
    listable: false,
    on_create: endpoint_region,
    on_update: |tx, _, changes| endpoint_region(tx, changes),
    on_delete: |_, _| Ok(()),
    derive: |endpoint| {
        let region = endpoint.get("region_id").cloned().unwrap_or(Json::Null);
        endpoint.insert("region".to_owned(), region);
    },
};

/// A text attribute; "" when it is absent or something else.
pub(crate) fn text<'o>(object: &'o Object, name: &str) -> &'o str {
    object.get(name).and_then(Json::as_str).unwrap_or_default()
}

/// The domain that a new project or user is in when the request names none: that of the caller's scope.
pub(crate) fn default_domain(token: &TokenInfo) -> &str {
    match &token.scope {
        Scope::Domain(domain) => &domain.id,
        Scope::Project(project) => &project.domain.id,
        Scope::Unscoped => &token.user.domain.id,
    }
}

fn domain_exists(tx: &Tx<'_>, object: &Object) -> Result<(), IdentityError> {
    DOMAIN.get(tx, text(object, "domain_id")).map(|_| ())
}

fn domain_exists_rule(tx: &Tx<'_>, object: &mut Object) -> Result<(), IdentityError> {
    domain_exists(tx, object)
}

/// The older `region` (made when new) and the newer `region_id` (must exist) mean the same.
fn endpoint_region(tx: &Tx<'_>, endpoint: &mut Object) -> Result<(), IdentityError> {
    match endpoint.remove("region") {
        None | Some(Json::Null) => {}
        Some(Json::String(region)) => {
            crate::resource::check_text("region", &region, 1, crate::resource::MAX_ID)?;
            if REGION.find(tx, &region)?.is_none() {
                let new = json!({"id": region, "description": "", "parent_region_id": null});
                if let Json::Object(new) = new {
                    REGION.insert(tx, &new)?;
                }
            }
            endpoint.insert("region_id".to_owned(), Json::String(region));
        }
        Some(_) => return Err(IdentityError::bad_request("'region' must be a string")),
    }
    Ok(())
}

/// A region must not be below itself: walks up from the parent that it is to have.
fn not_its_own_ancestor(tx: &Tx<'_>, id: &str, region: &Object) -> Result<(), IdentityError> {
    let parent = |region: &Object| region.get("parent_region_id").and_then(Json::as_str).map(str::to_owned);
    let mut above = parent(region);
    while let Some(ancestor) = above {
        if ancestor == id {
            return Err(IdentityError::bad_request("A region cannot be its own ancestor."));
        }
        above = REGION.find(tx, &ancestor)?.as_ref().and_then(parent);
    }
    Ok(())
}

fn is_immutable(object: &Object) -> bool {
    object.get("options").and_then(|options| options.get("immutable")) == Some(&Json::Bool(true))
}

/// An immutable object can be changed only by making it mutable, and nothing else in the same request.
fn immutable(before: &Object, changes: &mut Object, kind: &str) -> Result<(), IdentityError> {
    let releases = changes.get("options").and_then(|options| options.get("immutable")) == Some(&Json::Bool(false));
    if is_immutable(before) && !(releases && changes.len() == 1) {
        return Err(IdentityError::forbidden(format!(
            "cannot update {kind} {} since it is immutable",
            text(before, "id")
        )));
    }
    Ok(())
}

fn immutable_delete(object: &Object, kind: &str) -> Result<(), IdentityError> {
    if is_immutable(object) {
        return Err(IdentityError::forbidden(format!(
            "cannot delete {kind} {} since it is immutable",
            text(object, "id")
        )));
    }
    Ok(())
}

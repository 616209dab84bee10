//! Who has which role on what, and which role implies which.

use axum::http::Method;
use serde_json::{Value as Json, json};
use store::Snapshot;

use super::{Answer, Answered, Call};
use crate::grants::{self, AssignedOn, Assignment, Filter, Target};
use crate::http::collections::presented;
use crate::info::Named;
use crate::resource::Resource;
use crate::resources::{DOMAIN, PROJECT, ROLE, USER};
use crate::{Identity, IdentityError};

fn target_resource(kind: Target) -> &'static Resource {
    match kind {
        Target::Project => &PROJECT,
        Target::Domain => &DOMAIN,
    }
}

/// The 404 of whichever of the three is not there.
fn all_exist(
    snapshot: &Snapshot<'_>,
    kind: Target,
    target: &str,
    user: &str,
    role: Option<&str>,
) -> Result<(), IdentityError> {
    target_resource(kind).get(snapshot, target)?;
    USER.get(snapshot, user)?;
    role.map_or(Ok(()), |role| ROLE.get(snapshot, role).map(|_| ()))
}

/// `PUT`, `HEAD`, `GET`, `DELETE /v3/projects/{id}/users/{id}/roles/{id}`, and for domains.
pub(super) async fn one(
    identity: &Identity,
    call: Call,
    kind: Target,
    target: &str,
    user: &str,
    role: &str,
) -> Answered {
    let action = match call.method {
        Method::PUT => "identity:create_grant",
        Method::DELETE => "identity:revoke_grant",
        Method::GET | Method::HEAD => "identity:check_grant",
        _ => return Err(IdentityError::NoMethod),
    };
    identity.administrator(&call, action)?;
    let (target, user, role) = (target.to_owned(), user.to_owned(), role.to_owned());
    let missing = IdentityError::NotFound {
        kind: "role assignment",
        id: format!("role {role} of user {user} on {} {target}", target_resource(kind).singular),
    };
    let method = call.method;
    let there = if method == Method::GET || method == Method::HEAD {
        let look = move |snapshot: &Snapshot<'_>| {
            all_exist(snapshot, kind, &target, &user, Some(&role))?;
            Ok::<_, IdentityError>(grants::direct(snapshot, kind, &target, &user)?.contains(&role))
        };
        identity.inner.store.read(look).await?
    } else {
        let gives = method == Method::PUT;
        identity
            .change(move |tx| {
                all_exist(tx, kind, &target, &user, Some(&role))?;
                if gives {
                    grants::grant(tx, kind, &target, &user, &role)?;
                    Ok(true)
                } else {
                    Ok(grants::revoke(tx, kind, &target, &user, &role)?)
                }
            })
            .await?
    };
    if there { Ok(Answer::no_content()) } else { Err(missing) }
}

/// `GET /v3/projects/{id}/users/{id}/roles`, and for domains.
pub(super) async fn of_user(identity: &Identity, call: Call, kind: Target, target: &str, user: &str) -> Answered {
    identity.administrator(&call, "identity:list_grants")?;
    let (target, user) = (target.to_owned(), user.to_owned());
    let body = identity
        .inner
        .store
        .read(move |snapshot| {
            all_exist(snapshot, kind, &target, &user, None)?;
            let mut roles = Vec::new();
            for id in grants::direct(snapshot, kind, &target, &user)? {
                roles.push(presented(&ROLE, ROLE.get(snapshot, &id)?, &call));
            }
            Ok::<_, IdentityError>(json!({"roles": roles, "links": call.list_links()}))
        })
        .await?;
    Ok(Answer::ok(body))
}

/// `GET /v3/role_assignments?user.id=...&scope.project.id=...&effective&include_names`
pub(super) async fn list(identity: &Identity, call: Call) -> Answered {
    identity.administrator(&call, "identity:list_role_assignments")?;
    let id = |name: &str| call.parameter(name).map(str::to_owned);
    let filter = Filter {
        user: id("user.id"),
        role: id("role.id"),
        project: id("scope.project.id"),
        domain: id("scope.domain.id"),
        effective: call.flag("effective"),
    };
    if filter.project.is_some() && filter.domain.is_some() {
        return Err(IdentityError::bad_request("Specify a domain or project, not both."));
    }
    // Neither groups nor the system nor inheritance have assignments here: a filter for them finds none.
    let elsewhere = ["group.id", "scope.system", "scope.OS-INHERIT:inherited_to"];
    let none = elsewhere.iter().any(|name| call.parameter(name).is_some());
    let names = call.flag("include_names");
    let body = identity
        .inner
        .store
        .read(move |snapshot| {
            let found = if none { Vec::new() } else { grants::list(snapshot, &filter)? };
            let shown: Vec<Json> = found.iter().map(|one| assignment(one, names, &call)).collect();
            Ok::<_, IdentityError>(json!({"role_assignments": shown, "links": call.list_links()}))
        })
        .await?;
    Ok(Answer::ok(body))
}

fn assignment(one: &Assignment, names: bool, call: &Call) -> Json {
    let (plural, singular, target_id, target) = match &one.target {
        AssignedOn::Project(project) => ("projects", "project", &project.id, json!(project)),
        AssignedOn::Domain(domain) => ("domains", "domain", &domain.id, json!(domain)),
    };
    // The assignment that exists is of the role that was given; an implied one has its prior role's.
    let given = one.prior.as_ref().unwrap_or(&one.role.id);
    let mut links = json!({
        "assignment": format!("{}/{plural}/{target_id}/users/{}/roles/{given}", call.v3(), one.user.id),
    });
    if let Some(prior) = &one.prior {
        links["prior_role"] = json!(format!("{}/prior_roles/{prior}/implies/{}", call.v3(), one.role.id));
    }
    if names {
        json!({"user": one.user, "role": one.role, "scope": {singular: target}, "links": links})
    } else {
        json!({"user": {"id": one.user.id}, "role": {"id": one.role.id}, "scope": {singular: {"id": target_id}}, "links": links})
    }
}

fn linked(role: &Named, call: &Call) -> Json {
    json!({"id": role.id, "name": role.name, "links": {"self": format!("{}/roles/{}", call.v3(), role.id)}})
}

/// `GET /v3/role_inferences`
pub(super) async fn inferences(identity: &Identity, call: Call) -> Answered {
    identity.administrator(&call, "identity:list_role_inference_rules")?;
    let body = identity
        .inner
        .store
        .read(move |snapshot| {
            let mut rules: Vec<(Named, Vec<Json>)> = Vec::new();
            for (prior, implied) in grants::implications(snapshot, None)? {
                match rules.last_mut() {
                    Some((last, implies)) if *last == prior => implies.push(linked(&implied, &call)),
                    _ => rules.push((prior, vec![linked(&implied, &call)])),
                }
            }
            let rules: Vec<Json> = (rules.into_iter())
                .map(|(prior, implies)| json!({"prior_role": linked(&prior, &call), "implies": implies}))
                .collect();
            Ok::<_, IdentityError>(json!({"role_inferences": rules, "links": call.list_links()}))
        })
        .await?;
    Ok(Answer::ok(body))
}

/// `GET /v3/roles/{id}/implies`
pub(super) async fn implied_by(identity: &Identity, call: Call, prior: &str) -> Answered {
    identity.administrator(&call, "identity:list_implied_roles")?;
    let prior = prior.to_owned();
    let body = identity
        .inner
        .store
        .read(move |snapshot| {
            ROLE.get(snapshot, &prior)?;
            let rules = grants::implications(snapshot, Some(&prior))?;
            let implies: Vec<Json> = rules.iter().map(|(_, implied)| linked(implied, &call)).collect();
            let prior_role = rules.first().map_or_else(|| json!({"id": prior}), |(prior, _)| linked(prior, &call));
            Ok::<_, IdentityError>(json!({
                "role_inference": {"prior_role": prior_role, "implies": implies}, "links": call.list_links(),
            }))
        })
        .await?;
    Ok(Answer::ok(body))
}

/// `PUT`, `HEAD`, `GET`, `DELETE /v3/roles/{id}/implies/{id}`
pub(super) async fn implication(identity: &Identity, call: Call, prior: &str, implied: &str) -> Answered {
    let action = match call.method {
        Method::PUT => "identity:create_implied_role",
        Method::DELETE => "identity:delete_implied_role",
        Method::GET | Method::HEAD => "identity:get_implied_role",
        _ => return Err(IdentityError::NoMethod),
    };
    identity.administrator(&call, action)?;
    let method = call.method.clone();
    let (prior, implied) = (prior.to_owned(), implied.to_owned());
    let missing = IdentityError::NotFound { kind: "implied role", id: format!("{prior} implies {implied}") };
    let found = identity
        .change(move |tx| {
            let (prior_role, implied_role) = (ROLE.get(tx, &prior)?, ROLE.get(tx, &implied)?);
            if method == Method::DELETE {
                return Ok(grants::unimply(tx, &prior, &implied)?.then_some((prior_role, implied_role)));
            }
            if method == Method::PUT {
                grants::imply(tx, &prior, &implied)?;
            }
            let known = grants::implications(tx, Some(&prior))?.iter().any(|(_, role)| role.id == implied);
            Ok(known.then_some((prior_role, implied_role)))
        })
        .await?;
    let Some((prior, implied)) = found else { return Err(missing) };
    if call.method == Method::DELETE {
        return Ok(Answer::no_content());
    }
    let body = json!({"role_inference": {
        "prior_role": presented(&ROLE, prior, &call), "implies": presented(&ROLE, implied, &call),
    }});
    Ok(if call.method == Method::PUT { Answer::created(body) } else { Answer::ok(body) })
}

//! Writes Neutronium into a Keystone's catalogue, and makes its service user. Doing it again changes nothing.

use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secret::Secret;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Call, Interface, KeystoneError, Session, To};

/// What the catalogue shall say.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The service's name (`neutron`), by which it is told from others of the same type.
    pub service: String,
    /// The region of the endpoints; made if it is not there.
    pub region: String,
    /// Where the networking API is, for each kind of client.
    pub endpoints: Vec<(Interface, String)>,
    /// The user that Neutronium signs in as.
    pub user: Option<ServiceUser>,
}

/// The user that Neutronium signs in as.
#[derive(Debug, Clone)]
pub struct ServiceUser {
    /// Its name.
    pub name: String,
    /// The password that it gets when it is made; one that is there keeps its own.
    pub password: Secret,
    /// The project in which it has its roles; made if it is not there.
    pub project: String,
    /// The name of the domain of both.
    pub domain: String,
    /// The names of its roles there; they must exist.
    pub roles: Vec<String>,
}

/// What was found or done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was not there.
    Created,
    /// It was there and said something else.
    Updated,
    /// It was there already.
    Unchanged,
}

/// One thing in Keystone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// `region`, `service`, `endpoint`, `project`, `user` or `role`.
    pub kind: &'static str,
    /// Its name; of an endpoint: interface and URL; of a role: who has it where.
    pub name: String,
    /// Its id in Keystone.
    pub id: String,
    /// What was done.
    pub outcome: Outcome,
}

/// The type under which clients look for networking.
const SERVICE_TYPE: &str = "network";

/// Brings Keystone to what is wanted, step by step; the steps that were taken, in order. The session's user must be an
/// administrator.
pub async fn register(session: &Session, wanted: &Registration) -> Result<Vec<Entry>, KeystoneError> {
    let keystone = Keystone(session);
    let mut done = vec![keystone.region(&wanted.region).await?];
    let service = keystone.service(&wanted.service).await?;
    let service_id = service.id.clone();
    done.push(service);
    for (interface, url) in &wanted.endpoints {
        done.push(keystone.endpoint(&service_id, &wanted.region, *interface, url).await?);
    }
    if let Some(user) = &wanted.user {
        keystone.user(user, &mut done).await?;
    }
    Ok(done)
}

struct Keystone<'a>(&'a Session);

impl Keystone<'_> {
    async fn get(&self, path: &str) -> Result<Value, KeystoneError> {
        self.0.json(To::Keystone, &Call::get(path)).await
    }

    /// The objects of a collection that a query finds.
    async fn list(&self, plural: &str, query: &[(&str, &str)]) -> Result<Vec<Value>, KeystoneError> {
        let query: Vec<String> = query
            .iter()
            .map(|(key, value)| format!("{key}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
            .collect();
        let answer = self.get(&format!("/{plural}?{}", query.join("&"))).await?;
        Ok(answer.get(plural).and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// Makes or changes an object; its id.
    async fn write(&self, method: Method, path: &str, kind: &str, members: Value) -> Result<String, KeystoneError> {
        let call = Call::with(method, path, Some(json!({ kind: members })));
        let answer = self.0.json(To::Keystone, &call).await?;
        id(answer.get(kind).unwrap_or(&Value::Null), path)
    }

    async fn region(&self, name: &str) -> Result<Entry, KeystoneError> {
        let found = self
            .0
            .call(To::Keystone, &Call::get(format!("/regions/{}", utf8_percent_encode(name, NON_ALPHANUMERIC))))
            .await?;
        let outcome = if found.status == 404 {
            self.write(Method::POST, "/regions", "region", json!({"id": name})).await?;
            Outcome::Created
        } else {
            found.into_json("GET /regions")?;
            Outcome::Unchanged
        };
        Ok(Entry { kind: "region", name: name.to_owned(), id: name.to_owned(), outcome })
    }

    async fn service(&self, name: &str) -> Result<Entry, KeystoneError> {
        let found = self.list("services", &[("type", SERVICE_TYPE)]).await?;
        let named = found.iter().find(|service| text(service, "name") == Some(name));
        let (id, outcome) = match (named, found.as_slice()) {
            (Some(service), _) => (id(service, "/services")?, Outcome::Unchanged),
            (None, []) => {
                let members = json!({"type": SERVICE_TYPE, "name": name, "description": "OpenStack Networking"});
                (self.write(Method::POST, "/services", "service", members).await?, Outcome::Created)
            }
            // Clients take the first service of a type: a second one would be seen by some of them only.
            (None, others) => {
                let names: Vec<&str> = others.iter().filter_map(|service| text(service, "name")).collect();
                return Err(KeystoneError::Config(format!(
                    "the catalogue has another service of type {SERVICE_TYPE} already ({}): name it by --service-name to take \
                     it over, or delete it",
                    names.join(", ")
                )));
            }
        };
        Ok(Entry { kind: "service", name: name.to_owned(), id, outcome })
    }

    async fn endpoint(
        &self,
        service: &str,
        region: &str,
        interface: Interface,
        url: &str,
    ) -> Result<Entry, KeystoneError> {
        let query = [("service_id", service), ("interface", interface.as_str()), ("region_id", region)];
        let found = self.list("endpoints", &query).await?;
        let good = |endpoint: &&Value| {
            text(endpoint, "url") == Some(url) && endpoint.get("enabled") != Some(&Value::Bool(false))
        };
        let (id, outcome) = match (found.iter().find(good), found.first()) {
            (Some(endpoint), _) => (id(endpoint, "/endpoints")?, Outcome::Unchanged),
            (None, Some(other)) => {
                let path = format!("/endpoints/{}", id(other, "/endpoints")?);
                let members = json!({"url": url, "enabled": true});
                (self.write(Method::PATCH, &path, "endpoint", members).await?, Outcome::Updated)
            }
            (None, None) => {
                let members = json!({
                    "service_id": service, "interface": interface.as_str(), "region_id": region, "url": url,
                });
                (self.write(Method::POST, "/endpoints", "endpoint", members).await?, Outcome::Created)
            }
        };
        Ok(Entry { kind: "endpoint", name: format!("{} {url}", interface.as_str()), id, outcome })
    }

    async fn user(&self, wanted: &ServiceUser, done: &mut Vec<Entry>) -> Result<(), KeystoneError> {
        let domains = self.list("domains", &[("name", &wanted.domain)]).await?;
        let domain = domains.first().ok_or_else(|| KeystoneError::Config(format!("no domain {}", wanted.domain)))?;
        let domain = id(domain, "/domains")?;

        let members = json!({"name": wanted.project, "domain_id": domain});
        let project = self.named("project", &wanted.project, Some(&domain), members).await?;
        let members = json!({"name": wanted.name, "domain_id": domain, "password": wanted.password.reveal()});
        let user = self.named("user", &wanted.name, Some(&domain), members).await?;
        let (project_id, user_id) = (project.id.clone(), user.id.clone());
        done.extend([project, user]);

        for role in &wanted.roles {
            let found = self.list("roles", &[("name", role)]).await?;
            let role_id = found.first().map(|role| id(role, "/roles")).transpose()?;
            let role_id = role_id.ok_or_else(|| KeystoneError::Config(format!("no role {role}")))?;
            let path = format!("/projects/{project_id}/users/{user_id}/roles/{role_id}");
            let has = self.0.call(To::Keystone, &Call::with(Method::HEAD, &path, None)).await?;
            let outcome = if has.status == 404 {
                self.0.json(To::Keystone, &Call::with(Method::PUT, &path, None)).await?;
                Outcome::Created
            } else {
                has.into_json(&path)?;
                Outcome::Unchanged
            };
            let name = format!("{role} of {} in {}", wanted.name, wanted.project);
            done.push(Entry { kind: "role", name, id: role_id, outcome });
        }
        Ok(())
    }

    /// An object that is told by its name, made if it is not there.
    async fn named(
        &self,
        kind: &'static str,
        name: &str,
        domain: Option<&str>,
        members: Value,
    ) -> Result<Entry, KeystoneError> {
        let plural = format!("{kind}s");
        let query: Vec<(&str, &str)> =
            std::iter::once(("name", name)).chain(domain.map(|domain| ("domain_id", domain))).collect();
        let (id, outcome) = match self.list(&plural, &query).await?.first() {
            Some(found) => (id(found, &plural)?, Outcome::Unchanged),
            None => (self.write(Method::POST, &format!("/{plural}"), kind, members).await?, Outcome::Created),
        };
        Ok(Entry { kind, name: name.to_owned(), id, outcome })
    }
}

fn text<'v>(object: &'v Value, name: &str) -> Option<&'v str> {
    object.get(name)?.as_str()
}

fn id(object: &Value, asked: &str) -> Result<String, KeystoneError> {
    let broken = || KeystoneError::Broken { url: asked.to_owned(), reason: "an object came without an id".to_owned() };
    text(object, "id").map(str::to_owned).ok_or_else(broken)
}

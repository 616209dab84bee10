//! What Keystone says of a token: `{"token": {...}}` of `GET /v3/auth/tokens`, as far as it concerns us. Pure.

use jiff::Timestamp;
use serde::Deserialize;

/// What the roles are good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Nothing.
    Unscoped,
    /// One project, by id.
    Project(String),
    /// One domain, by id.
    Domain(String),
    /// The whole cloud's infrastructure.
    System,
}

/// A token that Keystone knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// The user's id.
    pub user_id: String,
    /// What the roles are good for.
    pub scope: Scope,
    /// The names of the roles, implied ones included.
    pub roles: Vec<String>,
    /// Whether the project is the cloud's administrators' (where Keystone does not name one: every project is).
    pub is_admin_project: bool,
    /// From when on the token is no good.
    pub expires_at: Timestamp,
    /// The only requests that the token may make; none: any that the roles allow.
    pub access_rules: Option<Vec<AccessRule>>,
}

/// One kind of request that the token of a restricted application credential may make.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AccessRule {
    /// The service's type (`network`).
    pub service: String,
    /// The HTTP method.
    pub method: String,
    /// The path, with `{tags}`, `*` and `**`.
    pub path: String,
}

#[derive(Deserialize)]
struct Document {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    user: Id,
    project: Option<Id>,
    domain: Option<Id>,
    system: Option<System>,
    #[serde(default)]
    roles: Vec<Name>,
    is_admin_project: Option<bool>,
    expires_at: Timestamp,
    application_credential: Option<ApplicationCredential>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
struct System {
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize)]
struct ApplicationCredential {
    access_rules: Option<Vec<AccessRule>>,
}

impl TokenInfo {
    /// Reads the document; the error says what is wrong with it, without its content.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let Document { token } = serde_json::from_slice(body)
            .map_err(|error| format!("no token document (line {}, column {})", error.line(), error.column()))?;
        let scope = match (token.system, token.domain, token.project) {
            (Some(System { all: true }), _, _) => Scope::System,
            (_, Some(domain), _) => Scope::Domain(domain.id),
            (_, _, Some(project)) => Scope::Project(project.id),
            _ => Scope::Unscoped,
        };
        Ok(Self {
            user_id: token.user.id,
            scope,
            roles: token.roles.into_iter().map(|role| role.name).collect(),
            is_admin_project: token.is_admin_project.unwrap_or(true),
            expires_at: token.expires_at,
            access_rules: token.application_credential.and_then(|credential| credential.access_rules),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parsed(members: Value) -> TokenInfo {
        let mut token = json!({
            "methods": ["password"], "user": {"id": "u", "name": "n", "domain": {"id": "default", "name": "Default"}},
            "issued_at": "2026-11-21T12:00:00.000000Z", "expires_at": "2026-11-21T13:00:00.000000Z",
        });
        token.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        TokenInfo::parse(json!({"token": token}).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn each_scope_is_told() {
        assert_eq!(parsed(json!({})).scope, Scope::Unscoped);
        assert_eq!(parsed(json!({"project": {"id": "p", "name": "x"}})).scope, Scope::Project("p".into()));
        assert_eq!(parsed(json!({"domain": {"id": "d"}})).scope, Scope::Domain("d".into()));
        assert_eq!(parsed(json!({"system": {"all": true}})).scope, Scope::System);
        assert_eq!(parsed(json!({"system": {}})).scope, Scope::Unscoped);
    }

    #[test]
    fn roles_and_admin_project_are_told() {
        let info = parsed(json!({"roles": [{"id": "1", "name": "admin"}], "is_admin_project": false}));
        assert_eq!((info.roles.as_slice(), info.is_admin_project), (["admin".to_owned()].as_slice(), false));
        assert!(parsed(json!({})).is_admin_project);
        assert_eq!(info.expires_at.to_string(), "2026-11-21T13:00:00Z");
    }

    #[test]
    fn access_rules_are_told_and_none_is_not_an_empty_list() {
        let rule = json!({"id": "r", "service": "network", "method": "GET", "path": "/v2.0/**"});
        assert_eq!(parsed(json!({"application_credential": {"id": "a"}})).access_rules, None);
        assert_eq!(parsed(json!({"application_credential": {"access_rules": []}})).access_rules, Some(Vec::new()));
        let rules = parsed(json!({"application_credential": {"access_rules": [rule]}})).access_rules.unwrap();
        assert_eq!(rules[0].path, "/v2.0/**");
    }

    #[test]
    fn an_error_repeats_nothing_of_the_document() {
        let said = TokenInfo::parse(br#"{"token": {"user": "hunter2"}}"#).unwrap_err();
        assert!(!said.contains("hunter2"), "{said}");
    }
}

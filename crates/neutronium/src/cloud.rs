//! A small client of the cloud's own API, as the `OS_*` environment or a lab describes it: a password for a token, the
//! catalogue for the networking endpoint, JSON requests. What the probe commands need and no more.

use std::collections::BTreeMap;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// What went wrong between us and the cloud.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// The environment says too little.
    #[error("{0} is not set: source an openrc, or name a lab that is up by --lab")]
    Unset(&'static str),
    /// A URL that we cannot use.
    #[error("cannot use the URL {0}: only http://HOST[:PORT]/... is understood")]
    Url(String),
    /// Nobody there.
    #[error("cannot reach {0}")]
    Unreachable(String, #[source] std::io::Error),
    /// The connection broke.
    #[error("{url} did not answer properly: {reason}")]
    Broken {
        /// What was asked.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The cloud refused.
    #[error("{method} {path}: {message} (HTTP {status})")]
    Refused {
        /// The verb.
        method: Method,
        /// The path.
        path: String,
        /// The status code.
        status: u16,
        /// The cloud's words.
        message: String,
    },
    /// The catalogue has no networking.
    #[error("the catalogue has no public endpoint of type network")]
    NoNetworking,
    /// Nothing, or more than one thing, has that name.
    #[error("there {} {kind} \"{name}\"", if *.found == 0 { "is no".to_owned() } else { format!("are {found} of") })]
    NotOne {
        /// Of what kind.
        kind: &'static str,
        /// The name or id.
        name: String,
        /// How many there are.
        found: usize,
    },
}

/// The `OS_*` variables.
pub type Environment = BTreeMap<String, String>;

/// A token and where to use it.
pub struct Cloud {
    token: String,
    networking: String,
}

impl Cloud {
    /// Signs in.
    pub async fn sign_in(environment: &Environment) -> Result<Self, CloudError> {
        let get = |name: &'static str| environment.get(name).ok_or(CloudError::Unset(name));
        let or_default = |name: &str| environment.get(name).map_or("Default", String::as_str);
        let body = json!({ "auth": {
            "identity": { "methods": ["password"], "password": { "user": {
                "name": get("OS_USERNAME")?, "password": get("OS_PASSWORD")?,
                "domain": { "name": or_default("OS_USER_DOMAIN_NAME") },
            }}},
            "scope": { "project": {
                "name": get("OS_PROJECT_NAME")?, "domain": { "name": or_default("OS_PROJECT_DOMAIN_NAME") },
            }},
        }});
        let url = get("OS_AUTH_URL")?.trim_end_matches('/');
        let url = if url.ends_with("/v3") { format!("{url}/auth/tokens") } else { format!("{url}/v3/auth/tokens") };
        let (token, answer) = request(Method::POST, &url, None, Some(&body)).await?;
        let token = token.ok_or_else(|| CloudError::Broken { url, reason: "no token came".to_owned() })?;
        let networking = public_endpoint(&answer, "network").ok_or(CloudError::NoNetworking)?;
        Ok(Self { token, networking })
    }

    /// Asks the networking API; `path` is what follows `/v2.0/`.
    pub async fn networking(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, CloudError> {
        let base = self.networking.trim_end_matches('/').trim_end_matches("/v2.0");
        let url = format!("{base}/v2.0/{path}");
        request(method, &url, Some(&self.token), body).await.map(|(_, answer)| answer)
    }

    /// The one object of a collection with that name or id.
    pub async fn find(&self, collection: &'static str, name: &str) -> Result<Value, CloudError> {
        let mut found = Vec::new();
        for key in ["id", "name"] {
            let answer = self.networking(Method::GET, &with_value(collection, key, name), None).await?;
            found = answer.get(collection.replace('-', "_")).and_then(Value::as_array).cloned().unwrap_or_default();
            if !found.is_empty() {
                break;
            }
        }
        let kind = collection.strip_suffix('s').unwrap_or(collection);
        match <[Value; 1]>::try_from(found) {
            Ok([object]) => Ok(object),
            Err(found) => Err(CloudError::NotOne { kind, name: name.to_owned(), found: found.len() }),
        }
    }
}

fn public_endpoint(answer: &Value, kind: &str) -> Option<String> {
    let catalog = answer.pointer("/token/catalog")?.as_array()?;
    let service = catalog.iter().find(|service| service.get("type").and_then(Value::as_str) == Some(kind))?;
    let endpoints = service.get("endpoints")?.as_array()?;
    let public =
        endpoints.iter().find(|endpoint| endpoint.get("interface").and_then(Value::as_str) == Some("public"))?;
    Some(public.get("url")?.as_str()?.to_owned())
}

/// One request on a connection of its own: the token of the answer's header, and its body.
async fn request(
    method: Method,
    url: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> Result<(Option<String>, Value), CloudError> {
    let uri: Uri = url.parse().map_err(|_| CloudError::Url(url.to_owned()))?;
    let broken = |reason: String| CloudError::Broken { url: url.to_owned(), reason };
    let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return Err(CloudError::Url(url.to_owned()));
    };
    let address = (host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| CloudError::Unreachable(format!("{host}:{}", address.1), error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(error.to_string()))?;
    let connection = tokio::spawn(connection);

    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut request = Request::builder()
        .method(method.clone())
        .uri(target)
        .header("host", uri.authority().map_or(host, |authority| authority.as_str()))
        .header("accept", "application/json")
        .header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("x-auth-token", token);
    }
    let bytes = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
    let request = request.body(Full::new(bytes)).map_err(|error| broken(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(|error| broken(error.to_string()))?;
    let status = answer.status();
    let subject = answer.headers().get("x-subject-token").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let bytes = answer.into_body().collect().await.map_err(|error| broken(error.to_string()))?.to_bytes();
    connection.abort();

    let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok((subject, value));
    }
    let message = ["/NeutronError/message", "/error/message"]
        .iter()
        .find_map(|pointer| value.pointer(pointer)?.as_str())
        .unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason given"));
    Err(CloudError::Refused {
        method,
        path: uri.path().to_owned(),
        status: status.as_u16(),
        message: message.to_owned(),
    })
}

/// Those of a collection that have this value.
fn with_value(collection: &str, key: &str, value: &str) -> String {
    format!("{collection}?{key}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_out_of_the_query() {
        assert_eq!(with_value("/ports", "name", "a&b=c d/é"), "/ports?name=a%26b%3Dc%20d%2F%C3%A9");
    }

    #[test]
    fn not_one_reads_well() {
        let said = |found| CloudError::NotOne { kind: "network", name: "net".to_owned(), found }.to_string();
        assert_eq!(said(0), "there is no network \"net\"");
        assert_eq!(said(2), "there are 2 of network \"net\"");
    }

    #[test]
    fn the_public_endpoint_is_taken() {
        let answer = json!({"token": {"catalog": [
            {"type": "identity", "endpoints": [{"interface": "public", "url": "http://x/identity"}]},
            {"type": "network", "endpoints": [{"interface": "admin", "url": "no"}, {"interface": "public", "url": "yes"}]},
        ]}});
        assert_eq!(public_endpoint(&answer, "network").as_deref(), Some("yes"));
        assert_eq!(public_endpoint(&answer, "compute"), None);
    }
}

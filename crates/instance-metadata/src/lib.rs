//! The server's own metadata service, for instances that no Nova looks after: what Nova answers to a metadata proxy, in the
//! form of Amazon's EC2 and of OpenStack.
//!
//! ```text
//! proxy (an agent) ── /metadata/v1/instance/PATH, X-Forwarded-For, X-Instance-ID, X-Tenant-ID, X-Instance-ID-Signature
//!   signed by an agent? has the instance a port of that project with that address?     403
//!   tree::answer(what is known, PATH)                                                  200, or 404
//! ```
//! **In:** requests of proxies; the store. **Out:** documents. **May not:** write, or know who signed in: the signature, with
//! the secret that server and agents share, is all the credentials there are. What is put here for instances comes by the
//! networking API (`/v2.0/metadata/instances/ID`).

mod asked;
mod tree;

use asked::Asked;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use network_store::instance_metadata::{data, ports};
use secret::Secret;
use std::sync::Arc;
use store::{Store, StoreError};

/// Where proxies find it.
pub const PATH: &str = "/metadata/v1/instance";

struct Service {
    store: Store,
    secret: Secret,
}

/// The routes, to be merged at the root; `secret` is the agents'. An empty one lets nobody in.
pub fn router(store: Store, secret: Secret) -> Router {
    Router::new()
        .route(PATH, get(handle))
        .route(&format!("{PATH}/"), get(handle))
        .route(&format!("{PATH}/{{*path}}"), get(handle))
        .with_state(Arc::new(Service { store, secret }))
}

async fn handle(State(service): State<Arc<Service>>, request: Request) -> Response {
    let Some(asked) = Asked::read(request.headers(), service.secret.reveal().as_bytes()) else {
        return plain(StatusCode::FORBIDDEN);
    };
    let path = request.uri().path().strip_prefix(PATH).unwrap_or_default().to_owned();
    let answered = service.store.read(move |snapshot| {
        let ports = ports(snapshot, &asked.instance)?;
        if !asked.is_of(&ports) {
            return Ok::<_, StoreError>(Err(StatusCode::FORBIDDEN));
        }
        let data = data(snapshot, &asked.instance)?.unwrap_or_default();
        Ok(tree::answer(&tree::Known { id: &asked.instance, data: &data, ports: &ports }, &path)
            .ok_or(StatusCode::NOT_FOUND))
    });
    match answered.await {
        Ok(Ok(document)) => ([(header::CONTENT_TYPE, document.kind)], document.body).into_response(),
        Ok(Err(status)) => plain(status),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "metadata cannot be read");
            plain(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

fn plain(status: StatusCode) -> Response {
    (status, status.canonical_reason().unwrap_or_default()).into_response()
}

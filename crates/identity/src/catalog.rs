//! The catalogue: which services there are and where, as a token carries it.

use serde_json::{Value as Json, json};
use store::{Snapshot, StoreError};

use crate::{Scope, TokenInfo};

/// In an endpoint's URL: scheme and address of this server, as the client knows it (or `public_url` of the
/// configuration). Written like Keystone's own substitutions.
pub(crate) const BASE_URL: &str = "$(base_url)s";

/// The endpoint's URL as this client is to use it: `$(base_url)s`, `$(project_id)s`, `$(tenant_id)s` and `$(user_id)s`
/// replaced; `None` when it names a project and the token has none (Keystone leaves such an endpoint out).
fn url(template: &str, base: &str, token: &TokenInfo) -> Option<String> {
    let mut url = template.replace(BASE_URL, base).replace("$(user_id)s", &token.user.id);
    for key in ["$(project_id)s", "$(tenant_id)s", "%(project_id)s", "%(tenant_id)s"] {
        if url.contains(key) {
            url = url.replace(key, token.project_id()?);
        }
    }
    Some(url)
}

/// The enabled endpoints of the enabled services. `base`: `http://address[:port]`.
pub(crate) fn of(snapshot: &Snapshot<'_>, token: &TokenInfo, base: &str) -> Result<Vec<Json>, StoreError> {
    if token.scope == Scope::Unscoped {
        return Ok(Vec::new());
    }
    let mut services: Vec<(String, Json, Vec<Json>)> = Vec::new();
    snapshot.for_each(
        "SELECT s.id, s.type, coalesce(s.name, ''), e.id, e.interface, e.region_id, e.url
         FROM identity_service s JOIN identity_endpoint e ON e.service_id = s.id
         WHERE s.enabled = 1 AND e.enabled = 1 ORDER BY s.type, s.id, e.region_id, e.interface",
        &[],
        |row| {
            let service_id: String = row.get(0)?;
            if services.last().is_none_or(|(id, ..)| *id != service_id) {
                let head = json!({"id": service_id, "type": row.text(1)?, "name": row.text(2)?});
                services.push((service_id, head, Vec::new()));
            }
            let region: Option<String> = row.get(5)?;
            if let (Some((_, _, endpoints)), Some(url)) = (services.last_mut(), url(&row.text(6)?, base, token)) {
                endpoints.push(json!({
                    "id": row.text(3)?, "interface": row.text(4)?, "region": region, "region_id": region, "url": url,
                }));
            }
            Ok(())
        },
    )?;
    Ok(services
        .into_iter()
        .map(|(_, mut head, endpoints)| {
            head["endpoints"] = Json::Array(endpoints);
            head
        })
        .collect())
}

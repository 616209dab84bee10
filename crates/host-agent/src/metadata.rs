//! Whom the metadata proxies of this host ask: Nova's metadata service, or that of the server.

use crate::{AgentConfig, AgentError};
use host_services::{MetadataService, Upstream, UpstreamConfig};
use secret::Secret;
use std::path::Path;
use std::sync::Arc;

/// Before every path at the server: its own metadata service (`api_server`).
const AT_SERVER: &str = "/metadata/v1/instance";

/// As the configuration has it.
pub(crate) fn service(config: &AgentConfig) -> Result<Arc<MetadataService>, AgentError> {
    let section = &config.metadata;
    let at_server = || config.agent.server.iter().map(|url| format!("{}{AT_SERVER}", url.trim_end_matches('/')));
    let nova = section.nova();
    let secret = match (&section.metadata_proxy_shared_secret_file, &nova) {
        (Some(path), _) => read(path)?,
        (None, Some(_)) => Secret::new(""),
        (None, None) => read(&config.agent.secret_file)?,
    };
    let upstream = UpstreamConfig {
        services: nova.map_or_else(|| at_server().collect(), |nova| vec![nova]),
        secret,
        cafile: section.auth_ca_cert.clone(),
    };
    Ok(Arc::new(MetadataService { upstream: Upstream::new(&upstream)?, rate_limit: section.rate_limit.limit() }))
}

fn read(path: &Path) -> Result<Secret, AgentError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| AgentError::ReadFile { path: path.to_owned(), source })?;
    Ok(Secret::new(text.trim()))
}

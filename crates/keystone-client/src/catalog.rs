//! The catalogue that comes with a token: which service is where. Pure.

use serde::Deserialize;

/// Which of a service's endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// For everybody.
    #[default]
    #[serde(alias = "publicURL")]
    Public,
    /// For the cloud's services among themselves.
    #[serde(alias = "internalURL")]
    Internal,
    /// For administrators.
    #[serde(alias = "adminURL")]
    Admin,
}

impl Interface {
    /// Keystone's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }
}

/// The services of a token's catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Catalog(Vec<Service>);

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Service {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Endpoint {
    interface: String,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    region_id: Option<String>,
    url: String,
}

impl Catalog {
    /// The address of a service; the first one that fits.
    pub(crate) fn endpoint(&self, kind: &str, interface: Interface, region: Option<&str>) -> Option<&str> {
        let fits = |endpoint: &&Endpoint| {
            let here = endpoint.region_id.as_deref().or(endpoint.region.as_deref());
            endpoint.interface == interface.as_str() && region.is_none_or(|region| here == Some(region))
        };
        let services = self.0.iter().filter(|service| service.kind == kind);
        services.flat_map(|service| &service.endpoints).find(fits).map(|endpoint| endpoint.url.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn type_interface_and_region_decide() {
        let endpoint =
            |interface: &str, region: &str, url: &str| json!({"interface": interface, "region_id": region, "url": url});
        let catalog: Catalog = serde_json::from_value(json!([
            {"type": "compute", "endpoints": [endpoint("public", "One", "http://c1"), endpoint("internal", "Two", "http://c2")]},
            {"type": "compute", "endpoints": [endpoint("public", "Two", "http://c3")]},
            {"type": "network", "name": "x"},
        ]))
        .unwrap();
        assert_eq!(catalog.endpoint("compute", Interface::Public, None), Some("http://c1"));
        assert_eq!(catalog.endpoint("compute", Interface::Public, Some("Two")), Some("http://c3"));
        assert_eq!(catalog.endpoint("compute", Interface::Internal, None), Some("http://c2"));
        assert_eq!(catalog.endpoint("compute", Interface::Admin, None), None);
        assert_eq!(catalog.endpoint("network", Interface::Public, None), None);
    }
}

//! Providers: who makes routers of which kind. A flavor names one by its driver, as service profiles have been written
//! since there were several implementations to choose from.

use super::RouterKind;
use crate::ModelError;

/// A provider of routers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provider {
    /// As `service_providers` lists it.
    pub name: &'static str,
    /// What service profiles call it.
    pub driver: &'static str,
    /// The one kind of routers that it makes.
    pub kind: RouterKind,
}

const fn provider(name: &'static str, driver: &'static str, distributed: bool, ha: bool) -> Provider {
    Provider { name, driver, kind: RouterKind { distributed, ha } }
}

/// All of them, under Neutron's names.
pub const PROVIDERS: [Provider; 4] = [
    provider("dvrha", "neutron.services.l3_router.service_providers.dvrha.DvrHaDriver", true, true),
    provider("dvr", "neutron.services.l3_router.service_providers.dvr.DvrDriver", true, false),
    provider("ha", "neutron.services.l3_router.service_providers.ha.HaDriver", false, true),
    provider("single_node", "neutron.services.l3_router.service_providers.single_node.SingleNodeDriver", false, false),
];

impl Provider {
    /// The provider that a service profile names.
    pub fn of_driver(driver: &str) -> Option<Self> {
        PROVIDERS.into_iter().find(|provider| provider.driver == driver)
    }

    /// Refuses a kind that the request names and this provider does not make.
    pub fn check(&self, distributed: Option<bool>, ha: Option<bool>) -> Result<(), ModelError> {
        for (key, asked, made) in [("distributed", distributed, self.kind.distributed), ("ha", ha, self.kind.ha)] {
            if let Some(flag) = asked.filter(|flag| *flag != made) {
                let flag = if flag { "True" } else { "False" };
                return Err(ModelError::invalid(format!("Provider {} does not support {key}={flag}", self.name)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_makes_one_kind() {
        let dvr = PROVIDERS.into_iter().find(|provider| provider.name == "dvr").unwrap();
        assert_eq!(Provider::of_driver(dvr.driver), Some(dvr));
        assert_eq!(Provider::of_driver("x"), None);
        assert!(dvr.check(None, None).is_ok() && dvr.check(Some(true), Some(false)).is_ok());
        assert_eq!(
            dvr.check(None, Some(true)).unwrap_err().to_string(),
            "Invalid input for operation: Provider dvr does not support ha=True."
        );
        assert!(dvr.check(Some(false), None).is_err());
    }
}

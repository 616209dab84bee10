//! Names of ports in the deployment's DNS domain (`dns_domain` of the configuration).
//!
//! In: a name whose labels have been checked, the domain. Out: whether the full name stays within what DNS carries.

/// The domain that a deployment has when nobody chose one: ports then have no names of their own (Neutron's default).
pub const DEFAULT_DOMAIN: &str = "openstacklocal.";
/// Most characters of a full name (RFC 1035).
const MOST: usize = 255;

/// The domain with its trailing dot; empty: none.
pub fn with_dot(domain: &str) -> String {
    if domain.is_empty() || domain.ends_with('.') { domain.to_owned() } else { format!("{domain}.") }
}

/// Whether ports may have names of their own in this domain.
pub fn has_names(domain: &str) -> bool {
    !domain.is_empty() && with_dot(domain) != DEFAULT_DOMAIN
}

/// Why a port cannot have this name in the domain; `configured` is the domain as the operator wrote it.
pub fn check_name(name: &str, configured: &str) -> Result<(), String> {
    if name.is_empty() || !has_names(configured) {
        return Ok(());
    }
    let higher = format!(".{}", with_dot(configured));
    if !name.ends_with('.') {
        if name.len() + higher.len() > MOST {
            return Err(format!(
                "The dns_name passed is a PQDN and its size is '{}'. The dns_domain option in neutron.conf is set to {configured}, with a length of '{}'. When the two are concatenated to form a FQDN (with a '.' at the end), the resulting length exceeds the maximum size of '{MOST}'",
                name.len(),
                higher.len()
            ));
        }
        return Ok(());
    }
    if name.len() <= higher.len() || !name.ends_with(&higher) {
        return Err(format!(
            "The dns_name passed is a FQDN. Its higher level labels must be equal to the dns_domain option in neutron.conf, that has been set to '{configured}'. It must also include one or more valid DNS labels to the left of '{configured}'"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names_are_of_the_domain() {
        let domain = "cloud.example";
        assert_eq!(check_name("web", domain), Ok(()));
        assert_eq!(check_name("web.cloud.example.", domain), Ok(()));
        for wrong in ["web.example.", "cloud.example.", ".cloud.example."] {
            assert!(check_name(wrong, domain).unwrap_err().starts_with("The dns_name passed is a FQDN."), "{wrong}");
        }
        let long = format!("{}.{}", "a".repeat(63), "b".repeat(63)).repeat(2);
        assert!(check_name(&long, domain).unwrap_err().contains("is a PQDN and its size is '254'"));
    }

    #[test]
    fn without_a_domain_of_its_own_no_name_is_kept() {
        assert!(!has_names("") && !has_names("openstacklocal") && !has_names("openstacklocal."));
        assert!(has_names("example.org"));
        assert_eq!(check_name("web.anywhere.", "openstacklocal."), Ok(()));
    }
}

//! Names of hosts and domains, by RFC 1123 and 952 as Neutron reads them; they are kept in lower case.

use super::{Refusal, python_display};
use serde_json::Value;

type Parsed = Result<Value, Refusal>;

/// Most characters of a fully qualified name (RFC 1035).
const MOST: usize = 255;
/// Most characters of one label (RFC 1035).
const LABEL: usize = 63;
/// What may stand in place of a label, to be filled in by an external DNS service.
const KEYWORDS: [&str; 4] = ["<project_id>", "<project_name>", "<user_name>", "<user_id>"];

/// A port's name: a label, a relative name, or a full one with its trailing dot. How it fits the deployment's domain is for
/// the rules.
pub(super) fn host_name(value: Value) -> Parsed {
    let name = lower(value)?;
    check_form(&name)?;
    Ok(name.into())
}

/// A floating IP's name: relative, and short enough for a domain to be put behind.
pub(super) fn relative_name(value: Value) -> Parsed {
    let name = lower(value)?;
    if name.ends_with('.') {
        return Err(Refusal::Check(format!("'{name}' is a FQDN. It should be a relative domain name")));
    }
    check_form(&name)?;
    let length = name.chars().count();
    if length > MOST - 3 {
        return Err(Refusal::Check(format!(
            "'{name}' contains {length} characters. Adding a domain name will cause it to exceed the maximum length of a FQDN of '{MOST}'"
        )));
    }
    Ok(name.into())
}

/// A domain: full, with its trailing dot, and short enough for a name to be put before; or none.
pub(super) fn domain(value: Value) -> Parsed {
    let name = lower(value)?;
    if name.is_empty() {
        return Ok(name.into());
    }
    if !name.ends_with('.') {
        return Err(Refusal::Check(format!("'{name}' is not a FQDN")));
    }
    check_form(&name)?;
    let length = name.chars().count();
    if length > MOST - 2 {
        return Err(Refusal::Check(format!(
            "'{name}' contains {length} characters. Adding a sub-domain will cause it to exceed the maximum length of a FQDN of '{MOST}'"
        )));
    }
    Ok(name.into())
}

fn lower(value: Value) -> Result<String, Refusal> {
    match value {
        Value::String(text) => Ok(text.to_lowercase()),
        other => Err(Refusal::Conversion(format!("Input value {} must be string type", python_display(&other)))),
    }
}

fn check_form(name: &str) -> Result<(), Refusal> {
    if name.is_empty() {
        return Ok(());
    }
    let refuse = |reason: String| Err(Refusal::Check(format!("'{name}' not a valid PQDN or FQDN. Reason: {reason}")));
    let trimmed = name.strip_suffix('.').unwrap_or(name);
    if trimmed.chars().count() > MOST {
        return refuse(format!("'{trimmed}' exceeds the {MOST} character FQDN limit"));
    }
    let mut labels = 0;
    let mut last = "";
    for label in trimmed.split('.') {
        if label.is_empty() {
            return refuse("Encountered an empty component".to_owned());
        }
        if label.starts_with('-') || label.ends_with('-') {
            return refuse(format!("Name '{label}' must not start or end with a hyphen"));
        }
        let plain = label.len() <= LABEL
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !plain && !KEYWORDS.contains(&label) {
            return refuse(format!(
                "Name '{label}' must be 1-{LABEL} characters long, each of which can only be alphanumeric or a hyphen"
            ));
        }
        labels += 1;
        last = label;
    }
    if labels > 1 && last.bytes().all(|byte| byte.is_ascii_digit()) {
        return refuse(format!("TLD '{last}' must not be all numeric"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reason(outcome: Parsed) -> String {
        match outcome {
            Err(Refusal::Check(reason) | Refusal::Conversion(reason)) => reason,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn names_are_lower_case_and_made_of_labels() {
        assert_eq!(host_name(json!("Web-1")), Ok(json!("web-1")));
        assert_eq!(host_name(json!("web.example.org.")), Ok(json!("web.example.org.")));
        assert_eq!(host_name(json!("")), Ok(json!("")));
        assert_eq!(reason(host_name(json!(1))), "Input value 1 must be string type");
        assert_eq!(
            reason(host_name(json!("a..b"))),
            "'a..b' not a valid PQDN or FQDN. Reason: Encountered an empty component"
        );
        assert_eq!(
            reason(host_name(json!("-a"))),
            "'-a' not a valid PQDN or FQDN. Reason: Name '-a' must not start or end with a hyphen"
        );
        assert_eq!(
            reason(host_name(json!("a_b"))),
            "'a_b' not a valid PQDN or FQDN. Reason: Name 'a_b' must be 1-63 characters long, each of which can only be alphanumeric or a hyphen"
        );
        assert_eq!(
            reason(host_name(json!("a.42"))),
            "'a.42' not a valid PQDN or FQDN. Reason: TLD '42' must not be all numeric"
        );
        assert!(host_name(json!("a".repeat(64))).is_err() && host_name(json!("a".repeat(63))).is_ok());
    }

    #[test]
    fn domains_end_with_a_dot_and_may_have_keywords() {
        assert_eq!(domain(json!("<project_id>.Example.org.")), Ok(json!("<project_id>.example.org.")));
        assert_eq!(domain(json!("")), Ok(json!("")));
        assert_eq!(reason(domain(json!("example.org"))), "'example.org' is not a FQDN");
        assert!(reason(domain(json!("<who>.org."))).contains("alphanumeric"));
        assert_eq!(reason(relative_name(json!("a.org."))), "'a.org.' is a FQDN. It should be a relative domain name");
        assert_eq!(relative_name(json!("a")), Ok(json!("a")));
    }
}

//! Port forwardings: ranges of ports outside and inside, and which of them contradict each other.

use crate::ModelError;
use net_types::PortRange;

/// The ports of a forwarding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Of the floating IP.
    pub external: PortRange,
    /// Of the instance: one, or as many as outside.
    pub internal: PortRange,
}

/// What a request says of one side's ports: a number, or a range (`"80"`, `"80:90"`, which the declaration has checked).
pub fn read(number: Option<u16>, range: Option<&str>) -> Result<Option<PortRange>, ModelError> {
    let refuse = || bad("Invalid port value, the port value must be a value between 1 and 65535");
    let range = match (range, number) {
        (Some(range), _) => {
            let (first, last) = range.split_once(':').unwrap_or((range, range));
            let port = |text: &str| text.parse::<u16>().map_err(|_| refuse());
            (port(first)?, port(last)?)
        }
        (None, Some(number)) => (number, number),
        (None, None) => return Ok(None),
    };
    PortRange::new(range.0, range.1).map(Some).map_err(|_| refuse())
}

impl Ports {
    /// Both sides, if they fit: every port outside leads to its own inside, or all to one.
    pub fn new(external: Option<PortRange>, internal: Option<PortRange>) -> Result<Self, ModelError> {
        let (Some(external), Some(internal)) = (external, internal) else {
            return Err(bad("Both an internal and an external port, or ranges of them, must be specified"));
        };
        let width = |range: PortRange| range.last() - range.first();
        if width(internal) > 0 && width(internal) != width(external) {
            return Err(bad(
                "Invalid ranges of internal and/or external ports. The relation between internal and external ports must \
                 be N-N or 1-N",
            ));
        }
        Ok(Self { external, internal })
    }
}

/// Refuses a range that shares ports with one of `others`; `key` names the side.
pub fn check_collision(
    key: &str,
    port: PortRange,
    others: impl IntoIterator<Item = PortRange>,
) -> Result<(), ModelError> {
    let shown = |range: PortRange| format!("{}:{}", range.first(), range.last());
    match others.into_iter().find(|other| other.first() <= port.last() && port.first() <= other.last()) {
        Some(existing) => Err(bad(format!(
            "There is a port collision with the {key}. The following ranges collide: {} and {}",
            shown(existing),
            shown(port)
        ))),
        None => Ok(()),
    }
}

/// A request that is wrong, in words.
pub fn bad(msg: impl Into<String>) -> ModelError {
    ModelError::bad("port_forwarding", msg)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> PortRange {
        read(None, Some(text)).unwrap().unwrap()
    }

    #[test]
    fn ports_lead_one_to_one_or_all_to_one() {
        let fits = |outside, inside| Ports::new(Some(range(outside)), Some(range(inside))).is_ok();
        assert!(fits("80", "8080") && fits("80:89", "8080:8089") && fits("80:89", "8080"));
        assert!(!fits("80", "8080:8081") && !fits("80:81", "8080:8082"));
        assert!(Ports::new(None, Some(range("1"))).is_err());
        assert_eq!(read(Some(7), None).unwrap(), Some(range("7")));
    }

    #[test]
    fn ranges_collide_when_they_share_a_port() {
        let error =
            check_collision("external_port_range", range("80:90"), [range("1:79"), range("90:99")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Bad port_forwarding request: There is a port collision with the external_port_range. The following ranges \
             collide: 90:99 and 80:90."
        );
        assert!(check_collision("x", range("80"), [range("79"), range("81:99")]).is_ok());
    }
}

//! What Nova must hear of ports (`os-server-external-events`): which instance, which event. Pure.

use crate::device_owner;

/// A port of an instance got connected, or cannot be.
pub const PLUGGED: &str = "network-vif-plugged";
/// A port of an instance is connected no more.
pub const UNPLUGGED: &str = "network-vif-unplugged";
/// A port of an instance is gone.
pub const DELETED: &str = "network-vif-deleted";
/// Something else about an instance's addresses changed: Nova reads them anew.
pub const CHANGED: &str = "network-changed";

/// Whether the port is an instance's: Nova names the instance by its UUID and the owner by `compute:` and a zone.
pub fn is_of_instance(device_id: &str, owner: &str) -> bool {
    owner.starts_with(device_owner::COMPUTE_PREFIX) && uuid::Uuid::try_parse(device_id).is_ok()
}

/// The event and its status for a change of a port's status. Nova waits for a port that becomes ACTIVE (or cannot) and for
/// one that was ACTIVE and goes down; nothing else matters to it.
pub fn of_status(before: &str, now: &str) -> Option<(&'static str, &'static str)> {
    match (before, now) {
        ("ACTIVE", "DOWN") => Some((UNPLUGGED, "completed")),
        ("DOWN" | "BUILD", "ACTIVE") => Some((PLUGGED, "completed")),
        ("DOWN" | "BUILD", "ERROR") => Some((PLUGGED, "failed")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_instances_count() {
        let id = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";
        assert!(is_of_instance(id, "compute:nova"));
        assert!(is_of_instance("6f9619ff8b86d011b42d00cf4fc964ff", "compute:"));
        assert!(!is_of_instance("", "compute:nova"));
        assert!(!is_of_instance("a-server", "compute:nova"));
        assert!(!is_of_instance(id, "network:dhcp"));
        assert!(!is_of_instance(id, ""));
    }

    #[test]
    fn nova_hears_of_two_ways_only() {
        assert_eq!(of_status("DOWN", "ACTIVE"), Some((PLUGGED, "completed")));
        assert_eq!(of_status("BUILD", "ERROR"), Some((PLUGGED, "failed")));
        assert_eq!(of_status("ACTIVE", "DOWN"), Some((UNPLUGGED, "completed")));
        for (before, now) in
            [("ACTIVE", "ACTIVE"), ("ACTIVE", "BUILD"), ("ACTIVE", "ERROR"), ("ERROR", "ACTIVE"), ("DOWN", "BUILD")]
        {
            assert_eq!(of_status(before, now), None, "{before} -> {now}");
        }
    }
}

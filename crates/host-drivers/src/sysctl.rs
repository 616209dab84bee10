//! Kernel parameters of a network namespace: `/proc/sys/net` shows those of the thread that opens it.

use crate::{DriverError, Place};
use nix::sched::{CloneFlags, setns};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Sets parameters given by their dotted names, in order; those that have the value already are not written.
pub async fn set(place: &Place, values: &BTreeMap<String, String>) -> Result<(), DriverError> {
    if values.is_empty() {
        return Ok(());
    }
    let (values, shown) = (values.clone(), place.to_string());
    place.run(move || values.iter().try_for_each(|(name, value)| set_here(&shown, name, value))).await?
}

/// Values of parameters given by their dotted names; those that are not there are left out.
pub async fn get(place: &Place, names: BTreeSet<String>) -> Result<BTreeMap<String, String>, DriverError> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let read = |name: String| {
        let value = std::fs::read_to_string(path(&name)).ok()?.trim_end().to_owned();
        Some((name, value))
    };
    place.run(move || names.into_iter().filter_map(read).collect()).await
}

/// Of these places and what is wanted there, those where something has another value; one that is gone is none of them. One
/// thread looks at all.
pub async fn differing(wanted: Vec<(String, Arc<BTreeMap<String, String>>)>) -> Result<BTreeSet<String>, DriverError> {
    let differs = |values: &BTreeMap<String, String>| {
        values.iter().any(|(name, value)| std::fs::read_to_string(path(name)).is_ok_and(|now| now.trim_end() != value))
    };
    let look = move || {
        let in_place = |(name, values): (String, Arc<BTreeMap<String, String>>)| {
            let file = Place::named(&name).open().ok()?;
            // The thread is here for nothing else, and ends in the last of them.
            setns(file, CloneFlags::CLONE_NEWNET).ok()?;
            differs(&values).then_some(name)
        };
        wanted.into_iter().filter_map(in_place).collect()
    };
    Place::Host.run(look).await
}

/// Sets one in the calling thread's namespace.
fn set_here(place: &str, name: &str, value: &str) -> Result<(), DriverError> {
    let path = path(name);
    let failed = |source| DriverError::Sysctl {
        name: name.to_owned(),
        value: value.to_owned(),
        place: place.to_owned(),
        source,
    };
    if std::fs::read_to_string(&path).is_ok_and(|now| now.trim_end() == value) {
        return Ok(());
    }
    std::fs::write(&path, value).map_err(failed)
}

/// Dots separate folders, and a slash stands for a dot inside a device's name, as in `sysctl.conf`.
fn path(name: &str) -> PathBuf {
    let folders = name.split('.').map(|part| part.replace('/', "."));
    std::iter::once("/proc/sys".to_owned()).chain(folders.filter(|part| part != ".." && !part.is_empty())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        assert_eq!(path("net.ipv4.ip_forward"), PathBuf::from("/proc/sys/net/ipv4/ip_forward"));
        assert_eq!(
            path("net.ipv6.conf.eth0/100.disable_ipv6"),
            PathBuf::from("/proc/sys/net/ipv6/conf/eth0.100/disable_ipv6")
        );
        assert_eq!(path("net.../etc"), PathBuf::from("/proc/sys/net/.etc"));
    }
}

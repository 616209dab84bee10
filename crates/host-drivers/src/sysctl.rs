//! Kernel parameters of a network namespace: `/proc/sys/net` shows those of the thread that opens it.
//!
//! Looking up a folder of it by its name takes as long as there are namespaces: the kernel has one for each of them, all of the
//! same name. [`Parameters`] keeps the folders of a namespace open, and what lies in them is found at once.

use crate::{DriverError, Place};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the folders of a namespace's parameters are found under.
const ROOT: &str = "/proc/sys/net";
/// Those that are kept open. A kernel may lack one.
const FOLDERS: [&str; 2] = ["ipv4", "ipv6"];

/// The parameters of one namespace, at hand for as long as it lives; they do not keep it alive.
#[derive(Debug)]
pub struct Parameters {
    place: String,
    folders: BTreeMap<&'static str, OwnedFd>,
}

impl Parameters {
    /// Finds them.
    pub async fn open(place: &Place) -> Result<Arc<Self>, DriverError> {
        let shown = place.to_string();
        let open = move || {
            let folder = |name: &'static str| {
                let path = Path::new(ROOT).join(name);
                let open =
                    nix::fcntl::open(&path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
                Some((name, open.ok()?))
            };
            Arc::new(Self { place: shown, folders: FOLDERS.into_iter().filter_map(folder).collect() })
        };
        place.run(open).await
    }

    /// Sets parameters given by their dotted names, in order; those that have the value already are not written.
    pub async fn set(self: &Arc<Self>, values: &BTreeMap<String, String>) -> Result<(), DriverError> {
        if values.is_empty() {
            return Ok(());
        }
        let (this, values) = (Arc::clone(self), values.clone());
        let set = move || values.iter().try_for_each(|(name, value)| this.set_one(name, value));
        // The kernel may have to wait for its lock of all devices.
        Place::Host.run(set).await?
    }

    /// Whether one of these has another value; of those that are not there, none has. A matter of microseconds each.
    pub fn differ<'v>(&self, mut wanted: impl Iterator<Item = (&'v String, &'v String)>) -> bool {
        wanted.any(|(name, value)| self.read(name).is_ok_and(|now| now.trim_end() != value))
    }

    fn set_one(&self, name: &str, value: &str) -> Result<(), DriverError> {
        if self.read(name).is_ok_and(|now| now.trim_end() == value) {
            return Ok(());
        }
        let written = self.file(name, OFlag::O_WRONLY).and_then(|mut file| file.write_all(value.as_bytes()));
        written.map_err(|source| refused(&self.place, name, value, source))
    }

    fn read(&self, name: &str) -> io::Result<String> {
        let mut text = String::new();
        self.file(name, OFlag::O_RDONLY)?.read_to_string(&mut text)?;
        Ok(text)
    }

    fn file(&self, name: &str, how: OFlag) -> io::Result<File> {
        let path = path(name);
        let mut below = path.strip_prefix(ROOT).map_err(|_| io::ErrorKind::NotFound)?.components();
        let folder = below.next().and_then(|name| self.folders.get(name.as_os_str().to_str()?));
        let folder = folder.ok_or(io::ErrorKind::NotFound)?;
        Ok(openat(folder, below.as_path(), how | OFlag::O_CLOEXEC, Mode::empty())?.into())
    }
}

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

fn refused(place: &str, name: &str, value: &str, source: io::Error) -> DriverError {
    DriverError::Sysctl { name: name.to_owned(), value: value.to_owned(), place: place.to_owned(), source }
}

/// Sets one in the calling thread's namespace.
fn set_here(place: &str, name: &str, value: &str) -> Result<(), DriverError> {
    let path = path(name);
    if std::fs::read_to_string(&path).is_ok_and(|now| now.trim_end() == value) {
        return Ok(());
    }
    std::fs::write(&path, value).map_err(|source| refused(place, name, value, source))
}

/// Dots separate folders, and a slash stands for a dot inside a device's name, as in `sysctl.conf`.
fn path(name: &str) -> PathBuf {
    let folders = name.split('.').map(|part| part.replace('/', "."));
    std::iter::once("/proc/sys".to_owned()).chain(folders.filter(|part| part != ".." && !part.is_empty())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns;

    #[test]
    fn a_name_leads_nowhere_else() {
        assert_eq!(path("net.ipv4.ip_forward"), PathBuf::from("/proc/sys/net/ipv4/ip_forward"));
        assert_eq!(
            path("net.ipv6.conf.eth0/100.disable_ipv6"),
            PathBuf::from("/proc/sys/net/ipv6/conf/eth0.100/disable_ipv6")
        );
        assert_eq!(path("net.../etc"), PathBuf::from("/proc/sys/net/.etc"));
    }

    #[tokio::test]
    async fn parameters_at_hand_are_those_of_their_namespace() {
        let names = ["a", "b"].map(|which| format!("nt-sysctl-{which}-{}", std::process::id()));
        let [one, other] = names.clone().map(|name| Place::named(&name));
        names.iter().for_each(|name| netns::create(name).unwrap());
        let at_hand = Parameters::open(&one).await.unwrap();
        let parameter = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let wanted = BTreeMap::from([
            parameter("net.ipv4.ip_forward", "1"),
            parameter("net.ipv4.conf.lo.arp_ignore", "2"),
            parameter("net.ipv6.conf.default.accept_ra", "0"),
        ]);
        assert!(at_hand.differ(wanted.iter()));
        at_hand.set(&wanted).await.unwrap();
        assert!(!at_hand.differ(wanted.iter()));
        let asked: BTreeSet<String> = wanted.keys().cloned().collect();
        assert_eq!(get(&one, asked.clone()).await.unwrap(), wanted);
        assert_eq!(get(&other, asked).await.unwrap()["net.ipv4.ip_forward"], "0");
        set(&one, &[parameter("net.ipv4.ip_forward", "0")].into()).await.unwrap();
        assert!(at_hand.differ(wanted.iter()));
        let nowhere = BTreeMap::from([parameter("net.ipv4.conf.eth7.arp_ignore", "2")]);
        assert!(!at_hand.differ(nowhere.iter()), "what is not there has no value");
        assert!(matches!(at_hand.set(&nowhere).await, Err(DriverError::Sysctl { .. })));
        // A namespace that is gone takes them with it.
        netns::delete(&names[0]).unwrap();
        netns::delete(&names[1]).unwrap();
        for _ in 0..200 {
            if at_hand.set(&wanted).await.is_err() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("they are kept alive");
    }
}

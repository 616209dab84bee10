//! Makes a node's namespaces around the calling process, and enters those of another.
//!
//! What a node has of its own: network devices, `/sys` as they show it, `/run`, `/etc` and `/var/lib` (writable layers over
//! the machine's), `/var/log/neutronium`, hostname. The rest of the file system, users and processes it shares with the
//! machine. The mounts live in the node's mount namespace only and go with it.

use std::fs::{self, File};
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::sethostname;

use crate::error::Intent;
use crate::record::folder;
use crate::{Error, Paths, Result, Topology};

/// The machine's folders over which every node gets a writable layer.
const LAYERED: &[&str] = &["/etc", "/var/lib", "/var/log"];

/// Moves the calling process, which must have one thread only, into new namespaces set up for `node`.
pub(crate) fn make(paths: &Paths, node: &str, topology: &Topology) -> Result<()> {
    for path in [paths.run(node), paths.etc(node), paths.var(node), paths.ovs_db(node), paths.log(node)] {
        folder(&path)?;
    }
    for name in ["lab", "netns", "openvswitch", "neutronium", "lock"] {
        folder(&paths.run(node).join(name))?;
    }
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS)
        .intent(|| format!("make namespaces for {node}"))?;
    sethostname(node).intent(|| format!("name the host {node}"))?;
    mounts(paths, node)
        .map_err(|error| Error::System { what: format!("mount the file systems of {node}"), source: error })?;

    let mut hosts = String::from("127.0.0.1 localhost\n::1 localhost\n");
    for host in &topology.hosts {
        for address in host.nics.iter().filter_map(|nic| nic.address).take(1) {
            hosts.push_str(&format!("{address} {}\n", host.name));
        }
    }
    // Often a link into /run, where it would lead nowhere; `ip netns exec` wants a file to put a namespace's own upon.
    let _ = fs::remove_file("/etc/resolv.conf");
    let written = fs::write("/etc/hosts", hosts)
        .and_then(|()| fs::write("/etc/hostname", format!("{node}\n")))
        .and_then(|()| fs::write("/etc/resolv.conf", "# A simulated host has no resolver.\n"));
    written.intent(|| format!("write /etc/hosts of {node}"))
}

fn mounts(paths: &Paths, node: &str) -> std::io::Result<()> {
    const NONE: Option<&str> = None;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC, NONE)?;
    // Layers need a file system that can carry them, which the one below may not be: a small tmpfs always can.
    let layers = paths.node(node).join("layers");
    fs::create_dir_all(&layers)?;
    mount(Some("tmpfs"), &layers, Some("tmpfs"), MsFlags::empty(), Some("size=64m,mode=0755"))?;
    for path in LAYERED {
        let layer = layers.join(path.trim_start_matches('/').replace('/', "-"));
        let (upper, work) = (layer.join("upper"), layer.join("work"));
        fs::create_dir_all(&upper)?;
        fs::create_dir_all(&work)?;
        let options = format!("lowerdir={path},upperdir={},workdir={}", upper.display(), work.display());
        mount(Some("overlay"), *path, Some("overlay"), MsFlags::empty(), Some(options.as_str()))?;
    }
    for (own, seen_as) in [
        (paths.etc(node), "/etc/neutronium"),
        (paths.var(node), "/var/lib/neutronium"),
        (paths.ovs_db(node), "/etc/openvswitch"),
        (paths.log(node), "/var/log/neutronium"),
        // Last: it hides the lab's own folder.
        (paths.run(node), "/run"),
    ] {
        fs::create_dir_all(seen_as)?;
        mount(Some(&own), seen_as, NONE, MsFlags::MS_BIND, NONE)?;
    }
    // `ip netns` wants its folder to be a shared mount; making it one here saves it from doing so to all of /run.
    mount(Some("/run/netns"), "/run/netns", NONE, MsFlags::MS_BIND, NONE)?;
    mount(NONE, "/run/netns", NONE, MsFlags::MS_SHARED, NONE)?;
    Ok(())
}

/// Moves the calling process, which must have one thread only, into the namespaces of process `pid`.
pub(crate) fn enter(pid: i32) -> std::io::Result<()> {
    // Open all before entering any: the mount namespace changes what /proc/PID means to us.
    let files =
        [("uts", CloneFlags::CLONE_NEWUTS), ("net", CloneFlags::CLONE_NEWNET), ("mnt", CloneFlags::CLONE_NEWNS)]
            .into_iter()
            .map(|(kind, flag)| Ok((File::open(format!("/proc/{pid}/ns/{kind}"))?, flag)))
            .collect::<std::io::Result<Vec<_>>>()?;
    let here = std::env::current_dir();
    for (file, flag) in files {
        setns(file, flag)?;
    }
    // Entering a mount namespace leads to its root: go back to where the caller was, if that exists here.
    let there = here.ok().filter(|path| std::env::set_current_dir(path).is_ok());
    if there.is_none() { std::env::set_current_dir(Path::new("/")) } else { Ok(()) }
}

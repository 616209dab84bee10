//! What a lab needs from the machine, asked before anything is changed; the first thing missing is said in one sentence.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::statvfs::statvfs;
use nix::unistd::Uid;

use crate::topology::{Datapath, Topology};
use crate::{Error, Result};

const TOOLS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("ovsdb-server", "openvswitch-switch"),
    ("ovsdb-tool", "openvswitch-switch"),
    ("ovs-vswitchd", "openvswitch-switch"),
    ("ovs-vsctl", "openvswitch-switch"),
    ("ovs-appctl", "openvswitch-switch"),
    ("nft", "nftables"),
    ("ethtool", "ethtool"),
];

/// Databases, logs and sockets of a few hosts.
const FREE_BYTES: u64 = 200 * 1024 * 1024;

/// Checks the machine.
pub(crate) fn check(topology: &Topology) -> Result<()> {
    let lacks = |reason: String| Err(Error::Preflight(reason));
    if !Uid::effective().is_root() {
        return lacks("the lab makes namespaces and devices: run it as root (sudo)".to_owned());
    }
    for (tool, package) in TOOLS {
        if !installed(tool) {
            return lacks(format!(
                "the tool {tool} is missing: install the package {package} (or run tools/install-deps)"
            ));
        }
    }
    for kind in ["net", "mnt", "uts"] {
        if !Path::new("/proc/self/ns").join(kind).exists() {
            return lacks(format!("the kernel has no {kind} namespaces"));
        }
    }
    let file_systems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !file_systems.split_whitespace().any(|word| word == "overlay") && !loadable("overlay") {
        return lacks("the kernel has no overlay file system, which gives each host its own /etc".to_owned());
    }
    if !Path::new("/dev/net/tun").exists() && !loadable("tun") {
        return lacks("the kernel has no tap devices (/dev/net/tun), which Open vSwitch needs".to_owned());
    }
    if topology.datapath == Datapath::System && !loaded("openvswitch") {
        return lacks(
            "the topology wants datapath = \"system\" but the kernel's openvswitch module is not loaded".to_owned(),
        );
    }
    let base = if Path::new("/run").exists() { "/run" } else { "/" };
    if let Ok(disk) = statvfs(base) {
        let free = disk.blocks_available().saturating_mul(disk.fragment_size());
        if free < FREE_BYTES {
            return lacks(format!(
                "{base} has {} MB free, a lab needs {} MB",
                free / 1_000_000,
                FREE_BYTES / 1_000_000
            ));
        }
    }
    Ok(())
}

/// Whether the kernel would load a module when it is asked for what is in it.
fn loadable(module: &str) -> bool {
    modprobe(&["--dry-run", "--quiet", module])
}

/// Whether a module is there, loading it if need be: Open vSwitch does not do that by itself.
fn loaded(module: &str) -> bool {
    Path::new("/sys/module").join(module).exists() || modprobe(&["--quiet", module])
}

fn modprobe(arguments: &[&str]) -> bool {
    let quiet = || Stdio::null();
    let run = Command::new("/sbin/modprobe").args(arguments).stdin(quiet()).stdout(quiet()).stderr(quiet()).status();
    run.is_ok_and(|status| status.success())
}

fn installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).any(|folder| folder.join(tool).is_file())
}

//! Two namespaces and a wire between them, without checksum offload. Needs root, iproute2 and ethtool.
#![allow(dead_code)] // each test binary uses its part

use net_types::MacAddr;
use std::process::Command;
use std::time::Duration;

/// Of the client's device.
pub const CLIENT: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 0x11]);
/// Of the server's device.
pub const SERVER_MAC: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 0x02]);

/// Runs a script; what it said.
pub fn sh(command: &str) -> String {
    let output = Command::new("sh").args(["-ec", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Two namespaces and the wire between them; gone when dropped.
pub struct Wire {
    /// Has `tap0`.
    pub server: String,
    /// Has `eth0`.
    pub client: String,
}

impl Wire {
    /// The devices are up; `before` are commands for the namespaces `$server` and `$client`, said before that.
    pub fn new(kind: &str, before: &str) -> Self {
        let id = std::process::id();
        let wire = Self { server: format!("{kind}s-{id}"), client: format!("{kind}c-{id}") };
        let (server, client) = (&wire.server, &wire.client);
        sh(&format!(
            "server={server}; client={client}
             ip netns add {server}; ip netns add {client}
             ip -n {server} link add tap0 type veth peer name eth0 netns {client}
             ip -n {server} link set tap0 address {SERVER_MAC}
             ip -n {client} link set eth0 address {CLIENT}
             ip netns exec {server} ethtool -K tap0 tx off; ip netns exec {client} ethtool -K eth0 tx off
             {before}
             ip -n {server} link set lo up; ip -n {client} link set lo up
             ip -n {server} link set tap0 up; ip -n {client} link set eth0 up"
        ));
        wire
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for name in [&self.server, &self.client] {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

/// Runs on a thread of its own inside the namespace.
pub fn inside<T: Send + 'static>(namespace: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let file = std::fs::File::open(format!("/run/netns/{namespace}")).unwrap();
    std::thread::spawn(move || {
        nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        work()
    })
    .join()
    .unwrap()
}

/// Asks again and again until the answer is right; gives up, with what it was last, after a minute.
pub async fn wait_for(command: &str, right: impl Fn(&str) -> bool) -> String {
    let mut said = String::new();
    for _ in 0..300 {
        said = sh(command);
        if right(&said) {
            return said;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{command}: {said}");
}

//! A private host for a test: its own mount and network namespaces, its own Open vSwitch, a server that speaks the agents'
//! protocol, instances on veth pairs, and agents that can be killed.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod server;
pub mod view;

use host_agent::AgentConfig;
use host_drivers::testing::PrivateSwitch;
use net_types::{MacAddr, PortId};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use server::{FakeServer, SECRET};
use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The host of one test.
pub struct Host {
    pub switch: PrivateSwitch,
    pub server: FakeServer,
    folder: tempfile::TempDir,
}

/// Waits for what will be, for a generous time.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..400 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

/// Runs a test on a host of its own. Needs root and Open vSwitch.
pub fn on_a_host<F: Future<Output = ()>>(test: impl FnOnce(Host) -> F) {
    // Names of namespaces are files in /run/netns: this thread and all that it starts have their own.
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).unwrap();
    std::fs::create_dir_all("/run/netns").unwrap();
    mount(Some("tmpfs"), "/run/netns", Some("tmpfs"), MsFlags::empty(), NONE).unwrap();
    let switch = PrivateSwitch::start().unwrap();
    let namespace = std::fs::File::open(format!("/run/netns/{}", switch.namespace())).unwrap();
    setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
    switch.run(&["ip", "link", "set", "lo", "up"]).unwrap();
    if std::env::var_os("NEUTRONIUM_LOG").is_some() {
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_test_writer().init();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let server = FakeServer::start().await;
        test(Host { switch, server, folder: tempfile::tempdir().unwrap() }).await;
    });
}

/// A running agent.
pub struct Agent {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Agent {
    /// As `kill -9` would: nothing is said, nothing is tidied.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.task.await.unwrap();
    }
}

/// An instance: a namespace with a device that is plugged into br-int.
pub struct Instance {
    pub namespace: String,
    pub device: String,
    pub mac: MacAddr,
}

impl Host {
    pub fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// An agent of all roles; `ovs` are further lines of its `[ovs]` section.
    pub fn config(&self, ovs: &str) -> AgentConfig {
        let secret = self.folder.path().join("secret");
        std::fs::write(&secret, SECRET).unwrap();
        let text = format!(
            "[agent]\nhost = 'testhost'\nserver = '{}'\nsecret_file = '{}'\nroles = ['l2', 'dhcp', 'l3']\n\
             state_dir = '{}'\nreport_interval = 1\naudit_interval = 1\n\
             [ovs]\nrundir = '{}'\ndatapath_type = 'netdev'\n{ovs}\n",
            self.server.url(),
            secret.display(),
            self.state_dir().display(),
            self.switch.rundir().display()
        );
        AgentConfig::parse(&text).unwrap()
    }

    pub fn agent(&self) -> Agent {
        self.agent_with(self.config(""))
    }

    pub fn agent_with(&self, config: AgentConfig) -> Agent {
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            host_agent::run(config, shutdown).await.unwrap();
        });
        Agent { stop: Some(stop), task }
    }

    /// What a hypervisor does: a device with `iface-id` on br-int.
    pub fn plug(&self, port: PortId, mac: MacAddr, addresses: &[&str]) -> Instance {
        self.plug_into("br-int", port, mac, addresses)
    }

    /// The same on another bridge, as that of a trunk.
    pub fn plug_into(&self, bridge: &str, port: PortId, mac: MacAddr, addresses: &[&str]) -> Instance {
        let namespace = self.switch.extra_namespace().unwrap();
        let device = format!("tap{}", port.short());
        let shell = |script: &str| self.switch.run(&["sh", "-ec", script]).unwrap();
        shell(&format!(
            "ip link add {device} type veth peer name eth0 netns {namespace}
             ethtool -K {device} tx off >/dev/null; ip netns exec {namespace} ethtool -K eth0 tx off >/dev/null
             sysctl -qw net.ipv6.conf.{device}.disable_ipv6=1; ip link set {device} up
             ip -n {namespace} link set eth0 address {mac} mtu 1400; ip -n {namespace} link set eth0 up"
        ));
        for address in addresses {
            shell(&format!("ip -n {namespace} addr add {address} dev eth0 nodad"));
        }
        let interface = [
            &format!("external_ids:iface-id={port}"),
            &format!("external_ids:attached-mac={mac}"),
            "external_ids:iface-status=active",
        ];
        let words = ["--may-exist", "add-port", bridge, &device, "--", "set", "Interface", &device];
        // The agent may have only just begun.
        self.switch.vsctl(&["wait-until", "Bridge", bridge]).unwrap();
        self.switch.vsctl(&[&words[..], &interface[..]].concat()).unwrap();
        Instance { namespace, device, mac }
    }

    /// Kills a daemon of this host's switch, by its name.
    pub fn kill_daemon(&self, name: &str) {
        let rundir = self.switch.rundir().display().to_string();
        let is_it = |pid: &i32| {
            let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with(name) && line.contains(&rundir)
        };
        let entries = std::fs::read_dir("/proc").unwrap();
        let mut pids = entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        let pid = pids.find(is_it).expect("the daemon runs");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    }

    pub fn unplug(&self, instance: &Instance) {
        self.switch.vsctl(&["del-port", "br-int", &instance.device]).unwrap();
    }

    /// Runs a command in an instance; what it printed, or what it complained of.
    pub fn inside(&self, namespace: &str, script: &str) -> Result<String, String> {
        self.switch.run_at(namespace, &["sh", "-c", script]).map_err(|error| error.to_string())
    }

    pub fn can_ping(&self, from: &Instance, to: IpAddr) -> bool {
        self.inside(&from.namespace, &format!("ping -n -c 3 -i 0.2 -W 1 {to}")).is_ok()
    }

    /// Our flows with all their counters, as text.
    pub fn flows(&self, bridge: &str) -> String {
        self.switch.ofctl(&["dump-flows", bridge]).unwrap()
    }
}

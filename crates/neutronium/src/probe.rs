//! `neutronium probe`: instances in namespaces. Each is a port made through the API, plugged into a host's br-int as a
//! hypervisor would, and addressed by DHCP.
//!
//! Two sides: this process talks to the cloud and to people; a second one, started inside the host (`probe on-host`),
//! plugs. The two exchange the probe as JSON. Entering a host needs a process of one thread, hence the second one.

mod dhcp;
mod on_host;
mod ping;
mod told;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use hyper::Method;
use ipnet::IpNet;
use lab::{LabName, OpenRc, Paths};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cloud::{Cloud, CloudError, Environment};
use crate::exit::{Exit, Failure};
use crate::print;
use error_text::sentence;
use on_host::Probe;
use told::Told;

/// How long a port may take to become ACTIVE before we say so.
const ACTIVE_PATIENCE: Duration = Duration::from_secs(15);

/// Arguments of `neutronium probe`.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Who asks the API: the OS_* environment if it is set (see `neutronium lab openrc`), else the lab's admin.
Binding and deleting an instance's port is the lab's admin's, as it is Nova's service user's.

Examples:
  neutronium probe create web1 --network demo-net --host compute1
  neutronium probe create db1 --network demo-net --host compute2 --security-group db
  neutronium probe create web2 --network demo-net --host compute2 --user-data init.sh --key id_ed25519.pub
  neutronium probe exec web1 -- ip addr
  neutronium probe exec web1 -- ping -c 3 203.0.113.1
  neutronium probe ping-all
  neutronium probe delete web1
  neutronium probe clear"
)]
pub struct Arguments {
    /// Name of the lab whose hosts are meant.
    #[arg(long, global = true, default_value = "lab", env = "NEUTRONIUM_LAB")]
    lab: LabName,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a port and an instance on it, or an instance on a port that there is.
    Create {
        /// Its name.
        name: String,
        /// The network, by name or id.
        #[arg(long, required_unless_present = "port")]
        network: Option<String>,
        /// A port that there is, by name or id; it stays when the probe goes.
        #[arg(long, conflicts_with_all = ["network", "security_group", "fixed_ip"])]
        port: Option<String>,
        /// The host; without a lab: this machine.
        #[arg(long)]
        host: String,
        /// Security groups, by name or id [default: the project's group default]
        #[arg(long)]
        security_group: Vec<String>,
        /// A certain address.
        #[arg(long, visible_alias = "address")]
        fixed_ip: Option<std::net::IpAddr>,
        /// User data, as the server's metadata service gives it to the probe.
        #[arg(long)]
        user_data: Option<PathBuf>,
        /// A public key in OpenSSH's format, the same way.
        #[arg(long)]
        key: Vec<PathBuf>,
        /// How long to wait for DHCP, seconds.
        #[arg(long, default_value_t = 60)]
        timeout: u64,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Shows all probes.
    List {
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Runs a command in a probe, or a shell.
    Exec {
        /// The probe.
        name: String,
        /// The command.
        #[arg(last = true)]
        command: Vec<OsString>,
    },
    /// Removes a probe and its port.
    Delete {
        /// The probes.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Removes all probes and their ports.
    Clear,
    /// Pings from every probe to every probe.
    PingAll {
        /// Further addresses to ping.
        #[arg(long)]
        also: Vec<std::net::IpAddr>,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// The host's side: reads a probe as JSON, answers with it.
    #[command(hide = true)]
    OnHost {
        /// A host of the lab to enter first.
        #[arg(long)]
        enter: Option<String>,
        /// Seconds to wait for DHCP.
        #[arg(long, default_value_t = 60)]
        timeout: u64,
        /// plug or unplug.
        act: Act,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Act {
    Plug,
    Unplug,
}

impl Act {
    fn as_str(self) -> &'static str {
        match self {
            Self::Plug => "plug",
            Self::Unplug => "unplug",
        }
    }
}

/// Runs the subcommand.
pub fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let hosts = Hosts::look(Paths::new(arguments.lab))?;
    match arguments.command {
        Command::Create { name, network, port, host, security_group, fixed_ip, user_data, key, timeout, json } => {
            let told = Told { user_data, keys: key };
            let wish = Wish { name, network, port, host, security_groups: security_group, fixed_ip, told };
            create(&hosts, &wish, timeout, json)
        }
        Command::List { json } => list(&hosts, json),
        Command::Exec { name, command } => exec(&hosts, &name, &command),
        Command::Delete { names } => {
            let all = hosts.probes();
            let find =
                |name: &String| all.iter().find(|probe| probe.name == *name).cloned().ok_or_else(|| no_probe(name));
            delete(&hosts, &names.iter().map(find).collect::<Result<Vec<_>, _>>()?)
        }
        Command::Clear => delete(&hosts, &hosts.probes()),
        Command::PingAll { also, json } => ping::all(&hosts, &also, json),
        Command::OnHost { enter, timeout, act } => {
            on_host_side(&hosts, enter.as_deref(), Duration::from_secs(timeout), act)
        }
    }
}

fn no_probe(name: &str) -> Failure {
    Failure::refused(format!("there is no probe \"{name}\" (see `neutronium probe list`)"))
}

/// The hosts that probes can be on: a lab's, or this machine.
struct Hosts {
    paths: Paths,
    lab: Option<lab::Lab>,
}

impl Hosts {
    fn look(paths: Paths) -> Result<Self, Failure> {
        let lab = match lab::Lab::read(&paths) {
            Ok(lab) => Some(lab),
            Err(lab::Error::NotUp(_)) => None,
            Err(other) => return Err(other.into()),
        };
        Ok(Self { paths, lab })
    }

    fn folders(&self) -> Vec<PathBuf> {
        match &self.lab {
            Some(lab) => lab.topology.hosts.iter().map(|host| self.paths.var(&host.name).join("probes")).collect(),
            None => vec![PathBuf::from(on_host::FOLDER)],
        }
    }

    /// All probes, by host and name.
    fn probes(&self) -> Vec<Probe> {
        let mut probes: Vec<Probe> = self
            .folders()
            .iter()
            .filter_map(|folder| std::fs::read_dir(folder).ok())
            .flatten()
            .filter_map(probe)
            .collect();
        probes.sort_by(|a, b| (&a.host, &a.name).cmp(&(&b.host, &b.name)));
        probes
    }

    fn probe(&self, name: &str) -> Result<Probe, Failure> {
        self.probes().into_iter().find(|probe| probe.name == name).ok_or_else(|| no_probe(name))
    }

    /// A command that runs on the host of that name.
    fn command(&self, host: &str, program: &Path) -> Process {
        let mut command = Process::new(program);
        if self.lab.is_some() {
            command.args(["lab", "--lab", self.paths.name().as_str(), "exec", host, "--"]);
        }
        command
    }

    /// Has the host's side act on a probe.
    fn act(&self, act: Act, probe: &Probe, timeout: u64) -> Result<Probe, Failure> {
        let program = this_program()?;
        let mut command = Process::new(program);
        command.args(["probe", "--lab", self.paths.name().as_str(), "on-host", "--timeout", &timeout.to_string()]);
        if self.lab.is_some() {
            command.args(["--enter", &probe.host]);
        }
        let fail = |what: String| Failure::failed(format!("{}: {what}", probe.host));
        let mut child = command
            .arg(act.as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| fail(error.to_string()))?;
        if let Some(mut stdin) = child.stdin.take() {
            let json = serde_json::to_vec(probe).map_err(|error| fail(error.to_string()))?;
            stdin.write_all(&json).map_err(|error| fail(error.to_string()))?;
        }
        let output = child.wait_with_output().map_err(|error| fail(error.to_string()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or("it said nothing");
            return Err(fail(last.trim_start_matches("error: ").to_owned()));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| fail(error.to_string()))
    }
}

fn probe(entry: std::io::Result<std::fs::DirEntry>) -> Option<Probe> {
    let path = entry.ok()?.path();
    (path.extension()? == "json").then(|| serde_json::from_slice(&std::fs::read(path).ok()?).ok()).flatten()
}

fn this_program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::failed(format!("cannot find this program: {error}")))
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the event loop: {error}")))
}

fn on_host_side(hosts: &Hosts, enter: Option<&str>, patience: Duration, act: Act) -> Result<Exit, Failure> {
    let mut input = String::new();
    std::io::stdin()
        .read_to_string(&mut input)
        .map_err(|error| Failure::failed(format!("cannot read the probe: {error}")))?;
    let probe: Probe =
        serde_json::from_str(&input).map_err(|error| Failure::failed(format!("cannot read the probe: {error}")))?;
    if let Some(host) = enter {
        lab::enter(&hosts.paths, host)?;
    }
    let outcome = runtime()?.block_on(async {
        match act {
            Act::Plug => on_host::plug(probe, patience).await,
            Act::Unplug => on_host::unplug(&probe).await.map(|()| probe),
        }
    });
    print::json(&outcome.map_err(|error| Failure::failed(sentence(&error)))?)?;
    Ok(Exit::DONE)
}

struct Wish {
    name: String,
    network: Option<String>,
    port: Option<String>,
    host: String,
    security_groups: Vec<String>,
    fixed_ip: Option<std::net::IpAddr>,
    told: Told,
}

impl From<CloudError> for Failure {
    fn from(error: CloudError) -> Self {
        Self::failed(sentence(&error))
    }
}

/// Who does what Nova's service user does for instances (binding, deleting an instance's port): the lab's administrator,
/// or without a lab whoever asks.
fn operator(hosts: &Hosts) -> Result<Environment, Failure> {
    if hosts.lab.is_some() { administrator(hosts) } else { environment(hosts) }
}

/// Who asks: the environment if it says so, else the lab's administrator.
fn environment(hosts: &Hosts) -> Result<Environment, Failure> {
    let own: Environment = std::env::vars().filter(|(name, _)| name.starts_with("OS_")).collect();
    if own.contains_key("OS_AUTH_URL") || hosts.lab.is_none() { Ok(own) } else { administrator(hosts) }
}

fn administrator(hosts: &Hosts) -> Result<Environment, Failure> {
    let wish = OpenRc { project: "admin".to_owned(), user: "admin".to_owned(), password: None };
    Ok(lab::open_rc(&hosts.paths, &wish)?.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn create(hosts: &Hosts, wish: &Wish, timeout: u64, json: bool) -> Result<Exit, Failure> {
    let sound = wish.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if wish.name.is_empty() || wish.name.starts_with('.') || wish.name.len() > 64 || !sound {
        return Err(Failure::refused(format!(
            "\"{}\" cannot name a probe (1 to 64 letters, digits, hyphens, underscores, dots; not starting with a dot)",
            wish.name
        )));
    }
    if let Some(lab) = &hosts.lab {
        lab.node(&hosts.paths, &wish.host)?;
    }
    if hosts.probes().iter().any(|probe| probe.name == wish.name) {
        return Err(Failure::refused(format!("there is a probe \"{}\" already", wish.name)));
    }
    let told = wish.told.read(&wish.name)?;
    let environment = environment(hosts)?;
    let runtime = runtime()?;
    let operator = operator(hosts)?;
    let (cloud, operator, probe) = runtime.block_on(async {
        let (cloud, operator) = (Cloud::sign_in(&environment).await?, Cloud::sign_in(&operator).await?);
        let probe = make_port(&cloud, &operator, wish).await?;
        if let Some(told) = &told
            && let Err(error) = told::tell(&operator, probe.device_id, told).await
        {
            give_back(&operator, &probe).await?;
            return Err(error.into());
        }
        Ok::<_, Failure>((cloud, operator, probe))
    })?;
    let start = Instant::now();
    let probe = match hosts.act(Act::Plug, &probe, timeout) {
        Ok(probe) => probe,
        Err(failure) => {
            if let Err(error) = runtime.block_on(give_back(&operator, &probe)) {
                print::error(&format!("its port stays: {}", sentence(&error)));
            }
            return Err(failure);
        }
    };
    let active = runtime.block_on(wait_active(&cloud, probe.port_id, start));
    if json {
        print::json(&probe)?;
    } else {
        let addresses: Vec<String> = probe.addresses.iter().map(|address| address.addr().to_string()).collect();
        let how = if probe.lease.is_some() { "by DHCP" } else { "set without DHCP" };
        print::line(format!(
            "{} on {}: {} {how} after {} ms, port {} {}",
            probe.name,
            probe.host,
            addresses.join(" "),
            probe.addressed_after_ms,
            probe.port_id,
            active.map_or_else(
                || "is not ACTIVE yet".to_owned(),
                |after| format!("ACTIVE after {} ms", after.as_millis())
            ),
        ));
    }
    Ok(Exit::DONE)
}

async fn make_port(cloud: &Cloud, operator: &Cloud, wish: &Wish) -> Result<Probe, Failure> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let device_id = Uuid::new_v4();
    if let Some(port) = &wish.port {
        let port = cloud.find("ports", port).await?;
        let answer = cloud.networking(Method::GET, &format!("networks/{}", text(&port, "network_id")), None).await?;
        let network = answer.get("network").cloned().unwrap_or(Value::Null);
        return bind(cloud, operator, wish, &network, &port, device_id).await;
    }
    let network = cloud.find("networks", wish.network.as_deref().unwrap_or_default()).await?;
    let mut port = json!({
        "network_id": text(&network, "id"),
        "name": wish.name,
        "device_id": device_id,
        "device_owner": "compute:probe",
    });
    if let Some(address) = wish.fixed_ip {
        port["fixed_ips"] = json!([{ "ip_address": address }]);
    }
    let mut groups = Vec::new();
    for group in &wish.security_groups {
        groups.push(text(&cloud.find("security-groups", group).await?, "id"));
    }
    if !groups.is_empty() {
        port["security_groups"] = json!(groups);
    }
    let made = cloud.networking(Method::POST, "ports", Some(&json!({ "port": port }))).await?;
    let port = made.get("port").cloned().unwrap_or(Value::Null);
    let probe = bind(cloud, operator, wish, &network, &port, device_id).await;
    if probe.is_err() {
        let _ = operator.networking(Method::DELETE, &format!("ports/{}", text(&port, "id")), None).await;
    }
    probe
}

/// Binds the port to the host, as Nova does.
async fn bind(
    cloud: &Cloud,
    operator: &Cloud,
    wish: &Wish,
    network: &Value,
    port: &Value,
    device_id: Uuid,
) -> Result<Probe, Failure> {
    let id = port.get("id").and_then(Value::as_str).unwrap_or_default();
    let mut binding = json!({ "binding:host_id": wish.host });
    if wish.port.is_some() {
        binding["device_id"] = json!(device_id);
        binding["device_owner"] = json!("compute:probe");
    }
    let binding = json!({ "port": binding });
    let bound = operator.networking(Method::PUT, &format!("ports/{id}"), Some(&binding)).await?;
    if bound.pointer("/port/binding:vif_type").and_then(Value::as_str) == Some("binding_failed") {
        return Err(Failure::failed(format!(
            "host {} cannot carry network {}: no agent of it is alive that knows the network's type or physical network",
            wish.host,
            network.get("name").and_then(Value::as_str).unwrap_or_default()
        )));
    }
    let bridge = bound.pointer("/port/binding:vif_details/bridge_name").and_then(Value::as_str);
    let bridge = bridge.map_or_else(on_host::integration_bridge, str::to_owned);
    Ok(Probe { bridge, ..describe(cloud, wish, network, port, device_id).await? })
}

/// Takes from the API what a probe has there: what metadata tells it, and its port, or the port's binding.
async fn give_back(operator: &Cloud, probe: &Probe) -> Result<(), CloudError> {
    told::forget(operator, probe.device_id).await?;
    if probe.keeps_port {
        return unbind(operator, probe.port_id).await;
    }
    operator.networking(Method::DELETE, &format!("ports/{}", probe.port_id), None).await.map(|_| ())
}

/// Gives a port that was there before the probe back as it was: bound to no host.
async fn unbind(operator: &Cloud, port: Uuid) -> Result<(), CloudError> {
    let nothing = json!({ "port": { "binding:host_id": "", "device_id": "", "device_owner": "" } });
    operator.networking(Method::PUT, &format!("ports/{port}"), Some(&nothing)).await.map(|_| ())
}

/// What the host's side must know of a port.
async fn describe(
    cloud: &Cloud,
    wish: &Wish,
    network: &Value,
    port: &Value,
    device_id: Uuid,
) -> Result<Probe, Failure> {
    let strange = |what: &str| Failure::failed(format!("the API's answer has no usable {what}"));
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (mut addresses, mut gateway, mut dhcp) = (Vec::new(), None, false);
    for fixed_ip in port.get("fixed_ips").and_then(Value::as_array).into_iter().flatten() {
        let answer = cloud.networking(Method::GET, &format!("subnets/{}", text(fixed_ip, "subnet_id")), None).await?;
        let subnet = answer.get("subnet").cloned().unwrap_or(Value::Null);
        let cidr: IpNet = text(&subnet, "cidr").parse().map_err(|_| strange("subnet"))?;
        let address = text(fixed_ip, "ip_address").parse().map_err(|_| strange("address"))?;
        addresses.push(IpNet::new(address, cidr.prefix_len()).map_err(|_| strange("subnet"))?);
        if cidr.addr().is_ipv4() {
            dhcp |= subnet.get("enable_dhcp").and_then(Value::as_bool).unwrap_or(false);
            gateway = gateway.or_else(|| text(&subnet, "gateway_ip").parse().ok());
        }
    }
    Ok(Probe {
        name: wish.name.clone(),
        host: wish.host.clone(),
        port_id: text(port, "id").parse().map_err(|_| strange("port id"))?,
        bridge: on_host::integration_bridge(),
        keeps_port: wish.port.is_some(),
        device_id,
        network: text(network, "name"),
        mac: text(port, "mac_address").parse().map_err(|_| strange("MAC address"))?,
        mtu: network.get("mtu").and_then(Value::as_u64).and_then(|mtu| u16::try_from(mtu).ok()).unwrap_or(1500),
        addresses,
        gateway,
        dhcp,
        lease: None,
        addressed_after_ms: 0,
    })
}

/// Waits until the port is ACTIVE; how long after `start` that was seen.
async fn wait_active(cloud: &Cloud, port: Uuid, start: Instant) -> Option<Duration> {
    let until = Instant::now() + ACTIVE_PATIENCE;
    while Instant::now() < until {
        let answer = cloud.networking(Method::GET, &format!("ports/{port}?fields=status"), None).await.ok()?;
        if answer.pointer("/port/status").and_then(Value::as_str) == Some("ACTIVE") {
            return Some(start.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}

fn list(hosts: &Hosts, json: bool) -> Result<Exit, Failure> {
    let probes = hosts.probes();
    if json {
        print::json(&probes)?;
        return Ok(Exit::DONE);
    }
    let mut table = print::table(&["probe", "host", "network", "addresses", "MAC", "port"]);
    for probe in &probes {
        let addresses: Vec<String> = probe.addresses.iter().map(|address| address.addr().to_string()).collect();
        table.add_row([
            probe.name.as_str(),
            &probe.host,
            &probe.network,
            &addresses.join("\n"),
            &probe.mac.to_string(),
            &probe.port_id.to_string(),
        ]);
    }
    print::line(table);
    Ok(Exit::DONE)
}

fn exec(hosts: &Hosts, name: &str, command: &[OsString]) -> Result<Exit, Failure> {
    let probe = hosts.probe(name)?;
    let shell = [std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into())];
    let command = if command.is_empty() { &shell[..] } else { command };
    let mut line: Vec<OsString> = ["ip", "netns", "exec"].map(OsString::from).to_vec();
    line.push(probe.namespace().into());
    line.extend(command.iter().cloned());
    if hosts.lab.is_some() {
        match lab::exec(&hosts.paths, &probe.host, &line)? {}
    }
    let error = std::os::unix::process::CommandExt::exec(Process::new("ip").args(line.iter().skip(1)));
    Err(Failure::failed(format!("cannot run ip netns exec: {error}")))
}

/// Removes probes from their hosts and their ports from the API. A port that is gone already is no error.
fn delete(hosts: &Hosts, probes: &[Probe]) -> Result<Exit, Failure> {
    if probes.is_empty() {
        print::note("there is no probe; nothing was done");
        return Ok(Exit::DONE);
    }
    let runtime = runtime()?;
    let operator = operator(hosts)?;
    let cloud = runtime.block_on(Cloud::sign_in(&operator))?;
    let mut failed = BTreeMap::new();
    for probe in probes {
        let outcome = hosts.act(Act::Unplug, probe, 0).and_then(|_| match runtime.block_on(give_back(&cloud, probe)) {
            Ok(()) | Err(CloudError::Refused { status: 404, .. }) => Ok(()),
            Err(error) => Err(error.into()),
        });
        match outcome {
            Ok(()) => print::line(format!("{} is removed", probe.name)),
            Err(failure) => {
                failed.insert(probe.name.as_str(), failure);
            }
        }
    }
    for (name, failure) in &failed {
        print::error(&format!("{name}: {failure}"));
    }
    Ok(if failed.is_empty() { Exit::DONE } else { Exit::FAILED })
}

//! The lab on real namespaces, driven as an operator does. Every test has a lab of its own and leaves nothing behind.

#![allow(clippy::unwrap_used)] // in helpers of tests, too

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_neutronium");

/// A lab that goes with the test, also when that fails.
struct Lab {
    name: String,
}

impl Lab {
    fn new(test: &str) -> Self {
        Self { name: format!("t{}-{test}", std::process::id()) }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(PROGRAM).args(["lab", "--lab", &self.name]).args(arguments).output().unwrap()
    }

    /// Runs, wants success, and returns both outputs.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "lab {arguments:?}: {text}");
        text
    }

    fn on(&self, host: &str, command: &[&str]) -> String {
        self.ok(&[&["exec", host, "--"], command].concat())
    }

    /// Asks again until the answer has `wanted` in it. The limit is for a machine that is very busy, not a promise.
    fn until(&self, host: &str, command: &[&str], wanted: &str) {
        let given_up = Instant::now() + Duration::from_secs(60);
        loop {
            let said = self.on(host, command);
            if said.contains(wanted) {
                return;
            }
            assert!(Instant::now() < given_up, "{command:?} on {host} never said {wanted:?} but: {said}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn state(&self) -> PathBuf {
        Path::new("/run/neutronium/labs").join(&self.name)
    }

    fn status(&self) -> serde_json::Value {
        let output = self.run(&["status", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn pid(&self, host: &str, process: &str) -> Option<u64> {
        let status = self.status();
        let node = status["nodes"].as_array().unwrap().iter().find(|node| node["name"] == host).unwrap().clone();
        node["processes"].as_array().unwrap().iter().find(|p| p["name"] == process).unwrap()["pid"].as_u64()
    }

    fn supervisors(&self) -> Vec<u64> {
        self.status()["nodes"].as_array().unwrap().iter().filter_map(|node| node["supervisor"].as_u64()).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.run(&["down"]);
    }
}

fn alive(pid: u64) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn devices_of_the_machine() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir("/sys/class/net")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn hosts_are_machines_of_their_own() {
    let lab = Lab::new("own");
    lab.ok(&["up", "--bare"]);

    assert_eq!(lab.on("compute1", &["hostname"]).trim(), "compute1");
    assert!(lab.on("compute1", &["cat", "/etc/hosts"]).contains("192.168.1.12 network"));
    assert!(lab.on("network", &["ovs-vsctl", "show"]).contains("Bridge br-phys"));
    assert!(!lab.on("compute2", &["ovs-vsctl", "list-br"]).contains("br-int"), "br-int is the agent's");
    lab.on("compute1", &["ip", "netns", "add", "only-here"]);
    assert!(lab.on("compute1", &["ip", "netns"]).contains("only-here"));
    assert!(!lab.on("compute2", &["ip", "netns"]).contains("only-here"));
    lab.on("compute1", &["sh", "-c", "echo x > /etc/only-here; echo x > /var/lib/neutronium/only-here"]);
    assert!(!Path::new("/etc/only-here").exists() && !Path::new("/var/lib/neutronium").exists());

    // Exit codes and standard streams are the command's own.
    assert_eq!(lab.run(&["exec", "compute1", "--", "sh", "-c", "exit 42"]).status.code(), Some(42));
    assert_eq!(lab.run(&["exec", "compute9", "--", "true"]).status.code(), Some(1));

    // Underlay, gateway, world.
    lab.on("compute1", &["ping", "-c1", "-W2", "192.168.2.22"]);
    lab.on("network", &["ping", "-c1", "-W2", "203.0.113.1"]);
    // The joined external segment reaches the world, hidden behind the network node; TCP too (checksums).
    lab.on("compute1", &["sh", "-c", "ip addr add 172.16.0.77/24 dev br-ex && ip route add default via 172.16.0.1"]);
    let answer = lab.on(
        "compute1",
        &[
            "python3",
            "-c",
            "import urllib.request as u; print(u.urlopen('http://203.0.113.1/', timeout=10).read().decode())",
        ],
    );
    assert_eq!(answer.trim(), "hello 203.0.113.2");
}

#[test]
fn up_and_down_can_be_repeated_and_leave_nothing() {
    let lab = Lab::new("again");
    assert!(lab.ok(&["down"]).contains("nothing was done"));
    lab.ok(&["up", "--bare"]);
    let first = lab.supervisors();
    assert!(lab.ok(&["up", "--bare"]).contains("up already"));
    assert_eq!(lab.supervisors(), first);
    assert!(first.iter().all(|pid| alive(*pid)));
    let credentials = std::fs::metadata(lab.state().join("credentials.json")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&credentials.permissions()) & 0o777, 0o600);

    // Somebody left things running in a host, one of them in a namespace inside it.
    lab.on(
        "compute1",
        &["sh", "-c", "ip netns add inner; setsid ip netns exec inner sleep 1000 >/dev/null 2>&1 & sleep 0.2"],
    );
    let inner: u64 = lab.on("compute1", &["ip", "netns", "pids", "inner"]).trim().parse().unwrap();
    assert!(alive(inner));
    lab.ok(&["down"]);
    assert!(!alive(inner) && !first.iter().any(|pid| alive(*pid)));
    assert!(!lab.state().exists());
    assert!(!std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&lab.name));
    let names = devices_of_the_machine();
    assert!(!names.iter().any(|name| name.starts_with("eth0-") || name.starts_with("compute1") || name == "br-phys"));
    assert!(lab.ok(&["down"]).contains("nothing was done"));
}

#[test]
fn a_crash_half_way_up_is_cleared_by_up_and_by_down() {
    let lab = Lab::new("crash");
    lab.ok(&["up", "--bare"]);
    let first = lab.supervisors();
    let switch = lab.pid("compute1", "ovs-vswitchd").unwrap();
    // One supervisor dies without a word: its processes are orphans now.
    let victim =
        lab.status()["nodes"].as_array().unwrap().iter().find(|n| n["name"] == "compute1").unwrap()["supervisor"]
            .clone();
    Command::new("kill").args(["-9", &victim.to_string()]).status().unwrap();
    while alive(victim.as_u64().unwrap()) {}
    assert_eq!(lab.run(&["status"]).status.code(), Some(1));
    assert!(alive(switch));

    assert!(lab.ok(&["up", "--bare"]).contains("built again"));
    assert!(!alive(switch), "the orphan is gone");
    assert!(!first.iter().any(|pid| alive(*pid)));
    assert_eq!(lab.run(&["status"]).status.code(), Some(0));

    // All supervisors die, and with them even the records of who they were.
    let orphan = lab.pid("compute2", "ovs-vswitchd").unwrap();
    for pid in lab.supervisors() {
        Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    }
    std::fs::remove_dir_all(lab.state().join("nodes")).unwrap();
    lab.ok(&["down"]);
    assert!(!alive(orphan) && !lab.state().exists());
}

#[test]
fn the_dead_are_started_again_with_their_addresses() {
    let lab = Lab::new("dead");
    lab.ok(&["up", "--bare"]);
    for (process, how) in [("ovs-vswitchd", "--kill"), ("ovsdb-server", "--kill")] {
        let before = lab.pid("network", process).unwrap();
        lab.ok(&["restart", "network", process, how]);
        let after = lab.pid("network", process).unwrap();
        assert!(before != after && !alive(before) && alive(after), "{process}: {before} {after}");
    }
    // The taps were gone with the switch: their addresses are back, and traffic flows.
    assert!(lab.on("network", &["ip", "-br", "addr", "show", "br-ex"]).contains("172.16.0.1/24"));
    lab.on("network", &["ping", "-c1", "-W5", "192.168.2.21"]);
    let unknown = lab.run(&["restart", "network", "cooker"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("no process \"cooker\""));
}

#[test]
fn labs_do_not_see_each_other() {
    let (one, two) = (Lab::new("one"), Lab::new("two"));
    one.ok(&["up", "--bare"]);
    two.ok(&["up", "--bare"]);
    one.on("compute1", &["ping", "-c1", "-W2", "192.168.2.22"]);
    let survivors = two.supervisors();
    one.ok(&["down"]);
    assert!(survivors.iter().all(|pid| alive(*pid)));
    two.on("compute1", &["ping", "-c1", "-W2", "192.168.2.22"]);
}

#[test]
fn what_cannot_be_built_is_refused_before_anything_changes() {
    let lab = Lab::new("bad");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "name = \"x\"\nhots = []\n").unwrap();
    let output = lab.run(&["up", file.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(":2: unknown field `hots`") && said.lines().count() == 1, "{said}");

    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--clear-groups", PROGRAM, "lab", "--lab", &lab.name, "up"])
        .output();
    if let Ok(output) = output {
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let bad_name = Command::new(PROGRAM).args(["lab", "--lab", "../x", "up"]).output().unwrap();
    assert_eq!(bad_name.status.code(), Some(2));
    assert!(!lab.state().exists());
}

/// One request to the server from the machine: the whole answer.
fn ask(port: u16, request: &str) -> std::io::Result<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(30)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn the_server_is_reached_from_the_machine_also_while_it_starts_again() {
    let lab = Lab::new("serve");
    lab.ok(&["up"]);
    let openrc = lab.ok(&["openrc"]);
    let value = |name: &str| {
        let line = openrc.lines().find_map(|line| line.strip_prefix(&format!("export {name}="))).unwrap();
        line.to_owned()
    };
    let port: u16 = value("OS_AUTH_URL").split([':', '/']).nth(4).unwrap().parse().unwrap();

    let body = serde_json::json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": value("OS_USERNAME"), "domain": {"name": "Default"}, "password": value("OS_PASSWORD")}}},
        "scope": {"project": {"name": value("OS_PROJECT_NAME"), "domain": {"name": "Default"}}},
    }})
    .to_string();
    let request = format!(
        "POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    assert!(ask(port, &request).unwrap().starts_with("HTTP/1.1 201"));

    // Killed again and again: a caller waits for the next server instead of being refused.
    let versions = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for _ in 0..3 {
        let before = lab.pid("controller", "server");
        lab.ok(&["restart", "controller", "server", "--kill"]);
        assert!(ask(port, versions).unwrap().starts_with("HTTP/1.1 "));
        assert_ne!(lab.pid("controller", "server"), before);
    }
    // What was answered before is still so: the token can be had again with the same password.
    assert!(ask(port, &request).unwrap().starts_with("HTTP/1.1 201"));
    // Agents find it again, and the controller's own namespace reaches it under the same URL.
    lab.on("compute1", &["ping", "-c1", "-W2", "controller"]);
    let url = format!("http://127.0.0.1:{port}/");
    let code = lab
        .on("controller", &["python3", "-c", &format!("import urllib.request as u; print(u.urlopen('{url}').status)")]);
    assert!(["200", "300"].contains(&code.trim()), "{code}");
}

#[test]
fn a_topology_from_a_file() {
    let lab = Lab::new("file");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/topologies/all-in-one.toml");
    lab.ok(&["up", file.to_str().unwrap()]);
    assert!(lab.pid("node1", "server").is_some() && lab.pid("node1", "agent").is_some());
    // The bridges come once the agent has heard what its host must realise, which `up` does not wait for.
    lab.until("node1", &["ovs-vsctl", "list-br"], "br-int");
    // A server that cannot start says why.
    let broken = tempfile::NamedTempFile::new().unwrap();
    let text = std::fs::read_to_string(&file).unwrap().replace("vni_ranges", "vny_ranges");
    std::fs::write(broken.path(), text).unwrap();
    let second = Lab::new("vny");
    let output = second.run(&["up", broken.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("unknown field `vny_ranges`"), "{said}");
    // Another topology under the same name is refused, not mixed in.
    let other = lab.run(&["up"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&other.stderr).contains("all-in-one"));
}

//! Instances ask http://169.254.169.254/ who they are, and hear it from the server, or from a service like Nova's.
//!
//! ```text
//!  ── routed 10.1.0.0/24, 2001:db8:1::/64 ── router `edge` (proxy, by redirect)      vm1   greedy
//!  ── isolated 10.2.0.0/24, 2001:db8:2::/64 ── DHCP server (proxy, 169.254.169.254)  vm2
//!  proxies ── signed ──▶ the server's own metadata service on node1, later a listener on node1:8775
//! ```

use super::building::{instances, lets_in, network};
use super::{admin, made, shows, text, user, within};
use crate::lab::Probe;
use crate::story::Story;
use crate::{Client, Failure, Lab};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

const CONTROLLER: &str = "node1";
const V4: &str = "169.254.169.254";
/// `%` says by which device, as in a browser.
const V6: &str = "fe80::a9fe:a9fe%eth0";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEk9mPV4yB5FcSfkNn7tRr3zWb9oQ2oXkzjJ0mZ7fLab demo@lab";

/// Tells it.
pub fn tell(lab: &Lab, story: &mut Story) -> Result<(), Failure> {
    let admin = admin(lab)?;
    let demo = user(lab, &admin, "demo")?;
    let files = Files::write(lab)?;
    let scene = Scene::build(lab, &admin, &demo, &files, story)?;
    scene.trees(&files, story)?;
    scene.ways(lab, story)?;
    scene.other_words(lab, story)?;
    scene.greed(story)?;
    scene.external(lab, story)
}

/// What instances are given, in files as `probe create` reads them.
struct Files {
    folder: PathBuf,
    user_data: Vec<u8>,
}

impl Files {
    fn write(lab: &Lab) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("neutronium-{}-{}", lab.name(), std::process::id()));
        // A script, and every octet that there is, so that nothing on the way takes it for a text.
        let user_data: Vec<u8> = b"#!/bin/sh\r\necho \xff\x00\n".iter().copied().chain(0..=255).collect();
        let written = std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(folder.join("user-data"), &user_data))
            .and_then(|()| std::fs::write(folder.join("mykey.pub"), format!("{KEY}\n")));
        written.map_err(|source| Failure::Start { command: format!("write {}", folder.display()), source })?;
        Ok(Self { folder, user_data })
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What an instance asks, one connection each: a host, a path, and headers of its own making.
const ASK: &str = "
import http.client, json, sys
for host, path, headers in json.loads(sys.argv[1]):
    try:
        connection = http.client.HTTPConnection(host, 80, timeout=5)
        connection.request('GET', path, headers=headers)
        answer = connection.getresponse()
        status, body = answer.status, answer.read()
    except OSError as error:
        status, body = 0, str(error).encode()
    print(json.dumps([status, body.decode(errors='replace'), body.hex()]))
";

/// An answer: its status (0 without one), as text, and octet by octet in hexadecimal.
#[derive(serde::Deserialize, Debug, Clone)]
struct Answer(u16, String, String);

fn ask_with(probe: &Probe, host: &str, paths: &[&str], headers: &Value) -> Result<Vec<Answer>, Failure> {
    let asked: Vec<Value> = paths.iter().map(|path| json!([host, path, headers])).collect();
    answers(&probe.run(&["python3", "-c", ASK, &json!(asked).to_string()])?, paths.len())
}

fn ask(probe: &Probe, host: &str, paths: &[&str]) -> Result<Vec<Answer>, Failure> {
    ask_with(probe, host, paths, &json!({}))
}

fn answers(said: &str, count: usize) -> Result<Vec<Answer>, Failure> {
    let answers: Result<Vec<Answer>, _> = said.lines().map(serde_json::from_str).collect();
    let answers = answers.ok().filter(|answers| answers.len() == count);
    answers.ok_or_else(|| Failure::Unexpected { command: "ask for metadata".into(), what: said.to_owned() })
}

/// Waits until metadata is answered there.
fn answered(lab: &Lab, probe: &Probe, host: &str) -> Result<(), Failure> {
    lab.wait_until("metadata is answered", || Ok(ask(probe, host, &["/"])?[0].0 == 200))
}

/// A look at one answer: its status, and its text.
fn says(story: &mut Story, path: &str, why: &str, answer: &Answer, wanted: &str) -> Result<(), Failure> {
    let Answer(status, text, _) = answer;
    let shown = text.trim().replace('\n', ", ");
    story.sees(path, why, || Ok((*status == 200 && text.contains(wanted), format!("{status}: {shown}"))))
}

struct Scene {
    network: Value,
    isolated: Value,
    router: String,
    project: String,
    vm1: Probe,
    vm2: Probe,
    greedy: Probe,
    /// Of vm1, vm2 and greedy.
    ports: Vec<Value>,
}

impl Scene {
    fn build(lab: &Lab, admin: &Client, demo: &Client, files: &Files, story: &mut Story) -> Result<Self, Failure> {
        story.chapter("Instances that know nothing yet");
        let six = |network: &str, prefix: &str, more: &str| {
            format!("subnet create {network}-six --network {network} --ip-version 6 --subnet-range {prefix} {more}")
        };
        let modes = "--ipv6-ra-mode slaac --ipv6-address-mode slaac";
        let commands = [
            network("routed", "10.1.0.0/24", "").to_vec(),
            network("isolated", "10.2.0.0/24", "--gateway none").to_vec(),
            vec![
                six("routed", "2001:db8:1::/64", modes),
                six("isolated", "2001:db8:2::/64", "--ipv6-address-mode slaac"),
                "router create edge -f json".to_owned(),
                "router add subnet edge routed-subnet".to_owned(),
                "router add subnet edge routed-six".to_owned(),
            ],
            lets_in("default", &["--protocol icmp"]),
        ];
        let answers = made(story, "two networks, a router on one of them", demo, &commands.concat())?;
        let router = text(&answers[6], "id")?.to_owned();
        let (user_data, key) = (files.path("user-data"), files.path("mykey.pub"));
        let given = ["--user-data", user_data.as_str(), "--key", key.as_str()];
        let wanted = [
            ("vm1", "routed", "compute1", &given[..]),
            ("vm2", "isolated", "compute1", &given[..2]),
            ("greedy", "routed", "compute1", &[]),
        ];
        let [vm1, vm2, greedy] = instances(lab, demo, story, wanted)?;
        let shown = [&vm1, &vm2, &greedy].map(|probe| format!("port show {} -f json", probe.port));
        let ports = admin.session(&shown)?;
        let project = text(&ports[0], "project_id")?.to_owned();
        let (network, isolated) = (answers[0].clone(), answers[2].clone());
        Ok(Self { network, isolated, router, project, vm1, vm2, greedy, ports })
    }

    fn instance(&self, index: usize) -> &str {
        self.ports[index]["device_id"].as_str().unwrap_or_default()
    }

    fn address(&self, index: usize, prefix: &str) -> &str {
        let fixed = self.ports[index]["fixed_ips"].as_array().into_iter().flatten();
        fixed.filter_map(|fixed| fixed["ip_address"].as_str()).find(|ip| ip.starts_with(prefix)).unwrap_or_default()
    }

    /// EC2's tree and OpenStack's, as cloud-init walks them.
    fn trees(&self, files: &Files, story: &mut Story) -> Result<(), Failure> {
        story.chapter("vm1 asks http://169.254.169.254/, by the router");
        let paths = [
            "/",
            "/1.0/",
            "/1.0/meta-data/",
            "/1.0/meta-data/local-ipv4",
            "/latest/meta-data/hostname",
            "/latest/meta-data/public-keys/",
            "/latest/meta-data/public-keys/0/openssh-key",
            "/latest/user-data",
            "/openstack",
            "/openstack/latest/user_data",
            "/openstack/latest/meta_data.json",
            "/openstack/latest/network_data.json",
            "/latest/nothing-of-the-kind",
        ];
        let seen = ask(&self.vm1, V4, &paths)?;
        let words = [
            ("versions", "2009-04-04\nlatest"),
            ("a version", "meta-data/"),
            ("names, directories with a slash", "local-ipv4\n"),
            ("the port's address", self.address(0, "10.1.")),
            ("the instance's name", "vm1"),
            ("number and name", "0=mykey"),
            ("as it is in the file", KEY),
        ];
        for ((path, answer), (why, wanted)) in paths.iter().zip(&seen).zip(words) {
            says(story, path, why, answer, wanted)?;
        }
        let hex: String = files.user_data.iter().map(|octet| format!("{octet:02x}")).collect();
        story.sees("user data in both trees", "octet by octet what was given", || {
            let same = seen[7].2 == hex && seen[9].2 == hex;
            Ok((same, format!("{} octets", seen[7].2.len() / 2)))
        })?;
        says(story, paths[8], "OpenStack's versions", &seen[8], "2012-08-10")?;
        let json = |index: usize| serde_json::from_str::<Value>(&seen[index].1).unwrap_or_default();
        story.sees(paths[10], "who it is, and its keys", || {
            let told = json(10);
            let right = told["uuid"] == self.instance(0)
                && told["project_id"] == *self.project
                && told["public_keys"]["mykey"] == KEY;
            Ok((right, format!("uuid {}, name {}", told["uuid"], told["name"])))
        })?;
        story.sees(paths[11], "its port as a link, an entry for each address", || {
            let told = json(11);
            let (links, networks) = (&told["links"], &told["networks"]);
            let right = links[0]["vif_id"] == *self.vm1.port
                && links[0]["ethernet_mac_address"] == self.ports[0]["mac_address"]
                && links[0]["mtu"] == self.network["mtu"]
                && networks.as_array().is_some_and(|all| all.iter().any(|one| one["type"] == "ipv4_dhcp"));
            Ok((right, format!("link {}, MTU {}", links[0]["id"], links[0]["mtu"])))
        })?;
        story.sees(paths[12], "what is not there", || Ok((seen[12].0 == 404, seen[12].0.to_string())))
    }

    /// How the question gets there.
    fn ways(&self, lab: &Lab, story: &mut Story) -> Result<(), Failure> {
        story.chapter("The ways to it");
        let qrouter = format!("qrouter-{}", self.router);
        shows(
            story,
            "nft list ruleset in qrouter-",
            "port 80 there goes to the proxy's",
            &[V4, "redirect to :9697"],
            || within(lab, CONTROLLER, &qrouter, &["nft", "list", "ruleset"]),
        )?;
        let qdhcp = format!("qdhcp-{}", text(&self.isolated, "id")?);
        shows(
            story,
            "ip address in qdhcp- of isolated",
            "the DHCP port has the address",
            &["169.254.169.254/32"],
            || within(lab, CONTROLLER, &qdhcp, &["ip", "-br", "address"]),
        )?;
        story.sees("ip route in vm2", "by option 121 to the DHCP server; there is no other way out", || {
            let routes = self.vm2.run(&["ip", "-4", "route"])?;
            let right = routes.contains("169.254.169.254 via 10.2.0.") && !routes.contains("default");
            Ok((right, routes.trim().replace('\n', ", ")))
        })?;
        let hostname = ["/latest/meta-data/hostname"];
        says(story, "vm2 asks 169.254.169.254", "on the isolated network", &ask(&self.vm2, V4, &hostname)?[0], "vm2")?;
        for (probe, why) in
            [(&self.vm2, "the DHCP port has this address, too"), (&self.vm1, "by the router's advertisement")]
        {
            let what = format!("{} asks [fe80::a9fe:a9fe]", probe.name);
            // The route comes with an advertisement, the neighbour with the first packet.
            answered(lab, probe, V6)?;
            says(story, &what, why, &ask(probe, V6, &hostname)?[0], &probe.name)?;
        }
        Ok(())
    }

    /// Who says that it is somebody else.
    fn other_words(&self, lab: &Lab, story: &mut Story) -> Result<(), Failure> {
        story.chapter("Who says that it is somebody else");
        let forged = json!({
            "X-Instance-ID": self.instance(0), "X-Tenant-ID": self.project,
            "X-Forwarded-For": self.address(0, "10.1."), "X-Instance-ID-Signature": "00",
        });
        let seen = ask_with(&self.vm2, V4, &["/latest/meta-data/hostname"], &forged)?;
        says(story, "vm2 sends vm1's headers along", "what it says of itself does not count", &seen[0], "vm2")?;
        let (mine, greedy) = (self.address(0, "10.1."), self.address(2, "10.1."));
        let stranger = "0".repeat(32);
        let tries = [
            ("the proxy's own words, for comparison", mine, self.project.as_str(), true, 200),
            ("another instance's address", greedy, self.project.as_str(), true, 403),
            ("another tenant", mine, stranger.as_str(), true, 403),
            ("a forged signature", mine, self.project.as_str(), false, 403),
        ];
        let words = tries.map(|(_, address, project, signed, _)| json!([self.instance(0), address, project, signed]));
        let said = lab.exec(CONTROLLER, &["python3", "-c", CLAIM, &json!(words).to_string()])?;
        for ((what, _, _, _, wanted), status) in tries.iter().zip(said.lines()) {
            let wanted = wanted.to_string();
            story.sees(&format!("asked of the server: {what}"), "", || Ok((status == wanted, status.to_owned())))?;
        }
        Ok(())
    }

    /// One that asks without pause.
    fn greed(&self, story: &mut Story) -> Result<(), Failure> {
        story.chapter("One that asks without pause");
        let mut command = self.greedy.command(&["python3", "-c", GREED]);
        let failed = |source| Failure::Start { command: "the greedy one".into(), source };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let mut lines =
            BufReader::new(child.stdout.take().ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?);
        let mut refused = String::new();
        lines.read_line(&mut refused).map_err(failed)?;
        // It goes on meanwhile, until its input ends.
        let seen = ask(&self.vm1, V4, &["/latest/meta-data/hostname"; 20]);
        drop(child.stdin.take());
        let mut rest = String::new();
        lines.read_line(&mut rest).map_err(failed)?;
        child.wait().map_err(failed)?;
        story.sees("greedy, behind the same router", "is told that it asks too often", || {
            Ok((refused.trim() == "429" && rest.trim() != "0", format!("{} refused meanwhile", rest.trim())))
        })?;
        let seen = seen?;
        story.sees("vm1, at the same time", "gets all its answers", || {
            let good = seen.iter().filter(|answer| answer.0 == 200).count();
            Ok((good == seen.len(), format!("{good} of {}", seen.len())))
        })
    }

    /// A metadata service that is not ours, as Nova's would be.
    fn external(&self, lab: &Lab, story: &mut Story) -> Result<(), Failure> {
        story.chapter("A metadata service outside");
        let mut listener = lab.exec_command(CONTROLLER, &["python3", "-c", LISTENER]);
        let failed = |source| Failure::Start { command: "the listener".into(), source };
        let mut child = listener.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let outcome = self.external_with(lab, story);
        child.kill().and_then(|()| child.wait()).map_err(failed)?;
        outcome
    }

    fn external_with(&self, lab: &Lab, story: &mut Story) -> Result<(), Failure> {
        story.does(
            "[metadata] of node1's agent.toml: nova_metadata_host, a shared secret, force_metadata",
            || {
                lab.exec(CONTROLLER, &["sh", "-c", CONFIGURE])?;
                lab.run(&["lab", "restart", CONTROLLER, "agent"])
            },
            |_| "the agent runs again".into(),
        )?;
        let forged = json!({"X-Instance-ID": "somebody-else", "X-Forwarded-For": "10.9.9.9", "X-Tenant-ID": "theirs"});
        let mut heard = Value::Null;
        lab.wait_until("the listener is asked", || {
            let Answer(status, said, _) = ask_with(&self.vm1, V4, &["/latest/meta-data/?a=b"], &forged)?.remove(0);
            heard = serde_json::from_str(&said).unwrap_or_default();
            Ok(status == 200 && heard["path"].is_string())
        })?;
        let header = |name: &str| heard["headers"][name].as_str().unwrap_or_default().to_owned();
        let mut sees = |name: &str, why: &str, wanted: &str| {
            let found = header(name);
            story.sees(name, why, || Ok((found == wanted && !wanted.is_empty(), found)))
        };
        sees("x-forwarded-for", "vm1's address, not what it says", self.address(0, "10.1."))?;
        sees("x-instance-id", "vm1, not what it says", self.instance(0))?;
        sees("x-tenant-id", "its project", &self.project)?;
        let signature = heard["signature"].as_str().unwrap_or_default();
        sees("x-instance-id-signature", "HMAC-SHA256 of the instance's id, as the listener computes it", signature)?;
        story.sees("path and query", "arrive as asked", || {
            Ok((heard["path"] == "/latest/meta-data/?a=b", heard["path"].to_string()))
        })?;
        let qdhcp = format!("qdhcp-{}", text(&self.network, "id")?);
        shows(story, "ip address in qdhcp- of routed", "force_metadata: here, too", &["169.254.169.254/32"], || {
            within(lab, CONTROLLER, &qdhcp, &["ip", "-br", "address"])
        })
    }
}

/// Asks the server's own service as a proxy would, signed with the agents' secret or not; prints what it answers.
const CLAIM: &str = "
import hashlib, hmac, http.client, json, sys
secret = open('/etc/neutronium/agent.secret', 'rb').read().strip()
for instance, address, project, signed in json.loads(sys.argv[1]):
    signature = hmac.new(secret if signed else b'guess', instance.encode(), hashlib.sha256).hexdigest()
    connection = http.client.HTTPConnection('192.168.1.11', 9696, timeout=5)
    connection.request('GET', '/metadata/v1/instance/latest/meta-data/hostname', headers={
        'X-Forwarded-For': address, 'X-Instance-ID': instance, 'X-Tenant-ID': project,
        'X-Instance-ID-Signature': signature})
    print(connection.getresponse().status)
";

/// Asks until its input ends; says when it is first refused, and how often it was after that.
const GREED: &str = "
import http.client, select, sys
refused = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    try:
        connection = http.client.HTTPConnection('169.254.169.254', 80, timeout=5)
        connection.request('GET', '/')
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        continue
    if status == 429:
        if refused == 0:
            print(status, flush=True)
        refused += 1
print(refused - 1, flush=True)
";

/// Answers with what it was told, and with the signature as it must be.
const LISTENER: &str = "
import hashlib, hmac, http.server, json
class Service(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        right = hmac.new(b'shared', headers.get('x-instance-id', '').encode(), hashlib.sha256).hexdigest()
        body = json.dumps({'path': self.path, 'headers': headers, 'signature': right}).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(('192.168.1.11', 8775), Service).serve_forever()
";

/// What an operator writes for Nova's metadata service.
const CONFIGURE: &str = r#"
umask 077
echo shared > /etc/neutronium/metadata.secret
cat >> /etc/neutronium/agent.toml <<END
[metadata]
nova_metadata_host = "192.168.1.11"
metadata_proxy_shared_secret_file = "/etc/neutronium/metadata.secret"
force_metadata = true
END
"#;

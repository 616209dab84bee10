//! The labs that people built by hand and wrote about, on simulated hosts: what they typed, what they then saw.
//!
//! Each lab is a topology (`crates/lab/topologies`) and a story: `make lab LAB=quantum` tells it to a person, the test of the
//! same name holds it to every word. What must be seen is what the tools that operators use show: `ip netns`, `ovs-vsctl`,
//! `ovs-ofctl`, `tcpdump`.

mod building;
mod metadata;
mod packet_walk;
mod quantum;
mod segments;
mod summit;
mod three_nodes;
mod two_externals;

use crate::lab::{PING, Seen};
use crate::story::Story;
use crate::{Client, Failure, Lab, command};
use serde_json::Value;
use std::path::PathBuf;

/// A lab that can be told.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// What it is called.
    pub name: &'static str,
    /// Its file in `crates/lab/topologies`, without `.toml`.
    pub topology: &'static str,
    /// Tells it, on a lab that has just been built.
    pub tell: fn(&Lab, &mut Story) -> Result<(), Failure>,
}

/// All of them.
pub const ALL: [Told; 7] = [
    Told { name: "quantum", topology: "quantum", tell: quantum::tell },
    Told { name: "two-externals", topology: "two-externals", tell: two_externals::tell },
    Told { name: "packet-walk", topology: "packet-walk", tell: packet_walk::tell },
    Told { name: "summit", topology: "packet-walk", tell: summit::tell },
    Told { name: "three-nodes", topology: "three-nodes", tell: three_nodes::tell },
    Told { name: "segments", topology: "segments", tell: segments::tell },
    Told { name: "metadata", topology: "dhcp-dns", tell: metadata::tell },
];

impl Told {
    /// The topology's file.
    pub fn file(&self) -> PathBuf {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/lab/topologies"));
        folder.join(self.topology).with_extension("toml")
    }
}

/// Password of the users that the stories make; a lab is reached from its machine only.
const PASSWORD: &str = "neutronium-lab";

/// The lab's administrator.
fn admin(lab: &Lab) -> Result<Client, Failure> {
    Client::new(lab, "admin", None, "admin")
}

/// A user of role member, in a project of the same name.
fn user(lab: &Lab, admin: &Client, name: &str) -> Result<Client, Failure> {
    admin.session(&[
        format!("project create {name}"),
        format!("user create {name} --project {name} --password {PASSWORD}"),
        format!("role add member --user {name} --project {name}"),
    ])?;
    Client::new(lab, name, Some(PASSWORD), name)
}

/// Commands of the client, all of which must succeed; their answers, where they were asked for with `-f json`.
fn made<Line: AsRef<str>>(
    story: &mut Story,
    what: &str,
    client: &Client,
    commands: &[Line],
) -> Result<Vec<Value>, Failure> {
    story.does(what, || client.session(commands), |answers| format!("{} commands", answers.len()))
}

/// A look at a text: every one of `wanted` must stand in it.
fn shows(
    story: &mut Story,
    what: &str,
    why: &str,
    wanted: &[&str],
    look: impl FnOnce() -> Result<String, Failure>,
) -> Result<(), Failure> {
    story.sees(what, why, || {
        let text = look()?;
        let missing: Vec<&&str> = wanted.iter().filter(|word| !text.contains(**word)).collect();
        Ok(if missing.is_empty() { (true, wanted.join(", ")) } else { (false, format!("no {missing:?} in\n{text}")) })
    })
}

/// A try that must go through, or must not.
fn reaches(
    story: &mut Story,
    what: &str,
    why: &str,
    wanted: bool,
    attempt: impl FnOnce() -> Result<Seen, Failure>,
) -> Result<(), Failure> {
    story.sees(what, why, || {
        let seen = attempt()?;
        let said = match &seen {
            Seen::Answer(text) if text.is_empty() => "went through".to_owned(),
            Seen::Answer(text) => format!("went through: {text}"),
            Seen::Silence => "blocked".to_owned(),
        };
        Ok(((seen != Seen::Silence) == wanted, said))
    })
}

/// A try: what, why, whether it must go through, and the attempt.
type Try<'a> = (&'a str, &'a str, bool, Box<dyn FnOnce() -> Result<Seen, Failure> + Send + 'a>);

/// Tries that do not disturb each other, at once: what is blocked takes seconds to be believed.
fn all_at_once(story: &mut Story, tries: Vec<Try<'_>>) -> Result<(), Failure> {
    let seen: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            tries.into_iter().map(|(what, why, wanted, attempt)| (what, why, wanted, scope.spawn(attempt))).collect();
        let broken = || Failure::Unexpected { command: "a try".into(), what: "broke off".into() };
        let ended = threads
            .into_iter()
            .map(|(what, why, wanted, thread)| (what, why, wanted, thread.join().unwrap_or_else(|_| Err(broken()))));
        ended.collect()
    });
    seen.into_iter().try_for_each(|(what, why, wanted, seen)| reaches(story, what, why, wanted, || seen))
}

/// Pings from a host's own namespace, or from one of the namespaces on it.
fn ping_from(lab: &Lab, node: &str, namespace: Option<&str>, address: &str) -> Result<Seen, Failure> {
    let within: Vec<&str> = namespace.map(|name| vec!["ip", "netns", "exec", name]).unwrap_or_default();
    let output = command::output(&mut lab.exec_command(node, &[&within[..], &PING, &[address]].concat()))?;
    Ok(if output.status.success() { Seen::Answer(String::new()) } else { Seen::Silence })
}

/// Connects from a host by TCP and reads the first line that is answered.
fn tcp_from(lab: &Lab, node: &str, address: &str, port: u16) -> Result<Seen, Failure> {
    let script =
        format!("exec 3<>/dev/tcp/{address}/{port} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3");
    let output = command::output(&mut lab.exec_command(node, &["timeout", "4", "bash", "-c", &script]))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(if output.status.success() && !said.is_empty() { Seen::Answer(said) } else { Seen::Silence })
}

/// A column of the client's answer.
fn text<'a>(answer: &'a Value, column: &str) -> Result<&'a str, Failure> {
    answer[column]
        .as_str()
        .ok_or_else(|| Failure::Unexpected { command: column.to_owned(), what: format!("not in {answer}") })
}

/// The first eleven characters of a port's id, by which its devices are named.
fn short(port: &str) -> &str {
    port.get(..11).unwrap_or(port)
}

/// The VLAN tag of a port of br-int.
fn tag(lab: &Lab, node: &str, device: &str) -> Result<String, Failure> {
    Ok(lab.exec(node, &["ovs-vsctl", "get", "port", device, "tag"])?.trim().to_owned())
}

/// A command in a namespace of a host.
fn within(lab: &Lab, node: &str, namespace: &str, words: &[&str]) -> Result<String, Failure> {
    lab.exec(node, &[&["ip", "netns", "exec", namespace], words].concat())
}

/// Flows of a bridge, as `ovs-ofctl` prints them, without counters.
fn flows(lab: &Lab, node: &str, bridge: &str, which: &str) -> Result<String, Failure> {
    lab.exec(node, &["ovs-ofctl", "-O", "OpenFlow14", "--no-stats", "--no-names", "dump-flows", bridge, which])
}

/// A VLAN id as OpenFlow's `vlan_vid` has it: with the bit that says that there is a tag.
fn tagged(vlan: &str) -> u16 {
    0x1000 | vlan.parse::<u16>().unwrap_or_default()
}

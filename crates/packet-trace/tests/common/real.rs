//! What a real Open vSwitch says of a packet, in the terms of the walker.

use super::Arrival;
use host_drivers::unixctl::Session;
use std::collections::{BTreeMap, VecDeque};

/// Where a packet leaves: port and tag, or peer and key of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Port(String, Option<u16>),
    Tunnel(String, u64),
}

/// What became of a packet and of all copies of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// Sorted; where several leave, several times.
    pub places: Vec<Place>,
    /// Lower halves of the cookies of flows that sent a copy to the agent, sorted.
    pub logged: Vec<u32>,
    /// Table and priority of every flow that decided, in order; no priority: no flow.
    pub path: Vec<(u8, Option<u16>)>,
}

/// One session for all traces; each costs well under a millisecond.
pub struct Tracer {
    runtime: tokio::runtime::Runtime,
    session: Session,
    /// Datapath number to name.
    names: BTreeMap<String, String>,
}

impl Tracer {
    pub fn new(switch: &host_drivers::testing::PrivateSwitch) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let session = runtime.block_on(Session::open(switch.rundir())).unwrap();
        let mut tracer = Self { runtime, session, names: BTreeMap::new() };
        tracer.read_names();
        tracer
    }

    pub fn run(&mut self, command: &str, arguments: &[&str]) -> String {
        self.runtime.block_on(self.session.run(command, arguments)).unwrap()
    }

    pub fn read_names(&mut self) {
        let shown = self.run("dpctl/show", &[]);
        let ports = shown.lines().filter_map(|line| line.trim().strip_prefix("port "));
        self.names = ports
            .filter_map(|line| line.split_once(": "))
            .map(|(number, rest)| (number.to_owned(), rest.split(' ').next().unwrap().to_owned()))
            .collect();
    }

    /// The fate, and the whole trace for people.
    pub fn trace(&mut self, number: u32, arrival: &Arrival, states: &[String]) -> (Fate, String) {
        let flow = format!("in_port={number},{}", arrival.packet);
        let mut arguments = vec![arrival.bridge.as_str(), &flow];
        for state in states {
            arguments.extend(["--ct-next", state]);
        }
        let text = self.run("ofproto/trace", &arguments);
        let mut said = Said::default();
        let tag = arrival.packet.split(',').find_map(|part| part.strip_prefix("dl_vlan=")?.parse().ok());
        let mut tags = VecDeque::from([tag]);
        for line in text.lines().filter_map(|line| line.strip_prefix("Datapath actions: ")) {
            let tag = tags.pop_front().unwrap_or_else(|| panic!("no packet left for {line}\n{text}"));
            self.places(line, tag, &mut tags, &mut said);
        }
        let Said { mut places, mut logged } = said;
        let tunnelled = places.iter().any(|place| matches!(place, Place::Tunnel(..)));
        places.retain(|place| !tunnelled || !matches!(place, Place::Port(name, _) if name == "underlay"));
        places.sort();
        logged.sort_unstable();
        (Fate { places, logged, path: path(&text) }, text)
    }

    /// Outputs in a line of datapath actions; packets that are recirculated note the tag that they then bear.
    fn places(&self, line: &str, tag: Option<u16>, later: &mut VecDeque<Option<u16>>, said: &mut Said) {
        let mut tag = tag;
        for action in top_level(line) {
            if action.chars().all(|c| c.is_ascii_digit()) && !action.is_empty() {
                let name = self.names.get(action).unwrap_or_else(|| panic!("no port {action}"));
                said.places.push(Place::Port(name.clone(), tag));
            } else if let Some(pushed) = action.strip_prefix("push_vlan(vid=") {
                tag = pushed.split([',', ')']).next().and_then(|number| number.parse().ok());
            } else if action == "pop_vlan" {
                tag = None;
            } else if action.starts_with("recirc(") {
                later.push_back(tag);
            } else if let Some(inside) = action.strip_prefix("clone(") {
                self.places(inside.strip_suffix(')').unwrap_or(inside), tag, later, said);
            } else if let Some((_, inside)) =
                action.strip_prefix("sample(sample=100.0%,").and_then(|_| action.split_once("actions("))
            {
                // What may be dropped by a meter: the packet itself is not.
                self.places(inside.strip_suffix("))").unwrap_or(inside), tag, later, said);
            } else if action.starts_with("userspace(") {
                let after = |key: &str| action.split(key).nth(1).map(|rest| rest.split([',', ')']).next().unwrap());
                let cookie =
                    after("rule_cookie=0x").unwrap_or_else(|| panic!("to userspace for another reason: {line}"));
                said.logged.push(u64::from_str_radix(cookie, 16).unwrap() as u32);
            } else if action.starts_with("tnl_push(") {
                let after = |key: &str| action.split(key).nth(1).map(|rest| rest.split([',', ')']).next().unwrap());
                let peer = action.split("ipv4(").nth(1).and_then(|ip| ip.split("dst=").nth(1)).unwrap();
                // VXLAN and Geneve, ERSPAN, GRE.
                let key = ["vni=0x", "sid=0x", "key=0x"].into_iter().find_map(after);
                let key = u64::from_str_radix(key.unwrap_or_else(|| panic!("no key: {action}")), 16).unwrap();
                said.places.push(Place::Tunnel(peer.split(',').next().unwrap().to_owned(), key));
            }
        }
    }
}

#[derive(Default)]
struct Said {
    places: Vec<Place>,
    logged: Vec<u32>,
}

/// Actions between commas outside parentheses.
fn top_level(line: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, vec![]);
    for (at, character) in line.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&line[start..]);
    found
}

/// The flows that a trace names; not those of bridges that only switch: the underlay's, and trunks'.
fn path(text: &str) -> Vec<(u8, Option<u16>)> {
    let (mut found, mut plain) = (vec![], false);
    for line in text.lines().map(str::trim_start) {
        plain |= ["br-under", "tbr-"].iter().any(|name| line.starts_with(&format!("bridge(\"{name}")));
        // A packet that comes back from the connection tracker is shown on the bridge where it came in, wherever it goes on.
        plain &= line != "thaw";
        let Some((table, rest)) = line.split_once(". ") else { continue };
        let Ok(table) = table.parse() else { continue };
        let priority = rest.split("priority ").nth(1).map(|rest| rest.split(',').next().unwrap().parse().unwrap());
        // It has one flow only.
        if !std::mem::take(&mut plain) {
            found.push((table, priority));
        }
    }
    found
}

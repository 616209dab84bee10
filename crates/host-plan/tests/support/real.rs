//! A plan on a real Open vSwitch: bridges and ports made, flows loaded as one bundle, packets traced.

use super::Host;
use host_drivers::testing::PrivateSwitch;
use host_plan::{HostPlan, Interface, PortKind, PortTag};
use std::collections::{BTreeMap, BTreeSet};

pub struct RealHost {
    pub switch: PrivateSwitch,
    pub host: Host,
    pub plan: HostPlan,
    /// What the agent knows of interfaces beside their names, bridges, numbers and ids.
    pub known: BTreeMap<String, Interface>,
}

/// What the switch would do with a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Names of the ports that it leaves by; tunnels by their underlay port's name.
    pub ports: BTreeSet<String>,
    /// The VLAN tag that it bears there.
    pub tags: BTreeMap<String, Option<u16>>,
    /// The whole trace, for people.
    pub trace: String,
}

impl Verdict {
    pub fn is_dropped(&self) -> bool {
        self.ports.is_empty()
    }

    pub fn only(&self, port: &str) -> bool {
        self.ports.iter().eq([port])
    }

    /// Whether the packet passed this table.
    pub fn passed(&self, table: u8) -> bool {
        self.trace.lines().any(|line| line.trim_start().starts_with(&format!("{table}. ")))
    }
}

impl RealHost {
    /// Makes what the operator would make, then what the plan says.
    pub fn new(host: &Host) -> Self {
        let switch = PrivateSwitch::start().unwrap();
        let mut host = host.clone();
        host.state.interfaces.retain(|_, interface| interface.iface_id.is_some());
        host.state.local_vlans.clear();
        for bridge in ["br-phys", "br-under"] {
            switch.vsctl(&["add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev"]).unwrap();
        }
        switch.vsctl(&["add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev"]).unwrap();
        // A port of the wire, and the underlay's.
        internal(&switch, "br-phys", "wire");
        internal(&switch, "br-under", "underlay");
        for (name, interface) in &host.state.interfaces {
            let bridge = &interface.bridge;
            switch
                .vsctl(&["--may-exist", "add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev"])
                .unwrap();
            internal(&switch, bridge, name);
            let id = format!("external_ids:iface-id={}", interface.iface_id.unwrap());
            switch.vsctl(&["set", "interface", name, &id]).unwrap();
        }
        let plan = HostPlan::default();
        let mut real = Self { switch, host, plan, known: BTreeMap::new() };
        real.settle();
        if real.plan.flows.contains_key("br-tun") {
            real.switch.run(&["ip", "addr", "add", "10.77.0.1/24", "dev", "br-under"]).unwrap();
            real.switch.run(&["ip", "link", "set", "br-under", "up"]).unwrap();
            for (address, mac) in &real.plan.tunnel_neighbours {
                real.switch.appctl(&["tnl/neigh/set", "br-under", &address.to_string(), &mac.to_string()]).unwrap();
            }
        }
        real
    }

    /// Applies and plans until nothing changes, then loads the flows.
    pub fn settle(&mut self) {
        for _ in 0..6 {
            self.read_state();
            let plan = self.host.plan();
            if plan == self.plan {
                self.load_flows();
                return;
            }
            self.drop_ports(&plan);
            self.make_ports(&plan);
            self.host.state.local_vlans = plan.local_vlans.clone();
            self.plan = plan;
        }
        panic!("the plan does not settle on the real switch");
    }

    fn read_state(&mut self) {
        let columns = ["--format=json", "--columns=name,ofport,external_ids", "list", "interface"];
        let listed: serde_json::Value = serde_json::from_str(&self.switch.vsctl(&columns).unwrap()).unwrap();
        let found = |row: &serde_json::Value| {
            let ids = row[2][1].as_array().unwrap();
            let id = ids.iter().find(|pair| pair[0] == "iface-id").and_then(|pair| pair[1].as_str()?.parse().ok());
            // Minus one: it could not be opened.
            let number = row[1].as_u64().and_then(|number| number.try_into().ok());
            (row[0].as_str().unwrap().to_owned(), (number, id))
        };
        let known: BTreeMap<String, _> = listed["data"].as_array().unwrap().iter().map(found).collect();
        let mut interfaces = BTreeMap::new();
        let bridges = self.switch.vsctl(&["list-br"]).unwrap();
        for bridge in bridges.lines() {
            for name in self.switch.vsctl(&["list-ports", bridge]).unwrap().lines() {
                let (ofport, iface_id) = known[name];
                let also = self.known.get(name).cloned().unwrap_or_default();
                let interface = Interface { bridge: bridge.into(), ofport, iface_id, ..also };
                interfaces.insert(name.to_owned(), interface);
            }
        }
        self.host.state.interfaces = interfaces;
        self.host.state.bridges = bridges.lines().map(str::to_owned).collect();
    }

    /// Has these BFD sessions be up or down, whatever is heard by them.
    pub fn set_alive(&self, sessions: &BTreeMap<String, bool>) {
        for (port, lives) in sessions {
            let lives = if *lives { "true" } else { "false" };
            self.switch.appctl(&["bfd/set-forwarding", port, lives]).unwrap();
        }
        // ovs-vswitchd takes it up in one round of its loop and goes by it from the next one on; each change of the database
        // that is waited for is a round at least.
        self.switch.vsctl(&["set", "open_vswitch", ".", "external_ids:turn=1"]).unwrap();
        self.switch.vsctl(&["remove", "open_vswitch", ".", "external_ids", "turn"]).unwrap();
    }

    /// Ports for copies, sessions and patches to trunks go with what they are for.
    fn drop_ports(&self, plan: &HostPlan) {
        for (name, interface) in &self.host.state.interfaces {
            let comes_and_goes =
                ["tm", "tpi-", "tpt-", "spi-", "spt-", "ha-"].iter().any(|kind| name.starts_with(kind));
            let planned = plan.bridges.get(&interface.bridge).is_some_and(|bridge| bridge.ports.contains_key(name));
            if comes_and_goes && !planned {
                self.switch.vsctl(&["--if-exists", "del-port", &interface.bridge, name]).unwrap();
            }
        }
    }

    fn make_ports(&self, plan: &HostPlan) {
        for (name, bridge) in &plan.bridges {
            let datapath = "datapath_type=netdev";
            let protocols = bridge.protocols.iter().map(String::as_str).collect::<Vec<_>>().join(",");
            let protocols = format!("protocols=[{protocols}]");
            let fail_mode = format!("fail_mode={}", bridge.fail_mode);
            let make = ["--may-exist", "add-br", name, "--", "set", "bridge", name, datapath, &fail_mode, &protocols];
            let mut all = make.map(str::to_owned).to_vec();
            for (port, value) in &bridge.ports {
                let kind = match &value.kind {
                    PortKind::Patch { peer } => vec!["type=patch".to_owned(), format!("options:peer={peer}")],
                    PortKind::Tunnel { tunnel, options } => [format!("type={tunnel}")]
                        .into_iter()
                        .chain(options.iter().map(|(key, value)| format!("options:{key}={value}")))
                        .collect(),
                    PortKind::Erspan { options } => ["type=erspan".to_owned()]
                        .into_iter()
                        .chain(options.iter().map(|(key, value)| format!("options:{key}={value}")))
                        .collect(),
                    PortKind::Veth | PortKind::Internal => vec!["type=internal".to_owned()],
                };
                let ids = value.external_ids.iter().map(|(key, value)| format!("external_ids:{key}=\"{value}\""));
                let bfd = value.bfd.iter().map(|(key, value)| format!("bfd:{key}={value}"));
                let settings: Vec<String> = kind.into_iter().chain(ids).chain(bfd).collect();
                let add = ["--", "--may-exist", "add-port", name, port, "--", "set", "interface", port];
                all.extend(add.map(str::to_owned).into_iter().chain(settings));
                if !value.bfd.contains_key("cpath_down") {
                    all.extend(["--", "remove", "interface", port, "bfd", "cpath_down"].map(str::to_owned));
                }
                // One by one they come in order, and NORMAL floods to them in order.
                if !self.host.state.interfaces.contains_key(port) {
                    self.vsctl(&std::mem::take(&mut all));
                }
            }
            self.vsctl(&all);
        }
        for (bridge, value) in &plan.bridges {
            self.switch.vsctl(&["clear", "bridge", bridge, "mirrors"]).unwrap();
            for (name, mirror) in &value.mirrors {
                let ports = |ports: &BTreeSet<String>| {
                    let uuid = |port: &String| self.switch.vsctl(&["get", "port", port, "_uuid"]).unwrap();
                    ports.iter().map(|port| uuid(port).trim().to_owned()).collect::<Vec<_>>().join(",")
                };
                let (from, to) = (ports(&mirror.from), ports(&mirror.to));
                let (name, from) = (format!("name={name}"), format!("select_src_port=[{from}]"));
                let (to, output) = (format!("select_dst_port=[{to}]"), ports(&[mirror.output.clone()].into()));
                let output = format!("output_port={output}");
                let vlans = mirror.vlans.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
                let vlans = format!("select_vlan=[{vlans}]");
                let create = ["--", "--id=@m", "create", "mirror", &name, &from, &to, &vlans, &output];
                let add = ["--", "add", "bridge", bridge, "mirrors", "@m"];
                self.switch.vsctl(&[&create[..], &add[..]].concat()).unwrap();
            }
        }
        let tag = |(port, tag): (&String, &PortTag)| {
            ["--", "--if-exists", "set", "port", port, &format!("tag={}", tag.tag)].map(str::to_owned)
        };
        self.vsctl(&plan.tags.iter().flat_map(tag).collect::<Vec<_>>());
    }

    fn vsctl(&self, words: &[String]) {
        if !words.is_empty() {
            self.switch.vsctl(&words.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        }
    }

    fn load_flows(&self) {
        for (bridge, meters) in &self.plan.meters {
            // What refers to them goes with them, and comes with the flows.
            self.switch.ofctl(&["del-meters", bridge]).unwrap();
            for (id, meter) in meters {
                let unit = if meter.packets { "pktps" } else { "kbps" };
                let band = format!("type=drop,rate={},burst_size={}", meter.rate, meter.burst);
                let text = format!("meter={id},{unit},burst,stats,band={band}");
                self.switch.ofctl(&["add-meter", bridge, &text]).unwrap();
            }
        }
        for (bridge, flows) in &self.plan.flows {
            self.switch.wait_for_bridge(bridge).unwrap();
            let text: String = flows.iter().map(|flow| format!("{flow}\n")).collect();
            self.switch.ofctl_with(&["--bundle", "replace-flows", bridge, "-"], &text).unwrap();
        }
    }

    /// The flows that the switch has, in the planner's order.
    pub fn flows(&self, bridge: &str) -> Vec<openflow::Flow> {
        let text = self.switch.ofctl(&["--no-stats", "dump-flows", bridge]).unwrap();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains("OFPST_FLOW"));
        let mut flows: Vec<openflow::Flow> = lines.map(|line| line.parse().unwrap()).collect();
        openflow::sort(&mut flows);
        flows
    }

    /// Traces a packet from a port; `states` are the conntrack states of the lookups on its way.
    pub fn trace_on(&self, bridge: &str, port: &str, packet: &str, states: &[&str]) -> Verdict {
        let number = self.switch.vsctl(&["get", "interface", port, "ofport"]).unwrap();
        let flow = format!("in_port={},{packet}", number.trim());
        let mut arguments = vec!["ofproto/trace", bridge, &flow];
        for state in states {
            arguments.extend(["--ct-next", state]);
        }
        let trace = self.switch.appctl(&arguments).unwrap();
        let names = self.datapath_ports();
        let tags: BTreeMap<_, _> = trace
            .lines()
            .filter_map(|line| line.strip_prefix("Datapath actions: "))
            .flat_map(outputs)
            .map(|(number, tag)| (names.get(&number).cloned().unwrap_or(number), tag))
            .collect();
        Verdict { ports: tags.keys().cloned().collect(), tags, trace }
    }

    pub fn trace(&self, port: &str, packet: &str, states: &[&str]) -> Verdict {
        self.trace_on("br-int", port, packet, states)
    }

    /// Datapath number to name.
    fn datapath_ports(&self) -> BTreeMap<String, String> {
        let shown = self.switch.appctl(&["dpctl/show"]).unwrap();
        let ports = shown.lines().filter_map(|line| line.trim().strip_prefix("port "));
        ports
            .filter_map(|line| line.split_once(": "))
            .map(|(number, rest)| (number.to_owned(), rest.split(' ').next().unwrap().to_owned()))
            .collect()
    }
}

pub fn internal(switch: &PrivateSwitch, bridge: &str, name: &str) {
    switch.vsctl(&["add-port", bridge, name, "--", "set", "interface", name, "type=internal"]).unwrap();
}

/// Port numbers in a line of datapath actions (bare numbers outside parentheses, and where tunnels lead), each with the
/// tag that the packet then bears.
fn outputs(actions: &str) -> Vec<(String, Option<u16>)> {
    let (mut depth, mut token, mut tag, mut found) = (0, String::new(), None, Vec::new());
    for character in actions.chars().chain([',']) {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                let text = std::mem::take(&mut token);
                if text.chars().all(|c| c.is_ascii_digit()) && !text.is_empty() {
                    found.push((text, tag));
                } else if let Some(pushed) = text.strip_prefix("push_vlan(vid=") {
                    tag = pushed.split(',').next().and_then(|number| number.parse().ok());
                } else if text == "pop_vlan" {
                    tag = None;
                } else if let Some(inside) = text.strip_prefix("clone(") {
                    found.extend(outputs(inside.trim_end_matches(')')));
                }
                continue;
            }
            _ => {}
        }
        token.push(character);
    }
    found
}

#[test]
fn outputs_are_found_among_other_actions() {
    let numbers = |actions| outputs(actions).into_iter().map(|(port, _)| port).collect::<Vec<_>>();
    assert_eq!(outputs("push_vlan(vid=101,pcp=0),3,pop_vlan,4"), [("3".into(), Some(101)), ("4".into(), None)]);
    assert_eq!(numbers("ct(zone=1),recirc(0x3)"), [""; 0]);
    assert_eq!(numbers("clone(tnl_push(tnl_port(6),header(size=50,type=4),out_port(1)),2)"), ["2"]);
    assert!(outputs("drop").is_empty());
}

//! Flows as `ovs-ofctl` tells them, for two questions: are they the same, and has one been written anew?

use crate::world::World;
use std::collections::BTreeMap;
use std::time::Instant;

/// What changes by itself.
const MEASURED: [&str; 5] = ["duration=", "n_packets=", "n_bytes=", "idle_age=", "hard_age="];

/// The flows of a host's bridges that an agent writes; what the switch learns by itself is left out.
pub struct Flows {
    /// Without what changes by itself, to seconds since the flow was written.
    ages: BTreeMap<String, f64>,
    /// None of the ages was read before this, nor after that.
    read: (Instant, Instant),
}

impl Flows {
    /// Reads all of a host.
    pub fn read(world: &World, host: &str) -> Self {
        let before = Instant::now();
        let mut ages = BTreeMap::new();
        for bridge in world.lab.exec(host, &["ovs-vsctl", "list-br"]).unwrap().lines() {
            if !["br-int", "br-tun", "br-ex"].contains(&bridge) {
                continue;
            }
            let said = world.lab.exec(host, &["ovs-ofctl", "-O", "OpenFlow14", "dump-flows", bridge]).unwrap();
            for line in said.lines().filter(|line| line.contains("cookie=") && !line.contains("_timeout=")) {
                let fields = line.trim().split(", ");
                let age = |field: &str| field.strip_prefix("duration=")?.strip_suffix('s')?.parse::<f64>().ok();
                let seconds = fields.clone().find_map(age).unwrap();
                let kept = fields.filter(|field| !MEASURED.iter().any(|measured| field.starts_with(measured)));
                ages.insert(format!("{bridge} {}", kept.collect::<Vec<_>>().join(", ")), seconds);
            }
        }
        assert!(ages.len() > 50, "{host} has the flows of a working host: {ages:?}");
        Self { ages, read: (before, Instant::now()) }
    }

    /// The flows themselves.
    pub fn all(&self) -> Vec<&str> {
        self.ages.keys().map(String::as_str).collect()
    }

    /// Flows that were here before and were written again since, or are gone.
    pub fn touched_since<'a>(&self, before: &'a Self) -> Vec<&'a str> {
        // So much older a flow is now that has been left alone, at the least; ages are told to the millisecond.
        let passed = self.read.0.duration_since(before.read.1).as_secs_f64() - 0.002;
        let alone = |flow: &str, age: f64| self.ages.get(flow).is_some_and(|now| *now >= age + passed);
        before.ages.iter().filter(|(flow, age)| !alone(flow, **age)).map(|(flow, _)| flow.as_str()).collect()
    }
}

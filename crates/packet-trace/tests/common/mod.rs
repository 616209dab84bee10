//! Random hosts and packets, for the comparison with the real switch and with a plain reading of the rules.
#![allow(dead_code)] // each test binary uses its part

pub mod anywhere;
pub mod gates;
pub mod observed;
pub mod random;
pub mod reading;
pub mod real;

use openflow::CtState;
use openflow::ct_state::{EST, INV, NEW, REL, RPL, TRK};

/// A packet and where it comes in.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub bridge: String,
    pub port: String,
    /// In the notation of `ovs-ofctl`, without the port.
    pub packet: String,
    /// What the connection tracker says when it is asked, by name.
    pub states: Vec<&'static str>,
}

/// States as `--ct-next` takes them.
pub const STATES: [&str; 6] = ["trk,new", "trk,est", "trk,est,rpl", "trk,rel", "trk,inv", "trk,rel,rpl"];

/// The state of such a name.
pub fn state(name: &str) -> CtState {
    let flag = |name: &str| match name {
        "new" => NEW,
        "est" => EST,
        "rel" => REL,
        "rpl" => RPL,
        "inv" => INV,
        _ => TRK,
    };
    name.split(',').fold(TRK, |state, name| state + flag(name))
}

/// How many of something: the number in this variable of the environment, or the default.
pub fn count(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

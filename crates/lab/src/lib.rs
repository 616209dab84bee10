//! Simulated hosts: several machines on one, each a network, mount and UTS namespace with its own `/run`, its own Open
//! vSwitch, its own agent, and on one of them the server.
//!
//! In: a [`Topology`] and a name. Out: running hosts that are found again from the lab's state folder (by any later
//! process), and no trace after [`down`]. It touches nothing of the machine's own network namespace but a TCP listener on
//! 127.0.0.1 and one global sysctl (`net.core.rmem_default`), which it restores.
//!
//! ```text
//! neutronium lab up ── starts one supervisor per node (host or switch), plugs the cables, says "go"
//!   supervisor compute1 [net, mnt, uts namespace]     supervisor underlay [net namespace]
//!     ├─ ovsdb-server                                   └─ switch (kernel bridge)
//!     ├─ ovs-vswitchd
//!     └─ neutronium agent
//! neutronium lab exec compute1 -- ... ── enters the supervisor's namespaces and becomes the command
//! neutronium lab down ── asks supervisors to stop, ends what is left, removes the state folder
//! ```

mod cables;
mod command;
mod config;
mod control;
mod credentials;
mod down;
mod drawing;
mod error;
mod exec;
mod machine;
mod namespace;
mod open_vswitch;
mod paths;
mod preflight;
mod process;
mod record;
mod status;
mod supervisor;
mod topology;
mod up;
mod world;

pub use control::{Restart, restart, start, stop};
pub use credentials::{Credentials, OpenRc, open_rc};
pub use down::{Removed, down};
pub use drawing::drawing;
pub use error::{Error, Result};
pub use exec::{enter, exec};
pub use paths::{LabName, Paths, labs};
pub use record::{Lab, Node, NodeKind};
pub use status::{HostStatus, LabStatus, ProcessStatus, State, status};
pub use supervisor::run as supervise;
pub use topology::{Bridge, DEFAULT_TOPOLOGY, Datapath, Host, Join, Network, Nic, Role, Topology};
pub use up::{Outcome, Progress, Silent, UpOptions, up};
pub use world::serve as serve_world;

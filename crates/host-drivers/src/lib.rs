//! Thin clients of everything that holds a host's state: OVSDB, OpenFlow, netlink, namespaces, nft, conntrack.
//!
//! In: values (what to set, what to remove). Out: values (what is there), or which intent failed. A driver decides nothing:
//! what a host should look like is `host-plan`'s, when to look is `host-agent`'s.
//!
//! | module | speaks to | over |
//! | --- | --- | --- |
//! | [`ovsdb`] | `ovsdb-server`: bridges, ports, tags | `db.sock`, a copy kept up to date by a task |
//! | [`openflow`] | a bridge of `ovs-vswitchd`: flows, zones | `<bridge>.mgmt`, one bundle per change |
//! | [`unixctl`] | `ovs-vswitchd`: tunnel neighbours, traces | its control socket |
//! | [`tracked`] | the switch's connection tracker | its control socket; forgetting by OpenFlow |
//! | [`netns`], [`links`], [`sysctl`], [`offload`] | the kernel: namespaces, devices, addresses, routes | files, netlink, ioctl |
//! | [`attach`] | all of these: a device of the switch in a namespace | |
//! | [`nft`], [`conntrack`] | packet filter, tracked connections | `nft -f -`, `conntrack` |
//! | [`changes`] | who changes a namespace: that, not what | netlink's multicast groups |
//! | [`listening`] | sockets that wait for somebody | `/proc/net` |
//! | [`announce`] | neighbours on a link | gratuitous ARP, neighbour advertisements |
//!
//! What is to happen in a namespace is said by a [`Place`]. Every error is worth another try once the cause may have gone:
//! the reconcile loops look at what is there and begin anew.

pub mod announce;
pub mod attach;
pub mod changes;
pub mod conntrack;
mod error;
pub mod links;
pub mod listening;
pub mod netns;
pub mod nft;
pub mod offload;
pub mod openflow;
pub mod ovsdb;
pub mod packet_ins;
mod program;
pub mod sysctl;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tracked;
pub mod unixctl;

pub use error::DriverError;
pub use netns::Place;

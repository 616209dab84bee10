//! What can go wrong at the edge, named after the intent that failed.

use std::io;

/// A failed intent of a driver.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// A network namespace could not be made, entered or removed.
    #[error("cannot {what} the network namespace {name}")]
    Namespace {
        /// Its name.
        name: String,
        /// The verb.
        what: &'static str,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The kernel refused a change of links, addresses or routes.
    #[error("cannot {what} in the namespace {place}: {reason}")]
    Netlink {
        /// The intent, with the names involved.
        what: String,
        /// Where.
        place: String,
        /// The kernel's reason.
        reason: String,
        /// Its errno, if it gave one.
        errno: Option<i32>,
    },
    /// A kernel parameter could not be set.
    #[error("cannot set {name} to {value} in the namespace {place}")]
    Sysctl {
        /// Dotted name.
        name: String,
        /// The value.
        value: String,
        /// Where.
        place: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A device's offloads could not be switched off.
    #[error("cannot switch off checksum offload of {device}")]
    Offload {
        /// The device.
        device: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A neighbour could not be told of an address.
    #[error("cannot announce an address on {device}")]
    Announce {
        /// The device.
        device: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A program that we need could not be run, or refused.
    #[error("{program} failed: {said}")]
    Program {
        /// Its name.
        program: &'static str,
        /// What it said, or why it could not start.
        said: String,
    },
    /// Open vSwitch's control socket refused a command.
    #[error("ovs-vswitchd refused {command}: {said}")]
    Unixctl {
        /// The command.
        command: String,
        /// Its words.
        said: String,
    },
    /// The connection to a bridge could not be made, or went: try again when the bridge is back.
    #[error("no OpenFlow connection to {bridge}")]
    OpenFlowLost {
        /// The bridge.
        bridge: String,
        /// Why.
        source: io::Error,
    },
    /// The switch refused what was asked, or answered what cannot be read; nothing of it took effect.
    #[error("{bridge} refused: {said}")]
    OpenFlowRefused {
        /// The bridge.
        bridge: String,
        /// Its words, and about which flows.
        said: String,
    },
    /// There is no connection to the database server: try again, it is being made anew meanwhile.
    #[error("no connection to OVSDB at {}: {said}", socket.display())]
    DatabaseLost {
        /// Where it should listen.
        socket: std::path::PathBuf,
        /// Why.
        said: String,
    },
    /// The database server refused a transaction; whether to retry, the inner error says.
    #[error(transparent)]
    Database(#[from] ovsdb::Error),
}

//! The kernel's table of tracked connections in a namespace.

use crate::{DriverError, Place, program};
use std::net::IpAddr;

/// Forgets the connections of a floating IP that has gone: those that came in by the floating address, and those that left
/// with it.
pub async fn forget_floating_ip(place: &Place, floating: IpAddr, fixed: IpAddr) -> Result<(), DriverError> {
    let (floating, fixed) = (floating.to_string(), fixed.to_string());
    delete(place, &["--orig-dst", &floating]).await?;
    delete(place, &["--orig-src", &fixed, "--reply-dst", &floating]).await
}

async fn delete(place: &Place, filter: &[&str]) -> Result<(), DriverError> {
    let arguments = std::iter::once("-D").chain(filter.iter().copied()).map(String::from).collect();
    match program::run(place, "conntrack", arguments, Vec::new()).await {
        // It also fails when nothing matched.
        Err(DriverError::Program { said, .. }) if said.contains("0 flow entries have been deleted") => Ok(()),
        other => other.map(drop),
    }
}

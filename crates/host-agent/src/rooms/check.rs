//! The cheap look at all namespaces at once, for what the kernel tells nobody about: parameters, and what keeps the host's stack
//! away from the switch's devices. A thread, and one run of nft for the whole host.

use super::ears::Heard;
use error_text::sentence;
use host_drivers::changes::Changed;
use host_drivers::links::Links;
use host_drivers::sysctl::Parameters;
use host_drivers::{DriverError, Place, attach, nft};
use host_plan::{Attachment, HostPlan};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// Tells which of these namespaces have other parameters than planned, and makes devices in the host quiet again.
pub(super) async fn all(plan: Arc<HostPlan>, at_hand: Vec<(String, Arc<Parameters>)>, tell: UnboundedSender<Heard>) {
    let planned = plan.clone();
    let differing = Place::Host.run(move || differing(&planned, at_hand)).await;
    match differing {
        Ok(names) => {
            for name in names {
                // Nobody listens any more at the agent's end only.
                let _ = tell.send((name, Changed { links: true, filters: false }));
            }
        }
        Err(error) => tracing::warn!(error = sentence(&error), "kernel parameters cannot be looked at"),
    }
    if let Err(error) = quiet(&plan).await {
        tracing::warn!(error = sentence(&error), "devices of the switch cannot be kept quiet");
    }
}

fn differing(plan: &HostPlan, at_hand: Vec<(String, Arc<Parameters>)>) -> Vec<String> {
    let differs = |(name, parameters): (String, Arc<Parameters>)| {
        let namespace = plan.namespaces.get(&name)?;
        let of_devices = namespace.devices.values().flat_map(|device| &device.sysctls);
        parameters.differ(namespace.sysctls.iter().chain(of_devices)).then_some(name)
    };
    at_hand.into_iter().filter_map(differs).collect()
}

async fn quiet(plan: &HostPlan) -> Result<(), DriverError> {
    let devices = plan.namespaces.values().flat_map(|namespace| &namespace.devices);
    let wanted: BTreeSet<&String> = devices
        .filter(|(_, device)| device.attachment == Attachment::Veth && !device.checksum_offload)
        .map(|(name, _)| name)
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let quiet: BTreeSet<String> = nft::quiet_chains(&Place::Host).await?.into_values().flatten().collect();
    let loud: Vec<&String> = wanted.into_iter().filter(|name| !quiet.contains(*name)).collect();
    if loud.is_empty() {
        return Ok(());
    }
    let there = Links::open(&Place::Host).await?.list().await?;
    // One that is just being made is prepared by whoever makes it, before it is up.
    for name in loud.into_iter().filter(|name| there.get(*name).is_some_and(|link| link.up)) {
        attach::prepare_outer(name, false).await?;
    }
    Ok(())
}

//! When a flow is there: asked of the switch again and again, by a match that names it, so that the answer is short and the
//! asking costs the switch little. (A flow monitor would tell by itself, but is told nothing of what comes in bundles.)

use super::hosts::Bench;
use super::unexpected;
use crate::Failure;
use std::time::{Duration, Instant};

/// How long a change may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two questions; a question takes some milliseconds itself.
const PAUSE: &str = "0.002";

/// Seconds from `start` until br-int of the host that ports are plugged into has a flow of this match, or none any more.
pub fn until(bench: &mut Bench<'_>, start: Instant, flow: &str, there: bool) -> Result<f64, Failure> {
    let seconds = PATIENCE.as_secs();
    let wanted = if there { "" } else { "!" };
    let script = format!(
        "end=$(($(date +%s) + {seconds}))\n\
         until {wanted} ovs-ofctl dump-flows br-int '{flow}' | grep -q cookie=; do\n\
         [ \"$(date +%s)\" -lt \"$end\" ]\n\
         sleep {PAUSE}\n\
         done"
    );
    bench.here.run(&script).map_err(|failure| unexpected("ovs-ofctl dump-flows", format!("{flow}: {failure}")))?;
    Ok(start.elapsed().as_secs_f64())
}

/// How many flows br-int has there.
pub fn flows(bench: &mut Bench<'_>) -> Result<usize, Failure> {
    let said = bench.here.run("ovs-ofctl dump-flows br-int | grep -c cookie=")?;
    said.trim().parse().map_err(|_| unexpected("ovs-ofctl dump-flows br-int", said))
}

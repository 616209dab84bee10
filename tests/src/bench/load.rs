//! Many requests by some clients at once: what they cost the server, and how long each took.

use super::http::{Connection, Request};
use super::{machine, unexpected};
use crate::Failure;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// What came of many requests.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Processor time of the server per request, milliseconds.
    pub cpu_ms: f64,
    /// Requests per second of all clients together.
    pub per_second: f64,
    /// How long each took for its client, milliseconds, sorted.
    pub latencies: Vec<f64>,
    /// The answers in the order of the requests, without those that have no body.
    pub answers: Vec<Value>,
}

impl Measured {
    /// How long at most the fastest `part` (0 to 1) of the requests took, milliseconds.
    pub fn percentile(&self, part: f64) -> f64 {
        percentile(&self.latencies, part)
    }
}

/// The value of sorted `values` that `part` (0 to 1) of them do not exceed.
pub fn percentile(values: &[f64], part: f64) -> f64 {
    // Small and not negative, so that the conversions lose nothing.
    let index = (part * values.len() as f64).ceil() as usize;
    values.get(index.saturating_sub(1)).copied().unwrap_or_default()
}

/// What is measured: where it listens, and the processes that its answers cost (a server, and its database if that is apart).
#[derive(Debug, Clone)]
pub struct Target {
    /// Where requests go.
    pub address: SocketAddr,
    /// Whose processor time counts.
    pub pids: Vec<u32>,
    /// Whose processor time counts with that of its children.
    pub family: Option<u32>,
}

impl Target {
    fn cpu_ms(&self) -> Result<f64, Failure> {
        let alone = self.pids.iter().map(|pid| machine::cpu_ms(*pid));
        alone.chain(self.family.map(machine::family_cpu_ms)).sum()
    }
}

/// Sends all requests by `clients` threads of one connection each; any answer from 400 upward is a failure.
pub fn run(target: &Target, clients: usize, requests: &[Request]) -> Result<Measured, Failure> {
    let address = target.address;
    let next = AtomicUsize::new(0);
    let client = |connection: &mut Connection| -> Result<Vec<(usize, f64, Vec<u8>)>, Failure> {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(request) = requests.get(index) else { return Ok(done) };
            let start = Instant::now();
            let answer = connection.call(request)?;
            let took = start.elapsed().as_secs_f64() * 1e3;
            if answer.status >= 400 {
                let said = String::from_utf8_lossy(&answer.body).into_owned();
                let what = format!("{} {}", request.method, request.path);
                return Err(unexpected(&what, format!("{} {said}", answer.status)));
            }
            done.push((index, took, answer.body));
        }
    };
    let mut connections = (0..clients).map(|_| Connection::open(address)).collect::<Result<Vec<_>, _>>()?;
    let (cpu, start) = (target.cpu_ms()?, Instant::now());
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = connections.iter_mut().map(|connection| scope.spawn(|| client(connection))).collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    let (elapsed, cpu) = (start.elapsed().as_secs_f64(), target.cpu_ms()? - cpu);
    let mut done = Vec::with_capacity(requests.len());
    for outcome in outcomes {
        done.extend(outcome.map_err(|_| unexpected("a client", "panicked"))??);
    }
    done.sort_by_key(|(index, ..)| *index);
    let mut latencies: Vec<f64> = done.iter().map(|(_, took, _)| *took).collect();
    latencies.sort_by(f64::total_cmp);
    let count = done.len().max(1) as f64;
    let answers = done.iter().filter_map(|(.., body)| serde_json::from_slice(body).ok()).collect();
    Ok(Measured { cpu_ms: cpu / count, per_second: count / elapsed, latencies, answers })
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(
            (percentile(&values, 0.5), percentile(&values, 0.95), percentile(&values, 0.99)),
            (10.0, 19.0, 20.0)
        );
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}

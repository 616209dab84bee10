//! `probe ping-all`: who reaches whom, as a matrix.

use std::net::IpAddr;

use comfy_table::Cell;
use serde::Serialize;

use super::Hosts;
use super::on_host::Probe;
use crate::exit::{Exit, Failure};
use crate::print;

/// How many pings run at the same time.
const AT_ONCE: usize = 32;

/// One ping.
#[derive(Debug, Serialize)]
struct Outcome {
    from: String,
    to: String,
    address: IpAddr,
    /// Round trip in milliseconds; absent when no answer came.
    rtt_ms: Option<f64>,
}

/// Pings from every probe to every other and to `also`; exit code 1 if one of them is not answered.
pub fn all(hosts: &Hosts, also: &[IpAddr], json: bool) -> Result<Exit, Failure> {
    let probes = hosts.probes();
    let program = super::this_program()?;
    let targets = targets(&probes, also);
    let pairs: Vec<(&Probe, &(String, IpAddr))> = probes
        .iter()
        .flat_map(|probe| targets.iter().filter(|(name, _)| *name != probe.name).map(move |target| (probe, target)))
        .collect();
    let mut outcomes = Vec::with_capacity(pairs.len());
    for some in pairs.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let program = &program;
            let waits: Vec<_> = some
                .iter()
                .map(|(probe, (name, address))| {
                    scope.spawn(move || Outcome {
                        from: probe.name.clone(),
                        to: name.clone(),
                        address: *address,
                        rtt_ms: ping(hosts, program, probe, *address),
                    })
                })
                .collect();
            outcomes.extend(waits.into_iter().filter_map(|wait| wait.join().ok()));
        });
    }
    if json {
        print::json(&outcomes)?;
    } else {
        matrix(&probes, &targets, &outcomes);
    }
    Ok(if outcomes.iter().all(|outcome| outcome.rtt_ms.is_some()) { Exit::DONE } else { Exit::FAILED })
}

fn targets(probes: &[Probe], also: &[IpAddr]) -> Vec<(String, IpAddr)> {
    let own =
        probes.iter().flat_map(|probe| probe.addresses.iter().map(|address| (probe.name.clone(), address.addr())));
    own.chain(also.iter().map(|address| (address.to_string(), *address))).collect()
}

fn ping(hosts: &Hosts, program: &std::path::Path, probe: &Probe, address: IpAddr) -> Option<f64> {
    let namespace = probe.namespace();
    let mut command = match &hosts.lab {
        Some(_) => {
            let mut command = hosts.command(&probe.host, program);
            command.arg("ip");
            command
        }
        None => std::process::Command::new("ip"),
    };
    let ping =
        ["netns", "exec", &namespace, "ping", "-n", "-q", "-c", "2", "-i", "0.2", "-W", "1", &address.to_string()];
    let output = command.args(ping).output().ok()?;
    fastest(&String::from_utf8_lossy(&output.stdout))
}

/// The smallest round trip in ping's summary (`rtt min/avg/max/mdev = 0.1/...`).
fn fastest(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("rtt "))?.split_once("= ")?.1.split('/').next()?.parse().ok()
}

fn matrix(probes: &[Probe], targets: &[(String, IpAddr)], outcomes: &[Outcome]) {
    let mut table = print::table(&[]);
    let heading = |(name, address): &(String, IpAddr)| {
        let address = address.to_string();
        Cell::new(if *name == address { address } else { format!("{name}\n{address}") })
    };
    table.set_header(std::iter::once(Cell::new("from \\ to")).chain(targets.iter().map(heading)));
    for probe in probes {
        let cells = targets.iter().map(|(name, address)| {
            let found = outcomes.iter().find(|o| o.from == probe.name && o.to == *name && o.address == *address);
            match found.map(|outcome| outcome.rtt_ms) {
                None => Cell::new("·"),
                Some(Some(rtt)) => Cell::new(format!("{rtt:.1} ms")),
                Some(None) => Cell::new("no answer"),
            }
        });
        table.add_row(std::iter::once(Cell::new(&probe.name)).chain(cells));
    }
    print::line(table);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_summary_is_read() {
        let text = "2 packets transmitted, 2 received, 0% packet loss, time 201ms\nrtt min/avg/max/mdev = 0.678/0.697/0.717/0.019 ms\n";
        assert_eq!(fastest(text), Some(0.678));
        assert_eq!(fastest("2 packets transmitted, 0 received, 100% packet loss, time 201ms\n"), None);
    }
}

//! How the server does when one subnet grows to 20,000 ports, and how many ports a second it makes durable.

use super::http::Request;
use super::server::{Server, text};
use super::table::{Cell, Table};
use super::{load, machine, peer};
use crate::Failure;
use serde_json::json;

/// Clients that fill the subnet.
const FILLERS: usize = 64;

/// Grows one /16 subnet through `marks`, measuring `sample` single creates at each; needs the project of [`super::api::run`].
pub fn run(server: &Server, marks: &[usize], sample: usize) -> Result<Vec<Table>, Failure> {
    let mut admin = server.admin()?;
    let mut user = server.member(&mut admin, "scale")?;
    let network = user.make("/v2.0/networks", "network", &json!({ "name": "scale" }))?;
    let network = text(&network, "id")?;
    user.make("/v2.0/subnets", "subnet", &json!({ "network_id": network, "cidr": "10.128.0.0/16", "ip_version": 4 }))?;
    let port = json!({ "port": { "network_id": network, "name": "scale" } });
    let requests = |count: usize| -> Vec<Request> { vec![user.request("POST", "/v2.0/ports", Some(&port)); count] };

    let mut growth = Table::new(
        "Ports in one subnet",
        &format!(
            "{sample} single creates by one client when so many ports are there. Resident: the server's memory then. \
             Neutron: processor ms of uwsgi and MariaDB in another run."
        ),
        &["ports there", "create cpu ms", "p50 ms", "p99 ms", "resident MiB", "Neutron cpu ms", "Neutron / ours"],
    );
    let mut filling = Table::new(
        "Durable port creates by 64 clients",
        "Every answer stands for a committed and synced write. The clients run on the same processors.",
        &["from", "to", "per s", "cpu ms", "p50 ms", "p99 ms"],
    );
    let mut have = 0;
    for mark in marks.iter().copied() {
        if mark > have {
            let measured = load::run(&server.target(), FILLERS, &requests(mark - have))?;
            filling.row([
                Cell::from(have),
                mark.into(),
                measured.per_second.into(),
                measured.cpu_ms.into(),
                measured.percentile(0.5).into(),
                measured.percentile(0.99).into(),
            ]);
            have = mark;
        }
        let measured = load::run(&server.target(), 1, &requests(sample))?;
        let (resident, _) = machine::memory_mib(server.pid())?;
        let peer = peer::port_create_at(mark);
        growth.row([
            Cell::from(mark),
            measured.cpu_ms.into(),
            measured.percentile(0.5).into(),
            measured.percentile(0.99).into(),
            resident.into(),
            peer.into(),
            peer.map(|peer| (peer / measured.cpu_ms).round()).into(),
        ]);
        have += sample;
    }
    Ok(vec![growth, filling])
}

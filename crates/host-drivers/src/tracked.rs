//! Connections that the switch tracks: listed by ovs-vswitchd (whichever datapath it has), forgotten one by one.
//!
//! The listing is that of `dpctl/dump-conntrack`, which both datapaths know; forgetting goes by OpenFlow
//! ([`OpenFlow::forget`](crate::openflow::OpenFlow::forget)), because the partial tuples of `dpctl/flush-conntrack` are
//! accepted and ignored by the userspace datapath.

use crate::{DriverError, unixctl};
use ::openflow::wire::{CtFlush, CtTuple};
use host_plan::TrackedConnection;
use std::path::Path;

/// What forgets exactly this connection.
pub fn flush(connection: &TrackedConnection) -> CtFlush {
    let ports = connection.icmp.is_none() && connection.ports != (0, 0);
    let original = CtTuple {
        src: Some(connection.source),
        dst: Some(connection.target),
        src_port: ports.then_some(connection.ports.0),
        dst_port: ports.then_some(connection.ports.1),
        icmp: connection.icmp,
    };
    CtFlush { zone: Some(connection.zone), protocol: connection.protocol, original: Some(original), reply: None }
}

/// Waits until the datapath does what the flow tables say: what was decided by older ones is gone.
pub async fn wait_for_flows(rundir: &Path) -> Result<(), DriverError> {
    unixctl::run(rundir, "revalidator/wait", &[]).await.map(drop)
}

/// All tracked connections, or those of one zone.
pub async fn list(rundir: &Path, zone: Option<u16>) -> Result<Vec<TrackedConnection>, DriverError> {
    let zone = zone.map(|zone| format!("zone={zone}"));
    let arguments: Vec<&str> = zone.iter().map(String::as_str).collect();
    let text = unixctl::run(rundir, "dpctl/dump-conntrack", &arguments).await?;
    Ok(text.lines().filter_map(entry).collect())
}

/// A line of the listing; none when it is of a kind that is not understood.
fn entry(line: &str) -> Option<TrackedConnection> {
    let (protocol, rest) = line.trim().split_once(",orig=(")?;
    let (original, rest) = rest.split_once(')')?;
    let value = |of: &str, key: &str| -> Option<String> {
        of.split(',').find_map(|part| part.split_once('=').filter(|(name, _)| *name == key)).map(|(_, v)| v.to_owned())
    };
    let number = |key: &str| value(original, key).and_then(|text| text.parse::<u16>().ok());
    let (reply, after) = rest.split_once(')').unwrap_or((rest, ""));
    let reply = reply.split_once("reply=(").map_or("", |(_, reply)| reply);
    let target = value(original, "dst")?.parse().ok()?;
    let small = |key: &str| number(key).and_then(|number| u8::try_from(number).ok());
    Some(TrackedConnection {
        zone: value(after, "zone").and_then(|zone| zone.parse().ok()).unwrap_or(0),
        protocol: protocol_number(protocol)?,
        source: value(original, "src")?.parse().ok()?,
        target,
        answerer: value(reply, "src").and_then(|address| address.parse().ok()).unwrap_or(target),
        ports: (number("sport").unwrap_or(0), number("dport").unwrap_or(0)),
        icmp: number("id").zip(small("type")).zip(small("code")).map(|((id, kind), code)| (id, kind, code)),
        mark: value(after, "mark").and_then(|mark| mark.parse().ok()).unwrap_or(0),
    })
}

/// Names that the listing uses (`ct_dpif_format_ipproto`).
fn protocol_number(name: &str) -> Option<u8> {
    Some(match name {
        "icmp" => 1,
        "igmp" => 2,
        "tcp" => 6,
        "udp" => 17,
        "dccp" => 33,
        "icmpv6" => 58,
        "sctp" => 132,
        "udplite" => 136,
        number => number.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_listing() {
        let tcp = "tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=40000,dport=22),reply=(src=10.0.0.2,dst=10.0.0.1,sport=22,dport=40000),zone=3,mark=1,protoinfo=(state=ESTABLISHED)";
        let found = entry(tcp).unwrap();
        assert_eq!((found.zone, found.protocol, found.ports, found.mark), (3, 6, (40000, 22), 1));
        assert_eq!(found.answerer, found.target);
        let translated = entry(&tcp.replace("reply=(src=10.0.0.2", "reply=(src=10.0.0.9")).unwrap();
        assert_eq!(
            (translated.target.to_string(), translated.answerer.to_string()),
            ("10.0.0.2".into(), "10.0.0.9".into())
        );
        let ping = "icmpv6,orig=(src=2001:db8::1,dst=2001:db8::2,id=7,type=128,code=0),reply=(src=2001:db8::2,dst=2001:db8::1,id=7,type=129,code=0),zone=4";
        let found = entry(ping).unwrap();
        assert_eq!((found.source.to_string().as_str(), found.icmp, found.mark), ("2001:db8::1", Some((7, 128, 0)), 0));
        assert_eq!(flush(&found).original.unwrap().icmp, Some((7, 128, 0)));
        let other = "47,orig=(src=10.0.0.1,dst=10.0.0.2),reply=(src=10.0.0.2,dst=10.0.0.1)";
        let found = entry(other).unwrap();
        assert_eq!((found.protocol, found.ports, found.zone), (47, (0, 0), 0));
        assert_eq!(flush(&found).original.unwrap().src_port, None);
        assert!(entry("nonsense").is_none() && entry("").is_none());
    }
}

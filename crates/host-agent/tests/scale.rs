//! How the agent fares with hundreds of ports. Prints what it measured; asserts what must hold on any machine.
//!
//! `cargo nextest run --release -p host-agent --run-ignored only --no-capture scale`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::view::{add_network, add_secured_port, mac};
use common::{Host, on_a_host};
use host_view::{PortState, Segment};
use net_types::{MacAddr, PortId};
use nix::sys::resource::{UsageWho, getrusage};
use std::time::{Duration, Instant};

const PORTS: usize = 500;

/// CPU time of this process, which is the agent and the server of the test.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let time = |value: nix::sys::time::TimeVal| {
        Duration::from_secs(value.tv_sec() as u64) + Duration::from_micros(value.tv_usec() as u64)
    };
    time(usage.user_time()) + time(usage.system_time())
}

/// CPU time of this host's ovs-vswitchd.
fn switch_cpu(host: &Host) -> Duration {
    let rundir = host.switch.rundir().display().to_string();
    let tick = 10; // milliseconds, everywhere that Linux runs
    let is_it = |pid: &str| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with("ovs-vswitchd") && line.contains(&rundir)
    };
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let stat = pids.filter(|pid| is_it(pid)).find_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok());
    let stat = stat.expect("ovs-vswitchd runs");
    let fields: Vec<u64> = stat.rsplit(')').next().unwrap().split(' ').filter_map(|field| field.parse().ok()).collect();
    // Of what follows the name and the state, the eleventh and twelfth are the ticks in user and system mode.
    Duration::from_millis((fields[10] + fields[11]) * tick)
}

/// Plugs internal ports, all in one transaction.
fn plug_all(host: &Host, ports: &[(PortId, MacAddr)]) {
    let mut words: Vec<String> = vec![];
    for (port, mac) in ports {
        let device = format!("tap{}", port.short());
        let command = format!(
            "-- add-port br-int {device} -- set Interface {device} type=internal external_ids:iface-id={port} \
             external_ids:attached-mac=\"{mac}\""
        );
        words.extend(command.split(' ').map(str::to_owned));
    }
    host.switch.vsctl(&words.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
}

#[test]
#[ignore = "a measurement"]
fn scale() {
    on_a_host(|host| async move {
        let mut ports = vec![];
        let mut all = vec![];
        host.server.change(|view| {
            let net = add_network(view, Segment::Vxlan { vni: net_types::Vni::new(5).unwrap() }, "10.0.0.0/16", None);
            for n in 0..PORTS + 20 {
                let own = MacAddr([0xfa, 0x16, 0x3e, 1, (n >> 8) as u8, n as u8]);
                let port = add_secured_port(view, net, own, &format!("10.0.{}.{}", n >> 8, n & 0xff), true);
                all.push((port, own));
            }
            // One group for all, as people have it.
            let group = *view.security_groups.keys().next().unwrap();
            view.security_groups.retain(|id, _| *id == group);
            for port in view.ports.values_mut() {
                port.security_groups = [group].into();
            }
            ports.extend(all.iter().copied());
        });
        let late = ports.split_off(PORTS);
        let config = host.config("local_ip = '192.0.2.11'");
        let agent = host.agent_with(config.clone());
        let started = Instant::now();
        host.server.until("br-int", |seen| !seen.ports.is_empty()).await;
        host.switch.wait_for_bridge("br-int").unwrap();
        plug_all(&host, &ports);
        let up = |seen: &common::server::Seen| seen.ports.values().filter(|state| **state == PortState::Up).count();
        host.server.until("all ports up", |seen| up(seen) == PORTS).await;
        println!("{PORTS} ports plugged at once: up after {:?}, {:?} of CPU", started.elapsed(), cpu());
        println!("flows on br-int: {}", host.flows("br-int").lines().count());
        agent.kill().await;

        let (before, started) = (cpu(), Instant::now());
        let session = host.server.seen().session;
        let agent = host.agent_with(config);
        host.server.until("all ports up again", |seen| seen.session != session && up(seen) == PORTS).await;
        println!("restart with {PORTS} ports: {:?}, {:?} of CPU", started.elapsed(), cpu() - before);

        let (mut times, late_ports, before, switch_before) = (vec![], late.len() as u32, cpu(), switch_cpu(&host));
        for (port, own) in late {
            plug_all(&host, &[(port, own)]);
            let plugged = Instant::now();
            host.server.until_up(port).await;
            times.push(plugged.elapsed());
        }
        times.sort();
        println!("one more port, plugged to up: median {:?}, worst {:?}", times[times.len() / 2], times.last());
        println!(
            "each: {:?} of CPU here, {:?} in ovs-vswitchd",
            (cpu() - before) / late_ports,
            (switch_cpu(&host) - switch_before) / late_ports
        );
        let (before, idle) = (cpu(), Duration::from_secs(10));
        tokio::time::sleep(idle).await;
        println!("idle: {:?} of CPU in {idle:?} (audit every second)", cpu() - before);
        assert_eq!(mac(1).0.len(), 6);
        agent.stop().await;
    });
}

//! Processor time and memory of a process, and how busy the machine is, from `/proc`.

use super::{cannot, unexpected};
use crate::Failure;
use std::fs::read_to_string;

/// `/proc` counts in hundredths of a second on every Linux (USER_HZ).
const TICK_MS: f64 = 10.0;

/// User and system time of all threads of a process so far, milliseconds. The kernel keeps the sum exactly and shows it in
/// ticks of 10 ms, so a figure wants many operations.
pub fn cpu_ms(pid: u32) -> Result<f64, Failure> {
    let path = format!("/proc/{pid}/stat");
    let stat = read_to_string(&path).map_err(cannot(&path))?;
    // The name, in parentheses, may hold spaces.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok((user + system) * TICK_MS),
        _ => Err(unexpected(&path, "no processor time in it")),
    }
}

/// Resident and proportional memory of a process, MiB. Pages that processes share count in full in the first, in shares in
/// the second.
pub fn memory_mib(pid: u32) -> Result<(f64, f64), Failure> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = read_to_string(&path).map_err(cannot(&path))?;
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse::<f64>().ok()
    };
    match (kib("Rss:"), kib("Pss:")) {
        (Some(resident), Some(proportional)) => Ok((resident / 1024.0, proportional / 1024.0)),
        _ => Err(unexpected(&path, "no Rss and Pss in it")),
    }
}

/// What the figures were taken on, in one line.
pub fn describe() -> String {
    let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{cores} processors ({}), Linux {}, load {} when it began",
        model.map_or("unknown", |(_, model)| model),
        kernel.trim(),
        load.split(' ').next().unwrap_or("?")
    )
}

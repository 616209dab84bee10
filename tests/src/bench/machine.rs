//! Processor time and memory of a process, and how busy the machine is, from `/proc`.

use super::{cannot, unexpected};
use crate::Failure;
use std::fs::read_to_string;

/// User and system time of all threads of a process so far, milliseconds, by the kernel's own clock of the process.
pub fn cpu_ms(pid: u32) -> Result<f64, Failure> {
    let what = format!("read the processor time of process {pid}");
    let failed = |errno: nix::errno::Errno| cannot(&what)(errno.into());
    let pid = i32::try_from(pid).map_err(|error| unexpected(&what, error))?;
    let clock = nix::time::clock_getcpuclockid(nix::unistd::Pid::from_raw(pid)).map_err(failed)?;
    let time = clock.now().map_err(failed)?;
    Ok(std::time::Duration::from(time).as_secs_f64() * 1e3)
}

/// The same of a process and its children, those that have ended too: a database server answers each connection in a process of
/// its own, and looks after its tables in others that come and go.
pub fn family_cpu_ms(pid: u32) -> Result<f64, Failure> {
    let ended = ended_children_ms(pid)?;
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = read_to_string(&path).map_err(cannot(&path))?;
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    // One that ends meanwhile is counted among the ended next time.
    Ok(ended + cpu_ms(pid)? + children.filter_map(|child| cpu_ms(child).ok()).sum::<f64>())
}

/// Processor time of children that have ended, in steps of a tick (proc_pid_stat(5): `cutime`, `cstime`).
fn ended_children_ms(pid: u32) -> Result<f64, Failure> {
    let path = format!("/proc/{pid}/stat");
    let text = read_to_string(&path).map_err(cannot(&path))?;
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: Vec<f64> = after_name.split_whitespace().skip(13).take(2).filter_map(|word| word.parse().ok()).collect();
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten();
    match (ticks.as_slice(), per_second) {
        ([user, system], Some(per_second)) => Ok((user + system) * 1e3 / per_second as f64),
        _ => Err(unexpected(&path, "no time of ended children in it")),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_took_before_it_ended_counts() {
        let own = std::process::id();
        let mut child = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        while cpu_ms(child.id()).unwrap() < 200.0 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let before = family_cpu_ms(own).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // Of what has ended, two ticks may be cut off.
        let after = family_cpu_ms(own).unwrap();
        assert!(after > before - 50.0, "{before}, {after}");
    }
}

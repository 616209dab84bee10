//! A shell on a host of the lab that stays open, so that a command costs no more than itself.

use super::{cannot, unexpected};
use crate::{Failure, Lab};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::SystemTime;

/// What stands before the exit status after each command.
const MARK: &str = "--done--";

/// A shell; its end when dropped.
pub struct Shell {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Shell {
    /// Opens one on a host.
    pub fn open(lab: &Lab, host: &str) -> Result<Self, Failure> {
        let mut command = lab.exec_command(host, &["bash"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let shown = crate::command::line(&command);
        let mut child = command.spawn().map_err(cannot(&shown))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => Ok(Self { child, stdin, stdout: BufReader::new(stdout) }),
            _ => Err(unexpected(&shown, "no pipes")),
        }
    }

    /// Runs a script to its end; what it said. Its first failing command is its end and a failure.
    pub fn run(&mut self, script: &str) -> Result<String, Failure> {
        let shown = script.lines().next().unwrap_or_default();
        let text = format!("(set -e\n{script}\n) 2>&1 </dev/null\necho \"{MARK} $?\"\n");
        self.stdin.write_all(text.as_bytes()).map_err(cannot(shown))?;
        let mut said = String::new();
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).map_err(cannot(shown))? == 0 {
                return Err(unexpected(shown, format!("the shell ended: {said}")));
            }
            match line.trim_end().strip_prefix(MARK) {
                Some(" 0") => return Ok(said),
                Some(status) => return Err(unexpected(shown, format!("status{status}: {said}"))),
                None => said.push_str(&line),
            }
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Gone already in the ordinary case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pings that go on until they are stopped.
pub struct Ping {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

/// How a path did.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    /// Echo requests sent.
    pub sent: u32,
    /// Those that were answered.
    pub answered: u32,
    /// Longest time between two answers, seconds.
    pub longest_gap: f64,
}

impl Ping {
    /// Pings from a namespace on a host, one request every `interval` seconds.
    pub fn start(lab: &Lab, host: &str, namespace: &str, to: &str, interval: f64) -> Result<Self, Failure> {
        let interval = interval.to_string();
        let ping = ["ping", "-n", "-D", "-i", &interval, to];
        // Lines reach us when they are written.
        let words = [&["ip", "netns", "exec", namespace, "stdbuf", "-oL"], &ping[..]].concat();
        let mut command = lab.exec_command(host, &words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let shown = crate::command::line(&command);
        let mut child = command.spawn().map_err(cannot(&shown))?;
        match child.stdout.take() {
            Some(stdout) => Ok(Self { child, stdout: BufReader::new(stdout) }),
            None => Err(unexpected(&shown, "no pipe")),
        }
    }

    /// Waits for the first answer; when it came, by the clock of the machine.
    pub fn first_answer(&mut self) -> Result<SystemTime, Failure> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.stdout.read_line(&mut line).map_err(cannot("ping"))? == 0 {
                return Err(unexpected("ping", "ended without an answer"));
            }
            if let Some(seconds) = answered_at(&line) {
                let since = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
                return Ok(SystemTime::UNIX_EPOCH + since);
            }
        }
    }

    /// Ends it after what it has sent so far; `None` when it says nothing of the kind.
    pub fn stop(mut self) -> Result<Path, Failure> {
        let pid = self.child.id().to_string();
        crate::command::run(Command::new("kill").args(["-INT", &pid]))?;
        let (mut last, mut longest_gap, mut summary) = (None, 0.0_f64, None);
        for line in self.stdout.by_ref().lines() {
            let line = line.map_err(cannot("ping"))?;
            if let Some(at) = answered_at(&line) {
                longest_gap = last.map_or(longest_gap, |last: f64| longest_gap.max(at - last));
                last = Some(at);
            }
            if line.contains("packets transmitted") {
                let mut numbers = line.split(' ').filter_map(|word| word.parse::<u32>().ok());
                summary = numbers.next().zip(numbers.next());
            }
        }
        let (sent, answered) = summary.ok_or_else(|| unexpected("ping", "ended without a summary"))?;
        Ok(Path { sent, answered, longest_gap })
    }
}

impl Drop for Ping {
    fn drop(&mut self) {
        // Gone already in the ordinary case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// When an answer came, seconds since 1970, if the line is one: `[1732180000.123456] 64 bytes from ...`.
fn answered_at(line: &str) -> Option<f64> {
    let (stamp, rest) = line.strip_prefix('[')?.split_once("] ")?;
    rest.contains("bytes from").then(|| stamp.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::answered_at;

    #[test]
    fn only_answers_count() {
        let answer = "[1732180000.25] 64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=0.4 ms\n";
        assert_eq!(answered_at(answer), Some(1_732_180_000.25));
        assert_eq!(answered_at("[1732180000.25] From 10.0.0.1 icmp_seq=1 Destination Host Unreachable\n"), None);
        assert_eq!(answered_at("PING 10.0.0.2 (10.0.0.2) 56(84) bytes of data.\n"), None);
    }
}
